//! What both servers have but the store: policy, clock, randomness, the limits, and the observer of
//! events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::guesses::{Guesses, is_failure};
use super::records::Records;
use crate::audit::{AuditError, AuditPolicy};
use crate::drive::Failure;
use crate::event::{Event, EventKind, Fate, Written, WrittenRecord};
use crate::limiter::Limiter;
use crate::moment::{Clock, Entropy, EntropySource, Moment, Timestamp};
use crate::operation::Operation;
use crate::policy::{Policy, RateKey};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::connection::RevokedBy;
use crate::request::parts::RequestParts;
use crate::request::token::TokenRequest;
use crate::response::access::Access;
use crate::response::reply::Reply;
use crate::value::text::{Subject, log_text};

/// What both have but the store.
pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    /// Nothing where the host limits by itself.
    requests: Option<Limiter>,
    pub(super) guesses: Guesses,
    pub(super) records: Records,
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
    pub(super) source: &'a str,
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
            guesses: Guesses::default(),
            records: Records::default(),
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
        let throttled = self.throttled_for(&request.credentials, source, now);
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

    /// Counts what came of a token request. A place is given back only for what another limit has
    /// refused, and for a failure that counts there: nothing is free.
    pub(super) fn count_token_request(&self, admitted: &Admitted<'_>, refusal: Option<&Refusal>) {
        let Some(requests) = &self.requests else { return };
        let Admitted { request, source, at } = admitted;
        let bucket = self.policy.rate_bucket(&request.rate_hit(source));
        let is_elsewhere = refusal.is_some_and(|refusal| {
            refusal.reason() == Reason::AuthenticationsThrottled
                || self.policy.rates().authenticated_only
                    && is_failure(&request.credentials, refusal)
        });
        if is_elsewhere {
            requests.give_back(&bucket.key, *at);
        } else if self.proves_bucket(source, refusal) {
            requests.prove(&bucket.key, *at);
        }
    }

    /// Returns whether the outcome shows that the bucket of the request is no made-up one. Where it
    /// is the client's alone, the client must exist; where the sender chooses a part of its name,
    /// only tokens prove the whole.
    fn proves_bucket(&self, source: &str, refusal: Option<&Refusal>) -> bool {
        let Some(refusal) = refusal else { return true };
        let is_clients_alone = match self.policy.rates().key {
            RateKey::Client => true,
            RateKey::ClientAndSource => source.is_empty(),
            RateKey::ClientAndGrant | RateKey::Custom(_) => false,
        };
        is_clients_alone
            && !matches!(
                refusal.reason(),
                Reason::ClientUnknown
                    | Reason::StorageUnavailable
                    | Reason::Contended
                    | Reason::AuditUnavailable
            )
    }

    /// A refusal of the host's own limit.
    pub(super) fn rate_limited(&self, request: &TokenRequest<'_>, wait: u32) -> Early {
        self.later(Reason::RateLimited, wait, request.claimed_client())
    }

    fn later(&self, reason: Reason, wait: u32, client: &str) -> Early {
        self.early(Refusal::later(reason, Endpoint::Token, wait.max(1)), Some(client))
    }

    /// The response, or the refusal as one.
    pub(super) fn reply(&self, outcome: Result<Reply, Refusal>) -> Reply {
        outcome.unwrap_or_else(|refusal| refusal.reply(&self.policy))
    }
}
