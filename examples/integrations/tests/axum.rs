//! The example `axum`: an existing application and what grantcore adds to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{
    Browser, Running, authorization_url, call, location, param, plain_client, redeem, register,
};

const LIMIT_OF_FILE: usize = 200;
const LIMIT_OF_GRANTCORE: usize = 60;

#[test]
fn grantcore_adds_few_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("axum.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let mut added = 0;
    let mut is_marked = false;
    for line in source.lines() {
        match line.trim() {
            "// --- grantcore: begin" => is_marked = true,
            "// --- grantcore: end" => is_marked = false,
            text => {
                added += usize::from(is_marked);
                assert!(is_marked || !text.contains("grantcore_axum::"), "not marked: {text}");
            }
        }
    }
    assert!(!is_marked);
    assert!((1..=LIMIT_OF_GRANTCORE).contains(&added), "{added} lines are marked");
    assert!(source.lines().count() <= LIMIT_OF_FILE, "{} lines", source.lines().count());
}

#[tokio::test]
async fn the_application_works_as_before() {
    let app = Running::start("axum", &["127.0.0.1:0"]).await;
    let api = format!("{}/api/notes", app.url);
    let browser = Browser::new();
    assert_eq!(browser.get(&api).await.status(), StatusCode::UNAUTHORIZED);
    let login = format!("{}/login", app.url);
    let page = browser.get(&login).await.text().await.unwrap();
    let wrong = [("username", "alice"), ("password", "looking-glass")];
    assert_eq!(browser.submit(&login, &page, &wrong).await.status(), StatusCode::FORBIDDEN);
    let right = [("username", "alice"), ("password", "wonderland")];
    let next = location(&browser.submit(&login, &page, &right).await);
    assert_eq!(next.as_str(), format!("{}/", app.url));
    let added = browser.http.post(&api).json(&json!("feed the cat")).send().await.unwrap();
    assert_eq!(added.status(), StatusCode::OK);
    let notes: Value = browser.get(&api).await.json().await.unwrap();
    assert_eq!(notes, json!(["feed the cat"]));
}

#[tokio::test]
async fn a_client_calls_the_api_for_a_user_until_the_account_is_locked() {
    let app = Running::start("axum", &["127.0.0.1:0"]).await;
    let resource = format!("{}/v1", app.url);
    let api = format!("{resource}/notes");
    let client = register(&app.url).await;
    let url = authorization_url(&app.url, &client, &resource);
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    // It is the application's own page, with what the user must know.
    assert!(page.contains("May A test,"), "{page}");
    assert!(page.contains("Read and change your notes"), "{page}");
    assert!(page.contains("sent to 127.0.0.1:51004"), "{page}");
    assert!(page.contains("Any program on this device"), "{page}");
    let redirect = browser.decide(&url, &page, "allow").await;
    let token = redeem(&app.url, &client, &redirect).await;

    let http = plain_client(false);
    let added = http.post(&api).bearer_auth(&token).json(&json!("from the client")).send().await;
    assert_eq!(added.unwrap().status(), StatusCode::OK);
    let notes: Value = call(&api, &token).await.json().await.unwrap();
    assert_eq!(notes, json!(["from the client"]));
    // Tokens are for `/v1`, cookies for `/api`.
    let with_token = call(&format!("{}/api/notes", app.url), &token).await;
    assert_eq!(with_token.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get(&api).await.status(), StatusCode::UNAUTHORIZED);

    let locked = browser.http.post(format!("{}/lock", app.url)).send().await.unwrap();
    assert_eq!(locked.status(), StatusCode::OK);
    assert_eq!(call(&api, &token).await.status(), StatusCode::UNAUTHORIZED);
    for kind in ["consent_shown", "code_redeemed", "access_allowed"] {
        let kind = format!("kind=\"{kind}\"");
        app.prints(&[&kind, &client, "subject=\"alice\""]).await;
    }
    app.prints(&["reason=\"account_suspended\""]).await;
}

#[tokio::test]
async fn the_user_can_deny_and_a_client_can_ask_for_a_new_sign_in() {
    let app = Running::start("axum", &["127.0.0.1:0"]).await;
    let client = register(&app.url).await;
    let url = authorization_url(&app.url, &client, &format!("{}/v1", app.url));
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    let denied = browser.decide(&url, &page, "deny").await;
    assert_eq!(param(&denied, "error").as_deref(), Some("access_denied"));
    // A user who is signed in signs in again, once.
    let page = browser.sign_in(&format!("{url}&prompt=login"), "alice", "wonderland").await;
    assert!(page.contains("May A test,"), "{page}");
}

/// The source of a request is the address that the proxy names.
#[tokio::test]
async fn the_proxy_names_the_source() {
    let app = Running::start("axum", &["127.0.0.1:0"]).await;
    let request = plain_client(false).get(format!("{}/oauth/authorize", app.url));
    request.header("x-forwarded-for", "192.0.2.7").send().await.unwrap();
    app.prints(&["source=\"192.0.2.7\""]).await;
}
