//! Tests of RS-01 to -04, -06 to -08 and -17: the calls that a protected resource accepts, and its
//! refusals.

use std::sync::Arc;
use std::time::Duration;

use grantcore::blocking::Server;
use grantcore::client::ClientStatus;
use grantcore::moment::Entropy;
use grantcore::policy::{CheckRules, RevocationRules};
use grantcore::request::{AccessCheck, RevokedBy};
use grantcore::value::Subject;
use grantcore::{
    Access, Account, Authorization, Client, FromStore, Reason, Refusal, Reply, RequestParts,
};

use crate::resource_server_challenge::challenge;
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, Granted, MCP, Outcome, World, app, json, needs, policy};

pub(crate) const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";

pub(crate) fn with_header(
    world: &World,
    authorization: Authorization<'_>,
    scopes: &[&str],
) -> Result<Access, Refusal> {
    world
        .server
        .check(&authorization, &needs(world.server.policy(), 0, &scopes.join(" ")))
        .outcome()
}

pub(crate) fn with_request(world: &World, incoming: &RequestParts<'_>) -> Result<Access, Refusal> {
    world.server.check_request(incoming, &needs(world.server.policy(), 0, "")).outcome()
}

pub(crate) fn refusal_reply(world: &World, outcome: Result<Access, Refusal>) -> Reply {
    outcome.expect_err("refused").reply(world.server.policy())
}

#[track_caller]
pub(crate) fn refused(
    world: &World,
    outcome: Result<Access, Refusal>,
    status: u16,
    error: &str,
    reason: Reason,
) {
    let reply = refusal_reply(world, outcome);
    assert_eq!((reply.status, world.reason()), (status, Some(reason)));
    assert_eq!(json(&reply)["error"], error);
    let header = reply.header("www-authenticate").unwrap();
    assert_eq!(
        challenge(header)[0],
        ("resource_metadata".to_owned(), METADATA.to_owned()),
        "first"
    );
    assert!(header.contains(&format!("error=\"{error}\"")), "{header}");
}

#[test]
fn rs_01_the_scheme_is_accepted_in_any_case_and_with_any_spaces() {
    let world = World::new();
    let token = world.tokens().access;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Bearer    "] {
        let header = format!("{scheme}{token}");
        assert!(
            with_header(&world, Authorization::One(header.as_bytes()), &[]).is_ok(),
            "{scheme:?}"
        );
    }
    let trailing = format!("Bearer {token} ");
    assert!(with_header(&world, Authorization::One(trailing.as_bytes()), &[]).is_ok());
    // Spaces alone separate the two.
    for other in ["Bearer\t", "Bearer \t", "Bearer\t ", "Bearer\u{c}"] {
        let header = format!("{other}{token}");
        let refused = with_header(&world, Authorization::One(header.as_bytes()), &[]);
        let reply = refusal_reply(&world, refused);
        assert_eq!(reply.status, 400, "{other:?}");
        assert!(reply.header("www-authenticate").unwrap().contains("error=\"invalid_request\""));
    }
    let stuck = format!("Bearer{token}");
    assert!(with_header(&world, Authorization::One(stuck.as_bytes()), &[]).is_err());
}

#[test]
fn rs_02_without_credentials_there_is_a_challenge_and_no_error() {
    let world = World::new();
    for authorization in [
        Authorization::None,
        Authorization::One(b"Basic eDp5"),
        Authorization::One(b"DPoP x"),
        Authorization::One(b""),
    ] {
        let reply = refusal_reply(&world, with_header(&world, authorization, &["read", "write"]));
        assert_eq!((reply.status, &*reply.body, reply.header("content-type")), (401, "", None));
        let header = reply.header("www-authenticate").unwrap();
        assert_eq!(
            header,
            format!("Bearer resource_metadata=\"{METADATA}\", scope=\"read write\"")
        );
        assert_eq!(world.reason(), Some(Reason::TokenMissing));
    }
    let any = refusal_reply(&world, with_header(&world, Authorization::None, &[]));
    assert!(
        any.header("www-authenticate").unwrap().ends_with("scope=\"read write\""),
        "the resource's own scopes"
    );
}

#[test]
fn rs_03_malformed_or_repeated_credentials_are_an_invalid_request() {
    let world = World::new();
    let token = world.tokens().access;
    let two = format!("Bearer {token} {token}");
    let malformed: [&[u8]; 5] =
        [b"Bearer a b", b"Bearer \xff", b"Bearer a,b", b"Bearer \"x\"", two.as_bytes()];
    for header in malformed {
        refused(
            &world,
            with_header(&world, Authorization::One(header), &[]),
            400,
            "invalid_request",
            Reason::BearerMalformed,
        );
    }
    refused(
        &world,
        with_header(&world, Authorization::Several, &[]),
        400,
        "invalid_request",
        Reason::BearerMalformed,
    );
    assert!(world.works(&token), "nothing is written");
}

#[test]
fn rs_04_a_token_in_the_query_is_not_looked_at() {
    let world = World::with(policy().check_rules(CheckRules::default().with_bearer_in_body(true)));
    let token = world.tokens().access;
    let query = format!("access_token={token}");
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let reply = refusal_reply(&world, with_request(&world, &incoming));
    assert_eq!((reply.status, &*reply.body, world.reason()), (401, "", Some(Reason::TokenMissing)));
    let header = format!("Bearer {token}");
    let good = RequestParts {
        authorization: Authorization::One(header.as_bytes()),
        query: b"access_token=x",
        ..incoming
    };
    assert!(with_request(&world, &good).is_ok(), "the header decides");
    let bad = RequestParts { authorization: Authorization::One(b"Bearer x"), ..incoming };
    refused(&world, with_request(&world, &bad), 401, "invalid_token", Reason::TokenUnknown);
}

/// The causes of an invalid token. Each has its own reason, and all have the same response.
#[test]
fn rs_06_every_dead_token_is_an_invalid_token_with_its_own_reason() {
    type Death = (Reason, fn(&World, &Granted));
    let deaths: [Death; 11] = [
        (Reason::TokenExpired, |world, _| world.at(3600)),
        (Reason::TokenRevoked, |world, tokens| {
            world.refreshed(tokens.refresh());
            drop(world.token(&Params::refresh(tokens.refresh())));
        }),
        (Reason::TokenRevoked, |world, tokens| revoke(world, tokens.refresh())),
        (Reason::TokenExpired, |world, tokens| revoke(world, &tokens.access)),
        (Reason::TokenRevoked, |world, _| {
            world.server.revoke_connection("alice", world.grants()[0].record.id()).unwrap();
        }),
        (Reason::ClientDeactivated, |world, _| {
            world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
        }),
        (Reason::AccountSuspended, |world, _| world.store.suspend("alice", true)),
        (Reason::OwnerSuspended, |world, _| {
            world.put(app().edit().owner(Subject::new("maker")).build().unwrap());
            world.store.suspend("maker", true);
        }),
        (Reason::TokenRevoked, |world, _| world.put(app().with_grants_ended())),
        (Reason::TokenRevoked, |world, _| {
            world
                .store
                .inner
                .put_account(Subject::new("alice"), Account { epoch: 1, ..Account::ACTIVE });
        }),
        (Reason::TokenRevoked, |world, _| {
            let revoked_by = RevokedBy::Administrator("x");
            assert!(world.server.revoke_user("alice", revoked_by).unwrap().is_complete());
        }),
    ];
    for (reason, happening) in deaths {
        let world = World::with(policy().revocation(RevocationRules::default()));
        let tokens = world.tokens();
        assert!(world.works(&tokens.access));
        happening(&world, &tokens);
        refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", reason);
    }
    let world = World::new();
    let tokens = world.tokens();
    for token in ["x", tokens.refresh(), &format!("{}A", tokens.access), &"g".repeat(5000)] {
        refused(&world, world.check(token, &[]), 401, "invalid_token", Reason::TokenUnknown);
    }
}

fn revoke(world: &World, token: &str) {
    let body = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", token)
        .encode();
    assert_eq!(world.server.revoke(&form(&body)).answered(world.server.policy()).status, 200);
}

#[test]
fn rs_06_a_deleted_client_is_final_and_a_lifted_suspension_is_not() {
    let world = World::open();
    let own = world.own(&metadata());
    let tokens = world.tokens_of(&own.id);
    assert_eq!(world.manage("DELETE", &own.id, &own.token, &serde_json::json!({})).status, 204);
    refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", Reason::TokenRevoked);
    world.put(app().edit().owner(Subject::new("maker")).build().unwrap());
    let tokens = world.tokens();
    for (who, reason) in [("alice", Reason::AccountSuspended), ("maker", Reason::OwnerSuspended)] {
        world.store.suspend(who, true);
        refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", reason);
        world.store.suspend(who, false);
        assert!(world.works(&tokens.access), "{who}");
    }
}

#[test]
fn rs_07_every_401_leads_to_the_resource_metadata_and_to_this_server() {
    let world = World::new();
    for outcome in [with_header(&world, Authorization::None, &[]), world.check("x", &[])] {
        let reply = refusal_reply(&world, outcome);
        assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").count(), 1);
        let (first, url) = challenge(reply.header("www-authenticate").unwrap()).remove(0);
        assert_eq!(first, "resource_metadata");
        let documents = world.server.policy().well_known();
        let document = documents.iter().find(|document| document.url == url).expect("it is served");
        assert_eq!(json(&document.reply)["resource"], MCP);
        assert_eq!(
            json(&document.reply)["authorization_servers"][0],
            world.server.policy().issuer()
        );
    }
}

#[test]
fn rs_08_a_token_for_another_resource_is_refused() {
    let world =
        World::with(policy().resource("https://files.example", "read").default_resource(MCP));
    let code = world.code(&Params::authorize().and("resource", "https://files.example"));
    let files = Granted::of(&world.token(&Params::redeem(&code)));
    refused(
        &world,
        world.check(&files.access, &[]),
        401,
        "invalid_token",
        Reason::AudienceMismatch,
    );
    let both = Params::authorize().and("resource", "https://files.example").and("resource", MCP);
    let tokens = Granted::of(&world.token(&Params::redeem(&world.code(&both))));
    let narrowed = Granted::of(
        &world.token(&Params::refresh(tokens.refresh()).and("resource", "https://files.example")),
    );
    assert!(world.works(&tokens.access));
    refused(
        &world,
        world.check(&narrowed.access, &[]),
        401,
        "invalid_token",
        Reason::AudienceMismatch,
    );
}

#[test]
fn rs_17_the_host_gets_client_and_user_and_never_the_token() {
    let world = World::new();
    let code = world.code(&Params::authorize().set("scope", "read write"));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let access = world.check(&tokens.access, &["read"]).unwrap();
    assert_eq!((access.subject().unwrap().as_str(), access.client_id().as_str()), ("alice", "app"));
    assert_eq!(access.grant_id(), world.grants()[0].record.id());
    assert_eq!(access.scope().collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(access.resources().collect::<Vec<_>>(), [MCP]);
    assert_eq!(access.expires(), world.now().after(Duration::from_secs(3600)));
    let event = world.events().pop().unwrap();
    assert_eq!((access.correlation(), Some(access.grant_id())), (event.correlation, event.flow));
    let shown = format!("{access:?} {access:#?}");
    let secrets = [tokens.access.as_bytes().to_vec(), tokens.refresh().as_bytes().to_vec()];
    assert_eq!(crate::store_secrets::found(&shown, &secrets), [""; 0]);
}

/// There are no tokens for a client without a user, so the subject of a token is never a client.
#[test]
fn rs_17_a_subject_is_never_a_client() {
    let world = World::new();
    world.put(Client::public("alice").redirect_uri("https://app.example/cb").build().unwrap());
    let access = world.access(&world.tokens().access);
    assert_ne!(access.subject().unwrap().as_str(), access.client_id().as_str());
}

/// The check borrows its records and makes no event that nobody wants. It decides and records as the
/// operation does by the driver, which loads them.
#[test]
fn rs_13_a_check_and_its_operation_decide_and_record_alike() {
    let mut reasons = Vec::new();
    let prepare: [fn(&World, &mut String); 7] = [
        |_, _| {},
        |_, token| token.truncate(20),
        |_, token| token.replace_range(40.., &"A".repeat(token.len() - 40)),
        |world, _| world.at(3600),
        |world, _| world.store.suspend("alice", true),
        |world, _| world.server.set_client_status("app", ClientStatus::Deactivated).unwrap(),
        |world, _| world.server.revoke_client("app", RevokedBy::Administrator("")).unwrap(),
    ];
    for (prepare, scope) in prepare.into_iter().zip(["read", "", "", "", "", "", ""]) {
        let world = World::new();
        let mut token = world.tokens().access;
        prepare(&world, &mut token);
        let header = format!("Bearer {token}");
        let header = Authorization::One(header.as_bytes());
        let needs = needs(world.server.policy(), 0, scope);
        let shown = |outcome: Result<Access, Refusal>| match outcome {
            Ok(access) => Ok((
                access.grant_id(),
                access.expires(),
                access.scope().map(str::to_owned).collect::<Vec<_>>(),
            )),
            Err(refusal) => Err(refusal.reason()),
        };
        let operated =
            shown(world.server.run(AccessCheck::parse(&header, &needs).unwrap()).outcome());
        let by_operation = world.events().pop().unwrap();
        let checked = shown(world.server.check(&header, &needs).outcome());
        let mut by_check = world.events().pop().unwrap();
        assert_ne!(by_check.correlation, by_operation.correlation);
        by_check.correlation = by_operation.correlation;
        let now = world.now();
        let unobserved = Server::with_sources(
            world.server.policy().clone(),
            Arc::clone(&world.store),
            FromStore,
            move || now,
            || Ok(Entropy::from_bytes([9; 128])),
        );
        let silent = shown(unobserved.check(&header, &needs).outcome());
        assert_eq!((&checked, &silent, by_check), (&operated, &operated, by_operation));
        reasons.push(operated.err());
    }
    let refused = [
        Reason::TokenUnknown,
        Reason::TokenExpired,
        Reason::TokenExpired,
        Reason::AccountSuspended,
    ];
    assert_eq!(reasons[0], None);
    assert_eq!(reasons[1..5], refused.map(Some));
    assert_eq!(reasons[5..], [Some(Reason::ClientDeactivated), Some(Reason::TokenRevoked)]);
}
