//! Tests of CONSENT-01 to -11 and -15: from a valid request to the one decision of its consent
//! page.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use grantcore::blocking::{Server, Store};
use grantcore::client::Registration;
use grantcore::grant::GrantState;
use grantcore::moment::Entropy;
use grantcore::operation::Decision;
use grantcore::policy::Lifetimes;
use grantcore::request::ConsentDecision;
use grantcore::response::Redirect;
use grantcore::store::Commit;
use grantcore::value::Subject;
use grantcore::{
    Account, AuthorizationStep, Choice, Client, FromStore, Reason, Refusal, RequestParts,
    Timestamp, User,
};

use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, codes, states};
use crate::support::store::Fault;
use crate::support::{
    ALICE, CALLBACK, Granted, MCP, Outcome, T, World, app, entropy, json, param, policy, user,
};

const SECOND: &str = "https://app.example/cb2";

/// Returns a ticket of a valid request.
fn ticket(world: &World) -> String {
    world.page(&Params::authorize()).ticket()
}

/// Allows everything, and returns the location.
#[track_caller]
fn allow(world: &World, ticket: &str) -> String {
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
fn forged(ticket: &str) -> String {
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
fn consent_02_a_decision_without_its_ticket_is_refused() {
    let world = World::new();
    let good = ticket(&world);
    let another_id = forged(&good[.."gct_".len() + 20]) + &good["gct_".len() + 20..];
    for (bad, reason) in [
        ("", Reason::TicketMissing),
        ("gct_", Reason::TicketMissing),
        ("nonsense", Reason::TicketMissing),
        (&good[..good.len() - 1], Reason::TicketMissing),
        (&good[..good.len() - 4], Reason::TicketMissing),
        (&format!("{good}AAAA"), Reason::TicketMissing),
        (&good.replace("gct_", "gac_"), Reason::TicketMissing),
        (&good.replace("gct_", "GCT_"), Reason::TicketMissing),
        (&forged(&good), Reason::TicketUnknown),
        (&another_id, Reason::TicketUnknown),
    ] {
        for choice in [Choice::Allow, Choice::AllowOnly("read"), Choice::Deny] {
            let refusal = world.decide(bad, choice).unwrap_err();
            assert_page(&world, &refusal, 400, "invalid_request", reason);
        }
    }
    assert_eq!((world.store.commits(), states(&world)), (1, vec![GrantState::ConsentPending]));
    allow(&world, &good);
}

/// Flips each byte of the request's entropy, and counts the bytes that change the ticket. Those of
/// the grant id are not secret.
#[test]
fn consent_02_the_ticket_holds_at_least_128_random_bits() {
    let drawn = |bytes: [u8; 128]| {
        let policy = policy().build().unwrap();
        let world = World::new();
        let clock = || Timestamp::from_unix_seconds(T);
        let server =
            Server::with_sources(policy, Arc::clone(&world.store), FromStore, clock, move || {
                Ok(Entropy::from_bytes(bytes))
            });
        let query = Params::authorize().encode();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let AuthorizationStep::NeedsConsent(page) =
            server.authorize(&incoming, Some(ALICE)).unwrap()
        else {
            panic!()
        };
        page.ticket()
    };
    let turned = |at: usize| {
        let mut bytes = [0; 128];
        bytes[at] = 0xFF;
        drawn(bytes)
    };
    let same = drawn([0; 128]);
    let distinct: BTreeSet<String> =
        (0..128).map(turned).filter(|ticket| *ticket != same).collect();
    assert!(distinct.len() >= 16 + 16, "{}", distinct.len());
}

#[test]
fn consent_03_the_ticket_lives_600_seconds() {
    for choice in [Choice::Allow, Choice::Deny] {
        let world = World::new();
        let ticket = ticket(&world);
        for late in [600, 601, 86_400] {
            world.at(late);
            let refusal = world.decide(&ticket, choice).unwrap_err();
            assert_page(&world, &refusal, 400, "consent_expired", Reason::ConsentExpired);
        }
        assert_eq!(Reason::ConsentExpired.name(), "consent_nonce_expired");
        assert_eq!((world.store.commits(), states(&world)), (1, vec![GrantState::ConsentPending]));
    }
    let world = World::new();
    let ticket = ticket(&world);
    world.at(599);
    allow(&world, &ticket);
    assert_eq!(codes(&world), 1);
}

#[test]
fn consent_03_the_lifetime_is_configured_and_shown() {
    let world =
        World::with(policy().lifetimes(Lifetimes::default().with_consent(Duration::from_secs(60))));
    let page = world.page(&Params::authorize());
    assert_eq!(page.expires(), Timestamp::from_unix_seconds(T + 60));
    world.at(60);
    let refusal = world.decide(&page.ticket(), Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "consent_expired", Reason::ConsentExpired);
}

#[test]
fn consent_04_reloading_gives_a_fresh_ticket() {
    let world = World::new();
    let first = ticket(&world);
    world.at(300);
    let second = ticket(&world);
    world.at(700);
    assert_eq!(world.decide(&first, Choice::Allow).unwrap_err().reason(), Reason::ConsentExpired);
    let third = ticket(&world);
    allow(&world, &second);
    allow(&world, &third);
    assert_eq!((BTreeSet::from([&first, &second, &third]).len(), codes(&world)), (3, 2));
}

#[test]
fn consent_04_reloading_checks_the_request_again() {
    let world = World::new();
    ticket(&world);
    world.put(app().deactivated());
    let refusal = world.authorize(&Params::authorize()).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
}

#[test]
fn consent_05_a_ticket_is_used_once() {
    for (first, second) in [
        (Choice::Allow, Choice::Allow),
        (Choice::Allow, Choice::Deny),
        (Choice::Deny, Choice::Allow),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        let _ = world.decide(&ticket, first);
        let writes = world.store.commits();
        let refusal = world.decide(&ticket, second).unwrap_err();
        assert_page(&world, &refusal, 400, "consent_used", Reason::ConsentUsed);
        assert_eq!(world.store.commits(), writes);
    }
}

#[test]
fn consent_05_a_ticket_is_used_up_when_its_code_was_redeemed() {
    let world = World::new();
    let ticket = ticket(&world);
    let code = param(&allow(&world, &ticket), "code").unwrap();
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).unwrap_err();
        assert_page(&world, &refusal, 400, "consent_used", Reason::ConsentUsed);
    }
    assert!(world.works(&tokens.access));
}

/// Both decisions have read the record before either writes.
#[test]
fn consent_05_only_one_of_two_parallel_decisions_is_stored() {
    for (first, second) in [
        (Choice::Allow, Choice::Allow),
        (Choice::Allow, Choice::Deny),
        (Choice::Deny, Choice::Allow),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        let decision = |choice, seed| -> Decision<Redirect> {
            let operation = ConsentDecision::new(&ticket, ALICE, choice).unwrap();
            world.decision(&operation, &world.moment(entropy(seed)))
        };
        let winner = decision(first, 7);
        let loser = decision(second, 8);
        assert_eq!(world.store.commit(winner.write().unwrap()), Ok(Commit::Done));
        assert_eq!(world.store.commit(loser.write().unwrap()), Ok(Commit::Conflict));
        assert!(loser.settle(Commit::Conflict).is_none());
        let again = decision(second, 8);
        assert!(again.write().is_none());
        assert_eq!(
            again.settle(Commit::Done).unwrap().outcome.unwrap_err().reason(),
            Reason::ConsentUsed
        );
        let settled = winner.settle(Commit::Done).unwrap();
        assert_eq!(settled.outcome.is_ok(), codes(&world) == 1);
    }
}

#[test]
fn consent_05_eight_threads_get_one_code() {
    let world = World::new();
    let ticket = ticket(&world);
    let barrier = Barrier::new(8);
    let approve = || {
        barrier.wait();
        world
            .decide(&ticket, Choice::Allow)
            .map(Redirect::into_location)
            .map_err(|refusal| refusal.reason())
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(approve)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Err(Reason::ConsentUsed)).count(), 7);
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

/// If the durability of a decision's write is unknown, the client gets neither a code nor a denial.
#[test]
fn consent_05_a_decision_that_was_not_saved_is_not_sent() {
    for (choice, fault) in [
        (Choice::Allow, Fault::Dropped),
        (Choice::Deny, Fault::Dropped),
        (Choice::Allow, Fault::Unacknowledged),
    ] {
        let world = World::new();
        let ticket = ticket(&world);
        world.store.fail([fault]);
        let failure = world.server.consent(&ticket, ALICE, choice).unwrap_err();
        let url = failure.refusal().location(world.server.policy()).unwrap_or_default();
        assert_eq!(world.reason(), Some(Reason::StorageUnavailable));
        assert!(!url.contains("code=") && !url.contains("access_denied"), "{url}");
    }
}
