//! Tests of RS-13 to -16: the order of the checks, and the balance; and the store calls of each
//! operation.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use grantcore::account::Balance;
use grantcore::blocking::{Accounts, Server, Store};
use grantcore::client::ClientStatus;
use grantcore::grant::Grant;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::AccessCheck;
use grantcore::response::Warning;
use grantcore::store::{Commit, Keys, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Access, AlwaysActive, Authorization, Client, MemoryStore, Reason, Refusal};

use crate::support::params::Params;
use crate::support::store::Broken;
use crate::support::{Granted, MCP, Outcome, World, entropy, json, needs, policy, seeded};

pub(crate) fn pay(world: &World, token: &str, scopes: &[&str]) -> Result<Access, Refusal> {
    let header = format!("Bearer {token}");
    let needs = needs(world.server.policy(), 0, &scopes.join(" ")).billed();
    world.server.check(&Authorization::One(header.as_bytes()), &needs).outcome()
}

pub(crate) fn balance(world: &World, balance: Balance) {
    world.store.inner.put_balance(Subject::new("alice"), balance);
}

#[track_caller]
pub(crate) fn refused(
    world: &World,
    outcome: Result<Access, Refusal>,
    status: u16,
    reason: Reason,
) {
    let reply = outcome.expect_err("refused").reply(world.server.policy());
    assert_eq!((reply.status, world.reason()), (status, Some(reason)));
}

#[test]
fn rs_13_the_order_is_syntax_token_client_account_resource_scope_balance() {
    let world =
        World::with(policy().resource("https://files.example", "read").default_resource(MCP));
    let code = world.code(&Params::authorize().and("resource", "https://files.example"));
    let elsewhere = Granted::of(&world.token(&Params::redeem(&code)));
    let tokens = world.tokens();
    balance(&world, Balance::Insufficient);
    let all_wrong = &["admin"];
    refused(&world, pay(&world, "a b", all_wrong), 400, Reason::BearerMalformed);
    world.store.suspend("alice", true);
    refused(&world, pay(&world, &elsewhere.access, all_wrong), 401, Reason::AccountSuspended);
    world.server.set_client_status("app", ClientStatus::Deactivated).unwrap();
    refused(&world, pay(&world, &elsewhere.access, all_wrong), 401, Reason::ClientDeactivated);
    world.server.set_client_status("app", ClientStatus::Active).unwrap();
    world.store.suspend("alice", false);
    refused(&world, pay(&world, &elsewhere.access, all_wrong), 401, Reason::AudienceMismatch);
    refused(&world, pay(&world, &tokens.access, all_wrong), 403, Reason::ScopeInsufficient);
    refused(&world, pay(&world, &tokens.access, &["read"]), 402, Reason::BalanceInsufficient);
    world.at(3600);
    world.store.suspend("alice", true);
    refused(&world, pay(&world, &tokens.access, all_wrong), 401, Reason::TokenExpired);
}

#[test]
fn rs_14_a_billed_call_without_balance_is_402_and_the_token_stays_valid() {
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
    assert!(world.works(&tokens.access), "a free call is accepted");
    balance(&world, Balance::Sufficient);
    assert!(pay(&world, &tokens.access, &["read"]).is_ok());
    world.refreshed(tokens.refresh());
}

/// A host that loads records itself may leave the balance out.
#[test]
fn rs_14_an_unknown_balance_does_not_suffice() {
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    let needs = needs(world.server.policy(), 0, "");
    let moment = world.moment(entropy(3));
    let billed = needs.clone().billed();
    let reason = |needs, balance| {
        let check = AccessCheck::parse(&Authorization::One(header.as_bytes()), needs).unwrap();
        let loaded = Loaded {
            balance,
            ..Store::load(&*world.store, &check.keys(world.server.policy(), &moment)).unwrap()
        };
        let decision = check.decide(&loaded, world.server.policy(), &moment);
        decision.settle(Commit::Done).unwrap().outcome.err().map(|refusal| refusal.reason())
    };
    assert_eq!(reason(&billed, None), Some(Reason::BalanceInsufficient));
    assert_eq!(reason(&billed, Some(Balance::Sufficient)), None);
    assert_eq!(reason(&needs, None), None, "what is free needs none");
    assert_eq!(reason(&needs, Some(Balance::Insufficient)), None);
}

#[test]
fn rs_14_a_balance_that_cannot_be_read_is_a_storage_failure() {
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    let needs = needs(world.server.policy(), 0, "");
    let billed = needs.clone().billed();
    let check = |needs| world.server.check(&Authorization::One(header.as_bytes()), needs);
    world.store.break_balances(true);
    let error = check(&billed).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!((failure.store_error(), failure.refusal.status()), (Some(&Broken), 503));
    assert!(check(&needs).is_ok(), "what is free needs none");
    world.store.break_balances(false);
    assert!(check(&billed).is_ok());
}

/// A store without balances.
struct Free<'a>(&'a MemoryStore);

impl Store for Free<'_> {
    type Error = Infallible;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Infallible> {
        Store::client(self.0, id)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Infallible> {
        Store::grant(self.0, id)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Infallible> {
        Store::commit(self.0, write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Infallible> {
        Store::grants_of(self.0, subject, after, limit)
    }
}

#[test]
fn rs_14_without_balances_every_call_is_accepted() {
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    balance(&world, Balance::Insufficient);
    let now = world.now();
    let server = Server::with_sources(
        policy().build().unwrap(),
        Free(&world.store.inner),
        AlwaysActive,
        move || now,
        seeded(7),
    );
    let needs = needs(server.policy(), 0, "").billed();
    assert_eq!(
        server.check(&Authorization::One(header.as_bytes()), &needs).unwrap().warnings().count(),
        0
    );
}

#[test]
fn rs_15_a_low_balance_is_a_warning() {
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
fn rs_16_all_clients_share_the_balance_of_the_account() {
    let world = World::new();
    world.put(Client::public("other").redirect_uri("https://app.example/cb").build().unwrap());
    let code = world.code(&Params::authorize().set("client_id", "other"));
    let others = Granted::of(&world.token(&Params::redeem(&code).set("client_id", "other")));
    let own = world.tokens();
    for verdict in [Balance::Insufficient, Balance::Low { left: 1 }, Balance::Sufficient] {
        balance(&world, verdict);
        let outcomes = [&own, &others]
            .map(|tokens| pay(&world, &tokens.access, &[]).map(|access| access.warnings().next()));
        let outcomes = outcomes.map(|outcome| outcome.map_err(|refusal| refusal.reason()));
        assert_eq!(outcomes[0], outcomes[1]);
    }
    // The balance is loaded only for a billed call, and by the name of the account alone.
    world.store.calls();
    assert!(world.works(&own.access));
    assert!(!world.store.calls().contains(&"balance"));
    assert!(pay(&world, &own.access, &[]).is_ok());
    assert_eq!(world.store.calls(), ["grant", "client", "account", "balance"]);
    // Accounts do not share a balance.
    world.store.inner.put_balance(Subject::new("bob"), Balance::Insufficient);
    assert!(pay(&world, &own.access, &[]).is_ok());
}

/// The future does not wait, so one poll is enough.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// The request also names another client, and the store is used through each kind of pointer.
#[test]
fn rs_16_the_balance_is_that_of_the_grants_account_in_every_store() {
    let world = World::new();
    world.tokens();
    balance(&world, Balance::Low { left: 7 });
    world.store.inner.put_balance(Subject::new("bob"), Balance::Insufficient);
    let grant = Some(world.grants()[0].record.id());
    let keys =
        |grant, balance| Keys { grant, subject: Some("bob".into()), balance, ..Keys::default() };
    let store: &MemoryStore = &world.store.inner;
    let found = |keys: &Keys<'_>| {
        let [one, two] = [
            Store::load(store, keys).unwrap().balance,
            ready(grantcore::Store::load(store, keys)).unwrap().balance,
        ];
        assert_eq!(one, two);
        one
    };
    assert_eq!(found(&keys(grant, true)), Some(Balance::Low { left: 7 }));
    assert_eq!(found(&keys(grant, false)), None, "the balance was not requested");
    assert_eq!(found(&keys(None, true)), None, "without a grant there is no balance");
    let shared = Arc::new(MemoryStore::new());
    shared.put_balance(Subject::new("bob"), Balance::Insufficient);
    let outcomes = [
        Accounts::balance(&&*shared, "bob").unwrap(),
        Accounts::balance(&shared, "bob").unwrap(),
        ready(grantcore::Accounts::balance(&shared, "bob")).unwrap(),
    ];
    assert_eq!(outcomes, [Balance::Insufficient; 3]);
}

/// The store calls of each operation without contention: one read of each record, and at most one
/// write.
#[test]
fn l2_each_operation_reads_each_record_once_and_writes_once() {
    let world = World::with(policy().revocation(grantcore::policy::RevocationRules::default()));
    let calls = || world.store.calls();
    calls();
    let ticket = world.page(&Params::authorize()).ticket();
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
    assert!(pay(&world, &renewed.access, &[]).is_ok());
    assert_eq!(calls(), ["grant", "client", "account", "balance"], "a billed call");
    assert!(pay(&world, &renewed.access, &["admin"]).is_err());
    assert_eq!(calls(), ["grant", "client", "account", "balance"], "a refused call");
    assert!(!world.works("x"));
    assert_eq!(calls(), [""; 0], "an impossible token is not looked up");
    let body = Params::refresh("x")
        .without("grant_type")
        .without("refresh_token")
        .and("token", &renewed.access)
        .encode();
    assert_eq!(world.reply(world.server.revoke(&crate::support::steps::form(&body))).status, 200);
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "revoke");
    world.server.revoke_connection("alice", world.grants()[0].record.id()).unwrap();
    assert_eq!(calls(), ["grant", "client", "account", "commit"], "disconnect");
    drop(world.token(&Params::refresh("x").without("grant_type")));
    assert_eq!(calls(), ["client"], "a request that names no grant");
}
