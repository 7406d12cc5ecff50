//! What both servers have but the store: policy, clock, randomness, the limits, and the observer of
//! events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::audit::{AuditError, AuditPolicy};
use crate::drive::Failure;
use crate::event::{Event, EventKind, Fate, Written, WrittenRecord};
use crate::limiter::Limiter;
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::Operation;
use crate::policy::{Policy, RateKey};
use crate::rate::RateWindow;
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::refusal::Refusal;
use crate::request::authorization::{AuthorizationRequest, User};
use crate::request::connection::RevokedBy;
use crate::request::introspection::IntrospectionRequest;
use crate::request::parts::RequestParts;
use crate::request::registration::{ManagementRequest, RegistrationRequest};
use crate::request::revocation::RevocationRequest;
use crate::request::token::{Credentials, TokenRequest};
use crate::response::access::Access;
use crate::response::authorization::AuthorizationStep;
use crate::response::reply::Reply;
use crate::server::Answer;
use crate::value::text::{Subject, log_text};

/// What both have but the store.
pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    /// Nothing where the host limits by itself.
    requests: Option<Limiter>,
    /// Failed authentications of clients that exist.
    failures: Limiter,
    /// Failed authentications of unknown client ids. Counted separately, so that a flood of invented
    /// ids takes no room from the counters of real clients.
    strangers: Limiter,
    registrations: Limiter,
    /// Registrations of all sources together.
    all_registrations: Mutex<RateWindow>,
    /// Consent pages by user.
    consent_pages: Limiter,
    pub(super) observer: Box<dyn Fn(&Event) + Send + Sync>,
    pub(super) trail: AuditPolicy,
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
        Self {
            policy,
            clock,
            entropy,
            requests,
            failures: Limiter::default(),
            strangers: Limiter::default(),
            registrations: Limiter::default(),
            all_registrations: Mutex::default(),
            consent_pages: Limiter::default(),
            observer: Box::new(|_| {}),
            trail: AuditPolicy::default(),
            unnamed: AtomicU64::default(),
        }
    }

    pub(super) fn without_rate_limit(self) -> Self {
        Self { requests: None, ..self }
    }

    pub(super) fn recording(self, trail: AuditPolicy) -> Self {
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
                    .early(Refusal::plain(Reason::StorageUnavailable, operation.endpoint()), None))
            }
        }
    }

    /// Returns the refusal to send instead of this one, where nothing is answered that was not
    /// recorded.
    pub(super) fn after_record(
        &self,
        recorded: Result<(), AuditError>,
        refusal: Refusal,
    ) -> Refusal {
        if recorded.is_ok() || !self.trail.fail_closed {
            return refusal;
        }
        let unrecorded = Refusal::plain(Reason::AuditUnavailable, refusal.endpoint());
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
        event.attributed = refusal.endpoint() == Endpoint::Operator;
        if let Some(claimed) = claimed {
            event.claim(claimed);
        }
        let refusal = refusal.correlated(event.correlation);
        event.sent = Some(Box::new(refusal.sent(&self.policy)));
        Early { refusal, event: Box::new(event) }
    }

    /// The event of raising the epoch of a user's account, while its fate is unknown.
    pub(super) fn epoch_event(&self, subject: &str, revoked_by: RevokedBy<'_>) -> Event {
        let event = Event::new(EventKind::AccountGrantsEnded, None, &self.moment());
        Event {
            subject: Some(Subject::new(subject)),
            note: Some(log_text(revoked_by.note())),
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
                    Refusal::plain(reason, Endpoint::Operator).correlated(event.correlation);
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
            self.early(Refusal::plain(Reason::StorageUnavailable, Endpoint::Operator), None);
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
    pub(super) fn token_request<'a>(
        &self,
        incoming: &RequestParts<'a>,
    ) -> Result<Admitted<'a>, Early> {
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
        let throttled = self.throttled(&request.credentials, source, now);
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
        let counted = self.count_failure(&request.credentials, source, refusal);
        if let Some(requests) = &self.requests {
            let bucket = self.policy.rate_bucket(&request.rate_hit(source));
            if counted && self.policy.rates().authenticated_only {
                requests.give_back(&bucket.key, *at);
            } else if self.proves_bucket(refusal) {
                requests.prove(&bucket.key, *at);
            }
        }
    }

    /// Returns whether the outcome shows that the bucket of the request is no made-up one. Where it
    /// is the client's alone, the client must exist; where the sender chooses a part of its name,
    /// only tokens prove the whole.
    fn proves_bucket(&self, refusal: Option<&Refusal>) -> bool {
        match (self.policy.rates().key, refusal) {
            (_, None) => true,
            (RateKey::Client, Some(refusal)) => !matches!(
                refusal.reason(),
                Reason::ClientUnknown
                    | Reason::StorageUnavailable
                    | Reason::Contended
                    | Reason::AuditUnavailable
            ),
            (_, Some(_)) => false,
        }
    }

    /// A refusal of the host's own limit.
    pub(super) fn rate_limited(&self, request: &TokenRequest<'_>, wait: u32) -> Early {
        self.later(Reason::RateLimited, wait, request.claimed_client())
    }

    fn later(&self, reason: Reason, wait: u32, client: &str) -> Early {
        self.early(Refusal::later(reason, Endpoint::Token, wait.max(1)), Some(client))
    }

    /// Reads a revocation and holds it to the limit of failed authentications: secrets could be
    /// guessed here as well.
    pub(super) fn revocation_request<'a>(
        &self,
        incoming: &RequestParts<'a>,
    ) -> Result<RevocationRequest<'a>, Early> {
        let request = RevocationRequest::parse(incoming, &self.policy);
        let request = request.map_err(|refusal| self.early(refusal, None))?;
        self.throttle(&request.credentials, incoming.source)?;
        Ok(request)
    }

    /// Reads an introspection and holds it to the same.
    pub(super) fn introspection_request<'a>(
        &self,
        incoming: &RequestParts<'a>,
    ) -> Result<IntrospectionRequest<'a>, Early> {
        let request = IntrospectionRequest::parse(incoming, &self.policy)
            .map_err(|refusal| self.early(refusal, None))?;
        self.throttle(&request.credentials, incoming.source)?;
        Ok(request)
    }

    fn throttle(&self, credentials: &Credentials<'_>, source: &str) -> Result<(), Early> {
        let Some(wait) = self.throttled(credentials, source, self.clock.now()) else {
            return Ok(());
        };
        Err(self.later(Reason::AuthenticationsThrottled, wait, &credentials.id))
    }

    /// Returns for how long no secret is looked at under this name, if authentication failed too
    /// often. A request without a secret guesses none, so that nobody can lock out a client that has
    /// none.
    fn throttled(
        &self,
        credentials: &Credentials<'_>,
        source: &str,
        now: Timestamp,
    ) -> Option<u32> {
        if !credentials.has_secret() {
            return None;
        }
        let key = self.policy.failure_key(&credentials.id, source);
        let limit = self.policy.limits().failed_authentications_per_minute;
        // A name that no client has keeps no secret to guess. Were it held to a window that it
        // shares, a flood of made-up names would refuse clients that exist.
        self.failures.wait(&key, limit, now).max(self.strangers.wait_alone(&key, limit, now))
    }

    /// Counts an authentication that failed, and returns whether it did. Only a secret that may have
    /// been guessed is one: not the lack of a secret, not a secret of a client that has none, and not
    /// the right secret by the wrong method.
    pub(super) fn count_failure(
        &self,
        credentials: &Credentials<'_>,
        source: &str,
        refusal: Option<&Refusal>,
    ) -> bool {
        let Some(refusal) = refusal else { return false };
        if !credentials.has_secret() || refusal.code() != ErrorCode::InvalidClient {
            return false;
        }
        let failures = match refusal.reason() {
            Reason::ClientSecretUnexpected | Reason::ClientMethodMismatch => return false,
            Reason::ClientUnknown => &self.strangers,
            _ => &self.failures,
        };
        failures.count(&self.policy.failure_key(&credentials.id, source), self.clock.now());
        true
    }

    /// Reads a registration and holds it to the limit. What cannot be read costs no turn: it leaves
    /// nothing behind.
    pub(super) fn registration_request(
        &self,
        incoming: &RequestParts<'_>,
    ) -> Result<RegistrationRequest, Early> {
        let refuse = |refusal| {
            let mut early = self.early(refusal, None);
            let sender = RegistrationRequest::sender(incoming, &self.policy);
            early.event.note = sender.as_deref().map(log_text);
            early
        };
        let request = RegistrationRequest::parse(incoming, &self.policy).map_err(refuse)?;
        let later = |wait| {
            refuse(Refusal::later(Reason::RegistrationLimited, Endpoint::Registration, wait))
        };
        let limits = self.policy.limits();
        let now = self.clock.now();
        let mut all = self.all_registrations.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked first, and counted last: what is refused takes no place of either.
        if let Some(wait) = all.wait(limits.all_registrations_per_minute, now) {
            return Err(later(wait));
        }
        self.registrations
            .admit(incoming.source, limits.registrations_per_minute, now)
            .map_err(later)?;
        all.count(now);
        Ok(request)
    }

    /// Holds a signed-in user's request to the limit of consent pages. Each page is stored, and any
    /// site can have the user's browser ask for as many as it likes.
    pub(super) fn admit_consent_page<'r>(
        &self,
        parsed: Result<AuthorizationRequest<'r>, Refusal>,
    ) -> Result<AuthorizationRequest<'r>, Refusal> {
        let request = parsed?;
        let Some(user) = &request.user else { return Ok(request) };
        let limit = self.policy.limits().consent_pages_per_minute;
        match self.consent_pages.admit(user.subject, limit, self.clock.now()) {
            Ok(()) => Ok(request),
            Err(wait) => {
                Err(Refusal::later(Reason::ConsentPagesLimited, Endpoint::Authorization, wait))
            }
        }
    }

    /// Gives the place of this user's request back if no page was made. After a failure of the store
    /// there may be one.
    pub(super) fn settle_consent_page<E>(
        &self,
        user: Option<User<'_>>,
        answer: Answer<AuthorizationStep, E>,
    ) -> Answer<AuthorizationStep, E> {
        let may_be_stored = matches!(&answer, Ok(Ok(AuthorizationStep::NeedsConsent(_))) | Err(_));
        if let (Some(user), false) = (user, may_be_stored) {
            self.consent_pages.give_back(user.subject, self.clock.now());
        }
        answer
    }

    /// Reads a request to the endpoint of a registration.
    pub(super) fn management_request<'a>(
        &self,
        id: &'a str,
        incoming: &RequestParts<'a>,
    ) -> Result<ManagementRequest<'a>, Early> {
        let refuse = |refusal| self.early(refusal, Some(id));
        ManagementRequest::parse(id, incoming, &self.policy).map_err(refuse)
    }

    /// The response, or the refusal as one.
    pub(super) fn reply(&self, outcome: Result<Reply, Refusal>) -> Reply {
        outcome.unwrap_or_else(|refusal| refusal.reply(&self.policy))
    }
}
