//! The interface from a call to its server, and the guard of a single step that is no operation.

use std::sync::OnceLock;

use crate::event::Event;
use crate::moment::{Clock, Timestamp};
use crate::outside::CachedKeys;
use crate::policy::Policy;
use crate::record::Write;
use crate::refusal::Refusal;

/// The server around a call: its clock, its policy, its limits, and where it reports events.
/// Nothing here waits.
pub(crate) trait Host {
    fn policy(&self) -> &Policy;

    fn now(&self) -> Timestamp;

    /// Returns whether a step is refused if its event cannot be recorded.
    fn fail_closed(&self) -> bool;

    /// Returns the key sets that are in hand.
    fn cached_keys(&self) -> &CachedKeys;

    /// Returns the refusal to send instead of a decision, if a limit was reached since the request
    /// was admitted.
    fn throttled(&self) -> Option<Refusal>;

    /// Counts the decision towards the limits, before its write begins. Returns the refusal to send
    /// in its place if a limit has no room for it. Nothing was awaited since the decision was made.
    fn admit(&self, refusal: Option<&Refusal>, write: Option<&Write>) -> Option<Refusal>;

    /// Counts the outcome towards the limits. Nothing was awaited since it is known.
    fn settled(&self, refusal: Option<&Refusal>);

    /// Returns the source of the request; empty if there is none.
    fn source(&self) -> &str;

    /// Hands the event to the observer, and returns whether the audit log keeps it.
    fn observe(&self, event: &Event) -> bool;

    /// Hands an event to the audit log whose caller was cut off.
    fn abandoned(&self, event: Event);
}

/// The host of [`drive`](crate::drive()): it records nothing and counts nothing.
pub(crate) struct Unguarded<'a, C: ?Sized> {
    pub(crate) policy: &'a Policy,
    pub(crate) clock: &'a C,
    /// Made when a request needs keys, because few requests do.
    pub(crate) keys: OnceLock<CachedKeys>,
}

impl<C: Clock + ?Sized> Host for Unguarded<'_, C> {
    fn policy(&self) -> &Policy {
        self.policy
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn fail_closed(&self) -> bool {
        false
    }

    fn cached_keys(&self) -> &CachedKeys {
        self.keys.get_or_init(CachedKeys::default)
    }

    fn throttled(&self) -> Option<Refusal> {
        None
    }

    fn admit(&self, _: Option<&Refusal>, _: Option<&Write>) -> Option<Refusal> {
        None
    }

    fn settled(&self, _: Option<&Refusal>) {}

    fn source(&self) -> &'static str {
        ""
    }

    fn observe(&self, _: &Event) -> bool {
        false
    }

    fn abandoned(&self, _: Event) {}
}

/// Reports the event of one step if it is dropped before the step was recorded.
pub(crate) struct Guard<'h, H: Host> {
    host: &'h H,
    event: Event,
    is_armed: bool,
    is_observed: bool,
}

impl<'h, H: Host> Guard<'h, H> {
    /// Arms the guard with an event that was not observed yet.
    pub(crate) fn armed(host: &'h H, event: Event) -> Self {
        Self { host, event, is_armed: true, is_observed: false }
    }

    /// Returns the event, to be changed when more is known of the step.
    pub(crate) fn event(&mut self) -> &mut Event {
        &mut self.event
    }

    /// Hands the event to the observer, and returns it if the audit log is to record it.
    pub(crate) fn observe(&mut self) -> Option<&Event> {
        self.is_observed = true;
        self.is_armed = self.host.observe(&self.event);
        self.is_armed.then_some(&self.event)
    }

    /// Disarms the guard: the event is recorded, or the audit log does not keep it.
    pub(crate) fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl<H: Host> Drop for Guard<'_, H> {
    fn drop(&mut self) {
        // An event that was observed is armed only if the audit log keeps it.
        if self.is_armed && (self.is_observed || self.host.observe(&self.event)) {
            self.host.abandoned(self.event.clone());
        }
    }
}
