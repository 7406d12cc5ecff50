//! A minimal browser: it keeps the cookie, reads forms of pages, signs in and presses buttons.

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use super::{Answer, CALLBACK, CHALLENGE, VERIFIER, World, encode, form_request, param, send};

/// The parameters of an authorization request.
#[derive(Clone)]
pub struct Asking(pub Vec<(String, String)>);

impl Asking {
    /// Returns the request of the client `app`.
    pub fn app() -> Self {
        Self::by("app", CALLBACK)
    }

    pub fn by(client_id: &str, redirect_uri: &str) -> Self {
        let pairs = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("state", "xyz"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    /// Returns the request with this parameter set, added, or left out if it is empty.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn query(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| (&**name, &**value)).collect();
        encode(&pairs)
    }

    pub fn url(&self) -> String {
        format!("/oauth/authorize?{}", self.query())
    }
}

/// A browser at a router.
pub struct Browser {
    app: Router,
    pub cookie: Option<String>,
}

impl Browser {
    pub fn new(app: &Router) -> Self {
        Self { app: app.clone(), cookie: None }
    }

    /// Returns a browser where this user is signed in.
    pub async fn of(world: &World, user: &str) -> Self {
        let mut browser = Self::new(&world.app);
        let answer = browser.sign_in("/", "", user, user).await;
        assert_eq!(answer.location(), "/");
        browser
    }

    pub async fn send(&mut self, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        request.headers_mut().insert("host", "auth.example".parse().unwrap());
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        let answer = send(&self.app, request).await;
        if let Some(set) = answer.header("set-cookie") {
            self.cookie = Some(set.split(';').next().unwrap().to_owned());
        }
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(form_request(path, fields)).await
    }

    /// Sends the form of the login page.
    pub async fn sign_in(
        &mut self,
        return_to: &str,
        request: &str,
        user: &str,
        password: &str,
    ) -> Answer {
        let fields = [
            ("username", user),
            ("password", password),
            ("return_to", return_to),
            ("request", request),
        ];
        self.post("/login", &fields).await
    }

    /// Follows the redirect to the login page, signs in with the fields of its form, and returns
    /// where the browser is sent.
    pub async fn log_in(&mut self, to_login: &Answer, user: &str) -> Answer {
        let page = self.get(to_login.location()).await;
        assert_eq!(page.status, 200, "{page:?}");
        let fields = hidden(&page.body);
        let field = |name: &str| fields.iter().find(|(own, _)| own == name).unwrap().1.clone();
        self.sign_in(&field("return_to"), &field("request"), user, user).await
    }

    /// Returns the consent page of a user who is signed in.
    pub async fn consent_page(&mut self, asking: &Asking) -> String {
        let page = self.get(&asking.url()).await;
        assert_eq!(page.status, 200, "{page:?}");
        page.body
    }

    /// Submits the form of a consent page as it is, with this button.
    pub async fn press(&mut self, page: &str, decision: &str) -> Answer {
        let mut fields = hidden(page);
        fields.extend(ticked(page).into_iter().map(|scope| ("scope".to_owned(), scope)));
        fields.push(("decision".to_owned(), decision.to_owned()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.post(&action(page), &fields).await
    }

    /// Lets the user allow a request, and returns the code.
    pub async fn code(&mut self, asking: &Asking) -> String {
        let page = self.consent_page(asking).await;
        let answer = self.press(&page, "allow").await;
        param(answer.location(), "code").unwrap_or_else(|| panic!("{answer:?}"))
    }
}

/// Redeems a code of the client `app`, or of another.
pub async fn redeem(app: &Router, client_id: &str, code: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    send(app, form_request("/oauth/token", &fields)).await
}

/// An access and a refresh token.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// Returns tokens of alice for the client `app`, with this scope.
pub async fn tokens(world: &World, scope: &str) -> Tokens {
    let mut browser = Browser::of(world, "alice").await;
    let code = browser.code(&Asking::app().with("scope", scope)).await;
    let answer = redeem(&world.app, "app", &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token") }
}

/// Returns an access token of alice for the client `app`, for this resource.
pub async fn tokens_for(world: &World, resource: &str) -> String {
    let mut browser = Browser::of(world, "alice").await;
    let code = browser.code(&Asking::app().with("resource", resource)).await;
    let answer = redeem(&world.app, "app", &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// Returns the hidden fields of the form of a page.
pub fn hidden(page: &str) -> Vec<(String, String)> {
    let inputs = inputs(page).filter(|input| input.contains("type=\"hidden\""));
    inputs.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
}

/// Returns the values of the boxes that are ticked.
pub fn ticked(page: &str) -> Vec<String> {
    let boxes = inputs(page)
        .filter(|input| input.contains("type=\"checkbox\"") && input.contains(" checked"));
    boxes.map(|input| attribute(input, "value")).collect()
}

pub fn action(page: &str) -> String {
    let (_, form) = page.split_once("<form").unwrap_or_else(|| panic!("no form in {page}"));
    attribute(form.split('>').next().unwrap(), "action")
}

/// Returns the value of a hidden field of a page.
pub fn field(page: &str, name: &str) -> String {
    hidden(page).into_iter().find(|(own, _)| own == name).unwrap().1
}

fn inputs(page: &str) -> impl Iterator<Item = &str> {
    page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap())
}

/// Returns the value of an attribute, as a browser reads it.
pub fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{tag}"));
    let entities =
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    let value = rest.split('"').next().unwrap().to_owned();
    entities.iter().fold(value, |text, (entity, plain)| text.replace(entity, plain))
}
