//! The example `upstream_login`, with an identity provider in this process.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unused_async,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Json, Router};
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    Audience, EmptyAdditionalClaims, IssuerUrl, JsonWebKeyId, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, PrivateSigningKey as _, StandardClaims, SubjectIdentifier,
};
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use support::{
    Browser, Running, authorization_url, call, location, param, plain_client, redeem, register,
};

const CLIENT_ID: &str = "grantcore";
const CLIENT_SECRET: &str = "of-the-provider";
const ALICE: &str = "248289761001";

/// A provider whose user is signed in, and whose consent for this server it remembers: it redirects
/// every request at once.
#[derive(Clone)]
struct Provider(Arc<Inner>);

struct Inner {
    issuer: String,
    /// A key in PEM.
    key: String,
    /// The parameters of the requests, by their codes.
    requests: Mutex<HashMap<String, HashMap<String, String>>>,
    token_requests: AtomicUsize,
    has_wrong_nonce: AtomicBool,
    has_wrong_audience: AtomicBool,
    names_other_issuer: AtomicBool,
}

impl Provider {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        let provider = Self(Arc::new(Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            key,
            requests: Mutex::default(),
            token_requests: AtomicUsize::new(0),
            has_wrong_nonce: AtomicBool::new(false),
            has_wrong_audience: AtomicBool::new(false),
            names_other_issuer: AtomicBool::new(false),
        }));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    fn key(&self) -> CoreEdDsaPrivateSigningKey {
        let id = Some(JsonWebKeyId::new("one".to_owned()));
        CoreEdDsaPrivateSigningKey::from_ed25519_pem(&self.0.key, id).unwrap()
    }
}

async fn configuration(State(Provider(own)): State<Provider>) -> Json<Value> {
    let issuer = &own.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let keys = CoreJsonWebKeySet::new(vec![provider.key().as_verification_key()]);
    Json(serde_json::to_value(keys).unwrap())
}

async fn authorize(
    State(Provider(own)): State<Provider>,
    Query(request): Query<HashMap<String, String>>,
) -> Redirect {
    assert_eq!(request["client_id"], CLIENT_ID);
    assert_eq!(request["code_challenge_method"], "S256");
    let mut requests = own.requests.lock().unwrap();
    let code = format!("code-{}", requests.len());
    let mut answer = Url::parse(&request["redirect_uri"]).unwrap();
    answer.query_pairs_mut().append_pair("code", &code).append_pair("state", &request["state"]);
    if own.names_other_issuer.load(Ordering::Relaxed) {
        answer.query_pairs_mut().append_pair("iss", "https://other.example");
    }
    requests.insert(code, request);
    Redirect::to(answer.as_str())
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Json<Value> {
    let own = &provider.0;
    own.token_requests.fetch_add(1, Ordering::Relaxed);
    // `grantcore:of-the-provider`
    assert_eq!(headers[header::AUTHORIZATION], "Basic Z3JhbnRjb3JlOm9mLXRoZS1wcm92aWRlcg==");
    let request = own.requests.lock().unwrap().remove(&form["code"]).unwrap();
    let verifier = PkceCodeVerifier::new(form["code_verifier"].clone());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    assert_eq!(challenge.as_str(), request["code_challenge"]);
    assert_eq!(form["redirect_uri"], request["redirect_uri"]);
    let wrong = |flag: &AtomicBool, right: &str| {
        if flag.load(Ordering::Relaxed) { "other".to_owned() } else { right.to_owned() }
    };
    let nonce = wrong(&own.has_wrong_nonce, &request["nonce"]);
    let audience = wrong(&own.has_wrong_audience, CLIENT_ID);
    let now = SystemTime::now();
    let claims = CoreIdTokenClaims::new(
        IssuerUrl::new(own.issuer.clone()).unwrap(),
        vec![Audience::new(audience)],
        (now + Duration::from_secs(60)).into(),
        now.into(),
        StandardClaims::new(SubjectIdentifier::new(ALICE.to_owned())),
        EmptyAdditionalClaims {},
    );
    let claims = claims.set_nonce(Some(Nonce::new(nonce)));
    let algorithm = CoreJwsSigningAlgorithm::EdDsa;
    let id_token = CoreIdToken::new(claims, &provider.key(), algorithm, None, None).unwrap();
    Json(json!({
        "access_token": "of-the-provider", "token_type": "bearer", "id_token": id_token.to_string(),
    }))
}

/// Starts a provider and the server that signs its users in there. Returns the authorization URL of
/// a client that a stranger could have registered.
async fn start() -> (Provider, Running, String, String) {
    let provider = Provider::start().await;
    let arguments = ["127.0.0.1:0", &provider.0.issuer, CLIENT_ID, CLIENT_SECRET];
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
    assert_eq!(provider.0.token_requests.load(Ordering::Relaxed), 1);
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
    assert_eq!(provider.0.token_requests.load(Ordering::Relaxed), 0);
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
    let own = &provider.0;
    for flag in [&own.has_wrong_nonce, &own.has_wrong_audience] {
        flag.store(true, Ordering::Relaxed);
        let browser = Browser::new();
        let callback = answer(&browser, &url).await;
        is_refused(&browser, &callback, &url).await;
        flag.store(false, Ordering::Relaxed);
    }
    assert_eq!(own.token_requests.load(Ordering::Relaxed), 2);
    sign_in(&Browser::new(), &url).await;
}

#[tokio::test]
async fn a_response_of_another_provider_is_refused() {
    let (provider, _server, _, url) = start().await;
    provider.0.names_other_issuer.store(true, Ordering::Relaxed);
    let browser = Browser::new();
    let callback = answer(&browser, &url).await;
    is_refused(&browser, &callback, &url).await;
    assert_eq!(provider.0.token_requests.load(Ordering::Relaxed), 0);
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
