//! `kill -9` of PostgreSQL, again and again, under load: every acknowledged write survives. A
//! second test shows that a lost one is found.

use std::sync::Mutex;

use grantcore::conformance::{Crash, Harness, Verdict, acknowledged_commits_survive};
use grantcore_postgres::PostgresStore;
use grantcore_testing_servers::Postgres;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

struct Killed {
    runtime: Runtime,
    server: Mutex<Postgres>,
    url: String,
}

impl Killed {
    /// A server with these settings, and stores that connect with these options.
    fn start(settings: &[(&str, &str)], options: &str) -> Option<Self> {
        let server = Postgres::start(settings)?;
        let url = format!("{}{options}", server.url());
        Some(Self { runtime: Runtime::new().unwrap(), server: Mutex::new(server), url })
    }

    fn survive(&self, crashes: usize) -> Verdict {
        let verdict = acknowledged_commits_survive(self, crashes).unwrap();
        eprintln!("PostgreSQL, {crashes} crashes: {verdict:?}");
        verdict
    }
}

impl Harness for Killed {
    type Store = PostgresStore;

    fn open(&self) -> PostgresStore {
        self.wait(PostgresStore::connect(&self.url)).unwrap()
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

impl Crash for Killed {
    fn crash(&self) {
        let mut server = self.server.lock().unwrap();
        server.kill();
        server.restart();
    }
}

#[test]
fn acknowledged_writes_survive_crashes() {
    let Some(killed) = Killed::start(&[], "") else { return };
    let crashes = grantcore_testing_servers::crashes();
    let verdict = killed.survive(crashes);
    verdict.holds().unwrap();
    assert!(verdict.acknowledged > 10 * crashes, "{verdict:?}");
}

/// The store refuses a database without `synchronous_commit`. This database claims to have it: a
/// function of its own shadows `current_setting`.
#[test]
fn without_synchronous_commit_losses_are_found() {
    let settings = [
        ("synchronous_commit", "off"),
        ("wal_writer_delay", "10000ms"),
        ("wal_writer_flush_after", "0"),
    ];
    let Some(killed) = Killed::start(&settings, "?options=-csearch_path%3Dpublic,pg_catalog")
    else {
        return;
    };
    let url = killed.server.lock().unwrap().url();
    let lie = "SET synchronous_commit = on; \
        CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'on'::text $$";
    killed.wait(async {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(lie).await.unwrap();
        connection.abort();
    });
    let verdict = killed.survive(5);
    verdict.holds().unwrap_err();
    assert!(verdict.lost > 0 && verdict.redeemed_twice + verdict.revived > 0, "{verdict:?}");
}
