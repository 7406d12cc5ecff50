//! Tests of INTROSPECT-01 to -04: a resource server introspects a token.

use grantcore::client::{ClientStatus, StoredSecret};
use grantcore::event::EventKind;
use grantcore::policy::{IntrospectionRules, PolicyError};
use grantcore::value::{Digest, SecretMethod, Subject};
use grantcore::{Account, Client, Reason, Reply, RequestParts};
use proptest::prelude::*;
use serde_json::{Value, json as value};

use crate::support::clients::posting;
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::steps::form;
use crate::support::{
    Answered, Granted, ISSUER, MCP, Outcome, SECRET, T, World, app, assert_refused, json, needs,
    policy,
};

const API: &str = "https://api.example/v1";

/// Returns a world with two resources, each with a resource server that may introspect.
fn world() -> World {
    let rules = IntrospectionRules::default()
        .with_resource_server("mcp-server", MCP)
        .with_resource_server("api-server", API);
    let world =
        World::with(policy().resource(API, "read").default_resource(MCP).introspection(rules));
    for id in ["mcp-server", "api-server", "stranger"] {
        let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
        world.put(
            Client::confidential(id, SecretMethod::Post, secret)
                .redirect_uri("https://rs.example/")
                .build()
                .unwrap(),
        );
    }
    world
}

/// Returns the request of the resource server of the first resource.
fn asking(token: &str) -> Params {
    Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .set("client_id", "mcp-server")
        .and("client_secret", SECRET)
        .and("token", token)
}

fn send(world: &World, params: &Params) -> Reply {
    let body = params.encode();
    world.server.introspect(&form(&body)).answered(world.server.policy())
}

/// Asserts that the response is exactly `active: false`.
#[track_caller]
fn inactive(world: &World, params: &Params, reason: Reason) {
    let reply = send(world, params);
    assert_eq!(
        (reply.status, &*reply.body, reply.header("cache-control")),
        (200, r#"{"active":false}"#, Some("no-store"))
    );
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.reason, event.sent),
        (EventKind::InactiveIntrospected, Some(reason), None)
    );
}

#[track_caller]
fn refused(world: &World, params: &Params, status: u16, code: &str, reason: Reason) {
    let reply = send(world, params);
    assert_refused(world, &reply, status, code, reason);
    assert_eq!(json(&reply).get("active"), None);
}

#[test]
fn introspect_01_the_caller_authenticates_and_names_a_token() {
    let world = world();
    let token = world.tokens().access;
    let good = asking(&token);
    assert_eq!(json(&send(&world, &good))["active"], true);
    refused(
        &world,
        &good.clone().without("client_secret"),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
    refused(
        &world,
        &good.clone().set("client_secret", "x"),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
    refused(
        &world,
        &good.clone().set("client_id", "nobody"),
        401,
        "invalid_client",
        Reason::ClientUnknown,
    );
    // No credentials, whatever else the request has or lacks.
    let nobody = good.clone().without("client_secret").without("client_id");
    for anonymous in [
        nobody.clone(),
        nobody.without("token"),
        good.clone().without("client_id"),
        good.clone().set("client_id", ""),
    ] {
        let missing = Reason::IntrospectionCallerMissing;
        refused(&world, &anonymous, 401, "invalid_client", missing);
        let challenge = send(&world, &anonymous).header("www-authenticate").map(str::to_owned);
        assert!(challenge.unwrap().starts_with("Basic "));
    }
    let public = good.clone().set("client_id", "app").without("client_secret");
    refused(&world, &public, 401, "invalid_client", Reason::IntrospectionUnauthenticated);
    let stranger = good.clone().set("client_id", "stranger");
    refused(&world, &stranger, 400, "unauthorized_client", Reason::IntrospectionUnauthorized);
    refused(
        &world,
        &good.clone().without("token"),
        400,
        "invalid_request",
        Reason::IntrospectionTokenMissing,
    );
    refused(
        &world,
        &good.clone().set("token", ""),
        400,
        "invalid_request",
        Reason::IntrospectionTokenMissing,
    );
    refused(
        &world,
        &good.clone().and("token", "x"),
        400,
        "invalid_request",
        Reason::ParameterRepeated,
    );
    let body = good.encode();
    let get = world
        .server
        .introspect(&RequestParts { method: "GET", ..form(&body) })
        .answered(world.server.policy());
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert_eq!(
        world.server.introspect(&posting(body.as_bytes())).answered(world.server.policy()).status,
        400,
        "not a form"
    );
}

#[test]
fn introspect_01_guessing_a_resource_servers_secret_is_throttled() {
    let world = world();
    let wrong = asking("x").set("client_secret", "x");
    for _ in 0..10 {
        assert_eq!(send(&world, &wrong).status, 401);
    }
    refused(&world, &wrong, 429, "too_many_requests", Reason::AuthenticationsThrottled);
}

#[test]
fn introspect_01_introspection_is_off_unless_the_policy_names_callers() {
    let world = World::new();
    let reply = send(&world, &asking("x").set("client_id", "web"));
    assert_refused(&world, &reply, 403, "access_denied", Reason::IntrospectionOff);
    let elsewhere = "https://elsewhere.example";
    let unknown =
        PolicyError::IntrospectionResource { client_id: "web".into(), resource: elsewhere.into() };
    for (rules, error) in [
        (IntrospectionRules::default(), PolicyError::IntrospectionCallers),
        (IntrospectionRules::default().with_resource_server("web", elsewhere), unknown),
    ] {
        assert_eq!(policy().introspection(rules).build().unwrap_err(), error);
    }
}

/// If the store fails, the state of the token is unknown, and a resource server must not take the
/// token for inactive.
#[test]
fn introspect_01_a_failing_store_does_not_report_an_inactive_token() {
    let world = world();
    let token = world.tokens().access;
    *world.store.broken_reads.lock().unwrap() = true;
    let body = asking(&token).encode();
    let failure = world.server.introspect(&form(&body)).unwrap_err();
    assert_eq!(failure.reply(world.server.policy()).status, 503);
}

#[test]
fn introspect_02_a_token_for_another_resource_is_reported_as_inactive() {
    let world = world();
    let tokens = world.tokens();
    inactive(&world, &asking("garbage"), Reason::TokenUnknown);
    inactive(&world, &asking(tokens.refresh()), Reason::TokenUnknown);
    inactive(
        &world,
        &asking(&tokens.access).set("client_id", "api-server"),
        Reason::AudienceMismatch,
    );
    world.store.suspend("alice", true);
    inactive(&world, &asking(&tokens.access), Reason::AccountSuspended);
    world.store.suspend("alice", false);
    world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    inactive(&world, &asking(&tokens.access), Reason::ClientDeactivated);
    world.server.set_client_status("app", ClientStatus::Active).unwrap();
    assert_eq!(json(&send(&world, &asking(&tokens.access)))["active"], true);
    world.at(3600);
    inactive(&world, &asking(&tokens.access), Reason::TokenExpired);
    let again = world.refreshed(tokens.refresh());
    world.refused(&Params::refresh(tokens.refresh()), 400, "invalid_grant", Reason::RefreshReused);
    inactive(&world, &asking(&again.access), Reason::TokenRevoked);
}

#[test]
fn introspect_02_a_deactivated_caller_learns_nothing() {
    let world = world();
    let token = world.tokens().access;
    world.server.set_client_status("mcp-server", ClientStatus::Deactivated).unwrap();
    refused(&world, &asking(&token), 401, "invalid_client", Reason::ClientDeactivated);
    assert!(world.works(&token), "the caller is not a resource of the token");
}

#[test]
fn introspect_03_an_active_token_is_described_as_in_its_grant() {
    let world = world();
    let code = world.code(&Params::authorize().set("scope", "read write"));
    world.at(7);
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    world.at(50);
    let reply = send(&world, &asking(&tokens.access));
    let expected = value!({
        "active": true, "scope": "read write", "client_id": "app", "token_type": "Bearer",
        "exp": T + 7 + 3600, "iat": T + 7, "sub": "alice", "aud": MCP, "iss": ISSUER,
    });
    assert_eq!(json(&reply), expected);
    assert_eq!(
        (reply.header("cache-control"), reply.header("content-type")),
        (Some("no-store"), Some("application/json"))
    );
    let event = world.events().pop().unwrap();
    assert_eq!((event.kind, event.client_id()), (EventKind::TokenIntrospected, Some("app")));
    assert_eq!(event.note.as_deref(), Some("mcp-server"));
    let narrowed =
        Granted::of(&world.token(&Params::refresh(tokens.refresh()).and("scope", "read")));
    let response = json(&send(&world, &asking(&narrowed.access)));
    assert_eq!((&response["scope"], &response["iat"]), (&value!("read"), &value!(T + 50)));
}

#[test]
fn introspect_03_a_token_for_several_resources_names_them_all() {
    let world = world();
    let code = world.code(&Params::authorize().and("resource", MCP).and("resource", API));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    for caller in ["mcp-server", "api-server"] {
        let response = json(&send(&world, &asking(&tokens.access).set("client_id", caller)));
        assert_eq!(
            (&response["active"], &response["aud"]),
            (&Value::Bool(true), &value!([MCP, API]))
        );
    }
}

#[test]
fn introspect_03_metadata_has_the_endpoint_and_its_methods() {
    let response: Value = json(&world().server.policy().server_metadata());
    assert_eq!(response["introspection_endpoint"], format!("{ISSUER}/oauth/introspect"));
    let methods = value!(["client_secret_basic", "client_secret_post"]);
    assert_eq!(response["introspection_endpoint_auth_methods_supported"], methods);
    let response = json(&World::new().server.policy().server_metadata());
    assert_eq!(
        (
            response.get("introspection_endpoint"),
            response.get("introspection_endpoint_auth_methods_supported")
        ),
        (None, None)
    );
}

/// An event between two introspections.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Wait(u64),
    Refresh,
    Replay,
    Suspend(bool),
    Stand(bool),
    Epoch(u64),
    Revoke,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        prop_oneof![Just(1), Just(1800), Just(3599), Just(3600), Just(40 * 86_400)]
            .prop_map(Turn::Wait),
        Just(Turn::Refresh),
        Just(Turn::Replay),
        any::<bool>().prop_map(Turn::Suspend),
        any::<bool>().prop_map(Turn::Stand),
        (0..2u64).prop_map(Turn::Epoch),
        Just(Turn::Revoke),
    ]
}

/// After any events, introspection reports a token as active for a resource server exactly if the
/// check there accepts it.
#[test]
fn introspect_04_introspection_and_check_agree() {
    check(&(prop::collection::vec(turn(), 0..10), any::<bool>()), |(turns, both)| {
        let world = world();
        let requested = Params::authorize().and("resource", MCP);
        let code = world.code(&if both { requested.and("resource", API) } else { requested });
        let mut all = vec![Granted::of(&world.token(&Params::redeem(&code)))];
        let mut clock = 0;
        let mut epoch = 0;
        for turn in turns {
            match turn {
                Turn::Wait(seconds) => {
                    clock += seconds;
                    world.at(clock);
                }
                Turn::Refresh => {
                    let reply = world.token(&Params::refresh(all.last().unwrap().refresh()));
                    if reply.status == 200 {
                        all.push(Granted::of(&reply));
                    }
                }
                Turn::Replay => drop(world.token(&Params::refresh(all[0].refresh()))),
                Turn::Suspend(suspended) => {
                    world
                        .store
                        .inner
                        .put_account(Subject::new("alice"), Account { suspended, epoch });
                }
                Turn::Stand(active) => {
                    let status =
                        if active { ClientStatus::Active } else { ClientStatus::Deactivated };
                    world.server.set_client_status(app().id().as_str(), status).unwrap();
                }
                Turn::Epoch(to) => {
                    epoch = to;
                    world
                        .store
                        .inner
                        .put_account(Subject::new("alice"), Account { epoch, ..Account::ACTIVE });
                }
                Turn::Revoke => {
                    let grant = world.grants()[0].record.id();
                    world.server.revoke_connection("alice", grant).unwrap();
                }
            }
            for token in all.iter().flat_map(|tokens| [&*tokens.access, tokens.refresh()]) {
                for (caller, resource) in [("mcp-server", 0), ("api-server", 1)] {
                    let response = json(&send(&world, &asking(token).set("client_id", caller)));
                    let header = format!("Bearer {token}");
                    let needs = needs(world.server.policy(), resource, "");
                    let checked = world
                        .server
                        .check(&grantcore::Authorization::One(header.as_bytes()), &needs)
                        .outcome();
                    prop_assert_eq!(&response["active"], &Value::Bool(checked.is_ok()));
                    if let Ok(access) = checked {
                        prop_assert_eq!(&response["exp"], &value!(access.expires().unix_seconds()));
                        prop_assert_eq!(
                            &response["scope"],
                            &value!(access.scope().collect::<Vec<_>>().join(" "))
                        );
                    }
                }
            }
        }
        Ok(())
    });
}
