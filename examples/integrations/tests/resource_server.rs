//! The example `resource_server` with an authorization server in this process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grantcore::client::StoredSecret;
use grantcore::policy::{IntrospectionRules, RevocationRules};
use grantcore::value::Digest;
use grantcore::{AlwaysActive, Client, MemoryStore, Policy, Server};
use grantcore_axum::{DemoLogin, router};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use support::{Browser, CALLBACK, Running, authorization_url, call, plain_client, redeem};

const SECRET: &str = "q3mVw2Lk9sXb7TzR4nYd";

/// Starts the resource server, and the authorization server that it asks.
async fn start() -> (Running, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let api = Running::start("resource_server", &["127.0.0.1:0", &issuer, SECRET]).await;
    let policy = Policy::builder(&issuer)
        .scope("files", "Read your files")
        .resource(&api.url, "files")
        .default_scope("files")
        .introspection(IntrospectionRules::default().with_resource_server("files-server", &api.url))
        .revocation(RevocationRules::default())
        .allow_loopback_http(true)
        .build()
        .unwrap();
    let store = MemoryStore::new();
    store.put_client(Client::public("app").redirect_uri(CALLBACK).build().unwrap());
    let stored = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    store.put_client(Client::resource_server("files-server", stored).build().unwrap());
    let server = Arc::new(Server::new(policy, store, AlwaysActive));
    let login = DemoLogin::new([("alice", "wonderland")]);
    let app = router(server, login.clone()).unwrap().merge(login.router());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (api, issuer)
}

async fn token(issuer: &str, resource: &str) -> String {
    let url = authorization_url(issuer, "app", resource);
    let browser = Browser::new();
    let page = browser.sign_in(&url, "alice", "wonderland").await;
    redeem(issuer, "app", &browser.decide(&url, &page, "allow").await).await
}

#[tokio::test]
async fn a_call_without_a_token_is_led_to_the_authorization_server() {
    let (api, issuer) = start().await;
    let http = plain_client(false);
    let refused = http.get(&api.url).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    let document = challenge.split("resource_metadata=\"").nth(1).unwrap();
    let document = document.split('"').next().unwrap();
    let document: Value = http.get(document).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["resource"], json!(api.url));
    assert_eq!(document["authorization_servers"], json!([issuer]));
    assert_eq!(call(&api.url, "gat_unknown").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_web_page_of_any_origin_can_call_it() {
    let (api, _) = start().await;
    let http = plain_client(false);
    let preflight = http
        .request(Method::OPTIONS, &api.url)
        .header(header::ORIGIN, "https://app.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
    let allowed = preflight.send().await.unwrap();
    assert!(allowed.status().is_success(), "{}", allowed.status());
    assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let call = http.get(&api.url).header(header::ORIGIN, "https://app.example");
    let refused = call.send().await.unwrap();
    assert_eq!(refused.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let exposed = refused.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
    assert!(exposed.contains("www-authenticate"), "{exposed}");
}

#[tokio::test]
async fn a_good_token_is_accepted_and_a_revoked_one_refused_within_the_stated_time() {
    let (api, issuer) = start().await;
    let token = token(&issuer, &api.url).await;
    let accepted = call(&api.url, &token).await;
    assert_eq!(accepted.status(), StatusCode::OK);
    let answer: Value = accepted.json().await.unwrap();
    assert_eq!(answer, json!({ "files_of": "alice", "for": "app" }));

    let form = [("token", token.as_str()), ("client_id", "app")];
    let request = plain_client(false).post(format!("{issuer}/oauth/revoke")).form(&form);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let revoked = Instant::now();
    while call(&api.url, &token).await.status() == StatusCode::OK {
        // `MAX_AGE` of the example, and a second for a slow machine.
        assert!(revoked.elapsed() < Duration::from_secs(4), "the token is still accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(call(&api.url, &token).await.status(), StatusCode::UNAUTHORIZED);
}
