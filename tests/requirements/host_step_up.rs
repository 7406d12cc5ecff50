//! Tests of HOST-31 to HOST-34 and I56: a resource needs a class or a recency of login.

use grantcore::grant::Principal;
use grantcore::policy::IntrospectionRules;
use grantcore::request::{Login, NeedsError};
use grantcore::value::Subject;
use grantcore::{
    Authorization, AuthorizationStep, Choice, Needs, Reason, Refusal, Timestamp, User,
};
use serde_json::json;

use crate::support::params::Params;
use crate::support::{
    ALICE, Granted, ISSUER, MCP, Outcome, T, World, json as body, needs, param, policy,
};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(T + seconds)
}

/// Runs a whole flow for this user.
fn tokens(world: &World, user: User<'_>) -> Granted {
    let Ok(AuthorizationStep::NeedsConsent(page)) =
        world.authorize_as(&Params::authorize(), Some(user))
    else {
        panic!("no page")
    };
    let redirect = world.server.consent(&page.ticket(), user, Choice::Allow).outcome().unwrap();
    let code = param(&redirect.into_location(), "code").unwrap();
    Granted::of(&world.token(&Params::redeem(&code)))
}

fn call(world: &World, token: &str, needs: &Needs) -> Result<(), Refusal> {
    let header = format!("Bearer {token}");
    world.server.check(&Authorization::One(header.as_bytes()), needs).outcome().map(drop)
}

fn read(world: &World) -> Needs {
    needs(world.server.policy(), 0, "read")
}

fn login(seconds: u64, acr: &str) -> Login<'_> {
    Login::at(at(seconds)).with_acr(acr).unwrap()
}

#[test]
fn host_31_a_live_token_is_challenged_with_the_login_that_is_needed() {
    let world = World::new();
    world.at(400);
    let granted = tokens(&world, ALICE.with_login(login(0, "a")));
    let strong = read(&world).acr(&["b", "c"]).unwrap().max_age(300);
    let refusal = call(&world, &granted.access, &strong).unwrap_err();
    assert_eq!(refusal.reason(), Reason::LoginInsufficient);
    assert_eq!(world.reason(), Some(Reason::LoginInsufficient));
    let reply = refusal.reply(world.server.policy());
    assert_eq!(
        (reply.status, body(&reply)["error"].as_str()),
        (401, Some("insufficient_user_authentication"))
    );
    let description = Reason::LoginInsufficient.description();
    assert_eq!(
        reply.header("www-authenticate"),
        Some(&*format!(
            "Bearer resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\", \
             error=\"insufficient_user_authentication\", error_description=\"{description}\", \
             acr_values=\"b c\", max_age=\"300\", scope=\"read\""
        ))
    );
    // Each need alone.
    let by_class = read(&world).acr(&["b"]).unwrap();
    let challenge = |needs: &Needs| {
        let refusal = call(&world, &granted.access, needs).unwrap_err();
        refusal.reply(world.server.policy()).header("www-authenticate").unwrap().to_owned()
    };
    assert!(
        challenge(&by_class).contains("acr_values=\"b\"")
            && !challenge(&by_class).contains("max_age")
    );
    let by_age = read(&world).max_age(60);
    assert!(
        challenge(&by_age).contains("max_age=\"60\"") && !challenge(&by_age).contains("acr_values")
    );
    // What is needed is there.
    call(&world, &granted.access, &read(&world).acr(&["b", "a"]).unwrap().max_age(400)).unwrap();
    call(&world, &granted.access, &read(&world)).unwrap();
}

#[test]
fn host_31_needs_are_checked_when_they_are_made() {
    let plain = World::new();
    let unknown = |acr: &str| Err(NeedsError::AcrUnknown { acr: acr.to_owned() });
    for acr in ["", "two words", "\"", "é"] {
        assert_eq!(read(&plain).acr(&[acr]), unknown(acr));
    }
    assert!(read(&plain).acr(&["anything"]).is_ok());
    let declared = World::with(policy().acr_values("a b"));
    assert!(read(&declared).acr(&["a", "b"]).is_ok());
    assert_eq!(read(&declared).acr(&["a", "z"]), unknown("z"));
    let message = NeedsError::AcrUnknown { acr: "z".to_owned() }.to_string();
    assert!(message.starts_with("acr 'z' is refused: it is none of the classes of logins"));
}

#[test]
fn host_32_the_need_is_disclosed_for_a_token_that_is_good_in_all_else() {
    let world =
        World::with(policy().resource("https://files.example", "read").default_resource(MCP));
    let granted = tokens(&world, ALICE.with_login(login(0, "a")));
    let strong = |scope: &str| {
        needs(world.server.policy(), 0, scope).acr(&["b"]).unwrap().max_age(1).billed()
    };
    let refused_with = |token: &str, needs: &Needs| {
        let refusal = call(&world, token, needs).unwrap_err();
        let reply = refusal.reply(world.server.policy());
        let challenge = reply.header("www-authenticate").unwrap_or_default().to_owned();
        (refusal.reason(), challenge.contains("acr_values") || challenge.contains("max_age"))
    };
    // Login before scope and balance.
    assert_eq!(refused_with(&granted.access, &strong("admin")), (Reason::LoginInsufficient, true));
    let weak = needs(world.server.policy(), 0, "admin").acr(&["a"]).unwrap();
    assert_eq!(refused_with(&granted.access, &weak), (Reason::ScopeInsufficient, false));
    // Audience, accounts, client and token before login.
    let elsewhere = needs(world.server.policy(), 1, "read").acr(&["b"]).unwrap();
    assert_eq!(refused_with(&granted.access, &elsewhere), (Reason::AudienceMismatch, false));
    assert_eq!(refused_with("gat_nothing", &strong("read")), (Reason::TokenUnknown, false));
    let call_without = world.server.check(&Authorization::None, &strong("read"));
    let refusal = call_without.outcome().unwrap_err();
    let challenge = refusal.reply(world.server.policy());
    let challenge = challenge.header("www-authenticate").unwrap();
    assert!(!challenge.contains("acr_values") && !challenge.contains("max_age"), "{challenge}");
    world.store.suspend("alice", true);
    assert_eq!(refused_with(&granted.access, &strong("read")), (Reason::AccountSuspended, false));
    world.store.suspend("alice", false);
    world.at(3600);
    assert_eq!(refused_with(&granted.access, &strong("read")), (Reason::TokenExpired, false));
}

#[test]
fn host_33_max_age_at_a_resource_counts_from_the_login() {
    let world = World::new();
    let known = tokens(&world, ALICE.with_login(Login::at(at(0))));
    let unknown = tokens(&world, ALICE);
    let recent = read(&world).max_age(300);
    world.at(300);
    call(&world, &known.access, &recent).unwrap();
    let refused = |token: &str| call(&world, token, &recent).unwrap_err().reason();
    assert_eq!(refused(&unknown.access), Reason::LoginInsufficient);
    world.at(301);
    assert_eq!(refused(&known.access), Reason::LoginInsufficient);
    // No refresh makes a login newer.
    let refreshed = world.refreshed(known.refresh());
    assert_eq!(refused(&refreshed.access), Reason::LoginInsufficient);
}

/// A check that needs a login passes if and only if the grant's login satisfies it.
#[test]
fn i56_a_check_passes_if_and_only_if_the_login_satisfies_it() {
    let world = World::new();
    world.at(1000);
    for own in [None, Some((0, None)), Some((900, Some("a"))), Some((1000, Some("b")))] {
        let user = match own {
            None => ALICE,
            Some((seconds, None)) => ALICE.with_login(Login::at(at(seconds))),
            Some((seconds, Some(acr))) => ALICE.with_login(login(seconds, acr)),
        };
        let granted = tokens(&world, user);
        for acr in [None, Some(&["a"][..]), Some(&["b", "c"][..])] {
            for max_age in [None, Some(0), Some(99), Some(100), Some(1000)] {
                let mut needed = read(&world);
                if let Some(acr) = acr {
                    needed = needed.acr(acr).unwrap();
                }
                if let Some(seconds) = max_age {
                    needed = needed.max_age(seconds);
                }
                let class = acr.is_none_or(|acr| {
                    own.and_then(|(_, own)| own).is_some_and(|own| acr.contains(&own))
                });
                let recent = max_age.is_none_or(|seconds| {
                    own.is_some_and(|(time, _)| 1000 - time <= u64::from(seconds))
                });
                let passes = call(&world, &granted.access, &needed).is_ok();
                assert_eq!(passes, class && recent, "{own:?} {acr:?} {max_age:?}");
                // So does a resource in another process.
                let facts = own.map(|(time, acr)| match acr {
                    Some(acr) => login(time, acr),
                    None => Login::at(at(time)),
                });
                let policy = world.server.policy();
                let subject = Subject::new("alice");
                let alice = Principal::Person(&subject);
                let judged = needed.judge(policy, [MCP], alice, facts, "read write", at(1000));
                assert_eq!(judged.is_ok(), passes);
            }
        }
    }
}

#[test]
fn host_34_introspection_gives_the_login_where_it_is_known() {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    let world = World::with(policy().introspection(rules));
    let introspected = |token: &str| {
        let form = Params::redeem("").without("code").and("token", token).by_web();
        let form = form.encode();
        let request = crate::support::steps::form(&form);
        body(&world.reply(world.server.introspect(&request)))
    };
    let known = tokens(&world, ALICE.with_login(login(5, "mfa")));
    let response = introspected(&known.access);
    assert_eq!((&response["auth_time"], &response["acr"]), (&json!(T + 5), &json!("mfa")));
    assert_eq!(response["iss"], json!(ISSUER));
    let timed = introspected(&tokens(&world, ALICE.with_login(Login::at(at(5)))).access);
    assert_eq!((&timed["auth_time"], timed.get("acr")), (&json!(T + 5), None));
    let unknown = introspected(&tokens(&world, ALICE).access);
    assert_eq!((unknown.get("auth_time"), unknown.get("acr")), (None, None));
    assert_eq!(unknown["active"], json!(true));
}
