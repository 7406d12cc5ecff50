//! A minimal browser: it keeps cookies, reads forms from pages, and follows redirects until they
//! leave the server.

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

/// The browser of one user.
#[derive(Debug)]
pub struct Browser {
    /// Keeps the cookies, and follows no redirect.
    pub http: Client,
    user: &'static str,
    password: &'static str,
}

/// A form of a page: its action, and the fields that are sent if the user changes none: hidden ones
/// and checked boxes.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "tests build forms that no page has")]
pub struct Form {
    /// The address, relative to that of the page. Empty: the address of the page.
    pub action: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

impl Browser {
    /// Creates the browser of a user whose password is the name, as in the reference server's
    /// demonstration accounts.
    pub fn new(user: &'static str) -> Self {
        Self::with(plain_client(true), user)
    }

    /// Creates a browser with this client, which must keep cookies and follow no redirect.
    pub fn with(http: Client, user: &'static str) -> Self {
        Self { http, user, password: user }
    }

    /// Sets the password. Default: the name of the user.
    pub fn password(self, password: &'static str) -> Self {
        Self { password, ..self }
    }

    /// Opens an authorization URL, signs in if needed, presses the button with this value, and
    /// returns the URL of the redirect.
    pub async fn authorize(&self, url: &str, decision: &str) -> Url {
        let page = self.consent_page(url).await;
        self.press(url, &page, decision).await
    }

    /// Opens the authorization URL of a client, and returns its client id and the URL of the
    /// redirect, which must be the one that the client asked for.
    pub async fn decide(&self, url: &str, decision: &str) -> (String, Url) {
        let asked = Url::parse(url).unwrap();
        let answer = self.authorize(url, decision).await;
        assert!(answer.as_str().starts_with(&param(&asked, "redirect_uri").unwrap()), "{answer}");
        (param(&asked, "client_id").unwrap(), answer)
    }

    /// Opens an authorization URL, signs in if needed, and returns the HTML of the page.
    pub async fn consent_page(&self, url: &str) -> String {
        let response = self.http.get(url).send().await.unwrap();
        let Some(login) = location(&response) else { return response.text().await.unwrap() };
        let page = self.http.get(login.clone()).send().await.unwrap().text().await.unwrap();
        let mut form = form(&page);
        form.fields.extend([
            ("username".into(), self.user.into()),
            ("password".into(), self.password.into()),
        ]);
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

    /// Presses a button of the page at this address, and returns the URL of the redirect.
    pub async fn press(&self, url: &str, page: &str, decision: &str) -> Url {
        let answer = self.submit(url, page, decision).await;
        location(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()))
    }

    /// Presses a button of the page at this address, and returns the response.
    pub async fn submit(&self, url: &str, page: &str, decision: &str) -> Response {
        let mut form = form(page);
        form.fields.push(("decision".into(), decision.into()));
        let action = Url::parse(url).unwrap().join(&form.action).unwrap();
        self.http.post(action).form(&form.fields).send().await.unwrap()
    }
}

/// Chooses the cryptography of TLS for this process. No client of reqwest can be built before.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Returns a client that follows no redirect.
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
    let (tag, content) = form.split_once('>').expect("the end of the form's tag");
    let inputs = content.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    let sent = inputs.filter(|input| match attribute(input, "type").as_deref() {
        Some("hidden") => true,
        Some("checkbox") => input.split_whitespace().any(|word| word == "checked"),
        _ => false,
    });
    let fields = sent
        .map(|input| {
            (attribute(input, "name").unwrap(), attribute(input, "value").unwrap_or_default())
        })
        .collect();
    Form { action: attribute(tag, "action").unwrap_or_default(), fields }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
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
