//! Tests of events as JSON: `golden/events.jsonl` has one line of each shape. Names and ids are
//! parsed back.

use grantcore::client::ClientStatus;
use grantcore::event::{Durability, EventClass, EventKind};
use grantcore::moment::CorrelationId;
use grantcore::{Authorization, Event, RevokedBy};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, document, metadata, with};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{World, needs, policy};

/// Steps whose events together have every field.
const GOLDEN: &str = include_str!("../golden/events.jsonl");

/// The members of an event's object.
const MEMBERS: [&str; 16] = [
    "kind",
    "reason",
    "detail",
    "at",
    "correlation",
    "flow",
    "client",
    "claimed",
    "subject",
    "source",
    "sent",
    "note",
    "dropped",
    "written",
    "prepared",
    "class",
];

/// The names of all kinds, classes and durabilities, which logs and databases store.
const NAMES: &str = "login_needed consent_shown consent_approved consent_remembered \
    consent_skipped code_redeemed machine_issued assertion_accepted tokens_refreshed \
    refresh_replayed_in_window grant_revoked grant_narrowed nothing_narrowed token_revoked \
    nothing_revoked connections_listed \
    access_allowed token_introspected inactive_introspected client_registered client_read \
    client_updated client_deleted client_deactivated client_reactivated client_grants_ended secret_rotated \
    account_grants_ended document_needed refused attributed unattributed durable unknown";

/// Returns one event of each shape, each from its own world.
fn events() -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |world: World, step: &dyn Fn(&World)| {
        let before = world.events().len();
        step(&world);
        events.extend(world.events().split_off(before));
    };
    // A step without a flow.
    add(World::new(), &|world| drop(world.authorize_as(&Params::authorize(), None)));
    // Steps of a flow, each of which writes its grant.
    add(World::new(), &|world| drop(world.tokens()));
    // A request whose scope was narrowed.
    let narrowed = Params::authorize().set("scope", "read openid");
    add(World::new(), &|world| drop(world.page(&narrowed)));
    // An unknown client id, which is unverified text.
    let unknown = Params::refresh("x").set("client_id", "nobody\u{1b}[2J");
    add(World::new(), &|world| drop(world.token(&unknown)));
    // A refusal with a challenge and an error, and one without an error.
    add(World::new(), &|world| drop(world.check("x", &[])));
    add(World::new(), &|world| {
        let needs = needs(world.server.policy(), 0, "");
        drop(world.server.check(&Authorization::None, &needs));
    });
    // A registration with a source, a name, and dropped members.
    let narrowed = with(metadata(), "logo_uri", "x");
    let narrowed = with(narrowed, "grant_types", vec!["authorization_code", "password"]);
    add(World::open(), &|world| drop(world.own(&narrowed)));
    // A document that is stored before the request is decided.
    add(World::open(), &|world| drop(world.page_with(&ask(DOCUMENT), &document())));
    // Actions of administrators.
    add(World::new(), &|world| {
        world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
        let revoked_by = RevokedBy::Administrator("left the company");
        drop(world.server.revoke_user("alice", revoked_by).unwrap());
    });
    // A write whose durability is unknown.
    let world = World::new();
    let refresh = Params::refresh(world.tokens().refresh());
    add(world, &|world| {
        world.store.fail([Fault::Unacknowledged]);
        drop(world.try_token(&refresh, Authorization::None));
    });
    events
}

#[test]
fn audit_01_an_event_serializes_to_stable_json() {
    let lines: Vec<_> =
        events().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let golden: Vec<_> = GOLDEN.lines().collect();
    assert_eq!(lines, golden, "an event's JSON has changed:\n{}", lines.join("\n"));
    let values: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for member in MEMBERS {
        assert!(values.iter().any(|value| value.get(member).is_some()), "no event has {member}");
    }
    for value in &values {
        for member in value.as_object().unwrap().keys() {
            assert!(MEMBERS.contains(&member.as_str()), "{member} is not documented");
        }
    }
}

/// The texts are those of `Display`, and each is parsed back.
#[test]
fn audit_01_the_names_in_an_event_are_read_back() {
    for event in events() {
        let value = serde_json::to_value(&event).unwrap();
        let text = |member: &str| value[member].as_str().unwrap();
        assert_eq!(text("kind").parse(), Ok(event.kind));
        assert_eq!(text("class").parse(), Ok(event.class()));
        assert_eq!(
            value.get("reason").map(|name| name.as_str().unwrap().parse().unwrap()),
            event.reason
        );
        assert_eq!(text("correlation").parse(), Ok(event.correlation));
        assert_eq!(value.get("flow").map(|id| id.as_str().unwrap().parse().unwrap()), event.flow);
        assert_eq!(value["at"], json!(event.at.unix_seconds()));
        if let Some(written) = event.written {
            let record = value["written"]["record"].as_str().unwrap();
            let version = value["written"]["version"].as_str();
            let spelled = version.map(|version| format!("{record} {version}"));
            assert_eq!(spelled.unwrap_or_else(|| record.to_owned()), written.record.to_string());
            let durability = value["written"]["durability"].as_str().unwrap();
            assert_eq!(Durability::from_name(durability), Some(written.durability));
        }
    }
    let kinds = EventKind::ALL.iter().map(|kind| kind.name());
    let classes = EventClass::ALL.iter().map(|class| class.name());
    let durabilities = Durability::ALL.iter().map(|durability| durability.name());
    let names: Vec<_> = kinds.chain(classes).chain(durabilities).collect();
    assert_eq!(names, NAMES.split(' ').collect::<Vec<_>>());
    for kind in EventKind::ALL {
        assert_eq!(
            (kind.to_string(), kind.as_ref(), kind.name().parse()),
            (kind.name().to_owned(), kind.name(), Ok(*kind))
        );
    }
    for class in EventClass::ALL {
        assert_eq!(EventClass::from_name(class.name()), Some(*class));
    }
    assert_eq!(EventKind::from_name("Refused"), None);
    let error = "refuse".parse::<EventKind>().unwrap_err();
    assert_eq!(error.to_string(), "the text is not the name of a kind of event");
}

#[test]
fn audit_05_a_correlation_id_is_read_back_from_its_text() {
    for bytes in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
        let id = CorrelationId::from_bytes(bytes);
        let text = id.to_string();
        assert_eq!((text.parse(), id.as_bytes(), text.len()), (Ok(id), &bytes, 32));
    }
    let zeros = "0".repeat(32);
    for other in ["", "0", &zeros[1..], &format!("{zeros}0"), &format!("+{}", &zeros[1..])] {
        assert!(other.parse::<CorrelationId>().is_err(), "{other}");
    }
    let upper = "ABCDEF0123456789ABCDEF0123456789";
    let error = upper.parse::<CorrelationId>().unwrap_err();
    let error: &dyn std::error::Error = &error;
    assert_eq!(error.to_string(), "a correlation id is 32 lowercase hexadecimal digits");
}

#[test]
fn audit_07_the_source_of_a_request_is_bounded_and_escaped() {
    let world = World::with(policy());
    drop(world.authorize_as(&Params::authorize(), None));
    let mut event = world.events().pop().unwrap();
    assert_eq!(event.source, None);
    for (source, kept) in
        [("203.0.113.9", Some("203.0.113.9")), ("a\r\nb", Some("a\\r\\nb")), ("", None)]
    {
        event.set_source(source);
        assert_eq!(event.source.as_deref(), kept, "{source:?}");
    }
    event.set_source(&"x".repeat(1000));
    assert!(event.source.is_some_and(|kept| kept.len() < 260 && kept.ends_with('…')));
}
