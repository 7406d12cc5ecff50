//! Tests of all pages: hostile text is escaped, no page runs code, and the headers are right.

use askama::Result;

use super::admin::{accounts, clients, log};
use super::*;
use crate::site::Site;

const HOSTILE: &str = r#"<script>alert(1)</script>"'& {{ 7 }} --><img src=x>"#;

fn pairs(text: &str) -> Vec<(String, String)> {
    vec![(text.into(), text.into()), (text.into(), text.into())]
}

fn home(text: &str) -> Home {
    Home {
        public_client: Some("demo-public"),
        can_register: true,
        issuer: text.into(),
        resources: pairs(text),
        users: pairs(text),
        nav: Nav::of(Some(text)),
        csrf: text.into(),
    }
}

fn login(text: &str) -> Login {
    Login {
        next: text.into(),
        csrf: text.into(),
        asking: Some(claim(text)),
        has_passwords: true,
        provider: Some(ProviderButton { name: text.into(), prompt: "" }),
        was_cancelled: true,
        was_signed_out: true,
        again: Some(text.into()),
        username: text.into(),
        failed: true,
        not_now: Some(text.into()),
        current: Some(text.into()),
        users: pairs(text),
    }
}

fn claim(text: &str) -> AppName {
    AppName { text: text.into(), is_claim: true }
}

fn consent(text: &str, verified: bool) -> Consent {
    let scope = || Scope { name: text.into(), description: text.into(), is_ticked: true };
    Consent {
        ticket: text.into(),
        reload: text.into(),
        csrf: text.into(),
        subject: text.into(),
        name: AppName { is_claim: !verified, ..claim(text) },
        whole_name: Some(text.into()),
        wanted: text.into(),
        unverified: (!verified).then(|| text.into()),
        connected: Some(text.into()),
        scopes: vec![scope(), scope()],
        organization: Organization::Choice { options: pairs(text), is_missing: true },
        destination: Destination::OwnDevice(text.into()),
        lasts: text.into(),
        registration: text.into(),
        client_id: text.into(),
        client_host: Some(text.into()),
        client_pages: vec![("Website", text.into())],
        resources: pairs(text),
        access_lifetime: text.into(),
        expires: text.into(),
    }
}

fn problem(text: &str) -> Problem {
    Problem {
        status: 400,
        plain: PlainWords::of(grantcore::Reason::PkceMissing, None),
        code: text.into(),
        description: text.into(),
        cause: text.into(),
        fix: text.into(),
        anchor: "pkce_missing",
        client_id: Some(text.into()),
        onward: Some((text.into(), text.into())),
        reload_url: Some(text.into()),
        correlation_id: text.into(),
        at: text.into(),
    }
}

fn sign_in_problem(text: &str) -> SignInProblem {
    SignInProblem {
        status: StatusCode::FORBIDDEN,
        title: text.into(),
        message: text.into(),
        way: Some(Way { label: "Try again", path: text.into() }),
        sub: Some(text.into()),
        reference: text.into(),
        at: text.into(),
    }
}

fn notice(text: &str) -> Notice {
    Notice { detail: Some(text.into()), ..Notice::new(text, text) }
}

fn resource(text: &str) -> ForApplications {
    ForApplications { name: text.into(), kind: "an API", url: text.into() }
}

/// Renders every page with `text` for every value.
fn every_page(text: &str) -> Result<[String; 20]> {
    Ok([
        home(text).render()?,
        login(text).render()?,
        consent(text, true).render()?,
        consent(text, false).render()?,
        problem(text).render()?,
        sign_in_problem(text).render()?,
        notice(text).render()?,
        resource(text).render()?,
        connected::tests::connected(text).render()?,
        help::tests::troubleshooting(text).render()?,
        admin::tests::ask(text).render()?,
        log::tests::home(text).render()?,
        log::tests::log_page(text).render()?,
        log::tests::flow(text).render()?,
        clients::tests::clients(text).render()?,
        clients::tests::client(text).render()?,
        clients::tests::new_client(text).render()?,
        clients::tests::secret(text).render()?,
        accounts::tests::accounts(text).render()?,
        accounts::tests::account(text).render()?,
    ])
}

#[test]
fn hostile_text_is_escaped_on_every_page() -> Result<()> {
    for (plain, page) in every_page("plain")?.iter().zip(&every_page(HOSTILE)?) {
        for mark in ['<', '>', '"', '\''] {
            let count = |page: &str| page.matches(mark).count();
            assert_eq!(count(plain), count(page), "{mark} is not escaped: {page}");
        }
        assert!(page.contains("alert(1)") && !page.contains("& "), "{page}");
    }
    Ok(())
}

#[test]
fn no_page_has_scripts_inline_styles_or_foreign_content() -> Result<()> {
    // An address in a text loads nothing, and one in an attribute might.
    let banned = "<script <style <iframe style= src= onclick= http-equiv =\"// =\"http";
    for page in every_page("plain")? {
        assert!(page.starts_with("<!doctype html>"), "{page}");
        for banned in banned.split(' ') {
            assert!(!page.contains(banned), "{banned}: {page}");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    Ok(())
}

/// Under an issuer with a path, a link or form without that path leads to another server.
#[test]
fn every_own_link_and_form_uses_the_path_filter() {
    for template in std::fs::read_dir("templates").unwrap() {
        let path = template.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let targets = |attribute: &'static str| text.split(attribute).skip(1);
        for target in targets("href=\"").chain(targets("action=\"")) {
            let value = target.split('"').next().unwrap_or_default();
            let expression = target.split("}}").next().unwrap_or_default();
            let is_foreign = ["{{ url }}", "{{ uri }}"].iter().any(|own| target.starts_with(own));
            let is_ours = target.starts_with("{{ ") && expression.contains("|path ");
            assert!(is_ours || is_foreign || value.starts_with('#'), "{path:?}: {value}");
        }
    }
}

#[test]
fn consent_has_one_ticket_and_two_decisions_deny_first() -> Result<()> {
    let page = consent("plain", false).render()?;
    let mut forms = page.split("<form").skip(1);
    let form = forms.next().unwrap_or_default();
    let switch = forms.next().unwrap_or_default();
    assert_eq!(forms.next(), None, "there is no third form");
    assert!(switch.contains("action=\"/oauth/switch\"") && !switch.contains("decision"));
    let names: Vec<_> = form.split(" name=\"").skip(1).collect();
    let starts = [
        "ticket\"",
        "reload\"",
        "scopes_shown\"",
        "scope\"",
        "scope\"",
        "organization\"",
        "organization\"",
        "decision\" value=\"deny\"",
        "decision\" value=\"allow\"",
    ];
    assert_eq!(names.len(), starts.len(), "the form has no other field: {form}");
    for (name, start) in names.iter().zip(starts) {
        assert!(name.starts_with(start), "{start} is at its place: {form}");
    }

    assert_eq!(form.matches("<button").count(), 2, "the first submit button is Deny");
    assert_eq!(form.matches(" checked>").count(), 2, "a tick grants, and all are ticked at first");
    Ok(())
}

#[test]
fn consent_links_only_to_a_verified_client_and_warns_of_a_local_one() -> Result<()> {
    let own = "<a href=\"/settings/connected-apps\">";
    let mut page = consent("plain", false);
    let html = page.render()?;
    assert_eq!((html.matches("<a ").count(), html.matches(own).count()), (1, 1), "{html}");
    assert!(html.contains("Runs on this device") && html.contains("Unverified:"));
    page.unverified = None;
    page.destination = Destination::Host("plain".into());
    let html = page.render()?;
    assert!(html.matches("<a ").count() == 2 && !html.contains("role=\"note\""), "{html}");
    page.destination = Destination::Scheme("plain".into());
    assert!(page.render()?.contains("Runs on this device"));
    Ok(())
}

#[test]
fn problem_has_no_form_and_nothing_to_allow() -> Result<()> {
    let mut page = problem("https://a.example/cb");
    let html = page.render()?;
    for banned in ["<form", "<button", "<input", "Allow", "allow"] {
        assert!(!html.contains(banned), "{banned}: {html}");
    }
    assert_eq!(html.matches("<a ").count(), 3, "a received value is not a link");
    page.onward = None;
    page.reload_url = None;
    assert_eq!(page.render()?.matches("<a ").count(), 1, "only the link to troubleshooting");
    Ok(())
}

#[test]
fn login_alerts_only_after_a_failure() -> Result<()> {
    let mut page = login("alice");
    assert!(page.render()?.contains("role=\"alert\""));
    page.not_now = None;
    assert!(page.render()?.contains("role=\"alert\""));
    page.failed = false;
    assert!(!page.render()?.contains("alert"));
    Ok(())
}

#[test]
fn headers_and_status_are_those_of_a_page() {
    let response = Page(problem("plain")).into_response();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
        frame-ancestors 'none'";
    let expected = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", policy),
    ];
    for (name, value) in expected {
        let sent: Vec<_> = response.headers().get_all(name).iter().collect();
        assert_eq!(sent, [value], "{name}");
    }
    assert_eq!(response.headers().len(), expected.len());
    assert_eq!(Page(home("plain")).into_response().status(), StatusCode::OK);
    let missing = (StatusCode::NOT_FOUND, Page(notice("plain"))).into_response();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

/// Returns the text of a page without the values of its form fields, which have the original names.
fn visible(page: &str) -> String {
    let mut parts = page.split("value=\"");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| shown + part.split_once('"').map_or("", |(_, rest)| rest))
}

/// The administrator's pages clean names that clients chose, as the consent page does.
#[test]
fn consent_14_names_on_the_administrators_pages_are_clean() -> Result<()> {
    let name = "al\u{202e}ice\u{200b}\u{3164}";
    let mut list = clients::tests::clients("app");
    for client in &mut list.listed {
        client.name = AppName::of(name, "app", false);
    }
    let mut people = accounts::tests::accounts("path");
    for row in &mut people.listed {
        row.subject = name.into();
        row.name = None;
    }
    let person = Account { subject: name.into(), name: None, ..accounts::tests::account("plain") };
    for page in [list.render()?, people.render()?, person.render()?] {
        let shown = visible(&page);
        assert!(shown.contains("alice"), "{shown}");
        for hidden in ['\u{202e}', '\u{200b}', '\u{3164}'] {
            assert!(!shown.contains(hidden), "{hidden:?} in {shown}");
        }
    }
    // The form still names the account.
    assert!(person.render()?.contains(&format!("value=\"{name}\"")));
    Ok(())
}

#[test]
fn the_front_page_of_a_file_of_settings_is_no_demonstration() {
    let named = Site::new("", "Acme <ID>\u{202e}");
    let page = home("alice").render_with_values(&named.clone().demo()).unwrap();
    for part in
        ["is the demonstration", "demo-public", "<bdi>Acme &#60;ID&#62;</bdi></strong> (demo"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let own = Home { public_client: None, can_register: false, users: Vec::new(), ..home("alice") };
    let page = own.render_with_values(&named).unwrap();
    for word in ["demo", "registers itself", "grantcore"] {
        assert!(!page.contains(word), "{word}: {page}");
    }
    assert!(page.contains("<title>Home – Acme &#60;ID&#62;</title>"), "{page}");
}
