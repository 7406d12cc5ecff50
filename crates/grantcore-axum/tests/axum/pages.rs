//! Tests of the pages of the authorization endpoint: their headers, their status, and what a
//! stranger's text can do in them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use crate::support::browser::{Asking, Browser, attribute, field, redeem};
use crate::support::{Answer, CALLBACK, ISSUER, MCP, T, World, login, param, params, policy};
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use grantcore::policy::{ConsentRules, Limits, Remember};
use grantcore::request::ConsentDecision;
use grantcore::response::PAGE_HEADERS;
use grantcore::value::{GrantId, Properties};
use grantcore::{Authorization, Client, Policy, Reason, Timestamp};
use grantcore_axum::{BoxError, Consent, ErrorPage, Login, Pages, SignedIn};

#[track_caller]
fn assert_page_headers(answer: &Answer) {
    for (name, value) in PAGE_HEADERS {
        let own = answer.header(name).unwrap_or_else(|| panic!("{name}: {answer:?}"));
        assert!(own.contains(value), "{name}: {own}");
    }
}

#[tokio::test]
async fn authz_24_every_page_and_redirect_has_the_headers_of_a_page() {
    let world = World::new();
    let mut browser = Browser::new(&world.app);
    let to_login = browser.get(&Asking::app().url()).await;
    let login_page = browser.get(to_login.location()).await;
    let wrong_password = browser.sign_in("/", "", "alice", "wrong").await;
    let signed_in = browser.sign_in("/", "", "alice", "alice").await;
    let consent = browser.get(&Asking::app().url()).await;
    assert!(consent.body.contains("<form method=\"post\" action=\"/oauth/authorize/consent\">"));
    let redirect = browser.press(&consent.body, "allow").await;
    let error = browser.get("/oauth/authorize").await;
    let forged = browser.post("/oauth/authorize/consent", &[("ticket", "x")]).await;
    let method = browser.post("/oauth/authorize", &[]).await;
    for page in [&to_login, &login_page, &consent, &redirect, &error, &forged, &method] {
        assert_page_headers(page);
    }
    assert_page_headers(&wrong_password);
    assert_eq!(signed_in.header("cache-control"), Some("no-store"));
    // The plain pages load nothing and run nothing.
    for page in [&login_page, &wrong_password, &consent, &error] {
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(!page.body.contains("<script"), "{}", page.body);
    }
}

/// Pages of a host with headers and statuses of its own.
struct Site;

impl Site {
    fn page(status: StatusCode, text: &str) -> Response {
        let mut page = (status, Html(text.to_owned())).into_response();
        for (name, value) in [
            ("content-security-policy", "default-src 'self'; frame-ancestors 'none'"),
            ("cache-control", "no-store, private"),
            ("x-of-the-site", "1"),
            ("retry-after", "77"),
        ] {
            page.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        page
    }
}

impl Pages for Site {
    async fn user(&self, request: &Parts) -> Result<Option<SignedIn>, BoxError> {
        match request.headers.get("x-user").map(HeaderValue::as_bytes) {
            None => Ok(None),
            Some(b"fails") => Err("the sessions are gone".into()),
            Some(b"panics") => panic!("the host's fault"),
            Some(b"nobody") => Ok(Some(SignedIn::new("", "session"))),
            Some(user) => Ok(Some(SignedIn::new(String::from_utf8_lossy(user), "session"))),
        }
    }

    async fn login(&self, _: &Parts, _: Login) -> Response {
        Self::page(StatusCode::UNAUTHORIZED, "login")
    }

    async fn consent(&self, _request: &Parts, consent: Consent) -> Response {
        let scopes: Vec<_> = consent.scopes.iter().map(|(token, text)| [&**token, text]).collect();
        assert_eq!(scopes, [["read", "Read your notes"], ["write", "Change your notes"]]);
        Self::page(StatusCode::OK, &format!("{} {}", consent.action, consent.page.ticket()))
    }

    async fn error(&self, _request: &Parts, error: ErrorPage) -> Response {
        let id = error.correlation_id.unwrap();
        let url = error.help_url.unwrap_or_default();
        Self::page(StatusCode::IM_A_TEAPOT, &format!("{} {id} {url}", error.problem.status))
    }
}

async fn visit(world: &World, path: &str, user: &str) -> Answer {
    let request = Request::get(path);
    let request = if user.is_empty() { request } else { request.header("x-user", user) };
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn authz_24_the_headers_of_a_hosts_own_page_stay_and_its_error_status_does_not() {
    let limits = Limits::default().with_consent_pages_per_minute(1);
    let own = policy().limits(limits).troubleshooting_url("https://help.example/oauth");
    let world = World::with_pages(own, Site, login());
    let asking = Asking::app().url();
    let login = visit(&world, &asking, "").await;
    let consent = visit(&world, &asking, "alice").await;
    let limited = visit(&world, &asking, "alice").await;
    let error = visit(&world, "/oauth/authorize", "alice").await;
    assert_eq!((login.status, consent.status), (401, 200));
    assert!(consent.body.starts_with("/oauth/authorize/consent "), "{}", consent.body);
    for page in [&login, &consent, &limited, &error] {
        assert_eq!(page.header("x-of-the-site"), Some("1"));
        assert_eq!(page.header("cache-control"), Some("no-store, private"));
        let policy = page.header("content-security-policy");
        assert_eq!(policy, Some("default-src 'self'; frame-ancestors 'none'"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    // The status and the headers of the error are the server's.
    assert_eq!((error.status, limited.status), (400, 429));
    assert!(error.body.starts_with("400 ") && limited.body.starts_with("429 "));
    assert_eq!(limited.header("retry-after"), Some("77"), "the host's own");
    let id = error.header("x-correlation-id").unwrap();
    assert!(error.body.contains(id) && error.body.contains("https://help.example/oauth#"));
    let put = Request::put("/oauth/authorize").body(Body::empty());
    let refused = world.send(put.unwrap()).await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")));
}

#[tokio::test]
async fn authz_25_a_host_that_fails_is_a_page_of_5xx() {
    let world = World::with_pages(policy(), Site, login());
    for path in ["/oauth/authorize?client_id=app", "/oauth/authorize/consent"] {
        let send = async |user: &str| {
            let method = if path.ends_with("consent") { "POST" } else { "GET" };
            let request = Request::builder().method(method).uri(path);
            let request = request.header("x-user", user).body(Body::empty());
            world.send(request.unwrap()).await
        };
        let failed = send("fails").await;
        assert_eq!((failed.status, failed.header("x-of-the-site")), (503, Some("1")));
        assert_eq!(world.reason(), Some(Reason::StorageUnavailable));
        // A panic, and a user without a name: nothing of it is shown.
        for user in ["panics", "nobody"] {
            let answer = send(user).await;
            assert_eq!((answer.status, &*answer.body), (500, ""), "{user}");
            assert_page_headers(&answer);
        }
    }
    // A fresh page has the waiting time of the error, if the host's page has none.
    let limits = Limits::default().with_consent_pages_per_minute(1);
    let world = World::with(policy().limits(limits));
    let mut browser = Browser::of(&world, "alice").await;
    browser.consent_page(&Asking::app()).await;
    let limited = browser.get(&Asking::app().url()).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("60")));
}

const HOSTILE: &str = "\"><script>alert(1)</script><!-- '&lt;";

#[tokio::test]
async fn consent_14_a_strangers_text_is_text() {
    let hostile_scope = "read\"><b>";
    let own = Policy::builder(ISSUER)
        .scope("read", HOSTILE)
        .scope("write", "")
        .default_scope("read write")
        .resource(MCP, "read");
    assert!(own.clone().scope(hostile_scope, "").build().is_err(), "a scope is a plain token");
    let world = World::with(own);
    let client = Client::public("evil").name(HOSTILE).redirect_uri(CALLBACK).build().unwrap();
    world.server.store().put_client(client);
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::by("evil", CALLBACK)).await;
    assert!(!page.contains("<script") && !page.contains("<!--"), "{page}");
    assert_eq!(page.matches("&#60;script&#62;").count(), 3, "title, heading and scope: {page}");
    assert!(page.contains("> write</label>"), "a scope without a text has its name: {page}");
    // The texts of a request on error pages and in login forms.
    let mut strange = Asking::by(HOSTILE, HOSTILE);
    for asking in [strange.clone(), Asking::app().with("redirect_uri", HOSTILE)] {
        let error = browser.get(&asking.url()).await;
        assert_eq!(error.status, 400);
        assert!(!error.body.contains("<script"), "{}", error.body);
    }
    strange = Asking::app().with("state", HOSTILE).with("scope", HOSTILE);
    let error = browser.get(&strange.url()).await;
    assert!(!error.body.contains("<script"), "{}", error.body);
    let url = params(&format!("?{}", strange.query()));
    assert!(url.iter().any(|(_, value)| value == HOSTILE));
    let mut stranger = Browser::new(&world.app);
    let asking = Asking::app().with("state", HOSTILE);
    let to_login = stranger.get(&asking.url()).await;
    let login = stranger.get(to_login.location()).await;
    assert!(!login.body.contains("<script"), "{}", login.body);
    assert_eq!(field(&login.body, "return_to"), asking.url());
    let request = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let login = stranger.get(&format!("/login?return_to=/&request={request}")).await;
    assert!(!login.body.contains("<script"), "{}", login.body);
    assert_eq!(field(&login.body, "request"), HOSTILE);
}

#[tokio::test]
async fn redir_17_a_long_redirect_is_a_page_that_leads_to_the_client() {
    let world = World::new();
    let hostile_uri = "com.example.app:/cb?x='&lt;&quot;&copy=1";
    let client = Client::public("native").redirect_uri(hostile_uri).build().unwrap();
    world.server.store().put_client(client);
    let mut browser = Browser::of(&world, "alice").await;
    // Each of these ends an attribute, a URL of a refresh, or a tag where it is not escaped.
    let nasty = "'\"<>&;,url=javascript:alert(1) #\t\u{e9}";
    for (client_id, uri) in [("app", CALLBACK), ("native", hostile_uri)] {
        for decision in ["allow", "deny"] {
            let state = format!("{nasty}{}", "\u{20ac}".repeat(1000));
            let asking = Asking::by(client_id, uri).with("state", &state);
            let page = browser.consent_page(&asking).await;
            let answer = browser.press(&page, decision).await;
            assert_eq!((answer.status, answer.header("location")), (200, None));
            assert_page_headers(&answer);
            let (_, refresh) = answer.body.split_once("<meta http-equiv=\"refresh\"").unwrap();
            let content = attribute(refresh, "content");
            let url = content.strip_prefix("0;url=").unwrap();
            assert_eq!(attribute(answer.body.split("<a ").nth(1).unwrap(), "href"), url);
            assert!(url.starts_with(uri), "{url}");
            assert!(url.bytes().all(|b| b.is_ascii_graphic()), "{url}");
            let state_sent = params(url).into_iter().find(|(name, _)| name == "state").unwrap();
            assert_eq!(state_sent.1, state);
            let has_code = params(url).iter().any(|(name, _)| name == "code");
            assert_eq!(has_code, decision == "allow");
            // No markup but that of the page.
            assert_eq!(answer.body.matches('<').count(), answer.body.matches('>').count());
            assert!(!answer.body.contains(nasty));
            let entities = answer.body.matches("&#").count();
            assert_eq!(answer.body.matches('&').count(), entities, "{}", answer.body);
        }
    }
    // Just short enough for a header.
    let asking = Asking::app().with("state", &"x".repeat(2500));
    let page = browser.consent_page(&asking).await;
    assert_eq!(browser.press(&page, "allow").await.status, 303);
}

#[tokio::test]
async fn authz_14_a_long_request_comes_back_after_the_login() {
    let world = World::new();
    let mut browser = Browser::new(&world.app);
    let asking = Asking::app().with("state", &"\u{20ac}".repeat(1000));
    let to_login = browser.get(&asking.url()).await;
    assert_eq!((to_login.status, to_login.header("location")), (200, None));
    assert_page_headers(&to_login);
    let target = attribute(to_login.body.split("<a ").nth(1).unwrap(), "href");
    assert!(target.starts_with("/login?return_to=%2Foauth%2Fauthorize%3F"), "{target}");
    let login = browser.get(&target).await;
    let back = field(&login.body, "return_to");
    assert_eq!(params(&back), params(&asking.url()));
    let answer = browser.sign_in(&back, "", "alice", "alice").await;
    assert_eq!(attribute(answer.body.split("<a ").nth(1).unwrap(), "href"), back);
    assert_eq!(browser.get(&back).await.status, 200);
}

/// A site whose user is alice once she has signed in, and which names the grant that she was asked
/// about last.
struct Remembering(Arc<Mutex<(bool, Option<GrantId>)>>);

impl Pages for Remembering {
    async fn user(&self, _: &Parts) -> Result<Option<SignedIn>, BoxError> {
        let (is_signed_in, remembered) = *self.0.lock().unwrap();
        let alice = SignedIn::new("alice", b"alice's browser".to_vec())
            .with_login(Timestamp::from_unix_seconds(T), Some("pwd".to_owned()))
            .remembering(remembered);
        Ok(is_signed_in.then_some(alice))
    }

    async fn login(&self, _: &Parts, login: Login) -> Response {
        login.redirect("/login")
    }

    async fn consent(&self, _: &Parts, consent: Consent) -> Response {
        self.0.lock().unwrap().1 = Some(consent.page.grant_id());
        consent.plain_page()
    }
}

/// Returns the status, and whether the answer is a code without a page, of this request.
async fn asked(world: &World, url: &str, site: &str) -> (Answer, bool) {
    let request = Request::get(url).header("sec-fetch-site", site);
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    let is_code =
        answer.status == 303 && params(answer.location()).iter().any(|own| own.0 == "code");
    (answer, is_code)
}

#[tokio::test]
async fn host_40_a_remembered_consent_is_a_redirect_unless_another_site_began() {
    let rules = ConsentRules::default().with_remember(Remember::HttpsRedirect);
    let state = Arc::new(Mutex::new((true, None)));
    let pages = Remembering(Arc::clone(&state));
    let world = World::with_pages(policy().consent_rules(rules), pages, login());
    let url = Asking::app().url();
    let mut browser = Browser::new(&world.app);
    let code = browser.code(&Asking::app()).await;
    assert_eq!(redeem(&world.app, "app", &code).await.status, 200);
    let remembered = state.lock().unwrap().1;
    assert!(asked(&world, &url, "none").await.1);
    // A page that another site asked for names another grant.
    assert!(!asked(&world, &url, "cross-site").await.1);
    *state.lock().unwrap() = (false, remembered);
    // The browser comes back from the login page, and the request remembers who began it.
    for (site, is_silent) in [("cross-site", false), ("none", true), ("same-origin", true)] {
        *state.lock().unwrap() = (false, remembered);
        let (to_login, _) = asked(&world, &url, site).await;
        let back = param(to_login.location(), "return_to").unwrap();
        *state.lock().unwrap() = (true, remembered);
        assert_eq!(asked(&world, &back, "same-origin").await.1, is_silent, "{site}");
    }
    // What a link of another site says of itself only makes it trusted less.
    let forged = format!("{url}&began=elsewhere");
    assert!(!asked(&world, &forged, "none").await.1);
}

/// A site whose form asks for the organization, and which lets alice be for acme alone.
struct Organizations;

impl Pages for Organizations {
    async fn user(&self, _: &Parts) -> Result<Option<SignedIn>, BoxError> {
        Ok(Some(SignedIn::new("alice", "session")))
    }

    async fn login(&self, _: &Parts, login: Login) -> Response {
        login.redirect("/login")
    }

    async fn allow<'a>(
        &self,
        _: &Parts,
        form: &[(Cow<'_, str>, Cow<'_, str>)],
        decision: ConsentDecision<'a>,
    ) -> Result<ConsentDecision<'a>, Response> {
        if !form.iter().any(|(name, value)| name == "organization" && value == "acme") {
            return Err(Site::page(StatusCode::FORBIDDEN, "not a member"));
        }
        let properties = Properties::of(&serde_json::json!({ "organization": "acme" })).unwrap();
        Ok(decision.with_properties(properties))
    }
}

#[tokio::test]
async fn host_01_the_host_binds_what_the_form_says_if_it_accepts_it() {
    let world = World::with_pages(policy(), Organizations, login());
    let mut browser = Browser::new(&world.app);
    let page = browser.get(&Asking::app().url()).await;
    let ticket = field(&page.body, "ticket");
    let mut answer = async |decision: &str, organization: &str| {
        let form = [("ticket", &*ticket), ("decision", decision), ("organization", organization)];
        browser.post(&attribute(&page.body, "action"), &form).await
    };
    let refused = answer("allow", "globex").await;
    assert_eq!((refused.status, &*refused.body), (403, "not a member"));
    // The page can be answered again, and the organization is in the check.
    let code = param(answer("allow", "acme").await.location(), "code").unwrap();
    let tokens = redeem(&world.app, "app", &code).await;
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let header = format!("Bearer {token}");
    let needs = world.server.policy().needs(MCP, "read").unwrap();
    let access = world.server.check(&Authorization::One(header.as_bytes()), &needs).await.unwrap();
    assert_eq!(access.properties().unwrap().as_str(), r#"{"organization":"acme"}"#);
    // A denial asks the host nothing.
    let page = browser.get(&Asking::app().url()).await;
    let form = [("ticket", &*field(&page.body, "ticket")), ("decision", "deny")];
    let denied = browser.post(&attribute(&page.body, "action"), &form).await;
    assert_eq!(param(denied.location(), "error").as_deref(), Some("access_denied"));
}
