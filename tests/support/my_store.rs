// The store and the users that "Testing a store" in docs/stores.md tests. The page includes this
// file, so that its example compiles and runs as it is shown. One database in memory stands for
// both: each handle is one more pointer to it.

use std::sync::{Arc, LazyLock};

use grantcore::MemoryStore;

type MyStore = Arc<MemoryStore>;
type Users = Arc<MemoryStore>;

const TEST_DATABASE: &str = "postgres://localhost/test";

trait Host: Sized {
    /// Opens another handle of the database.
    fn open(url: &str) -> Self;

    /// Creates a user and returns its subject.
    fn sign_up(&self, name: &str) -> String;
}

impl Host for Arc<MemoryStore> {
    fn open(_: &str) -> Self {
        static DATABASE: LazyLock<Arc<MemoryStore>> = LazyLock::new(Arc::default);
        Self::clone(&DATABASE)
    }

    fn sign_up(&self, name: &str) -> String {
        name.to_owned()
    }
}
