//! Tests of AUDIT-01, -02, -06 and -07: the events of each step, their links to requests and flows,
//! and what they must not contain.

use grantcore::client::ClientStatus;
use grantcore::event::{EventClass, EventKind};
use grantcore::policy::{IntrospectionRules, RegistrationRules, RevocationRules};
use grantcore::reason::Endpoint;
use grantcore::{Authorization, Choice, Event, Reason, Refusal, RevokedBy};

use crate::store_secrets::found;
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{
    ALICE, Answered, Granted, Outcome, SECRET, VERIFIER, World, json, needs, policy,
};

pub(crate) fn world() -> World {
    let rules = IntrospectionRules::default().with_resource_server("web", crate::support::MCP);
    let policy = policy()
        .revocation(RevocationRules::default())
        .registration(RegistrationRules::default())
        .introspection(rules);
    World::with(policy)
}

/// Returns a form of the client `app` that names this token.
fn naming(token: &str) -> Params {
    Params::refresh("x").without("grant_type").without("refresh_token").and("token", token)
}

/// Runs a step, and returns its only event.
#[track_caller]
fn one(world: &World, step: impl FnOnce(&World)) -> Event {
    let before = world.events().len();
    step(world);
    let mut events = world.events().split_off(before);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

/// Asserts that a successful step has one event of this kind.
#[track_caller]
fn does(world: &World, kind: EventKind, step: impl FnOnce(&World)) {
    let event = one(world, step);
    assert_eq!((event.kind, event.reason, &event.sent), (kind, None, &None));
}

/// Asserts that a refused step has one event with this reason.
#[track_caller]
fn refuses(world: &World, reason: Reason, step: impl FnOnce(&World)) {
    let event = one(world, step);
    assert_eq!((event.kind, event.reason), (EventKind::Refused, Some(reason)));
    assert!(event.sent.is_some());
}

#[test]
fn audit_01_each_step_of_a_flow_is_one_event() {
    let world = world();
    let mut ticket = String::new();
    let mut code = String::new();
    let mut tokens = None;
    does(&world, EventKind::ClientRegistered, |world| drop(world.registered(&metadata())));
    does(&world, EventKind::LoginNeeded, |world| {
        drop(world.authorize_as(&Params::authorize(), None));
    });
    does(&world, EventKind::ConsentShown, |world| {
        ticket = world.page(&Params::authorize()).ticket();
    });
    does(&world, EventKind::ConsentApproved, |world| {
        code = crate::support::param(
            &world.decide(&ticket, Choice::Allow).unwrap().into_location(),
            "code",
        )
        .unwrap();
    });
    does(&world, EventKind::CodeRedeemed, |world| {
        tokens = Some(Granted::of(&world.token(&Params::redeem(&code))));
    });
    let first = tokens.unwrap();
    does(&world, EventKind::AccessAllowed, |world| assert!(world.works(&first.access)));
    let mut second = None;
    does(&world, EventKind::TokensRefreshed, |world| {
        second = Some(world.refreshed(first.refresh()));
    });
    let second = second.unwrap();
    let introspect = |world: &World, token: &str| {
        let body = naming(token).set("client_id", "web").and("client_secret", SECRET).encode();
        assert_eq!(
            world.server.introspect(&form(&body)).answered(world.server.policy()).status,
            200
        );
    };
    does(&world, EventKind::TokenIntrospected, |world| introspect(world, &second.access));
    let revoke = |world: &World, token: &str| {
        let body = naming(token).encode();
        assert_eq!(world.server.revoke(&form(&body)).answered(world.server.policy()).status, 200);
    };
    does(&world, EventKind::TokenRevoked, |world| revoke(world, &second.access));
    does(&world, EventKind::NothingRevoked, |world| revoke(world, "nothing"));
    let event = one(&world, |world| introspect(world, &second.access));
    assert_eq!(
        (event.kind, event.reason),
        (EventKind::InactiveIntrospected, Some(Reason::TokenExpired))
    );
    does(&world, EventKind::GrantRevoked, |world| revoke(world, second.refresh()));
}

#[test]
fn audit_01_each_refusal_is_one_event() {
    let world = world();
    let ticket = world.page(&Params::authorize()).ticket();
    refuses(&world, Reason::AccessDenied, |world| drop(world.decide(&ticket, Choice::Deny)));
    let ticket = world.page(&Params::authorize()).ticket();
    world.at(600);
    refuses(&world, Reason::ConsentExpired, |world| drop(world.decide(&ticket, Choice::Allow)));
    refuses(&world, Reason::ClientUnknown, |world| {
        drop(world.authorize(&Params::authorize().set("client_id", "x")));
    });
    let code = world.code(&Params::authorize());
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    refuses(&world, Reason::CodeReused, |world| drop(world.token(&Params::redeem(&code))));
    refuses(&world, Reason::TokenRevoked, |world| assert!(!world.works(&tokens.access)));
    let tokens = world.tokens();
    world.refreshed(tokens.refresh());
    refuses(&world, Reason::RefreshReused, |world| {
        drop(world.token(&Params::refresh(tokens.refresh())));
    });
    refuses(&world, Reason::TokenMissing, |world| {
        let needs = needs(world.server.policy(), 0, "");
        drop(world.server.check(&Authorization::None, &needs));
    });
    let busy = Params::refresh("x").set("client_id", "nobody").set("client_secret", "guess");
    for _ in 0..10 {
        let _ = world.token(&busy);
    }
    refuses(&world, Reason::AuthenticationsThrottled, |world| drop(world.token(&busy)));
    for _ in 0..60 {
        let _ = world.token(&Params::refresh("x"));
    }
    refuses(&world, Reason::RateLimited, |world| drop(world.token(&Params::refresh("x"))));
    world.store.fail([Fault::Dropped]);
    refuses(&world, Reason::StorageUnavailable, |world| {
        drop(world.try_authorize(&Params::authorize(), Some(ALICE)));
    });
}

#[test]
fn audit_01_each_action_of_an_administrator_is_one_event() {
    let world = world();
    world.tokens();
    let admin = RevokedBy::Administrator("because");
    does(&world, EventKind::ClientDeactivated, |world| {
        world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    });
    does(&world, EventKind::ClientReactivated, |world| {
        world.server.set_client_status("app", ClientStatus::Active).unwrap();
    });
    does(&world, EventKind::ClientGrantsEnded, |world| {
        world.server.revoke_client("app", admin).unwrap();
    });
    let grant = world.grants()[0].record.id();
    does(&world, EventKind::GrantRevoked, |world| {
        world.server.revoke_grant(grant, admin).unwrap();
    });
    does(&world, EventKind::AccountGrantsEnded, |world| {
        assert!(world.server.revoke_user("alice", admin).unwrap().is_complete());
    });
}

/// A refusal by the host itself is a step too.
#[test]
fn audit_01_a_refusal_of_the_hosts_own_is_recorded_like_any_other() {
    let world = world();
    let access = world.access(&world.tokens().access);
    refuses(&world, Reason::RequestTooLarge, |world| {
        let refusal = Refusal::plain(Reason::RequestTooLarge, Endpoint::Token);
        let refusal = world.server.refuse(refusal, None, "192.0.2.7");
        assert_eq!(refusal.reply(world.server.policy()).status, 413);
        assert_eq!(refusal.correlation(), world.events().last().map(|event| event.correlation));
        let source = world.events().last().and_then(|event| event.source.clone());
        assert_eq!(source.as_deref(), Some("192.0.2.7"));
    });
    let event = one(&world, |world| {
        drop(world.server.refuse(
            Refusal::plain(Reason::Contended, Endpoint::Resource),
            Some(&access),
            "",
        ));
    });
    assert_eq!(
        (event.flow, event.client_id(), event.subject.as_ref()),
        (Some(access.grant_id()), Some("app"), access.subject())
    );
    // It is about a grant, so that a flood of strangers' refusals does not push it out.
    assert_ne!(event.class(), EventClass::Unattributed);
}

#[test]
fn audit_02_events_of_a_grant_share_its_flow_and_each_request_has_its_own_id() {
    let world = world();
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    assert!(world.works(&second.access));
    world.at(3600);
    assert!(!world.works(&second.access));
    let other = world.tokens();
    let all = world.events();
    let (own, others) = all.split_at(6);
    let kinds: Vec<_> = own.iter().map(|event| event.kind.name()).collect();
    let expected = [
        "consent_shown",
        "consent_approved",
        "code_redeemed",
        "tokens_refreshed",
        "access_allowed",
        "refused",
    ];
    assert_eq!(kinds, expected);
    let flow = own[0].flow;
    assert!(
        flow.is_some() && own.iter().all(|event| event.flow == flow),
        "the denial leads back to the consent page"
    );
    assert!(others.iter().all(|event| event.flow.is_some() && event.flow != flow));
    assert!(own.iter().all(|event| event.client_id() == Some("app")
        && event.subject.as_ref().unwrap().as_str() == "alice"));
    let mut names: Vec<_> = all.iter().map(|event| event.correlation.to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
    assert!(world.works(&other.access));
}

/// Runs every flow with marked secrets. No event and no printed text has one of them.
#[test]
fn audit_06_no_secret_is_in_any_event() {
    let world = world();
    let mut secrets: Vec<String> = vec![VERIFIER.into(), SECRET.into()];
    let own = json(&world.register(&crate::support::clients::confidential()));
    for member in ["client_secret", "registration_access_token"] {
        secrets.push(own[member].as_str().unwrap().to_owned());
    }
    let ticket = world.page(&Params::authorize()).ticket();
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    let code = crate::support::param(&location, "code").unwrap();
    let first = Granted::of(&world.token(&Params::redeem(&code)));
    let second = world.refreshed(first.refresh());
    for token in [&code, &ticket, &first.access, &second.access, first.refresh(), second.refresh()]
    {
        secrets.push(token.to_owned());
        // Sends each secret to wrong places.
        drop(world.token(&Params::redeem(token)));
        drop(world.token(&Params::refresh(token).set("client_id", "web")));
        drop(world.authorize(&Params::authorize().and("resource", token)));
        drop(world.check(token, &["admin"]));
        let body = naming(token).set("client_id", "web").and("client_secret", SECRET).encode();
        drop(world.server.introspect(&form(&body)).answered(world.server.policy()));
        drop(world.server.revoke(&form(&body)).answered(world.server.policy()));
        drop(world.server.consent(token, ALICE, Choice::Allow).outcome());
        let header = format!("Bearer {token}");
        drop(world.register_bytes(b"{}", Authorization::One(header.as_bytes())));
        drop(world.manage(
            "GET",
            own["client_id"].as_str().unwrap(),
            token,
            &serde_json::json!({}),
        ));
    }
    drop(world.token(
        &Params::redeem(&code).by_web().set("client_secret", "a-wrong-secret-that-is-marked"),
    ));
    secrets.push("a-wrong-secret-that-is-marked".into());
    let grant = world.grants()[0].record.id();
    world.server.revoke_grant(grant, RevokedBy::Administrator("x")).unwrap();
    let events = world.events();
    assert!(events.len() > 60, "{}", events.len());
    let json = serde_json::to_string(&events).unwrap();
    let lines: Vec<_> = events.iter().map(ToString::to_string).collect();
    let shown = format!("{events:?} {events:#?} {json} {lines:?}");
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
    assert_eq!(found(&shown, &secrets), [""; 0]);
    assert!(
        !found(&format!("{shown}{}", first.access), &secrets).is_empty(),
        "the search finds values that exist"
    );
}

#[test]
fn audit_07_an_unverified_client_id_is_escaped_and_cut() {
    let world = World::new();
    let claimed = |client: &str| {
        drop(world.token(&Params::refresh("x").set("client_id", client)));
        world.events().pop().unwrap().claimed.unwrap()
    };
    assert_eq!(&*claimed("who\n\u{1b}[31mis\u{202e}it"), "who\\n\\u{1b}[31mis\\u{202e}it");
    let long = claimed(&"x".repeat(4000));
    assert_eq!((long.len(), long.ends_with('…')), (256 + '…'.len_utf8(), true));
    assert!(claimed(&"\u{1}".repeat(4000)).len() < 300, "the text is escaped and then cut");
    drop(world.authorize(&Params::authorize().set("client_id", "a\r\nb")));
    assert_eq!(world.events().pop().unwrap().client_id(), Some("a\\r\\nb"));
}
