//! The laws of a store and of its accounts on a real server, also with answers lost on the way.
//! Kills are in `crash.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

use std::time::Duration;

use grantcore::Timestamp;
use grantcore::conformance::{
    Damaged, Fault, Faults, Harness, damaged_records_are_errors,
    histories_with_faults_are_linearizable, unknown_results_are_errors,
};
use grantcore::store::StoreAdministration as _;
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::Proxy;
use support::Database;
use tokio::runtime::Runtime;

/// Stores with a pool each on the database of this URL, and the parts that must outlive them.
struct At<K> {
    runtime: Runtime,
    url: String,
    patience: Duration,
    kept: K,
}

impl<K> At<K> {
    fn new(runtime: Runtime, url: String, kept: K) -> Self {
        Self { runtime, url, patience: Duration::from_secs(10), kept }
    }
}

impl<K: Sync> Harness for At<K> {
    type Store = PostgresStore;

    fn open(&self) -> PostgresStore {
        self.wait(PostgresStore::connect(&self.url)).unwrap().answered_within(self.patience)
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sweep(&self, store: &PostgresStore, now: Timestamp, limit: usize) -> Option<usize> {
        Some(self.wait(store.sweep(now, limit)).unwrap())
    }
}

fn database() -> Option<At<Database>> {
    let runtime = Runtime::new().unwrap();
    let kept = runtime.block_on(Database::new())?;
    Some(At::new(runtime, kept.url(), kept))
}

grantcore::conformance!(database());
grantcore::administration_conformance!(database());
grantcore::accounts_conformance!(database(), FromStore);

#[test]
fn a_damaged_record_is_an_error() {
    let Some(at) = database() else { return };
    let damage = |damaged: Damaged<'_>| {
        let changed = at.wait(async {
            let beside = at.kept.beside().await;
            match damaged {
                Damaged::Grant(id) => {
                    let damage = "UPDATE grantcore_grants SET body = substr(body, 2) WHERE id = $1";
                    beside.execute(damage, &[&id.as_bytes().as_slice()]).await
                }
                Damaged::Client(id) => {
                    beside
                        .execute("UPDATE grantcore_clients SET body = '{}' WHERE id = $1", &[&id])
                        .await
                }
            }
        });
        assert_eq!(changed.unwrap(), 1);
    };
    damaged_records_are_errors(&at, damage).unwrap();
}

/// How long a store waits for an answer here, and the delay of a late answer.
const PATIENCE: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_millis(500);

impl Faults for At<(Database, Proxy)> {
    fn arm(&self, fault: Fault) {
        use grantcore_testing_servers::Fault as Of;
        self.kept.1.arm(match fault {
            Fault::DropBefore => Of::DropBefore,
            Fault::DropAfter => Of::DropAfter,
            Fault::Delay => Of::Delay(LATE),
            Fault::Reset => Of::Reset,
        });
    }

    fn disarm(&self) {
        self.kept.1.arm(grantcore_testing_servers::Fault::None);
    }
}

fn behind() -> Option<At<(Database, Proxy)>> {
    let At { runtime, kept, .. } = database()?;
    let proxy = kept.proxy();
    Some(At { runtime, url: kept.url_by(&proxy), patience: PATIENCE, kept: (kept, proxy) })
}

#[test]
fn an_unknown_result_is_an_error() {
    let Some(at) = behind() else { return };
    unknown_results_are_errors(&at).unwrap();
}

#[test]
fn histories_are_linearizable_with_faults_too() {
    let Some(at) = behind() else { return };
    histories_with_faults_are_linearizable(&at).unwrap();
}
