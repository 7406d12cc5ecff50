//! Servers that are killed and come back with all they acknowledged.

use grantcore::store::{Commit, Write};
use grantcore::{Accounts, Store};
use grantcore_redis::{RedisStore, RedisStoreError};
use grantcore_testing_servers::{Redis, RedisCluster};

use crate::place::{client, now, pending, policy, stored};

#[tokio::test]
async fn while_a_server_is_down_all_is_an_error_and_then_as_before() {
    let Some(mut server) = Redis::start(&[]) else { return };
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (create, _) = pending(&policy(), "alice", 1, now());
    assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
    let id = create.as_grant().unwrap().id();
    let written = stored(create.as_grant());
    server.kill();
    for _ in 0..2 {
        assert!(matches!(store.grant(id).await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.client("app").await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.account("alice").await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.grants_of("alice", None, 1).await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.raise_epoch("alice").await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.commit(&create).await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(
            store.commit(&Write::client(None, client("app"))).await,
            Err(RedisStoreError::Redis(_))
        ));
    }
    assert!(matches!(RedisStore::connect(&server.url()).await, Err(RedisStoreError::Redis(_))));
    server.restart();
    assert_eq!(store.grant(id).await.unwrap(), Some(written));
    assert_eq!(store.grants_of("alice", None, 10).await.unwrap(), [id]);
    assert_eq!(store.commit(&create).await.unwrap(), Commit::Conflict);
    assert_eq!(store.commit(&Write::client(None, client("app"))).await.unwrap(), Commit::Done);
}

#[tokio::test]
async fn every_write_that_was_acknowledged_before_a_kill_is_there_after_it() {
    let Some(mut server) = Redis::start(&[]) else { return };
    let url = server.url();
    let writing = tokio::spawn(async move {
        let store = RedisStore::connect(&url).await.unwrap();
        let mut acknowledged = Vec::new();
        for seed in 0.. {
            let (create, _) = pending(&policy(), "alice", seed, now());
            match store.commit(&create).await {
                Ok(commit) => assert_eq!(commit, Commit::Done),
                Err(_) => break,
            }
            acknowledged.push(stored(create.as_grant()));
        }
        acknowledged
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    server.kill();
    let acknowledged = writing.await.unwrap();
    assert!(!acknowledged.is_empty());
    server.restart();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let index = store.grants_of("alice", None, usize::MAX).await.unwrap();
    for written in acknowledged {
        assert!(index.contains(&written.record.id()));
        assert_eq!(store.grant(written.record.id()).await.unwrap(), Some(written));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_node_is_down_what_it_has_is_an_error_and_then_as_before() {
    let Some(mut cluster) = RedisCluster::start() else { return };
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    // By the hash tag, these are on the third, the first and the second node.
    let ids = ["{a}", "{b}", "{c}"];
    for id in ids {
        assert_eq!(store.commit(&Write::client(None, client(id))).await.unwrap(), Commit::Done);
    }
    for (node, id) in [(2, "{a}"), (0, "{b}")] {
        let change =
            Write::client(store.client(id).await.unwrap().as_ref(), client(id).deactivated());
        cluster.kill(node);
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.commit(&change).await, Err(RedisStoreError::Redis(_))));
        cluster.restart(node);
        assert_eq!(store.commit(&change).await.unwrap(), Commit::Done);
        for id in ids {
            assert_eq!(store.client(id).await.unwrap().unwrap().record.id().as_str(), id);
        }
        assert_eq!(store.client(id).await.unwrap(), Some(stored(change.as_client())));
    }
    for node in 0..3 {
        cluster.kill(node);
    }
    for id in ids {
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Redis(_))));
    }
    for node in 0..3 {
        cluster.restart(node);
    }
    for id in ids {
        assert_eq!(store.client(id).await.unwrap().unwrap().record.id().as_str(), id);
    }
}
