//! Tests of the consent form: what its fields can do, and what they cannot.

use crate::support::browser::{Asking, Browser, field, redeem, ticked};
use crate::support::{self, Answer, World, form_request, param};
use axum::http::header::CONTENT_TYPE;
use grantcore::Reason;

const FORM: &str = "/oauth/authorize/consent";

/// Asserts that a form was refused on a page, and that no grant of the store has a code.
#[track_caller]
fn assert_refused(world: &World, answer: &Answer, reason: Reason) {
    assert_eq!((answer.status, answer.header("location")), (400, None), "{answer:?}");
    assert_eq!(world.reason(), Some(reason));
    let codes =
        world.events().iter().filter(|event| event.kind.name() == "consent_approved").count();
    assert_eq!(codes, 0);
}

#[tokio::test]
async fn consent_01_the_page_is_allowed_and_used_once() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    assert_eq!(ticked(&page), ["read", "write"]);
    assert!(page.contains("Signed in as alice") && page.contains("<strong>app.example</strong>"));
    let answer = browser.press(&page, "allow").await;
    let code = param(answer.location(), "code").unwrap();
    assert_eq!(redeem(&world.app, "app", &code).await.json()["scope"], "read write");
    let again = browser.press(&page, "allow").await;
    assert_eq!((again.status, again.header("location")), (400, None));
    assert!(again.body.contains("consent_used"), "{}", again.body);
}

#[tokio::test]
async fn consent_09_the_client_learns_of_a_denial() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    let answer = browser.press(&page, "deny").await;
    let sent = |name: &str| param(answer.location(), name);
    assert_eq!(sent("error").as_deref(), Some("access_denied"));
    assert_eq!(sent("state").as_deref(), Some("xyz"));
    assert_eq!((sent("iss").as_deref(), sent("code")), (Some(support::ISSUER), None));
}

#[tokio::test]
async fn consent_11_the_user_can_grant_less_and_never_more() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    for (scopes, expected) in [
        (&["read"][..], Some("read")),
        (&["write", "read"], Some("read write")),
        (&["read", "read"], Some("read")),
        (&["read write"], Some("read write")),
        (&["admin"], None),
        (&["read", "admin"], None),
        (&["READ"], None),
        (&["read\"", "write"], None),
    ] {
        let page = browser.consent_page(&Asking::app()).await;
        let ticket = field(&page, "ticket");
        let mut fields = vec![("ticket", &*ticket), ("decision", "allow"), ("scopes_shown", "yes")];
        fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let answer = browser.post(FORM, &fields).await;
        if let Some(scope) = expected {
            let code = param(answer.location(), "code").unwrap();
            assert_eq!(redeem(&world.app, "app", &code).await.json()["scope"], scope);
        } else {
            assert_eq!((answer.status, answer.header("location")), (400, None), "{scopes:?}");
            assert_eq!(world.reason(), Some(Reason::ConsentScope), "{scopes:?}");
            // The page can still be answered.
            assert_eq!(browser.press(&page, "deny").await.status, 303);
        }
    }
}

/// A user who has unticked everything and presses the wrong button has granted nothing.
#[tokio::test]
async fn consent_11_nothing_ticked_is_a_denial() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    for empty in [&[][..], &[("scope", "")]] {
        let page = browser.consent_page(&Asking::app()).await;
        let ticket = field(&page, "ticket");
        let mut fields = vec![("ticket", &*ticket), ("decision", "allow"), ("scopes_shown", "")];
        fields.extend(empty);
        let answer = browser.post(FORM, &fields).await;
        assert_eq!(param(answer.location(), "error").as_deref(), Some("access_denied"));
    }
    // A page of a host's own that shows no boxes grants the whole.
    let page = browser.consent_page(&Asking::app()).await;
    let fields = [("ticket", &*field(&page, "ticket")), ("decision", "allow")];
    let answer = browser.post(FORM, &fields).await;
    let code = param(answer.location(), "code").unwrap();
    assert_eq!(redeem(&world.app, "app", &code).await.json()["scope"], "read write");
}

#[tokio::test]
async fn consent_02_a_form_without_a_good_ticket_decides_nothing() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    let ticket = field(&page, "ticket");
    let shortened = &ticket[..ticket.len() - 1];
    let changed = format!("{shortened}{}", if ticket.ends_with('A') { 'B' } else { 'A' });
    for (bad, reason) in [
        ("", Reason::TicketMissing),
        ("x", Reason::TicketMissing),
        (shortened, Reason::TicketMissing),
        ("\u{e9}\r\nLocation: https://evil.example", Reason::TicketMissing),
    ] {
        for decision in ["allow", "deny"] {
            let fields = [("ticket", bad), ("decision", decision)];
            assert_refused(&world, &browser.post(FORM, &fields).await, reason);
        }
    }
    let forged = browser.post(FORM, &[("ticket", &changed), ("decision", "allow")]).await;
    assert_eq!((forged.status, forged.header("location")), (400, None));
    assert_refused(&world, &browser.post(FORM, &[]).await, Reason::TicketMissing);
    // The ticket in the query is none: it would be in logs and in `Referer`.
    let in_query = format!("{FORM}?ticket={ticket}&decision=allow");
    assert_refused(&world, &browser.post(&in_query, &[]).await, Reason::TicketMissing);
    assert_eq!(browser.press(&page, "allow").await.status, 303);
}

#[tokio::test]
async fn consent_02_a_body_of_another_media_type_decides_nothing() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    let ticket = field(&page, "ticket");
    for other in ["text/plain", "application/json", "multipart/form-data; boundary=x", ""] {
        let mut request = form_request(FORM, &[("ticket", &ticket), ("decision", "allow")]);
        request.headers_mut().insert(CONTENT_TYPE, other.parse().unwrap());
        let answer = browser.send(request).await;
        assert_refused(&world, &answer, Reason::ContentType);
    }
    assert_eq!(browser.press(&page, "allow").await.status, 303);
}

/// Which of two values the user has sent is not known.
#[tokio::test]
async fn consent_02_a_repeated_ticket_or_decision_decides_nothing() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    let ticket = &*field(&page, "ticket");
    for fields in [
        &[("ticket", ticket), ("decision", "allow"), ("decision", "deny")][..],
        &[("ticket", ticket), ("decision", "allow"), ("decision", "allow")],
        &[("ticket", ticket), ("ticket", ticket), ("decision", "allow")],
        &[("ticket", ticket), ("ticket", "x"), ("decision", "deny")],
        &[("ticket", ticket), ("decision", "")],
        &[("ticket", ticket), ("decision", "Allow")],
        &[("ticket", ticket)],
    ] {
        assert_refused(&world, &browser.post(FORM, fields).await, Reason::TicketMissing);
    }
    assert_eq!(browser.press(&page, "allow").await.status, 303);
}

#[tokio::test]
async fn consent_06_a_page_belongs_to_its_user_and_its_browser() {
    let world = World::new();
    let mut alice = Browser::of(&world, "alice").await;
    let page = alice.consent_page(&Asking::app()).await;
    let mut bob = Browser::of(&world, "bob").await;
    let mut other_session = Browser::of(&world, "alice").await;
    let mut signed_out = Browser::new(&world.app);
    let mut forged_cookie = Browser::new(&world.app);
    forged_cookie.cookie = Some("grantcore_demo_session=0000".into());
    for stranger in [&mut bob, &mut other_session, &mut signed_out, &mut forged_cookie] {
        for decision in ["allow", "deny"] {
            let answer = stranger.press(&page, decision).await;
            assert_refused(&world, &answer, Reason::ConsentSessionMismatch);
        }
    }
    assert_eq!(alice.press(&page, "allow").await.status, 303);
}

#[tokio::test]
async fn consent_03_an_expired_page_says_so() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app()).await;
    world.at(600);
    let answer = browser.press(&page, "allow").await;
    assert_refused(&world, &answer, Reason::ConsentExpired);
    assert!(answer.body.contains("consent_expired"), "{}", answer.body);
    let again = browser.consent_page(&Asking::app()).await;
    assert_eq!(browser.press(&again, "allow").await.status, 303);
}

#[tokio::test]
async fn consent_07_other_fields_change_nothing() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let page = browser.consent_page(&Asking::app().with("scope", "read")).await;
    let ticket = field(&page, "ticket");
    let fields = [
        ("ticket", &*ticket),
        ("decision", "allow"),
        ("client_id", "evil"),
        ("redirect_uri", "https://evil.example/cb"),
        ("state", "evil"),
        ("scope", "read write admin"),
        ("resource", "https://evil.example"),
        ("code_challenge", "evil"),
    ];
    let answer = browser.post(FORM, &fields).await;
    let location = answer.location();
    assert!(location.starts_with(support::CALLBACK), "{location}");
    assert_eq!(param(location, "state").as_deref(), Some("xyz"));
    let granted = redeem(&world.app, "app", &param(location, "code").unwrap()).await;
    assert_eq!(granted.json()["scope"], "read");
}

#[tokio::test]
async fn consent_13_a_page_warns_of_programs_on_the_users_own_device() {
    let world = World::new();
    let mut browser = Browser::of(&world, "alice").await;
    let warning = "Any program here can claim to be";
    assert!(!browser.consent_page(&Asking::app()).await.contains(warning));
    let local = "http://127.0.0.1/cb";
    let client = grantcore::Client::public("local").redirect_uri(local).build().unwrap();
    world.server.store().put_client(client);
    let page = browser.consent_page(&Asking::by("local", "http://127.0.0.1:4711/cb")).await;
    assert!(page.contains(warning) && page.contains("127.0.0.1:4711"), "{page}");
}
