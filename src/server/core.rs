//! What both servers have but the store: policy, clock, randomness, the limits, and the observer of
//! events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::drive::Failure;
use crate::event::{Event, EventKind, Fate, Written, WrittenRecord};
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::Operation;
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
    /// Failures of names that no client has, apart, so that a flood of them makes nobody's be
    /// forgotten.
    strangers: Limiter,
    registrations: Limiter,
    pub(super) observer: Box<dyn Fn(&Event) + Send + Sync>,
    pub(super) trail: TrailRules,
    /// Numbers the steps that got no randomness.
    unnamed: AtomicU64,
}

/// A refusal that no operation made, and its event: recorded like any other.
pub(super) struct Early {
    pub(super) refusal: Refusal,
    pub(super) event: Box<Event>,
}

/// A token request that the limits let through: from where, and when.
pub(super) struct Admitted<'a> {
    pub(super) request: TokenRequest<'a>,
    source: &'a str,
    at: Timestamp,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(
        policy: Policy,
        clock: Box<dyn Clock + Send + Sync>,
        entropy: Box<dyn EntropySource + Send + Sync>,
    ) -> Self {
        let requests = Some(Limiter::default());
        let (failures, strangers, registrations) =
            (Limiter::default(), Limiter::default(), Limiter::default());
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
            unnamed: AtomicU64::default(),
        }
    }

    pub(super) fn without_rate_limit(self) -> Self {
        Self { requests: None, ..self }
    }

    pub(super) fn recording(self, trail: TrailRules) -> Self {
        Self { trail, ..self }
    }

    /// The operation and its randomness, drawn once.
    pub(super) fn begin<O: Operation>(
        &self,
        parsed: Result<O, Refusal>,
    ) -> Result<(O, Entropy), Early> {
        let operation = parsed.map_err(|refusal| self.early(refusal, None))?;
        match self.entropy.draw() {
            Ok(entropy) => Ok((operation, entropy)),
            Err(_) => {
                Err(self
                    .early(Refusal::plain(Reason::StorageUnavailable, operation.surface()), None))
            }
        }
    }

    /// Returns the refusal to send instead of this one, where nothing is answered that was not
    /// recorded.
    pub(super) fn after_record(
        &self,
        recorded: Result<(), Unrecorded>,
        refusal: Refusal,
    ) -> Refusal {
        if recorded.is_ok() || !self.trail.fail_closed {
            return refusal;
        }
        let unrecorded = Refusal::plain(Reason::TrailUnavailable, refusal.surface());
        match refusal.correlation() {
            Some(correlation) => unrecorded.correlated(correlation),
            None => unrecorded,
        }
    }

    /// The moment of a step that is no operation. If there is no randomness, the step is named by
    /// the clock and a counter: a trail keeps one event of each name.
    fn moment(&self) -> Moment {
        let now = self.clock.now();
        let entropy = self.entropy.draw().unwrap_or_else(|_| {
            let number = self.unnamed.fetch_add(1, Ordering::Relaxed);
            let mut bytes = [0; 128];
            let name = now.unix_seconds().to_be_bytes().into_iter().chain(number.to_be_bytes());
            bytes.iter_mut().zip(name).for_each(|(byte, own)| *byte = own);
            Entropy::from_bytes(bytes)
        });
        Moment::new(now, entropy)
    }

    /// A refusal that no operation made, with its event.
    pub(super) fn early(&self, refusal: Refusal, claimed: Option<&str>) -> Early {
        let moment = self.moment();
        let mut event = Event {
            detail: refusal.detail().map(Into::into),
            ..Event::new(EventKind::Refused, Some(refusal.reason()), &moment)
        };
        event.attributed = refusal.surface() == Surface::Operator;
        if let Some(claimed) = claimed {
            event.claim(claimed);
        }
        let refusal = refusal.correlated(event.correlation);
        event.sent = Some(Box::new(refusal.sent(&self.policy)));
        Early { refusal, event: Box::new(event) }
    }

    /// The event of raising the epoch of a user's account, while its fate is unknown.
    pub(super) fn epoch_event(&self, subject: &str, motive: Motive<'_>) -> Event {
        let event = Event::new(EventKind::AccountGrantsEnded, None, &self.moment());
        Event {
            subject: Some(Subject::new(subject)),
            note: Some(log_text(motive.note())),
            written: Some(Written { record: WrittenRecord::Account, fate: Fate::Unknown }),
            attributed: true,
            ..event
        }
    }

    /// Takes what the store says of raising an epoch into the event, which is then to be recorded.
    pub(super) fn epoch_raised<E>(
        &self,
        event: &mut Event,
        raised: Result<bool, E>,
    ) -> Result<(), (E, Refusal)> {
        match raised {
            Ok(true) => event.written = event.written.map(Written::durable),
            // These accounts have no epoch: nothing was written.
            Ok(false) => event.written = None,
            Err(error) => {
                let reason = Reason::StorageUnavailable;
                let refusal =
                    Refusal::plain(reason, Surface::Operator).correlated(event.correlation);
                event.kind = EventKind::Refused;
                event.reason = Some(reason);
                event.sent = Some(Box::new(refusal.sent(&self.policy)));
                return Err((error, refusal));
            }
        }
        Ok(())
    }

    /// The store failed outside of any operation.
    pub(super) fn failure<E>(&self, error: E) -> Failure<E> {
        let Early { refusal, event } =
            self.early(Refusal::plain(Reason::StorageUnavailable, Surface::Operator), None);
        Failure { error, refusal, event }
    }

    /// A refusal of the host's own: of a call that was let through, or of what came before any
    /// endpoint.
    pub(super) fn of_host(&self, refusal: Refusal, access: Option<&Access>) -> Early {
        let mut early = self.early(refusal, None);
        if let Some(access) = access {
            let event = &mut early.event;
            event.attributed = true;
            event.flow = Some(access.grant_id());
            event.client = Some(access.client_id().clone());
            event.subject = Some(access.subject().clone());
        }
        early
    }

    /// Reads a token request and holds it to the limits, before any of the store's work (TOKEN-06).
    pub(super) fn token_request<'a>(&self, incoming: &Incoming<'a>) -> Result<Admitted<'a>, Early> {
        let request = TokenRequest::parse(incoming, &self.policy)
            .map_err(|refusal| self.early(refusal, None))?;
        let (source, at) = (incoming.source, self.clock.now());
        match self.admit(&request, source, at) {
            Ok(()) => Ok(Admitted { request, source, at }),
            Err((reason, wait)) => Err(self.later(reason, wait, request.claimed_client())),
        }
    }

    /// Lets a token request through, or says why not and until when: both limits are then behind
    /// it.
    fn admit(
        &self,
        request: &TokenRequest<'_>,
        source: &str,
        now: Timestamp,
    ) -> Result<(), (Reason, u32)> {
        let throttled = self.throttled(request.claimed_client(), source, now);
        let limited = self.requests.as_ref().and_then(|requests| {
            let bucket = self.policy.rate_bucket(&request.rate_hit(source));
            match throttled {
                None => requests.admit(&bucket.key, bucket.limit, now).err(),
                // What is refused in any case takes no place.
                Some(_) => requests.wait(&bucket.key, bucket.limit, now),
            }
        });
        match (limited, throttled) {
            (None, None) => Ok(()),
            (None, Some(wait)) => Err((Reason::AuthenticationsThrottled, wait)),
            (Some(wait), throttled) => {
                Err((Reason::RateLimited, wait.max(throttled.unwrap_or_default())))
            }
        }
    }

    /// Counts what came of a token request. A place is given back only for a failure that counts
    /// elsewhere: nothing is free.
    pub(super) fn count_token_request(&self, admitted: &Admitted<'_>, refusal: Option<&Refusal>) {
        let Admitted { request, source, at } = admitted;
        let counted = self.count_failure(request.claimed_client(), source, refusal);
        if let (Some(requests), true, true) =
            (&self.requests, counted, self.policy.rates().authenticated_only)
        {
            requests.give_back(&self.policy.rate_bucket(&request.rate_hit(source)).key, *at);
        }
    }

    /// A refusal of the host's own limit.
    pub(super) fn rate_limited(&self, request: &TokenRequest<'_>, wait: u32) -> Early {
        self.later(Reason::RateLimited, wait, request.claimed_client())
    }

    fn later(&self, reason: Reason, wait: u32, client: &str) -> Early {
        self.early(Refusal::later(reason, Surface::Token, wait.max(1)), Some(client))
    }

    /// Reads a revocation and holds it to the limit of failed authentications: secrets could be
    /// guessed here as well.
    pub(super) fn revocation_request<'a>(
        &self,
        incoming: &Incoming<'a>,
    ) -> Result<RevocationRequest<'a>, Early> {
        let request = RevocationRequest::parse(incoming, &self.policy);
        let request = request.map_err(|refusal| self.early(refusal, None))?;
        self.throttle(request.claimed_client(), incoming.source)?;
        Ok(request)
    }

    /// Reads an introspection and holds it to the same.
    pub(super) fn introspection_request<'a>(
        &self,
        incoming: &Incoming<'a>,
    ) -> Result<IntrospectionRequest<'a>, Early> {
        let request = IntrospectionRequest::parse(incoming, &self.policy)
            .map_err(|refusal| self.early(refusal, None))?;
        self.throttle(request.claimed_client(), incoming.source)?;
        Ok(request)
    }

    fn throttle(&self, client: &str, source: &str) -> Result<(), Early> {
        let wait = self.throttled(client, source, self.clock.now());
        wait.map_or(Ok(()), |wait| Err(self.later(Reason::AuthenticationsThrottled, wait, client)))
    }

    /// How long nobody is heard under this name, if authentication failed too often.
    fn throttled(&self, client: &str, source: &str, now: Timestamp) -> Option<u32> {
        let (key, limit) = (
            self.policy.failure_key(client, source),
            self.policy.limits().failed_authentications_per_minute,
        );
        self.failures.wait(&key, limit, now).max(self.strangers.wait(&key, limit, now))
    }

    /// Counts an authentication that failed, and returns whether there was one. That a public client
    /// sent a secret is not one: it has none to guess, and others would share its throttle.
    pub(super) fn count_failure(
        &self,
        client: &str,
        source: &str,
        refusal: Option<&Refusal>,
    ) -> bool {
        let failures = match refusal.map(|refusal| (refusal.code(), refusal.reason())) {
            None | Some((_, Reason::ClientSecretUnexpected)) => None,
            Some((_, Reason::ClientUnknown)) => Some(&self.strangers),
            Some((Code::InvalidClient, _)) => Some(&self.failures),
            Some(_) => None,
        };
        if let Some(failures) = failures {
            failures.count(&self.policy.failure_key(client, source), self.clock.now());
        }
        failures.is_some()
    }

    /// Reads a registration and holds it to the limit. What cannot be read costs no turn: it leaves
    /// nothing behind.
    pub(super) fn registration_request(
        &self,
        incoming: &Incoming<'_>,
    ) -> Result<RegistrationRequest, Early> {
        let refuse = |refusal| {
            let mut early = self.early(refusal, None);
            let sender = RegistrationRequest::sender(incoming, &self.policy);
            early.event.note = sender.as_deref().map(log_text);
            early
        };
        let request = RegistrationRequest::parse(incoming, &self.policy).map_err(refuse)?;
        let later =
            |wait| refuse(Refusal::later(Reason::RegistrationLimited, Surface::Registration, wait));
        self.registrations
            .admit(incoming.source, self.policy.limits().registrations_per_minute, self.clock.now())
            .map_err(later)?;
        Ok(request)
    }

    /// Reads a request to the endpoint of a registration.
    pub(super) fn management_request<'a>(
        &self,
        id: &'a str,
        incoming: &Incoming<'a>,
    ) -> Result<ManagementRequest<'a>, Early> {
        let refuse = |refusal| self.early(refusal, Some(id));
        ManagementRequest::parse(id, incoming, &self.policy).map_err(refuse)
    }

    /// The response, or the refusal as one.
    pub(super) fn reply(&self, outcome: Result<Reply, Refusal>) -> Reply {
        outcome.unwrap_or_else(|refusal| refusal.reply(&self.policy))
    }
}
