//! Tests of the checks that need a hook: crashes, faults, damage and cancelled calls. Each has a
//! store that passes and stores that do not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grantcore::blocking::{self, Ready};
use grantcore::conformance::{
    Blocking, Crash, Damaged, Fault, Faults, Harness, Law, Violation,
    a_cancelled_call_leaves_all_or_nothing, acknowledged_commits_survive,
    damaged_records_are_errors, histories_with_faults_are_linearizable, unknown_results_are_errors,
};
use grantcore::grant::Grant;
use grantcore::store::{Commit, Seen, SeenKey, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Client, Store, Timestamp};

use crate::rows::{Id, Row, Rows, split};

/// The bug of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Writes only every seventh record to its disk.
    ForgetsAtCrash,
    /// A lost response is returned as a conflict.
    ConflictForUnknown,
    /// A lost request is returned as done.
    DoneForUnknown,
    /// Repeats a lost commit, which then conflicts with its own first attempt.
    RetriesBlindly,
    /// A failed read is returned as an absent record.
    AbsentForFailed,
    /// A record that cannot be decoded is returned as absent.
    AbsentForUndecodable,
    /// A lost connection is never opened again.
    StaysDown,
}

/// A database, with its rows in memory and on its disk.
#[derive(Default)]
struct Database {
    rows: Rows,
    disk: Mutex<BTreeMap<Id, Row>>,
    commits: AtomicUsize,
    armed: Mutex<Option<Fault>>,
}

struct Handle {
    database: Arc<Database>,
    bug: Bug,
    down: Mutex<bool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the database is down")]
struct Down;

impl Handle {
    /// Sends a request to the database, and returns the response if it arrives.
    fn call<T>(&self, act: impl Fn() -> T) -> Result<T, Down> {
        if *self.down.lock().unwrap() {
            return Err(Down);
        }
        let fault = self.database.armed.lock().unwrap().take();
        let answer = match fault {
            None => Ok(act()),
            Some(Fault::DropBefore) => Err(Down),
            Some(Fault::DropAfter | Fault::Reset) => {
                act();
                Err(Down)
            }
            Some(Fault::Delay) => {
                std::thread::yield_now();
                Ok(act())
            }
        };
        *self.down.lock().unwrap() = answer.is_err() && self.bug == Bug::StaysDown;
        answer
    }

    fn write(&self, write: &Write) -> Commit {
        let (id, seen, row) = split(write);
        let database = &self.database;
        let mut disk = database.disk.lock().unwrap();
        let commit = database.rows.put(id.clone(), seen, row.clone());
        let flushes = database.commits.fetch_add(1, Ordering::SeqCst) % 7 == 0;
        let is_kept = self.bug != Bug::ForgetsAtCrash || flushes || matches!(id, Id::Client(_));
        if commit == Commit::Done && is_kept {
            disk.insert(id, row);
        }
        commit
    }

    fn read<T>(
        &self,
        id: &Id,
        decode: impl Fn(&Row) -> Result<T, serde_json::Error>,
    ) -> Result<Option<T>, Down> {
        let row = match self.call(|| self.database.rows.get(id)) {
            Err(Down) if self.bug == Bug::AbsentForFailed => None,
            row => row?,
        };
        match row.as_ref().map(decode).transpose() {
            Err(_) if self.bug == Bug::AbsentForUndecodable => Ok(None),
            decoded => decoded.map_err(|_| Down),
        }
    }
}

impl blocking::Store for Handle {
    type Error = Down;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Down> {
        self.read(&Id::Client(id.to_owned()), Row::client)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Down> {
        self.read(&Id::Grant(id), Row::grant)
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Down> {
        self.read(&Id::Seen(*key), Row::seen)
    }

    fn commit(&self, write: &Write) -> Result<Commit, Down> {
        match (self.call(|| self.write(write)), self.bug) {
            (Err(Down), Bug::ConflictForUnknown) => Ok(Commit::Conflict),
            (Err(Down), Bug::DoneForUnknown) => Ok(Commit::Done),
            (Err(Down), Bug::RetriesBlindly) => Ok(self.write(write)),
            (commit, _) => commit,
        }
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Down> {
        self.call(|| self.database.rows.grants_of(subject, after, limit))
    }
}

struct Bench<O> {
    inner: Blocking<Handle, O>,
    database: Arc<Database>,
}

fn bench(bug: Bug) -> Bench<impl Fn() -> Handle + Sync> {
    let database = Arc::new(Database::default());
    let own = Arc::clone(&database);
    let open = move || Handle { database: Arc::clone(&own), bug, down: Mutex::default() };
    Bench { inner: Blocking::new(open), database }
}

impl<O: Fn() -> Handle + Sync> Harness for Bench<O> {
    type Store = Ready<Handle>;

    fn open(&self) -> Ready<Handle> {
        self.inner.open()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.inner.wait(future)
    }
}

impl<O: Fn() -> Handle + Sync> Crash for Bench<O> {
    fn crash(&self) {
        let disk = self.database.disk.lock().unwrap();
        self.database.rows.lock().clone_from(&disk);
    }
}

impl<O: Fn() -> Handle + Sync> Faults for Bench<O> {
    fn arm(&self, fault: Fault) {
        *self.database.armed.lock().unwrap() = Some(fault);
    }

    fn disarm(&self) {
        *self.database.armed.lock().unwrap() = None;
    }
}

#[test]
fn lost_writes_after_a_crash_are_found() {
    let verdict = acknowledged_commits_survive(&bench(Bug::None), 20).unwrap();
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 20 * 5, "{verdict:?}");
    let verdict = acknowledged_commits_survive(&bench(Bug::ForgetsAtCrash), 20).unwrap();
    assert!(verdict.lost > 0 && verdict.lost < verdict.acknowledged, "{verdict:?}");
    assert!(verdict.redeemed_twice + verdict.revived > 0, "{verdict:?}");
    assert!(verdict.accepted_twice > 0, "{verdict:?}");
    assert_eq!(verdict.holds().unwrap_err().law(), Law::Durable);
}

#[track_caller]
fn is_found(
    bug: Bug,
    law: Law,
    check: impl Fn(&Bench<Box<dyn Fn() -> Handle + Sync>>) -> Result<(), Violation>,
) {
    let Bench { database, .. } = bench(bug);
    let own = Arc::clone(&database);
    let open: Box<dyn Fn() -> Handle + Sync> =
        Box::new(move || Handle { database: Arc::clone(&own), bug, down: Mutex::default() });
    let violation = check(&Bench { inner: Blocking::new(open), database })
        .expect_err(&format!("{bug:?} was not found"));
    assert_eq!(violation.law(), law, "{bug:?} broke another law: {violation:?}");
}

#[test]
fn an_unknown_result_that_is_returned_as_known_is_found() {
    unknown_results_are_errors(&bench(Bug::None)).unwrap();
    histories_with_faults_are_linearizable(&bench(Bug::None)).unwrap();
    for bug in
        [Bug::ConflictForUnknown, Bug::DoneForUnknown, Bug::RetriesBlindly, Bug::AbsentForFailed]
    {
        is_found(bug, Law::Unknown, unknown_results_are_errors);
    }
    is_found(Bug::StaysDown, Law::Works, unknown_results_are_errors);
}

#[test]
fn a_damaged_record_that_is_returned_as_absent_is_found() {
    let check = |bench: &Bench<_>| {
        damaged_records_are_errors(bench, |damaged| {
            let id = match damaged {
                Damaged::Grant(id) => Id::Grant(id),
                Damaged::Client(id) => Id::Client(id.to_owned()),
                Damaged::Seen(key) => Id::Seen(*key),
            };
            bench.database.rows.lock().get_mut(&id).unwrap().body.push('}');
        })
    };
    is_found(Bug::AbsentForUndecodable, Law::Unknown, check);
    let sound = bench(Bug::None);
    damaged_records_are_errors(&sound, |_| {
        sound.database.rows.lock().values_mut().for_each(|row| row.body.push('}'));
    })
    .unwrap();
}

/// How a store waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Before and after its write, and not during the write.
    Around,
    /// Between two halves of its write.
    Between,
    /// In a transaction that stays open on its connection.
    InTransaction,
}

/// A handle of an async store: a connection with the rows of its open transaction.
struct Waiting {
    rows: Arc<Rows>,
    waits: Waits,
    transaction: Mutex<Option<Vec<(Id, Row)>>>,
}

impl Waiting {
    async fn put(&self, id: Id, seen: Option<u64>, row: Row) -> Commit {
        tokio::task::yield_now().await;
        match self.waits {
            Waits::Around => {}
            Waits::Between => {
                if let Some(stored) =
                    self.rows.lock().get_mut(&id).filter(|stored| Some(stored.version) == seen)
                {
                    stored.version = row.version;
                }
                tokio::task::yield_now().await;
                let halfway = seen.map(|_| row.version);
                return self.rows.put(id, halfway, row);
            }
            Waits::InTransaction => {
                let inherited = self.transaction.lock().unwrap().get_or_insert_default().len();
                if self.rows.get(&id).map(|row| row.version) != seen {
                    return Commit::Conflict;
                }
                self.transaction.lock().unwrap().get_or_insert_default().push((id, row));
                tokio::task::yield_now().await;
                if inherited == 0 {
                    self.rows
                        .lock()
                        .extend(self.transaction.lock().unwrap().take().unwrap_or_default());
                }
                return Commit::Done;
            }
        }
        let commit = self.rows.put(id, seen, row);
        tokio::task::yield_now().await;
        commit
    }
}

impl Store for Waiting {
    type Error = serde_json::Error;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, serde_json::Error> {
        self.rows.get(&Id::Client(id.to_owned())).map(|row| row.client()).transpose()
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, serde_json::Error> {
        tokio::task::yield_now().await;
        self.rows.get(&Id::Grant(id)).map(|row| row.grant()).transpose()
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, serde_json::Error> {
        tokio::task::yield_now().await;
        self.rows.get(&Id::Seen(*key)).map(|row| row.seen()).transpose()
    }

    async fn commit(&self, write: &Write) -> Result<Commit, serde_json::Error> {
        let (id, seen, row) = split(write);
        Ok(self.put(id, seen, row).await)
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, serde_json::Error> {
        Ok(self.rows.grants_of(subject, after, limit))
    }
}

struct Runtime(tokio::runtime::Runtime, Arc<Rows>, Waits);

impl Harness for Runtime {
    type Store = Waiting;

    fn open(&self) -> Waiting {
        Waiting { rows: Arc::clone(&self.1), waits: self.2, transaction: Mutex::default() }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn sweep(&self, _: &Waiting, now: Timestamp, limit: usize) -> Option<usize> {
        Some(self.1.sweep(now, limit))
    }
}

fn runtime(waits: Waits) -> Runtime {
    Runtime(
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        Arc::default(),
        waits,
    )
}

/// An async store passes all laws.
mod waiting {
    use super::{Waits, runtime};

    grantcore::conformance!([runtime(Waits::Around)]);
}

#[test]
fn a_cancelled_call_that_wrote_only_a_part_is_found() {
    for waits in [Waits::Between, Waits::InTransaction] {
        let violation = a_cancelled_call_leaves_all_or_nothing(&runtime(waits))
            .expect_err(&format!("{waits:?} was not found"));
        assert_eq!(
            violation.law(),
            Law::WholeOrNothing,
            "{waits:?} broke another law: {violation:?}"
        );
    }
}
