//! The conformance tests of a store, run on `Backend`: the grant store with the ledger on top.

use grantcore::Timestamp;
use grantcore::conformance::Harness;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::databases::file;
use crate::config::{Database, DatabaseTls};
use crate::store::{Backend, Ledger as _};

struct Laws {
    runtime: Runtime,
    backend: Backend,
    /// The database to open again for each handle. `None` in memory, where handles are clones.
    reopened: Option<Database>,
    _directory: TempDir,
}

impl Laws {
    fn on(name: fn(&TempDir) -> Database, reopens: bool) -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let database = name(&directory);
        let backend =
            runtime.block_on(Backend::open(&database, &DatabaseTls::default(), 10)).unwrap();
        Self { runtime, backend, reopened: reopens.then_some(database), _directory: directory }
    }
}

impl Harness for Laws {
    type Store = Backend;

    fn open(&self) -> Backend {
        match &self.reopened {
            Some(database) => {
                self.wait(Backend::open(database, &DatabaseTls::default(), 10)).unwrap()
            }
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
        // `Backend::sweep` has a fixed limit of 1000 and ignores the limit of the law. The stores
        // below it are tested with that limit.
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
