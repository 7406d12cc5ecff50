//! A server whose users sign in with the identity provider of `grantcore-testing-provider`.

use grantcore_server::Running;
use grantcore_testing_provider::{CLIENT_ID, CLIENT_SECRET, Provider};
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode, Url};

use super::{Browser, CALLBACK, CHALLENGE, form_to};

/// The flag that lets every user of the provider sign in.
pub const EVERYBODY: &[&str] = &["--provider-everybody"];

/// Returns the flags that name a provider.
pub fn flags(provider: &Provider) -> Vec<String> {
    let flag = |name: &str, value: &str| format!("--provider-{name}={value}");
    vec![
        flag("issuer", provider.issuer()),
        flag("name", "Example ID"),
        flag("client-id", CLIENT_ID),
        flag("client-secret", CLIENT_SECRET),
    ]
}

/// Starts a server whose users sign in with this provider.
pub async fn start(provider: &Provider, more: &[&str]) -> Running {
    let own = ["grantcore-server", "--listen=127.0.0.1:0", "--database=memory:"].map(str::to_owned);
    let more = more.iter().map(|flag| (*flag).to_owned());
    Running::start(own.into_iter().chain(flags(provider)).chain(more)).await.unwrap()
}

/// Returns the authorization URL of the demo client, with more parameters.
pub fn request(issuer: &str, more: &[(&str, &str)]) -> Url {
    let mut all = vec![
        ("response_type", "code"),
        ("client_id", "demo-public"),
        ("redirect_uri", CALLBACK),
        ("scope", "notes profile"),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    all.extend(more);
    Url::parse_with_params(&format!("{issuer}/oauth/authorize"), all).unwrap()
}

/// Opens an address.
pub async fn get(browser: &Browser, url: &Url) -> Response {
    browser.http.get(url.clone()).send().await.unwrap()
}

/// Returns the target of a redirect.
#[track_caller]
pub fn target(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.url().join(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

/// Opens an address, and returns the login page that it leads to, with its address.
pub async fn login_page(browser: &Browser, url: &Url) -> (Url, String) {
    let login = target(&get(browser, url).await);
    let page = get(browser, &login).await;
    assert_eq!(page.status(), StatusCode::OK, "{login}");
    (login, page.text().await.unwrap())
}

/// Presses the button of the provider on a login page, and returns the response.
pub async fn press(browser: &Browser, login: &Url, page: &str) -> Response {
    assert!(page.contains("Continue with <bdi>Example ID</bdi>"), "{page}");
    let prefix = login.path().trim_end_matches("/login");
    let form = form_to(page, &format!("{prefix}/login/provider"));
    let action = login.join(&form.action).unwrap();
    browser.http.post(action).form(&form.fields).send().await.unwrap()
}

/// Goes from an address to the provider, and returns the address there.
pub async fn to_provider(browser: &Browser, url: &Url) -> Url {
    let (login, page) = login_page(browser, url).await;
    target(&press(browser, &login, &page).await)
}

/// Goes to the provider, which sends the browser back. Returns the callback, not opened yet.
pub async fn to_callback(browser: &Browser, url: &Url) -> Url {
    let away = to_provider(browser, url).await;
    target(&get(browser, &away).await)
}

/// Signs in for an authorization request, and returns the page that comes next.
pub async fn sign_in(browser: &Browser, url: &Url) -> String {
    let callback = to_callback(browser, url).await;
    let onward = target(&get(browser, &callback).await);
    assert!(onward.path().ends_with("/oauth/continue"), "{onward}");
    get(browser, &onward).await.text().await.unwrap()
}

/// Signs in for a page of the server, and returns the response of the callback.
pub async fn finish(browser: &Browser, url: &Url) -> Response {
    let callback = to_callback(browser, url).await;
    get(browser, &callback).await
}
