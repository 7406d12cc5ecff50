//! An authorization server whose certificate is of a private authority.

use std::io::Write as _;

use grantcore::moment::{Clock as _, SystemClock};
use grantcore_axum::IntrospectionError;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

/// Starts an https server with this certificate that says that each token is alive. Returns its
/// port.
async fn https(certified: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let exp = SystemClock.now().unix_seconds() + 3600;
    let body = format!(
        "{{\"active\":true,\"sub\":\"alice\",\"client_id\":\"app\",\"scope\":\"read\",\"exp\":{exp},\
         \"aud\":\"https://localhost:{port}/mcp\"}}"
    );
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut read = [0; 4096];
            let _ = stream.read(&mut read).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn an_authority_of_the_host_is_trusted() {
    let own = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let issuer = format!("https://localhost:{}", https(&own).await);
    let file = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    };
    let trusted = file(&own.cert.pem());
    let other = file(&stranger.cert.pem());
    let trusting = builder(&issuer).additional_roots(trusted.path()).build().unwrap();
    assert_eq!(call(&resource(&trusting, "read"), "one").await.status, 200);
    for builder in [builder(&issuer), builder(&issuer).additional_roots(other.path())] {
        assert_unavailable(&call(&resource(&builder.build().unwrap(), "read"), "one").await);
    }
    let empty = file("no certificate");
    for path in [empty.path(), std::path::Path::new("/no/such/file")] {
        let refused = builder(&issuer).additional_roots(path).build().unwrap_err();
        assert!(matches!(refused, IntrospectionError::Roots { .. }), "{refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
    }
}

/// The documents are part of a router of any state.
#[tokio::test]
async fn the_documents_are_part_of_the_hosts_router_with_its_state() {
    #[derive(Clone)]
    struct AppState(&'static str);
    let introspection = builder("https://auth.example").build().unwrap();
    let own =
        |axum::extract::State(AppState(name)): axum::extract::State<AppState>| async move { name };
    let app: Router<AppState> = Router::new()
        .route("/own", axum::routing::get(own))
        .merge(introspection.router().unwrap().with_state(()));
    let app: Router = app.with_state(AppState("ours"));
    for (path, part) in [
        ("/own", "ours"),
        ("/.well-known/oauth-protected-resource/mcp", "https://auth.example/mcp"),
    ] {
        let answer = send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert!(answer.status == 200 && answer.body.contains(part), "{path}: {answer:?}");
    }
}
