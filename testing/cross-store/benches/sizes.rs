//! Measures the bytes per grant at rest in each store that is installed:
//! `cargo bench -p grantcore-cross-store --bench sizes`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints its figures")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::grant::Grant;
use grantcore::store::Write;
use grantcore::{Store, blocking};
use grantcore_postgres::PostgresStore;
use grantcore_redis::RedisStore;
use grantcore_sqlite::SqliteStore;
use grantcore_testing_servers::{Postgres, Redis};
use support::{Memory, Tokens, flow, grants_of, memory, posted, refreshment, tokens};

const GRANTS: usize = 2000;
/// The seconds between two refreshes, a bit less than the lifetime of an access token.
const NEARLY_AN_HOUR: u64 = 50 * 60;

fn main() {
    let ahead = Arc::new(AtomicU64::new(0));
    let server = memory(&ahead);
    println!("one grant as JSON, in bytes");
    let mut held = flow(&server, "user-0");
    println!("  redeemed                    {}", json(&server, "user-0"));
    let stages = [
        (1, NEARLY_AN_HOUR, "refreshed once"),
        (9_999, NEARLY_AN_HOUR, "refreshed 10,000 times"),
        (100, 1, "then 100 times each second"),
    ];
    for (refreshes, every, label) in stages {
        for _ in 0..refreshes {
            ahead.fetch_add(every, Ordering::SeqCst);
            held = refreshed(&server, &held);
        }
        println!("  {label:27} {}", json(&server, "user-0"));
    }

    let server = memory(&Arc::default());
    let users: Vec<_> = (0..GRANTS).map(|number| format!("user-{number}")).collect();
    let grants: Vec<_> = users
        .iter()
        .flat_map(|user| {
            refreshed(&server, &flow(&server, user));
            grants_of(&server, user)
        })
        .collect();
    println!("bytes per grant at rest, of {GRANTS} grants refreshed once");
    println!("  SQLite                      {}", in_sqlite(&grants));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if let Some(bytes) = in_postgres(&grants).await {
            println!("  PostgreSQL                  {bytes}, its indexes included");
        }
        if let Some(bytes) = in_redis(&grants).await {
            println!("  Redis                       {bytes}, of memory");
        }
    });
}

fn refreshed(server: &Memory, held: &Tokens) -> Tokens {
    tokens(server.token(&posted(&refreshment(&held.refresh)))).unwrap()
}

fn json(server: &Memory, user: &str) -> usize {
    let grants = grants_of(server, user);
    grants.iter().map(|grant| serde_json::to_string(&**grant).unwrap().len()).sum::<usize>()
        / grants.len()
}

fn in_sqlite(grants: &[Arc<Grant>]) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grants.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    for grant in grants {
        let _done = blocking::Store::commit(&store, &Write::moved(Arc::clone(grant))).unwrap();
    }
    // Closing the last handle moves the log into the file.
    drop(store);
    std::fs::metadata(&path).unwrap().len() / per(grants)
}

async fn in_postgres(grants: &[Arc<Grant>]) -> Option<u64> {
    let server = Postgres::start(&[])?;
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    fill(&store, grants).await;
    let size = "SELECT pg_total_relation_size('grantcore_grants')";
    let bytes: i64 = store.pool().get().await.unwrap().query_one(size, &[]).await.unwrap().get(0);
    Some(bytes.unsigned_abs() / per(grants))
}

async fn in_redis(grants: &[Arc<Grant>]) -> Option<u64> {
    let server = Redis::start(&[("appendfsync", "no")])?;
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut used = async || {
        let info: String =
            redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let before = used().await;
    fill(&store, grants).await;
    Some((used().await - before) / per(grants))
}

async fn fill<S: Store>(store: &S, grants: &[Arc<Grant>]) {
    for grant in grants {
        let _done = store.commit(&Write::moved(Arc::clone(grant))).await.unwrap();
    }
}

fn per(grants: &[Arc<Grant>]) -> u64 {
    u64::try_from(grants.len()).unwrap()
}
