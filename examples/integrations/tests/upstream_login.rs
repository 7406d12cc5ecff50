//! The example `upstream_login`, with an identity provider in this process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod support;

use grantcore_testing_provider::{
    ALICE, Algorithm, CLIENT_ID, CLIENT_SECRET, Fault, Place, Provider,
};
use reqwest::{StatusCode, Url, header};
use support::{
    Browser, Running, authorization_url, call, location, param, plain_client, redeem, register,
};

/// Starts a provider and the server that signs its users in there. Returns the authorization URL of
/// a client that a stranger could have registered.
async fn start() -> (Provider, Running, String, String) {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let arguments = ["127.0.0.1:0", provider.issuer(), CLIENT_ID, CLIENT_SECRET];
    let server = Running::start("upstream_login", &arguments).await;
    let client = register(&server.url).await;
    let url = authorization_url(&server.url, &client, &format!("{}/whoami", server.url));
    (provider, server, client, url)
}

/// Opens the sign-in page, and presses its button. Returns the URL of the provider.
async fn begin(browser: &Browser, url: &str) -> Url {
    let page = browser.get(url).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
    let page = page.text().await.unwrap();
    assert!(page.contains("Sign in to connect A test"), "{page}");
    location(&browser.submit(url, &page, &[]).await)
}

/// Begins a sign-in, and lets the provider answer. Returns the URL of the callback, not opened yet.
async fn answer(browser: &Browser, url: &str) -> Url {
    let provider = begin(browser, url).await;
    location(&browser.get(provider.as_str()).await)
}

/// Signs in, and returns the page that comes next.
async fn sign_in(browser: &Browser, url: &str) -> String {
    let callback = answer(browser, url).await;
    let back = location(&browser.get(callback.as_str()).await);
    assert_eq!(back.as_str(), url);
    let page = browser.get(url).await;
    assert_eq!(page.status(), StatusCode::OK);
    page.text().await.unwrap()
}

/// Checks that this callback opens no session in this browser.
async fn is_refused(browser: &Browser, callback: &Url, url: &str) {
    let refused = browser.get(callback.as_str()).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(!refused.headers().contains_key(header::SET_COOKIE));
    let page = browser.get(url).await.text().await.unwrap();
    assert!(page.contains("Sign in to connect"), "{page}");
}

#[tokio::test]
async fn a_user_of_the_provider_allows_a_client() {
    let (provider, server, client, url) = start().await;
    let browser = Browser::new();
    let page = sign_in(&browser, &url).await;
    assert!(page.contains("A test wants access"), "{page}");
    assert!(page.contains(ALICE), "{page}");
    let redirect = browser.decide(&url, &page, "allow").await;
    let token = redeem(&server.url, &client, &redirect).await;
    assert!(token.starts_with("gat_"), "{token}");
    let whoami = format!("{}/whoami", server.url);
    assert_eq!(call(&whoami, &token).await.text().await.unwrap(), ALICE);
    // The provider's token is none of this server.
    assert_eq!(call(&whoami, "of-the-provider").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(provider.calls(Place::Token), 1);
}

/// The confused deputy. The user is signed in here and there, and the provider asks nothing. A link
/// to a client that was registered just now gets the consent page, each time, and never a code.
#[tokio::test]
async fn a_session_alone_yields_no_code() {
    let (_provider, server, _, url) = start().await;
    let browser = Browser::new();
    let page = sign_in(&browser, &url).await;
    browser.decide(&url, &page, "allow").await;

    let other = register(&server.url).await;
    let resource = format!("{}/whoami", server.url);
    for asked in [authorization_url(&server.url, &other, &resource), url.clone()] {
        let page = browser.get(&asked).await;
        assert_eq!(page.status(), StatusCode::OK);
        let page = page.text().await.unwrap();
        assert!(page.contains("A test wants access"), "{page}");
    }
    let silent = browser.get(&format!("{url}&prompt=none")).await;
    assert_eq!(silent.status(), StatusCode::BAD_REQUEST);

    // A form without the ticket of a page, and one with the ticket of the attacker's own page.
    let consent = format!("{}/oauth/authorize/consent", server.url);
    let forged = [("decision", "allow")];
    let refused = browser.http.post(&consent).form(&forged).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let attacker = Browser::new();
    let page = sign_in(&attacker, &url).await;
    let stolen = browser.submit(&url, &page, &[("decision", "allow")]).await;
    assert!(stolen.status().is_client_error(), "{}", stolen.status());
}

/// The attacker signs in, and sends the victim the link of the callback.
#[tokio::test]
async fn a_callback_of_another_browser_is_refused() {
    let (provider, _server, _, url) = start().await;
    let attacker = Browser::new();
    let callback = answer(&attacker, &url).await;
    // The victim has begun no sign-in.
    is_refused(&Browser::new(), &callback, &url).await;
    // The victim has begun one, which has another state.
    let victim = Browser::new();
    let own = answer(&victim, &url).await;
    assert_ne!(param(&own, "state"), param(&callback, "state"));
    is_refused(&victim, &callback, &url).await;
    assert_eq!(provider.calls(Place::Token), 0);
    // An attempt has one callback, also if that was another's.
    is_refused(&victim, &own, &url).await;
}

#[tokio::test]
async fn a_callback_is_accepted_once() {
    let (_provider, _server, _, url) = start().await;
    let browser = Browser::new();
    let callback = answer(&browser, &url).await;
    let accepted = browser.get(callback.as_str()).await;
    location(&accepted);
    let cookie = accepted.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("session=") && cookie.contains("HttpOnly; SameSite=Lax"));
    assert_eq!(browser.get(callback.as_str()).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_or_client_is_refused() {
    let (provider, _server, _, url) = start().await;
    for fault in [Fault::WrongNonce, Fault::WrongAudience] {
        provider.does(fault);
        let browser = Browser::new();
        let callback = answer(&browser, &url).await;
        is_refused(&browser, &callback, &url).await;
        provider.behaves();
    }
    assert_eq!(provider.calls(Place::Token), 2);
    sign_in(&Browser::new(), &url).await;
}

#[tokio::test]
async fn a_response_of_another_provider_is_refused() {
    let (provider, _server, _, url) = start().await;
    provider.does(Fault::ResponseOfOther);
    let browser = Browser::new();
    let callback = answer(&browser, &url).await;
    is_refused(&browser, &callback, &url).await;
    assert_eq!(provider.calls(Place::Token), 0);
}

/// The provider is called after the user's click, and not because of a form of another site.
#[tokio::test]
async fn another_site_cannot_begin_a_sign_in() {
    let (_provider, server, _, _) = start().await;
    let request = plain_client(false).post(format!("{}/login", server.url));
    let request = request.header("sec-fetch-site", "cross-site").form(&[("return_to", "/")]);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let request = plain_client(false).post(format!("{}/login", server.url));
    let elsewhere = request.form(&[("return_to", "https://attacker.example/")]);
    assert!(elsewhere.send().await.unwrap().status().is_client_error());
}

#[tokio::test]
async fn a_client_that_asks_for_a_new_sign_in_gets_one() {
    let (_provider, _server, _, url) = start().await;
    let browser = Browser::new();
    sign_in(&browser, &url).await;
    let fresh = format!("{url}&prompt=login");
    let provider = begin(&browser, &fresh).await;
    assert_eq!(param(&provider, "prompt").as_deref(), Some("login"));
    let callback = location(&browser.get(provider.as_str()).await);
    location(&browser.get(callback.as_str()).await);
    let page = browser.get(&fresh).await.text().await.unwrap();
    assert!(page.contains("A test wants access"), "{page}");
}
