//! The server: one async call for each endpoint, over a policy, a store, accounts, a clock and a
//! source of randomness.
//!
//! Nothing is decided here. An endpoint parses its request, checks the limits and runs the
//! operation by the driver.

mod core;
mod error;
mod watch;

// Empty lines keep this order, which is that of the methods in the rendered documentation.
mod setup;

mod endpoints;

mod check;

mod clients;

mod connections;

mod revoke_user;
mod rotate_secret;

mod supersede;

mod early;

use self::core::Core;
pub use self::error::Error;
pub use self::revoke_user::RevokedGrants;
use self::watch::{Limit, Watch};
use crate::audit::AuditLog;
use crate::decision::Operation;
use crate::drive::call::Call;
use crate::drive::run;
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
///     Authorization, AuthorizationStep, Choice, Client, FromStore, MemoryStore, Policy,
///     Reply, ContentType, RequestParts, Server, User,
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
///     let app = Client::public("app").redirect_uri("https://app.example/cb").build()?;
///     store.put_client(app);
///     let server = Server::new(policy, store, FromStore);
///
///     // GET /oauth/authorize. The consent page is bound to the session of the user.
///     let query = "response_type=code&client_id=app&scope=notes&state=af0ifjsldkj\
///         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
///         &code_challenge_method=S256";
///     let request = RequestParts {
///         method: "GET",
///         query: query.as_bytes(),
///         ..RequestParts::default()
///     };
///     let alice = User::new("alice", b"the secret id of her session")?;
///     let step = server.authorize(&request, Some(alice)).await?;
///     let AuthorizationStep::NeedsConsent(page) = step else {
///         return Err("alice must sign in first".into());
///     };
///
///     // POST of the consent page, with the ticket of its hidden field.
///     let redirect = server.consent(&page.ticket(), alice, Choice::Allow).await?;
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
///     let token = text_between(&tokens, "\"access_token\":\"", "\"");
///     let header = format!("Bearer {token}");
///     let header = Authorization::One(header.as_bytes());
///     let access = server.check(&header, &notes).await?;
///     assert_eq!(access.subject().map(AsRef::as_ref), Some("alice"));
///
///     // POST /oauth/token, an hour later, and again with the same token: a replay.
///     let token = text_between(&tokens, "\"refresh_token\":\"", "\"");
///     let form = format!("grant_type=refresh_token&client_id=app&refresh_token={token}");
///     assert_eq!(server.token(&post(&form)).await?.status, 200);
///     let error = server.token(&post(&form)).await.unwrap_err();
///     let reply: Reply = error.reply(server.policy());
///     assert!(reply.body.contains("invalid_grant"));
///     assert!(server.check(&header, &notes).await.is_err()); // Every token is dead.
///     Ok(())
/// }
///
/// fn post(form: &str) -> RequestParts<'_> {
///     RequestParts {
///         method: "POST",
///         content_type: ContentType::FORM,
///         body: form.as_bytes(),
///         ..RequestParts::default()
///     }
/// }
///
/// fn text_between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
///     let rest = text.split(before).nth(1).unwrap_or_default();
///     rest.split(after).next().unwrap_or_default()
/// }
/// ```
///
/// # Cancellation
///
/// A future that is dropped stops at its current `await`. A write that was under way may be
/// durable; its event is handed to [`AuditLog::abandoned`] with an unknown
/// [durability](crate::event::Durability). A host that spawns a task for each request is not
/// cancelled when the client hangs up.
#[derive(Debug)]
pub struct Server<S, A = FromStore, L = ()> {
    core: Core,
    store: S,
    accounts: A,
    log: L,
}

/// # For experts
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Runs any operation, such as one that the host has parsed itself. No limit of requests is
    /// checked.
    ///
    /// ```
    #[doc = include_str!("doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let query = example::QUERY;
    /// # let alice = example::alice();
    /// use grantcore::RequestParts;
    /// use grantcore::request::AuthorizationRequest;
    ///
    /// let request = RequestParts {
    ///     method: "GET",
    ///     query: query.as_bytes(),
    ///     ..RequestParts::default()
    /// };
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
        let outside = &*self.core.outside;
        run(&mut call, &self.store, &self.accounts, &self.log, outside).await;
        Ok(call.outcome()??)
    }

    fn watch<'a>(&'a self, limit: Limit<'a>, source: &'a str) -> Watch<'a, L> {
        Watch { core: &self.core, log: &self.log, limit, source }
    }
}
