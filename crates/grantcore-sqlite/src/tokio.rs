//! The async form of the store.

use grantcore::blocking::OnThreads;

use super::SqliteStore;

impl SqliteStore {
    /// Returns the store for an async server: it implements the async
    /// [`Store`](grantcore::Store), [`Accounts`](grantcore::Accounts) and
    /// [`StoreAdministration`](grantcore::store::StoreAdministration), and makes each call on a
    /// thread of tokio's for blocking calls. A call whose future is dropped still runs to its end.
    ///
    /// ```
    /// use grantcore::store::StoreAdministration;
    /// use grantcore::{Client, FromStore, Policy, Server};
    /// use grantcore_sqlite::SqliteStore;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("grants.sqlite");
    /// let store = SqliteStore::open(path)?.on_tokio();
    /// store.add_client(Client::public("notes-app").redirect_uri("https://app.example/cb").build()?).await?;
    ///
    /// let policy = Policy::builder("https://auth.example")
    ///     .scope("notes", "Read notes")
    ///     .resource("https://mcp.example/mcp", "notes");
    /// let server = Server::new(policy.build()?, store, FromStore);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// The calls of the returned store panic outside of a tokio runtime.
    pub fn on_tokio(self) -> OnThreads<Self> {
        OnThreads::new(self, |work| drop(::tokio::task::spawn_blocking(work)))
    }
}
