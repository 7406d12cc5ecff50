//! Adding, listing and counting clients, and the accounts that a load may leave out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use grantcore::blocking::{Store, StoreAdministration};
use grantcore::store::{Counts, Keys, Version, Write};
use grantcore::{Account, Client};
use grantcore_sqlite::SqliteStore;

fn app(id: &str) -> Client {
    Client::public(id).redirect_uri("https://app.example/cb").build().unwrap()
}

#[test]
fn a_client_that_is_put_again_is_replaced_and_its_version_moves() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    for id in ["b", "a"] {
        store.put_client(app(id)).unwrap();
    }
    let first = Store::client(&store, "a").unwrap().unwrap();
    assert_eq!(first.version, Version::FIRST);
    let named = app("a").edit().name("Another").build().unwrap();
    store.put_client(named.clone()).unwrap();
    let second = Store::client(&store, "a").unwrap().unwrap();
    assert_eq!((second.version, &*second.record), (first.version.next(), &named));
    // A commit that was decided on the first one conflicts.
    let late = Store::commit(&store, &Write::client(Some(&first), app("a"))).unwrap();
    assert_eq!(late, grantcore::store::Commit::Conflict);

    let listed = |after, limit| -> Vec<String> {
        let clients = store.clients(after, limit).unwrap();
        clients.iter().map(|stored| stored.record.id().to_string()).collect()
    };
    assert_eq!(listed(None, 9), ["a", "b"]);
    assert_eq!(listed(None, 1), ["a"]);
    assert_eq!(listed(Some("a"), 9), ["b"]);
    assert_eq!(store.counts().unwrap(), Counts::new(2, 0));
    assert_eq!(store.grants(None, 9).unwrap(), []);
}

#[test]
fn accounts_are_listed_and_can_be_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    let suspended = Account { suspended: true, epoch: u64::MAX };
    store.put_account("alice", suspended).unwrap();
    store.set_suspended("bob", false).unwrap();
    let listed = store.accounts(None, 9).unwrap();
    let subjects: Vec<_> = listed.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["alice", "bob"]);
    assert_eq!((listed[0].1, listed[1].1), (suspended, Account::ACTIVE));
    assert_eq!(store.accounts(Some("alice"), 9).unwrap().len(), 1);
}

#[test]
fn a_load_without_accounts_leaves_them_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    let keys = Keys { subject: Some("alice".into()), ..Keys::default() };
    assert_eq!(Store::load(&store, &keys).unwrap().account, Some(Account::ACTIVE));
    let keys = Keys { skip_accounts: true, ..keys };
    assert_eq!(Store::load(&store, &keys).unwrap().account, None);
}
