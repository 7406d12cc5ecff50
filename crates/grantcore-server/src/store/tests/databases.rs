//! Every database that can be had here, each empty: servers that are not installed are skipped,
//! plainly.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deadpool_postgres::tokio_postgres::{self, NoTls};
use grantcore_testing_servers::{Postgres, Redis, RedisCluster};
use tempfile::TempDir;

use crate::config::Database;

/// Databases by their names, for as long as this is kept.
pub(crate) struct Databases {
    pub(crate) all: Vec<(&'static str, Database)>,
    _directory: TempDir,
    _servers: (Option<Arc<Postgres>>, Option<Redis>, Option<RedisCluster>),
}

impl Databases {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (redis, cluster) =
            tokio::task::spawn_blocking(|| (Redis::start(&[]), RedisCluster::start()))
                .await
                .unwrap();
        let postgres = tokio::task::spawn_blocking(shared_postgres).await.unwrap();
        let mut all =
            vec![("memory", Database::Memory), ("sqlite", Database::Sqlite(file(&directory)))];
        let mut add = |name, url: &str| all.push((name, Database::read(url).unwrap()));
        if let Some(postgres) = &postgres {
            add("postgres", &empty_database(postgres).await);
        }
        if let Some(redis) = &redis {
            add("redis", &redis.url());
        }
        if let Some(cluster) = &cluster {
            add("redis-cluster", &cluster.url());
        }
        Self { all, _directory: directory, _servers: (postgres, redis, cluster) }
    }
}

pub(crate) fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("grants.sqlite")
}

/// One server for all tests that run at the same time: it is slow to make. The last of them stops
/// it.
fn shared_postgres() -> Option<Arc<Postgres>> {
    static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(Postgres::start(&[])?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

async fn empty_database(server: &Postgres) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    format!("postgres://postgres@127.0.0.1:{}/{name}", server.port())
}
