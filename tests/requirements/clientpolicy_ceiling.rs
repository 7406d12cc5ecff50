//! Tests of CLIENTPOLICY-06 and -14: the operator's ceiling on a client's scope.

use grantcore::Reason;
use grantcore::client::ClientBuilder;
use grantcore::value::Scope;

use crate::support::clients::{DOCUMENT, ask, document, managed, metadata};
use crate::support::params::Params;
use crate::support::refused::{assert_redir, refused};
use crate::support::{Granted, World, app, assert_refused, json, policy};

fn under(client: ClientBuilder, ceiling: &str) -> grantcore::Client {
    client.scope(Scope::parse(ceiling).unwrap()).build().unwrap()
}

#[test]
fn clientpolicy_06_a_request_beyond_the_ceiling_is_refused() {
    let world = World::new();
    world.put(under(app().edit(), "read"));
    let refusal = refused(&world, &Params::authorize().set("scope", "write"));
    assert_redir(&world, &refusal, "invalid_scope", Reason::ScopeForbidden);
    drop(world.page(&Params::authorize().set("scope", "read")));
}

#[test]
fn clientpolicy_06_a_ceiling_survives_an_update_and_a_document() {
    let (world, own) = managed(&metadata());
    world.put(under(world.client(&own.id).unwrap().edit(), "read"));
    world.updated(&own, metadata());
    let refusal = refused(&world, &ask(&own.id).set("scope", "write"));
    assert_eq!(refusal.reason(), Reason::ScopeForbidden);

    drop(world.page_with(&ask(DOCUMENT), &document()));
    world.put(under(world.client(DOCUMENT).unwrap().edit(), "read"));
    world.at(3600);
    let body = document().to_string();
    let fetched = crate::support::clients::fetched(body.as_bytes());
    let refusal = world.authorize_with_document(&ask(DOCUMENT), Some(fetched)).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ScopeForbidden);
}

#[test]
fn clientpolicy_06_a_ceiling_bounds_the_tokens_of_a_live_grant_and_not_the_grant() {
    for registered in [false, true] {
        let (world, own) = managed(&metadata());
        let id = if registered { own.id.as_str() } else { "app" };
        let refresh = |tokens: &Granted| Params::refresh(tokens.refresh()).set("client_id", id);
        let first = world.tokens_of(id);
        let before = world.client(id).unwrap();
        world.put(under(before.clone().edit(), "read"));
        // The token that was issued before keeps its scope.
        assert!(world.check(&first.access, &["write"]).is_ok());
        let reply = world.token(&refresh(&first));
        assert_eq!((reply.status, &json(&reply)["scope"]), (200, &"read".into()));
        let second = Granted::of(&reply);
        let refusal = world.check(&second.access, &["write"]).unwrap_err();
        assert_eq!(refusal.reason(), Reason::ScopeInsufficient);
        // A part of the requested scope is enough.
        let reply = world.token(&refresh(&second).and("scope", "read write"));
        let third = Granted::of(&reply);
        assert_eq!(third.scope, "read");

        // Nothing is left: nothing is written, and the token stays the current one.
        let commits = world.store.commits();
        let reply = world.token(&refresh(&third).and("scope", "write"));
        assert_refused(&world, &reply, 400, "invalid_scope", Reason::ScopeForbidden);
        world.put(under(before.clone().edit(), "admin"));
        let reply = world.token(&refresh(&third));
        assert_refused(&world, &reply, 400, "invalid_scope", Reason::ScopeForbidden);
        assert_eq!(world.store.commits(), commits);

        // The grant was not changed.
        world.put(before);
        assert_eq!(Granted::of(&world.token(&refresh(&third))).scope, "read write");
    }
}

#[test]
fn clientpolicy_06_an_answer_again_has_the_scope_that_it_had() {
    let window = std::time::Duration::from_secs(30);
    let world = World::with(policy().replay_window(window));
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    world.put(under(app().edit(), "read"));
    let again = Granted::of(&world.token(&Params::refresh(first.refresh())));
    assert_eq!((&again.access, &*again.scope), (&second.access, "read write"));
}

#[test]
fn clientpolicy_14_every_token_response_has_the_scope() {
    let world = World::new();
    for scope in ["read", "read write", "admin"] {
        let code = world.code(&Params::authorize().set("scope", scope));
        let reply = world.token(&Params::redeem(&code));
        assert_eq!(json(&reply)["scope"], scope);
        let tokens = Granted::of(&reply);
        let reply = world.token(&Params::refresh(tokens.refresh()));
        assert_eq!(json(&reply)["scope"], scope);
    }
}
