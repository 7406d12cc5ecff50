//! The compare-and-set of one record, its expiry, and what cannot be read.
//!
//! Never here: several writers (`race.rs`), or a connection that breaks (`lost.rs`).

use std::time::Duration;

use crate::place::{
    Place, approval, at, client, days, everywhere, now, passing, pending, pending_with, policy,
    stored, with,
};
use grantcore::store::{Commit, Keys, StoreAdministration as _, Version, Write};
use grantcore::{Client, Store, Timestamp};
use grantcore_redis::RedisStoreError;
use redis::cmd;

#[tokio::test]
async fn versions_of_64_bits_are_distinguished() {
    everywhere(async |place: Place| {
        let store = &place.store;
        for (number, version) in
            [(1 << 53) + 1, 9_007_199_254_740_995, u64::MAX - 1, u64::MAX].into_iter().enumerate()
        {
            // The first version of a client goes by its epoch.
            let fresh = with(&client(&format!("app-{number}")), "epoch", (version - 1).into());
            let create = Write::client(None, fresh.clone());
            assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
            let read = store.client(fresh.id().as_str()).await.unwrap().unwrap();
            assert_eq!((read.version, &*read.record), (Version(version), &fresh));

            let renamed = fresh.clone().edit().name("Changed").build().unwrap();
            // All of these are one double.
            for near in [version - 1, version.wrapping_add(1), version - 2] {
                let write = Write::client(Some(&at(&read, near)), renamed.clone());
                assert_eq!(
                    store.commit(&write).await.unwrap(),
                    Commit::Conflict,
                    "{near} for {version}"
                );
            }
            assert_eq!(store.client(fresh.id().as_str()).await.unwrap().unwrap(), read);
            assert_eq!(
                store.commit(&Write::client(Some(&read), renamed.clone())).await.unwrap(),
                Commit::Done
            );
            let read = store.client(fresh.id().as_str()).await.unwrap().unwrap();
            assert_eq!((read.version.0, &*read.record), (version.wrapping_add(1), &renamed));
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_decided_on_another_state_changes_nothing() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let policy = policy();
        let (create, _) = pending(&policy, "alice", 1, now());
        let id = create.as_grant().unwrap().id();
        assert!(store.grant(id).await.unwrap().is_none());
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let first = store.grant(id).await.unwrap().unwrap();
        assert_eq!(first, stored(create.as_grant()));
        // A second creation conflicts, even if it is the same in every byte.
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Conflict);

        let there = client("there");
        let create = Write::client(None, there.clone());
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let read = stored(create.as_client());
        let change = Write::client(Some(&read), there.clone().deactivated());
        assert_eq!(store.commit(&change).await.unwrap(), Commit::Done);
        assert_eq!(store.commit(&change).await.unwrap(), Commit::Conflict);
        assert_eq!(
            store.commit(&Write::client(Some(&read), there.clone())).await.unwrap(),
            Commit::Conflict
        );
        assert_eq!(store.client("there").await.unwrap().unwrap(), stored(change.as_client()));
        // What is not there has no version.
        let absent = Write::client(Some(&read), client("absent"));
        assert_eq!(store.commit(&absent).await.unwrap(), Commit::Conflict);
        assert!(store.client("absent").await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_record_goes_by_itself_at_its_end_and_not_before() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let policy = policy();
        let now = now();
        let expiry = async |key: String| place.raw::<i64>(cmd("EXPIRETIME").arg(key)).await;

        let (create, ticket) = pending(&policy, "alice", 1, now);
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let page = stored(create.as_grant());
        let key = format!("grantcore:g:{}", page.record.id());
        assert_eq!(
            expiry(key.clone()).await,
            page.record.drop_after().unix_seconds().cast_signed()
        );
        let approval = approval(&policy, &page, &ticket, 2, now);
        assert_eq!(store.commit(&approval).await.unwrap(), Commit::Done);
        let approved = stored(approval.as_grant());
        assert!(approved.record.drop_after() > page.record.drop_after());
        assert_eq!(expiry(key).await, approved.record.drop_after().unix_seconds().cast_signed());

        // One that may go is kept from it, and let go again.
        let going = passing("going", now.after(days(1)));
        let create = Write::client(None, going.clone());
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        assert_eq!(
            expiry("grantcore:c:going".to_owned()).await,
            now.after(days(1)).unix_seconds().cast_signed()
        );
        let kept = Write::client(Some(&stored(create.as_client())), going.clone().deactivated());
        assert_eq!(store.commit(&kept).await.unwrap(), Commit::Done);
        assert_eq!(expiry("grantcore:c:going".to_owned()).await, -1);

        // The last moment that Redis can say, and the next.
        for (id, end, expected) in [("far", (1 << 53) - 1, (1 << 53) - 1), ("beyond", 1 << 53, -1)]
        {
            let far = passing(id, Timestamp::from_unix_seconds(end));
            assert_eq!(store.commit(&Write::client(None, far)).await.unwrap(), Commit::Done);
            assert_eq!(expiry(format!("grantcore:c:{id}")).await, expected);
            assert!(store.client(id).await.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn what_has_ended_is_gone() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let end = place.time().await + 2;
        let brief = passing("brief", Timestamp::from_unix_seconds(end));
        assert_eq!(store.commit(&Write::client(None, brief.clone())).await.unwrap(), Commit::Done);
        for _ in 0..3_000 {
            if store.client("brief").await.unwrap().is_none() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(store.client("brief").await.unwrap().is_none(), "it goes by itself");
        assert!(place.time().await >= end, "gone before its end");
        // A name that is free again is taken anew.
        assert_eq!(store.commit(&Write::client(None, brief.clone())).await.unwrap(), Commit::Done);

        // One that is written when it may go already is done, and soon gone.
        let deleted = passing("deleted", now().after(days(1)));
        let create = Write::client(None, deleted.clone());
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let delete = Write::client(Some(&stored(create.as_client())), deleted.deleted());
        assert_eq!(store.commit(&delete).await.unwrap(), Commit::Done);
        let left: i64 = place.raw(cmd("PTTL").arg("grantcore:c:deleted")).await;
        assert!((1..=5_000).contains(&left), "{left} ms");
        assert!(
            store
                .client("deleted")
                .await
                .unwrap()
                .unwrap()
                .record
                .is_expired(Timestamp::from_unix_seconds(0))
        );
    })
    .await;
}

#[tokio::test]
async fn every_character_comes_back() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let policy = policy();
        let (create, _) = pending_with(&policy, "alice", "a%00b%EF%BF%BFc%7B%7D%22", 1, now());
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let change = create.as_grant().unwrap();
        let read = store.grant(change.id()).await.unwrap().unwrap();
        assert_eq!(read, change.stored());
        let body: String =
            place.raw(cmd("HGET").arg(format!("grantcore:g:{}", change.id())).arg("b")).await;
        assert!(body.contains("a\\u0000b\u{FFFF}c{}\\\""), "{body}");

        for name in ["\0", "{app}", "a{b}c", "}{", "\u{1F511}\n\r\n"] {
            let named = client("named").edit().name(name).build().unwrap();
            let read = store.client("named").await.unwrap();
            assert_eq!(
                store.commit(&Write::client(read.as_ref(), named.clone())).await.unwrap(),
                Commit::Done
            );
            assert_eq!(*store.client("named").await.unwrap().unwrap().record, named);
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let id = "app";
        let key = "grantcore:c:app";
        let create = Write::client(None, client(id));
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let over = Write::client(Some(&stored(create.as_client())), client(id).deactivated());

        place.raw::<()>(cmd("HSET").arg(key).arg("b").arg("{}")).await;
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Record(_))));
        let newer = serde_json::to_string(&client(id)).unwrap().replace("\"schema\":1", "\"schema\":2");
        place.raw::<()>(cmd("HSET").arg(key).arg("b").arg(newer)).await;
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Record(_))));
        let keys = Keys { client: id.into(), ..Keys::default() };
        assert!(matches!(store.load(&keys).await, Err(RedisStoreError::Record(_))));
        assert!(matches!(store.clients(None, 10).await, Err(RedisStoreError::Record(_))));

        for version in ["", "1.0", "0x1", "-1", "18446744073709551616"] {
            place.raw::<()>(cmd("HSET").arg(key).arg("v").arg(version)).await;
            assert!(matches!(store.client(id).await, Err(RedisStoreError::Foreign(named)) if named == key), "{version:?}");
        }
        place.raw::<()>(cmd("HDEL").arg(key).arg("v")).await;
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Foreign(_))));
        for write in [&create, &over] {
            assert!(matches!(store.commit(write).await, Err(RedisStoreError::Redis(_))), "over a record without a version");
        }
        place.raw::<()>(cmd("HSET").arg(key).arg("v").arg(1)).await;
        place.raw::<()>(cmd("HDEL").arg(key).arg("b")).await;
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Foreign(_))));

        place.raw::<()>(cmd("SET").arg(key).arg("a string")).await;
        assert!(matches!(store.client(id).await, Err(RedisStoreError::Redis(_))));
        for write in [&create, &over] {
            assert!(matches!(store.commit(write).await, Err(RedisStoreError::Redis(_))), "over a key of another type");
        }
    })
    .await;
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let mut read = None;
        for number in 0..4 {
            place.raw::<()>(cmd("SCRIPT").arg("FLUSH")).await;
            let changed: Client = client("app").edit().name(format!("{number}")).build().unwrap();
            assert_eq!(
                store.commit(&Write::client(read.as_ref(), changed.clone())).await.unwrap(),
                Commit::Done
            );
            read = store.client("app").await.unwrap();
            assert_eq!(*read.as_ref().unwrap().record, changed);
        }
    })
    .await;
}

/// The script as a client would send it again, byte for byte.
async fn called(place: &Place, seen: &str, version: &str, call: u8) -> u8 {
    let script = include_str!("../../scripts/commit.lua");
    let body = format!("written by {call}");
    let mut command = cmd("EVAL");
    command
        .arg(script)
        .arg(1)
        .arg("grantcore:c:app")
        .arg(seen)
        .arg(version)
        .arg(body)
        .arg(&[call; 8])
        .arg("");
    place.raw(&command).await
}

#[tokio::test]
async fn a_call_that_comes_twice_is_done_once_even_if_others_wrote_since() {
    everywhere(async |place: Place| {
        let body = async || place.raw::<String>(cmd("HGET").arg("grantcore:c:app").arg("b")).await;
        assert_eq!(called(&place, "", "1", 1).await, 1);
        assert_eq!(called(&place, "", "1", 1).await, 1);
        assert_eq!(called(&place, "", "1", 2).await, 0, "another call");
        for number in 1..16_u8 {
            assert_eq!(
                called(&place, &number.to_string(), &(number + 1).to_string(), number + 1).await,
                1
            );
            for earlier in 1..=number {
                assert_eq!(
                    called(&place, &(earlier - 1).to_string(), &earlier.to_string(), earlier).await,
                    1,
                    "{earlier} again"
                );
            }
            assert_eq!(body().await, format!("written by {}", number + 1));
        }
        assert_eq!(called(&place, "16", "17", 17).await, 1);
        assert_eq!(called(&place, "", "1", 1).await, 0, "that is too long ago");
        assert_eq!(called(&place, "1", "2", 2).await, 1);
        assert_eq!(body().await, "written by 17");
    })
    .await;
}
