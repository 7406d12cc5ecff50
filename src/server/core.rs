//! What both servers have but the store: policy, clock, randomness, the limits, and the observer of events.

use std::fmt;

use super::Answer;
use crate::drive::Failure;
use crate::event::{Event, EventKind};
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::{Operation, Settled};
use crate::policy::Policy;
use crate::rate::Limiter;
use crate::reason::{Code, Reason, Surface};
use crate::refusal::Refusal;
use crate::request::incoming::Incoming;
use crate::request::registration::{ManagementRequest, RegistrationRequest};
use crate::request::revocation::RevocationRequest;
use crate::request::token::TokenRequest;
use crate::response::reply::Reply;

/// What both have but the store.
pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    requests: Limiter,
    failures: Limiter,
    /// Failures of names that no client has, apart, so that a flood of them makes nobody's be forgotten.
    strangers: Limiter,
    registrations: Limiter,
    pub(super) observer: Box<dyn Fn(&Event) + Send + Sync>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(policy: Policy, clock: Box<dyn Clock + Send + Sync>, entropy: Box<dyn EntropySource + Send + Sync>) -> Self {
        let limits = policy.limits();
        let requests = Limiter::new(limits.token_requests_per_minute);
        let failures = || Limiter::new(limits.failed_authentications_per_minute);
        let (failures, strangers) = (failures(), failures());
        let registrations = Limiter::new(limits.registrations_per_minute);
        Self { policy, clock, entropy, requests, failures, strangers, registrations, observer: Box::new(|_| {}) }
    }

    /// The operation and its randomness, drawn once.
    pub(super) fn begin<O: Operation>(&self, parsed: Result<O, Refusal>) -> Result<(O, Entropy), Refusal> {
        let operation = parsed.map_err(|refusal| self.refuse(refusal, None))?;
        match self.entropy.draw() {
            Ok(entropy) => Ok((operation, entropy)),
            Err(_) => Err(self.refuse(Refusal::plain(Reason::StorageUnavailable, operation.surface()), None)),
        }
    }

    /// Tells of what happened and opens the outcome.
    pub(super) fn end<T, E>(&self, result: Result<Settled<T>, Failure<E>>) -> Answer<T, E> {
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
    pub(super) fn token_request<'a>(&self, incoming: &Incoming<'a>) -> Result<TokenRequest<'a>, Reply> {
        let refuse = |refusal, claimed| self.refuse(refusal, claimed).reply(&self.policy);
        let request = TokenRequest::parse(incoming, &self.policy).map_err(|refusal| refuse(refusal, None))?;
        let (client, now) = (request.claimed_client(), self.clock.now());
        if let Err(wait) = self.requests.admit(client, now) {
            return Err(refuse(Refusal::later(Reason::RateLimited, Surface::Token, wait), Some(client)));
        }
        self.throttle(client, now)?;
        Ok(request)
    }

    /// Reads a revocation and holds it to the limit of failed authentications: secrets could be guessed here as well.
    pub(super) fn revocation_request<'a>(&self, incoming: &Incoming<'a>) -> Result<RevocationRequest<'a>, Reply> {
        let request = RevocationRequest::parse(incoming, &self.policy);
        let request = request.map_err(|refusal| self.refuse(refusal, None).reply(&self.policy))?;
        self.throttle(request.claimed_client(), self.clock.now())?;
        Ok(request)
    }

    fn throttle(&self, client: &str, now: Timestamp) -> Result<(), Reply> {
        let wait = self.failures.wait(client, now).or_else(|| self.strangers.wait(client, now));
        let refuse = |wait| Refusal::later(Reason::AuthenticationsThrottled, Surface::Token, wait);
        wait.map_or(Ok(()), |wait| Err(self.refuse(refuse(wait), Some(client)).reply(&self.policy)))
    }

    /// The response, and a note of an authentication that failed. That a public client sent a secret is not one: it has none to
    /// guess, and others would share its throttle.
    pub(super) fn authenticated_reply(&self, client: &str, outcome: Result<Reply, Refusal>) -> Reply {
        match outcome {
            Ok(reply) => reply,
            Err(refusal) => {
                let failures = match (refusal.code(), refusal.reason()) {
                    (_, Reason::ClientSecretUnexpected) => None,
                    (_, Reason::ClientUnknown) => Some(&self.strangers),
                    (Code::InvalidClient, _) => Some(&self.failures),
                    _ => None,
                };
                if let Some(failures) = failures {
                    failures.count(client, self.clock.now());
                }
                refusal.reply(&self.policy)
            }
        }
    }

    /// Reads a registration and holds it to the limit. What cannot be read costs no turn: it leaves nothing behind.
    pub(super) fn registration_request(&self, incoming: &Incoming<'_>, source: &str) -> Result<RegistrationRequest, Reply> {
        let refuse = |refusal| self.refuse(refusal, None).reply(&self.policy);
        let request = RegistrationRequest::parse(incoming, &self.policy).map_err(refuse)?;
        let later = |wait| refuse(Refusal::later(Reason::RegistrationLimited, Surface::Registration, wait));
        self.registrations.admit(source, self.clock.now()).map_err(later)?;
        Ok(request)
    }

    /// Reads a request to the endpoint of a registration.
    pub(super) fn management_request<'a>(&self, id: &'a str, incoming: &Incoming<'a>) -> Result<ManagementRequest<'a>, Reply> {
        let refuse = |refusal| self.refuse(refusal, Some(id)).reply(&self.policy);
        ManagementRequest::parse(id, incoming, &self.policy).map_err(refuse)
    }

    /// The response, or the refusal as one.
    pub(super) fn reply(&self, outcome: Result<Reply, Refusal>) -> Reply {
        outcome.unwrap_or_else(|refusal| refusal.reply(&self.policy))
    }
}
