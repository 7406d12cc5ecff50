//! Tests of clients that are known by a document: a client connects, and forbidden addresses are
//! not fetched.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::publisher::Publisher;
use crate::support::{Browser, CALLBACK, CHALLENGE, VERIFIER, param, plain_client};
use grantcore_server::Running;
use reqwest::{Response, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A redirect URI of native clients, which listen on any free port (RFC 8252 §7.3).
const PORTLESS: &str = "http://127.0.0.1/callback";

async fn start(more: &[&str]) -> Running {
    let arguments = ["grantcore-server", "--listen", "127.0.0.1:0", "--database", "memory:"];
    Running::start(arguments.iter().chain(more).copied()).await.unwrap()
}

/// Starts a server that trusts this publisher on this machine.
async fn start_for(publisher: &Publisher) -> Running {
    let authority = publisher.authority();
    start(&["--allow-loopback-documents", "--document-authority", authority.to_str().unwrap()])
        .await
}

/// Returns an authorization request of this client.
fn request(server: &Running, client_id: &str) -> Url {
    let resource = format!("{}/mcp", server.issuer());
    let parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", resource.as_str()),
    ];
    Url::parse_with_params(&format!("{}/oauth/authorize", server.issuer()), parameters).unwrap()
}

/// Checks that the request of this client is refused, and returns the page.
async fn refused(server: &Running, client_id: &str) -> String {
    let page = plain_client(false).get(request(server, client_id)).send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), page.headers().get("location")),
        (400, None),
        "{client_id}"
    );
    let html = page.text().await.unwrap();
    assert!(html.contains("invalid_client") && !html.contains("<form"), "{html}");
    html
}

async fn token(server: &Running, form: &[(&str, &str)]) -> Response {
    plain_client(false)
        .post(format!("{}/oauth/token", server.issuer()))
        .form(form)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_client_that_nobody_registered_connects_by_its_document() {
    let publisher = Publisher::start(&[PORTLESS]).await;
    let server = start_for(&publisher).await;
    let metadata = plain_client(false)
        .get(format!("{}/.well-known/oauth-authorization-server", server.issuer()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        metadata.json::<Value>().await.unwrap()["client_id_metadata_document_supported"],
        true
    );

    let browser = Browser::new("alice");
    let id = publisher.url();
    let page = browser.consent_page(request(&server, &id).as_str()).await;
    let host = format!("localhost:{}", publisher.address.port());
    for part in [
        "Published Client",
        "described by its own document at",
        "nobody has checked its name",
        &host,
        "Runs on this device",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let answer = browser.press(request(&server, &id).as_str(), &page, "allow").await;
    let code = param(&answer, "code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("client_id", &*id),
        ("redirect_uri", CALLBACK),
        ("code", &*code),
        ("code_verifier", VERIFIER),
    ];
    let tokens: Value = token(&server, &redeem).await.json().await.unwrap();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", &*id),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(token(&server, &refresh).await.status(), 200);
    assert_eq!(publisher.connections(), 1, "the document is fetched once, before the login");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_document_is_explained_and_not_cached() {
    let publisher = Publisher::start(&[PORTLESS]).await;
    let server = start_for(&publisher).await;
    let good = publisher.response.lock().unwrap().clone();
    let document = |member: &str, value: Value| {
        let mut document: Value =
            serde_json::from_str(good.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        document[member] = value;
        document
    };
    for (wrong, part) in [
        (document("client_id", json!("https://localhost/other")), "byte for byte"),
        (
            document("redirect_uris", json!(["javascript:alert(1)"])),
            "a scheme that is never allowed",
        ),
        (document("client_secret", json!("published")), "no secret"),
        (document("client_name", json!("x".repeat(6000))), "over 5120 bytes"),
    ] {
        publisher.publish(&wrong);
        let page = refused(&server, &publisher.url()).await;
        assert!(page.contains(part), "{part}: {page}");
    }
    let moved =
        format!("HTTP/1.1 301 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", publisher.url());
    publisher.response.lock().unwrap().clone_from(&moved);
    assert!(refused(&server, &publisher.url()).await.contains("has the status 301, not 200"));
    assert_eq!(publisher.connections(), 5, "one fetch each; the redirect is not followed");

    *publisher.response.lock().unwrap() = good;
    assert!(
        Browser::new("alice")
            .consent_page(request(&server, &publisher.url()).as_str())
            .await
            .contains("Allow access")
    );
    server.stop().await.unwrap();
}

/// Private, link-local, metadata service, IPv4-mapped and other spellings of loopback: the pages
/// are equal, and no address is called.
#[tokio::test]
async fn nothing_is_fetched_from_private_addresses() {
    let publisher = Publisher::start(&[PORTLESS]).await;
    let authority = publisher.authority();
    let server = start(&["--document-authority", authority.to_str().unwrap()]).await;
    let port = publisher.address.port();
    let mut pages = Vec::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "0.0.0.0",
    ] {
        let page = refused(&server, &format!("https://{host}:{port}/oauth/client.json")).await;
        assert!(page.contains("could not be fetched"), "{host}: {page}");
        let main = page.split("<main").nth(1).unwrap();
        pages.push(main.split("<h2>").next().unwrap().replace(host, "HOST"));
    }
    assert!(
        pages.windows(2).all(|two| two[0] == two[1]),
        "the page does not show why, because that would map the network"
    );
    for id in [
        format!("http://127.0.0.1:{port}/c"),
        format!("https://127.1:{port}/c"),
        format!("https://2130706433:{port}/c"),
        "https://client.example".into(),
    ] {
        assert!(
            refused(&server, &id).await.contains("not the URL of a client metadata document"),
            "{id}"
        );
    }
    assert_eq!(publisher.connections(), 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn without_the_authority_or_the_feature_there_is_no_such_client() {
    let publisher = Publisher::start(&[PORTLESS]).await;
    let untrusting = start(&["--allow-loopback-documents"]).await;
    assert!(refused(&untrusting, &publisher.url()).await.contains("could not be fetched"));
    untrusting.stop().await.unwrap();
    let fetched = publisher.connections();
    let off = start(&["--client-documents", "off"]).await;
    assert!(refused(&off, &publisher.url()).await.contains("client is unknown"));
    assert_eq!(publisher.connections(), fetched);
    off.stop().await.unwrap();
}

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

/// Beyond the limit, the user must sign in before a document is fetched.
#[tokio::test]
async fn anonymous_requests_fetch_a_bounded_number_of_documents() {
    let publisher = Publisher::start(&[PORTLESS]).await;
    let server = start_for(&publisher).await;
    let made_up =
        |n: usize| request(&server, &publisher.url().replace("client.json", &format!("{n}.json")));
    let http = plain_client(false);
    for n in 0..20 {
        assert_eq!(
            http.get(made_up(n)).send().await.unwrap().status(),
            400,
            "the document has another client id"
        );
    }
    let limited = http.get(made_up(20)).send().await.unwrap();
    assert_eq!(limited.status(), 303);
    assert!(limited.headers()["location"].to_str().unwrap().starts_with("/login?request="));
    assert_eq!(publisher.connections(), 20);
    assert!(
        Browser::new("alice")
            .consent_page(request(&server, &publisher.url()).as_str())
            .await
            .contains("Allow access")
    );
    assert_eq!(publisher.connections(), 21);
    server.stop().await.unwrap();
}
