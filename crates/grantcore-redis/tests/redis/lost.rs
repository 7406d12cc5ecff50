//! Answers that are lost on their way: what a write says then.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grantcore::Store;
use grantcore::client::Registration;
use grantcore::store::{Commit, Write};
use grantcore_redis::{RedisStore, RedisStoreError};
use grantcore_testing_servers::{Fault, Proxy, Redis};
use redis::Client;
use redis::aio::ConnectionManagerConfig;

use crate::place::{client, stored};
use crate::proxies::Proxies;

fn proxy(port: u16) -> Proxy {
    Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// A change of a client that is there, and what it makes of it.
async fn renaming(store: &RedisStore, name: &str) -> Write {
    let read = store.client("app").await.unwrap();
    Write::client(read.as_ref(), client("app").edit().name(name).build().unwrap())
}

#[tokio::test]
async fn alone_a_write_without_an_answer_is_an_error_whether_it_was_made_or_not() {
    let Some(server) = Redis::start(&[]) else { return };
    let proxy = proxy(server.port());
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address())).await.unwrap();
    assert_eq!(store.commit(&Write::client(None, client("app"))).await.unwrap(), Commit::Done);
    for (fault, made) in
        [(Fault::DropAfter, true), (Fault::DropBefore, false), (Fault::Reset, true)]
    {
        let before = store.client("app").await.unwrap();
        let write = renaming(&store, &format!("{fault:?}")).await;
        proxy.arm(fault);
        assert!(matches!(store.commit(&write).await, Err(RedisStoreError::Redis(_))), "{fault:?}");
        // The same handle reads on, over a new connection.
        let after = if made { Some(stored(write.as_client())) } else { before };
        assert_eq!(store.client("app").await.unwrap(), after, "{fault:?}");
    }
    // A read whose connection is lost is made again.
    for fault in [Fault::DropAfter, Fault::DropBefore, Fault::Reset] {
        proxy.arm(fault);
        assert!(store.client("app").await.unwrap().is_some(), "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_late_is_an_error() {
    let Some(server) = Redis::start(&[]) else { return };
    let proxy = proxy(server.port());
    let settings =
        ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_millis(200)));
    let host = Client::open(format!("redis://{}/", proxy.address())).unwrap();
    let store =
        RedisStore::single(host.get_connection_manager_with_config(settings).await.unwrap())
            .unwrap();
    assert_eq!(store.commit(&Write::client(None, client("app"))).await.unwrap(), Commit::Done);
    let write = renaming(&store, "Late").await;
    proxy.arm(Fault::Delay(Duration::from_secs(1)));
    let error = store.commit(&write).await.unwrap_err();
    assert!(matches!(&error, RedisStoreError::Redis(error) if error.is_timeout()), "{error}");
    let direct = RedisStore::connect(&server.url()).await.unwrap();
    assert_eq!(
        direct.client("app").await.unwrap(),
        Some(stored(write.as_client())),
        "it was made all the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_a_write_that_is_sent_again_finds_itself_and_is_done() {
    let Some(cluster) = Proxies::start() else { return };
    let store = RedisStore::connect(&format!("redis-cluster://{}", cluster.addresses().join(",")))
        .await
        .unwrap();
    assert_eq!(store.commit(&Write::client(None, client("app"))).await.unwrap(), Commit::Done);

    for (fault, sent) in [(Fault::DropAfter, 2), (Fault::DropBefore, 1), (Fault::Reset, 2)] {
        let write = renaming(&store, &format!("{fault:?}")).await;
        let before = cluster.calls();
        cluster.arm(fault);
        let commit = store.commit(&write).await;
        cluster.arm(Fault::None);
        assert_eq!(commit.unwrap(), Commit::Done, "{fault:?}");
        assert_eq!(cluster.calls() - before, sent, "{fault:?}: how often it arrived");
        assert_eq!(
            store.client("app").await.unwrap(),
            Some(stored(write.as_client())),
            "{fault:?}"
        );
        // Another call that says the same in every byte is no retry.
        assert_eq!(store.commit(&write).await.unwrap(), Commit::Conflict);
    }
    // What may go at once is there still for a retry to find.
    let passing = client("passing").edit().registration(Registration::Dynamic).build().unwrap();
    let create = Write::client(None, passing.clone());
    assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
    let delete = Write::client(Some(&stored(create.as_client())), passing.deleted());
    cluster.arm(Fault::DropAfter);
    let commit = store.commit(&delete).await;
    cluster.arm(Fault::None);
    assert_eq!(commit.unwrap(), Commit::Done);
}
