//! A database that is harmed under load, and what it acknowledged.

use std::sync::Mutex;

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore_redis::RedisStore;
use grantcore_testing_servers::Pace;
use tokio::runtime::Runtime;

pub struct Harmed<D> {
    runtime: Runtime,
    database: Mutex<D>,
    url: String,
    harm: Box<dyn Fn(&mut D) + Send + Sync>,
    pace: Pace,
}

impl<D: Send> Harmed<D> {
    /// A database with stores at this URL, and what harms it.
    pub fn by(database: D, url: String, harm: impl Fn(&mut D) + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let database = Mutex::new(database);
        Self { runtime, database, url, harm: Box::new(harm), pace: Pace::default() }
    }

    /// Harms the database so many times under load, and looks for what it had acknowledged.
    pub fn survive(&self, times: usize) -> Verdict {
        let verdict = acknowledged_commits_survive(self, times).unwrap();
        eprintln!("Redis, harmed {times} times: {verdict:?}");
        verdict
    }
}

impl<D: Send> Harness for Harmed<D> {
    type Store = RedisStore;

    fn open(&self) -> RedisStore {
        self.wait(RedisStore::connect(&self.url)).unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.pace.keep();
        self.runtime.block_on(future)
    }
}

impl<D: Send> Crash for Harmed<D> {
    fn crash(&self) {
        self.pace.slow(|| (self.harm)(&mut self.database.lock().unwrap()));
    }
}
