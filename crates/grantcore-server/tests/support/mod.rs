//! A minimal browser: it keeps cookies, reads forms from pages, and follows redirects until they
//! leave the server.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

pub mod accounts;
pub mod cases;
pub mod program;
pub mod publisher;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

/// The redirect URI of the demo client. No program listens there, because the browser stops at it.
pub const CALLBACK: &str = "http://127.0.0.1:51004/callback";
/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub struct Browser {
    pub http: Client,
    user: &'static str,
}

/// A form of a page: its action and its hidden fields.
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Browser {
    pub fn new(user: &'static str) -> Self {
        Self::with(plain_client(true), user)
    }

    /// Creates a browser with this client, which must keep cookies and follow no redirect.
    pub fn with(http: Client, user: &'static str) -> Self {
        Self { http, user }
    }

    /// Opens an authorization URL, signs in if needed, presses the button with this value, and
    /// returns the URL of the redirect.
    pub async fn authorize(&self, url: &str, decision: &str) -> Url {
        let page = self.consent_page(url).await;
        self.press(url, &page, decision).await
    }

    /// Opens an authorization URL, signs in if needed, and returns the HTML of the page.
    pub async fn consent_page(&self, url: &str) -> String {
        let response = self.http.get(url).send().await.unwrap();
        let Some(login) = location(&response) else { return response.text().await.unwrap() };
        let page = self.http.get(login.clone()).send().await.unwrap().text().await.unwrap();
        let mut form = form(&page);
        form.fields
            .extend([("username".into(), self.user.into()), ("password".into(), self.user.into())]);
        let answer = self
            .http
            .post(login.join(&form.action).unwrap())
            .form(&form.fields)
            .send()
            .await
            .unwrap();
        let back = location(&answer).expect("signed in and sent back");
        self.http.get(back).send().await.unwrap().text().await.unwrap()
    }

    pub async fn press(&self, url: &str, page: &str, decision: &str) -> Url {
        let answer = self.submit(url, page, decision).await;
        location(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()))
    }

    pub async fn submit(&self, url: &str, page: &str, decision: &str) -> Response {
        let mut form = form(page);
        form.fields.push(("decision".into(), decision.into()));
        let action = Url::parse(url).unwrap().join(&form.action).unwrap();
        self.http.post(action).form(&form.fields).send().await.unwrap()
    }
}

/// Chooses the cryptography of TLS for this process. No client of reqwest can be built before.
pub fn install_crypto_provider() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no redirect.
pub fn plain_client(cookies: bool) -> Client {
    install_crypto_provider();
    Client::builder().redirect(Policy::none()).cookie_store(cookies).build().unwrap()
}

fn location(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().unwrap();
    assert_eq!(response.status(), 303);
    Some(response.url().join(location).unwrap())
}

/// Returns the first form of a page.
pub fn form(page: &str) -> Form {
    let form = page
        .split("<form")
        .nth(1)
        .unwrap_or_else(|| panic!("no form in {page}"))
        .split("</form>")
        .next()
        .unwrap();
    let hidden = form.split("<input").skip(1).filter(|input| input.contains("type=\"hidden\""));
    let fields = hidden
        .map(|input| {
            (attribute(input, "name").unwrap(), attribute(input, "value").unwrap_or_default())
        })
        .collect();
    Form { action: attribute(form, "action").unwrap(), fields }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
    let entities = [
        ("&#38;", "&"),
        ("&amp;", "&"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
    ];
    Some(
        entities.iter().fold(value.to_owned(), |text, (entity, plain)| text.replace(entity, plain)),
    )
}

/// Returns the value of a query parameter.
pub fn param(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// Returns the authorization URL of the demo client.
pub fn authorization_url(issuer: &str, resource: &str) -> String {
    let url = Url::parse_with_params(
        &format!("{issuer}/oauth/authorize"),
        [
            ("response_type", "code"),
            ("client_id", "demo-public"),
            ("redirect_uri", CALLBACK),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource),
        ],
    );
    url.unwrap().into()
}
