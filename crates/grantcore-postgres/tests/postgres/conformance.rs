//! The laws of a store and of its accounts on a real server, also with lost and late responses. The
//! tests that kill the server are in `crash.rs`.

use std::time::Duration;

use crate::support::Database;
use grantcore::Timestamp;
use grantcore::conformance::{
    Damaged, Fault, Faults, Harness, damaged_records_are_errors,
    histories_with_faults_are_linearizable, unknown_results_are_errors,
};
use grantcore::store::StoreAdministration as _;
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::Proxy;
use tokio::runtime::Runtime;

/// The harness of the conformance suite: each store has a pool of its own on the database of this
/// URL.
struct PostgresHarness<B> {
    runtime: Runtime,
    url: String,
    /// How long a store waits for a response.
    response_timeout: Duration,
    /// The database, and the proxy if there is one. They must outlive the stores.
    backend: B,
}

impl<B> PostgresHarness<B> {
    fn new(runtime: Runtime, url: String, backend: B) -> Self {
        Self { runtime, url, response_timeout: Duration::from_secs(10), backend }
    }
}

impl<B: Sync> Harness for PostgresHarness<B> {
    type Store = PostgresStore;

    fn open(&self) -> PostgresStore {
        self.wait(PostgresStore::connect(&self.url))
            .unwrap()
            .with_statement_timeout(self.response_timeout)
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sweep(&self, store: &PostgresStore, now: Timestamp, limit: usize) -> Option<usize> {
        Some(self.wait(store.sweep(now, limit)).unwrap())
    }
}

/// Returns the harness on a new database, or `None` if there is no PostgreSQL.
fn database() -> Option<PostgresHarness<Database>> {
    let runtime = Runtime::new().unwrap();
    let database = runtime.block_on(Database::new())?;
    Some(PostgresHarness::new(runtime, database.url(), database))
}

grantcore::conformance!(database());
grantcore::administration_conformance!(database());
grantcore::accounts_conformance!(database(), FromStore);

#[test]
fn a_damaged_record_is_an_error() {
    let Some(harness) = database() else { return };
    let damage = |damaged: Damaged<'_>| {
        let changed = harness.wait(async {
            let connection = harness.backend.beside().await;
            match damaged {
                Damaged::Grant(id) => {
                    let damage = "UPDATE grantcore_grants SET body = substr(body, 2) WHERE id = $1";
                    connection.execute(damage, &[&id.as_bytes().as_slice()]).await
                }
                Damaged::Client(id) => {
                    connection
                        .execute("UPDATE grantcore_clients SET body = '{}' WHERE id = $1", &[&id])
                        .await
                }
                Damaged::Seen(key) => {
                    let damage = "UPDATE grantcore_seen SET body = '{}' WHERE key = $1";
                    connection.execute(damage, &[&key.as_bytes().as_slice()]).await
                }
            }
        });
        assert_eq!(changed.unwrap(), 1);
    };
    damaged_records_are_errors(&harness, damage).unwrap();
}

/// How long a store behind the proxy waits for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(300);
/// The delay of a late response. It is longer than the store waits.
const DELAY: Duration = Duration::from_millis(700);

impl Faults for PostgresHarness<(Database, Proxy)> {
    fn arm(&self, fault: Fault) {
        use grantcore_testing_servers::Fault as ProxyFault;
        let (_, proxy) = &self.backend;
        proxy.arm(match fault {
            Fault::DropBefore => ProxyFault::DropBefore,
            Fault::DropAfter => ProxyFault::DropAfter,
            Fault::Delay => ProxyFault::Delay(DELAY),
            Fault::Reset => ProxyFault::Reset,
        });
    }

    fn disarm(&self) {
        let (_, proxy) = &self.backend;
        proxy.arm(grantcore_testing_servers::Fault::None);
    }
}

/// Returns the harness on a new database behind a proxy that injects faults.
fn database_behind_proxy() -> Option<PostgresHarness<(Database, Proxy)>> {
    let PostgresHarness { runtime, backend: database, .. } = database()?;
    let proxy = database.proxy();
    let url = database.url_by(&proxy);
    let backend = (database, proxy);
    Some(PostgresHarness { runtime, url, response_timeout: RESPONSE_TIMEOUT, backend })
}

#[test]
fn an_unknown_result_is_an_error() {
    let Some(harness) = database_behind_proxy() else { return };
    unknown_results_are_errors(&harness).unwrap();
}

#[test]
fn histories_are_linearizable_with_faults_too() {
    let Some(harness) = database_behind_proxy() else { return };
    histories_with_faults_are_linearizable(&harness).unwrap();
}
