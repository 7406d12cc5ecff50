//! Writes that wait at the same time are committed in one transaction. Each has its own result, and
//! all of them fail if the commit fails.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use grantcore::blocking::ThreadError;
use grantcore::store::{Commit, Write};
use grantcore::{Client, Store as _};
use grantcore_sqlite::rusqlite::Connection;
use grantcore_sqlite::{SqliteError, TokioSqliteStore};

use super::File;

/// A file whose first transaction waits for another process, so that what follows waits together.
struct Locked {
    file: File,
    store: TokioSqliteStore,
    other: Connection,
}

impl Locked {
    fn new() -> Self {
        let file = File::new();
        let store = file.open().on_tokio();
        let other = Connection::open(file.path()).unwrap();
        other.execute_batch("CREATE TABLE notes (note TEXT); BEGIN IMMEDIATE").unwrap();
        Self { file, store, other }
    }

    /// Begins a write that the lock keeps waiting, and returns once it has left the queue.
    async fn begin<F: Future>(&self, mut first: Pin<&mut F>) {
        start(first.as_mut());
        while format!("{:?}", self.store).contains("waiting: 1") {
            tokio::task::yield_now().await;
        }
    }

    fn unlock(&self) {
        self.other.execute_batch("COMMIT").unwrap();
    }

    fn frames(&self) -> u64 {
        let log = self.file.path().with_extension("sqlite-wal");
        std::fs::metadata(log).unwrap().len() / 4120
    }
}

fn start<F: Future>(future: Pin<&mut F>) {
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn client(id: &str) -> Write {
    let client = Client::public(id).redirect_uri("https://app.example/cb").build().unwrap();
    Write::client(None, client)
}

#[tokio::test]
async fn writes_that_wait_are_committed_at_once_and_each_has_its_own_result() {
    let locked = Locked::new();
    let first_write = client("first");
    let mut first = pin!(locked.store.commit(&first_write));
    locked.begin(first.as_mut()).await;
    let writes: Vec<_> = (0..16).map(|number| client(&format!("app-{}", number % 12))).collect();
    let mut waiting: Vec<_> =
        writes.iter().map(|write| Box::pin(locked.store.commit(write))).collect();
    for commit in &mut waiting {
        start(commit.as_mut());
    }
    let before = locked.frames();
    locked.unlock();
    assert_eq!(first.await.unwrap(), Commit::Done);
    for (number, commit) in waiting.into_iter().enumerate() {
        let expected = if number < 12 { Commit::Done } else { Commit::Conflict };
        assert_eq!(commit.await.unwrap(), expected, "{number}");
    }
    // A transaction logs each page once: three of the first write, and no more than twice as many
    // of the twelve. Alone, they would be 36.
    let logged = locked.frames() - before;
    assert!(logged <= 12, "{logged} pages were logged");
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_write_of_its_transaction() {
    let locked = Locked::new();
    let first_write = client("first");
    let mut first = pin!(locked.store.commit(&first_write));
    locked.begin(first.as_mut()).await;
    let (new, again) = (client("new"), client("new"));
    let mut done = pin!(locked.store.commit(&new));
    start(done.as_mut());
    let mut conflicting = pin!(locked.store.commit(&again));
    start(conflicting.as_mut());
    // The violation is found by the commit of the transaction, and by nothing before it.
    let violation = |connection: &Connection| {
        connection.execute_batch(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);
             CREATE TABLE children (parent REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO children VALUES (1);",
        )
    };
    let mut violating = pin!(locked.store.transact(violation));
    start(violating.as_mut());
    locked.unlock();
    assert_eq!(first.await.unwrap(), Commit::Done);
    for error in
        [done.await.unwrap_err(), conflicting.await.unwrap_err(), violating.await.unwrap_err()]
    {
        assert!(matches!(error, ThreadError::Failed(SqliteError::Transaction(_))), "{error:?}");
    }
    assert_eq!(locked.store.client("new").await.unwrap(), None);
    // The connection is as good as before.
    assert_eq!(locked.store.commit(&client("new")).await.unwrap(), Commit::Done);
}

#[tokio::test]
async fn a_write_of_the_hosts_that_fails_or_panics_leaves_the_others_alone() {
    let locked = Locked::new();
    let first_write = client("first");
    let mut first = pin!(locked.store.commit(&first_write));
    locked.begin(first.as_mut()).await;
    let note = |connection: &Connection| connection.execute("INSERT INTO notes VALUES ('a')", []);
    let mut failing = pin!(locked.store.transact(move |connection| {
        note(connection)?;
        connection.execute("INSERT INTO nowhere VALUES (1)", [])
    }));
    start(failing.as_mut());
    let mut panicking = pin!(locked.store.transact(move |connection| -> Result<(), _> {
        note(connection)?;
        panic!("on purpose")
    }));
    start(panicking.as_mut());
    let mut kept = pin!(locked.store.transact(note));
    start(kept.as_mut());
    locked.unlock();
    assert_eq!(first.await.unwrap(), Commit::Done);
    let failed = failing.await.unwrap_err();
    assert!(matches!(failed, ThreadError::Failed(SqliteError::Database(_))), "{failed:?}");
    assert!(matches!(panicking.await.unwrap_err(), ThreadError::Panicked));
    assert_eq!(kept.await.unwrap(), 1);
    let count = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0))
    };
    assert_eq!(locked.store.query(count).await.unwrap(), 1);
}

#[tokio::test]
async fn a_write_that_waits_for_others_is_committed_with_them_or_alone() {
    let file = File::new();
    let store = file.open().on_tokio();
    let create = |connection: &Connection| connection.execute_batch("CREATE TABLE notes (note)");
    store.transact_with_others(Duration::ZERO, create).await.unwrap();
    let note = |connection: &Connection| connection.execute("INSERT INTO notes VALUES ('a')", []);
    let mut patient = pin!(store.transact_with_others(Duration::from_secs(3600), note));
    start(patient.as_mut());
    assert_eq!(store.commit(&client("app")).await.unwrap(), Commit::Done);
    assert_eq!(patient.await.unwrap(), 1);
}
