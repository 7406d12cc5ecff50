//! Tests of CLIENTPOLICY-13: scopes that clients send by habit.

use grantcore::event::EventKind;
use grantcore::{Choice, Policy, Reason};

use crate::support::params::Params;
use crate::support::refused::{assert_redir, refused};
use crate::support::{Granted, ISSUER, MCP, World, assert_refused, json, param, policy};

const HABIT: &str = "openid profile email offline_access";

fn ask(scope: &str) -> Params {
    Params::authorize().set("scope", scope)
}

/// Runs a whole flow, and returns the scope of the token response.
fn granted(world: &World, scope: &str) -> String {
    let ticket = world.page(&ask(scope)).ticket();
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    let reply = world.token(&Params::redeem(&param(&location, "code").unwrap()));
    let body = json(&reply);
    assert_eq!(body.get("id_token"), None);
    body["scope"].as_str().unwrap().to_owned()
}

#[test]
fn clientpolicy_13_habitual_scopes_are_dropped_unless_declared() {
    let world = World::new();
    for (requested, wanted) in [
        (&*format!("{HABIT} write"), "write"),
        ("openid write read", "read write"),
        // Only these: the default scope.
        (HABIT, "read"),
        ("openid", "read"),
        ("offline_access", "read"),
    ] {
        assert_eq!(granted(&world, requested), wanted, "{requested}");
    }
    let declared = World::with(policy().scope("email", "Read your address"));
    assert_eq!(granted(&declared, "openid email"), "email");
}

#[test]
fn clientpolicy_13_the_event_names_the_dropped_scopes() {
    let world = World::new();
    let detail = |kind| {
        let events = world.events();
        let event = events.iter().rfind(|event| event.kind == kind).unwrap();
        event.detail.as_deref().map(str::to_owned)
    };
    drop(world.page(&ask("openid email write")));
    let dropped = Some("scope_dropped: 'openid', 'email'.".to_owned());
    assert_eq!(detail(EventKind::ConsentShown), dropped);
    drop(world.authorize_as(&ask("openid email write"), None));
    assert_eq!(detail(EventKind::LoginNeeded), dropped);
    drop(world.page(&ask("write")));
    assert_eq!(detail(EventKind::ConsentShown), None);
}

#[test]
fn clientpolicy_13_a_refresh_drops_the_same() {
    let world = World::new();
    let mut tokens = world.tokens();
    for (requested, wanted) in
        [(&*format!("{HABIT} read"), "read"), (HABIT, "read write"), ("openid", "read write")]
    {
        let reply = world.token(&Params::refresh(tokens.refresh()).and("scope", requested));
        assert_eq!(json(&reply)["scope"], wanted, "{requested}");
        let event = world.events().pop().unwrap();
        assert_eq!(event.kind, EventKind::TokensRefreshed);
        assert!(event.detail.unwrap().starts_with("scope_dropped: 'openid'"));
        tokens = Granted::of(&reply);
    }
    let reply = world.token(&Params::refresh(tokens.refresh()).and("scope", "read admin x"));
    assert_refused(&world, &reply, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    let description = json(&reply)["error_description"].as_str().unwrap().to_owned();
    assert!(description.ends_with(" Beyond the grant: 'admin', 'x'."), "{description}");
}

#[test]
fn clientpolicy_13_a_refresh_drops_unknown_scopes_as_authorization_does() {
    let world = World::with(policy().drop_unknown_scopes(true));
    let tokens = world.tokens();
    let reply = world.token(&Params::refresh(tokens.refresh()).and("scope", "read x"));
    assert_eq!((reply.status, &json(&reply)["scope"]), (200, &"read".into()));
    // A declared scope that was not granted exceeds the grant.
    let tokens = Granted::of(&reply);
    let reply = world.token(&Params::refresh(tokens.refresh()).and("scope", "read admin"));
    assert_refused(&world, &reply, 400, "invalid_scope", Reason::ScopeBeyondGrant);
}

#[test]
fn clientpolicy_13_other_unknown_scopes_are_refused_by_name() {
    let world = World::new();
    let refusal = refused(&world, &ask("openid read x"));
    assert_redir(&world, &refusal, "invalid_scope", Reason::ScopeUnknown);
    assert!(refusal.description().contains("Unknown: 'x'."), "{}", refusal.description());
}

/// A refresh notes the scope tokens that it drops, and none that was granted, also if the policy
/// does not declare it any more.
#[test]
fn clientpolicy_13_a_scope_that_was_granted_is_not_noted_as_dropped() {
    let declared = || {
        Policy::builder(ISSUER)
            .scope("read", "Read your notes")
            .default_scope("read")
            .resource(MCP, "read")
            .drop_unknown_scopes(true)
    };
    let before = declared().scope("write", "Change your notes");
    let world = World::with(before);
    let code = world.code(&Params::authorize());
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let later = world.beside(declared().build().unwrap(), 2);
    let is_noted = || {
        let detail = later.events().pop().unwrap().detail;
        detail.is_some_and(|detail| detail.contains("scope_dropped"))
    };
    let reply = later.token(&Params::refresh(tokens.refresh()).set("scope", "read other"));
    assert!(is_noted());
    let tokens = Granted::of(&reply);
    let _ = later.token(&Params::refresh(tokens.refresh()).set("scope", "read write"));
    assert!(!is_noted());
}
