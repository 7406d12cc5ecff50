//! Against hosts on this machine, with a DNS that gives the answers of the test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::sync::Semaphore;

use self::support::{DOCUMENT, TOTAL, answering, count, fetch, head, host, local};
use super::*;

// The tests of the public interface use the same hosts.
#[path = "../tests/support/mod.rs"]
mod support;

/// A DNS that gives these answers in turn, the last one again and again, and the number of its
/// questions.
fn dns(answers: &[&[&str]]) -> (Resolver, Arc<AtomicUsize>) {
    let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(parse).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let names = move |_| -> LookUp {
        let turn = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Box::pin(std::future::ready(Ok(answers[turn].clone())))
    };
    (Arc::new(names), asked)
}

/// Returns a fetcher with these settings and this DNS.
fn with_resolver(mut builder: DocumentFetcherBuilder, resolver: Resolver) -> DocumentFetcher {
    builder.resolver = resolver;
    builder.build().unwrap()
}

#[tokio::test]
async fn client_14_only_https_is_fetched_and_http_from_this_machine_if_allowed() {
    let (address, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let port = address.port();
    let strict = DocumentFetcher::builder().build().unwrap();
    for url in [
        format!("http://{address}/"),
        format!("http://localhost:{port}/"),
        "ftp://a.example/".into(),
        "data:,{}".into(),
    ] {
        assert!(matches!(fetch(&strict, &url).await, Err(FetchError::NotHttps)), "{url}");
    }
    assert_eq!(count(&connections), 0);

    let url = format!("http://localhost:{port}/");
    assert!(fetch(&local().build().unwrap(), &url).await.is_ok());
    for url in ["http://1.1.1.1/", "http://a.example/", "file:///etc/passwd"] {
        let (names, _) = dns(&[&["127.0.0.1", "1.1.1.1"]]);
        let fetched = fetch(&with_resolver(local(), names), url).await;
        assert!(matches!(fetched, Err(FetchError::NotHttps)), "{url}: {fetched:?}");
    }
    for url in ["", "client", "https://", "https://a b/", "https://256.0.0.1/"] {
        assert!(matches!(fetch(&strict, url).await, Err(FetchError::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn client_15_one_forbidden_address_refuses_a_name() {
    let (address, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    for answer in
        [["127.0.0.1", "10.0.0.7"], ["10.0.0.7", "127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1"]]
    {
        let (names, _) = dns(&[&answer]);
        let url = format!("http://a.example:{}/", address.port());
        let fetched = fetch(&with_resolver(local(), names), &url).await;
        assert!(matches!(fetched, Err(FetchError::Forbidden(_))), "{answer:?}: {fetched:?}");
    }
    let (names, _) = dns(&[&["1.1.1.1", "127.0.0.1"]]);
    let strict = with_resolver(DocumentFetcher::builder(), names);
    let refusal = fetch(&strict, &format!("https://a.example:{}/", address.port())).await;
    assert_eq!(
        refusal.unwrap_err().to_string(),
        "127.0.0.1 is not an address of the public internet: 127.0.0.0/8 is loopback"
    );
    assert_eq!(count(&connections), 0);
}

#[tokio::test]
async fn client_15_a_name_is_resolved_once_and_the_judged_address_is_called() {
    let (first, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let (_, elsewhere) = host(("127.0.0.2", first.port()), answering(DOCUMENT));
    let (names, asked) = dns(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetcher = with_resolver(local(), names);
    let url = format!("http://a.example:{}/", first.port());
    fetch(&fetcher, &url).await.unwrap();
    assert_eq!(count(&asked), 1);
    assert_eq!(count(&connections), 1);
    assert_eq!(count(&elsewhere), 0);
    fetch(&fetcher, &url).await.unwrap();
    assert_eq!(count(&asked), 2, "no address is remembered");
    assert_eq!(count(&elsewhere), 1);
}

#[tokio::test]
async fn client_15_of_several_addresses_the_first_that_accepts_is_used() {
    let (address, _) = host("127.0.0.3:0", answering(DOCUMENT));
    let url = format!("http://a.example:{}/", address.port());
    let (names, _) = dns(&[&["::1", "127.0.0.9", "127.0.0.3"]]);
    assert!(fetch(&with_resolver(local(), names), &url).await.is_ok());
    for answer in [["127.0.0.9"].as_slice(), &[]] {
        let (names, _) = dns(&[answer]);
        let fetched = fetch(&with_resolver(local(), names), &url).await;
        assert!(matches!(fetched, Err(FetchError::Exchange(_))), "{fetched:?}");
    }
}

#[tokio::test]
async fn a_look_up_that_hangs_holds_its_slot() {
    let gate = Arc::new(Semaphore::new(0));
    let door = Arc::clone(&gate);
    let names = move |_| -> LookUp {
        let door = Arc::clone(&door);
        Box::pin(async move { door.acquire().await.map(|_| Vec::new()).map_err(io::Error::other) })
    };
    let fetcher = with_resolver(local(), Arc::new(names));
    for url in ["https://a.example/1", "https://A.example.:443/2"] {
        assert!(matches!(fetch(&fetcher, url).await, Err(FetchError::TimedOut(_))));
    }
    let third = "https://a.example/3";
    let is_busy = |fetched: &Result<_, _>| matches!(fetched, Err(FetchError::Busy(Busy::Asker)));
    assert!(is_busy(&fetch(&fetcher, third).await));
    gate.close();
    let mut after = fetch(&fetcher, third).await;
    for _ in 0..20 {
        if !is_busy(&after) {
            break;
        }
        tokio::time::sleep(TOTAL / 20).await;
        after = fetch(&fetcher, third).await;
    }
    assert!(matches!(after, Err(FetchError::Name(_))), "{after:?}");
}

/// A host with a certificate for `client.test` and 127.0.0.1, and the file of the authority that
/// issued it.
fn secure_host(directory: &Path) -> (SocketAddr, PathBuf) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let file = directory.join("authority.pem");
    std::fs::write(&file, authority.self_signed(&authority_key).unwrap().pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let names = ["client.test".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let settings = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let settings = Arc::new(settings);
    let (address, _) = host("127.0.0.1:0", move |stream| {
        let mut stream =
            StreamOwned::new(ServerConnection::new(Arc::clone(&settings)).unwrap(), stream);
        if !head(&mut stream).is_empty() {
            stream.write_all(DOCUMENT.as_bytes()).unwrap();
        }
    });
    (address, file)
}

#[tokio::test]
async fn client_14_https_needs_a_certificate_for_the_host_from_a_trusted_authority() {
    let directory = tempfile::tempdir().unwrap();
    let (address, authority) = secure_host(directory.path());
    let at = |host: &str| format!("https://{host}:{}/client", address.port());
    let fetcher = |builder: DocumentFetcherBuilder| {
        let (names, _) = dns(&[&["127.0.0.1"]]);
        with_resolver(builder.allow_loopback(true), names)
    };
    let trusting = fetcher(DocumentFetcher::builder().additional_roots(authority));
    for host in ["client.test", "client.test.", "127.0.0.1"] {
        assert_eq!(fetch(&trusting, &at(host)).await.unwrap().body, b"{}", "{host}");
    }
    for host in ["other.test", "127.0.0.1.client.test"] {
        let refusal = fetch(&trusting, &at(host)).await.unwrap_err();
        assert!(matches!(refusal, FetchError::Exchange(_)), "{host}: {refusal}");
    }
    let refusal = fetch(&fetcher(DocumentFetcher::builder()), &at("client.test")).await;
    let refusal = refusal.unwrap_err().to_string();
    assert!(refusal.contains("UnknownIssuer"), "{refusal}");
}

/// Runs the test above in a process whose environment names a proxy.
#[test]
fn client_15_a_proxy_of_the_environment_is_not_used() {
    let (proxy, connections) =
        host("127.0.0.1:0", answering("HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n"));
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "tests::client_14_https_needs_a_certificate_for_the_host_from_a_trusted_authority",
    ]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again
            .env(name, format!("http://{proxy}"))
            .env(name.to_lowercase(), format!("http://{proxy}"));
    }
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
    assert_eq!(count(&connections), 0);
}
