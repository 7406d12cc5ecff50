//! A host that publishes a client metadata document by https, under its own certificate authority,
//! and counts the connections.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

pub struct Publisher {
    pub address: SocketAddr,
    /// The whole response.
    pub response: Arc<Mutex<String>>,
    connections: Arc<AtomicUsize>,
    directory: TempDir,
}

impl Publisher {
    /// Publishes the document of a client with these redirect URIs at
    /// `https://localhost:PORT/oauth/client.json`.
    pub async fn start(redirect_uris: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let acceptor =
            TlsAcceptor::from(Arc::new(certified(&directory.path().join("authority.pem"))));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let response = Arc::new(Mutex::new(String::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let text = Arc::clone(&response);
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                let text = text.lock().unwrap().clone();
                tokio::spawn(answer(acceptor, stream, text));
            }
        });
        let publisher = Self { address, response, connections, directory };
        publisher.publish(&json!({
            "client_id": publisher.url(),
            "client_name": "Published Client",
            "client_uri": "https://client.example/about",
            "redirect_uris": redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }));
        publisher
    }

    /// Returns the `client_id` of the client.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/oauth/client.json", self.address.port())
    }

    /// Returns the file of the authority.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn publish(&self, document: &Value) {
        let body = document.to_string();
        let head = format!(
            "content-type: application/json\r\ncache-control: max-age=300\r\ncontent-length: {}",
            body.len()
        );
        *self.response.lock().unwrap() = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
    }
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream, text: String) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The settings of a host named `localhost`, certified by an authority that is written to this
/// file.
fn certified(authority_file: &Path) -> ServerConfig {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(authority_file, authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap()
}
