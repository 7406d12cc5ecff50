//! Tests of AUDIT-03, AUDIT-08 and the settings of AUDIT-01 with an audit log: the search, a log
//! that fails, and accepted calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use grantcore::audit::{AuditError, AuditPolicy, AuditQuery, MemoryAuditLog};
use grantcore::blocking::{AuditLog, Server};
use grantcore::event::EventKind;
use grantcore::policy::Limits;
use grantcore::{
    Authorization, Choice, Event, FromStore, Reason, Refusal, Reply, RequestParts, RevokedBy,
    Timestamp,
};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::{Broken, Fault, TestStore};
use crate::support::{
    ALICE, Answered, Granted, Outcome, T, World, app, json, needs, policy, seeded, web,
};

/// Returns a server with an audit log and these rules, and its clock in seconds since the
/// beginning.
fn recorded<U: AuditLog>(
    trail: U,
    rules: AuditPolicy,
) -> (Server<Arc<TestStore>, FromStore, U>, Arc<AtomicU64>) {
    let store = Arc::new(TestStore::default());
    let clock = Arc::new(AtomicU64::new(T));
    store.inner.put_client(app());
    store.inner.put_client(web());
    let time = Arc::clone(&clock);
    let policy =
        policy().limits(Limits::default().with_token_requests_per_minute(1000)).build().unwrap();
    let now = move || Timestamp::from_unix_seconds(time.load(Ordering::SeqCst));
    (
        Server::with_sources(policy, store, FromStore, now, seeded(1)).with_audit_log(trail, rules),
        clock,
    )
}

fn post<U: AuditLog>(server: &Server<Arc<TestStore>, FromStore, U>, params: &Params) -> Reply {
    let body = params.encode();
    server.token(&form(&body)).answered(server.policy())
}

fn check<U: AuditLog>(
    server: &Server<Arc<TestStore>, FromStore, U>,
    token: &str,
) -> Result<grantcore::Access, Refusal> {
    let header = format!("Bearer {token}");
    let needs = needs(server.policy(), 0, "");
    server.check(&Authorization::One(header.as_bytes()), &needs).outcome()
}

fn tokens<U: AuditLog>(server: &Server<Arc<TestStore>, FromStore, U>) -> Granted {
    let query = Params::authorize().encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let ticket = match server.authorize(&incoming, Some(ALICE)).unwrap() {
        grantcore::AuthorizationStep::NeedsConsent(page) => page.ticket(),
        other => panic!("{other:?}"),
    };
    let location = server.consent(&ticket, ALICE, Choice::Allow).unwrap().into_location();
    Granted::of(&post(server, &Params::redeem(&crate::support::param(&location, "code").unwrap())))
}

#[test]
fn audit_03_a_case_is_found_by_client_minute_and_error() {
    let (server, clock) = recorded(MemoryAuditLog::new(1000), AuditPolicy::default());
    // The time is 12:34 UTC.
    let noon = T / 86_400 * 86_400 + 12 * 3600 + 34 * 60;
    let refuse_at = |seconds: u64, client: &str, token: &str| {
        clock.store(seconds, Ordering::SeqCst);
        drop(post(&server, &Params::refresh(token).set("client_id", client)));
    };
    for seconds in
        [noon - 61, noon - 60, noon - 1, noon, noon + 59, noon + 60, noon + 119, noon + 120]
    {
        refuse_at(seconds, "app", "no token");
    }
    refuse_at(noon + 1, "app", "");
    refuse_at(noon + 2, "nobody", "no token");
    let around = |second: u64| Some(Timestamp::from_unix_seconds(second));
    for events in [noon, noon + 17, noon + 59] {
        let query = AuditQuery {
            client: Some("app"),
            error: Some("invalid_grant"),
            around: around(events),
            ..AuditQuery::default()
        };
        let found: Vec<_> = server
            .audit_log()
            .find(&query, 100)
            .iter()
            .map(|event| event.at.unix_seconds())
            .collect();
        assert_eq!(
            found,
            [noon - 60, noon - 1, noon, noon + 59, noon + 60, noon + 119],
            "12:33:00 to 12:35:59, in order"
        );
    }
    let find = |query: &AuditQuery<'_>| server.audit_log().find(query, 100).len();
    assert_eq!(
        find(&AuditQuery {
            client: Some("app"),
            error: Some("invalid_request"),
            around: around(noon),
            ..AuditQuery::default()
        }),
        1
    );
    assert_eq!(
        find(&AuditQuery { client: Some("nobody"), around: around(noon), ..AuditQuery::default() }),
        1,
        "found by the claimed name"
    );
    assert_eq!(
        find(&AuditQuery {
            client: Some("app"),
            around: around(noon + 7200),
            ..AuditQuery::default()
        }),
        0
    );
    assert_eq!(find(&AuditQuery { error: Some("invalid_grant"), ..AuditQuery::default() }), 8);
    assert_eq!(server.audit_log().find(&AuditQuery::default(), 3).len(), 3, "the latest entries");
}

#[test]
fn audit_03_from_the_case_to_its_whole_flow() {
    let (server, clock) = recorded(MemoryAuditLog::new(1000), AuditPolicy::default());
    let first = tokens(&server);
    tokens(&server);
    clock.fetch_add(3600, Ordering::SeqCst);
    let events = check(&server, &first.access).unwrap_err().sent(server.policy());
    let query = AuditQuery {
        client: Some("app"),
        error: events.error,
        around: Some(server.now()),
        ..AuditQuery::default()
    };
    let found = server.audit_log().find(&query, 10);
    assert_eq!((found.len(), found[0].reason), (1, Some(Reason::TokenExpired)));
    let flow =
        server.audit_log().find(&AuditQuery { flow: found[0].flow, ..AuditQuery::default() }, 10);
    let kinds: Vec<_> = flow.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["consent_shown", "consent_approved", "code_redeemed", "refused"]);
    let one = server
        .audit_log()
        .find(&AuditQuery { correlation: Some(found[0].correlation), ..AuditQuery::default() }, 10);
    assert_eq!(one, found);
}

#[test]
fn audit_03_the_log_in_memory_drops_the_oldest_events() {
    let (server, _) = recorded(MemoryAuditLog::new(5), AuditPolicy::default());
    for number in 0..9 {
        drop(post(&server, &Params::refresh("x").set("client_id", &format!("c{number}"))));
    }
    let kept: Vec<_> = server.audit_log().find(&AuditQuery::default(), 100);
    let names: Vec<_> = kept.iter().map(|event| event.client_id().unwrap()).collect();
    assert_eq!(names, ["c4", "c5", "c6", "c7", "c8"]);
}

#[test]
fn audit_08_times_are_the_servers_clock() {
    let world = World::new();
    for seconds in [0, 1, 59, 3600] {
        world.at(seconds);
        drop(world.token(&Params::refresh("x")));
        assert_eq!(world.events().pop().unwrap().at.unix_seconds(), T + seconds);
    }
}

/// An audit log that loses every event.
struct Lost;

impl AuditLog for Lost {
    type Reservation = ();

    fn record(&self, _: &Event, (): ()) -> Result<(), AuditError> {
        Err(AuditError)
    }

    fn abandoned(&self, _: Event) {}
}

#[test]
fn audit_08_a_failing_log_changes_no_response() {
    let (kept, _) = recorded(MemoryAuditLog::new(100), AuditPolicy::default());
    let (lost, _) = recorded(Lost, AuditPolicy::default());
    let one = tokens(&kept);
    let other = tokens(&lost);
    assert_eq!(one, other, "the same entropy gives the same responses");
    assert!(check(&lost, &other.access).is_ok());
    let bad = Params::refresh("x");
    let kept = post(&kept, &bad);
    let lost_reply = post(&lost, &bad);
    assert_eq!((kept.status, kept.body), (lost_reply.status, lost_reply.body));
    assert!(lost.revoke_user("alice", RevokedBy::SecurityEvent("")).is_ok());
}

#[test]
fn audit_08_with_fail_closed_a_failing_log_refuses_every_request() {
    let rules = AuditPolicy::default().with_fail_closed(true);
    let (server, _) = recorded(Lost, rules);
    let unrecorded = |reply: &Reply| {
        assert_eq!(
            (reply.status, json(reply)["error"].as_str()),
            (503, Some("temporarily_unavailable"))
        );
        assert_eq!(json(reply)["error_description"], Reason::AuditUnavailable.description());
        assert!(
            reply.header("retry-after").is_some() && reply.header("x-correlation-id").is_some()
        );
    };
    unrecorded(&post(&server, &Params::refresh("x")));
    unrecorded(&post(&server, &Params::refresh("x").without("grant_type")));
    let query = Params::authorize().encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let refusal = server.authorize(&incoming, Some(ALICE)).outcome().unwrap_err();
    assert_eq!((refusal.reason(), refusal.status()), (Reason::AuditUnavailable, 503));
    let refusal =
        server.revoke_user("alice", RevokedBy::SecurityEvent("")).unwrap_err().into_refusal();
    assert_eq!(refusal.reason(), Reason::AuditUnavailable);
    assert!(refusal.correlation().is_some());
    // The host still gets the error of a failing store.
    server.store().fail([Fault::Dropped]);
    assert_eq!(
        server.authorize(&incoming, Some(ALICE)).unwrap_err().failure().unwrap().store_error(),
        Some(&Broken)
    );
}

/// An audit log that loses every event while this is `true`.
struct Failing(Arc<AtomicBool>);

impl AuditLog for Failing {
    type Reservation = ();

    fn record(&self, _: &Event, (): ()) -> Result<(), AuditError> {
        if self.0.load(Ordering::SeqCst) { Err(AuditError) } else { Ok(()) }
    }

    fn abandoned(&self, _: Event) {}
}

#[test]
fn audit_08_with_fail_closed_a_call_whose_event_is_lost_is_withheld() {
    for routine in [false, true] {
        let fails = Arc::new(AtomicBool::new(false));
        let rules = AuditPolicy::default().with_fail_closed(true).with_routine(routine);
        let (server, _) = recorded(Failing(Arc::clone(&fails)), rules);
        let tokens = tokens(&server);
        assert!(check(&server, &tokens.access).is_ok());
        fails.store(true, Ordering::SeqCst);
        let withheld = |token: &str| {
            let refusal = check(&server, token).unwrap_err();
            assert_eq!((refusal.reason(), refusal.status()), (Reason::AuditUnavailable, 503));
            assert!(refusal.correlation().is_some());
        };
        withheld("x");
        // A call that is served has an event only if the policy wants it.
        if routine {
            withheld(&tokens.access);
        } else {
            assert!(check(&server, &tokens.access).is_ok());
        }
    }
}

/// Accepted calls are recorded only if the policy says so. Refusals are always recorded.
#[test]
fn audit_01_accepted_calls_are_recorded_by_setting() {
    for routine in [false, true] {
        let rules = AuditPolicy::default().with_routine(routine);
        let (server, _) = recorded(Arc::new(MemoryAuditLog::new(100)), rules);
        let tokens = tokens(&server);
        assert!(check(&server, &tokens.access).is_ok() && check(&server, "x").is_err());
        let kinds: Vec<_> = server
            .audit_log()
            .find(&AuditQuery::default(), 100)
            .iter()
            .map(|event| event.kind)
            .collect();
        assert_eq!(
            (kinds.contains(&EventKind::AccessAllowed), kinds.contains(&EventKind::Refused)),
            (routine, true)
        );
    }
}
