//! Accounts, under any name that the host gives them.

use grantcore::store::Keys;
use grantcore::{Account, Accounts, Store};
use grantcore_redis::RedisStoreError;
use redis::cmd;

use crate::place::{Place, everywhere};

/// A brace in a key decides its node in a cluster; none of these may matter.
pub const NAMES: [&str; 9] = [" ", "{", "{}", "{x}", "a{b}c", "}{", "\0", "a b\r\n", "\u{1F511}"];

#[tokio::test]
async fn suspension_and_epoch_are_each_their_own() {
    everywhere(async |place: Place| {
        let store = &place.store;
        for name in NAMES {
            assert_eq!(store.account(name).await.unwrap(), Some(Account::ACTIVE), "{name:?}");
            assert!(store.raise_epoch(name).await.unwrap());
            store.set_suspended(name, true).await.unwrap();
            assert!(store.raise_epoch(name).await.unwrap());
            assert_eq!(
                store.account(name).await.unwrap(),
                Some(Account { suspended: true, epoch: 2 }),
                "{name:?}"
            );
            store.set_suspended(name, false).await.unwrap();
            store.set_suspended(name, false).await.unwrap();
            assert_eq!(
                store.account(name).await.unwrap(),
                Some(Account { suspended: false, epoch: 2 }),
                "{name:?}"
            );
            let loaded =
                store.load(&Keys { subject: Some(name.into()), ..Keys::default() }).await.unwrap();
            assert_eq!(loaded.account, Some(Account { suspended: false, epoch: 2 }), "{name:?}");
            let expiry: i64 = place.raw(cmd("TTL").arg(format!("grantcore:a:{name}"))).await;
            assert_eq!(expiry, -1, "an account is never dropped");
        }
        store.set_suspended("suspended only", true).await.unwrap();
        assert_eq!(
            store.account("suspended only").await.unwrap(),
            Some(Account { suspended: true, epoch: 0 })
        );
    })
    .await;
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_an_error() {
    everywhere(async |place: Place| {
        let store = &place.store;
        for (field, value) in
            [("s", "2"), ("s", ""), ("s", "yes"), ("e", "-1"), ("e", "x"), ("other", "1")]
        {
            place.raw::<()>(cmd("DEL").arg("grantcore:a:alice")).await;
            place.raw::<()>(cmd("HSET").arg("grantcore:a:alice").arg(field).arg(value)).await;
            assert!(
                matches!(store.account("alice").await, Err(RedisStoreError::Foreign(_))),
                "{field}={value}"
            );
        }
        place.raw::<()>(cmd("SET").arg("grantcore:a:alice").arg("1")).await;
        assert!(matches!(store.account("alice").await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.raise_epoch("alice").await, Err(RedisStoreError::Redis(_))));
        assert!(matches!(store.set_suspended("alice", true).await, Err(RedisStoreError::Redis(_))));
        assert!(
            store.load(&Keys { subject: Some("alice".into()), ..Keys::default() }).await.is_err()
        );
    })
    .await;
}
