//! Load tests of two processes of the program on one database. One process is killed in between. A
//! response of one process holds at the other, no code and no refresh token yields two results, and
//! no grant ends without a cause (I6, I10, I11, I12, I14, I19).
//!
//! Behind nginx, the other process is restarted and the database is killed as well. No client is
//! logged out by that, no call is served that must not be, the restart loses no request that nginx
//! sent, and the metrics agree with the counts of the clients.
//!
//! `GRANTCORE_FLOWS` sets the number of flows of each test, `GRANTCORE_CLIENTS` the number of
//! clients behind nginx, and `GRANTCORE_SEED` the random choices. `--nocapture` shows the counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(clippy::print_stdout, reason = "--nocapture shows the counts")]

#[path = "support/load/mod.rs"]
mod load;
#[path = "support/replicas/mod.rs"]
mod replicas;
mod support;

use grantcore_testing_servers::{Postgres, RedisCluster};
use load::Load;
use replicas::Run;
use support::nginx;
use tokio::sync::Mutex;

/// Serializes the tests, because each of them loads the whole machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

async fn two_processes_on(database: &str) {
    let _alone = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let report = Load::start(database, directory.path()).run().await;
    assert!(report.is_good(), "{database}: {report}");
    println!("{database}: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i06_i11_i14_i19_two_processes_on_one_sqlite_file() {
    let directory = tempfile::tempdir().unwrap();
    two_processes_on(&format!("sqlite:{}", directory.path().join("grants.sqlite").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i06_i11_i14_i19_two_processes_on_one_postgresql() {
    // A database that `.ci/beyond` has started.
    if let Ok(url) = std::env::var("GRANTCORE_POSTGRES") {
        two_processes_on(&url).await;
    } else if let Some(server) = Postgres::start(&[]) {
        two_processes_on(&server.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i06_i11_i14_i19_two_processes_on_one_redis_cluster() {
    if let Some(cluster) = RedisCluster::start() {
        two_processes_on(&cluster.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i11_i14_i19_replicas_behind_nginx_and_postgresql_with_faults() {
    if !nginx::is_installed() {
        return;
    }
    let Some(database) = Postgres::start(&[]) else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let report = Run::start(database, directory.path()).run().await;
    assert!(report.is_good(), "{report}");
    println!("{report}");
}
