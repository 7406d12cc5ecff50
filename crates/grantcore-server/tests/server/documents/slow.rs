//! Hosts of documents that answer late or never, and requests at the same time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A host of client documents. A path under `/slow/` is never answered; any other path is the
/// document of a client with that URL. Counts the connections of both kinds.
struct Host {
    address: SocketAddr,
    slow: Arc<AtomicUsize>,
    good: Arc<AtomicUsize>,
}

impl Host {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self { address, slow: Arc::default(), good: Arc::default() };
        let slow = Arc::clone(&host.slow);
        let good = Arc::clone(&host.good);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address, Arc::clone(&slow), Arc::clone(&good)));
            }
        });
        host
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    address: SocketAddr,
    slow: Arc<AtomicUsize>,
    good: Arc<AtomicUsize>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    if path.starts_with("/slow/") {
        slow.fetch_add(1, Ordering::SeqCst);
        // Waits until the server gives up.
        let _ = stream.read_u8().await;
        return;
    }
    good.fetch_add(1, Ordering::SeqCst);
    let document = json!({
        "client_id": format!("http://{address}{path}"),
        "client_name": "Published Client",
        "redirect_uris": [PORTLESS],
        "token_endpoint_auth_method": "none",
    });
    let body = document.to_string();
    let types = if path.starts_with("/twice/") {
        "content-type: application/json\r\ncontent-type: text/html"
    } else {
        "content-type: application/json"
    };
    let text =
        format!("HTTP/1.1 200 OK\r\n{types}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Waits until a condition holds, with a generous limit for slow machines.
async fn until(holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the condition never held")
}

/// Attack: anonymous requests from many addresses name documents that are never answered, at the
/// host of the user's client. The user's client connects all the same.
#[tokio::test]
async fn slow_documents_of_anonymous_requests_do_not_delay_a_signed_in_user() {
    let host = Host::start().await;
    let server = start(&["--allow-loopback-documents"]).await;
    let alice = Browser::new("alice");
    alice.consent_page(request(&server, "demo-public").as_str()).await;
    let mut strangers = Vec::new();
    for source in 2..8 {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .local_address(IpAddr::from([127, 0, 0, source]))
            .build()
            .unwrap();
        for n in 0..6 {
            let url = request(&server, &host.url(&format!("/slow/{source}/{n}")));
            strangers.push(tokio::spawn(http.get(url).send()));
        }
    }
    until(|| host.slow.load(Ordering::SeqCst) > 0).await;
    for n in 0..3 {
        let url = request(&server, &host.url(&format!("/client/{n}")));
        let answer = alice.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{n}");
        assert!(answer.text().await.unwrap().contains("Published Client"));
    }
    let mut sent_to_login = 0;
    for stranger in strangers {
        let status = stranger.await.unwrap().unwrap().status().as_u16();
        assert!([303, 400].contains(&status), "{status}");
        sent_to_login += usize::from(status == 303);
    }
    let slow = host.slow.load(Ordering::SeqCst);
    assert!(sent_to_login + slow >= 36, "{sent_to_login} had to sign in, {slow} were fetched");
    server.stop().await.unwrap();
}

/// Attack: a signed-in user names documents that are never answered.
#[tokio::test]
async fn slow_documents_of_one_user_do_not_delay_another() {
    let host = Host::start().await;
    let server = start(&["--allow-loopback-documents"]).await;
    let alice = Browser::new("alice");
    let bob = Browser::new("bob");
    for browser in [&alice, &bob] {
        browser.consent_page(request(&server, "demo-public").as_str()).await;
    }
    let held: Vec<_> = (0..10)
        .map(|n| request(&server, &host.url(&format!("/slow/{n}"))))
        .map(|url| tokio::spawn(bob.http.get(url).send()))
        .collect();
    until(|| host.slow.load(Ordering::SeqCst) > 0).await;
    let answer = alice.http.get(request(&server, &host.url("/client"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    for held in held {
        let status = held.await.unwrap().unwrap().status().as_u16();
        assert!([400, 503].contains(&status), "{status}");
    }
    assert!(host.slow.load(Ordering::SeqCst) < 10);
    server.stop().await.unwrap();
}

/// Parallel requests with the same document fetch it once.
#[tokio::test]
async fn equal_fetches_are_joined() {
    let host = Host::start().await;
    let server = start(&["--allow-loopback-documents"]).await;
    let http = plain_client(false);
    let requests: Vec<_> = (0..12)
        .map(|_| tokio::spawn(http.get(request(&server, &host.url("/slow/same"))).send()))
        .collect();
    for answer in requests {
        assert_eq!(answer.await.unwrap().unwrap().status(), 400);
    }
    let again = http.get(request(&server, &host.url("/slow/same"))).send().await.unwrap();
    assert_eq!(again.status(), 400);
    assert_eq!(host.slow.load(Ordering::SeqCst), 1, "one fetch for all, and none after it failed");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_document_with_two_types_is_refused() {
    let host = Host::start().await;
    let server = start(&["--allow-loopback-documents"]).await;
    refused(&server, &host.url("/twice/client")).await;
    assert_eq!(host.good.load(Ordering::SeqCst), 1);
    server.stop().await.unwrap();
}
