//! The server: one async call for each endpoint, over a policy, a store, accounts, a clock and a
//! source of randomness.
//!
//! Nothing is decided here. An endpoint parses its request, checks the limits and runs the
//! operation by the driver.

mod clients;
mod connections;
mod core;
mod early;
mod endpoints;
mod error;
mod revoke_user;
mod watch;

use self::core::Core;
pub use self::error::Error;
pub use self::revoke_user::RevokedGrants;
use self::watch::{Limit, Watch};
use crate::audit::{AuditLog, AuditPolicy};
use crate::decision::Operation;
use crate::drive::call::Call;
use crate::drive::run;
use crate::event::Event;
use crate::moment::{Clock, EntropySource, Timestamp};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::store::{AccountSource, FromStore, Store};

/// An OAuth 2.1 authorization server and resource check over a host's [`Store`] and
/// [`Accounts`](crate::Accounts).
///
/// Each endpoint is one call. It returns the response, or an [`Error`] whose
/// [`reply`](Error::reply) is the response. [`blocking::Server`](crate::blocking::Server) has the
/// same calls for hosts without an async runtime.
///
/// # A whole flow
///
/// A client sends a browser to the authorization endpoint, the user agrees, the client redeems its
/// code, calls a resource, and refreshes its tokens. Each call of the server is one HTTP request;
/// a host sends the replies instead of reading them.
///
/// ```
/// use grantcore::{
///     Authorization, AuthorizationStep, Choice, Client, FromStore, MemoryStore, Policy, Reply,
///     RequestParts, Server, User,
/// };
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let policy = Policy::builder("https://auth.example")
///         .scope("notes", "Read and change your notes")
///         .resource("https://mcp.example/mcp", "notes")
///         .build()?;
///     let notes = policy.needs("https://mcp.example/mcp", "notes")?;
///     let store = MemoryStore::new();
///     store.put_client(Client::public("app").redirect_uri("https://app.example/cb").build()?);
///     let server = Server::new(policy, store, FromStore);
///
///     // GET /oauth/authorize. Alice is signed in; the consent page is bound to her session.
///     let query = "response_type=code&client_id=app&scope=notes&state=af0ifjsldkj\
///         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
///     let request = RequestParts { method: "GET", query: query.as_bytes(), ..Default::default() };
///     let alice = User::new("alice", b"the secret id of her session")?;
///     let AuthorizationStep::NeedsConsent(page) = server.authorize(&request, Some(alice)).await? else {
///         return Err("alice must sign in first".into());
///     };
///
///     // POST of the consent page, with the ticket of its hidden field.
///     let redirect = server.consent(&page.into_ticket(), alice, Choice::Allow).await?;
///     let location = redirect.into_location();
///     let code = text_between(&location, "code=", "&");
///
///     // POST /oauth/token, by the client.
///     let form = format!(
///         "grant_type=authorization_code&client_id=app&code={code}\
///          &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
///     );
///     let tokens = server.token(&post(&form)).await?.body;
///
///     // GET /mcp, by the client.
///     let header = format!("Bearer {}", text_between(&tokens, "\"access_token\":\"", "\""));
///     let access = server.check(&Authorization::One(header.as_bytes()), &notes).await?;
///     assert_eq!(access.subject().as_str(), "alice");
///
///     // POST /oauth/token, an hour later, and again with the same token: a replay.
///     let refresh = text_between(&tokens, "\"refresh_token\":\"", "\"");
///     let form = format!("grant_type=refresh_token&client_id=app&refresh_token={refresh}");
///     assert_eq!(server.token(&post(&form)).await?.status, 200);
///     let error = server.token(&post(&form)).await.unwrap_err();
///     let reply: Reply = error.reply(server.policy());
///     assert!(reply.body.contains("invalid_grant")); // And every token of the grant is dead.
///     Ok(())
/// }
///
/// fn post(form: &str) -> RequestParts<'_> {
///     RequestParts {
///         method: "POST",
///         content_type: Some(b"application/x-www-form-urlencoded"),
///         body: form.as_bytes(),
///         ..RequestParts::default()
///     }
/// }
///
/// fn text_between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
///     text.split(before).nth(1).and_then(|rest| rest.split(after).next()).unwrap_or_default()
/// }
/// ```
///
/// # Cancellation
///
/// A future that is dropped stops at its current `await`. A write that was under way may be
/// durable; its event is handed to [`AuditLog::abandoned`] with an unknown
/// [fate](crate::event::Fate). A host that spawns a task for each request is not cancelled when the
/// client hangs up.
#[derive(Debug)]
pub struct Server<S, A = FromStore, L = ()> {
    core: Core,
    store: S,
    accounts: A,
    log: L,
}

impl<S: Store, A: AccountSource<S>> Server<S, A> {
    /// Returns a server with the system's clock and randomness, and no audit log.
    ///
    /// `accounts` is the host's [`Accounts`](crate::Accounts), [`FromStore`] for a store that loads
    /// them, or [`AlwaysActive`](crate::AlwaysActive).
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
    #[doc = include_str!("example.txt")]
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

impl<S, A, L> Server<S, A, L> {
    /// Records every event in `log` before the response is returned, by the rules of `policy`.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
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
    /// let found = log.find(&AuditQuery { client: Some("notes-app"), ..AuditQuery::default() }, 50);
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
    #[doc = include_str!("example.txt")]
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
    #[doc = include_str!("example.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = example::server().with_observer(|event| {
    ///     println!("{} {:?} {:?}", event.kind.name(), event.reason, event.client_id());
    /// });
    /// # let _ = server.token(&example::post("client_id=notes-app")).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the server with the observer is the one returned"]
    pub fn with_observer(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.core.observer = Box::new(observer);
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

impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Runs any operation, such as one that the host has parsed itself. No limit of requests is
    /// checked.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let query = example::QUERY;
    /// # let alice = example::alice();
    /// use grantcore::RequestParts;
    /// use grantcore::request::AuthorizationRequest;
    ///
    /// let request = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    /// let request = AuthorizationRequest::parse(&request, Some(alice), server.policy())?;
    /// let step = server.run(request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] if the operation refuses the request, [`Error::Failed`] if the store or
    /// the accounts failed.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Response, Error<S::Error>> {
        self.decide(Ok(operation), Limit::None, "").await
    }

    /// Runs an operation and records its event, or records the refusal of a request that was not
    /// parsed.
    async fn decide<O: Operation>(
        &self,
        parsed: Result<O, Refusal>,
        limit: Limit<'_>,
        source: &str,
    ) -> Result<O::Response, Error<S::Error>> {
        let (operation, entropy) = match self.core.begin(parsed) {
            Ok(begun) => begun,
            Err(early) => return Err(self.record_early(early.from(source)).await.into()),
        };
        let watch = self.watch(limit, source);
        let mut call = Call::new(&operation, &watch, entropy);
        let settled = run(&mut call, &self.store, &self.accounts, &self.log).await?;
        Ok(settled.outcome?)
    }

    fn watch<'a>(&'a self, limit: Limit<'a>, source: &'a str) -> Watch<'a, L> {
        Watch { core: &self.core, log: &self.log, limit, source }
    }
}
