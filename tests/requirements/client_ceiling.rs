//! Tests of CLIENT-09: what a client that registered itself may ask for.

use grantcore::client::Registration;
use grantcore::policy::{PolicyError, RegistrationRules, ScopesError};
use grantcore::reason::ErrorCode;
use grantcore::value::ScopeError;
use grantcore::{Policy, Reason};
use serde_json::json;

use crate::support::clients::{ask, metadata, with};
use crate::support::refused::{assert_error_url, refused};
use crate::support::{CALLBACK, ISSUER, MCP, World, json as body};

use crate::client_bounds::open;

#[test]
fn client_09_a_registered_client_is_marked_and_not_trusted() {
    let world = World::open();
    let own = world.own(&metadata());
    let client = world.client(&own.id).unwrap();
    assert_eq!((client.registration(), client.is_trusted()), (Registration::Dynamic, false));
    assert_eq!(world.page(&ask(&own.id)).registration(), Registration::Dynamic);
    // An error is shown on a page with a link. It is not redirected.
    let refusal = refused(&world, &ask(&own.id).set("scope", "x"));
    let problem = refusal.problem(world.server.policy());
    assert_eq!(
        (refusal.location(world.server.policy()), problem.status, problem.code),
        (None, 400, Some(ErrorCode::InvalidScope))
    );
    assert_error_url(
        problem.continue_url.as_deref().unwrap(),
        CALLBACK,
        Some("xyz"),
        "invalid_scope",
        Reason::ScopeUnknown,
    );
    assert!(
        refused(&world, &ask("app").set("scope", "x")).location(world.server.policy()).is_some(),
        "an operator's client is trusted"
    );
}

type Ceiling =
    (Option<&'static str>, &'static str, &'static [&'static str], &'static [&'static str]);

/// The requested scope, the registered scope, and scopes that a later authorization may or may not
/// request. The ceiling is `read write`.
const CEILING: [Ceiling; 7] = [
    (None, "read write", &["read", "write", "read write"], &["admin", "read admin"]),
    (Some(""), "read write", &["read write"], &["admin"]),
    (Some("read"), "read", &["read"], &["write", "read write", "admin"]),
    (Some("admin read x"), "read write", &["read write"], &["admin", "read admin"]),
    (Some("admin"), "read write", &["read write"], &["admin"]),
    (Some("offline_access write"), "read write", &["read write"], &["admin"]),
    (Some("openid profile email write"), "read write", &["read write"], &["admin"]),
];

#[test]
fn client_09_the_scope_is_narrowed_to_the_ceiling() {
    let world = World::with(open().unverified_scope("read write"));
    for (requested, response, may, may_not) in CEILING {
        let own = world.own(&with(metadata(), "scope", requested));
        assert_eq!(own.response["scope"], response, "{requested:?}");
        assert_eq!(world.client(&own.id).unwrap().scope().unwrap().as_str(), response);
        for scope in may {
            world.page(&ask(&own.id).set("scope", scope));
        }
        for scope in may_not {
            let refusal = refused(&world, &ask(&own.id).set("scope", scope));
            let problem = refusal.problem(world.server.policy());
            assert_eq!(
                (problem.code, refusal.reason()),
                (Some(ErrorCode::InvalidScope), Reason::ScopeForbidden),
                "{requested:?}, then {scope}"
            );
        }
    }
    world.page(&ask("app").set("scope", "admin"));
}

#[test]
fn client_09_without_a_ceiling_a_client_is_limited_to_its_registered_scope() {
    let world = World::open();
    for (requested, response) in [
        (None, "read write admin"),
        (Some("admin"), "admin"),
        (Some("x"), "read write admin"),
        (Some("write x"), "read write admin"),
        (Some("read write"), "read write"),
    ] {
        let own = world.own(&with(metadata(), "scope", requested));
        assert_eq!(own.response["scope"], response);
        for scope in ["read", "write", "admin"] {
            let open = response.split(' ').any(|token| token == scope);
            assert_eq!(
                world.authorize(&ask(&own.id).set("scope", scope)).is_ok(),
                open,
                "{requested:?}, then {scope}"
            );
        }
    }
}

/// The ceiling limits every authorization. It also limits a client that registered under a higher
/// ceiling.
#[test]
fn client_09_a_lowered_ceiling_applies_to_earlier_clients() {
    let before = World::open();
    let own = [None, Some("read admin")].map(|scope| before.own(&with(metadata(), "scope", scope)));
    let after = World::with(open().unverified_scope("read"));
    for own in &own {
        after.put(before.client(&own.id).unwrap());
        assert_eq!(
            refused(&after, &ask(&own.id).set("scope", "admin")).reason(),
            Reason::ScopeForbidden
        );
        assert_eq!(
            refused(&after, &ask(&own.id).set("scope", "read admin")).reason(),
            Reason::ScopeForbidden
        );
        after.page(&ask(&own.id).set("scope", "read"));
        assert_eq!(
            body(&after.manage("GET", &own.id, &own.token, &json!({})))["scope"],
            "read",
            "the response shows it"
        );
    }
    after.page(&ask("app").set("scope", "admin"));
}

#[test]
fn client_09_a_ceiling_has_known_scopes_and_a_part_of_the_default() {
    let built = |ceiling: &str| open().unverified_scope(ceiling).build().err();
    assert_eq!([built("read"), built("read admin")], [None, None]);
    let setting = "unverified_scope";
    let undeclared = PolicyError::Scopes(ScopesError::Undeclared { setting, scope: "x".into() });
    let empty = PolicyError::Scopes(ScopesError::List {
        setting,
        scope: String::new(),
        error: ScopeError::Empty,
    });
    let useless = PolicyError::Scopes(ScopesError::Unverified {
        feature: "registration",
        unverified_scope: "write".into(),
        default_scope: "read".into(),
    });
    assert_eq!(
        [built("x"), built(""), built("write")],
        [Some(undeclared), Some(empty), Some(useless)]
    );
    assert!(
        Policy::builder(ISSUER)
            .resource(MCP, "")
            .registration(RegistrationRules::default())
            .build()
            .is_ok()
    );
}
