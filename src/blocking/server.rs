//! The endpoints, each polled to its end. Those for operators and users are in `administration`.

mod administration;

use super::traits::{AuditLog, Outside, Store};
use super::{Ready, block_on};
use crate::audit::AuditPolicy;
use crate::decision::Operation;
use crate::event::Event;
use crate::moment::{Clock, EntropySource, Timestamp};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::consent::Choice;
use crate::request::document::Fetch;
use crate::request::login::LoginFailure;
use crate::request::parts::{Authorization, RequestParts};
use crate::request::token::TokenRequest;
use crate::response::access::Access;
use crate::response::authorization::AuthorizationStep;
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::server::Error;
use crate::store::{AccountSource, FromStore};

/// An authorization server over a blocking [`Store`]: see [`grantcore::Server`](crate::Server),
/// which documents each call.
///
/// ```
/// use grantcore::blocking::Server;
/// use grantcore::{AuthorizationStep, Client, FromStore, MemoryStore, Policy, RequestParts, User};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .build()?;
/// let store = MemoryStore::new();
/// store.put_client(Client::public("notes-app").redirect_uri("https://app.example/cb").build()?);
/// let server = Server::new(policy, store, FromStore);
///
/// // GET /oauth/authorize
/// let query = "response_type=code&client_id=notes-app&scope=notes\
///     &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
/// let request = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
/// let step = server.authorize(&request, Some(User::new("alice", b"Zk3n1sVd0Qe8")?))?;
/// assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server<S, A = FromStore, L = ()>(crate::Server<Ready<S>, Ready<A>, Ready<L>>);

impl<S: Store, A> Server<S, A>
where
    Ready<A>: AccountSource<Ready<S>>,
{
    /// See [`Server::new`](crate::Server::new).
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

    /// See [`Server::with_sources`](crate::Server::with_sources).
    pub fn with_sources(
        policy: Policy,
        store: S,
        accounts: A,
        clock: impl Clock + Send + Sync + 'static,
        entropy: impl EntropySource + Send + Sync + 'static,
    ) -> Self {
        let server =
            crate::Server::with_sources(policy, Ready(store), Ready(accounts), clock, entropy);
        Self(server.with_audit_log(Ready(()), AuditPolicy::default()))
    }
}

impl<S, A, L> Server<S, A, L> {
    /// See [`Server::with_audit_log`](crate::Server::with_audit_log).
    #[must_use = "the server with the audit log is the one returned"]
    pub fn with_audit_log<M>(self, log: M, policy: AuditPolicy) -> Server<S, A, M> {
        Server(self.0.with_audit_log(Ready(log), policy))
    }

    /// See [`Server::without_rate_limit`](crate::Server::without_rate_limit).
    #[must_use = "the server without the limit is the one returned"]
    pub fn without_rate_limit(self) -> Self {
        Self(self.0.without_rate_limit())
    }

    /// See [`Server::with_observer`](crate::Server::with_observer).
    #[must_use = "the server with the observer is the one returned"]
    pub fn with_observer(self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(self.0.with_observer(observer))
    }

    /// See [`Server::with_outside`](crate::Server::with_outside).
    #[must_use = "the server that asks is the one returned"]
    pub fn with_outside(self, outside: impl Outside + 'static) -> Self {
        Self(self.0.with_outside(Ready(outside)))
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        self.0.policy()
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.0.store().0
    }

    /// Returns where the accounts come from.
    pub fn accounts(&self) -> &A {
        &self.0.accounts().0
    }

    /// Returns the audit log.
    pub fn audit_log(&self) -> &L {
        &self.0.audit_log().0
    }

    /// Returns the time by the server's clock.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl<S: Store, A, L: AuditLog> Server<S, A, L>
where
    Ready<A>: AccountSource<Ready<S>>,
{
    /// See [`Server::authorize`](crate::Server::authorize).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn authorize(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        block_on(self.0.authorize(request, user))
    }

    /// See [`Server::authorize_with_document`](crate::Server::authorize_with_document).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn authorize_with_document(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        block_on(self.0.authorize_with_document(request, user, fetch))
    }

    /// See [`Server::authorize_parsed`](crate::Server::authorize_parsed).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn authorize_parsed(
        &self,
        request: AuthorizationRequest<'_>,
        source: &str,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        block_on(self.0.authorize_parsed(request, source))
    }

    /// See [`Server::give_up_login`](crate::Server::give_up_login).
    pub fn give_up_login(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
        failure: LoginFailure,
    ) -> Error<S::Error> {
        block_on(self.0.give_up_login(request, user, failure))
    }

    /// See [`Server::consent`](crate::Server::consent).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn consent(
        &self,
        ticket: &str,
        user: User<'_>,
        choice: Choice<'_>,
    ) -> Result<Redirect, Error<S::Error>> {
        block_on(self.0.consent(ticket, user, choice))
    }

    /// See [`Server::token`](crate::Server::token).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn token(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        block_on(self.0.token(request))
    }

    /// See [`Server::revoke`](crate::Server::revoke).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn revoke(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        block_on(self.0.revoke(request))
    }

    /// See [`Server::introspect`](crate::Server::introspect).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn introspect(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        block_on(self.0.introspect(request))
    }

    /// See [`Server::register`](crate::Server::register).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn register(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        block_on(self.0.register(request))
    }

    /// See [`Server::manage`](crate::Server::manage).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn manage(
        &self,
        client_id: &str,
        request: &RequestParts<'_>,
    ) -> Result<Reply, Error<S::Error>> {
        block_on(self.0.manage(client_id, request))
    }

    /// See [`Server::check`](crate::Server::check).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        block_on(self.0.check(authorization, needs))
    }

    /// See [`Server::check_request`](crate::Server::check_request).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn check_request(
        &self,
        request: &RequestParts<'_>,
        needs: &Needs,
    ) -> Result<Access, Error<S::Error>> {
        block_on(self.0.check_request(request, needs))
    }

    /// See [`Server::check_parsed`](crate::Server::check_parsed).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn check_parsed(
        &self,
        check: &AccessCheck<'_>,
        source: &str,
    ) -> Result<Access, Error<S::Error>> {
        block_on(self.0.check_parsed(check, source))
    }

    /// See [`Server::rate_limited`](crate::Server::rate_limited).
    pub fn rate_limited(&self, request: &TokenRequest<'_>, seconds: u32) -> Refusal {
        block_on(self.0.rate_limited(request, seconds))
    }

    /// See [`Server::refuse`](crate::Server::refuse).
    pub fn refuse(&self, refusal: Refusal, access: Option<&Access>, source: &str) -> Refusal {
        block_on(self.0.refuse(refusal, access, source))
    }

    /// See [`Server::run`](crate::Server::run).
    ///
    /// # Errors
    /// [`Error`], with the response to send.
    pub fn run<O: Operation>(&self, operation: O) -> Result<O::Response, Error<S::Error>> {
        block_on(self.0.run(operation))
    }
}
