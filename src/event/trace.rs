//! Events as `tracing` events. They contain only what an [`Event`] contains, so no secret either.

use std::fmt;

use super::Event;
use crate::reason::Reason;

/// The place in the troubleshooting page that explains a reason.
struct Entry(Reason);

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docs/troubleshooting.md#{}", self.0.name())
    }
}

impl Event {
    /// Emits this event to `tracing` with the target `grantcore`. A server emits all its events
    /// with `server.with_observer(Event::trace)`.
    ///
    /// The level is `WARN` if a grant was revoked because a credential was used twice, else `INFO`.
    /// The message is the kind, or the cause of the reason if there is one. The fields are `kind`,
    /// `reason`, `detail`, `client`, `claimed`, `subject`, `source`, `flow` and `correlation`, each
    /// if the event has it. With a reason comes `see`, its place in `docs/troubleshooting.md`. The
    /// subscriber adds the time.
    pub fn trace(&self) {
        // A macro, because the level of a `tracing` event must be a constant.
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: "grantcore",
                    tracing::Level::$level,
                    kind = self.kind.name(),
                    reason = self.reason.map(Reason::name),
                    detail = self.detail.as_deref(),
                    client = self.client.as_ref().map(|client| client.as_str()),
                    claimed = self.claimed.as_deref(),
                    subject = self.subject.as_ref().map(|subject| subject.as_str()),
                    source = self.source.as_deref(),
                    flow = self.flow.map(tracing::field::display),
                    correlation = %self.correlation,
                    see = self.reason.map(|reason| tracing::field::display(Entry(reason))),
                    "{}",
                    self.reason.map_or(self.kind.name(), Reason::cause),
                )
            };
        }
        if self.reason.is_some_and(Reason::revokes) { emit!(WARN) } else { emit!(INFO) }
    }
}
