//! Tests of HOST-01 to HOST-09: the properties that a host binds to a grant.

use std::error::Error as _;

use grantcore::account::GrantChanges;
use grantcore::event::EventKind;
use grantcore::grant::Grant;
use grantcore::policy::{IntrospectionRules, PolicyError, RegistrationRules};
use grantcore::request::ConsentDecision;
use grantcore::value::{Properties, PropertiesError};
use grantcore::{Authorization, AuthorizationStep, Choice};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::host::{allow, properties};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{ALICE, Granted, MCP, Outcome, World, json, policy, property, user};

/// Returns an object of this many bytes.
fn of_bytes(bytes: usize) -> String {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8))
}

/// Returns an object of this many levels.
fn of_levels(levels: usize) -> String {
    format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
}

#[test]
fn host_01_properties_are_one_bounded_object() {
    assert_eq!(Properties::parse(of_bytes(4096)).unwrap().as_str().len(), 4096);
    let error = Properties::parse(of_bytes(4097)).unwrap_err();
    assert_eq!(error, PropertiesError::TooLong { bytes: 4097, limit: 4096 });
    assert!(Properties::parse(of_levels(16)).is_ok());
    for (text, error) in [
        ("[]", PropertiesError::NotAnObject),
        ("1", PropertiesError::NotAnObject),
        ("\"a\"", PropertiesError::NotAnObject),
        ("null", PropertiesError::NotAnObject),
        ("true", PropertiesError::NotAnObject),
        ("", PropertiesError::NotAnObject),
        ("{} {}", PropertiesError::NotAnObject),
        ("{}x", PropertiesError::NotAnObject),
        ("{\"a\":1,}", PropertiesError::NotAnObject),
        ("{\"a\":\"\\ud800\"}", PropertiesError::NotAnObject),
        (r#"{"a":1,"b":2,"a":1}"#, PropertiesError::RepeatedMember),
        (r#"{"b":[{"a":1,"\u0061":2}]}"#, PropertiesError::RepeatedMember),
        (&of_levels(17), PropertiesError::TooDeep),
        (&of_levels(1000), PropertiesError::TooDeep),
    ] {
        assert_eq!(Properties::parse(text), Err(error), "{text}");
        assert_eq!(text.parse::<Properties>(), Err(error), "{text}");
    }
    // One member in two objects is no repetition.
    assert!(Properties::parse(r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#).is_ok());
    // A host with larger ones says so, up to a limit.
    assert!(Properties::parse_within(of_bytes(4097), 5000).is_ok());
    assert!(Properties::parse_within(of_bytes(64 * 1024), usize::MAX).is_ok());
    assert!(Properties::parse_within(of_bytes(64 * 1024 + 1), usize::MAX).is_err());
}

#[test]
fn host_01_properties_are_kept_byte_for_byte() {
    let world = World::new();
    for text in [
        of_bytes(4096),
        " { \"b\" : 1.0e2 , \"a\" : \"\\u00e9 é \\/ \u{2028}\" }\n".to_owned(),
        "{\"z\":1,\"a\":-0.0,\"\":null,\"big\":12345678901234567890}".to_owned(),
    ] {
        let tokens = world.tokens_with(&text);
        assert_eq!(world.properties_of(&tokens.access), Some(text.clone()));
        let refreshed = world.refreshed(tokens.refresh());
        assert_eq!(world.properties_of(&refreshed.access), Some(text));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    org: String,
    seats: u32,
}

#[test]
fn host_01_properties_are_written_and_read_as_a_type_of_the_host() {
    let plan = Plan { org: "acme".to_owned(), seats: 3 };
    let written = Properties::of(&plan).unwrap();
    assert_eq!(written.as_str(), r#"{"org":"acme","seats":3}"#);
    assert_eq!(written.read::<Plan>().unwrap(), plan);
    assert_eq!(Properties::of(&[1]), Err(PropertiesError::NotAnObject));
    assert_eq!(Properties::of(&"x".repeat(9)), Err(PropertiesError::NotAnObject));
    let error = properties(r#"{"org":"a-canary","seats":"a-canary"}"#).read::<Plan>().unwrap_err();
    assert!(matches!(error, PropertiesError::Mismatch { column: 36 }), "{error:?}");
    assert!(!error.to_string().contains("canary") && error.source().is_none());
}

/// A denial with properties is a denial.
#[test]
fn host_01_a_denial_ignores_properties() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let decision = ConsentDecision::new(&ticket, ALICE, Choice::Deny).unwrap();
    let decision = decision.with_properties(properties(r#"{"org":"acme"}"#));
    assert!(world.server.run(decision).outcome().is_err());
    assert_eq!(world.only_grant().properties(), None);
}

/// future-agi/future-agi#1139: a token followed its user to the user's present organization.
#[test]
fn host_02_properties_belong_to_one_grant() {
    let world = World::new();
    let first = world.tokens_with(r#"{"org":"acme"}"#);
    let second = world.tokens_with(r#"{"org":"globex"}"#);
    let both = |first: &Granted, second: &Granted| {
        (world.properties_of(&first.access), world.properties_of(&second.access))
    };
    let expected = (Some(r#"{"org":"acme"}"#.to_owned()), Some(r#"{"org":"globex"}"#.to_owned()));
    assert_eq!(both(&first, &second), expected);
    let refreshed = world.refreshed(first.refresh());
    assert_eq!(both(&refreshed, &second), expected);
    // A later consent without properties takes none from the others, and gives them none.
    let third = world.tokens();
    assert_eq!(world.properties_of(&third.access), None);
    let grant = world.access(&second.access).grant_id();
    world.server.revoke_connection("alice", grant).unwrap();
    assert_eq!(world.properties_of(&refreshed.access), expected.0);
}

/// superset-sh/superset#5736: any organization that a token or a request named was believed.
#[test]
fn host_03_nothing_of_a_request_sets_properties() {
    property::check(&words(), |words| {
        let world = World::new();
        let own = r#"{"org":"acme"}"#;
        let has_own = |token: &str| world.properties_of(token).as_deref() == Some(own);
        let named = |params: Params| {
            words.iter().fold(params, |params, (name, value)| params.and(name, value))
        };
        let ticket = world.page(&named(Params::authorize())).ticket();
        let code = world.approved(allow(&ticket).with_properties(properties(own)));
        let first = Granted::of(&world.token(&named(Params::redeem(&code))));
        prop_assert!(has_own(&first.access));
        let second = Granted::of(&world.token(&named(Params::refresh(first.refresh()))));
        prop_assert!(has_own(&second.access));
        prop_assert!(has_own(&first.access));
        Ok(())
    });
}

/// Parameters that a client could hope to be read, each with any value.
fn words() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let names = ["properties", "props", "org", "organization", "tenant", "claims", "metadata"];
    let value = prop_oneof![Just(r#"{"org":"evil"}"#.to_owned()), "[ -~]{0,40}"];
    proptest::collection::btree_map(proptest::sample::select(names.to_vec()), value, 1..5)
        .prop_map(|words| words.into_iter().collect())
}

/// bagofwords1/bagofwords#345: the consent took the organization that was active in the browser,
/// and not the one of the page.
#[test]
fn host_03_the_answers_of_two_pages_do_not_mix() {
    let world = World::new();
    let acme = world.page(&Params::authorize()).ticket();
    let globex = world.page(&Params::authorize().set("state", "other")).ticket();
    // The second page is answered first.
    let second = world.approved(allow(&globex).with_properties(properties(r#"{"org":"globex"}"#)));
    let first = world.approved(allow(&acme).with_properties(properties(r#"{"org":"acme"}"#)));
    let org = |code: &str| {
        let tokens = Granted::of(&world.token(&Params::redeem(code)));
        world.properties_of(&tokens.access)
    };
    assert_eq!(org(&first).as_deref(), Some(r#"{"org":"acme"}"#));
    assert_eq!(org(&second).as_deref(), Some(r#"{"org":"globex"}"#));
    // An answer by another user sets nothing.
    let ticket = world.page(&Params::authorize()).ticket();
    let bob = user("bob", b"bob's browser");
    let by_bob = ConsentDecision::new(&ticket, bob, Choice::Allow).unwrap();
    let by_bob = by_bob.with_properties(properties(r#"{"org":"evil"}"#));
    assert!(world.server.run(by_bob).outcome().is_err());
    let tokens = Granted::of(&world.token(&Params::redeem(&world.approved(allow(&ticket)))));
    assert_eq!(world.properties_of(&tokens.access), None);
}

/// The check borrows the properties from the record: `tests/allocations.rs` counts what it
/// allocates.
#[test]
fn host_04_a_check_borrows_the_properties_from_the_record() {
    let world = World::new();
    let tokens = world.tokens_with(r#"{"org":"acme"}"#);
    let in_record = |access: &grantcore::Access| access.properties().unwrap().as_str().as_ptr();
    let stored = world.grants().remove(0).record;
    let access = world.access(&tokens.access);
    assert_eq!(in_record(&access), stored.properties().unwrap().as_str().as_ptr());
}

#[test]
fn host_05_none_and_the_empty_object_differ() {
    let world = World::new();
    for (text, expected) in [(None, None), (Some("{}"), Some("{}"))] {
        let tokens = match text {
            Some(text) => world.tokens_with(text),
            None => world.tokens(),
        };
        let access = world.access(&tokens.access);
        assert_eq!(access.properties().map(Properties::as_str), expected);
        let grants = world.grants();
        let grant = grants.iter().find(|own| own.record.id() == access.grant_id()).unwrap();
        let text = serde_json::to_string(&*grant.record).unwrap();
        let read: Grant = serde_json::from_str(&text).unwrap();
        assert_eq!(read.properties().map(Properties::as_str), expected);
        let bytes = postcard::to_allocvec(&*grant.record).unwrap();
        let read: Grant = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(read.properties().map(Properties::as_str), expected);
    }
}

fn introspection() -> IntrospectionRules {
    IntrospectionRules::default().with_resource_server("web", MCP)
}

#[test]
fn host_06_introspection_shows_properties_under_the_member_of_the_policy_only() {
    let world = World::with(policy().introspection(introspection()));
    let tokens = world.tokens_with(r#"{"org":"acme"}"#);
    let shown = json(&world.introspected(&tokens.access));
    assert_eq!(shown["active"], true);
    assert!(!shown.to_string().contains("acme"), "{shown}");
    let world = World::with(policy().introspection(introspection().with_properties("org")));
    let text = r#"{"id" : 1.50, "b":[{}], "a":"é"}"#;
    let tokens = world.tokens_with(text);
    let reply = world.introspected(&tokens.access);
    assert!(reply.body.ends_with(&format!(",\"org\":{text}}}")), "{}", reply.body);
    assert_eq!(json(&reply)["org"]["b"], json(&reply)["org"]["b"]);
    // None: no member. Not active: nothing.
    let none = json(&world.introspected(&world.tokens().access));
    assert_eq!((none["active"].as_bool(), none.get("org")), (Some(true), None));
    assert_eq!(world.introspected("gat_x").body, r#"{"active":false}"#);
}

#[test]
fn host_06_the_member_has_no_name_of_the_protocol() {
    for name in ["", "active", "scope", "sub", "aud", "iss", "exp", "cnf", "auth_time", "acr"] {
        let error = policy().introspection(introspection().with_properties(name)).build();
        let error = error.unwrap_err();
        assert_eq!(error, PolicyError::IntrospectionMember { member: name.to_owned() });
        assert!(error.to_string().contains("IntrospectionRules::with_properties()"));
    }
}

#[test]
fn host_07_a_connection_has_the_properties() {
    let world = World::new();
    let tokens = world.tokens_with(r#"{"org":"Acme Ltd"}"#);
    let page = world.server.connections("alice", None, 10).unwrap();
    let [connection] = &*page.entries else { panic!("one connection") };
    assert_eq!(connection.properties(), world.access(&tokens.access).properties());
    assert_eq!(connection.properties().map(Properties::as_str), Some(r#"{"org":"Acme Ltd"}"#));
}

#[test]
fn host_08_properties_are_in_no_event_and_no_debug_text() {
    const CANARY: &str = "canary-4711";
    let world = World::with(policy().introspection(introspection().with_properties("org")));
    let text = format!("{{\"org\":\"{CANARY}\"}}");
    let page = world.page(&Params::authorize());
    let decision = allow(&page.ticket()).with_properties(properties(&text));
    assert!(!format!("{decision:?}").contains(CANARY));
    let code = world.approved(decision);
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let access = world.access(&tokens.access);
    let judged =
        GrantChanges::default().with_properties(properties(&format!("{{\"n\":\"{CANARY}\"}}")));
    assert!(!format!("{judged:?}").contains(CANARY));
    world.store.judge(judged);
    let refreshed = world.refreshed(tokens.refresh());
    assert!(world.introspected(&refreshed.access).body.contains(CANARY));
    let page = world.server.connections("alice", None, 10).unwrap();
    assert_eq!(world.token(&Params::refresh(tokens.refresh())).status, 400);
    let shown = [
        format!("{access:?} {page:?} {:?} {:#?}", world.only_grant(), world.only_grant()),
        format!("{:?}", world.events()),
        world.events().iter().map(ToString::to_string).collect(),
        serde_json::to_string(&world.events()).unwrap(),
    ];
    assert!(shown.iter().all(|text| !text.contains(CANARY)), "{shown:?}");
    assert!(shown[0].contains("Properties(21 bytes)"), "{}", shown[0]);
    assert!(world.events().iter().any(|event| event.kind == EventKind::TokensRefreshed));
    // An error has no part of a text either.
    let error = Properties::parse(format!("{{\"{CANARY}\":1,\"{CANARY}\":1}}")).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(CANARY));
}

#[test]
fn host_09_the_consent_page_names_its_grant() {
    let world = World::new();
    let Ok(AuthorizationStep::NeedsConsent(page)) = world.authorize(&Params::authorize()) else {
        panic!("no page")
    };
    let shown = world.events().pop().unwrap();
    assert_eq!((shown.kind, shown.flow), (EventKind::ConsentShown, Some(page.grant_id())));
    let code = world.approved(allow(&page.ticket()));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    assert_eq!(world.access(&tokens.access).grant_id(), page.grant_id());
    let connections = world.server.connections("alice", None, 10).unwrap();
    assert_eq!(connections.entries[0].grant_id(), page.grant_id());
}

/// Whatever is refreshed and judged, the properties at the check are those of the consent or of the
/// last decision that was written.
#[test]
fn i51_properties_are_those_of_the_consent_or_of_the_last_decision() {
    let step =
        prop_oneof![Just(None), (0..3_u8).prop_map(|number| Some(format!("{{\"n\":{number}}}"))),];
    property::check(&proptest::collection::vec((step, any::<bool>()), 1..6), |steps| {
        let world = World::new();
        let mut tokens = world.tokens_with(r#"{"n":9}"#);
        let first = tokens.access.clone();
        let mut expected = r#"{"n":9}"#.to_owned();
        for (judged, is_lost) in steps {
            let changes = GrantChanges::default();
            world.store.judge(match &judged {
                Some(text) => changes.with_properties(properties(text)),
                None => changes,
            });
            if is_lost {
                // The write is lost: nothing has changed.
                world.store.fail([Fault::Dropped]);
                let refresh = Params::refresh(tokens.refresh());
                let sent = world.try_token(&refresh, Authorization::None);
                prop_assert!(sent.is_err());
            } else {
                tokens = world.refreshed(tokens.refresh());
                expected = judged.unwrap_or(expected);
            }
            prop_assert_eq!(world.properties_of(&tokens.access), Some(expected.clone()));
            prop_assert_eq!(world.properties_of(&first), Some(expected.clone()));
        }
        Ok(())
    });
}

/// A client that registered itself gains nothing by members of its metadata.
#[test]
fn host_03_a_registration_sets_no_properties() {
    let world = World::with(policy().registration(RegistrationRules::default()));
    let mut metadata = crate::support::clients::metadata();
    metadata["properties"] = serde_json::json!({ "org": "evil" });
    let registered = world.registered(&metadata);
    let id = registered["client_id"].as_str().unwrap();
    let redirect = metadata["redirect_uris"][0].as_str().unwrap();
    let params = Params::authorize().set("client_id", id).set("redirect_uri", redirect);
    let code = world.approved(allow(&world.page(&params).ticket()));
    let redeem = Params::redeem(&code).set("client_id", id).set("redirect_uri", redirect);
    let tokens = Granted::of(&world.token(&redeem));
    assert_eq!(world.properties_of(&tokens.access), None);
}

#[test]
fn host_01_properties_are_an_object() {
    for text in ["1.5", "-1", "1", "true", "null", "[]", r#""x""#] {
        assert_eq!(Properties::parse(text), Err(PropertiesError::NotAnObject), "{text}");
    }
}
