//! The parts of a server that neither store nor wait: policy, clock, randomness, limits and the
//! observer of events.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::early::Early;
use crate::audit::{AuditError, AuditPolicy};
use crate::event::Event;
use crate::moment::{Clock, Entropy, EntropySource, Moment};
use crate::operation::Operation;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::throttle::Throttle;

pub(super) struct Core {
    pub(super) policy: Policy,
    pub(super) clock: Box<dyn Clock + Send + Sync>,
    entropy: Box<dyn EntropySource + Send + Sync>,
    pub(super) throttle: Throttle,
    pub(super) observer: Box<dyn Fn(&Event) + Send + Sync>,
    pub(super) audit: AuditPolicy,
    /// Numbers the steps that got no randomness.
    unnamed: AtomicU64,
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
            policy,
            clock,
            entropy,
            throttle: Throttle::default(),
            observer: Box::new(|_| {}),
            audit: AuditPolicy::default(),
            unnamed: AtomicU64::default(),
        }
    }

    /// Returns the operation with its randomness, which is drawn once for all its attempts.
    ///
    /// # Errors
    /// The refusal of a request that cannot be parsed, or for which there is no randomness.
    pub(super) fn begin<O: Operation>(
        &self,
        parsed: Result<O, Refusal>,
    ) -> Result<(O, Entropy), Early> {
        let operation = parsed.map_err(|refusal| self.early(refusal, None))?;
        let Ok(entropy) = self.entropy.draw() else {
            let refusal = Refusal::plain(Reason::EntropyUnavailable, operation.endpoint());
            return Err(self.early(refusal, None));
        };
        Ok((operation, entropy))
    }

    /// Returns the moment of a step that is no operation. Without randomness the step is named by
    /// the clock and a counter, because an audit log keeps one event of each name.
    pub(super) fn moment(&self) -> Moment {
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

    /// Returns the refusal to send once its event was recorded, or could not be: under
    /// [`AuditPolicy::fail_closed`] nothing is answered that was not recorded.
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
