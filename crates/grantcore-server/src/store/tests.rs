//! Accounts, balances and client lists, in every database that is available.

mod audit;
pub(crate) mod databases;
mod laws;
mod sessions;
mod tls;
mod waiting;

use std::collections::BTreeSet;

use grantcore::{Account, Client};
use rusqlite::Connection;
use tempfile::TempDir;

use self::databases::{Databases, file};
use super::*;

/// Every database, open. Balances below 10 are low.
async fn backends(databases: &Databases) -> Vec<Backend> {
    let mut backends = Vec::new();
    for (name, database) in &databases.all {
        backends.push(
            Backend::open(database, &DatabaseTls::default(), 10)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}")),
        );
    }
    backends
}

async fn everybody(backend: &Backend) -> Vec<AccountRow> {
    backend.accounts(|_| true, usize::MAX).await.unwrap()
}

#[tokio::test]
async fn an_account_keeps_what_it_has_when_it_is_added_again() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        let ledger = backend.ledger();
        for subject in ["bob", "alice"] {
            ledger.add_account(subject, 1000).await.unwrap();
        }
        assert_eq!(ledger.top_up("alice", 5).await.unwrap(), Some(1005));
        assert!(backend.set_suspended("alice", true).await.unwrap());
        assert!(backend.raise_epoch("alice").await.unwrap());
        ledger.add_account("alice", 1).await.unwrap();
        let alice =
            AccountRow { subject: "alice".to_owned(), suspended: true, epoch: 1, balance: 1005 };
        let bob =
            AccountRow { subject: "bob".to_owned(), suspended: false, epoch: 0, balance: 1000 };
        assert_eq!(everybody(backend).await, [alice.clone(), bob]);
        assert_eq!(
            backend.accounts(|own| own > "a", 1).await.unwrap(),
            std::slice::from_ref(&alice)
        );
        assert_eq!(backend.account_row("alice").await.unwrap(), Some(alice));
        for name in ["Alice", "Älice"] {
            ledger.name_account("alice", name).await.unwrap();
            let names = ledger.account_names().await.unwrap();
            assert_eq!(names, [("alice".to_owned(), name.to_owned())]);
        }
        // A name that an account has stays.
        for subject in ["alice", "bob"] {
            ledger.name_account_once(subject, "Once").await.unwrap();
        }
        ledger.name_account_once("bob", "Twice").await.unwrap();
        let names = [("alice", "Älice"), ("bob", "Once")];
        let names = names.map(|(subject, name)| (subject.to_owned(), name.to_owned()));
        assert_eq!(ledger.account_names().await.unwrap(), names);
        assert_eq!(
            backend.account("alice").await.unwrap(),
            Some(Account { suspended: true, epoch: 1 })
        );
        assert!(backend.set_suspended("alice", false).await.unwrap());
        assert_eq!(
            backend.account("alice").await.unwrap(),
            Some(Account { suspended: false, epoch: 1 })
        );
    }
}

#[tokio::test]
async fn who_has_no_account_has_nothing_and_gets_none_by_accident() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        for nobody in ["eve", "", "a\0b", "{x}", "' OR true --"] {
            assert_eq!(backend.account(nobody).await.unwrap(), None);
            assert_eq!(backend.balance(nobody).await.unwrap(), Balance::Insufficient);
            assert!(!backend.raise_epoch(nobody).await.unwrap());
            assert!(!backend.set_suspended(nobody, true).await.unwrap());
            let ledger = backend.ledger();
            assert_eq!(
                (ledger.top_up(nobody, 5).await.unwrap(), ledger.spend(nobody).await.unwrap()),
                (None, None)
            );
        }
        assert_eq!(everybody(backend).await, []);
        let nobodys =
            backend.load(&Keys { subject: Some("eve".into()), ..Keys::default() }).await.unwrap();
        assert_eq!(nobodys.account, None);
        backend.ledger().add_account("eve", 0).await.unwrap();
        let eves =
            backend.load(&Keys { subject: Some("eve".into()), ..Keys::default() }).await.unwrap();
        assert_eq!(eves.account, Some(Account::ACTIVE));
    }
}

#[tokio::test]
async fn a_balance_is_drawn_to_nothing_and_topped_up_without_end() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        let ledger = backend.ledger();
        ledger.add_account("alice", 11).await.unwrap();
        let balance = async || backend.balance("alice").await.unwrap();
        let spend = async || ledger.spend("alice").await.unwrap();
        assert_eq!((balance().await, spend().await), (Balance::Sufficient, Some(10)));
        assert_eq!((balance().await, spend().await), (Balance::Sufficient, Some(9)));
        assert_eq!(balance().await, Balance::Low { left: 9 });
        for left in (0..9).rev() {
            assert_eq!(spend().await, Some(left));
        }
        assert_eq!((balance().await, spend().await), (Balance::Insufficient, None));
        assert_eq!(ledger.top_up("alice", 1).await.unwrap(), Some(1));
        assert_eq!(balance().await, Balance::Low { left: 1 });
        for _ in 0..2 {
            assert!(
                ledger.top_up("alice", u64::MAX).await.unwrap().unwrap()
                    >= i64::MAX.cast_unsigned()
            );
        }
        let before = ledger.balance("alice").await.unwrap().unwrap();
        assert_eq!(spend().await, Some(before - 1), "large balances are exact");
        assert_eq!(balance().await, Balance::Sufficient);
        ledger.add_account("rich", u64::MAX).await.unwrap();
        assert!(ledger.balance("rich").await.unwrap().unwrap() >= i64::MAX.cast_unsigned());
    }
}

/// Opens each database twice, as two servers would, so that no lock of one process serializes them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_draw_at_once_each_unit_is_drawn_once() {
    let databases = Databases::start().await;
    let pairs = backends(&databases).await.into_iter().zip(backends(&databases).await);
    for ((name, database), (one, other)) in databases.all.iter().zip(pairs) {
        // Two in-memory backends share no data, so both handles are of the same backend.
        let other = if *database == Database::Memory { one.clone() } else { other };
        one.ledger().add_account("alice", 100).await.unwrap();
        let drawing: Vec<_> = (0..8)
            .map(|number| {
                let ledger = [&one, &other][number % 2].ledger().clone();
                tokio::spawn(async move {
                    let mut drawn = Vec::new();
                    for _ in 0..20 {
                        drawn.extend(ledger.spend("alice").await.unwrap());
                    }
                    drawn
                })
            })
            .collect();
        let mut drawn = Vec::new();
        for draws in drawing {
            drawn.extend(draws.await.unwrap());
        }
        assert_eq!(drawn.len(), 100, "{name}");
        assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), (0..100).collect(), "{name}");
        assert_eq!(other.ledger().balance("alice").await.unwrap(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn clients_are_listed_by_id_and_in_parts() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        for id in ["c", "a", "d", "b"] {
            let client = Client::public(id).redirect_uri("https://app.example/cb").build().unwrap();
            backend.add_client(client).await.unwrap();
        }
        let list = async |after, limit| {
            let clients = backend.clients(after, limit).await.unwrap();
            clients.iter().map(|stored| stored.record.id().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 3).await, ["a", "b", "c"]);
        assert_eq!(list(Some("c"), 3).await, ["d"]);
        assert_eq!(list(Some("bb"), 1).await, ["c"]);
        assert_eq!(list(Some("d"), 3).await, [""; 0]);
        backend.sweep(Timestamp::from_unix_seconds(0)).await.unwrap();
        assert_eq!(list(None, 9).await.len(), 4);
    }
}

/// The owner of a client may have no account yet.
#[tokio::test]
async fn a_clients_owner_has_an_account_or_none() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        let client = Client::public("app")
            .owner(Subject::new("olga"))
            .redirect_uri("https://app.example/cb")
            .build()
            .unwrap();
        backend.add_client(client).await.unwrap();
        let keys = Keys { client: "app".into(), ..Keys::default() };
        assert_eq!(backend.load(&keys).await.unwrap().owner, None);
        backend.ledger().add_account("olga", 0).await.unwrap();
        assert_eq!(backend.load(&keys).await.unwrap().owner, Some(Account::ACTIVE));
    }
}

mod migrations {
    //! The tables of the SQLite file are made once, and those of a newer version are left alone.

    use super::*;

    async fn open(directory: &TempDir) -> Result<Backend> {
        Backend::open(&Database::Sqlite(file(directory)), &DatabaseTls::default(), 10).await
    }

    #[tokio::test]
    async fn a_file_is_made_once_and_opened_again_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(&directory).await.unwrap();
        first.ledger().add_account("alice", 5).await.unwrap();
        drop(first);
        let again = open(&directory).await.unwrap();
        let alice =
            AccountRow { subject: "alice".to_owned(), suspended: false, epoch: 0, balance: 5 };
        assert_eq!(everybody(&again).await, [alice]);
        let connection = Connection::open(file(&directory)).unwrap();
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(1_i64));
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let newer = Connection::open(file(&directory)).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        let Err(error) = open(&directory).await else { panic!("it was opened") };
        assert_eq!(
            error.to_string(),
            "the database is of version 99, which this program does not know"
        );
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('balances', 'audit_log')";
        assert_eq!(newer.query_row(tables, [], |row| row.get::<_, i64>(0)), Ok(0));
    }
}

/// A client of the file of settings replaces what is stored, and does not undo what an
/// administrator did to it. A client that registered itself is left alone.
#[tokio::test]
async fn a_declared_client_stays_deactivated_and_keeps_its_epoch() {
    let databases = Databases::start().await;
    let declared = |name: &str| {
        let client = Client::public("app").name(name).redirect_uri("https://app.example/cb");
        client.build().unwrap()
    };
    for backend in &backends(&databases).await {
        assert!(backend.declare_client(declared("first")).await.unwrap());
        let seen = backend.client("app").await.unwrap().unwrap();
        assert!(backend.declare_client(declared("first")).await.unwrap());
        assert_eq!(backend.client("app").await.unwrap().as_ref(), Some(&seen), "no write");
        let stopped = Client::clone(&seen.record).with_grants_ended().deactivated();
        assert_eq!(
            backend.commit(&Write::client(Some(&seen), stopped)).await.unwrap(),
            Commit::Done
        );
        assert!(backend.declare_client(declared("second")).await.unwrap());
        let client = backend.client("app").await.unwrap().unwrap().record;
        assert_eq!(client.display_name(), "second");
        assert_eq!((client.status(), client.epoch()), (ClientStatus::Deactivated, 1));

        let own = Client::clone(&client).edit().registration(Registration::Dynamic);
        let seen = backend.client("app").await.unwrap().unwrap();
        let own = backend.commit(&Write::client(Some(&seen), own.build().unwrap())).await.unwrap();
        assert_eq!(own, Commit::Done);
        assert!(!backend.declare_client(declared("third")).await.unwrap());
        let kept = backend.client("app").await.unwrap().unwrap().record;
        assert_eq!(kept.display_name(), "second");
    }
}
