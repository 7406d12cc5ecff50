//! Tests of HOST-10 in each face: the accounts that decide are those that the server was given.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use grantcore::account::RefreshDecision;
use grantcore::grant::{Grant, GrantState, RevocationCause};
use grantcore::{Account, Accounts, AlwaysActive, MemoryStore, Reason, Server};

use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{World, seeded};

fn end() -> RefreshDecision {
    RefreshDecision::End("left the company".into())
}

/// Accounts of the host's own, which end every grant.
struct Strict(AtomicUsize);

impl Accounts for Strict {
    type Error = Infallible;

    async fn account(&self, _: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(Account::ACTIVE))
    }

    async fn refresh_decision(&self, grant: &Grant) -> Result<RefreshDecision, Infallible> {
        assert_eq!(grant.subject().unwrap().as_str(), "alice");
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(end())
    }
}

impl grantcore::blocking::Accounts for Strict {
    type Error = Infallible;

    fn account(&self, _: &str) -> Result<Option<Account>, Infallible> {
        Ok(Some(Account::ACTIVE))
    }

    fn refresh_decision(&self, _: &Grant) -> Result<RefreshDecision, Infallible> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(end())
    }
}

/// The decision is that of the accounts which the server was given, in both faces.
#[tokio::test]
async fn host_10_both_faces_ask_the_accounts_of_the_server() {
    let world = World::new();
    let tokens = [world.tokens(), world.tokens(), world.tokens(), world.tokens()];
    let bodies = tokens.map(|tokens| Params::refresh(tokens.refresh()).encode());
    let store = &world.store.inner;
    let now = world.now();
    let policy = world.server.policy().clone();
    let strict = Strict(AtomicUsize::new(0));
    let asked = Server::with_sources(policy.clone(), store, &strict, move || now, seeded(3));
    let error = asked.token(&form(&bodies[0])).await.unwrap_err();
    assert_eq!(error.refusal().reason(), Reason::GrantEndedByHost);
    let blocking = grantcore::blocking::Server::with_sources(
        policy.clone(),
        store,
        &strict,
        move || now,
        seeded(4),
    );
    let error = blocking.token(&form(&bodies[1])).unwrap_err();
    assert_eq!(error.refusal().reason(), Reason::GrantEndedByHost);
    assert_eq!(strict.0.load(Ordering::SeqCst), 2);
    // Those that decide nothing keep every grant.
    let kept = Server::with_sources(policy.clone(), store, AlwaysActive, move || now, seeded(5));
    assert_eq!(kept.token(&form(&bodies[2])).await.unwrap().status, 200);
    let from_store = grantcore::FromStore;
    let kept = Server::with_sources(policy, store, from_store, move || now, seeded(6));
    assert_eq!(kept.token(&form(&bodies[3])).await.unwrap().status, 200);
    let grant = world.grants().remove(0).record;
    let default = Accounts::refresh_decision(&AlwaysActive, &grant).await;
    assert_eq!(default, Ok(RefreshDecision::Keep));
}

/// A host that drives operations by hand gets the decision by the accounts that it fills in.
#[tokio::test]
async fn host_10_a_host_that_drives_by_hand_gets_the_decision_with_the_accounts() {
    let world = World::new();
    let tokens = world.tokens();
    let body = Params::refresh(tokens.refresh()).encode();
    let request = grantcore::request::TokenRequest::parse(&form(&body), world.server.policy());
    let store: &MemoryStore = &world.store.inner;
    let strict = Strict(AtomicUsize::new(0));
    let now = world.now();
    let request = request.unwrap();
    let clock = move || now;
    let entropy = crate::support::entropy(7);
    let rules = world.server.policy();
    let settled = grantcore::operation::drive(&request, store, &strict, rules, &clock, entropy);
    let refusal = settled.await.unwrap().outcome.unwrap_err();
    assert_eq!(refusal.reason(), Reason::GrantEndedByHost);
    assert_eq!(world.only_grant().state(), GrantState::Revoked(RevocationCause::Host));
}
