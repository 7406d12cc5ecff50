//! The laws of a store, on what this server hands to the library: the store with the ledger over
//! it.

use grantcore::Timestamp;
use grantcore::conformance::Harness;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::databases::file;
use crate::config::Database;
use crate::store::{Backend, Ledger as _};

struct Laws {
    runtime: Runtime,
    backend: Backend,
    /// The file, where there is one; in memory all handles are of the same.
    reopened: Option<Database>,
    _directory: TempDir,
}

impl Laws {
    fn on(name: fn(&TempDir) -> Database, reopens: bool) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let database = name(&directory);
        let backend = runtime.block_on(Backend::open(&database, 10)).unwrap();
        Self { runtime, backend, reopened: reopens.then_some(database), _directory: directory }
    }
}

impl Harness for Laws {
    type Store = Backend;

    fn open(&self) -> Backend {
        match &self.reopened {
            Some(database) => self.wait(Backend::open(database, 10)).unwrap(),
            None => self.backend.clone(),
        }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn sign_up(&self, store: &Backend, subject: &str) -> String {
        self.wait(store.ledger().add_account(subject, 1000)).unwrap();
        subject.to_owned()
    }

    fn sweep(&self, store: &Backend, now: Timestamp, _: usize) -> Option<usize> {
        // It drops a thousand at once: as few as the laws ask for are dropped by the stores that it
        // passes this on to.
        self.wait(store.sweep(now)).unwrap();
        None
    }
}

mod in_memory {
    grantcore::conformance!([super::Laws::on(|_| super::Database::Memory, false)]);
    grantcore::accounts_conformance!(
        [super::Laws::on(|_| super::Database::Memory, false)],
        FromStore
    );
}

mod on_sqlite {
    use super::{Database, Laws, file};

    fn laws() -> Laws {
        Laws::on(|directory| Database::Sqlite(file(directory)), true)
    }

    grantcore::conformance!([laws()]);
    grantcore::accounts_conformance!([laws()], FromStore);
}
