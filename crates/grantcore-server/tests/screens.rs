//! Tests of what users see and do on the pages, in a real browser: the order, the words, the sizes,
//! the keyboard, and the accessibility.
//!
//! The tests need Chromium and its driver, and are skipped without, as those of `browser.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(clippy::print_stderr, reason = "a skipped test prints a message")]

#[allow(dead_code, reason = "the other browser tests use the rest")]
#[path = "support/chromium.rs"]
mod chromium;
#[path = "support/keyboard.rs"]
mod hands;
#[path = "support/screen.rs"]
mod screen;
mod support;

#[path = "screens/admin.rs"]
mod admin;
#[path = "screens/connected.rs"]
mod connected;
#[path = "screens/consent.rs"]
mod consent;
#[path = "screens/every_page.rs"]
mod every_page;
#[path = "screens/keyboard.rs"]
mod keyboard;
#[path = "screens/organizations.rs"]
mod organizations;
#[path = "screens/problems.rs"]
mod problems;
#[path = "screens/provider.rs"]
mod provider;
#[path = "screens/searching.rs"]
mod searching;

use grantcore_server::Running;
use reqwest::Url;
use serde_json::{Value, json};
use support::{CHALLENGE, VERIFIER, param, plain_client};

use chromium::Browser;

/// Where the registered clients of these tests listen, if they are on the user's device.
const LOOPBACK: &str = "http://127.0.0.1:51004/callback";

async fn start() -> Running {
    Running::start(["test", "--listen", "127.0.0.1:0", "--database", "memory:"]).await.unwrap()
}

/// Registers a public client, and returns its id.
async fn register(issuer: &str, mut metadata: Value) -> String {
    metadata["token_endpoint_auth_method"] = "none".into();
    let answer = plain_client(false)
        .post(format!("{issuer}/oauth/register"))
        .json(&metadata)
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    body["client_id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// Registers a client with this name on the user's device.
async fn named(issuer: &str, name: &str) -> String {
    register(issuer, json!({ "client_name": name, "redirect_uris": [LOOPBACK] })).await
}

/// Returns the path of a request of this client for the notes. Beside their resource only their
/// scope would be asked, so a request for both scopes names none, as a client that knows of no
/// resources.
fn request(issuer: &str, client: &str, redirect_uri: &str, scope: &str) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", scope),
    ];
    let mut url = Url::parse_with_params("http://x/oauth/authorize", parameters).unwrap();
    if scope != "notes profile" {
        url.query_pairs_mut().append_pair("resource", &format!("{issuer}/mcp"));
    }
    url.as_str().trim_start_matches("http://x").to_owned()
}

/// Waits until the browser is sent to the client, and returns what the client receives.
async fn sent(browser: &Browser) -> Url {
    let is_answer = |url: &Url| ["code", "error"].iter().any(|name| param(url, name).is_some());
    browser.arrives("an answer", is_answer).await
}

/// Redeems the code of an answer, and returns the response.
async fn redeem(issuer: &str, client: &str, answer: &Url) -> Value {
    let code = param(answer, "code").unwrap_or_else(|| panic!("no code: {answer}"));
    let redirect_uri = answer.as_str().split('?').next().unwrap();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let http = plain_client(false);
    http.post(format!("{issuer}/oauth/token"))
        .form(&fields)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

/// Connects a client of this user.
async fn connect(browser: &Browser, client: &str, scope: &str) {
    browser.open(&request(&browser.issuer, client, LOOPBACK, scope)).await;
    browser.press("Allow access").await;
    let tokens = redeem(&browser.issuer, client, &sent(browser).await).await;
    assert!(tokens["access_token"].is_string(), "{tokens}");
}

/// Checks that a page has these texts in this order.
fn in_order(page: &str, texts: &[&str]) {
    let mut rest = page;
    for text in texts {
        rest = rest.split_once(text).unwrap_or_else(|| panic!("{text} is not next in {page}")).1;
    }
}
