//! RS-13 to -16 and the seed's section on balance: what is judged in which order, and who pays.

use grantcore::{Access, Authorization, Balance, Client, Needs, Reason, Refusal, Subject, Warning};

use crate::support::params::Params;
use crate::support::{Granted, World, json};

fn pay(world: &World, token: &str, scopes: &[&str]) -> Result<Access, Refusal> {
    let header = format!("Bearer {token}");
    let needs = Needs::of(&world.server.policy().resources()[0]).scopes(scopes).billed();
    world.server.check(&Authorization::One(header.as_bytes()), needs).unwrap()
}

fn balance(world: &World, balance: Balance) {
    world.store.inner.put_balance(Subject::new("alice"), balance);
}

#[track_caller]
fn refused(world: &World, outcome: Result<Access, Refusal>, status: u16, reason: Reason) {
    let reply = outcome.expect_err("refused").reply(world.server.policy());
    assert_eq!((reply.status, world.reason()), (status, Some(reason)));
}

#[test]
fn rs_13_the_credential_comes_first_then_the_token_then_who_is_behind_it_then_where_how_far_and_who_pays() {
    let world =
        World::with(crate::support::policy().resource("https://files.example", "read").default_resource(crate::support::MCP));
    let code = world.code(&Params::authorize().and("resource", "https://files.example"));
    let elsewhere = Granted::of(&world.token(&Params::redeem(&code)));
    let tokens = world.tokens();
    balance(&world, Balance::Insufficient);
    let all_wrong = &["admin"];
    refused(&world, pay(&world, "a b", all_wrong), 400, Reason::BearerMalformed);
    world.store.suspend("alice", true);
    refused(&world, pay(&world, &elsewhere.access, all_wrong), 401, Reason::AccountSuspended);
    world.store.suspend("alice", false);
    refused(&world, pay(&world, &elsewhere.access, all_wrong), 401, Reason::AudienceMismatch);
    refused(&world, pay(&world, &tokens.access, all_wrong), 403, Reason::ScopeInsufficient);
    refused(&world, pay(&world, &tokens.access, &["read"]), 402, Reason::BalanceInsufficient);
    world.at(3600);
    world.store.suspend("alice", true);
    refused(&world, pay(&world, &tokens.access, all_wrong), 401, Reason::TokenExpired);
}

#[test]
fn rs_14_without_balance_a_billed_call_is_402_and_the_token_is_untouched() {
    let world = World::new();
    let tokens = world.tokens();
    balance(&world, Balance::Insufficient);
    let before = world.store.commits();
    let reply = pay(&world, &tokens.access, &["read"]).unwrap_err().reply(world.server.policy());
    assert_eq!(
        (reply.status, json(&reply)["error"].as_str(), reply.header("www-authenticate")),
        (402, Some("insufficient_balance"), None)
    );
    assert_eq!(json(&reply)["error_description"], Reason::BalanceInsufficient.description());
    assert_eq!(world.store.commits(), before);
    assert!(world.works(&tokens.access), "what is free stays free");
    balance(&world, Balance::Sufficient);
    assert!(pay(&world, &tokens.access, &["read"]).is_ok());
    world.refreshed(tokens.refresh());
}

#[test]
fn rs_15_a_low_balance_is_a_warning_and_no_refusal() {
    let world = World::new();
    let token = world.tokens().access;
    balance(&world, Balance::Low { left: 3 });
    let access = pay(&world, &token, &["read"]).unwrap();
    assert_eq!(access.warnings().collect::<Vec<_>>(), [Warning::LowBalance { left: 3 }]);
    balance(&world, Balance::Sufficient);
    assert_eq!(pay(&world, &token, &[]).unwrap().warnings().count(), 0);
    assert_eq!(world.access(&token).warnings().count(), 0);
}

#[test]
fn rs_16_the_balance_is_the_accounts_whichever_client_calls() {
    let world = World::new();
    world.put(Client::public("other").redirect_uri("https://app.example/cb").build().unwrap());
    let code = world.code(&Params::authorize().set("client_id", "other"));
    let others = Granted::of(&world.token(&Params::redeem(&code).set("client_id", "other")));
    let own = world.tokens();
    for verdict in [Balance::Insufficient, Balance::Low { left: 1 }, Balance::Sufficient] {
        balance(&world, verdict);
        let told = [&own, &others].map(|tokens| pay(&world, &tokens.access, &[]).map(|access| access.warnings().next()));
        let told = told.map(|outcome| outcome.map_err(|refusal| refusal.reason()));
        assert_eq!(told[0], told[1]);
    }
    // It is asked for only where something is to be paid, and then by the account's name alone.
    world.store.calls();
    assert!(world.works(&own.access));
    assert!(!world.store.calls().contains(&"balance"));
    assert!(pay(&world, &own.access, &[]).is_ok());
    assert_eq!(world.store.calls(), ["grant", "client", "account", "balance"]);
    // Another's balance is another's.
    world.store.inner.put_balance(Subject::new("bob"), Balance::Insufficient);
    assert!(pay(&world, &own.access, &[]).is_ok());
}

#[test]
fn seed_s45_a_call_is_402_or_comes_with_a_warning() {
    let world = World::new();
    let token = world.tokens().access;
    balance(&world, Balance::Low { left: 1 });
    assert_eq!(pay(&world, &token, &[]).unwrap().warnings().count(), 1);
    balance(&world, Balance::Insufficient);
    refused(&world, pay(&world, &token, &[]), 402, Reason::BalanceInsufficient);
    let event = world.events().pop().unwrap();
    assert_eq!((event.error(), event.flow), (Some("insufficient_balance"), Some(world.grants()[0].record.id())));
}

#[test]
fn seed_s47_after_a_top_up_the_same_call_goes_through() {
    let world = World::new();
    let token = world.tokens().access;
    balance(&world, Balance::Insufficient);
    assert!(pay(&world, &token, &[]).is_err());
    balance(&world, Balance::Sufficient);
    assert!(pay(&world, &token, &[]).is_ok());
}

/// What each operation asks of the store when nobody is in its way: one read of each record, and at most one write.
#[test]
fn l2_each_operation_reads_each_record_once_and_writes_once() {
    let world = World::with(crate::support::policy().revocation(grantcore::RevocationRules::default()));
    let calls = || world.store.calls();
    calls();
    let ticket = world.page(&Params::authorize()).into_ticket();
    assert_eq!(calls(), ["client", "account", "commit"], "authorize creates its grant");
    let location = world.decide(&ticket, grantcore::Choice::Allow).unwrap().into_location();
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "consent");
    let redeem = Params::redeem(&crate::support::param(&location, "code").unwrap());
    let tokens = Granted::of(&world.token(&redeem));
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "redeem");
    let renewed = world.refreshed(tokens.refresh());
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "refresh");
    assert!(world.works(&renewed.access));
    assert_eq!(calls(), ["grant", "client", "account"], "check: one load, no write");
    assert!(!world.works("x"));
    assert_eq!(calls(), [""; 0], "what cannot be a token is not looked up");
    let body = Params::refresh("x").without("grant_type").without("refresh_token").and("token", &renewed.access).encode();
    assert_eq!(world.server.revoke(&crate::support::steps::form(&body)).unwrap().status, 200);
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "revoke");
    world.server.revoke_connection("alice", world.grants()[0].record.id()).unwrap().unwrap();
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "disconnect");
    drop(world.token(&Params::refresh("x").without("grant_type")));
    assert_eq!(calls(), ["client"], "a request that names no grant");
}
