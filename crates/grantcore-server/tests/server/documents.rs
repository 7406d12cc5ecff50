//! Tests of clients that are known by a document: a client connects, and forbidden addresses are
//! not fetched.

mod slow;

use crate::support::client::redemption;
use crate::support::publisher::Publisher;
use crate::support::{Browser, CALLBACK, CHALLENGE, param, plain_client, start};
use grantcore_server::Running;
use reqwest::{Response, Url};
use serde_json::{Value, json};

/// A redirect URI of native clients, which listen on any free port (RFC 8252 §7.3).
const PORTLESS: &str = "http://127.0.0.1/callback";

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
    let tokens: Value = token(&server, &redemption(&id, &code)).await.json().await.unwrap();
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
