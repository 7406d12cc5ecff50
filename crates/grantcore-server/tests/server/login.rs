//! Tests of the way from an authorization request to the login and back: the request is kept
//! unchanged, and no redirect is too long for a proxy.

mod provider;
mod provider_faults;

use crate::support::{Browser, CALLBACK, CHALLENGE, form, form_to, param, start};
use grantcore_server::Running;
use reqwest::header::LOCATION;
use reqwest::{Response, Url};

/// The largest response head that nginx reads by default (`proxy_buffer_size`).
const PROXY_BUFFER: usize = 4096;

fn parameters<'a>(state: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("response_type", "code"),
        ("client_id", "demo-public"),
        ("redirect_uri", CALLBACK),
        ("scope", "notes"),
        ("state", state),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    all.extend(more);
    all
}

fn url(server: &Running, state: &str, more: &[(&str, &str)]) -> Url {
    let endpoint = format!("{}/oauth/authorize", server.issuer());
    Url::parse_with_params(&endpoint, parameters(state, more)).unwrap()
}

/// Checks that a redirect is short enough for a proxy, and returns its target.
#[track_caller]
fn onward(response: &Response) -> Url {
    assert_eq!(response.status(), 303);
    let head: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    assert!(head < PROXY_BUFFER, "{head} bytes");
    response.url().join(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

async fn text(response: Response) -> String {
    response.text().await.unwrap()
}

/// Returns form `n` of a page, counted from 0.
fn nth_form(page: &str, n: usize) -> crate::support::Form {
    let forms: Vec<_> = page.match_indices("<form").collect();
    form(&page[forms[n].0..])
}

async fn post(
    browser: &Browser,
    base: &Url,
    form: &crate::support::Form,
    more: &[(&str, &str)],
) -> Response {
    let mut fields = form.fields.clone();
    fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let action = base.join(&form.action).unwrap();
    browser.http.post(action).form(&fields).send().await.unwrap()
}

/// Signs in at this login page, and returns the page after it.
async fn sign_in(browser: &Browser, login: Url, user: &str) -> String {
    let page = text(browser.http.get(login.clone()).send().await.unwrap()).await;
    let answer =
        post(browser, &login, &form_to(&page, "/login"), &[("username", user), ("password", user)])
            .await;
    text(browser.http.get(onward(&answer)).send().await.unwrap()).await
}

/// Returns the address at which the client gets the response: by redirect, or by the page that
/// leads there.
async fn returned(response: Response) -> Url {
    if response.status() == 303 {
        return onward(&response);
    }
    let page = text(response).await;
    let refresh = page.split("content=\"0; url=").nth(1).unwrap().split('"').next().unwrap();
    let link = page.split("class=\"button primary\" href=\"").nth(1).unwrap();
    assert_eq!(link.split('"').next().unwrap(), refresh);
    Url::parse(&refresh.replace("&#38;", "&").replace("&#39;", "'")).unwrap()
}

/// Returns usual and unusual values of `state`, up to 4 KiB.
fn states() -> Vec<String> {
    vec![
        "xyz".into(),
        "{\"k\":\"a b/\"&a=%20+\\<>'\u{e9}#?\r\n".repeat(10),
        "a".repeat(4096),
        "\"&a b/".repeat(4096 / 6),
        "\u{e9}".repeat(2048),
    ]
}

#[tokio::test]
async fn f05_a_state_of_4_kib_passes_a_proxy_at_every_step() {
    let server = start(&[]).await;
    for state in states() {
        let browser = Browser::new("alice");
        let asked = url(&server, &state, &[]);
        let login = onward(&browser.http.get(asked.clone()).send().await.unwrap());
        assert!(login.as_str().len() < 200, "{login}");
        let page = sign_in(&browser, login, "alice").await;
        let answer = post(&browser, &asked, &form(&page), &[("decision", "allow")]).await;
        let back = returned(answer).await;
        assert!(back.as_str().starts_with(CALLBACK), "{back}");
        assert_eq!(param(&back, "state"), Some(state));
        assert!(param(&back, "code").is_some());
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f05_a_posted_request_survives_the_login_as_well() {
    let server = start(&[]).await;
    for state in states() {
        let browser = Browser::new("alice");
        let endpoint = url(&server, "", &[]);
        let body = parameters(&state, &[]);
        let posted = browser.http.post(endpoint.clone()).form(&body).send().await.unwrap();
        let page = sign_in(&browser, onward(&posted), "alice").await;
        let answer = post(&browser, &endpoint, &form(&page), &[("decision", "deny")]).await;
        let back = returned(answer).await;
        assert_eq!(param(&back, "error").as_deref(), Some("access_denied"));
        assert_eq!(param(&back, "state"), Some(state));
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f05_a_kept_request_works_in_its_own_browser_only() {
    let server = start(&[]).await;
    let alice = Browser::new("alice");
    let mallory = Browser::new("mallory");
    let login = onward(&alice.http.get(url(&server, "xyz", &[])).send().await.unwrap());
    let page = text(alice.http.get(login.clone()).send().await.unwrap()).await;
    assert_eq!(mallory.http.get(login.clone()).send().await.unwrap().status(), 410);
    let answer =
        post(&alice, &login, &form(&page), &[("username", "alice"), ("password", "alice")]).await;
    let further = onward(&answer);
    assert!(further.path().ends_with("/oauth/continue"), "{further}");
    let consent = text(alice.http.get(further.clone()).send().await.unwrap()).await;
    assert!(consent.contains("Allow access"));
    for browser in [&mallory, &Browser::new("nobody")] {
        assert_eq!(browser.http.get(further.clone()).send().await.unwrap().status(), 410);
    }
    let made_up = login.join("/oauth/continue?request=x").unwrap();
    assert_eq!(alice.http.get(made_up).send().await.unwrap().status(), 410);
    server.stop().await.unwrap();
}

/// The cookie of a second page replaced that of the first page before the first form was sent.
#[tokio::test]
async fn f05_the_form_of_a_tab_whose_cookie_was_replaced_leads_to_the_login_of_its_request() {
    let server = start(&[]).await;
    for state in states() {
        let first = Browser::new("alice");
        let tab = Browser::new("alice");
        let asked = url(&server, &state, &[]);
        let login = onward(&first.http.get(asked.clone()).send().await.unwrap());
        let stale = form(&text(first.http.get(login.clone()).send().await.unwrap()).await);
        // A tab without a cookie, and a tab with the cookie of the second page.
        let second = onward(&tab.http.get(url(&server, "second", &[])).send().await.unwrap());
        for browser in [&Browser::new("nobody"), &tab] {
            text(browser.http.get(second.clone()).send().await.unwrap()).await;
            let password = [("username", "alice"), ("password", "alice")];
            let answer = post(browser, &login, &stale, &password).await;
            assert!(!answer.headers().contains_key("set-cookie"), "nobody is signed in");
            let again = onward(&answer);
            assert!(again.path().ends_with("/login"), "{again}");
            let consent = sign_in(browser, again, "alice").await;
            assert!(consent.contains("Allow access"), "{consent}");
            let answer = post(browser, &asked, &form(&consent), &[("decision", "allow")]).await;
            assert_eq!(param(&returned(answer).await, "state").as_ref(), Some(&state));
        }
        // A form without a request is refused.
        for next in ["/", "https://evil.example/oauth/authorize?"] {
            let fields = vec![stale.fields[0].clone(), ("next".to_owned(), next.to_owned())];
            let other = crate::support::Form { action: stale.action.clone(), fields };
            let fields = [("username", "alice"), ("password", "alice")];
            let refused = post(&Browser::new("nobody"), &login, &other, &fields).await;
            assert_eq!(refused.status(), 403, "{next}");
        }
    }
    server.stop().await.unwrap();
}

/// Returns a browser that is signed in as alice.
async fn signed_in(server: &Running) -> Browser {
    let alice = Browser::new("alice");
    let page = alice.consent_page(url(server, "first", &[]).as_str()).await;
    assert!(page.contains("Allow access"));
    alice
}

#[tokio::test]
async fn f07_a_session_that_ended_leads_through_the_login_to_the_same_page() {
    for state in states() {
        let server = start(&[]).await;
        let alice = signed_in(&server).await;
        let asked = url(&server, &state, &[("resource", &format!("{}/mcp", server.issuer()))]);
        let page = text(alice.http.get(asked.clone()).send().await.unwrap()).await;
        // The browser still has its session cookie, but the restarted server has no session.
        let stale = form(&page);
        server.stop().await.unwrap();
        let server = start(&[]).await;
        let moved = url(&server, "", &[]);
        let answer = post(&alice, &moved, &stale, &[("decision", "allow")]).await;
        // The login page keeps the request of the first server unchanged.
        let login = onward(&answer);
        assert!(login.path().ends_with("/login"), "{login}");
        let page = text(alice.http.get(login.clone()).send().await.unwrap()).await;
        let kept = form(&page).fields.into_iter().find(|(name, _)| name == "next").unwrap().1;
        assert_eq!(kept, format!("/oauth/authorize?{}", asked.query().unwrap()));
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn f07_a_consent_after_a_sign_out_in_another_tab_leads_through_the_login() {
    let server = start(&[]).await;
    for state in states() {
        let alice = signed_in(&server).await;
        let asked = url(&server, &state, &[]);
        let page = text(alice.http.get(asked.clone()).send().await.unwrap()).await;
        let home = text(alice.http.get(server.issuer()).send().await.unwrap()).await;
        assert_eq!(post(&alice, &asked, &form(&home), &[]).await.status(), 303, "signed out");
        let answer = post(&alice, &asked, &form(&page), &[("decision", "allow")]).await;
        let page = sign_in(&alice, onward(&answer), "alice").await;
        let answer = post(&alice, &asked, &form(&page), &[("decision", "allow")]).await;
        let back = returned(answer).await;
        assert_eq!(param(&back, "state"), Some(state));
        assert!(param(&back, "code").is_some());
    }
    // Without a valid request there is no page to return to.
    let alice = Browser::new("alice");
    let endpoint = Url::parse(&format!("{}/oauth/consent", server.issuer())).unwrap();
    for reload in ["", "/admin", "https://evil.example/oauth/authorize?"] {
        let fields = [("reload", reload), ("decision", "allow")];
        let answer = alice.http.post(endpoint.clone()).form(&fields).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{reload}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn host_24_prompt_login_leads_through_the_login_page_and_back() {
    let server = start(&[]).await;
    let alice = signed_in(&server).await;
    let asked = url(&server, "xyz", &[("prompt", "login")]);
    let login = onward(&alice.http.get(asked.clone()).send().await.unwrap());
    let page = text(alice.http.get(login.clone()).send().await.unwrap()).await;
    assert!(page.contains("type=\"password\"") && !page.contains("Continue as"), "{page}");
    // The form of another page does not bypass the password.
    let fields: Vec<_> = form(&page)
        .fields
        .into_iter()
        .map(|(name, value)| (if name == "next" { "request".into() } else { name }, value))
        .collect();
    let stay = login.join("/login/stay").unwrap();
    let answer = alice.http.post(stay).form(&fields).send().await.unwrap();
    let again = onward(&alice.http.get(onward(&answer)).send().await.unwrap());
    assert!(again.path().ends_with("/login"), "{again}");
    let page = sign_in(&alice, again, "alice").await;
    assert!(page.contains("Allow access"), "{page}");
    // The next request requires a sign-in again.
    assert_eq!(alice.http.get(asked).send().await.unwrap().status(), 303);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn host_25_prompt_select_account_offers_the_current_account_and_another() {
    let server = start(&[]).await;
    let alice = signed_in(&server).await;
    let asked = url(&server, "xyz", &[("prompt", "select_account")]);
    let login = onward(&alice.http.get(asked.clone()).send().await.unwrap());
    let page = text(alice.http.get(login.clone()).send().await.unwrap()).await;
    assert!(page.contains("Continue as"), "{page}");
    let stayed = post(&alice, &login, &form_to(&page, "/login/stay"), &[]).await;
    let consent = text(alice.http.get(onward(&stayed)).send().await.unwrap()).await;
    assert!(consent.contains("Allow access") && consent.contains("<bdi>alice</bdi>"), "{consent}");
    let login = onward(&alice.http.get(asked).send().await.unwrap());
    let consent = sign_in(&alice, login, "bob").await;
    assert!(consent.contains("Allow access") && consent.contains("<bdi>bob</bdi>"), "{consent}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f06_the_consent_page_leads_to_another_account() {
    let server = start(&[]).await;
    let alice = signed_in(&server).await;
    for state in states() {
        let asked = url(&server, &state, &[]);
        let page = text(alice.http.get(asked.clone()).send().await.unwrap()).await;
        assert!(page.contains("Use another account"), "{page}");
        let switch = nth_form(&page, 1);
        let forged = crate::support::Form {
            fields: vec![switch.fields[1].clone()],
            action: switch.action.clone(),
        };
        assert_eq!(post(&alice, &asked, &forged, &[]).await.status(), 403);
        let login = onward(&post(&alice, &asked, &switch, &[]).await);
        let other = if page.contains("<bdi>alice</bdi>") { "bob" } else { "alice" };
        let consent = sign_in(&alice, login, other).await;
        assert!(consent.contains(&format!("<bdi>{other}</bdi>")), "{consent}");
        let answer = post(&alice, &asked, &form(&consent), &[("decision", "allow")]).await;
        assert_eq!(param(&returned(answer).await, "state"), Some(state));
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn host_21_and_22_prompt_none_is_answered_without_a_page() {
    let server = start(&[]).await;
    let asked = url(&server, "xyz", &[("prompt", "none")]);
    let alice = signed_in(&server).await;
    for (browser, error) in
        [(&Browser::new("nobody"), "login_required"), (&alice, "consent_required")]
    {
        let back = onward(&browser.http.get(asked.clone()).send().await.unwrap());
        assert!(back.as_str().starts_with(CALLBACK), "{back}");
        assert_eq!(param(&back, "error").as_deref(), Some(error));
        let explained = param(&back, "error_uri").unwrap();
        assert_eq!(explained, format!("{}/troubleshooting#{error}", server.issuer()));
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn clientpolicy_13_and_the_flags_of_authorization_requests() {
    let server = start(&[]).await;
    let alice = signed_in(&server).await;
    let scoped = |server: &Running, scope: &str| {
        let mut all = parameters("xyz", &[]);
        all.retain(|(name, _)| *name != "scope");
        all.push(("scope", scope));
        let endpoint = format!("{}/oauth/authorize", server.issuer());
        Url::parse_with_params(&endpoint, all).unwrap()
    };
    let habit = "openid profile email offline_access";
    let mut asked = scoped(&server, habit);
    // The resource that understands `profile`.
    asked.query_pairs_mut().append_pair("resource", &format!("{}/api", server.issuer()));
    let page = text(alice.http.get(asked).send().await.unwrap()).await;
    assert!(page.contains("Allow access"), "{page}");
    let refused = onward(&alice.http.get(scoped(&server, "notes x")).send().await.unwrap());
    let description = param(&refused, "error_description").unwrap();
    assert!(description.contains("Unknown: 'x'."), "{description}");
    server.stop().await.unwrap();

    let lenient =
        start(&["--drop-unknown-scopes", "--openid-alias", "--error-delivery", "page"]).await;
    let alice = signed_in(&lenient).await;
    let page = text(alice.http.get(scoped(&lenient, "notes x")).send().await.unwrap()).await;
    assert!(page.contains("Allow access"), "{page}");
    let alias = format!("{}/.well-known/openid-configuration", lenient.issuer());
    assert_eq!(alice.http.get(alias).send().await.unwrap().status(), 200);
    let refused = alice.http.get(url(&lenient, "xyz", &[("prompt", "none")])).send().await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(text(refused).await.contains("consent_required"));
    lenient.stop().await.unwrap();
}
