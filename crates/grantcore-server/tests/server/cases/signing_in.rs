//! Cases F05, F06 and F07: a request that leads through the login page comes back unchanged.

use reqwest::{Client, Response, Url};

use super::flows::{CHAT, ask, register};
use crate::support::cases::log_in;
use crate::support::{Form, form, form_to, param, plain_client, start};

fn location(response: &Response) -> Url {
    let location = response.headers().get("location").unwrap_or_else(|| {
        panic!("{} without a location at {}", response.status(), response.url())
    });
    response.url().join(location.to_str().unwrap()).unwrap()
}

/// Returns the link of a page that leads to the application.
fn link(page: &str) -> Url {
    let at = page.find(&format!("href=\"{CHAT}")).unwrap_or_else(|| panic!("no link in {page}"));
    let href = page[at..].split('"').nth(1).unwrap();
    href.replace("&#38;", "&").replace("&amp;", "&").parse().unwrap()
}

/// Signs in at the login page of a redirect, and returns the page after the sign-in.
async fn sign_in(http: &Client, answer: &Response, user: &str) -> String {
    let login = location(answer);
    assert!(login.path().ends_with("/login"), "{login}");
    let page = http.get(login.clone()).send().await.unwrap();
    assert_eq!(page.status(), 200, "the login page is shown even with a session");
    let login_form = form_to(&page.text().await.unwrap(), "/login");
    let mut fields = login_form.fields;
    fields.extend([("username".into(), user.into()), ("password".into(), user.into())]);
    let action = login.join(&login_form.action).unwrap();
    let answer = http.post(action).form(&fields).send().await.unwrap();
    let back = http.get(location(&answer)).send().await.unwrap();
    assert_eq!(back.status(), 200);
    back.text().await.unwrap()
}

/// nginx reads 4 KiB of headers by default, and answers 502 if there are more.
#[tokio::test]
async fn f05_a_long_state_leads_to_the_login_page_and_is_kept() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    let json_like = format!("{{\"k\":\"{}\"}}", "a b/\"&".repeat(250));
    for state in [json_like, "QUJD".repeat(875), "e".repeat(1900)] {
        let url = ask(&server, &client_id, &[("state", &state)]);
        let http = plain_client(true);
        let answer = http.get(url.clone()).send().await.unwrap();
        let size: usize = answer
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        assert!(size < 4096, "{size} bytes of headers");
        let page = sign_in(&http, &answer, "alice").await;
        assert!(page.contains("Allow access"), "{page}");
        let mut fields = form(&page).fields;
        fields.push(("decision".into(), "allow".into()));
        let consent = url.join(&form(&page).action).unwrap();
        let allowed = http.post(consent).form(&fields).send().await.unwrap();
        let back = match allowed.headers().get("location") {
            Some(_) => location(&allowed),
            // An address that is too long for a header is on a page.
            None => link(&allowed.text().await.unwrap()),
        };
        assert!(back.as_str().starts_with(CHAT), "{back}");
        assert_eq!(param(&back, "state").as_deref(), Some(&*state));
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f06_a_prompt_for_a_login_leads_through_the_login_page_to_the_same_request() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    for prompt in ["login", "select_account", "login consent", "select_account foo"] {
        let http = log_in(&server, "alice").await;
        let url = ask(&server, &client_id, &[("state", "s"), ("prompt", prompt)]);
        let answer = http.get(url).send().await.unwrap();
        let page = sign_in(&http, &answer, "bob").await;
        assert!(page.contains("Allow access") && page.contains("bob"), "{prompt}: {page}");
    }
    for prompt in ["consent", "foo", ""] {
        let http = log_in(&server, "alice").await;
        let url = ask(&server, &client_id, &[("state", "s"), ("prompt", prompt)]);
        let page = http.get(url).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Allow access") && page.contains("alice"), "{prompt}: {page}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f06_the_consent_page_leads_to_another_account() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    let http = log_in(&server, "alice").await;
    let url = ask(&server, &client_id, &[("state", "s")]);
    let page = http.get(url.clone()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("another account"), "{page}");
    let at = page.find("id=\"switch\"").unwrap_or_else(|| panic!("no switch form in {page}"));
    let switch = form(&page[page[..at].rfind("<form").unwrap()..]);
    let answer =
        http.post(url.join(&switch.action).unwrap()).form(&switch.fields).send().await.unwrap();
    let page = sign_in(&http, &answer, "bob").await;
    assert!(page.contains("Allow access") && page.contains("bob"), "{page}");
    server.stop().await.unwrap();
}

/// Another tab's page may have replaced the cookie of the forms that ask for an account.
#[tokio::test]
async fn f06_the_forms_that_ask_for_an_account_outlive_a_replaced_cookie() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    let http = log_in(&server, "alice").await;
    let url = ask(&server, &client_id, &[("state", "s")]);
    let get = async |url: Url| http.get(url).send().await.unwrap();
    let post = async |form: &Form| {
        http.post(url.join(&form.action).unwrap()).form(&form.fields).send().await.unwrap()
    };
    let consent = get(url.clone()).await.text().await.unwrap();
    let chosen = ask(&server, &client_id, &[("state", "s"), ("prompt", "select_account")]);
    let login = get(location(&get(chosen).await)).await.text().await.unwrap();
    for mut stale in [form_to(&consent, "/oauth/switch"), form_to(&login, "/login/stay")] {
        let csrf = stale.fields.iter().position(|(name, _)| name == "csrf").unwrap();
        let replaced: String = stale.fields[csrf].1.chars().take(42).collect();
        stale.fields[csrf].1 = String::new();
        assert_eq!(post(&stale).await.status(), 403, "never a form of this server");
        // A value as pages have it, and not the one of the cookie.
        stale.fields[csrf].1 = format!("x{}A", &replaced[1..]);
        let answer = post(&stale).await;
        let offered = get(location(&answer)).await.text().await.unwrap();
        let stay = form_to(&offered, "/login/stay");
        let page = get(location(&post(&stay).await)).await.text().await.unwrap();
        assert!(page.contains("Allow access") && page.contains("alice"), "{page}");
        let page = sign_in(&http, &post(&stale).await, "alice").await;
        assert!(page.contains("Allow access"), "{page}");
        stale.fields.retain(|(name, _)| name != "request");
        assert_eq!(post(&stale).await.status(), 403, "no request to go back to");
    }
    server.stop().await.unwrap();
}

/// The server restarted, or another replica got the form, or the session ran out: the same page
/// comes again once the user has signed in.
#[tokio::test]
async fn f07_a_consent_without_a_session_leads_through_login_to_the_same_page() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    let url = ask(
        &server,
        &client_id,
        &[("state", "s p&a=c/e"), ("resource", &format!("{}/mcp", server.issuer()))],
    );
    for signs_out in [false, true] {
        let http = log_in(&server, "alice").await;
        let page = http.get(url.clone()).send().await.unwrap().text().await.unwrap();
        let consent = form(&page);
        let http = if signs_out {
            let front = http.get(server.issuer()).send().await.unwrap().text().await.unwrap();
            let logout = format!("{}/logout", server.issuer());
            http.post(logout).form(&form(&front).fields).send().await.unwrap();
            http
        } else {
            plain_client(true)
        };
        let mut fields = consent.fields;
        fields.push(("decision".into(), "allow".into()));
        let action = url.join(&consent.action).unwrap();
        let answer = http.post(action.clone()).form(&fields).send().await.unwrap();
        let page = sign_in(&http, &answer, "alice").await;
        assert!(page.contains("Allow access") && page.contains("Chat"), "{page}");
        let mut fields = form(&page).fields;
        fields.push(("decision".into(), "allow".into()));
        let allowed = http.post(action).form(&fields).send().await.unwrap();
        let back = location(&allowed);
        assert!(back.as_str().starts_with(CHAT), "{back}");
        assert_eq!(param(&back, "state").as_deref(), Some("s p&a=c/e"));
        assert!(param(&back, "code").is_some());
    }
    server.stop().await.unwrap();
}
