//! Tests of the reference store: its sweep, its lists, and their agreement during parallel calls.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Barrier;

use grantcore::blocking::Store;
use grantcore::moment::Entropy;
use grantcore::request::{AuthorizationRequest, RegistrationRequest};
use grantcore::store::{Commit, Write};
use grantcore::value::GrantId;
use grantcore::{Client, MemoryStore, RequestParts, Timestamp};
use support::clients::{metadata, posting};
use support::params::Params;
use support::{ALICE, CALLBACK, T, World, entropy};

/// A time at which every record of these tests may be dropped, except those that never may.
const LATER: Timestamp = Timestamp::from_unix_seconds(2 * T);

/// Returns the write that creates a pending grant of alice with the id in this entropy.
fn creation(world: &World, entropy: Entropy) -> Write {
    let query = Params::authorize().encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let request =
        AuthorizationRequest::parse(&incoming, Some(ALICE), world.server.policy()).unwrap();
    world.decision(&request, &world.moment(entropy)).write().expect("a write").clone()
}

/// Returns the write that registers a client with the id in this entropy.
fn registration(world: &World, entropy: Entropy) -> Write {
    let body = metadata().to_string();
    let request =
        RegistrationRequest::parse(&posting(body.as_bytes()), world.server.policy()).unwrap();
    world.decision(&request, &world.moment(entropy)).write().expect("a write").clone()
}

fn operators(id: &str) -> Client {
    Client::public(id).redirect_uri(CALLBACK).build().unwrap()
}

fn listed(store: &MemoryStore) -> BTreeSet<GrantId> {
    store.grants_of("alice", None, usize::MAX).unwrap().into_iter().collect()
}

/// Returns the ids of these grants that exist.
fn kept(store: &MemoryStore, writes: &[Write]) -> BTreeSet<GrantId> {
    let ids = writes.iter().map(|write| write.as_grant().unwrap().id());
    ids.filter(|id| Store::grant(store, *id).unwrap().is_some()).collect()
}

#[test]
fn a_sweep_drops_up_to_its_limit_and_no_record_before_its_end() {
    let world = World::open();
    let store = MemoryStore::new();
    let commit = |write: &Write| assert_eq!(Store::commit(&store, write), Ok(Commit::Done));
    (0..90).for_each(|seed| commit(&creation(&world, entropy(seed))));
    (90..100).for_each(|seed| commit(&registration(&world, entropy(seed))));
    store.put_client(operators("app"));
    // A grant may be dropped an hour after the ten minutes of its page, a client after a day.
    let at = |seconds| Timestamp::from_unix_seconds(T + seconds);
    assert_eq!((store.sweep(at(4199), usize::MAX), store.sweep(at(4200), 0)), (0, 0));
    world.at(4200);
    let kept = creation(&world, entropy(1000));
    commit(&kept);
    let bites: Vec<_> = std::iter::repeat_with(|| store.sweep(at(4200), 7)).take(14).collect();
    assert_eq!(bites, [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 0]);
    assert_eq!(
        (store.counts().grants, listed(&store)),
        (1, BTreeSet::from([kept.as_grant().unwrap().id()]))
    );
    assert_eq!(
        (store.counts().clients, store.sweep(at(24 * 3600), 8), store.sweep(at(24 * 3600), 8)),
        (11, 8, 3)
    );
    assert_eq!(
        (store.counts().grants, store.counts().clients, listed(&store)),
        (0, 1, BTreeSet::new())
    );
    assert_eq!(
        (store.sweep(LATER, usize::MAX), Store::client(&store, "app").unwrap().is_some()),
        (0, true)
    );
}

/// A sweep runs in parallel with creations of the same ids. The list of the user's grants agrees
/// with the grants in every order.
#[test]
fn a_users_list_agrees_with_the_grants_after_a_sweep_and_creations_at_once() {
    let world = World::new();
    let writes: Vec<_> = (0..64).map(|seed| creation(&world, entropy(seed))).collect();
    for _ in 0..200 {
        let store = MemoryStore::new();
        let barrier = Barrier::new(3);
        let create = || {
            writes.iter().filter(|write| Store::commit(&store, write) == Ok(Commit::Done)).count()
        };
        assert_eq!(create(), 64);
        std::thread::scope(|scope| {
            let sweeps = scope.spawn(|| {
                barrier.wait();
                store.sweep(LATER, usize::MAX)
            });
            let creations = [(); 2].map(|()| {
                scope.spawn(|| {
                    barrier.wait();
                    (0..20).map(|_| create()).sum::<usize>()
                })
            });
            let dropped = sweeps.join().unwrap();
            let created = creations.map(|thread| thread.join().unwrap());
            assert_eq!(
                store.counts().grants,
                (64 + created.iter().sum::<usize>() - dropped) as u64
            );
        });
        assert_eq!(listed(&store), kept(&store, &writes));
        assert_eq!(store.counts().grants, listed(&store).len() as u64);
    }
}

/// A creation is acknowledged after the list has the grant, and every listed grant can be read.
#[test]
fn a_grant_is_listed_from_when_it_is_acknowledged() {
    let world = World::new();
    let writes: Vec<_> = (0..400).map(|seed| creation(&world, entropy(seed))).collect();
    let store = MemoryStore::new();
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for part in writes.chunks(200) {
            let store = &store;
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for write in part {
                    assert_eq!(Store::commit(store, write), Ok(Commit::Done));
                    assert!(listed(store).contains(&write.as_grant().unwrap().id()));
                }
            });
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..200 {
                    let seen = listed(store);
                    assert!(seen.iter().all(|id| Store::grant(store, *id).unwrap().is_some()));
                }
            });
        }
    });
    assert_eq!(listed(&store).len(), 400);
}

#[test]
fn clients_are_listed_in_the_order_of_their_ids() {
    let store = MemoryStore::new();
    let list = |after: Option<&str>, limit| {
        let clients = store.clients(after, limit);
        assert!(clients.iter().all(|listed| {
            Store::client(&store, listed.record.id().as_str()).unwrap().as_ref() == Some(listed)
        }));
        clients.iter().map(|stored| stored.record.id().as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, usize::MAX), Vec::<String>::new());
    let ids: Vec<_> = (0..100).map(|number| format!("client {number:03}")).collect();
    ids.iter().rev().for_each(|id| store.put_client(operators(id)));
    assert_eq!(list(None, usize::MAX), ids);
    assert_eq!(list(None, 7), ids[..7]);
    assert_eq!(list(Some("client 006"), 7), ids[7..14]);
    assert_eq!(list(Some("client 006!"), 7), ids[7..14], "after an id that does not exist");
    assert_eq!(list(Some("client 094"), 7), ids[95..]);
    assert_eq!(list(Some(" "), usize::MAX), ids);
    assert_eq!((list(Some("client 099"), 7), list(None, 0)), (Vec::new(), Vec::new()));
    store.put_client(operators("client 050").deactivated());
    assert_eq!(list(Some("client 049"), 1), ["client 050"]);
    assert_eq!(
        store.clients(Some("client 049"), 1)[0].version,
        grantcore::store::Version::FIRST.next()
    );
}

#[test]
fn grants_are_listed_in_the_order_of_their_ids() {
    let world = World::new();
    let store = MemoryStore::new();
    let writes: Vec<_> = (0..1000).map(|seed| creation(&world, entropy(seed))).collect();
    for write in &writes {
        assert_eq!(Store::commit(&store, write), Ok(Commit::Done));
    }
    let mut ids: Vec<_> = writes.iter().map(|write| write.as_grant().unwrap().id()).collect();
    ids.sort();
    let list = |after, limit| {
        let grants = store.grants(after, limit).into_iter();
        grants.map(|stored| stored.record.id()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, usize::MAX), ids);
    assert_eq!(Store::grants_of(&store, "alice", None, usize::MAX), Ok(ids.clone()));
    for from in (0..1000).step_by(90) {
        let next = &ids[from + 1..(from + 8).min(1000)];
        assert_eq!(list(Some(ids[from]), 7), next);
        assert_eq!(Store::grants_of(&store, "alice", Some(ids[from]), 7).unwrap(), next);
    }
    let ends = [[0; 16], [0xFF; 16]].map(GrantId::from_bytes);
    assert_eq!((list(Some(ends[0]), 3), list(Some(ends[1]), 3)), (ids[..3].to_vec(), Vec::new()));
    assert_eq!(Store::grants_of(&store, "mallory", None, 7), Ok(Vec::new()));
}

/// A sweep that finds a grant prolonged finds it again when it is due; one whose end was brought
/// nearer is found at that end.
#[test]
fn a_sweep_finds_a_grant_that_was_written_again() {
    let world = World::new();
    let tokens = world.tokens();
    let store = &world.store.inner;
    let at = |seconds| Timestamp::from_unix_seconds(T + seconds);
    // Its page would have been dropped by now. The grant is kept for a day after its last use.
    let last = 30 * 24 * 3600 + 24 * 3600;
    assert_eq!(store.sweep(at(last - 1), usize::MAX), 0);
    world.at(3600);
    world.refreshed(tokens.refresh());
    assert_eq!(store.sweep(at(last + 3599), usize::MAX), 0);
    assert_eq!(store.sweep(at(last + 3600), usize::MAX), 1);
    assert_eq!(store.counts().grants, 0);
}

/// The sweep misses no client, and does not drop a client that was registered again.
#[test]
fn every_client_is_swept_at_last_after_sweeps_and_registrations_at_once() {
    let world = World::open();
    let writes: Vec<_> = (0..4).map(|seed| registration(&world, entropy(seed))).collect();
    for _ in 0..100 {
        let store = MemoryStore::new();
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    for write in writes.iter().cycle().take(100) {
                        let _may_conflict = Store::commit(&store, write).unwrap();
                        store.put_client(
                            Client::clone(write.as_client().unwrap().record()).with_grants_ended(),
                        );
                    }
                });
                scope.spawn(|| {
                    barrier.wait();
                    for limit in 0..100 {
                        assert!(store.sweep(LATER, limit % 4) <= limit % 4);
                    }
                });
            }
        });
        let there = writes.iter().filter(|write| {
            Store::client(&store, write.as_client().unwrap().id().as_str()).unwrap().is_some()
        });
        let there = there.count();
        assert_eq!(
            (store.counts().clients, store.sweep(LATER, usize::MAX), store.counts().clients),
            (there as u64, there, 0)
        );
    }
}
