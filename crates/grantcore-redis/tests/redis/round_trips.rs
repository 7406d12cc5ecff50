//! The round trips of a load, and that it returns what the single reads return.

use std::net::{Ipv4Addr, SocketAddr};

use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{ClientKey, Commit, Keys, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, Store};
use grantcore_redis::{RedisStore, RedisStoreError};
use grantcore_testing_servers::{Proxy, Redis};

use crate::place::{Place, client, everywhere, now, pending, policy};

/// The same store with the library's own load, one read after the other.
struct Plain<'a>(&'a RedisStore);

impl Store for Plain<'_> {
    type Error = RedisStoreError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, RedisStoreError> {
        self.0.client(id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, RedisStoreError> {
        self.0.grant(id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, RedisStoreError> {
        self.0.commit(write).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, RedisStoreError> {
        self.0.grants_of(subject, after, limit).await
    }
}

impl Plain<'_> {
    async fn load_all(&self, keys: &Keys<'_>) -> Loaded {
        let mut loaded = self.load(keys).await.unwrap();
        loaded.fill_accounts(keys, self.0).await.unwrap();
        loaded
    }
}

/// A grant of alice's for `app`, whose owner is olga, another client, and accounts that differ.
async fn populate(store: &RedisStore) -> GrantId {
    let owned = client("app").edit().owner(Subject::new("olga")).build().unwrap();
    let (grant, _) = pending(&policy(), "alice", 1, now());
    for write in [&Write::client(None, owned), &Write::client(None, client("caller")), &grant] {
        assert_eq!(store.commit(write).await.unwrap(), Commit::Done);
    }
    store.raise_epoch("alice").await.unwrap();
    store.set_suspended("olga", true).await.unwrap();
    grant.as_grant().unwrap().id()
}

#[tokio::test]
async fn all_that_an_attempt_needs_is_loaded_as_the_library_would() {
    everywhere(async |place: Place| {
        let store = &place.store;
        let grant = populate(store).await;
        let absent = GrantId::from_bytes([9; 16]);
        for grant in [None, Some(grant), Some(absent)] {
            for client in
                [ClientKey::Unnamed, "app".into(), "caller".into(), "nobody's".into(), "é".into()]
            {
                for subject in [None, Some("alice"), Some("bob")] {
                    for (caller, balance) in [
                        (ClientKey::Unnamed, true),
                        ("caller".into(), false),
                        ("nobody's".into(), true),
                        ("é".into(), false),
                    ] {
                        let keys = Keys {
                            grant,
                            client: client.clone(),
                            subject: subject.map(Into::into),
                            caller: caller.clone(),
                            balance,
                            ..Keys::default()
                        };
                        let own = store.load(&keys).await.unwrap();
                        let plain = Plain(store).load_all(&keys).await;
                        assert_eq!(format!("{own:?}"), format!("{plain:?}"), "{keys:?}");
                        let keys = Keys { skip_accounts: true, ..keys };
                        let own = store.load(&keys).await.unwrap();
                        let plain = Plain(store).load(&keys).await.unwrap();
                        assert_eq!(format!("{own:?}"), format!("{plain:?}"), "{keys:?}");
                    }
                }
            }
        }
        let ids = [grant, absent, grant];
        let own = store.load_grants(&ids).await.unwrap();
        assert_eq!(own.len(), ids.len());
        for (id, own) in ids.iter().zip(&own) {
            let plain = Plain(store).load_all(&Keys::of_grant(*id)).await;
            assert_eq!(format!("{own:?}"), format!("{plain:?}"));
        }
        assert_eq!(own[0].owner, Some(Account { suspended: true, epoch: 0 }));
        assert!(own[1].grant.is_none());
    })
    .await;
}

#[tokio::test]
async fn no_more_round_trips_than_need_be() {
    let Some(server) = Redis::start(&[]) else { return };
    let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())));
    let address = format!("redis://{}/", proxy.address());
    let store = RedisStore::connect(&address).await.unwrap();
    let grant = populate(&store).await;
    let of_caller = Keys {
        grant: Some(grant),
        client: "caller".into(),
        caller: "caller".into(),
        ..Keys::default()
    };
    // The first request in a process, and one after the process has seen the grant.
    let cases = [
        (of_caller, 2, 1),
        (Keys { grant: Some(grant), ..Keys::default() }, 3, 2),
        (Keys { client: "caller".into(), subject: Some("alice".into()), ..Keys::default() }, 1, 1),
        (Keys { client: "app".into(), subject: Some("alice".into()), ..Keys::default() }, 2, 2),
        // Without accounts, an owner costs nothing.
        (Keys { grant: Some(grant), skip_accounts: true, ..Keys::default() }, 2, 1),
    ];
    for (keys, first, second) in cases {
        let store = RedisStore::connect(&address).await.unwrap();
        let mut counts = Vec::new();
        for _ in 0..2 {
            let before = proxy.round_trips();
            store.load(&keys).await.unwrap();
            counts.push(proxy.round_trips() - before);
        }
        assert_eq!(counts, [first, second], "{keys:?}");
    }
    let before = proxy.round_trips();
    store.load_grants(&[grant; 20]).await.unwrap();
    assert!(proxy.round_trips() - before < 20, "grants are loaded together");

    // A page and its approval are entered in the index, what follows is one call.
    let change = Write::client(store.client("app").await.unwrap().as_ref(), client("app"));
    let before = proxy.round_trips();
    assert_eq!(store.commit(&change).await.unwrap(), Commit::Done);
    assert_eq!(proxy.round_trips() - before, 1);
    let (page, _) = pending(&policy(), "alice", 2, now());
    let before = proxy.round_trips();
    assert_eq!(store.commit(&page).await.unwrap(), Commit::Done);
    assert_eq!(proxy.round_trips() - before, 2);
}
