//! What both servers have but the store: policy, clock, randomness, the limits, and the observer of events.

use std::fmt;

use crate::drive::Failure;
use crate::event::{Event, EventKind};
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::{Operation, Settled};
use crate::policy::Policy;
use crate::rate::Limiter;
use crate::reason::{Code, Reason, Surface};
use crate::refusal::Refusal;
use crate::request::connection::Motive;
use crate::request::incoming::Incoming;
use crate::request::introspection::IntrospectionRequest;
use crate::request::registration::{ManagementRequest, RegistrationRequest};
use crate::request::revocation::RevocationRequest;
use crate::request::token::TokenRequest;
use crate::response::access::Access;
use crate::response::reply::Reply;
use crate::trail::{TrailRules, Unrecorded};
use crate::value::text::{Subject, log_text};

/// What both have but the store.
pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    /// Nothing where the host limits by itself.
    requests: Option<Limiter>,
    failures: Limiter,
    /// Failures of names that no client has, apart, so that a flood of them makes nobody's be forgotten.
    strangers: Limiter,
    registrations: Limiter,
    pub(super) observer: Box<dyn Fn(&Event) + Send + Sync>,
    pub(super) trail: TrailRules,
}

/// A refusal that no operation made, and its event: told like any other.
pub(super) struct Early {
    pub(super) refusal: Refusal,
    pub(super) event: Box<Event>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(policy: Policy, clock: Box<dyn Clock + Send + Sync>, entropy: Box<dyn EntropySource + Send + Sync>) -> Self {
        let requests = Some(Limiter::default());
        let (failures, strangers, registrations) = (Limiter::default(), Limiter::default(), Limiter::default());
        Self {
            policy,
            clock,
            entropy,
            requests,
            failures,
            strangers,
            registrations,
            observer: Box::new(|_| {}),
            trail: TrailRules::default(),
        }
    }

    pub(super) fn without_rate_limit(self) -> Self {
        Self { requests: None, ..self }
    }

    pub(super) fn recording(self, trail: TrailRules) -> Self {
        Self { trail, ..self }
    }

    /// The operation and its randomness, drawn once.
    pub(super) fn begin<O: Operation>(&self, parsed: Result<O, Refusal>) -> Result<(O, Entropy), Early> {
        let operation = parsed.map_err(|refusal| self.early(refusal, None))?;
        match self.entropy.draw() {
            Ok(entropy) => Ok((operation, entropy)),
            Err(_) => Err(self.early(Refusal::plain(Reason::StorageUnavailable, operation.surface()), None)),
        }
    }

    /// Whether the trail is to keep this event. The observer is told of every one.
    pub(super) fn observe(&self, event: &Event) -> bool {
        (self.observer)(event);
        self.trail.keeps(event.kind)
    }

    /// What to answer instead, where nothing is answered that was not recorded.
    pub(super) fn instead(&self, kept: Result<(), Unrecorded>, event: &Event, surface: Surface) -> Option<Refusal> {
        let unrecorded = || Refusal::plain(Reason::TrailUnavailable, surface).correlated(event.correlation);
        (kept.is_err() && self.trail.fail_closed).then(unrecorded)
    }

    /// The moment of a step that is no operation. One that got no randomness is still told of, if without a name of its own.
    fn moment(&self) -> Moment {
        Moment::new(self.clock.now(), self.entropy.draw().unwrap_or_else(|_| Entropy::from_bytes([0; 128])))
    }

    /// A refusal that no operation made, with its event.
    pub(super) fn early(&self, refusal: Refusal, claimed: Option<&str>) -> Early {
        let moment = self.moment();
        let mut event = Event { detail: refusal.detail(), ..Event::new(EventKind::Refused, Some(refusal.reason()), &moment) };
        if let Some(claimed) = claimed {
            event.claim(claimed);
        }
        let refusal = refusal.correlated(event.correlation);
        event.sent = Some(Box::new(refusal.sent(&self.policy)));
        Early { refusal, event: Box::new(event) }
    }

    /// What to tell of a user's epoch.
    pub(super) fn epoch_raised<E>(
        &self,
        subject: &str,
        motive: Motive<'_>,
        raised: Result<bool, E>,
    ) -> Result<Settled<()>, Failure<E>> {
        raised.map_err(|error| self.failure(error))?;
        let moment = self.moment();
        let (subject, note) = (Some(Subject::new(subject)), Some(log_text(motive.note())));
        let event = Event { subject, note, ..Event::new(EventKind::AccountGrantsEnded, None, &moment) };
        Ok(Settled { outcome: Ok(()), event })
    }

    /// The store failed outside of any operation.
    pub(super) fn failure<E>(&self, error: E) -> Failure<E> {
        let Early { refusal, event } = self.early(Refusal::plain(Reason::StorageUnavailable, Surface::Operator), None);
        Failure { error, refusal, event }
    }

    /// A refusal of the host's own: of a call that was let through, or of what came before any endpoint.
    pub(super) fn of_host(&self, refusal: Refusal, access: Option<&Access>) -> Early {
        let mut early = self.early(refusal, None);
        if let Some(access) = access {
            let event = &mut early.event;
            event.flow = Some(access.grant_id());
            event.client = Some(access.client_id().clone());
            event.subject = Some(access.subject().clone());
        }
        early
    }

    /// Reads a token request and holds it to the limits, before any of the store's work (TOKEN-06).
    pub(super) fn token_request<'a>(&self, incoming: &Incoming<'a>) -> Result<TokenRequest<'a>, Early> {
        let refuse = |refusal, claimed| self.early(refusal, claimed);
        let request = TokenRequest::parse(incoming, &self.policy).map_err(|refusal| refuse(refusal, None))?;
        let (client, now) = (request.claimed_client(), self.clock.now());
        if let Some(requests) = &self.requests {
            let bucket = self.policy.rate_bucket(&request.rate_hit(incoming.source));
            let admitted = requests.admit(&bucket.key, bucket.limit, now);
            admitted.map_err(|wait| refuse(Refusal::rate_limited(wait), Some(client)))?;
        }
        self.throttle(client, now)?;
        Ok(request)
    }

    /// The response, after the limits have learnt of it.
    pub(super) fn token_reply(&self, request: &TokenRequest<'_>, source: &str, outcome: Result<Reply, Refusal>) -> Reply {
        let is_unproved = outcome.as_ref().is_err_and(|refusal| refusal.code() == Code::InvalidClient);
        if let (Some(requests), true, true) = (&self.requests, is_unproved, self.policy.rates().authenticated_only) {
            requests.give_back(&self.policy.rate_bucket(&request.rate_hit(source)).key);
        }
        self.authenticated_reply(request.claimed_client(), outcome)
    }

    /// Reads a revocation and holds it to the limit of failed authentications: secrets could be guessed here as well.
    pub(super) fn revocation_request<'a>(&self, incoming: &Incoming<'a>) -> Result<RevocationRequest<'a>, Early> {
        let request = RevocationRequest::parse(incoming, &self.policy);
        let request = request.map_err(|refusal| self.early(refusal, None))?;
        self.throttle(request.claimed_client(), self.clock.now())?;
        Ok(request)
    }

    /// Reads an introspection and holds it to the same.
    pub(super) fn introspection_request<'a>(&self, incoming: &Incoming<'a>) -> Result<IntrospectionRequest<'a>, Early> {
        let request = IntrospectionRequest::parse(incoming, &self.policy).map_err(|refusal| self.early(refusal, None))?;
        self.throttle(request.claimed_client(), self.clock.now())?;
        Ok(request)
    }

    fn throttle(&self, client: &str, now: Timestamp) -> Result<(), Early> {
        let limit = self.policy.limits().failed_authentications_per_minute;
        let wait = self.failures.wait(client, limit, now).or_else(|| self.strangers.wait(client, limit, now));
        let refuse = |wait| Refusal::later(Reason::AuthenticationsThrottled, Surface::Token, wait);
        wait.map_or(Ok(()), |wait| Err(self.early(refuse(wait), Some(client))))
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
    pub(super) fn registration_request(&self, incoming: &Incoming<'_>) -> Result<RegistrationRequest, Early> {
        let refuse = |refusal| self.early(refusal, None);
        let request = RegistrationRequest::parse(incoming, &self.policy).map_err(refuse)?;
        let later = |wait| refuse(Refusal::later(Reason::RegistrationLimited, Surface::Registration, wait));
        self.registrations
            .admit(incoming.source, self.policy.limits().registrations_per_minute, self.clock.now())
            .map_err(later)?;
        Ok(request)
    }

    /// Reads a request to the endpoint of a registration.
    pub(super) fn management_request<'a>(&self, id: &'a str, incoming: &Incoming<'a>) -> Result<ManagementRequest<'a>, Early> {
        let refuse = |refusal| self.early(refusal, Some(id));
        ManagementRequest::parse(id, incoming, &self.policy).map_err(refuse)
    }

    /// The response, or the refusal as one.
    pub(super) fn reply(&self, outcome: Result<Reply, Refusal>) -> Reply {
        outcome.unwrap_or_else(|refusal| refusal.reply(&self.policy))
    }
}
