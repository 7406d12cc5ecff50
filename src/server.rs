//! One call per endpoint: a policy, a store, a clock and a source of randomness put together. With its async twin.
//!
//! Everything here is a convenience over [`drive`](crate::drive()); it decides nothing but the rate limit.

use std::fmt;

use crate::drive::{Failure, drive, drive_async};
use crate::event::{Event, EventKind};
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::{Operation, Settled};
use crate::policy::Policy;
use crate::rate::Limiter;
use crate::reason::{Code, Reason};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::consent::{Choice, ConsentDecision};
use crate::request::incoming::{Authorization, Incoming};
use crate::request::token::TokenRequest;
use crate::response::access::Access;
use crate::response::consent_page::AuthorizationStep;
use crate::response::redirect::Redirect;
use crate::response::reply::Reply;
use crate::response::token::Tokens;
use crate::store::{AsyncStore, Store};

/// Outside, the host's storage; inside, the protocol.
pub type Answer<T, E> = Result<Result<T, Refusal>, Failure<E>>;

/// An authorization server over a [`Store`].
#[derive(Debug)]
pub struct Server<S> {
    core: Core,
    store: S,
}

/// An authorization server over an [`AsyncStore`].
#[derive(Debug)]
pub struct AsyncServer<S> {
    core: Core,
    store: S,
}

/// What both have but the store.
struct Core {
    policy: Policy,
    clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    requests: Limiter,
    failures: Limiter,
    /// Failures of names that no client has, apart, so that a flood of them makes nobody's be forgotten.
    strangers: Limiter,
    observer: Box<dyn Fn(&Event) + Send + Sync>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The parts that do not wait, for both servers.
macro_rules! common {
    ($name:ident) => {
        impl<S> $name<S> {
            /// A server with the system's clock and randomness.
            #[cfg(feature = "system")]
            pub fn new(policy: Policy, store: S) -> Self {
                Self::with(policy, store, crate::SystemClock, crate::SystemEntropy)
            }

            /// A server with this clock and this source of randomness.
            pub fn with(
                policy: Policy,
                store: S,
                clock: impl Clock + Send + Sync + 'static,
                entropy: impl EntropySource + Send + Sync + 'static,
            ) -> Self {
                Self { core: Core::new(policy, Box::new(clock), Box::new(entropy)), store }
            }

            /// Hands every event to `observer` before the answer is returned: one for each call of an endpoint.
            #[must_use = "the server with the observer is the one returned"]
            pub fn observe(mut self, observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
                self.core.observer = Box::new(observer);
                self
            }

            /// The policy.
            pub fn policy(&self) -> &Policy {
                &self.core.policy
            }

            /// The store.
            pub fn store(&self) -> &S {
                &self.store
            }

            /// The time by the server's clock.
            pub fn now(&self) -> Timestamp {
                self.core.clock.now()
            }
        }
    };
}

common!(Server);
common!(AsyncServer);

impl<S: Store> Server<S> {
    /// The authorization endpoint (OAuth 2.1 §3.1), GET or POST; `user` is whoever the host has authenticated, if anyone.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn authorize(&self, incoming: &Incoming<'_>, user: Option<User<'_>>) -> Answer<AuthorizationStep, S::Error> {
        self.answer(AuthorizationRequest::parse(incoming, user, &self.core.policy))
    }

    /// The submitted consent page: its ticket, the user who is signed in, and the choice.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn consent(&self, ticket: &str, user: User<'_>, choice: Choice<'_>) -> Answer<Redirect, S::Error> {
        self.answer(ConsentDecision::new(ticket, user, choice))
    }

    /// The token endpoint (OAuth 2.1 §3.2), its limits included: a whole response.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub fn token(&self, incoming: &Incoming<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.token_request(incoming) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(&request)?;
        Ok(self.core.token_reply(&request, outcome))
    }

    /// A call to a protected resource: whether its bearer token is good for what it needs (OAuth 2.1 §5.2).
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn check(&self, authorization: &Authorization<'_>, needs: Needs<'_>) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::parse(authorization, needs))
    }

    /// Runs any operation with this server's parts.
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub fn run<O: Operation>(&self, operation: O) -> Answer<O::Response, S::Error> {
        self.answer(Ok(operation))
    }

    /// Runs an operation, or tells of why there is none.
    fn answer<O: Operation>(&self, parsed: Result<O, Refusal>) -> Answer<O::Response, S::Error> {
        match self.core.begin(parsed) {
            Ok((operation, entropy)) => {
                let result = drive(&operation, &self.store, &self.core.policy, &*self.core.clock, entropy);
                self.core.end(result)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }
}

impl<S: AsyncStore> AsyncServer<S> {
    /// See [`Server::authorize`].
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn authorize(&self, incoming: &Incoming<'_>, user: Option<User<'_>>) -> Answer<AuthorizationStep, S::Error> {
        self.answer(AuthorizationRequest::parse(incoming, user, &self.core.policy)).await
    }

    /// See [`Server::consent`].
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn consent(&self, ticket: &str, user: User<'_>, choice: Choice<'_>) -> Answer<Redirect, S::Error> {
        self.answer(ConsentDecision::new(ticket, user, choice)).await
    }

    /// See [`Server::token`].
    ///
    /// # Errors
    /// [`Failure`] if the store failed; its refusal is the response to send.
    pub async fn token(&self, incoming: &Incoming<'_>) -> Result<Reply, Failure<S::Error>> {
        let request = match self.core.token_request(incoming) {
            Ok(request) => request,
            Err(refused) => return Ok(refused),
        };
        let outcome = self.run(&request).await?;
        Ok(self.core.token_reply(&request, outcome))
    }

    /// See [`Server::check`].
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn check(&self, authorization: &Authorization<'_>, needs: Needs<'_>) -> Answer<Access, S::Error> {
        self.answer(AccessCheck::parse(authorization, needs)).await
    }

    /// See [`Server::run`].
    ///
    /// # Errors
    /// [`Failure`] if the store failed; the protocol's refusals are inside.
    pub async fn run<O: Operation + Sync>(&self, operation: O) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        self.answer(Ok(operation)).await
    }

    async fn answer<O: Operation + Sync>(&self, parsed: Result<O, Refusal>) -> Answer<O::Response, S::Error>
    where
        O::Response: Send,
    {
        match self.core.begin(parsed) {
            Ok((operation, entropy)) => {
                let result = drive_async(&operation, &self.store, &self.core.policy, &*self.core.clock, entropy).await;
                self.core.end(result)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }
}

impl Core {
    fn new(policy: Policy, clock: Box<dyn Clock + Send + Sync>, entropy: Box<dyn EntropySource + Send + Sync>) -> Self {
        let limits = policy.limits();
        let requests = Limiter::new(limits.token_requests_per_minute);
        let failures = || Limiter::new(limits.failed_authentications_per_minute);
        let (failures, strangers) = (failures(), failures());
        Self { policy, clock, entropy, requests, failures, strangers, observer: Box::new(|_| {}) }
    }

    /// The operation and its randomness, drawn once.
    fn begin<O: Operation>(&self, parsed: Result<O, Refusal>) -> Result<(O, Entropy), Refusal> {
        let operation = parsed.map_err(|refusal| self.refuse(refusal, None))?;
        match self.entropy.draw() {
            Ok(entropy) => Ok((operation, entropy)),
            Err(_) => Err(self.refuse(Refusal::plain(Reason::StorageUnavailable, operation.surface()), None)),
        }
    }

    /// Tells of what happened and opens the outcome.
    fn end<T, E>(&self, result: Result<Settled<T>, Failure<E>>) -> Answer<T, E> {
        match result {
            Ok(Settled { outcome, event }) => {
                (self.observer)(&event);
                Ok(outcome)
            }
            Err(failure) => {
                (self.observer)(&failure.event);
                Err(failure)
            }
        }
    }

    /// Tells of a refusal that no operation made.
    fn refuse(&self, refusal: Refusal, claimed: Option<&str>) -> Refusal {
        // A request that got no randomness is still told of, if without a name of its own.
        let entropy = self.entropy.draw().unwrap_or_else(|_| Entropy::from_bytes([0; 128]));
        let moment = Moment::new(self.clock.now(), entropy);
        let mut event = Event::new(EventKind::Refused, Some(refusal.reason()), &moment);
        if let Some(claimed) = claimed {
            event.claim(claimed);
        }
        (self.observer)(&event);
        refusal.correlated(event.correlation)
    }

    /// Reads a token request and holds it to the limits, before any of the store's work (TOKEN-06).
    fn token_request<'a>(&self, incoming: &Incoming<'a>) -> Result<TokenRequest<'a>, Reply> {
        let refuse = |refusal, claimed| self.refuse(refusal, claimed).reply(&self.policy);
        let request = TokenRequest::parse(incoming, &self.policy).map_err(|refusal| refuse(refusal, None))?;
        let (client, now) = (request.claimed_client(), self.clock.now());
        if let Err(wait) = self.requests.admit(client, now) {
            return Err(refuse(Refusal::later(Reason::RateLimited, wait), Some(client)));
        }
        if let Some(wait) = self.failures.wait(client, now).or_else(|| self.strangers.wait(client, now)) {
            return Err(refuse(Refusal::later(Reason::AuthenticationsThrottled, wait), Some(client)));
        }
        Ok(request)
    }

    /// The response, and a note of an authentication that failed. That a public client sent a secret is not one: it has none to
    /// guess, and others would share its throttle.
    fn token_reply(&self, request: &TokenRequest<'_>, outcome: Result<Tokens, Refusal>) -> Reply {
        match outcome {
            Ok(tokens) => tokens.reply(),
            Err(refusal) => {
                let failures = match (refusal.code(), refusal.reason()) {
                    (_, Reason::ClientSecretUnexpected) => None,
                    (_, Reason::ClientUnknown) => Some(&self.strangers),
                    (Code::InvalidClient, _) => Some(&self.failures),
                    _ => None,
                };
                if let Some(failures) = failures {
                    failures.count(request.claimed_client(), self.clock.now());
                }
                refusal.reply(&self.policy)
            }
        }
    }
}
