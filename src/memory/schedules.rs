//! Tests of concurrent commits, loads and sweeps of the reference store, in every schedule.

use super::MemoryStore;
use crate::blocking::Store as _;
use crate::client::Client;
use crate::moment::{CorrelationId, Timestamp};
use crate::record::{Commit, Write};
use crate::seen::Seen;
use crate::sync::schedules::explore;
use crate::value::seen_key::SeenKey;
use crate::value::text::Subject;

const END: Timestamp = Timestamp::from_unix_seconds(1000);

fn app() -> Client {
    Client::public("app").redirect_uri("https://app.example/cb").build().unwrap()
}

fn with_client() -> MemoryStore {
    let store = MemoryStore::new();
    store.put_client(app());
    store
}

/// Reads the client and replaces it. Returns whether the replacement was acknowledged.
fn replace(store: &MemoryStore) -> bool {
    let read = store.client("app").unwrap().unwrap();
    let next = Client::clone(&read.record).with_grants_ended();
    store.commit(&Write::client(Some(&read), next)).unwrap() == Commit::Done
}

fn done(results: &[bool]) -> u64 {
    u64::try_from(results.iter().filter(|is_done| **is_done).count()).unwrap()
}

/// Returns whether the client was replaced once for each acknowledgement.
fn agrees(store: &MemoryStore, results: &[bool]) -> bool {
    let client = store.client("app").unwrap().unwrap();
    client.record.epoch() == done(results) && client.version.0 == 1 + done(results)
}

#[test]
fn store_01_no_schedule_loses_an_acknowledged_write() {
    let threads = vec![replace as fn(&MemoryStore) -> bool; 2];
    explore(with_client, threads, |store, all| agrees(store, &all)).assert_none_wrong();
    let put = |store: &MemoryStore| {
        store.put_client(app());
        false
    };
    let threads: Vec<fn(&MemoryStore) -> bool> = vec![replace, put];
    let found = explore(with_client, threads, |store, all| {
        // An acknowledged replacement was made on the version before its own.
        let version = store.client("app").unwrap().unwrap().version.0;
        version == 2 + done(&all)
    });
    found.assert_none_wrong();
}

/// The planted race: the version is compared under one lock, and the record replaced under another.
#[test]
fn store_01_a_comparison_apart_from_its_write_is_found() {
    fn overwrite(store: &MemoryStore) -> bool {
        let read = store.client("app").unwrap().unwrap();
        let is_same = store.client("app").unwrap().unwrap().version == read.version;
        if is_same {
            store.put_client(Client::clone(&read.record).with_grants_ended());
        }
        is_same
    }
    let threads = vec![overwrite as fn(&MemoryStore) -> bool; 2];
    explore(with_client, threads, |store, all| agrees(store, &all)).assert_found();
}

fn mark(store: &MemoryStore) -> i64 {
    let key = SeenKey::from_bytes([7; 32]);
    let seen = Seen::new(key, CorrelationId::from_bytes([1; 16]), END);
    i64::from(store.commit(&Write::moved_seen(seen)).unwrap() == Commit::Done)
}

/// A mark is created once, unless the sweep drops it in between.
#[test]
fn i32_every_schedule_creates_a_mark_once_and_sweeps_it_once() {
    let new = MemoryStore::new;
    let kept = |store: &MemoryStore, all: Vec<i64>| {
        i64::try_from(store.counts().marks) == Ok(all.iter().sum())
    };
    let early = |store: &MemoryStore| -i64::try_from(store.sweep(END, 10)).unwrap();
    let late = |store: &MemoryStore| -i64::try_from(store.sweep(Timestamp::NEVER, 10)).unwrap();
    explore(new, vec![mark as fn(&MemoryStore) -> i64; 3], |_, all| all.iter().sum::<i64>() == 1)
        .assert_none_wrong();
    let threads: Vec<fn(&MemoryStore) -> i64> = vec![mark, late];
    explore(new, threads, kept).assert_none_wrong();
    let threads: Vec<fn(&MemoryStore) -> i64> = vec![mark, mark, early];
    let early = explore(new, threads, |store, all| {
        store.counts().marks == 1 && all.iter().sum::<i64>() == 1
    });
    early.assert_none_wrong();
}

/// Ended grants of a user stay ended: no concurrent raise of the epoch is lost.
#[test]
fn i20_no_schedule_loses_a_raised_epoch() {
    use crate::blocking::Accounts as _;
    let raise = |store: &MemoryStore| store.raise_epoch("alice").unwrap();
    let suspend = |store: &MemoryStore| {
        store.set_suspended("alice", true);
        true
    };
    let threads: Vec<fn(&MemoryStore) -> bool> = vec![raise, raise, suspend];
    let found = explore(MemoryStore::new, threads, |store, _| {
        let account = store.account(Subject::new("alice").as_str()).unwrap().unwrap();
        account.epoch == 2 && account.suspended
    });
    found.assert_none_wrong();
}
