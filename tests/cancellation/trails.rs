//! Tests of audit logs: one that panics, one that is full, and the one in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use grantcore::audit::{AuditError, AuditPolicy, AuditQuery, MemoryAuditLog};
use grantcore::blocking::{AuditLog, Server};
use grantcore::event::{Durability, EventClass, EventKind};
use grantcore::{Choice, Event, FromStore, Reason};

use crate::cases::CASES;
use crate::slow::{Fixture, finish};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::TestStore;
use crate::support::{ALICE, Answered, Granted, World, json, seeded};

/// An audit log that can be made to panic, or to be full.
#[derive(Default)]
struct Troubled {
    panics: AtomicBool,
    is_full: AtomicBool,
    events: Mutex<Vec<Event>>,
}

impl AuditLog for Troubled {
    type Reservation = ();

    fn reserve(&self, _: &Event) -> Result<(), AuditError> {
        if self.is_full.load(Ordering::SeqCst) { Err(AuditError) } else { Ok(()) }
    }

    fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        assert!(!self.panics.load(Ordering::SeqCst), "the trail panics");
        if self.is_full.load(Ordering::SeqCst) {
            return Err(AuditError);
        }
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    fn abandoned(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// Returns a server over the store of this world, with such an audit log.
fn troubled(world: &World) -> Server<Arc<TestStore>, FromStore, Arc<Troubled>> {
    let rules = AuditPolicy::default().with_fail_closed(true);
    let now = world.now();
    Server::with_sources(
        world.server.policy().clone(),
        Arc::clone(&world.store),
        FromStore,
        move || now,
        seeded(3),
    )
    .with_audit_log(Arc::new(Troubled::default()), rules)
}

pub(crate) fn a_panic_is_reported() {
    let world = World::new();
    let server = troubled(&world);
    let body = Params::refresh(world.tokens().refresh()).encode();
    server.audit_log().panics.store(true, Ordering::SeqCst);
    let call = std::panic::AssertUnwindSafe(|| drop(server.token(&form(&body))));
    assert!(std::panic::catch_unwind(call).is_err());
    let events = server.audit_log().events.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::TokensRefreshed);
    assert_eq!(events[0].written.unwrap().durability, Durability::Durable);
}

/// With `fail_closed`, a full log refuses a request before its write, so the retry is no replay.
#[test]
fn audit_08_a_full_log_prevents_rotation_and_the_retry_succeeds() {
    let world = World::new();
    let first = world.tokens();
    let server = troubled(&world);
    let body = Params::refresh(first.refresh()).encode();
    let before = (world.store.commits(), world.grants());
    server.audit_log().is_full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let reply = server.token(&form(&body)).answered(server.policy());
        assert_eq!(
            (reply.status, json(&reply)["error"].as_str()),
            (503, Some("temporarily_unavailable"))
        );
        assert_eq!(json(&reply)["error_description"], Reason::AuditUnavailable.description());
    }
    assert_eq!((world.store.commits(), world.grants()), before, "nothing was written");
    server.audit_log().is_full.store(false, Ordering::SeqCst);
    let second = Granted::of(&server.token(&form(&body)).answered(server.policy()));
    assert!(world.works(&second.access));
    let events = server.audit_log().events.lock().unwrap();
    assert_eq!(events.last().unwrap().kind, EventKind::TokensRefreshed);
}

/// A full log prevents the write of every operation.
#[test]
fn audit_08_with_a_full_log_no_operation_writes() {
    for case in &CASES {
        let fixture = Fixture::fail_closed();
        let run = (case.prepare)(&fixture.world);
        fixture.trail.is_full.store(true, Ordering::SeqCst);
        finish(run(&fixture.server));
        assert_eq!(fixture.store.durable.lock().unwrap().len(), 0, "{}", case.name);
        let last = fixture.observed.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last.reason, Some(Reason::AuditUnavailable), "{}", case.name);
        assert!(!last.has_written(), "{}", case.name);
    }
}

/// An event that arrives twice, from its record and from the guard, is stored once.
#[test]
fn i45_the_log_in_memory_keeps_one_event_of_each_correlation_and_kind() {
    let world = World::new();
    world.tokens();
    let trail = MemoryAuditLog::new(100);
    for event in world.events() {
        AuditLog::record(&trail, &event, ()).unwrap();
        AuditLog::abandoned(&trail, event);
    }
    assert_eq!(trail.find(&AuditQuery::default(), 100).len(), world.events().len());
}

/// Four times as many unattributed refusals as there are places displace no event of a flow.
#[test]
fn i46_unattributed_events_displace_no_event_of_a_flow() {
    let world = World::new();
    world.tokens();
    let own = world.events();
    let trail = MemoryAuditLog::new(10);
    for event in &own {
        AuditLog::record(&trail, event, ()).unwrap();
    }
    for number in 0..40 {
        drop(world.token(&Params::refresh("x").set("client_id", &format!("c{number}"))));
        AuditLog::record(&trail, world.events().last().unwrap(), ()).unwrap();
    }
    let kept = trail.find(&AuditQuery::default(), 100);
    assert_eq!(kept.len(), 10);
    assert!(own.iter().all(|event| kept.contains(event)));
}

/// Lists the class of each kind of event.
#[test]
fn i46_an_event_is_attributed_to_a_live_flow_an_authenticated_client_or_the_operator() {
    use EventClass::{Attributed, Unattributed};
    let fixture = Fixture::new();
    let world = &fixture.world;
    let class = |step: &dyn Fn()| {
        step();
        world.events().last().unwrap().class()
    };
    let tokens = world.tokens();
    let own = world.own(&crate::support::clients::confidential());
    let rows: [(&str, EventClass, &dyn Fn()); 15] = [
        ("a client that registered itself, no flow", Unattributed, &|| {
            drop(world.token(&own.proven(Params::refresh("x"))));
        }),
        ("a registration that is read", Unattributed, &|| {
            drop(world.manage("GET", &own.id, &own.token, &serde_json::Value::Null));
        }),
        ("a connection that does not exist", Unattributed, &|| {
            let grant = grantcore::value::GrantId::from_bytes([7; 16]);
            drop(world.server.revoke_connection(ALICE.subject(), grant));
        }),
        ("nobody is signed in", Unattributed, &|| {
            drop(world.authorize_as(&Params::authorize(), None));
        }),
        ("a page for a user", Attributed, &|| drop(world.page(&Params::authorize()))),
        ("an unknown client", Unattributed, &|| {
            drop(world.token(&Params::refresh("x").set("client_id", "nobody")));
        }),
        ("a public client, no flow", Unattributed, &|| drop(world.token(&Params::refresh("x")))),
        ("a confidential client, no flow", Attributed, &|| {
            drop(world.token(&Params::refresh("x").by_web()));
        }),
        ("a wrong secret", Unattributed, &|| {
            drop(world.token(&Params::refresh("x").by_web().set("client_secret", "no")));
        }),
        ("no ticket", Unattributed, &|| drop(world.decide("x", Choice::Allow))),
        ("no token", Unattributed, &|| drop(world.check("x", &[]))),
        ("a scope that a live token lacks", Attributed, &|| {
            drop(world.check(&tokens.access, &["admin"]));
        }),
        ("a registration", Unattributed, &|| {
            drop(world.register(&crate::support::clients::metadata()));
        }),
        ("the operator", Attributed, &|| {
            drop(world.server.revoke_client("nobody", grantcore::RevokedBy::Administrator("x")));
        }),
        ("the end of a flow", Attributed, &|| {
            let grant = world.grants()[0].record.id();
            drop(world.server.revoke_connection(ALICE.subject(), grant));
        }),
    ];
    for (name, expected, step) in rows {
        assert_eq!(class(step), expected, "{name}");
    }
    for grant in world.grants() {
        drop(world.server.revoke_connection(ALICE.subject(), grant.record.id()));
    }
    assert_eq!(class(&|| drop(world.check(&tokens.access, &[]))), Unattributed, "a dead token");
}
