//! A primary is killed under load and its replica takes its place, again and again. Replication is
//! asynchronous: acknowledged writes are lost, and are found. If every write waits for the replica
//! with `WAIT`, none is lost.

use std::sync::Mutex;
use std::time::Duration;

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore::grant::Grant;
use grantcore::store::{Commit, Seen, SeenKey, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Client, Store};
use grantcore_redis::redis::{ErrorKind, RedisError, cmd};
use grantcore_redis::{RedisStore, RedisStoreError};
use grantcore_testing_servers::{Pace, RedisPair};
use tokio::runtime::Runtime;

/// How long the primary goes on after its replica is gone.
const ALONE: Duration = Duration::from_millis(300);
/// How long a write waits for the replica, in milliseconds.
const PATIENCE: u64 = 500;

struct Pair {
    runtime: Runtime,
    servers: Mutex<RedisPair>,
    url: String,
    /// Whether writes wait for the replica.
    waits: bool,
    pace: Pace,
}

impl Pair {
    fn start(waits: bool) -> Option<Self> {
        let servers = RedisPair::start()?;
        let url = servers.url();
        Some(Self {
            runtime: Runtime::new().unwrap(),
            servers: Mutex::new(servers),
            url,
            waits,
            pace: Pace::default(),
        })
    }

    fn survive(&self, failovers: usize) -> Verdict {
        let verdict = acknowledged_commits_survive(self, failovers).unwrap();
        eprintln!("Redis, {failovers} failovers, WAIT: {}: {verdict:?}", self.waits);
        verdict
    }
}

impl Harness for Pair {
    type Store = Replicated;

    fn open(&self) -> Replicated {
        let store = self.wait(RedisStore::connect(&self.url)).unwrap();
        Replicated { store, waits: self.waits }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.pace.keep();
        self.runtime.block_on(future)
    }
}

impl Crash for Pair {
    fn crash(&self) {
        self.pace.slow(|| self.servers.lock().unwrap().fail_over(ALONE));
    }
}

/// A store of a host's own around [`RedisStore`], whose writes are acknowledged by a replica too.
struct Replicated {
    store: RedisStore,
    waits: bool,
}

impl Store for Replicated {
    type Error = RedisStoreError;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, RedisStoreError> {
        self.store.client(id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, RedisStoreError> {
        self.store.grant(id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, RedisStoreError> {
        let commit = self.store.commit(write).await?;
        if self.waits {
            let replicas: u64 = self.store.ask(cmd("WAIT").arg(1).arg(PATIENCE)).await?;
            if replicas == 0 {
                // The write is on the primary, so its result is unknown.
                return Err(RedisError::from((ErrorKind::Io, "no replica has it")).into());
            }
        }
        Ok(commit)
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, RedisStoreError> {
        self.store.seen(key).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, RedisStoreError> {
        self.store.grants_of(subject, after, limit).await
    }
}

#[test]
fn store_05_a_replica_lacks_writes_and_they_are_found() {
    let Some(pair) = Pair::start(false) else { return };
    let verdict = pair.survive(2);
    verdict.holds().unwrap_err();
    let Verdict { lost, redeemed_twice, revived, accepted_twice, .. } = verdict;
    assert!(lost > 0 && redeemed_twice + revived + accepted_twice > 0, "{verdict:?}");
}

#[test]
fn store_05_a_replica_has_every_write_that_waited_for_it() {
    let Some(pair) = Pair::start(true) else { return };
    let verdict = pair.survive(3);
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 4, "{verdict:?}");
}
