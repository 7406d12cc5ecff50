//! Tests of CONSENT-01, -06 to -11 and -15: from a valid request to the one decision of its consent
//! page. Its ticket is in `consent_ticket.rs`.

use std::collections::BTreeSet;

use grantcore::client::Registration;
use grantcore::grant::GrantState;
use grantcore::response::Redirect;
use grantcore::value::Subject;
use grantcore::{Account, AuthorizationStep, Choice, Client, Policy, Reason, Refusal, User};

use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, codes, states};
use crate::support::{
    ALICE, CALLBACK, Granted, ISSUER, MCP, Outcome, World, app, json, param, policy, user,
};

const SECOND: &str = "https://app.example/cb2";

/// Returns a ticket of a valid request.
pub(crate) fn ticket(world: &World) -> String {
    world.page(&Params::authorize()).ticket()
}

/// Allows everything, and returns the location.
#[track_caller]
pub(crate) fn allow(world: &World, ticket: &str) -> String {
    world.decide(ticket, Choice::Allow).unwrap().into_location()
}

fn submit(
    world: &World,
    ticket: &str,
    user: User<'_>,
    choice: Choice<'_>,
) -> Result<Redirect, Refusal> {
    world.server.consent(ticket, user, choice).outcome()
}

/// Changes the last character of a base64url text.
pub(crate) fn forged(ticket: &str) -> String {
    let (head, last) = ticket.split_at(ticket.len() - 1);
    head.to_owned() + if last == "A" { "B" } else { "A" }
}

#[test]
fn consent_01_a_request_leads_to_login_then_consent_then_a_code() {
    let world = World::new();
    let step = world.authorize_as(&Params::authorize(), None).unwrap();
    assert!(matches!(step, AuthorizationStep::NeedsLogin(_)));
    assert_eq!((world.store.commits(), states(&world)), (0, vec![]));
    let ticket = ticket(&world);
    assert_eq!((world.store.commits(), states(&world)), (1, vec![GrantState::ConsentPending]));
    let location = allow(&world, &ticket);
    assert!(param(&location, "code").is_some());
    assert_eq!((world.store.commits(), states(&world)), (2, vec![GrantState::CodeIssued]));
}

#[test]
fn consent_06_the_ticket_is_bound_to_user_and_session() {
    for choice in [Choice::Allow, Choice::AllowOnly("read"), Choice::Deny] {
        let world = World::new();
        let ticket = ticket(&world);
        for user in [
            user(ALICE.subject(), b"another browser"),
            user(ALICE.subject(), b"\0"),
            user("mallory", ALICE.session()),
            user("Alice", ALICE.session()),
            user("mallory", b"mallory's browser"),
        ] {
            let refusal = submit(&world, &ticket, user, choice).unwrap_err();
            assert_page(&world, &refusal, 400, "invalid_request", Reason::ConsentSessionMismatch);
        }
        assert_eq!((world.store.commits(), codes(&world)), (1, 0));
        allow(&world, &ticket);
    }
}

/// better-auth, CVE-2026-45337: any user could approve. `FastMCP`, CVE-2026-27124: any browser
/// could.
#[test]
fn cve_2026_45337_and_27124_nobody_else_approves() {
    for other in [user("mallory", ALICE.session()), user(ALICE.subject(), b"mallory's browser")] {
        let world = World::new();
        let lured = submit(&world, &ticket(&world), other, Choice::Allow).unwrap_err();
        assert_page(&world, &lured, 400, "invalid_request", Reason::ConsentSessionMismatch);
        let step = world.authorize_as(&Params::authorize(), Some(other)).unwrap();
        let AuthorizationStep::NeedsConsent(page) = step else { panic!("{step:?}") };
        let planted = world.decide(&page.ticket(), Choice::Allow).unwrap_err();
        assert_page(&world, &planted, 400, "invalid_request", Reason::ConsentSessionMismatch);
        assert_eq!((world.store.commits(), codes(&world)), (2, 0));
    }
}

#[test]
fn consent_07_the_code_is_bound_to_the_validated_request() {
    let files = "https://files.example/";
    let world = World::with(policy().resource(files, "read"));
    let client = Client::public("app").redirect_uri(CALLBACK).redirect_uri(SECOND).build().unwrap();
    world.put(client);
    let narrow = Params::authorize().set("scope", "read").set("resource", MCP).set("state", "one");
    let wide =
        Params::authorize().set("redirect_uri", SECOND).set("resource", files).set("state", "two");
    let narrow = world.page(&narrow).ticket();
    let _wide = world.page(&wide).ticket();
    let location = allow(&world, &narrow);
    assert!(location.starts_with(&format!("{CALLBACK}?code=")), "{location}");
    assert_eq!(param(&location, "state").as_deref(), Some("one"));
    let code = param(&location, "code").unwrap();
    let wrong = world.token(&Params::redeem(&code).set("code_verifier", &"x".repeat(43)));
    assert_eq!(json(&wrong)["error"], "invalid_grant");
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    assert_eq!(tokens.scope, "read");
    assert_eq!(world.access(&tokens.access).resources().collect::<Vec<_>>(), [MCP]);
}

#[test]
fn consent_08_several_pages_may_be_open() {
    let world = World::new();
    let states = ["one", "two", "three"];
    let tickets: Vec<_> = states
        .iter()
        .map(|state| world.page(&Params::authorize().set("state", state)).ticket())
        .collect();
    for (ticket, state) in tickets.iter().zip(states).rev() {
        let location = allow(&world, ticket);
        assert_eq!(param(&location, "state").as_deref(), Some(state));
    }
    assert_eq!(codes(&world), 3);
}

#[test]
fn consent_09_a_denial_is_sent_to_the_client() {
    for registration in [Registration::Operator, Registration::Dynamic] {
        let world = World::new();
        world.put(
            Client::public("app")
                .redirect_uri(CALLBACK)
                .registration(registration)
                .build()
                .unwrap(),
        );
        let ticket = ticket(&world);
        let refusal = world.decide(&forged(&ticket), Choice::Deny).unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_request", Reason::TicketUnknown);
        for _ in 0..2 {
            let refusal = world.decide(&ticket, Choice::Deny).unwrap_err();
            assert_redir(&world, &refusal, "access_denied", Reason::AccessDenied);
        }
        assert_eq!((world.store.commits(), codes(&world)), (2, 0));
    }
}

#[test]
fn consent_10_the_client_is_checked_again() {
    let refused = |world: &World, ticket: &str, code, reason| {
        for choice in [Choice::Allow, Choice::Deny] {
            assert_page(world, &world.decide(ticket, choice).unwrap_err(), 400, code, reason);
        }
        assert_eq!((world.store.commits(), codes(world)), (1, 0));
    };
    for (client, code, reason) in [
        (app().deactivated(), "invalid_client", Reason::ClientDeactivated),
        (
            Client::public("app").redirect_uri(SECOND).build().unwrap(),
            "invalid_request",
            Reason::RedirectUriMismatch,
        ),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        world.put(client);
        refused(&world, &ticket, code, reason);
        world.put(app());
        allow(&world, &ticket);
    }
    // A client that is put again does not lower the epoch, so that the page stays ended.
    let world = World::new();
    let ticket = ticket(&world);
    for client in [app().with_grants_ended(), app()] {
        world.put(client);
        refused(&world, &ticket, "consent_expired", Reason::ConsentExpired);
    }
}

#[test]
fn consent_10_the_account_is_checked_again() {
    let world = World::new();
    let ticket = ticket(&world);
    world.store.suspend("alice", true);
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_redir(&world, &refusal, "access_denied", Reason::AccountSuspended);
    assert_eq!(codes(&world), 0);
    world.store.inner.put_account(Subject::new("alice"), Account { suspended: false, epoch: 1 });
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "consent_expired", Reason::ConsentExpired);
}

#[test]
fn consent_11_less_may_be_granted() {
    for (granted, scope) in [
        ("read", "read"),
        (" read  read ", "read"),
        ("write", "write"),
        ("write read", "read write"),
    ] {
        let world = World::new();
        let redirect = world.decide(&ticket(&world), Choice::AllowOnly(granted)).unwrap();
        let code = param(&redirect.into_location(), "code").unwrap();
        assert_eq!(world.grants()[0].record.scope().as_str(), scope);
        assert_eq!(Granted::of(&world.token(&Params::redeem(&code))).scope, scope);
    }
}

#[test]
fn consent_11_more_may_not_be_granted() {
    let world = World::new();
    let ticket = ticket(&world);
    for beyond in ["admin", "read write admin", "read x", "READ", "", " ", "a\"b"] {
        let refusal = world.decide(&ticket, Choice::AllowOnly(beyond)).unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_scope", Reason::ConsentScope);
    }
    assert_eq!((world.store.commits(), codes(&world)), (1, 0));
    assert!(world.decide(&ticket, Choice::AllowOnly("read")).is_ok(), "the page can still be used");
}

/// Doorkeeper, CVE-2023-34246: another client with the id of a public client could use its earlier
/// consent.
#[test]
fn cve_2023_34246_consent_15_a_prior_grant_does_not_consent() {
    let as_is: fn(Params) -> Params = |params| params;
    for of in [as_is, Params::by_web] {
        let world = World::new();
        let ask = of(Params::authorize());
        let tokens = Granted::of(&world.token(&of(Params::redeem(&world.code(&ask)))));
        for again in [ask.clone(), ask.set("scope", "read")] {
            world.page(&again);
        }
        assert!(world.works(&tokens.access));
        assert_eq!(codes(&world), 1);
    }
}

#[test]
fn consent_15_every_request_needs_a_new_consent() {
    let world = World::new();
    let tickets: BTreeSet<_> = (0..3).map(|_| ticket(&world)).collect();
    for ticket in &tickets {
        allow(&world, ticket);
        assert!(matches!(
            world.authorize(&Params::authorize()),
            Ok(AuthorizationStep::NeedsConsent(_))
        ));
    }
    assert_eq!((tickets.len(), codes(&world)), (3, 3));
}

/// A scope token that the policy lost while the page was open.
#[test]
fn consent_10_a_scope_that_is_not_declared_any_more_is_unknown() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let smaller = Policy::builder(ISSUER)
        .scope("read", "Read your notes")
        .default_scope("read")
        .resource(MCP, "read")
        .build()
        .unwrap();
    let later = world.beside(smaller, 2);
    let refusal = later.server.run(crate::support::host::allow(&ticket)).outcome().unwrap_err();
    assert_eq!(refusal.reason(), Reason::ScopeUnknown);
}
