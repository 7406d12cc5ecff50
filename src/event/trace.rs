//! Events of `tracing`. They contain only what an [`Event`] contains, and so no secret.

use std::fmt;

use super::Event;
use crate::reason::Reason;

/// The link to the entry of a reason in the troubleshooting page.
struct HelpLink(Reason);

impl fmt::Display for HelpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "docs/troubleshooting.md#{}", self.0.name())
    }
}

impl Event {
    /// Emits this event to `tracing` with the target `grantcore`. A server emits all its events
    /// with `server.with_observer(Event::trace)`.
    ///
    /// The level is `WARN` if a replayed code or refresh token revoked its grant, and otherwise
    /// `INFO`. The message is the cause of the reason, or the kind if there is no reason. The
    /// fields have the names of the event's: `kind`, `reason`, `detail`, `client`, `claimed`,
    /// `subject`, `proof`, `source`, `flow` and `correlation`. A field that the event lacks is left
    /// out. The field `see` is added to a reason: its link in `docs/troubleshooting.md`. The
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
                    proof = self.proof.as_ref().map(tracing::field::display),
                    source = self.source.as_deref(),
                    flow = self.flow.map(tracing::field::display),
                    correlation = %self.correlation,
                    see = self.reason.map(|reason| tracing::field::display(HelpLink(reason))),
                    "{}",
                    self.reason.map_or(self.kind.name(), Reason::cause),
                )
            };
        }
        if self.reason.is_some_and(Reason::revokes) { emit!(WARN) } else { emit!(INFO) }
    }
}
