//! Tests of the login for trials, and of the way back from any login.

use crate::support::browser::{Asking, Browser, field};
use crate::support::{self, Answer, World, encode, form_request, param, params};
use axum::Router;
use axum::http::Request;
use grantcore_axum::{DemoLogin, ReturnTo};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use tokio::task::JoinSet;

/// Addresses that a browser takes for another site, or that are no path.
const NASTY: [&str; 24] = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\/evil.example/",
    "\\\\evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "/\r\n/evil.example/",
    "\t//evil.example/",
    " //evil.example/",
    "/ok\r\nSet-Cookie: a=b",
    "/ok\nLocation: https://evil.example/",
    "/\0",
    "/a b",
    "/\u{e9}",
    "/\u{ff0f}evil.example",
    "/\u{202e}",
    "",
    "evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "?x",
    ".",
];
/// Paths of this server, odd ones too.
const OWN: [&str; 9] = [
    "/",
    "/oauth/authorize?client_id=app&state=%20",
    "/%09/evil.example/",
    "/%2F%2Fevil.example/",
    "/%5Cevil.example/",
    "/@evil.example/",
    "/:80/",
    "/.//evil.example/",
    "/a//b",
];

#[test]
fn authz_22_only_a_path_of_this_server_is_returned_to() {
    let read = |text: &str| {
        let text: StrDeserializer<'_, Error> = text.into_deserializer();
        ReturnTo::deserialize(text).ok()
    };
    for target in NASTY {
        assert_eq!((ReturnTo::new(target), read(target)), (None, None), "{target:?}");
    }
    for target in OWN {
        let own = ReturnTo::new(target).unwrap();
        assert_eq!((own.as_str(), own.to_string()), (target, target.to_owned()));
        assert_eq!(read(target), Some(own.clone()));
        let answer = own.redirect();
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.headers()["location"], target);
    }
    for code in 0..=0x7f_u8 {
        let target = format!("/a{}", char::from(code));
        assert_eq!(ReturnTo::new(target).is_some(), code.is_ascii_graphic() && code != b'\\');
    }
}

#[tokio::test]
async fn authz_22_the_demo_login_is_no_open_redirector() {
    let app = login().router();
    for target in NASTY {
        let fields = [("username", "alice"), ("password", "alice"), ("return_to", target)];
        let answer = support::send(&app, form_request("/login", &fields)).await;
        assert_eq!((answer.status, answer.header("location")), (422, None), "{target:?}");
        assert_eq!(answer.header("set-cookie"), None);
        let page = format!("/login?{}", encode(&[("return_to", target)]));
        let answer =
            support::send(&app, Request::get(page).body(String::new().into()).unwrap()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{target:?}");
        assert!(!answer.body.contains("evil"), "{}", answer.body);
    }
    for target in OWN {
        let fields = [("username", "alice"), ("password", "alice"), ("return_to", target)];
        let answer = support::send(&app, form_request("/login", &fields)).await;
        assert_eq!(answer.location(), target);
    }
}

fn login() -> DemoLogin {
    support::login()
}

#[tokio::test]
async fn host_24_prompt_login_asks_once_for_each_request() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    for prompt in ["login", "select_account", "login consent"] {
        let asking = Asking::app().with("prompt", prompt);
        let to_login = browser.get(&asking.url()).await;
        assert!(param(to_login.location(), "request").is_some());
        let back = browser.log_in(&to_login, "bob").await;
        let page = browser.get(back.location()).await;
        assert!(page.body.contains("Signed in as bob"), "{page:?}");
        // Another request asks again, and the answer of one does not do for the other.
        let other = asking.with("state", "other").url();
        assert!(browser.get(&other).await.location().starts_with("/login?"));
        let back = browser.sign_in(&other, "", "alice", "alice").await;
        assert!(browser.get(back.location()).await.location().starts_with("/login?"));
    }
    let page = browser.get(&Asking::app().url()).await;
    assert_eq!(page.status, 200, "a request without a prompt asks for no login");
}

/// A login for trials has a time, so that a client can ask for a recent one.
#[tokio::test]
async fn host_28_max_age_compares_with_the_login_for_trials() {
    let world = World::new();
    world.at_system_time();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.get(&Asking::app().with("max_age", "1000").url()).await;
    assert_eq!(page.status, 200, "the login is recent: {page:?}");
    let mut stranger = Browser::new(&world.app);
    let to_login = stranger.get(&Asking::app().with("max_age", "0").url()).await;
    let back = stranger.log_in(&to_login, "alice").await;
    assert_eq!(stranger.get(back.location()).await.status, 200, "no login is newer");
}

#[tokio::test]
async fn host_21_prompt_none_shows_no_login() {
    let world = World::new();
    let trusted = grantcore::Client::public("trusted").redirect_uri(support::CALLBACK);
    world.server.store().put_client(trusted.trusted(true).build().unwrap());
    let stranger = grantcore::Client::public("stranger").redirect_uri(support::CALLBACK);
    world.server.store().put_client(stranger.trusted(false).build().unwrap());
    let asking = Asking::by("trusted", support::CALLBACK).with("prompt", "none").url();
    let mut browser = Browser::new(&world.app);
    let answer = browser.get(&asking).await;
    assert_eq!(param(answer.location(), "error").as_deref(), Some("login_required"));
    let mut browser = Browser::of(&world, "alice").await;
    let answer = browser.get(&asking).await;
    assert_eq!(param(answer.location(), "error").as_deref(), Some("consent_required"));
    // A client that is not trusted gets no redirect that the user has not seen.
    let asking = Asking::by("stranger", support::CALLBACK).with("prompt", "none");
    let answer = browser.get(&asking.url()).await;
    assert_eq!((answer.status, answer.header("location")), (400, None));
}

/// A posted request comes back with its parameters, repeated ones and odd characters too.
#[tokio::test]
async fn authz_01_a_posted_request_comes_back_after_the_login() {
    let world = World::new();
    let state = "a b+c&d=%20\u{e9}~\"<\u{0}\t\r\n;/?#\u{20ac}";
    let mut fields = Asking::app().with("state", state).with("prompt", "login").0;
    for resource in [support::MCP, support::MCP] {
        fields.push(("resource".into(), resource.into()));
    }
    fields.push(("unknown".into(), String::new()));
    fields.push((String::new(), "unnamed".into()));
    let pairs: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let mut browser = Browser::new(&world.app);
    // The query of a posted request is none of its parameters.
    let to_login = browser.post("/oauth/authorize?state=evil&client_id=evil", &pairs).await;
    let page = browser.get(to_login.location()).await;
    let return_to = field(&page.body, "return_to");
    assert!(return_to.starts_with("/oauth/authorize?"), "{return_to}");
    assert_eq!(params(&return_to), fields);
    let back = browser.log_in(&to_login, "alice").await;
    let page = browser.get(back.location()).await;
    assert_eq!(page.status, 200, "the login counts for the same request: {page:?}");
    let answer = browser.press(&page.body, "allow").await;
    assert_eq!(param(answer.location(), "state").as_deref(), Some(state));
    // A query with other spellings of the same parameters comes back as the same request.
    let spelled = Asking::app().with("prompt", "login").with("state", "~").url();
    let spelled =
        spelled.replace("state=%7E", "state=~").replace("code_challenge=", "%63ode_challenge=");
    let to_login = browser.get(&format!("{spelled}&&x&=y")).await;
    let back = browser.log_in(&to_login, "alice").await;
    assert_eq!(browser.get(back.location()).await.status, 200);
}

/// The login page of a host's own may have a query.
#[tokio::test]
async fn authz_01_a_login_page_of_a_hosts_own_gets_the_request() {
    use grantcore_axum::{BoxError, Login, Pages, SignedIn};

    struct Site;
    impl Pages for Site {
        async fn user(&self, _: &axum::http::request::Parts) -> Result<Option<SignedIn>, BoxError> {
            Ok(None)
        }

        async fn login(
            &self,
            _: &axum::http::request::Parts,
            login: Login,
        ) -> axum::response::Response {
            assert_eq!(login.client_name.as_deref(), Some("The App"));
            assert!(login.fresh && !login.choose_account);
            login.redirect("/sign-in?language=de")
        }
    }

    let world = World::with_pages(support::policy(), Site, login());
    let asking = Asking::app().with("prompt", "login").url();
    let answer = world.get(&asking).await;
    let sent = params(answer.location());
    assert!(answer.location().starts_with("/sign-in?language=de&"), "{answer:?}");
    assert_eq!(sent[0], ("language".to_owned(), "de".to_owned()));
    assert_eq!(sent[1], ("return_to".to_owned(), asking));
    let request: grantcore::value::RequestDigest = sent[2].1.parse().unwrap();
    assert_eq!((&*sent[2].0, request.to_string()), ("request", sent[2].1.clone()));
}

async fn sign_in_with(app: &Router, headers: &[(&str, &str)]) -> Answer {
    let fields = [("username", "alice"), ("password", "alice"), ("return_to", "/")];
    let mut request = form_request("/login", &fields);
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    support::send(app, request).await
}

/// Another site must not sign its visitor in to an account of its own.
#[tokio::test]
async fn consent_06_another_site_cannot_sign_a_browser_in() {
    let app = login().router();
    let host = ("host", "auth.example");
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", "\u{e9}")],
        &[("sec-fetch-site", "cross-site"), ("origin", "https://auth.example"), host],
        &[("origin", "https://evil.example"), host],
        &[("origin", "https://auth.example.evil"), host],
        &[("origin", "https://auth.example:8443"), host],
        &[("origin", "null"), host],
        &[("origin", ""), host],
        &[("origin", "\u{e9}"), host],
        &[("origin", "https://auth.example")],
        &[("origin", "null"), ("host", "null")],
    ] {
        let answer = sign_in_with(&app, headers).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{headers:?}");
    }
    for headers in [
        &[("sec-fetch-site", "same-origin"), ("origin", "null")][..],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://auth.example"), host],
        &[],
    ] {
        assert_eq!(sign_in_with(&app, headers).await.status, 303, "{headers:?}");
    }
}

#[tokio::test]
async fn consent_06_the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let world = World::new();
    let answer = sign_in_with(&world.app, &[]).await;
    let cookie = answer.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    let (name, key) = pair.split_once('=').unwrap();
    assert_eq!((name, key.len()), ("grantcore_demo_session", 64));
    let again = sign_in_with(&world.app, &[("cookie", pair)]).await;
    assert_ne!(again.header("set-cookie").unwrap(), cookie, "a login has a session of its own");
    // Beside other cookies, in one line and in several.
    for (cookies, is_signed_in) in [
        (vec![format!("a=b; {pair}; c=d")], true),
        (vec!["a=b".to_owned(), pair.to_owned()], true),
        (vec![pair.to_uppercase()], false),
        (vec![format!("x{pair}")], false),
        (vec![format!("{name}={}", &key[1..])], false),
        (vec![name.to_owned()], false),
    ] {
        let mut request = Request::get(Asking::app().url()).body(String::new().into()).unwrap();
        for line in &cookies {
            request.headers_mut().append("cookie", line.parse().unwrap());
        }
        let answer = world.send(request).await;
        assert_eq!(answer.status, if is_signed_in { 200 } else { 303 }, "{cookies:?}");
    }
}

/// The limit counts guesses that are made at the same time, and gives nobody's password away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i48_parallel_guesses_are_no_more_than_the_limit() {
    let app = login().router();
    let mut guesses = JoinSet::new();
    for number in 0..40 {
        let app = app.clone();
        guesses.spawn(async move {
            let guess = format!("guess {number}");
            let fields = [("username", "alice"), ("password", &*guess), ("return_to", "/")];
            support::send(&app, form_request("/login", &fields)).await.status
        });
    }
    let statuses = guesses.join_all().await;
    let judged = statuses.iter().filter(|status| **status == 403).count();
    assert_eq!(judged, 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 30);
    let answer = sign_in_with(&app, &[]).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (429, None), "the right password");
}

#[tokio::test]
async fn i48_right_passwords_do_not_count() {
    let app = login().router();
    for _ in 0..30 {
        assert_eq!(sign_in_with(&app, &[]).await.status, 303);
    }
    // Forms of other sites do not count either: they could lock everybody out.
    for _ in 0..30 {
        assert_eq!(sign_in_with(&app, &[("sec-fetch-site", "cross-site")]).await.status, 403);
    }
    assert_eq!(sign_in_with(&app, &[]).await.status, 303);
}

#[tokio::test]
async fn i48_a_name_has_its_own_password_only() {
    let app = login().router();
    for (name, password) in
        [("alice", "bob"), ("bob", "alice"), ("", ""), ("alice", ""), ("ALICE", "alice")]
    {
        let fields = [("username", name), ("password", password), ("return_to", "/")];
        let answer = support::send(&app, form_request("/login", &fields)).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{name} {password}");
        assert!(!answer.body.contains(&format!("value=\"{name}\"")) || name.is_empty());
    }
}

/// The oldest of a thousand sessions makes room.
#[tokio::test]
async fn i48_sessions_are_bounded() {
    let world = World::new();
    let mut oldest = Browser::of(&world, "alice").await;
    let mut second = Browser::of(&world, "alice").await;
    let asking = Asking::app().with("client_id", "nobody").url();
    let is_signed_in = async |browser: &mut Browser| {
        browser.get(&Asking::app().with("prompt", "x").url()).await.status == 200
    };
    assert_eq!(oldest.get(&asking).await.status, 400);
    assert!(is_signed_in(&mut oldest).await);
    for _ in 0..999 {
        assert_eq!(sign_in_with(&world.app, &[]).await.status, 303);
    }
    assert!(!is_signed_in(&mut oldest).await);
    assert!(is_signed_in(&mut second).await);
}
