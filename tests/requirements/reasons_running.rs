//! Requests that cause the reasons of introspection, of connected apps and of the audit log.

use grantcore::account::Balance;
use grantcore::policy::{CheckRules, IntrospectionRules, Supersede};
use grantcore::reason::Endpoint;
use grantcore::request::Narrowing;
use grantcore::value::{Overlap, Subject};
use grantcore::{Authorization, Reason, RevokedBy};

use crate::reasons_reached::{Provoke, Refused};
use crate::support::host::{allow, at};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, MCP, Outcome, SECRET, World, needs, policy};

pub(crate) const RUNNING: &[(Reason, Provoke)] = &[
    (Reason::IntrospectionOff, || introspected_by(World::new(), "web", "x")),
    (Reason::IntrospectionCallerMissing, || introspected_by(introspected("web"), "", "x")),
    (Reason::IntrospectionUnauthenticated, || introspected_by(introspected("web"), "app", "x")),
    (Reason::IntrospectionUnauthorized, || introspected_by(introspected("another"), "web", "x")),
    (Reason::IntrospectionTokenMissing, || introspected_by(introspected("web"), "web", "")),
    (Reason::ConnectionUnknown, || {
        let world = World::new();
        world.tokens();
        let grant = world.grants()[0].record.id();
        let refusal = world.server.revoke_connection("bob", grant).outcome().unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ClientSecretNone, || {
        let world = World::new();
        let refusal = world.server.rotate_secret("app", Overlap::NONE).outcome().unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::NarrowingBeyondGrant, || narrowed("admin")),
    (Reason::NarrowingEmpty, || narrowed("write")),
    (Reason::ConsentEndPassed, || {
        let world = World::new();
        let ticket = world.page(&Params::authorize()).ticket();
        let refusal = world.server.run(allow(&ticket).until(at(0))).outcome().unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::GrantSuperseded, || {
        let world = World::with(policy().supersede(Supersede::SamePlace));
        let older = world.tokens();
        world.at(1);
        world.tokens();
        drop(world.token(&Params::refresh(older.refresh())));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::AccountForbidden, || {
        let world = World::with(
            policy().check_rules(CheckRules::default().with_suspended_is_forbidden(true)),
        );
        let token = world.tokens().access;
        world.store.suspend("alice", true);
        let refusal = world.check(&token, &[]).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::BalanceInsufficient, || {
        let world = World::new();
        let header = format!("Bearer {}", world.tokens().access);
        world.store.inner.put_balance(Subject::new("alice"), Balance::Insufficient);
        let needs = needs(world.server.policy(), 0, "").billed();
        let refusal = world
            .server
            .check(&Authorization::One(header.as_bytes()), &needs)
            .outcome()
            .unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::RevokedSecurityEvent, || {
        let world = World::new();
        let tokens = world.tokens();
        let revoked_by = RevokedBy::SecurityEvent("password changed");
        assert!(world.server.revoke_user("alice", revoked_by).unwrap().is_complete());
        drop(world.token(&Params::refresh(tokens.refresh())));
        (world, Refused::At(Endpoint::Token))
    }),
];

/// Narrows a grant of which `read` is left.
fn narrowed(scope: &str) -> (World, Refused) {
    let world = World::new();
    world.tokens();
    let narrow = |scope: &str| {
        let to = Narrowing::default().with_scope(scope.parse().unwrap());
        world.server.narrow_connection("alice", world.only_grant().id(), &to).outcome()
    };
    narrow("read").unwrap();
    let refusal = narrow(scope).unwrap_err();
    (world, Refused::By(refusal))
}

fn introspected(caller: &str) -> World {
    World::with(
        policy().introspection(IntrospectionRules::default().with_resource_server(caller, MCP)),
    )
}

/// Introspects a token as this client, with its secret if it has one.
fn introspected_by(world: World, client: &str, token: &str) -> (World, Refused) {
    let params = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", token)
        .set("client_id", client);
    let body = if client == "web" { params.and("client_secret", SECRET) } else { params }.encode();
    drop(world.server.introspect(&form(&body)).answered(world.server.policy()));
    (world, Refused::At(Endpoint::Introspection))
}
