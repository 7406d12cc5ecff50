//! Adding clients, and listing and counting grants on all nodes.

use std::collections::BTreeMap;

use grantcore::grant::Grant;
use grantcore::store::{Commit, Counts, StoreAdministration, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Accounts, Store};
use grantcore_redis::RedisStoreError;
use redis::cmd;

use crate::accounts::NAMES;
use crate::place::{Place, client, everywhere, now, pending, policy, stored};

#[tokio::test]
async fn a_client_that_is_put_again_is_replaced_and_its_version_moves() {
    everywhere(async |place: Place| {
        let store = &place.store;
        store.put_client(client("app")).await.unwrap();
        let first = store.client("app").await.unwrap().unwrap();
        assert_eq!(first.version, Version::FIRST);
        let named = client("app").edit().name("Another").build().unwrap();
        store.put_client(named.clone()).await.unwrap();
        let second = store.client("app").await.unwrap().unwrap();
        assert_eq!((second.version, &*second.record), (first.version.next(), &named));
        let late = store.commit(&Write::client(Some(&first), client("app"))).await.unwrap();
        assert_eq!(late, Commit::Conflict);
        assert_eq!(store.clients(None, 9).await.unwrap(), [second]);
    })
    .await;
}

#[tokio::test]
async fn grants_are_listed_in_the_order_of_their_ids_and_counted() {
    everywhere(async |place: Place| {
        let store = &place.store;
        assert_eq!(store.counts().await.unwrap(), Counts::new(0, 0));
        assert_eq!(store.grants(None, 10).await.unwrap(), []);
        let mut written = BTreeMap::new();
        for seed in 0..150 {
            let (write, _) = pending(&policy(), &format!("user {seed}"), seed, now());
            assert_eq!(store.commit(&write).await.unwrap(), Commit::Done);
            let stored = stored(write.as_grant());
            written.insert(stored.record.id(), stored);
        }
        store.put_client(client("app")).await.unwrap();
        assert_eq!(store.counts().await.unwrap(), Counts::new(1, 150));
        let written: Vec<_> = written.into_values().collect();
        for limit in [64, 65, 149, 150, 151, usize::MAX] {
            let mut listed: Vec<Stored<Grant>> = Vec::new();
            loop {
                let after: Option<GrantId> = listed.last().map(|stored| stored.record.id());
                let page = store.grants(after, limit).await.unwrap();
                assert!(page.len() <= limit);
                if page.is_empty() {
                    break;
                }
                listed.extend(page);
            }
            assert_eq!(listed, written, "{limit} to a page");
        }
        assert_eq!(store.grants(None, 0).await.unwrap(), []);
        assert_eq!(store.sweep(now(), 10).await.unwrap(), 0);

        // A key that this crate did not write is an error, and never left out.
        place.raw::<()>(cmd("HSET").arg("grantcore:g:short").arg("v").arg(1)).await;
        assert!(matches!(store.counts().await, Err(RedisStoreError::Foreign(_))));
        assert!(matches!(store.grants(None, 1).await, Err(RedisStoreError::Foreign(_))));
    })
    .await;
}

#[tokio::test]
async fn accounts_are_listed_under_any_name() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let mut names = NAMES;
        names.sort_unstable();
        for name in names {
            assert!(store.raise_epoch(name).await.unwrap());
        }
        store.set_suspended("}{", true).await.unwrap();
        let listed = store.accounts(None, usize::MAX).await.unwrap();
        let subjects: Vec<_> = listed.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!(subjects, names);
        for (subject, account) in &listed {
            let suspended = subject.as_str() == "}{";
            assert_eq!(*account, Account { suspended, epoch: 1 }, "{subject:?}");
        }
        assert_eq!(store.accounts(Some(names[2]), 3).await.unwrap(), listed[3..6]);
    })
    .await;
}
