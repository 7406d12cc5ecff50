//! Measures the refreshes per second of each store that is installed, beside the bare database that
//! does the least: SQLite one update of a row, PostgreSQL a select and an update, Redis one script.
//! Each write is on disk before it is acknowledged.
//! `cargo bench -p grantcore-cross-store --bench durable`.
//!
//! The two take turns, on the same database, so that what else the machine does disturbs both
//! alike.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measurement prints its figures, and needs a clock"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grantcore::store::{AccountSource, StoreAdministration, Write};
use grantcore::value::GrantId;
use grantcore::{FromStore, Server, Store};
use grantcore_postgres::PostgresStore;
use grantcore_redis::RedisStore;
use grantcore_sqlite::SqliteStore;
use grantcore_testing_servers::{Postgres, Redis};
use support::{client, flow, grants_of, memory, policy, posted, refreshment, tokens};

/// How many grants are refreshed by each of the concurrent tasks, in turn.
const EACH: usize = 8;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(200);
/// The bytes of a bare row's body: about as many as the JSON of a grant has.
const BODY: usize = 1000;

fn main() {
    let named: Vec<_> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let is_measured = |name: &str| named.is_empty() || named.iter().any(|named| named == name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("refreshes per second, medians of {ROUNDS} rounds");
    for concurrent in [1, 16] {
        runtime.block_on(async {
            if is_measured("sqlite") {
                sqlite(concurrent).await;
            }
            if is_measured("postgres") {
                postgres(concurrent).await;
            }
            if is_measured("redis") {
                redis(concurrent).await;
            }
        });
    }
}

async fn sqlite(concurrent: usize) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("grants.sqlite")).unwrap();
    let ours = ours(store.on_tokio(), concurrent).await;

    let bare = rusqlite::Connection::open(directory.path().join("grants.sqlite")).unwrap();
    // The log has its size from the start, as it has after some minutes: a file that grows takes
    // longer to be on disk.
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob(8000000));
         DROP TABLE filler; PRAGMA wal_checkpoint(RESTART);
         CREATE TABLE rows (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);",
    )
    .unwrap();
    for id in 0..EACH {
        let row = (i64::try_from(id).unwrap(), "x".repeat(BODY));
        bare.execute("INSERT INTO rows VALUES (?, 1, ?)", row).unwrap();
    }
    let bare = Arc::new(Mutex::new(bare));
    let update = async move |turn: usize| {
        let id = i64::try_from(turn % EACH).unwrap();
        let row = ("y".repeat(BODY), id);
        let bare = bare.lock().unwrap();
        let mut update = bare
            .prepare_cached("UPDATE rows SET version = version + 1, body = ? WHERE id = ?")
            .unwrap();
        assert_eq!(update.execute(row).unwrap(), 1);
    };
    // One connection writes at a time, so that more tasks make the bare update no faster.
    compare("SQLite", concurrent, &ours, &[update]).await;
}

async fn postgres(concurrent: usize) {
    let Some(server) = Postgres::start(&[]) else { return };
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    let pool = store.pool().clone();
    let (ours, ids) = ours_and_ids(store, concurrent).await;
    let bare: Vec<_> = ids
        .into_iter()
        .map(|own| {
            let pool = pool.clone();
            async move |turn: usize| {
                let id = own[turn % own.len()].as_bytes().as_slice();
                let client = pool.get().await.unwrap();
                let select = "SELECT version, body FROM grantcore_grants WHERE id = $1";
                let select = client.prepare_cached(select).await.unwrap();
                let row = client.query_one(&select, &[&id]).await.unwrap();
                let (version, body): (i64, &str) = (row.get(0), row.get(1));
                // The row keeps its values, which the refreshes in between expect.
                let update = "UPDATE grantcore_grants SET version = $2, body = $3 WHERE id = $1 AND version = $2";
                let update = client.prepare_cached(update).await.unwrap();
                assert_eq!(client.execute(&update, &[&id, &version, &body]).await.unwrap(), 1);
            }
        })
        .collect();
    compare("PostgreSQL", concurrent, &ours, &bare).await;
}

async fn redis(concurrent: usize) {
    const SCRIPT: &str = "if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then return 0 end \
        redis.call('HSET', KEYS[1], 'version', ARGV[1], 'body', ARGV[2]) return 1";
    let Some(server) = Redis::start(&[]) else { return };
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let ours = ours(store, concurrent).await;
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let versions = Arc::new(AtomicUsize::new(1));
    let bare: Vec<_> = (0..concurrent)
        .map(|task| {
            let (connection, versions) = (connection.clone(), Arc::clone(&versions));
            async move |turn: usize| {
                let mut connection = connection.clone();
                let version = versions.fetch_add(1, Ordering::Relaxed);
                let key = format!("bare:{task}:{}", turn % EACH);
                let mut eval = redis::cmd("EVAL");
                eval.arg(SCRIPT).arg(1).arg(key).arg(version).arg("y".repeat(BODY));
                let written: u8 = eval.query_async(&mut connection).await.unwrap();
                assert_eq!(written, 1);
            }
        })
        .collect();
    compare("Redis", concurrent, &ours, &bare).await;
}

type Refresh = Box<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

async fn ours<S>(store: S, concurrent: usize) -> Vec<Refresh>
where
    S: Store + StoreAdministration + Send + Sync + 'static,
    FromStore: AccountSource<S>,
{
    ours_and_ids(store, concurrent).await.0
}

/// Returns what refreshes the grants of each task, and the ids of these grants.
async fn ours_and_ids<S>(store: S, concurrent: usize) -> (Vec<Refresh>, Vec<Vec<GrantId>>)
where
    S: Store + StoreAdministration + Send + Sync + 'static,
    FromStore: AccountSource<S>,
{
    let memory = memory(&Arc::default());
    assert!(store.add_client(client()).await.unwrap());
    let server = Server::new(policy(), store, FromStore).without_rate_limit();
    let mut held = Vec::new();
    let mut ids = Vec::new();
    for task in 0..concurrent {
        for number in 0..EACH {
            let user = format!("user-{task}-{number}");
            held.push(flow(&memory, &user).refresh);
            let grant = grants_of(&memory, &user).remove(0);
            ids.push(grant.id());
            let _done = server.store().commit(&Write::moved(grant)).await.unwrap();
        }
    }
    let server = Arc::new(server);
    let tasks = held
        .chunks(EACH)
        .map(|own| {
            let server = Arc::clone(&server);
            let held = Arc::new(Mutex::new(std::collections::VecDeque::from(own.to_vec())));
            let refresh: Refresh = Box::new(move || {
                let (server, held) = (Arc::clone(&server), Arc::clone(&held));
                Box::pin(async move {
                    let form = refreshment(&held.lock().unwrap().pop_front().unwrap());
                    let next = tokens(server.token(&posted(&form)).await).unwrap().refresh;
                    held.lock().unwrap().push_back(next);
                })
            });
            refresh
        })
        .collect();
    (tasks, ids.chunks(EACH).map(<[GrantId]>::to_vec).collect())
}

async fn compare<F: AsyncFn(usize)>(name: &str, concurrent: usize, ours: &[Refresh], bare: &[F]) {
    let (mut refreshes, mut writes, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let tasks = ours.iter().map(|refresh| async move |_| refresh().await);
        let of_ours = per_second(&tasks.collect::<Vec<_>>()).await;
        let of_bare = per_second(bare).await;
        refreshes.push(of_ours);
        writes.push(of_bare);
        shares.push(of_ours / of_bare);
    }
    println!(
        "  {name:11} {concurrent:2} at once: {:7.0}, the bare database {:7.0}: {:3.0} %, the median of pairs",
        median(refreshes),
        median(writes),
        100.0 * median(shares)
    );
}

/// Runs each of these again and again for a round, all at the same time on this task.
async fn per_second<F: AsyncFn(usize)>(tasks: &[F]) -> f64 {
    let start = Instant::now();
    let runs = tasks.iter().map(|task| async {
        let mut turns = 0;
        while start.elapsed() < ROUND {
            task(turns).await;
            turns += 1;
        }
        turns
    });
    let turns: usize = futures_util::future::join_all(runs).await.into_iter().sum();
    turns as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
