//! RS-01 to -13, -17: what a protected resource lets through, and how it says no.

use std::time::Duration;

use grantcore::{Access, Authorization, Client, Incoming, Needs, Reason, Refusal, Reply, RevocationRules, Standing, Subject};
use proptest::prelude::*;

use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::property::check as property;
use crate::support::steps::form;
use crate::support::{Granted, MCP, World, app, json, policy};

const METADATA: &str = "https://mcp.example/.well-known/oauth-protected-resource/mcp";

fn with_header(world: &World, authorization: Authorization<'_>, scopes: &[&str]) -> Result<Access, Refusal> {
    world.server.check(&authorization, Needs::of(&world.server.policy().resources()[0]).scopes(scopes)).unwrap()
}

fn with_request(world: &World, incoming: &Incoming<'_>) -> Result<Access, Refusal> {
    world.server.check_request(incoming, Needs::of(&world.server.policy().resources()[0])).unwrap()
}

fn told(world: &World, outcome: Result<Access, Refusal>) -> Reply {
    outcome.expect_err("refused").reply(world.server.policy())
}

/// The parameters of a `Bearer` challenge, in their order.
pub(crate) fn challenge(header: &str) -> Vec<(String, String)> {
    let mut rest = header.strip_prefix("Bearer ").unwrap();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (value, after) = after.split_once('"').unwrap();
        found.push((name.to_owned(), value.to_owned()));
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    found
}

fn names(header: &str) -> Vec<String> {
    challenge(header).into_iter().map(|(name, _)| name).collect()
}

#[track_caller]
fn refused(world: &World, outcome: Result<Access, Refusal>, status: u16, error: &str, reason: Reason) {
    let reply = told(world, outcome);
    assert_eq!((reply.status, world.reason()), (status, Some(reason)));
    assert_eq!(json(&reply)["error"], error);
    let header = reply.header("www-authenticate").unwrap();
    assert_eq!(challenge(header)[0], ("resource_metadata".to_owned(), METADATA.to_owned()), "first");
    assert!(header.contains(&format!("error=\"{error}\"")), "{header}");
}

#[test]
fn rs_01_the_scheme_is_read_in_any_case_and_with_any_spaces() {
    let world = World::new();
    let token = world.tokens().access;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Bearer    "] {
        let header = format!("{scheme}{token}");
        assert!(with_header(&world, Authorization::One(header.as_bytes()), &[]).is_ok(), "{scheme:?}");
    }
    let trailing = format!("Bearer {token} ");
    assert!(with_header(&world, Authorization::One(trailing.as_bytes()), &[]).is_ok());
    let stuck = format!("Bearer{token}");
    assert!(with_header(&world, Authorization::One(stuck.as_bytes()), &[]).is_err());
}

#[test]
fn rs_02_without_credentials_there_is_a_challenge_and_no_error() {
    let world = World::new();
    for authorization in
        [Authorization::None, Authorization::One(b"Basic eDp5"), Authorization::One(b"DPoP x"), Authorization::One(b"")]
    {
        let reply = told(&world, with_header(&world, authorization, &["read", "write"]));
        assert_eq!((reply.status, &*reply.body, reply.header("content-type")), (401, "", None));
        let header = reply.header("www-authenticate").unwrap();
        assert_eq!(header, format!("Bearer resource_metadata=\"{METADATA}\", scope=\"read write\""));
        assert_eq!(world.reason(), Some(Reason::TokenMissing));
    }
    let any = told(&world, with_header(&world, Authorization::None, &[]));
    assert!(any.header("www-authenticate").unwrap().ends_with("scope=\"read write\""), "the resource's own scopes");
}

#[test]
fn rs_02_as_an_option_the_body_says_invalid_token_all_the_same() {
    let world = World::with(policy().checks(|rules| rules.body_error_without_token = true));
    let reply = told(&world, with_header(&world, Authorization::None, &[]));
    assert_eq!((reply.status, json(&reply)["error"].as_str()), (401, Some("invalid_token")));
    assert!(!reply.header("www-authenticate").unwrap().contains("error"), "the header is the specification's");
    let sent = world.events().pop().unwrap().sent.unwrap();
    assert_eq!((sent.error, sent.description), ("invalid_token", json(&reply)["error_description"].as_str()));
}

#[test]
fn rs_03_malformed_or_repeated_credentials_are_an_invalid_request() {
    let world = World::new();
    let token = world.tokens().access;
    let two = format!("Bearer {token} {token}");
    let malformed: [&[u8]; 7] =
        [b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer \xff", b"Bearer a,b", b"Bearer \"x\"", two.as_bytes()];
    for header in malformed {
        refused(&world, with_header(&world, Authorization::One(header), &[]), 400, "invalid_request", Reason::BearerMalformed);
    }
    refused(&world, with_header(&world, Authorization::Several, &[]), 400, "invalid_request", Reason::BearerMalformed);
    assert!(world.works(&token), "nothing is written");
}

#[test]
fn rs_04_a_token_in_the_query_is_not_looked_at() {
    let world = World::with(policy().checks(|rules| rules.bearer_in_body = true));
    let token = world.tokens().access;
    let query = format!("access_token={token}");
    let incoming = Incoming { method: "GET", query: query.as_bytes(), ..Incoming::default() };
    let reply = told(&world, with_request(&world, &incoming));
    assert_eq!((reply.status, &*reply.body, world.reason()), (401, "", Some(Reason::TokenMissing)));
    let header = format!("Bearer {token}");
    let good = Incoming { authorization: Authorization::One(header.as_bytes()), query: b"access_token=x", ..incoming };
    assert!(with_request(&world, &good).is_ok(), "the header decides");
    let bad = Incoming { authorization: Authorization::One(b"Bearer x"), ..incoming };
    refused(&world, with_request(&world, &bad), 401, "invalid_token", Reason::TokenUnknown);
}

#[test]
fn rs_05_a_token_in_the_body_counts_only_if_the_policy_says_so() {
    let world = World::new();
    let body = format!("access_token={}", world.tokens().access);
    assert_eq!(told(&world, with_request(&world, &form(&body))).body, "", "as if there were none");
    assert_eq!(world.reason(), Some(Reason::TokenMissing));
    let world = World::with(policy().checks(|rules| rules.bearer_in_body = true));
    let token = world.tokens().access;
    let body = format!("a=b&access_token={token}");
    assert!(with_request(&world, &form(&body)).is_ok());
    for spoilt in [
        Incoming { method: "GET", ..form(&body) },
        Incoming { content_type: Some(b"application/json"), ..form(&body) },
        Incoming { content_type: None, ..form(&body) },
        Incoming { body: b"access_token", ..form(&body) },
        Incoming { body: b"a=%zz", ..form(&body) },
    ] {
        assert_eq!(told(&world, with_request(&world, &spoilt)).status, 401);
        assert_eq!(world.reason(), Some(Reason::TokenMissing));
    }
    let header = format!("Bearer {token}");
    let both = Incoming { authorization: Authorization::One(header.as_bytes()), ..form(&body) };
    refused(&world, with_request(&world, &both), 400, "invalid_request", Reason::BearerMalformed);
    let twice = format!("{body}&{body}");
    refused(&world, with_request(&world, &form(&twice)), 400, "invalid_request", Reason::BearerMalformed);
    let methods = json(&world.server.policy().resource_metadata(&world.server.policy().resources()[0]));
    assert_eq!(methods["bearer_methods_supported"], serde_json::json!(["header", "body"]));
}

/// Every way a token can be dead, each with its own reason and all with one answer.
#[test]
fn rs_06_every_dead_token_is_an_invalid_token_and_the_operator_knows_why() {
    type Death = (Reason, fn(&World, &Granted));
    let deaths: [Death; 10] = [
        (Reason::TokenExpired, |world, _| world.at(3600)),
        (Reason::TokenRevoked, |world, tokens| {
            world.refreshed(tokens.refresh());
            drop(world.token(&Params::refresh(tokens.refresh())));
        }),
        (Reason::TokenRevoked, |world, tokens| revoke(world, tokens.refresh())),
        (Reason::TokenExpired, |world, tokens| revoke(world, &tokens.access)),
        (Reason::TokenRevoked, |world, _| {
            world.server.revoke_connection("alice", world.grants()[0].record.id()).unwrap().unwrap();
        }),
        (Reason::ClientDeactivated, |world, _| world.server.set_standing("app", Standing::Deactivated).unwrap().unwrap()),
        (Reason::AccountSuspended, |world, _| world.store.suspend("alice", true)),
        (Reason::OwnerSuspended, |world, _| {
            world.put(app().edit().owner(Subject::new("maker")).build().unwrap());
            world.store.suspend("maker", true);
        }),
        (Reason::TokenRevoked, |world, _| world.put(app().with_grants_ended())),
        (Reason::TokenRevoked, |world, _| {
            world.server.revoke_user("alice", grantcore::Motive::Administrator("x")).unwrap().unwrap();
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
    let body = Params::refresh("x").without("grant_type").without("refresh_token").and("token", token).encode();
    assert_eq!(world.server.revoke(&form(&body)).unwrap().status, 200);
}

#[test]
fn rs_06_a_client_that_deleted_itself_is_no_more_and_a_suspension_that_is_lifted_was_none() {
    let world = World::open();
    let own = world.own(&metadata());
    let tokens = world.tokens_of(&own.id);
    assert_eq!(world.manage("DELETE", &own.id, &own.token, &serde_json::json!({})).status, 204);
    refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", Reason::TokenRevoked);
    let tokens = world.tokens();
    world.store.suspend("alice", true);
    refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", Reason::AccountSuspended);
    world.store.suspend("alice", false);
    assert!(world.works(&tokens.access));
}

#[test]
fn rs_06_as_an_option_a_suspension_is_forbidden_and_asks_for_no_new_token() {
    let world = World::with(policy().checks(|rules| rules.suspended_is_forbidden = true));
    let tokens = world.tokens();
    world.store.suspend("alice", true);
    let reply = told(&world, world.check(&tokens.access, &[]));
    assert_eq!(
        (reply.status, json(&reply)["error"].as_str(), reply.header("www-authenticate")),
        (403, Some("access_denied"), None)
    );
    assert_eq!(world.reason(), Some(Reason::AccountForbidden));
    world.store.suspend("alice", false);
    assert!(world.works(&tokens.access));
}

#[test]
fn rs_07_every_401_leads_to_the_resources_document_and_from_there_here() {
    let world = World::new();
    for outcome in [with_header(&world, Authorization::None, &[]), world.check("x", &[])] {
        let reply = told(&world, outcome);
        assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").count(), 1);
        let (first, url) = challenge(reply.header("www-authenticate").unwrap()).remove(0);
        assert_eq!(first, "resource_metadata");
        let documents = world.server.policy().well_known();
        let document = documents.iter().find(|document| document.url == url).expect("it is served");
        assert_eq!(json(&document.reply)["resource"], MCP);
        assert_eq!(json(&document.reply)["authorization_servers"][0], world.server.policy().issuer());
    }
}

#[test]
fn rs_07_as_an_option_the_challenge_is_the_metadata_url_alone() {
    let world = World::with(policy().checks(|rules| rules.error_in_header = false));
    let reply = told(&world, world.check("x", &[]));
    assert_eq!(reply.header("www-authenticate"), Some(&*format!("Bearer resource_metadata=\"{METADATA}\"")));
    assert_eq!(json(&reply)["error"], "invalid_token");
}

#[test]
fn rs_08_a_token_for_another_resource_is_refused() {
    let world = World::with(policy().resource("https://files.example", "read").default_resource(MCP));
    let code = world.code(&Params::authorize().and("resource", "https://files.example"));
    let files = Granted::of(&world.token(&Params::redeem(&code)));
    refused(&world, world.check(&files.access, &[]), 401, "invalid_token", Reason::AudienceMismatch);
    let both = Params::authorize().and("resource", "https://files.example").and("resource", MCP);
    let tokens = Granted::of(&world.token(&Params::redeem(&world.code(&both))));
    let narrowed = Granted::of(&world.token(&Params::refresh(tokens.refresh()).and("resource", "https://files.example")));
    assert!(world.works(&tokens.access));
    refused(&world, world.check(&narrowed.access, &[]), 401, "invalid_token", Reason::AudienceMismatch);
}

/// A token for one resource, at another server whose policy names it differently but keeps the same records.
fn at(world: &World, token: &str, resource: &str, audience: grantcore::Audience) -> bool {
    let policy = policy().resource(resource, "read").checks(|rules| rules.audience = audience).build().unwrap();
    let now = world.now();
    let server = grantcore::Server::with(policy, &world.store.inner, move || now, crate::support::seeded(7));
    let header = format!("Bearer {token}");
    let needs = Needs::of(&server.policy().resources()[1]);
    server.check(&Authorization::One(header.as_bytes()), needs).unwrap().is_ok()
}

#[test]
fn rs_09_audiences_are_compared_as_the_policy_says() {
    use grantcore::Audience::{Canonical, Exact, PathPrefix};
    let world = World::new();
    let token = world.tokens().access;
    for (resource, prefix) in [
        ("https://mcp.example/mcp/tools", true),
        ("https://MCP.example/mcp/tools", true),
        ("https://mcp.example/MCP", false),
        ("https://mcp.example/mcp-other", false),
        ("https://mcp.example/", false),
        ("https://mcp.example.evil/mcp", false),
    ] {
        let told = [Exact, Canonical, PathPrefix].map(|audience| at(&world, &token, resource, audience));
        assert_eq!(told, [false, false, prefix], "{resource}");
    }
    let renamed = |audience| {
        let named =
            grantcore::Policy::builder(crate::support::ISSUER).scope("read", "Read").resource("https://MCP.example/mcp", "read");
        let now = world.now();
        let policy = named.checks(|rules| rules.audience = audience).build().unwrap();
        let server = grantcore::Server::with(policy, &world.store.inner, move || now, crate::support::seeded(7));
        let header = format!("Bearer {token}");
        server.check(&Authorization::One(header.as_bytes()), Needs::of(&server.policy().resources()[0])).unwrap().is_ok()
    };
    assert_eq!([Exact, Canonical, PathPrefix].map(renamed), [false, true, true]);
}

#[test]
fn rs_09_exact_is_exact_at_every_endpoint() {
    let world = World::with(policy().checks(|rules| rules.audience = grantcore::Audience::Exact));
    let spelt = "https://MCP.example/mcp";
    let refusal = world.authorize(&Params::authorize().and("resource", spelt)).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ResourceUnknown);
    let tokens = world.tokens();
    world.refused(&Params::refresh(tokens.refresh()).and("resource", spelt), 400, "invalid_target", Reason::ResourceBeyondGrant);
    let code = world.code(&Params::authorize());
    world.refused(&Params::redeem(&code).and("resource", spelt), 400, "invalid_target", Reason::ResourceBeyondGrant);
    assert_eq!(world.token(&Params::redeem(&code).and("resource", MCP)).status, 200);
}

#[test]
fn rs_10_a_missing_scope_is_403_and_names_all_that_is_needed_once() {
    let world = World::new();
    let token = world.tokens().access;
    let reply = told(&world, world.check(&token, &["read", "write", "read", "admin"]));
    assert_eq!((reply.status, world.reason()), (403, Some(Reason::ScopeInsufficient)));
    assert_eq!(json(&reply)["error"], "insufficient_scope");
    let header = reply.header("www-authenticate").unwrap();
    assert_eq!(names(header), ["resource_metadata", "error", "error_description", "scope"]);
    assert_eq!(challenge(header)[3].1, "read write admin");
    let granted = Granted::of(&world.token(&Params::redeem(&world.code(&Params::authorize().set("scope", "read write admin")))));
    assert!(world.check(&granted.access, &["read", "write", "admin"]).is_ok(), "after the step-up");
}

#[test]
fn rs_11_what_a_scope_includes_counts_if_the_host_declared_it() {
    let admin = |world: &World| {
        let code = world.code(&Params::authorize().set("scope", "admin"));
        Granted::of(&world.token(&Params::redeem(&code))).access
    };
    let plain = World::new();
    let token = admin(&plain);
    refused(&plain, plain.check(&token, &["read"]), 403, "insufficient_scope", Reason::ScopeInsufficient);
    let world = World::with(policy().scope_implies("admin", "write").scope_implies("write", "read"));
    let token = admin(&world);
    assert!(world.check(&token, &["admin", "write", "read"]).is_ok(), "through others too");
    let code = world.code(&Params::authorize().set("scope", "read"));
    let reader = Granted::of(&world.token(&Params::redeem(&code))).access;
    for needed in ["write", "admin"] {
        refused(&world, world.check(&reader, &[needed]), 403, "insufficient_scope", Reason::ScopeInsufficient);
    }
    // Circles end, and only scopes that exist can include or be included.
    let round = policy().scope_implies("read", "write").scope_implies("write", "read").build().unwrap();
    assert!(round.implies("read", "write") && round.implies("write", "read") && !round.implies("read", "admin"));
    for bad in [policy().scope_implies("x", "read"), policy().scope_implies("read", "x")] {
        assert_eq!(bad.build().unwrap_err(), grantcore::PolicyError::Scope);
    }
}

#[test]
fn rs_12_a_challenge_reads_back_whatever_the_host_asks_for() {
    let world = World::new();
    let token = world.tokens().access;
    property(&(prop::collection::vec(any::<String>(), 0..4), any::<bool>()), |(scopes, known)| {
        let scopes: Vec<_> = scopes.iter().map(String::as_str).chain(["admin"]).collect();
        let reply = told(&world, world.check(if known { &token } else { "x" }, &scopes));
        let header = reply.header("www-authenticate").unwrap();
        prop_assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)));
        let parameters = challenge(header);
        let mut names: Vec<_> = parameters.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), parameters.len());
        let description = &parameters.iter().find(|(name, _)| name == "error_description").unwrap().1;
        prop_assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
        let written: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        prop_assert_eq!(format!("Bearer {}", written.join(", ")), header);
        Ok(())
    });
    for reason in Reason::ALL {
        assert!(reason.description().bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{reason:?}");
    }
}

#[test]
fn rs_17_the_host_learns_who_calls_for_whom_and_never_the_token() {
    let world = World::new();
    let code = world.code(&Params::authorize().set("scope", "read write"));
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let access = world.check(&tokens.access, &["read"]).unwrap();
    assert_eq!((access.subject().as_str(), access.client_id().as_str()), ("alice", "app"));
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

/// A client that runs for a machine is not what this server has; whoever calls, a user stands behind it.
#[test]
fn rs_17_a_subject_is_never_a_client() {
    let world = World::new();
    world.put(Client::public("alice").redirect_uri("https://app.example/cb").build().unwrap());
    let access = world.access(&world.tokens().access);
    assert_ne!(access.subject().as_str(), access.client_id().as_str());
}
