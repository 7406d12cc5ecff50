//! The parts of a server that do no I/O: policy, clock, randomness, limits and the observer of
//! events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::early::EarlyRefusal;
use crate::audit::{AuditError, AuditPolicy};
use crate::decision::Operation;
use crate::event::{Event, EventKind};
use crate::moment::{Clock, CorrelationId, Entropy, EntropyError, EntropySource, Moment};
use crate::outside::{AskOutside, CachedKeys};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::throttle::Throttle;

/// The host's function for each event.
pub(super) type Observer = Box<dyn Fn(&Event) + Send + Sync>;

pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    pub(super) throttle: Throttle,
    /// `None` if there is no observer. An event that is not recorded is not made then.
    pub(super) observer: Option<Observer>,
    pub(super) audit: AuditPolicy,
    pub(super) outside: Box<dyn AskOutside>,
    /// The key sets that were fetched.
    pub(super) keys: CachedKeys,
    /// Counts the events whose id was made without randomness.
    without_entropy: AtomicU64,
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
        Self {
            keys: CachedKeys::under(&policy),
            policy,
            clock,
            entropy,
            throttle: Throttle::default(),
            observer: None,
            audit: AuditPolicy::default(),
            outside: Box::new(()),
            without_entropy: AtomicU64::default(),
        }
    }

    /// Returns the operation with its randomness, which is drawn once for all its attempts.
    ///
    /// # Errors
    /// The refusal of a request that was not parsed, or whose randomness could not be drawn.
    pub(super) fn begin<O: Operation>(
        &self,
        parsed: Result<O, Refusal>,
    ) -> Result<(O, Entropy), EarlyRefusal> {
        let operation = parsed.map_err(|refusal| self.early_refusal(refusal, None))?;
        let Ok(entropy) = self.entropy.draw() else {
            let refusal = Refusal::plain(Reason::EntropyUnavailable, operation.endpoint());
            return Err(self.early_refusal(refusal, None));
        };
        Ok((operation, entropy))
    }

    /// Draws the id of a check, which needs no other randomness.
    pub(super) fn draw_id(&self) -> Result<CorrelationId, EntropyError> {
        self.entropy.draw_id()
    }

    /// Returns whether an event of this kind is observed or recorded.
    pub(super) fn records(&self, kind: EventKind) -> bool {
        self.observer.is_some() || self.audit.keeps(kind)
    }

    /// Returns the moment of a step that is no operation. If the source of randomness fails, the
    /// correlation id is made of the clock and a counter: ids must differ, because an audit log
    /// keeps one event for each id and kind.
    pub(super) fn moment(&self) -> Moment {
        let now = self.clock.now();
        let entropy = self.entropy.draw().unwrap_or_else(|_| {
            let number = self.without_entropy.fetch_add(1, Ordering::Relaxed);
            let mut bytes = [0; 128];
            let id = now.unix_seconds().to_be_bytes().into_iter().chain(number.to_be_bytes());
            bytes.iter_mut().zip(id).for_each(|(byte, own)| *byte = own);
            Entropy::from_bytes(bytes)
        });
        Moment::new(now, entropy)
    }

    /// Returns the refusal to send after its event was to be recorded. If that failed under
    /// [`AuditPolicy::with_fail_closed`], this is [`Reason::AuditUnavailable`].
    pub(super) fn after_record(
        &self,
        recorded: Result<(), AuditError>,
        refusal: Refusal,
    ) -> Refusal {
        if recorded.is_ok() || !self.audit.fail_closed {
            return refusal;
        }
        let unrecorded = Refusal::plain(Reason::AuditUnavailable, refusal.endpoint());
        match refusal.correlation() {
            Some(correlation) => unrecorded.correlated(correlation),
            None => unrecorded,
        }
    }
}
