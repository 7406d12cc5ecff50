//! Tests of RS-05, -09, -11 and the options of RS-02, -06 and -07: the settings of the check.

use grantcore::policy::{CheckRules, PolicyError, ScopesError};
use grantcore::value::Subject;
use grantcore::{Authorization, ContentType, FromStore, MemoryStore, Reason, RequestParts};

use crate::resource_server::{METADATA, refusal_reply, refused, with_header, with_request};
use crate::resource_server_balance::ready;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Granted, MCP, Outcome, World, app, json, needs, policy, seeded};

#[test]
fn rs_02_as_an_option_the_body_says_invalid_token_all_the_same() {
    let world = World::with(
        policy().check_rules(CheckRules::default().with_body_error_without_token(true)),
    );
    let reply = refusal_reply(&world, with_header(&world, Authorization::None, &[]));
    assert_eq!((reply.status, json(&reply)["error"].as_str()), (401, Some("invalid_token")));
    assert!(
        !reply.header("www-authenticate").unwrap().contains("error"),
        "the header follows the specification"
    );
    let sent = world.events().pop().unwrap().sent.unwrap();
    assert_eq!(
        (sent.error, sent.description.as_deref()),
        (Some("invalid_token"), json(&reply)["error_description"].as_str())
    );
}

#[test]
fn rs_05_a_token_in_the_body_counts_only_if_the_policy_allows_it() {
    let world = World::new();
    let body = format!("access_token={}", world.tokens().access);
    assert_eq!(
        refusal_reply(&world, with_request(&world, &form(&body))).body,
        "",
        "a token in the body does not count"
    );
    assert_eq!(world.reason(), Some(Reason::TokenMissing));
    let world = World::with(policy().check_rules(CheckRules::default().with_bearer_in_body(true)));
    let token = world.tokens().access;
    let body = format!("a=b&access_token={token}");
    for method in ["POST", "PUT", "PATCH"] {
        assert!(with_request(&world, &RequestParts { method, ..form(&body) }).is_ok(), "{method}");
    }
    let long = format!("{body}&c={}", "x".repeat(20_000));
    for spoilt in [
        RequestParts { method: "GET", ..form(&body) },
        RequestParts { method: "DELETE", ..form(&body) },
        RequestParts { query: body.as_bytes(), ..form("a=b") },
        form(&long),
        RequestParts { content_type: ContentType::JSON, ..form(&body) },
        RequestParts { content_type: ContentType::None, ..form(&body) },
        RequestParts { body: b"access_token", ..form(&body) },
        RequestParts { body: b"a=%zz", ..form(&body) },
    ] {
        assert_eq!(refusal_reply(&world, with_request(&world, &spoilt)).status, 401);
        assert_eq!(world.reason(), Some(Reason::TokenMissing));
    }
    let header = format!("Bearer {token}");
    for authorization in [
        Authorization::One(header.as_bytes()),
        Authorization::One(b"Basic eDp5"),
        Authorization::Several,
    ] {
        let both = RequestParts { authorization, ..form(&body) };
        refused(
            &world,
            with_request(&world, &both),
            400,
            "invalid_request",
            Reason::BearerMalformed,
        );
    }
    let twice = format!("{body}&{body}");
    refused(
        &world,
        with_request(&world, &form(&twice)),
        400,
        "invalid_request",
        Reason::BearerMalformed,
    );
    let methods =
        json(&world.server.policy().resource_metadata(&world.server.policy().resources()[0]));
    assert_eq!(methods["bearer_methods_supported"], serde_json::json!(["header", "body"]));
}

#[test]
fn rs_05_the_async_server_reads_the_same_places() {
    let world = World::new();
    let token = world.tokens().access;
    let time = world.now();
    // Another store does not know the token. So a token that is read is refused as invalid, and a
    // place that is not read counts as no token.
    let body = format!("access_token={token}");
    for (allowed, reason) in [(false, Reason::TokenMissing), (true, Reason::TokenUnknown)] {
        let policy = policy()
            .check_rules(CheckRules::default().with_bearer_in_body(allowed))
            .build()
            .unwrap();
        let server = grantcore::Server::with_sources(
            policy,
            MemoryStore::new(),
            FromStore,
            move || time,
            seeded(7),
        );
        let needs = needs(server.policy(), 0, "");
        assert_eq!(
            ready(server.check_request(&form(&body), &needs)).outcome().unwrap_err().reason(),
            reason
        );
    }
}

#[test]
fn rs_06_as_an_option_a_suspension_is_forbidden_and_asks_for_no_new_token() {
    let world =
        World::with(policy().check_rules(CheckRules::default().with_suspended_is_forbidden(true)));
    world.put(app().edit().owner(Subject::new("maker")).build().unwrap());
    let tokens = world.tokens();
    for who in ["alice", "maker"] {
        world.store.suspend(who, true);
        let reply = refusal_reply(&world, world.check(&tokens.access, &["admin"]));
        assert_eq!(
            (reply.status, json(&reply)["error"].as_str(), reply.header("www-authenticate")),
            (403, Some("access_denied"), None)
        );
        assert_eq!(world.reason(), Some(Reason::AccountForbidden));
        world.store.suspend(who, false);
        assert!(world.works(&tokens.access));
    }
    world.store.suspend("alice", true);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::AccountSuspended);
    world.at(3600);
    refused(&world, world.check(&tokens.access, &[]), 401, "invalid_token", Reason::TokenExpired);
}

#[test]
fn rs_07_as_an_option_the_challenge_is_the_metadata_url_alone() {
    let world =
        World::with(policy().check_rules(CheckRules::default().with_error_in_header(false)));
    let reply = refusal_reply(&world, world.check("x", &[]));
    assert_eq!(
        reply.header("www-authenticate"),
        Some(&*format!("Bearer resource_metadata=\"{METADATA}\""))
    );
    assert_eq!(json(&reply)["error"], "invalid_token");
}

/// Checks a token of one resource at another server, whose policy names the resource differently
/// and whose records are the same.
fn at(world: &World, token: &str, resource: &str, audience: grantcore::policy::Audience) -> bool {
    let policy = policy()
        .resource(resource, "read")
        .check_rules(CheckRules::default().with_audience(audience))
        .build()
        .unwrap();
    let now = world.now();
    let server = grantcore::blocking::Server::with_sources(
        policy,
        &world.store.inner,
        FromStore,
        move || now,
        seeded(7),
    );
    let header = format!("Bearer {token}");
    let needs = needs(server.policy(), 1, "");
    server.check(&Authorization::One(header.as_bytes()), &needs).outcome().is_ok()
}

#[test]
fn rs_09_audiences_are_compared_as_the_policy_says() {
    use grantcore::policy::Audience::{Canonical, Exact, PathPrefix};
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
        let outcomes =
            [Exact, Canonical, PathPrefix].map(|audience| at(&world, &token, resource, audience));
        assert_eq!(outcomes, [false, false, prefix], "{resource}");
    }
    let renamed = |audience| {
        let named = grantcore::Policy::builder(crate::support::ISSUER)
            .scope("read", "Read")
            .resource("https://MCP.example/mcp", "read");
        let now = world.now();
        let policy =
            named.check_rules(CheckRules::default().with_audience(audience)).build().unwrap();
        let server = grantcore::blocking::Server::with_sources(
            policy,
            &world.store.inner,
            FromStore,
            move || now,
            seeded(7),
        );
        let header = format!("Bearer {token}");
        server
            .check(&Authorization::One(header.as_bytes()), &needs(server.policy(), 0, ""))
            .outcome()
            .is_ok()
    };
    assert_eq!([Exact, Canonical, PathPrefix].map(renamed), [false, true, true]);
}

#[test]
fn rs_09_exact_is_exact_at_every_endpoint() {
    let world = World::with(
        policy()
            .check_rules(CheckRules::default().with_audience(grantcore::policy::Audience::Exact)),
    );
    let spelt = "https://MCP.example/mcp";
    let refusal = world.authorize(&Params::authorize().and("resource", spelt)).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ResourceUnknown);
    let tokens = world.tokens();
    world.refused(
        &Params::refresh(tokens.refresh()).and("resource", spelt),
        400,
        "invalid_target",
        Reason::ResourceBeyondGrant,
    );
    let code = world.code(&Params::authorize());
    world.refused(
        &Params::redeem(&code).and("resource", spelt),
        400,
        "invalid_target",
        Reason::ResourceBeyondGrant,
    );
    assert_eq!(world.token(&Params::redeem(&code).and("resource", MCP)).status, 200);
}

#[test]
fn rs_11_a_declared_inclusion_of_scopes_counts() {
    let admin = |world: &World| {
        let code = world.code(&Params::authorize().set("scope", "admin"));
        Granted::of(&world.token(&Params::redeem(&code))).access
    };
    let plain = World::new();
    let token = admin(&plain);
    refused(
        &plain,
        plain.check(&token, &["read"]),
        403,
        "insufficient_scope",
        Reason::ScopeInsufficient,
    );
    let world =
        World::with(policy().scope_implies("admin", "write").scope_implies("write", "read"));
    let token = admin(&world);
    assert!(world.check(&token, &["admin", "write", "read"]).is_ok(), "inclusion is transitive");
    assert_eq!(
        world.access(&token).scope().collect::<Vec<_>>(),
        ["admin"],
        "the granted scope is unchanged"
    );
    let code = world.code(&Params::authorize().set("scope", "read"));
    let reader = Granted::of(&world.token(&Params::redeem(&code))).access;
    for needed in ["write", "admin"] {
        refused(
            &world,
            world.check(&reader, &[needed]),
            403,
            "insufficient_scope",
            Reason::ScopeInsufficient,
        );
    }
    // Circles end, and only existing scopes can include or be included.
    let round =
        policy().scope_implies("read", "write").scope_implies("write", "read").build().unwrap();
    assert!(
        round.implies("read", "write")
            && round.implies("write", "read")
            && !round.implies("read", "admin")
    );
    for bad in [policy().scope_implies("x", "read"), policy().scope_implies("read", "x")] {
        let error = PolicyError::Scopes(ScopesError::Undeclared {
            setting: "scope_implies",
            scope: "x".to_owned(),
        });
        assert_eq!(bad.build().unwrap_err(), error);
    }
}

#[test]
fn rs_11_long_chains_of_scopes_build_fast() {
    let last = 300;
    let chain =
        (0..=last).fold(policy(), |policy, at| policy.scope(format!("s{at}"), "One of many"));
    let chain = (0..last)
        .fold(chain, |policy, at| policy.scope_implies(format!("s{at}"), format!("s{}", at + 1)));
    // An exponential algorithm would take hours.
    let built = chain.build().unwrap();
    assert!(built.implies("s0", "s300") && built.implies("s299", "s300"));
    assert!(!built.implies("s300", "s0") && !built.implies("s0", "read"));
}
