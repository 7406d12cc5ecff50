//! The stop of the server, in two steps: it drains, and then it accepts nothing more.
//!
//! While the server drains, it goes on as before, but reports that it is not ready, and asks
//! clients to close their connections. So a load balancer sends its requests elsewhere before the
//! port is closed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long requests may go on after the port was closed.
pub(crate) const LONGEST_REQUESTS: Duration = Duration::from_secs(10);

/// How long the events that are still queued may take to be written.
pub(crate) const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// The steps of a stop. A clone is another handle of the same steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    draining: CancellationToken,
    ending: CancellationToken,
}

impl Stop {
    /// Begins to drain.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends what waits for requests.
    pub(crate) fn end(&self) {
        self.draining.cancel();
        self.ending.cancel();
    }

    /// Returns whether the server drains, or accepts nothing more.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Returns the token that is cancelled when nothing more is accepted.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.ending
    }
}
