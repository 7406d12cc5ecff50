//! What is written is what is read, in each way of reading it.

use crate::support::{self, Database, app, grant, life, shown};
use grantcore::account::Balance;
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{ClientKey, Commit, Keys, StoreAdministration as _, Stored, Version, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts, Client, Store, Timestamp};
use grantcore_postgres::{PostgresError, PostgresStore};

/// The same store with the library's own load, one read after the other.
struct OneByOne(PostgresStore);

impl Store for OneByOne {
    type Error = PostgresError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, PostgresError> {
        self.0.client(id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, PostgresError> {
        self.0.grant(id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, PostgresError> {
        self.0.commit(write).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, PostgresError> {
        self.0.grants_of(subject, after, limit).await
    }
}

impl OneByOne {
    async fn load_all(&self, keys: &Keys<'_>) -> Loaded {
        let mut loaded = self.load(keys).await.unwrap();
        loaded.fill_accounts(keys, &self.0).await.unwrap();
        loaded
    }
}

async fn done(store: &PostgresStore, writes: &[Write]) {
    for write in writes {
        assert_eq!(store.commit(write).await.unwrap(), Commit::Done);
    }
}

#[tokio::test]
async fn each_step_of_a_grant_is_written_over_the_one_before_and_over_no_other() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let writes = life("alice", "af0if", 2);
    for (place, write) in writes.iter().enumerate() {
        done(&store, std::slice::from_ref(write)).await;
        let read = store.grant(grant(write).id()).await.unwrap().unwrap();
        assert_eq!(read, grant(write).stored());
        // None but the next fits, this one included.
        for (other, misfit) in writes.iter().enumerate().filter(|(other, _)| *other != place + 1) {
            assert_eq!(
                store.commit(misfit).await.unwrap(),
                Commit::Conflict,
                "{other} after {place}"
            );
        }
        assert_eq!(store.grant(read.record.id()).await.unwrap().unwrap(), read);
    }
    assert_eq!(writes.len(), 5);
}

#[tokio::test]
async fn a_client_keeps_its_owner_through_its_changes() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let owned = app("app").edit().owner(Subject::new("bob")).build().unwrap();
    done(&store, &[Write::client(None, owned)]).await;
    let seen = store.client("app").await.unwrap().unwrap();
    assert_eq!(seen.version, Version::FIRST);
    store.set_suspended("bob", true).await.unwrap();
    let keys = Keys { client: "app".into(), ..Keys::default() };
    assert!(store.load(&keys).await.unwrap().owner.unwrap().suspended);

    let edited =
        (*seen.record).clone().edit().owner(Subject::new("carol")).name("Another").build().unwrap();
    done(&store, &[Write::client(Some(&seen), edited.clone())]).await;
    assert_eq!(store.commit(&Write::client(Some(&seen), edited)).await.unwrap(), Commit::Conflict);
    let loaded = store.load(&keys).await.unwrap();
    assert_eq!(loaded.owner, Some(Account::ACTIVE));
    assert_eq!(loaded.client.unwrap().version, Version::FIRST.next());
}

#[tokio::test]
async fn one_round_trip_finds_what_many_find() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let owned = app("owned").edit().owner(Subject::new("bob")).build().unwrap();
    done(&store, &[Write::client(None, app("app")), Write::client(None, owned)]).await;
    let alices = life("alice", "a", 1);
    let bobs = life("bob", "b", 0);
    done(&store, &alices).await;
    done(&store, &bobs).await;
    store.set_suspended("bob", true).await.unwrap();
    store.raise_epoch("alice").await.unwrap();

    let alices = grant(&alices[0]).id();
    let bobs = grant(&bobs[0]).id();
    let unknown = GrantId::from_bytes([7; 16]);
    let plain = OneByOne(store.clone());
    for grant in [None, Some(alices), Some(bobs), Some(unknown)] {
        for client in
            [ClientKey::Unnamed, "app".into(), "owned".into(), "unknown".into(), "é".into()]
        {
            for subject in [None, Some("alice"), Some("bob"), Some("dave")] {
                for caller in [ClientKey::Unnamed, "app".into(), "unknown".into(), "é".into()] {
                    for balance in [false, true] {
                        let keys = Keys {
                            grant,
                            client: client.clone(),
                            subject: subject.map(Into::into),
                            caller: caller.clone(),
                            balance,
                            ..Keys::default()
                        };
                        let expected = shown(plain.load_all(&keys).await);
                        assert_eq!(shown(store.load(&keys).await.unwrap()), expected, "{keys:?}");
                        let keys = Keys { skip_accounts: true, ..keys };
                        assert_eq!(
                            shown(store.load(&keys).await.unwrap()),
                            shown(plain.load(&keys).await.unwrap()),
                            "{keys:?}"
                        );
                    }
                }
            }
        }
    }
    let ids = [bobs, unknown, alices, bobs];
    for (id, loaded) in ids.iter().zip(store.load_grants(&ids).await.unwrap()) {
        let expected = plain.load_all(&Keys::of_grant(*id)).await;
        assert_eq!(shown(loaded), shown(expected), "{id:?}");
    }
    assert_eq!(store.load_grants(&ids).await.unwrap().len(), ids.len());
    assert_eq!(store.load_grants(&[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn unknown_records_have_no_accounts_and_known_ones_have_active_accounts() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let nothing = store.load(&Keys::default()).await.unwrap();
    assert!(matches!(
        nothing,
        Loaded {
            grant: None,
            client: None,
            account: None,
            owner: None,
            caller: None,
            balance: None,
            ..
        }
    ));
    let keys = Keys {
        subject: Some("dave".into()),
        grant: Some(GrantId::from_bytes([7; 16])),
        balance: true,
        ..Keys::default()
    };
    let loaded = store.load(&keys).await.unwrap();
    assert_eq!((loaded.account, loaded.owner, loaded.balance), (Some(Account::ACTIVE), None, None));

    let writes = life("alice", "a", 0);
    done(&store, &writes).await;
    let keys = Keys { grant: Some(grant(&writes[0]).id()), balance: true, ..Keys::default() };
    let loaded = store.load(&keys).await.unwrap();
    assert_eq!(
        (loaded.account, loaded.balance),
        (Some(Account::ACTIVE), Some(Balance::Sufficient))
    );
    assert!(loaded.client.is_none(), "the grant's client was never written here");
}

#[tokio::test]
async fn a_suspension_and_an_epoch_leave_each_other_alone() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let account = async |subject| store.account(subject).await.unwrap().unwrap();
    assert_eq!(account("alice").await, Account::ACTIVE);
    assert!(store.raise_epoch("alice").await.unwrap());
    store.set_suspended("alice", true).await.unwrap();
    assert!(store.raise_epoch("alice").await.unwrap());
    assert_eq!(account("alice").await, Account { suspended: true, epoch: 2 });
    store.set_suspended("alice", false).await.unwrap();
    assert_eq!(account("alice").await, Account { suspended: false, epoch: 2 });
    store.set_suspended("bob", true).await.unwrap();
    assert_eq!(account("bob").await, Account { suspended: true, epoch: 0 });
    assert_eq!(account("Alice").await, Account::ACTIVE);
}

#[tokio::test]
async fn subjects_and_states_of_any_characters_are_kept() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let subjects = [
        " ",
        "' OR 1=1 --",
        "ä",
        "a\u{308}",
        "Ä",
        "\u{10FFFF}\u{FEFF}",
        "a\nb\\\"%_",
        "a ",
        "a",
        &"x".repeat(2_000),
    ];
    for subject in subjects {
        let writes = life(subject, "%00%01%7F%F0%9F%98%80%5Cu0000%22", 0);
        assert!(serde_json::to_string(grant(&writes[0]).record()).unwrap().contains(r"\u0000"));
        done(&store, &writes).await;
        let last = grant(writes.last().unwrap());
        assert_eq!(store.grants_of(subject, None, 10).await.unwrap(), [last.id()], "{subject:?}");
        let keys = Keys { grant: Some(last.id()), ..Keys::default() };
        assert_eq!(store.load(&keys).await.unwrap().grant, Some(last.stored()));
        assert!(store.raise_epoch(subject).await.unwrap());
        assert_eq!(store.account(subject).await.unwrap().unwrap().epoch, 1, "{subject:?}");
    }
    // What a column of text cannot hold is an error, and never somebody else.
    assert!(store.account("a\0").await.is_err());
    assert!(store.grants_of("a\0", None, 10).await.is_err());
    assert!(store.commit(&life("a\0", "s", 0)[0]).await.is_err());
}

#[tokio::test]
async fn a_users_grants_come_in_the_order_of_their_ids_and_in_pages() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let writes = life("alice", "s", 0);
        done(&store, &writes).await;
        ids.push(grant(&writes[0]).id());
    }
    done(&store, &life("bob", "s", 0)).await;
    ids.sort();
    assert_eq!(store.grants_of("alice", None, 10).await.unwrap(), ids);
    assert_eq!(store.grants_of("alice", None, 2).await.unwrap(), ids[..2]);
    assert_eq!(store.grants_of("alice", Some(ids[1]), 2).await.unwrap(), ids[2..4]);
    assert_eq!(store.grants_of("alice", Some(ids[4]), usize::MAX).await.unwrap(), []);
    assert_eq!(store.grants_of("alice", None, 0).await.unwrap(), []);
    assert_eq!(store.grants_of("nobody", None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn clients_are_listed_in_the_order_of_their_bytes_whatever_the_databases_language() {
    let language = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'";
    let Some(database) = Database::made(language).await else { return };
    let store = database.store().await;
    let ids = ["B", "Z", "_", "a", "b", "https://app.example/client?id=1", "~"];
    for id in ids.iter().rev() {
        done(&store, &[Write::client(None, app(id))]).await;
    }
    let listed = async |after, limit| -> Vec<String> {
        let clients = store.clients(after, limit).await.unwrap();
        clients.iter().map(|stored| stored.record.id().as_str().to_owned()).collect()
    };
    assert_eq!(listed(None, 100).await, ids);
    assert_eq!(listed(None, 3).await, ids[..3]);
    assert_eq!(listed(Some("_"), 2).await, ids[3..5]);
    assert_eq!(listed(Some("~"), 2).await, [""; 0]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_and_never_absent() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let writes = life("alice", "s", 0);
    done(&store, &[Write::client(None, app("app"))]).await;
    done(&store, &writes).await;
    let beside = database.beside().await;
    beside
        .batch_execute(
            "UPDATE grantcore_clients SET body = '{}'; UPDATE grantcore_grants SET body = ''",
        )
        .await
        .unwrap();
    let id = grant(&writes[0]).id();
    let undecoded = |error| matches!(error, PostgresError::Record(_));
    assert!(undecoded(store.grant(id).await.unwrap_err()));
    assert!(undecoded(store.client("app").await.unwrap_err()));
    assert!(undecoded(store.clients(None, 1).await.unwrap_err()));
    assert!(undecoded(store.load_grants(&[id]).await.unwrap_err()));
    let of = async |keys: Keys<'static>| store.load(&keys).await.unwrap_err();
    assert!(undecoded(of(Keys { grant: Some(id), ..Keys::default() }).await));
    assert!(undecoded(of(Keys { client: "app".into(), ..Keys::default() }).await));
    assert!(undecoded(of(Keys { caller: "app".into(), ..Keys::default() }).await));
    // Where it is going may still be known, and it is still in its place.
    assert_eq!(store.commit(&writes[0]).await.unwrap(), Commit::Conflict);
    assert_eq!(store.sweep(Timestamp::from_unix_seconds(support::T), 10).await.unwrap(), 0);
}
