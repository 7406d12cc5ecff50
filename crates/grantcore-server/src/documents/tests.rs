//! Against hosts on this machine, which has all of 127.0.0.0/8 as Linux does, and a DNS that says
//! what a test wants it to say.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::Semaphore;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

const DOCUMENT: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\n{}";

const ALICE: Asker<'_> = Asker::User("alice");

/// What `for_trials` waits at most.
const TOTAL: Duration = Duration::from_millis(400);

/// A fetcher that may fetch from this machine, and is impatient.
fn for_trials() -> Fetcher {
    let times = Times { connect: TOTAL / 2, total: TOTAL };
    Fetcher { times, ..Fetcher::new(true, None).unwrap() }
}

/// A DNS that gives these answers in turn, the last one for ever, and counts the questions.
fn dns(answers: &[&[&str]]) -> (Names, Arc<AtomicUsize>) {
    let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(parse).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let names = move |_| -> Answer {
        let turn = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Box::pin(std::future::ready(Ok(answers[turn].clone())))
    };
    (Arc::new(names), asked)
}

/// A host that does this with every connection, and counts them.
fn host(
    at: impl std::net::ToSocketAddrs,
    behave: impl Fn(TcpStream) + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(at).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            behave(stream.unwrap());
        }
    });
    (address, connections)
}

fn answering(text: impl Into<String>) -> impl Fn(TcpStream) + Send + 'static {
    let text = text.into();
    move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(text.as_bytes());
    }
}

/// Reads a request to its empty line.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_document_comes_with_what_the_library_judges_it_by() {
    let (address, _) = host("127.0.0.1:0", answering(DOCUMENT));
    let fetched =
        for_trials().fetch(&format!("http://{address}/client"), 100, ALICE).await.unwrap();
    assert_eq!(fetched.status, 200);
    assert_eq!(fetched.content_type.as_deref(), Some("application/json"));
    assert_eq!(fetched.fresh_for, Some(Duration::from_secs(60)));
    assert_eq!(fetched.body, b"{}");
}

#[tokio::test]
async fn a_request_says_what_is_wanted_and_nothing_about_anybody() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let (address, _) = host("127.0.0.1:0", move |mut stream| {
        kept.lock().unwrap().push(head(&mut stream));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    let fetcher = for_trials();
    for _ in 0..2 {
        fetcher
            .fetch(&format!("http://user:password@{address}/a%20b?c=d#e"), 100, ALICE)
            .await
            .unwrap();
    }
    let mut expected = [
        "GET /a%20b?c=d HTTP/1.1".to_owned(),
        "accept: application/json".to_owned(),
        format!("host: {address}"),
        format!("user-agent: grantcore-server/{}", env!("CARGO_PKG_VERSION")),
    ];
    expected.sort();
    for request in &*requests.lock().unwrap() {
        let mut lines: Vec<_> = request.trim_end().lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
    assert_eq!(requests.lock().unwrap().len(), 2);
}

/// Their own test is in `address.rs`; this is about every way to write one in a URL, and about
/// nothing being sent there.
#[tokio::test]
async fn forbidden_addresses_are_not_connected_to_however_they_are_written() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let fetcher = Fetcher::new(false, None).unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.01",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "user@127.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
    ] {
        let refusal =
            fetcher.fetch(&format!("https://{host}:{port}/"), 100, ALICE).await.unwrap_err();
        assert!(matches!(refusal, FetchError::Forbidden(_)), "{host}: {refusal}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody came");
}

#[tokio::test]
async fn only_https_is_fetched_and_from_this_machine_http_if_allowed() {
    let (address, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let port = address.port();
    let strict = Fetcher::new(false, None).unwrap();
    for url in [
        format!("http://{address}/"),
        format!("http://localhost:{port}/"),
        "ftp://a.example/".into(),
        "data:,{}".into(),
    ] {
        assert!(matches!(strict.fetch(&url, 100, ALICE).await, Err(FetchError::NotHttps)), "{url}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);

    assert!(for_trials().fetch(&format!("http://localhost:{port}/"), 100, ALICE).await.is_ok());
    for url in ["http://1.1.1.1/", "http://a.example/", "file:///etc/passwd"] {
        let (names, _) = dns(&[&["127.0.0.1", "1.1.1.1"]]);
        let refusal = Fetcher { names, ..for_trials() }.fetch(url, 100, ALICE).await.unwrap_err();
        assert!(matches!(refusal, FetchError::NotHttps), "{url}: {refusal}");
    }
    for url in ["", "client", "https://", "https://a b/", "https://256.0.0.1/"] {
        assert!(matches!(strict.fetch(url, 100, ALICE).await, Err(FetchError::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn one_forbidden_address_spoils_a_name() {
    let (address, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    for answer in
        [["127.0.0.1", "10.0.0.7"], ["10.0.0.7", "127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1"]]
    {
        let (names, _) = dns(&[&answer]);
        let refusal = Fetcher { names, ..for_trials() }
            .fetch(&format!("http://a.example:{}/", address.port()), 100, ALICE)
            .await;
        assert!(matches!(refusal, Err(FetchError::Forbidden(_))), "{answer:?}: {refusal:?}");
    }
    let (names, _) = dns(&[&["1.1.1.1", "127.0.0.1"]]);
    let strict = Fetcher { names, ..Fetcher::new(false, None).unwrap() };
    let refusal = strict
        .fetch(&format!("https://a.example:{}/", address.port()), 100, ALICE)
        .await
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "127.0.0.1 is not an address of the public internet: 127.0.0.0/8 is loopback"
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_connection_goes_to_the_address_that_was_judged() {
    let (first, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let (_, elsewhere) = host(("127.0.0.2", first.port()), answering(DOCUMENT));
    let (names, asked) = dns(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetcher = Fetcher { names, ..for_trials() };
    fetcher.fetch(&format!("http://a.example:{}/", first.port()), 100, ALICE).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(elsewhere.load(Ordering::SeqCst), 0);
    fetcher.fetch(&format!("http://a.example:{}/", first.port()), 100, ALICE).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "no address is remembered");
    assert_eq!(elsewhere.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn of_several_addresses_the_first_that_answers_is_used() {
    let (address, _) = host("127.0.0.3:0", answering(DOCUMENT));
    let url = format!("http://a.example:{}/", address.port());
    let (names, _) = dns(&[&["::1", "127.0.0.9", "127.0.0.3"]]);
    assert!(Fetcher { names, ..for_trials() }.fetch(&url, 100, ALICE).await.is_ok());
    let (names, _) = dns(&[&["127.0.0.9"]]);
    assert!(matches!(
        Fetcher { names, ..for_trials() }.fetch(&url, 100, ALICE).await,
        Err(FetchError::Http(_))
    ));
    let (names, _) = dns(&[&[]]);
    assert!(matches!(
        Fetcher { names, ..for_trials() }.fetch(&url, 100, ALICE).await,
        Err(FetchError::Http(_))
    ));
}

#[tokio::test]
async fn redirects_come_back_as_they_are() {
    let (elsewhere, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    for status in [301, 302, 303, 307, 308] {
        let redirect = format!(
            "HTTP/1.1 {status} There\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
        );
        let (address, _) = host("127.0.0.1:0", answering(redirect));
        let fetched = for_trials().fetch(&format!("http://{address}/"), 100, ALICE).await.unwrap();
        assert_eq!(fetched.status, status);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_is_read_to_one_byte_over_the_limit() {
    let body = "x".repeat(100_000);
    let whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (address, _) = host("127.0.0.1:0", answering(whole));
    let url = format!("http://{address}/");
    for (limit, length) in
        [(0, 1), (10, 11), (99_999, 100_000), (100_000, 100_000), (usize::MAX, 100_000)]
    {
        let fetched = for_trials().fetch(&url, limit, ALICE).await.unwrap();
        assert_eq!(fetched.body.len(), length, "{limit}");
    }
    let (endless, _) = host("127.0.0.1:0", |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while stream.write_all(b"4\r\nxxxx\r\n").is_ok() {}
    });
    assert_eq!(
        for_trials().fetch(&format!("http://{endless}/"), 5120, ALICE).await.unwrap().body.len(),
        5121
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let (address, _) =
        host("127.0.0.1:0", answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"));
    let fetched = for_trials().fetch(&format!("http://{address}/"), 100, ALICE).await;
    assert!(matches!(fetched, Err(FetchError::Http(_))), "{fetched:?}");
}

#[tokio::test]
async fn a_host_that_never_answers_or_dribbles_is_given_up() {
    let (silent, _) = host("127.0.0.1:0", std::mem::forget);
    let (dribbling, _) = host("127.0.0.1:0", |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            thread::sleep(TOTAL / 20);
        }
    });
    for url in
        [format!("http://{silent}/"), format!("https://{silent}/"), format!("http://{dribbling}/")]
    {
        let start = Instant::now();
        let refusal = for_trials().fetch(&url, 1000, ALICE).await.unwrap_err();
        assert!(matches!(refusal, FetchError::TimedOut(_)), "{url}: {refusal}");
        assert!(start.elapsed() < 4 * TOTAL, "{url}");
    }
}

#[tokio::test]
async fn a_slow_host_keeps_two_slots_of_an_asker_until_it_is_given_up() {
    let (slow, connections) = host("127.0.0.1:0", std::mem::forget);
    let fetcher = for_trials();
    let url = |n: usize| format!("http://{slow}/{n}");
    let (first, second, third) = (url(1), url(2), url(3));
    let (one, two, three) = tokio::join!(
        fetcher.fetch(&first, 100, ALICE),
        fetcher.fetch(&second, 100, ALICE),
        fetcher.fetch(&third, 100, ALICE)
    );
    assert!(matches!((one, two), (Err(FetchError::TimedOut(_)), Err(FetchError::TimedOut(_)))));
    assert!(matches!(three, Err(FetchError::Busy(Busy::Asker))));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    assert!(
        matches!(fetcher.fetch(&third, 100, ALICE).await, Err(FetchError::TimedOut(_))),
        "free again"
    );
}

/// One connection for all who ask for one document, whoever they are; and for some seconds none
/// once it has failed.
#[tokio::test]
async fn equal_fetches_are_one_and_a_failure_is_not_tried_again_at_once() {
    let (slow, connections) = host("127.0.0.1:0", std::mem::forget);
    let (good, answered) = host("127.0.0.1:0", |stream: TcpStream| {
        thread::sleep(TOTAL / 4);
        answering(DOCUMENT)(stream);
    });
    let fetcher = for_trials();
    let failing = format!("http://{slow}/");
    let url = format!("http://{good}/");
    let stranger = Asker::Stranger("203.0.113.1");
    let (one, two, three, four, five) = tokio::join!(
        fetcher.fetch(&failing, 100, stranger),
        fetcher.fetch(&failing, 100, ALICE),
        fetcher.fetch(&url, 100, stranger),
        fetcher.fetch(&url, 100, ALICE),
        fetcher.fetch(&url, 100, Asker::User("bob")),
    );
    assert!(matches!((one, two), (Err(FetchError::TimedOut(_)), Err(FetchError::TimedOut(_)))));
    for fetched in [three, four, five] {
        assert_eq!(fetched.unwrap().body, b"{}");
    }
    for asker in [stranger, ALICE] {
        let again = fetcher.fetch(&failing, 100, asker).await;
        assert!(matches!(again, Err(FetchError::TimedOut(_))));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(answered.load(Ordering::SeqCst), 1);
    fetcher.fetch(&url, 100, ALICE).await.unwrap();
    assert_eq!(answered.load(Ordering::SeqCst), 2, "no document is kept");
}

/// Whoever began a fetch may hang up: those who joined it get the document.
#[tokio::test]
async fn a_fetch_does_not_end_with_the_request_that_began_it() {
    let (good, answered) = host("127.0.0.1:0", |stream: TcpStream| {
        thread::sleep(TOTAL / 4);
        answering(DOCUMENT)(stream);
    });
    let fetcher = for_trials();
    let url = format!("http://{good}/");
    let hung_up = timeout(TOTAL / 20, fetcher.fetch(&url, 100, Asker::Stranger("a"))).await;
    assert!(hung_up.is_err());
    assert_eq!(fetcher.fetch(&url, 100, ALICE).await.unwrap().body, b"{}");
    assert_eq!(answered.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_with_two_types_has_none() {
    for types in [
        "content-type: application/json\r\ncontent-type: text/html",
        "content-type: application/json\r\nContent-Type: application/json",
        "",
    ] {
        let text = DOCUMENT.replace("content-type: application/json", types);
        let text = text.replace("\r\n\r\ncache", "\r\ncache");
        let (address, _) = host("127.0.0.1:0", answering(text));
        let url = format!("http://{address}/");
        assert_eq!(for_trials().fetch(&url, 100, ALICE).await.unwrap().content_type, None);
    }
}

#[tokio::test]
async fn a_look_up_that_hangs_keeps_its_slot() {
    let gate = Arc::new(Semaphore::new(0));
    let door = Arc::clone(&gate);
    let names = move |_| -> Answer {
        let door = Arc::clone(&door);
        Box::pin(async move { door.acquire().await.map(|_| Vec::new()).map_err(io::Error::other) })
    };
    let fetcher = Fetcher { names: Arc::new(names), ..for_trials() };
    for url in ["https://a.example/1", "https://A.example.:443/2"] {
        assert!(matches!(fetcher.fetch(url, 100, ALICE).await, Err(FetchError::TimedOut(_))));
    }
    assert!(matches!(
        fetcher.fetch("https://a.example/3", 100, ALICE).await,
        Err(FetchError::Busy(Busy::Asker))
    ));
    gate.close();
    let mut after = fetcher.fetch("https://a.example/3", 100, ALICE).await;
    for _ in 0..20 {
        if !matches!(after, Err(FetchError::Busy(Busy::Asker))) {
            break;
        }
        tokio::time::sleep(TOTAL / 20).await;
        after = fetcher.fetch("https://a.example/3", 100, ALICE).await;
    }
    assert!(matches!(after, Err(FetchError::Name(_))), "{after:?}");
}

/// A host with a certificate for `client.test` and 127.0.0.1, and the file of the authority that
/// issued it.
fn secure_host(directory: &Path) -> (SocketAddr, std::path::PathBuf) {
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
async fn https_needs_a_certificate_for_the_host_from_a_trusted_authority() {
    let directory = tempfile::tempdir().unwrap();
    let (address, authority) = secure_host(directory.path());
    let at = |host: &str| format!("https://{host}:{}/client", address.port());
    let fetcher = |authority| {
        let (names, _) = dns(&[&["127.0.0.1"]]);
        Fetcher { names, ..Fetcher::new(true, authority).unwrap() }
    };
    let trusting = fetcher(Some(&authority));
    for host in ["client.test", "client.test.", "127.0.0.1"] {
        assert_eq!(trusting.fetch(&at(host), 100, ALICE).await.unwrap().body, b"{}", "{host}");
    }
    for host in ["other.test", "127.0.0.1.client.test"] {
        assert!(
            matches!(trusting.fetch(&at(host), 100, ALICE).await, Err(FetchError::Http(_))),
            "{host}"
        );
    }
    let refusal = fetcher(None).fetch(&at("client.test"), 100, ALICE).await.unwrap_err();
    assert!(refusal.to_string().contains("UnknownIssuer"), "{refusal}");
}

/// The test before, in a process of its own whose environment names a proxy.
#[test]
fn a_proxy_that_the_environment_names_is_not_asked() {
    let (proxy, connections) =
        host("127.0.0.1:0", answering("HTTP/1.1 502 Proxy\r\ncontent-length: 0\r\n\r\n"));
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([
        "--exact",
        "documents::tests::https_needs_a_certificate_for_the_host_from_a_trusted_authority",
    ]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again
            .env(name, format!("http://{proxy}"))
            .env(name.to_lowercase(), format!("http://{proxy}"));
    }
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}
