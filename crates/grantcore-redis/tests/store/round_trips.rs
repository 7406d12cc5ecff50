//! How often a caller waits for Redis, and that the shorter way brings the same.

use std::net::{Ipv4Addr, SocketAddr};

use grantcore::{
    Account, AsyncStore, Client, ClientKey, Commit, Grant, GrantId, Keys, Stored, Subject, Write,
};
use grantcore_redis::{RedisStore, RedisStoreError};
use grantcore_testing_servers::{Proxy, Redis};

use crate::place::{Place, client, everywhere, now, pending, policy};

/// The same store with the library's own way of loading, one after another.
struct Plain<'a>(&'a RedisStore);

impl AsyncStore for Plain<'_> {
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

    async fn account(&self, subject: &str) -> Result<Option<Account>, RedisStoreError> {
        self.0.account(subject).await
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
                            subject,
                            caller: caller.clone(),
                            balance,
                        };
                        let (own, plain) = (
                            store.load(&keys).await.unwrap(),
                            Plain(store).load(&keys).await.unwrap(),
                        );
                        assert_eq!(format!("{own:?}"), format!("{plain:?}"), "{keys:?}");
                    }
                }
            }
        }
        let ids = [grant, absent, grant];
        let (own, plain) =
            (store.load_grants(&ids).await.unwrap(), Plain(store).load_grants(&ids).await.unwrap());
        assert_eq!(format!("{own:?}"), format!("{plain:?}"));
        assert_eq!(own[0].owner, Some(Account { suspended: true, epoch: 0 }));
        assert!(own[1].grant.is_none());
    })
    .await;
}

#[tokio::test]
async fn no_more_round_trips_than_need_be() {
    let Some(server) = Redis::start(&[]) else { return };
    let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())));
    let store = RedisStore::connect(&format!("redis://{}/", proxy.address())).await.unwrap();
    let grant = populate(&store).await;
    let cases = [
        (
            Keys {
                grant: Some(grant),
                client: "caller".into(),
                caller: "caller".into(),
                ..Keys::default()
            },
            2,
        ),
        (Keys { grant: Some(grant), ..Keys::default() }, 3),
        (Keys { client: "caller".into(), subject: Some("alice"), ..Keys::default() }, 1),
        (Keys { client: "app".into(), subject: Some("alice"), ..Keys::default() }, 2),
    ];
    for (keys, expected) in cases {
        let before = proxy.round_trips();
        store.load(&keys).await.unwrap();
        assert_eq!(proxy.round_trips() - before, expected, "{keys:?}");
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
