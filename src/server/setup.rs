//! Makes a server of its parts, and returns them.

use super::Server;
use super::core::Core;
use crate::audit::AuditPolicy;
use crate::event::Event;
use crate::moment::{Clock, EntropySource, Timestamp};
use crate::outside::Outside;
use crate::policy::Policy;
#[cfg(doc)]
use crate::store::FromStore;
use crate::store::{AccountSource, Store};

/// # Setting up
impl<S: Store, A: AccountSource<S>> Server<S, A> {
    /// Returns a server with the system's clock and randomness, and no audit log.
    ///
    /// `accounts` is the host's [`Accounts`](crate::Accounts), [`FromStore`] for a store that loads
    /// them, or [`AlwaysActive`](crate::AlwaysActive).
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let policy = example::policy().build()?;
    /// use grantcore::{Client, FromStore, MemoryStore, Server};
    ///
    /// let store = MemoryStore::new();
    /// store.put_client(Client::public("app").redirect_uri("https://app.example/cb").build()?);
    /// let server = Server::new(policy, store, FromStore);
    /// assert_eq!(server.policy().issuer(), "https://auth.example");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "system")]
    pub fn new(policy: Policy, store: S, accounts: A) -> Self {
        Self::with_sources(
            policy,
            store,
            accounts,
            crate::moment::SystemClock,
            crate::moment::SystemEntropy,
        )
    }

    /// Returns a server with this clock and this source of randomness.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let policy = example::policy().build()?;
    /// use grantcore::moment::{Entropy, Timestamp};
    /// use grantcore::{FromStore, MemoryStore, Server};
    ///
    /// // A test in which each request is made at the same time, with the same randomness.
    /// let clock = || Timestamp::from_unix_seconds(1_800_000_000);
    /// let entropy = || Ok(Entropy::from_bytes([7; 128]));
    /// let server = Server::with_sources(policy, MemoryStore::new(), FromStore, clock, entropy);
    /// assert_eq!(server.now().unix_seconds(), 1_800_000_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_sources(
        policy: Policy,
        store: S,
        accounts: A,
        clock: impl Clock + Send + Sync + 'static,
        entropy: impl EntropySource + Send + Sync + 'static,
    ) -> Self {
        let core = Core::new(policy, Box::new(clock), Box::new(entropy));
        Self { core, store, accounts, log: () }
    }
}

/// # Options and parts
impl<S, A, L> Server<S, A, L> {
    /// Records every event in `log` before the response is returned, by the rules of `policy`.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::PolicyBuilder;
    /// use std::sync::Arc;
    ///
    /// use grantcore::audit::{AuditPolicy, AuditQuery, MemoryAuditLog};
    ///
    /// let log = Arc::new(MemoryAuditLog::new(10_000));
    /// let server = example::server().with_audit_log(Arc::clone(&log), AuditPolicy::default());
    /// # let _ = server.token(&example::post("client_id=notes-app")).await;
    /// let query = AuditQuery { client: Some("notes-app"), ..AuditQuery::default() };
    /// let found = log.find(&query, 50);
    /// assert_eq!(found.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the server with the audit log is the one returned"]
    pub fn with_audit_log<M>(mut self, log: M, policy: AuditPolicy) -> Server<S, A, M> {
        self.core.audit = policy;
        Server { core: self.core, store: self.store, accounts: self.accounts, log }
    }

    /// Leaves the limit of token requests to the host, for example to share it among several
    /// servers: see [`RateWindow`](crate::rate::RateWindow). Failed authentications and new records
    /// are still limited by each server for itself.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// // The proxy in front limits token requests.
    /// let server = server.without_rate_limit();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the server without the limit is the one returned"]
    pub fn without_rate_limit(mut self) -> Self {
        self.core.throttle = self.core.throttle.without_token_requests();
        self
    }

    /// Hands every event to `observer` before the response is returned: one event for each call of
    /// an endpoint. It replaces an earlier observer. Default: none.
    ///
    /// For a cancelled call the observer is called from a destructor. If it panics there during
    /// another panic, the process aborts.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = example::server().with_observer(|event| {
    ///     println!("{event}"); // One line, without secrets.
    /// });
    /// # let _ = server.token(&example::post("client_id=notes-app")).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the server with the observer is the one returned"]
    pub fn with_observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.core.observer = Some(Box::new(observer));
        self
    }

    /// Asks `outside` for what a request needs from outside the store. Without it nothing is to be
    /// had, and such requests are refused.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use grantcore::Outside;
    /// use grantcore::outside::{FetchResult, KeysRequest};
    ///
    /// struct Web;
    ///
    /// impl Outside for Web {
    ///     async fn keys(&self, needed: &KeysRequest) -> FetchResult {
    ///         println!("fetch {}", needed.url);
    ///         FetchResult::Failed
    ///     }
    /// }
    ///
    /// let server = example::server().with_outside(Web);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the server that asks is the one returned"]
    pub fn with_outside(mut self, outside: impl Outside + 'static) -> Self {
        self.core.outside = Box::new(outside);
        self
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the source of the accounts.
    pub fn accounts(&self) -> &A {
        &self.accounts
    }

    /// Returns the audit log.
    pub fn audit_log(&self) -> &L {
        &self.log
    }

    /// Returns the time by the server's clock.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }
}
