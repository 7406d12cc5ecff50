//! The stop of the server, in three steps: it drains, closes its port, and ends its connections.
//!
//! While the server drains, it goes on as before, but reports that it is not ready, and asks
//! clients to close their connections. So a load balancer sends its requests elsewhere before the
//! port is closed.
//!
//! When the port closes, requests may be on their way: on connections that were just accepted, and
//! on connections that a proxy keeps. A proxy cannot send such a request to another process if its
//! connection breaks, because the request may have been decided. So connections without a request
//! stay open for a moment.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long a connection without a request stays open after the port was closed. It is shorter if
/// the server drains for a shorter time.
pub(crate) const LONGEST_ARRIVAL: Duration = Duration::from_secs(1);

/// How long requests may go on after that.
pub(crate) const LONGEST_REQUESTS: Duration = Duration::from_secs(10);

/// How long the events that are still queued may take to be written.
pub(crate) const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// The steps of a stop. A clone is another handle of the same steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    draining: CancellationToken,
    closing: CancellationToken,
    ending: CancellationToken,
}

impl Stop {
    /// Begins to drain.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
    }

    /// Closes the port. Open connections may still begin a request.
    pub(crate) fn close(&self) {
        self.draining.cancel();
        self.closing.cancel();
    }

    /// Ends what waits for requests.
    pub(crate) fn end(&self) {
        self.close();
        self.ending.cancel();
    }

    /// Returns whether the server drains, or accepts nothing more.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Returns the token that is cancelled when the port closes.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Returns the token that is cancelled when no further request begins.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.ending
    }
}
