//! Tests of the sign-in with an identity provider: the way there and back, who may sign in, and
//! what a sign-in leads to.

use grantcore_testing_provider::{ALICE, Algorithm, Fault, Place, Provider};
use reqwest::Response;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use super::{Url, nth_form, post, text};
use crate::support::provider::{
    EVERYBODY, finish, get, login_page, press, request, sign_in, start, target, to_callback,
    to_provider,
};
use crate::support::{Browser, CALLBACK, client, form, param, plain_client};

/// Allows a request on its consent page, and returns what the API says about the user.
async fn whoami(browser: &Browser, issuer: &str, page: &str) -> Value {
    let base = Url::parse(issuer).unwrap();
    let back = post(browser, &base, &form(page), &[("decision", "allow")]).await;
    let tokens = client::redeem(issuer, "demo-public", &target(&back)).await;
    let token = tokens["access_token"].as_str().unwrap();
    let api =
        plain_client(false).get(format!("{issuer}/api")).bearer_auth(token).send().await.unwrap();
    api.json().await.unwrap()
}

fn page_of(issuer: &str, path: &str) -> Url {
    Url::parse(&format!("{issuer}{path}")).unwrap()
}

/// The account is the same whatever its address, and it is another one at another `sub`.
#[tokio::test]
async fn a_user_of_the_provider_allows_a_client_under_an_account_that_stays() {
    for algorithm in [Algorithm::P256, Algorithm::Ed25519, Algorithm::Rsa] {
        let provider = Provider::start(algorithm).await;
        let server = start(&provider, EVERYBODY).await;
        let issuer = server.issuer();
        let url = request(issuer, &[("resource", &format!("{issuer}/api"))]);
        let mut subjects = Vec::new();
        for (sub, email, is_verified, shown) in [
            (ALICE, "alice@example.com", true, "alice@example.com"),
            (ALICE, "new@example.com", true, "new@example.com"),
            (ALICE, "boss@example.com", false, "ally"),
            ("2", "alice@example.com", true, "alice@example.com"),
        ] {
            provider.set_claims(json!({
                "sub": sub, "email": email, "email_verified": is_verified,
                "preferred_username": "ally",
            }));
            let browser = Browser::new("nobody");
            let page = sign_in(&browser, &url).await;
            assert!(page.contains("Allow access"), "{page}");
            assert!(
                page.contains(&format!("Signed in as <strong><bdi>{shown}</bdi></strong>.")),
                "{page}"
            );
            let who = whoami(&browser, issuer, &page).await;
            subjects.push(who["subject"].as_str().unwrap_or_else(|| panic!("{who}")).to_owned());
        }
        assert!(subjects[0].starts_with("oidc:") && !subjects[0].contains(ALICE), "{subjects:?}");
        assert_eq!(subjects[1..3], [subjects[0].clone(), subjects[0].clone()]);
        assert_ne!(subjects[3], subjects[0]);
        assert_eq!(provider.calls(Place::Document), 1, "the document is kept");
        // The provider's token is none of this server.
        let api = plain_client(false).get(format!("{issuer}/api")).bearer_auth("of-the-provider");
        assert_eq!(api.send().await.unwrap().status(), 401);
        server.stop().await.unwrap();
    }
}

/// The confused deputy: the user is signed in here and there, and the provider asks nothing.
#[tokio::test]
async fn a_sign_in_grants_nothing_and_each_client_asks_the_user() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let browser = Browser::new("nobody");
    let url = request(server.issuer(), &[]);
    let page = sign_in(&browser, &url).await;
    let base = Url::parse(server.issuer()).unwrap();
    let allowed = post(&browser, &base, &form(&page), &[("decision", "allow")]).await;
    assert!(param(&target(&allowed), "code").is_some());
    let client = json!({
        "client_name": "Other", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
    });
    let client = client::register(server.issuer(), &client).await;
    let mut other = url.clone();
    let asked = url.query_pairs().filter(|(name, _)| name != "client_id");
    other.query_pairs_mut().clear().extend_pairs(asked);
    other.query_pairs_mut().append_pair("client_id", client["client_id"].as_str().unwrap());
    for asked in [&other, &url] {
        let page = text(get(&browser, asked).await).await;
        assert!(page.contains("Allow access"), "{page}");
    }
    let silent = request(server.issuer(), &[("prompt", "none")]);
    let back = target(&get(&browser, &silent).await);
    assert_eq!(param(&back, "error").as_deref(), Some("consent_required"));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_login_page_offers_what_there_is() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let accounts = crate::support::accounts::file();
    let path = accounts.path().to_str().unwrap();
    let alone = start(&provider, EVERYBODY).await;
    let both = start(&provider, &["--provider-everybody", "--accounts", path]).await;
    for (server, has_password) in [(&alone, false), (&both, true)] {
        let browser = Browser::new("nobody");
        let (login, page) = login_page(&browser, &request(server.issuer(), &[])).await;
        assert!(page.contains("Demo application") && page.contains("asks for access"), "{page}");
        assert_eq!(page.contains("type=\"password\""), has_password, "{page}");
        assert!(!page.contains("<script") && !page.contains("For demonstration"), "{page}");
        let known = if has_password { nth_form(&page, 1) } else { form(&page) };
        let action = crate::support::Form { action: "/login".into(), ..known };
        let password = [("username", "alice"), ("password", "alice")];
        let status = post(&browser, &login, &action, &password).await.status();
        assert_eq!(status, if has_password { 303 } else { 403 });
        // The front page of the demonstration is not shown either.
        let front = text(get(&browser, &page_of(server.issuer(), "/")).await).await;
        assert!(!front.contains("Demonstration accounts"), "{front}");
    }
    alone.stop().await.unwrap();
    both.stop().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_leads_back_to_a_page_under_a_new_session() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let accounts = crate::support::accounts::file();
    let path = accounts.path().to_str().unwrap();
    let server = start(&provider, &["--provider-everybody", "--accounts", path]).await;
    let issuer = server.issuer();
    let browser = Browser::new("nobody");
    let apps = page_of(issuer, "/settings/connected-apps");
    let answer = finish(&browser, &apps).await;
    assert_eq!(target(&answer), apps);
    let session = |answer: &Response| {
        let set = answer.headers().get_all(SET_COOKIE).iter();
        let mut set = set.filter_map(|line| line.to_str().ok());
        let own = set.find(|line| line.starts_with("grantcore-session=")).unwrap();
        own.to_owned()
    };
    let first = session(&answer);
    assert!(first.contains("HttpOnly") && first.contains("SameSite=Lax"), "{first}");
    assert_eq!(get(&browser, &apps).await.status(), 200);
    // The next sign-in of this browser ends the session that it had.
    let login = page_of(issuer, "/oauth/authorize");
    let again = request(issuer, &[("prompt", "select_account")]);
    assert!(again.as_str().starts_with(login.as_str()));
    let callback = to_callback(&browser, &again).await;
    let second = session(&get(&browser, &callback).await);
    assert_ne!(first, second);
    let planted = plain_client(false).get(apps.clone());
    let planted = planted.header("cookie", first.split(';').next().unwrap());
    assert_eq!(planted.send().await.unwrap().status(), 303, "the first session is over");

    // Signing out ends this session, and says that it ends no more.
    let front = text(get(&browser, &page_of(issuer, "/")).await).await;
    let out = text(post(&browser, &apps, &form(&front), &[]).await).await;
    assert!(out.contains("still be signed in at Example ID"), "{out}");
    assert_eq!(get(&browser, &apps).await.status(), 303);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_client_asks_of_the_login_is_asked_of_the_provider() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let issuer = server.issuer();
    let browser = Browser::new("nobody");
    let plain = to_provider(&browser, &request(issuer, &[])).await;
    assert_eq!((param(&plain, "prompt"), param(&plain, "max_age")), (None, None));
    assert_eq!(param(&plain, "scope").as_deref(), Some("openid email profile"));
    assert_eq!(param(&plain, "redirect_uri"), Some(format!("{issuer}/login/callback")));
    sign_in(&browser, &request(issuer, &[])).await;
    let choice = request(issuer, &[("prompt", "select_account")]);
    let away = to_provider(&browser, &choice).await;
    assert_eq!(param(&away, "prompt").as_deref(), Some("select_account"));
    assert!(sign_in(&browser, &choice).await.contains("Allow access"));

    // A new sign-in: the provider says when it was, or does not say.
    let fresh = request(issuer, &[("prompt", "login")]);
    let away = to_provider(&browser, &fresh).await;
    assert_eq!(param(&away, "prompt").as_deref(), Some("login"));
    assert_eq!(param(&away, "max_age").as_deref(), Some("0"));
    assert!(sign_in(&browser, &fresh).await.contains("Allow access"));
    provider.set_claims(json!({ "auth_time": 1_700_000_000 }));
    let refused = finish(&browser, &fresh).await;
    assert_eq!(refused.status(), 403);
    let page = text(refused).await;
    assert!(page.contains("asks for a new sign-in"), "{page}");

    // A field of the form does not make an old sign-in a new one.
    let (login, page) = login_page(&browser, &fresh).await;
    let mut asked = form(&page);
    asked.fields.retain(|(name, _)| name != "prompt");
    let away = target(&post(&browser, &login, &asked, &[("prompt", "")]).await);
    let callback = target(&get(&browser, &away).await);
    let onward = target(&get(&browser, &callback).await);
    let again = target(&get(&browser, &onward).await);
    assert!(again.path().ends_with("/login"), "{again}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn only_those_may_sign_in_whom_the_operator_names() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let rules = ["--provider-domains=example.com", "--provider-claims=groups=staff"];
    let server = start(&provider, &rules).await;
    let apps = page_of(server.issuer(), "/settings/connected-apps");
    let staff = json!(["staff"]);
    for (email, is_verified, groups, is_allowed) in [
        ("a@example.com", json!(true), &staff, true),
        ("a@EXAMPLE.com", json!(true), &staff, true),
        ("a@example.com", json!(false), &staff, false),
        ("a@example.com", json!(null), &staff, false),
        ("a@evil.example.com", json!(true), &staff, false),
        ("a@example.com", json!(true), &json!(["others"]), false),
        ("a@example.com", json!(true), &json!(null), false),
    ] {
        provider
            .set_claims(json!({ "email": email, "email_verified": is_verified, "groups": groups }));
        let browser = Browser::new("nobody");
        let answer = finish(&browser, &apps).await;
        if is_allowed {
            assert_eq!(target(&answer), apps, "{email} {groups}");
            continue;
        }
        assert_eq!(answer.status(), 403, "{email} {is_verified} {groups}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
        let page = text(answer).await;
        assert!(page.contains("may not sign in here") && page.contains(ALICE), "{page}");
        assert!(!page.contains("example.com"), "{page}");
        // The way on asks the provider for another account.
        let way = page.split("<a class=\"button primary\" href=\"").nth(1).unwrap();
        let way = way.split('"').next().unwrap().replace("&#38;", "&");
        let login = apps.join(&way).unwrap();
        let page = text(get(&browser, &login).await).await;
        let away = target(&press(&browser, &login, &page).await);
        assert_eq!(param(&away, "prompt").as_deref(), Some("select_account"));
    }
    server.stop().await.unwrap();
}

/// Suspends the account with this name in the list of accounts.
async fn suspend(administrator: &Browser, list: &Url, listed: &str, name: &str) -> Response {
    let row = listed.split("<tr ").skip(1).find(|row| row.contains(name)).unwrap();
    let subject = row.split("<code>").nth(1).unwrap().split('<').next().unwrap();
    let ask = list.join(&format!("/admin/confirm?act=suspend-account&subject={subject}")).unwrap();
    let page = text(get(administrator, &ask).await).await;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let fields =
        [("act", "suspend-account"), ("subject", subject), ("reason", "left"), ("csrf", csrf)];
    let act = list.join("/admin/act").unwrap();
    administrator.http.post(act).form(&fields).send().await.unwrap()
}

#[tokio::test]
async fn administrators_are_named_and_a_suspended_account_stays_out() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let admins =
        ["--provider-everybody", "--provider-admin-emails=Ops@example.com,ceo@example.com"];
    let server = start(&provider, &admins).await;
    let admin = page_of(server.issuer(), "/admin/accounts");
    let says = |sub: &str, email: &str, is_verified: bool| {
        provider.set_claims(json!({ "sub": sub, "email": email, "email_verified": is_verified }));
    };
    let sign_in_as = async |sub: &str, email: &str, is_verified: bool| {
        says(sub, email, is_verified);
        let browser = Browser::new("nobody");
        let answer = finish(&browser, &page_of(server.issuer(), "/admin")).await;
        (browser, answer)
    };
    for (sub, email, is_verified) in
        [("2", "bob@example.com", true), ("3", "ops@example.com", false)]
    {
        let (browser, _) = sign_in_as(sub, email, is_verified).await;
        assert_eq!(get(&browser, &admin).await.status(), 403, "{email}");
    }
    let (operator, _) = sign_in_as("1", "ops@example.com", true).await;
    let listed = text(get(&operator, &admin).await).await;
    assert!(listed.contains("bob@example.com") && listed.contains("oidc:"), "{listed}");
    // The operator suspends bob.
    let done = suspend(&operator, &admin, &listed, "bob@example.com").await;
    assert_eq!(done.status(), 303, "{}", text(done).await);
    let (_, refused) = sign_in_as("2", "bob@example.com", true).await;
    assert_eq!(refused.status(), 403);
    assert!(!refused.headers().contains_key(SET_COOKIE));
    let page = text(refused).await;
    assert!(page.contains("This account is suspended"), "{page}");
    // The audit log has both sign-ins, with the reference of the page.
    let reference = page.split("Reference: ").nth(1).unwrap().split_whitespace().next().unwrap();
    let log = page_of(server.issuer(), &format!("/admin/log?reference={reference}"));
    let found = text(get(&operator, &log).await).await;
    assert!(found.contains("sign_in_refused") && found.contains("oidc:"), "{found}");
    // A suspended administrator does nothing any more.
    let (other, _) = sign_in_as("4", "ceo@example.com", true).await;
    let done = suspend(&other, &admin, &listed, "ops@example.com").await;
    assert_eq!(done.status(), 303, "{}", text(done).await);
    assert_eq!(get(&operator, &admin).await.status(), 403);
    server.stop().await.unwrap();
}

/// A callback is of one browser and one sign-in, and is used once.
#[tokio::test]
async fn a_callback_of_another_browser_or_a_used_one_signs_nobody_in() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let url = request(server.issuer(), &[]);
    let refused = async |browser: &Browser, callback: &Url| {
        let answer = get(browser, callback).await;
        assert_eq!(answer.status(), 410);
        assert!(!answer.headers().contains_key(SET_COOKIE));
        assert!(text(answer).await.contains("Start again from the application"));
    };
    let attacker = Browser::new("nobody");
    let callback = to_callback(&attacker, &url).await;
    refused(&Browser::new("nobody"), &callback).await;
    // A victim who signs in at this moment has another state, and another cookie.
    let victim = Browser::new("nobody");
    let own = to_callback(&victim, &url).await;
    refused(&victim, &callback).await;
    let mut no_state = own.clone();
    no_state.set_query(Some("code=code-1"));
    refused(&victim, &no_state).await;
    assert_eq!(provider.calls(Place::Token), 0);
    // The code of another sign-in of the same browser.
    let second = to_callback(&victim, &url).await;
    let swapped = |state: &Url, code: &Url| {
        let mut swapped = state.clone();
        let pairs = [("state", param(state, "state")), ("code", param(code, "code"))];
        let pairs = pairs.map(|(name, value)| (name, value.unwrap()));
        swapped.query_pairs_mut().clear().extend_pairs(pairs);
        swapped.query_pairs_mut().append_pair("iss", provider.issuer());
        swapped
    };
    assert_eq!(get(&victim, &swapped(&second, &callback)).await.status(), 403);
    assert!(get(&victim, &own).await.status().is_redirection(), "two sign-ins side by side");
    refused(&victim, &own).await;
    // A code that was redeemed.
    let choice = request(server.issuer(), &[("prompt", "select_account")]);
    let third = to_callback(&victim, &choice).await;
    assert_eq!(get(&victim, &swapped(&third, &own)).await.status(), 403);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn another_site_cannot_begin_a_sign_in() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let begin = page_of(server.issuer(), "/login/provider");
    let browser = Browser::new("nobody");
    let (_, page) = login_page(&browser, &request(server.issuer(), &[])).await;
    let own = form(&page).fields;
    for (browser, fields) in [
        (&Browser::new("nobody"), own.clone()),
        (&browser, vec![("next".to_owned(), "/".to_owned())]),
    ] {
        let answer = browser.http.post(begin.clone()).form(&fields).send().await.unwrap();
        assert!(target(&answer).path().ends_with("/login"), "{}", target(&answer));
    }
    // A sign-in leads to pages of this server only.
    let (_, page) = login_page(&browser, &page_of(server.issuer(), "/admin")).await;
    let mut elsewhere = form(&page);
    elsewhere.fields.retain(|(name, _)| name != "next");
    let next = [("next", "https://evil.example/oauth/authorize?")];
    let away = target(&post(&browser, &begin, &elsewhere, &next).await);
    let callback = target(&get(&browser, &away).await);
    assert_eq!(target(&get(&browser, &callback).await).path(), "/");
    server.stop().await.unwrap();
}

/// A user who cancels is back at the login page of the same request.
#[tokio::test]
async fn a_user_who_cancels_can_try_again() {
    let provider = Provider::start(Algorithm::Ed25519).await;
    let server = start(&provider, EVERYBODY).await;
    let browser = Browser::new("nobody");
    let url = request(server.issuer(), &[]);
    let mut callback = to_callback(&browser, &url).await;
    let pairs: Vec<_> = callback.query_pairs().into_owned().filter(|(n, _)| n != "code").collect();
    callback.query_pairs_mut().clear().extend_pairs(pairs).append_pair("error", "access_denied");
    let login = target(&get(&browser, &callback).await);
    let page = text(get(&browser, &login).await).await;
    assert!(page.contains("You did not sign in at <bdi>Example ID</bdi>"), "{page}");
    assert!(page.contains("Demo application"), "{page}");
    let away = target(&press(&browser, &login, &page).await);
    let callback = target(&get(&browser, &away).await);
    let onward = target(&get(&browser, &callback).await);
    assert!(text(get(&browser, &onward).await).await.contains("Allow access"));
    provider.set_fault(Fault::ServerError);
    assert_eq!(finish(&Browser::new("nobody"), &url).await.status(), 502);
    server.stop().await.unwrap();
}
