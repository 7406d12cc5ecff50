//! The trail as `tracing` events. They carry what [`Event`] carries, so that no secret is in them
//! either.

use std::fmt;

use super::Event;
use crate::reason::Reason;

/// Where a reason is explained.
struct Explained(Reason);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docs/troubleshooting.md#{}", self.0.name())
    }
}

impl Event {
    /// Emits this event to `tracing`, with the target `grantcore`: at `WARN` if a credential was
    /// used twice and its grant revoked for that, else at `INFO`. For a server:
    /// `server.observe(Event::trace)`.
    ///
    /// The message is the kind, or the cause of a refusal. The fields are `kind`, `reason`,
    /// `detail`, `client`, `claimed`, `subject`, `flow` and `correlation`, those that there
    /// are, and for a reason `see`: its place in `docs/troubleshooting.md`. The time is the
    /// subscriber's.
    pub fn trace(&self) {
        // The level of a `tracing` event is a constant of its place in the source.
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
                    flow = self.flow.map(tracing::field::display),
                    correlation = %self.correlation,
                    see = self.reason.map(|reason| tracing::field::display(Explained(reason))),
                    "{}",
                    self.reason.map_or(self.kind.name(), Reason::cause),
                )
            };
        }
        if self.reason.is_some_and(Reason::revokes) { emit!(WARN) } else { emit!(INFO) }
    }
}
