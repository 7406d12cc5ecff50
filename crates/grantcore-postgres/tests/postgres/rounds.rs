//! The round trips of each call, counted on the wire.

use crate::support::{Database, T, app, grant, life};
use grantcore::store::{Keys, StoreAdministration, Write};
use grantcore::{Accounts, Store, Timestamp};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::Proxy;

/// Returns the number of round trips of a call whose statements are prepared: `call(0)` prepares
/// them, and `call(1)` is counted.
async fn counted<F: Future<Output = ()>>(proxy: &Proxy, call: impl Fn(usize) -> F) -> usize {
    call(0).await;
    let before = proxy.round_trips();
    call(1).await;
    proxy.round_trips() - before
}

#[tokio::test]
async fn each_call_is_one_round_trip() {
    let Some(database) = Database::new().await else { return };
    let proxy = database.proxy();
    let store = PostgresStore::connect(&database.url_by(&proxy)).await.unwrap();
    let lives = [life("alice", "s", 1), life("alice", "s", 1)];
    let ids = [grant(&lives[0][0]).id(), grant(&lives[1][0]).id()];
    let store = &store;
    let proxy = &proxy;

    for (step, steps) in lives[0].iter().zip(&lives[1]).enumerate() {
        let commit = |turn| {
            let write = [steps.0, steps.1][turn];
            async move { assert_eq!(store.commit(write).await.unwrap(), grantcore::store::Commit::Done) }
        };
        assert_eq!(counted(proxy, commit).await, 1, "step {step}");
    }
    let add = |turn| async move {
        store.commit(&Write::client(None, app(["app", "other"][turn]))).await.unwrap();
    };
    assert_eq!(counted(proxy, add).await, 1);
    let load = |turn: usize| async move {
        let keys = Keys {
            grant: Some(ids[turn]),
            caller: "other".into(),
            balance: true,
            ..Keys::default()
        };
        let loaded = store.load(&keys).await.unwrap();
        assert!(loaded.grant.is_some() && loaded.client.is_some() && loaded.account.is_some());
        assert!(loaded.caller.is_some() && loaded.balance.is_some());
    };
    assert_eq!(counted(proxy, load).await, 1);
    let load_without_accounts = |turn: usize| async move {
        let keys = Keys { skip_accounts: true, ..Keys::of_grant(ids[turn]) };
        let loaded = store.load(&keys).await.unwrap();
        assert!(loaded.grant.is_some() && loaded.client.is_some() && loaded.account.is_none());
    };
    assert_eq!(counted(proxy, load_without_accounts).await, 1);
    let load_list = |_| async move { assert_eq!(store.load_grants(&ids).await.unwrap().len(), 2) };
    assert_eq!(counted(proxy, load_list).await, 1);
    let list =
        |_| async move { assert_eq!(store.grants_of("alice", None, 9).await.unwrap().len(), 2) };
    assert_eq!(counted(proxy, list).await, 1);
    let raise = |_| async move { assert!(store.raise_epoch("alice").await.unwrap()) };
    assert_eq!(counted(proxy, raise).await, 1);
    let single = |_| async move { assert!(store.grant(ids[0]).await.unwrap().is_some()) };
    assert_eq!(counted(proxy, single).await, 1);
    let listed = |_| async move { assert_eq!(store.clients(None, 9).await.unwrap().len(), 2) };
    assert_eq!(counted(proxy, listed).await, 1);
    let counts = |_| async move { assert_eq!(store.counts().await.unwrap().clients, 2) };
    assert_eq!(counted(proxy, counts).await, 1);
    // A sweep is one statement for each kind of record: grants, clients, marks.
    let sweep = |_| async move {
        assert_eq!(store.sweep(Timestamp::from_unix_seconds(T), 9).await.unwrap(), 0);
    };
    assert_eq!(counted(proxy, sweep).await, 3);
}
