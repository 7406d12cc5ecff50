//! The endpoints of the code flow: one call each.

use super::supersede::superseding;
use super::watch::Limit;
use super::{Error, Server};
use crate::audit::AuditLog;
use crate::refusal::Refusal;
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::consent::{Choice, ConsentDecision};
use crate::request::document::Fetch;
use crate::request::login::{LoginFailure, LoginGivenUp};
use crate::request::parts::RequestParts;
use crate::request::token::TokenRequest;
use crate::response::authorization::AuthorizationStep;
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::store::{AccountSource, Store};
use crate::value::text::Subject;

/// # The code flow, and resources
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Answers the authorization endpoint (OAuth 2.1 §3.1), GET or POST. `user` is the user whom
    /// the host has authenticated, or `None`.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let query = example::QUERY;
    /// # let send = |reply: grantcore::Reply| reply.status;
    /// use grantcore::{AuthorizationStep, RequestParts, User};
    ///
    /// // GET /oauth/authorize?response_type=code&client_id=notes-app&…
    /// let request = RequestParts {
    ///     method: "GET",
    ///     query: query.as_bytes(),
    ///     ..RequestParts::default()
    /// };
    /// // The user of the browser's session. `None` if nobody is signed in.
    /// let alice = User::new("alice", b"Zk3n1sVd0Qe8")?;
    /// match server.authorize(&request, Some(alice)).await {
    ///     Ok(AuthorizationStep::NeedsConsent(page)) => {
    ///         // Draw the page. Its form has `page.ticket()` in a hidden field.
    ///         assert_eq!(page.client_name(), "Notes");
    ///     }
    ///     Ok(AuthorizationStep::NeedsLogin(page)) => {
    ///         println!("sign in to continue to {}", page.client_name());
    ///     }
    ///     Ok(AuthorizationStep::NeedsDocument(document)) => {
    ///         println!("fetch {}", document.url); // Then `authorize_with_document`.
    ///     }
    ///     Ok(AuthorizationStep::Done(redirect)) => {
    ///         send(redirect.reply()); // To the client, with the code: no page is needed.
    ///     }
    ///     // A redirect to the client where that is allowed, else a page.
    ///     Err(error) => {
    ///         send(error.reply(server.policy()));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with a redirect or a page, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn authorize(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let parsed = AuthorizationRequest::parse(request, user, &self.core.policy);
        self.run_authorization(parsed, user, request.source).await
    }

    /// Answers the same request after [`AuthorizationStep::NeedsDocument`], with the result of
    /// fetching the client's document. Anybody can cause such a fetch without signing in: limit the
    /// fetches for each source and in total.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use grantcore::policy::DocumentRules;
    /// # let server = example::server_of(example::policy().client_documents(DocumentRules::default()));
    /// # let query = example::QUERY.replace("notes-app", "https://app.example/client.json");
    /// # let request = example::get(&query);
    /// # let alice = example::alice();
    /// use grantcore::AuthorizationStep;
    /// use grantcore::request::{Fetch, FetchedDocument};
    ///
    /// // GET /oauth/authorize?client_id=https://app.example/client.json&…
    /// let step = server.authorize(&request, Some(alice)).await?;
    /// let AuthorizationStep::NeedsDocument(document) = step else {
    ///     return Err("the client is known already".into());
    /// };
    /// assert_eq!(document.url, "https://app.example/client.json");
    ///
    /// // What the guarded fetch of the URL returned, for example by the crate `grantcore-fetch`.
    /// let fetch = Fetch::Document(FetchedDocument {
    ///     status: 200,
    ///     content_type: Some(b"application/json"),
    ///     fresh_for: None,
    ///     body: br#"{
    ///         "client_id": "https://app.example/client.json",
    ///         "client_name": "Notes",
    ///         "redirect_uris": ["https://app.example/cb"],
    ///         "token_endpoint_auth_method": "none"
    ///     }"#,
    /// });
    /// let step = server.authorize_with_document(&request, Some(alice), fetch).await?;
    /// assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`authorize`](Self::authorize).
    pub async fn authorize_with_document(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
        fetch: Fetch<'_>,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let parsed = AuthorizationRequest::parse(request, user, &self.core.policy);
        let parsed = parsed.map(|parsed| parsed.with_document(fetch));
        self.run_authorization(parsed, user, request.source).await
    }

    /// Answers an authorization request that the host has parsed, such as one
    /// [with resources](AuthorizationRequest::with_resources) of its own or
    /// [with a document](AuthorizationRequest::with_document). `source` is as in
    /// [`RequestParts::source`](crate::RequestParts::source).
    ///
    /// # Errors
    /// Those of [`authorize`](Self::authorize).
    pub async fn authorize_parsed(
        &self,
        request: AuthorizationRequest<'_>,
        source: &str,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let user = request.user;
        self.run_authorization(Ok(request), user, source).await
    }

    /// Answers the same request after [`AuthorizationStep::NeedsLogin`], if its user does not sign
    /// in as is needed: because the user turned back, or because the host has no such login. The
    /// response is the redirect to the client with the fitting error, or a page.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server_of(example::policy().acr_values("password mfa"));
    /// # let query = format!("{}&acr_values=mfa", example::QUERY);
    /// # let request = example::get(&query);
    /// # let alice = example::alice();
    /// use grantcore::AuthorizationStep;
    /// use grantcore::request::LoginFailure;
    ///
    /// let step = server.authorize(&request, Some(alice)).await?;
    /// let AuthorizationStep::NeedsLogin(page) = step else { return Err("not asked".into()) };
    /// assert!(page.needed_acr_values().eq(["mfa"]));
    /// // Alice has no second factor.
    /// let error = server.give_up_login(&request, Some(alice), LoginFailure::Unmet).await;
    /// let reply = error.reply(server.policy());
    /// assert!(reply.header("location").is_some_and(|to| to.contains("unmet_authentication")));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn give_up_login(
        &self,
        request: &RequestParts<'_>,
        user: Option<User<'_>>,
        failure: LoginFailure,
    ) -> Error<S::Error> {
        let parsed = LoginGivenUp::parse(request, user, failure, &self.core.policy);
        match self.decide(parsed, Limit::None, request.source).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    /// Runs an authorization request. It counts towards the user's limit of consent pages if it
    /// makes one or issues a code without one, and also if the store failed: the page may have been
    /// stored.
    async fn run_authorization(
        &self,
        parsed: Result<AuthorizationRequest<'_>, Refusal>,
        user: Option<User<'_>>,
        source: &str,
    ) -> Result<AuthorizationStep, Error<S::Error>> {
        let Self { core, .. } = self;
        let subject = user.map(|user| user.subject).filter(|_| parsed.is_ok());
        let refusal = subject.and_then(|subject| {
            core.throttle.count_consent_page(&core.policy, subject, core.clock.now())
        });
        let is_counted = subject.is_some() && refusal.is_none();
        let parsed = match refusal {
            Some(refusal) => Err(refusal),
            None => parsed,
        };
        let step = self.decide(parsed, Limit::Documents, source).await;
        let may_be_stored = matches!(
            &step,
            Ok(AuthorizationStep::NeedsConsent(_) | AuthorizationStep::Done(_))
                | Err(Error::Failed(_))
        );
        if let Some(subject) = subject.filter(|_| is_counted && !may_be_stored) {
            core.throttle.give_back_consent_page(subject, core.clock.now());
        }
        step
    }

    /// Answers a submitted consent page: its ticket, the user who is signed in, and the choice.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let (alice, page) = (example::alice(), example::page(&server).await);
    /// # let ticket = page.ticket();
    /// use grantcore::Choice;
    ///
    /// // POST of your consent page. `ticket` is its hidden field, `alice` the user of the session.
    /// match server.consent(&ticket, alice, Choice::Allow).await {
    ///     Ok(redirect) => {
    ///         let reply = redirect.reply();
    ///         assert_eq!(reply.status, 303); // To the client, with the code.
    ///     }
    ///     Err(error) => {
    ///         let reply = error.reply(server.policy());
    /// #       unreachable!("{reply:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with a redirect or a page, [`Error::Failed`] if the store or the accounts
    /// failed.
    ///
    /// A host that binds properties to the grant, or gives it an end, runs a
    /// [`ConsentDecision`](crate::request::ConsentDecision) instead.
    pub async fn consent(
        &self,
        ticket: &str,
        user: User<'_>,
        choice: Choice<'_>,
    ) -> Result<Redirect, Error<S::Error>> {
        match ConsentDecision::new(ticket, user, choice) {
            Ok(decision) => self.decide(Ok(decision), Limit::None, "").await,
            // No record names the user, but the host has authenticated one.
            Err(refusal) => {
                let mut early = self.core.early_refusal(refusal, None);
                early.event.subject = Some(Subject::new(user.subject()));
                Err(self.record_early(early).await.into())
            }
        }
    }

    /// Answers the token endpoint (OAuth 2.1 §3.2), and checks its limits.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let form = example::code_form(&server).await;
    /// use grantcore::{ContentType, RequestParts};
    ///
    /// // POST /oauth/token, with the form grant_type=authorization_code&code=…
    /// let request = RequestParts {
    ///     method: "POST",
    ///     content_type: ContentType::FORM,
    ///     source: "192.0.2.1", // The address of the caller, for the limits.
    ///     body: form.as_bytes(),
    ///     ..RequestParts::default()
    /// };
    /// let reply = server.token(&request).await.unwrap_or_else(|error| {
    ///     if let Some(failure) = error.failure() {
    ///         eprintln!("{failure}"); // The database failed. The client gets 503 and may retry.
    ///     }
    ///     error.reply(server.policy())
    /// });
    /// assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] with the error response, [`Error::Failed`] if the store or the accounts
    /// failed.
    pub async fn token(&self, request: &RequestParts<'_>) -> Result<Reply, Error<S::Error>> {
        let Self { core, .. } = self;
        let parsed = match TokenRequest::parse(request, &core.policy) {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse_early(refusal, None, request.source).await),
        };
        let now = core.clock.now();
        let source = request.source;
        let counted = core.throttle.count_token_request(&core.policy, &parsed, source, now);
        let admitted = match counted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let claimed = Some(parsed.claimed_client());
                return Err(self.refuse_early(refusal, claimed, source).await);
            }
        };
        let limit = Limit::Token(&admitted);
        let tokens = self.decide(Ok(&parsed), limit, source).await?;
        if let Some(grant) = superseding(&parsed, &tokens, &core.policy) {
            self.supersede(grant).await;
        }
        Ok(tokens.reply())
    }

    /// Records the refusal of a token request by a limit that the host keeps itself (see
    /// [`RateWindow`](crate::rate::RateWindow)), and returns it: 429 with `Retry-After: seconds`.
    pub async fn rate_limited(&self, request: &TokenRequest<'_>, seconds: u32) -> Refusal {
        let refusal = Refusal::rate_limited(seconds);
        let early = self.core.early_refusal(refusal, Some(request.claimed_client()));
        self.record_early(early).await
    }

    pub(super) async fn refuse_early(
        &self,
        refusal: Refusal,
        claimed_client: Option<&str>,
        source: &str,
    ) -> Error<S::Error> {
        let early = self.core.early_refusal(refusal, claimed_client).from(source);
        self.record_early(early).await.into()
    }
}
