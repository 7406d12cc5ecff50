//! A user's grants: the index names every one there is, in order and in pages, and forgets those
//! that are long over.

use std::collections::BTreeSet;
use std::time::Duration;

use grantcore::store::Commit;
use grantcore::value::GrantId;
use grantcore::{Store, Timestamp};
use grantcore_redis::{RedisStore, RedisStoreError};
use redis::cmd;

use crate::accounts::NAMES;
use crate::place::{Place, approval, days, everywhere, now, pending, policy, stored};

/// All pages of at most so many.
async fn paged(store: &RedisStore, subject: &str, limit: usize) -> Vec<GrantId> {
    let mut all: Vec<GrantId> = Vec::new();
    loop {
        let page = store.grants_of(subject, all.last().copied(), limit).await.unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn commit_page(place: &Place, subject: &str, seed: u64, now: Timestamp) -> GrantId {
    let (write, _) = pending(&policy(), subject, seed, now);
    assert_eq!(place.store.commit(&write).await.unwrap(), Commit::Done);
    write.as_grant().unwrap().id()
}

/// When the entry may be forgotten, as Redis has it.
async fn score(place: &Place, subject: &str, id: GrantId) -> Option<String> {
    place.raw(cmd("ZSCORE").arg(format!("grantcore:s:{subject}")).arg(id.as_bytes())).await
}

async fn expiry(place: &Place, subject: &str) -> i64 {
    place.raw(cmd("EXPIRETIME").arg(format!("grantcore:s:{subject}"))).await
}

fn past(end: Timestamp) -> u64 {
    end.after(Duration::from_secs(25 * 60 * 60)).unix_seconds()
}

#[tokio::test]
async fn it_names_every_grant_in_order_and_in_pages() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let now = now();
        let mut ids = BTreeSet::new();
        for seed in 0..40 {
            ids.insert(commit_page(&place, "alice", seed, now).await);
        }
        let bobs = commit_page(&place, "bob", 40, now).await;
        let ids: Vec<_> = ids.into_iter().collect();
        for limit in [1, 7, 40, 41, usize::MAX] {
            assert_eq!(paged(store, "alice", limit).await, ids, "{limit} to a page");
        }
        assert_eq!(store.grants_of("alice", None, 0).await.unwrap(), []);
        assert_eq!(paged(store, "bob", 2).await, [bobs]);
        assert_eq!(paged(store, "ali", 2).await, []);
        // After an id that is nobody's.
        let after = GrantId::from_bytes([0x80; 16]);
        let rest: Vec<_> = ids.iter().copied().filter(|id| *id > after).collect();
        assert_eq!(store.grants_of("alice", Some(after), usize::MAX).await.unwrap(), rest);
        let loaded = store.load_grants(&ids).await.unwrap();
        assert_eq!(
            loaded
                .iter()
                .map(|loaded| loaded.grant.as_ref().unwrap().record.id())
                .collect::<Vec<_>>(),
            ids
        );
    })
    .await;
}

#[tokio::test]
async fn an_entry_stays_until_its_grant_is_over_whatever_happens() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let policy = policy();
        let now = now();
        let (create, ticket) = pending(&policy, "alice", 1, now);
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let page = stored(create.as_grant());
        let id = page.record.id();
        assert_eq!(score(&place, "alice", id).await, Some(past(page.record.expires()).to_string()));
        assert!(past(page.record.expires()) > page.record.drop_after().unix_seconds());
        assert_eq!(expiry(&place, "alice").await, past(page.record.expires()).cast_signed());

        let approval = approval(&policy, &page, &ticket, 2, now);
        assert_eq!(store.commit(&approval).await.unwrap(), Commit::Done);
        let approved = stored(approval.as_grant()).record;
        assert!(approved.expires() > page.record.expires());
        let over = past(approved.expires());
        assert_eq!(score(&place, "alice", id).await, Some(over.to_string()));
        assert_eq!(expiry(&place, "alice").await, over.cast_signed());

        // The command that made the page, landing late, cuts nothing short.
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Conflict);
        assert_eq!(score(&place, "alice", id).await, Some(over.to_string()));
        assert_eq!(expiry(&place, "alice").await, over.cast_signed());
    })
    .await;
}

#[tokio::test]
async fn a_grant_without_an_end_has_an_entry_without_one() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let now = now();
        let policy = grantcore::Policy::builder("https://auth.example")
            .scope("notes", "Read notes")
            .resource("https://mcp.example/mcp", "notes")
            .lifetimes(grantcore::policy::Lifetimes::default().with_refresh_absolute(None))
            .build()
            .unwrap();
        let (create, ticket) = pending(&policy, "alice", 1, now);
        assert_eq!(store.commit(&create).await.unwrap(), Commit::Done);
        let page = stored(create.as_grant());
        let endless = approval(&policy, &page, &ticket, 2, now);
        assert_eq!(store.commit(&endless).await.unwrap(), Commit::Done);
        assert_eq!(stored(endless.as_grant()).record.expires(), Timestamp::NEVER);
        assert_eq!(score(&place, "alice", page.record.id()).await, Some("inf".to_owned()));
        assert_eq!(expiry(&place, "alice").await, -1);
        // Nor does another grant, which has an end, bring it one.
        commit_page(&place, "alice", 3, now).await;
        assert_eq!(expiry(&place, "alice").await, -1);
        assert_eq!(store.grants_of("alice", None, 10).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_is_long_over_is_forgotten() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let now = now();
        let long_ago = Timestamp::from_unix_seconds(now.unix_seconds() - days(400).as_secs());
        let first = commit_page(&place, "alice", 1, now).await;
        let over = commit_page(&place, "alice", 2, long_ago).await;
        let listed: BTreeSet<_> =
            store.grants_of("alice", None, 10).await.unwrap().into_iter().collect();
        assert_eq!(listed, BTreeSet::from([first, over]));

        let second = commit_page(&place, "alice", 3, now).await;
        let listed: BTreeSet<_> =
            store.grants_of("alice", None, 10).await.unwrap().into_iter().collect();
        assert_eq!(listed, BTreeSet::from([first, second]));
        // An index of nothing else is gone as a whole.
        commit_page(&place, "bob", 4, long_ago).await;
        assert_eq!(place.raw::<u64>(cmd("EXISTS").arg("grantcore:s:bob")).await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_entry_without_a_grant_harms_nobody() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let none = GrantId::from_bytes([7; 16]);
        let own = commit_page(&place, "alice", 1, now()).await;
        place
            .raw::<()>(cmd("ZADD").arg("grantcore:s:alice").arg("+inf").arg(none.as_bytes()))
            .await;
        let mut ids = vec![own, none];
        ids.sort_unstable();
        assert_eq!(store.grants_of("alice", None, 10).await.unwrap(), ids);
        let loaded = store.load_grants(&ids).await.unwrap();
        assert_eq!(
            loaded
                .iter()
                .filter_map(|loaded| loaded.grant.as_ref())
                .map(|grant| grant.record.id())
                .collect::<Vec<_>>(),
            [own]
        );
    })
    .await;
}

#[tokio::test]
async fn no_grant_is_written_that_it_does_not_name() {
    everywhere(async |place: Place| {
        let store = &place.store;
        place.raw::<()>(cmd("SET").arg("grantcore:s:alice").arg("something else")).await;
        let (write, _) = pending(&policy(), "alice", 1, now());
        assert!(matches!(store.commit(&write).await, Err(RedisStoreError::Redis(_))));
        assert!(store.grant(write.as_grant().unwrap().id()).await.unwrap().is_none());
        assert!(matches!(store.grants_of("alice", None, 10).await, Err(RedisStoreError::Redis(_))));

        place.raw::<()>(cmd("ZADD").arg("grantcore:s:bob").arg("+inf").arg("short")).await;
        assert!(matches!(store.grants_of("bob", None, 10).await, Err(RedisStoreError::Foreign(_))));
    })
    .await;
}

#[tokio::test]
async fn a_subject_may_be_any_text() {
    everywhere(async |place: Place| {
        for (seed, name) in (0_u64..).zip(NAMES) {
            let id = commit_page(&place, name, seed, now()).await;
            assert_eq!(place.store.grants_of(name, None, 10).await.unwrap(), [id], "{name:?}");
            assert_eq!(
                place.store.grant(id).await.unwrap().unwrap().record.subject().unwrap().as_str(),
                name
            );
        }
        let long = "x{".repeat(50_000);
        let id = commit_page(&place, &long, 1000, now()).await;
        assert_eq!(place.store.grants_of(&long, None, 10).await.unwrap(), [id]);
    })
    .await;
}
