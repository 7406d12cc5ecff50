//! Requests that run to their end.
//!
//! When a client closes its connection, the future of its request is dropped, with all that was
//! being decided, written or recorded. So each request that can write is decided in a task of its
//! own, which is not cancelled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The most requests that are decided at the same time. Others wait. If the client closes its
/// connection while a request waits, nothing of it has begun.
const AT_ONCE: usize = 1024;

/// The requests that are being decided, each in a task of its own. A clone shares them.
///
/// Pass a clone to [`OAuthRouter::tasks`](crate::OAuthRouter::tasks), and
/// [`finish`](Self::finish) before the program ends: axum's graceful shutdown waits for open
/// connections, and not for a request whose client has hung up.
#[derive(Clone, Debug)]
pub struct Tasks {
    room: Arc<Semaphore>,
    running: TaskTracker,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), running: TaskTracker::new() }
    }
}

impl Tasks {
    /// Runs `work` to its end, even if the returned future is dropped. Returns `None` if the work
    /// panicked, or if the runtime shuts down.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.room).acquire_owned().await.ok()?;
        let rest = async move {
            let result = work.await;
            drop(place);
            result
        };
        let ended = self.running.spawn(rest.in_current_span()).await;
        ended.map_err(|error| tracing::error!(%error, "a request did not end")).ok()
    }

    /// Waits until all requests have ended, for `at_most` this long. Returns whether they have.
    pub async fn finish(&self, at_most: Duration) -> bool {
        self.running.close();
        tokio::time::timeout(at_most, self.running.wait()).await.is_ok()
    }
}
