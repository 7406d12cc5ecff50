//! Requests that run to their end, and the sweeping of the store.
//!
//! When a client closes its connection, hyper drops the future of its request, possibly between a
//! write and its audit event. So the future of each request that can write is on the heap, and
//! moves to a task of its own if it is dropped before its end. Most requests need no task: it would
//! be scheduled once, and its end would wake the task of the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use grantcore::Server;
use grantcore::audit::AuditLog;
use grantcore::store::{AccountSource, StoreAdministration};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{Instrument as _, Span};

/// The most requests that run at the same time. Others wait. A request whose client closes the
/// connection during the wait is dropped before it has begun.
const CONCURRENT_REQUESTS: usize = 1024;

/// The requests that are being decided, at most 1024 at the same time. They run to their end, also
/// if their clients close the connection. A clone shares them.
///
/// Pass a clone to [`OAuthRouter::tasks`](crate::OAuthRouter::tasks), and
/// [`finish`](Self::finish) before the program ends: axum's graceful shutdown waits for open
/// connections, and not for a request whose client has hung up.
#[derive(Clone, Debug)]
pub struct Tasks {
    permits: Arc<Semaphore>,
    running: TaskTracker,
}

impl Default for Tasks {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(CONCURRENT_REQUESTS)), running: TaskTracker::new() }
    }
}

impl Tasks {
    /// Runs `work` to its end, even if the returned future is dropped after `work` has begun: the
    /// rest of it then runs in a task of its own. Returns `None` if the work panicked.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.run_boxed(Box::pin(work)).await
    }

    /// Runs work that is on the heap already, as [`run`](Self::run) does.
    pub(crate) async fn run_boxed<T: Send + 'static>(&self, work: Work<T>) -> Option<T> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => Arc::clone(&self.permits).acquire_owned().await.ok()?,
        };
        let held = Some((permit, self.running.token()));
        let (span, runtime) = (Span::current(), Handle::current());
        Begun { work: Some(work), held, span, runtime }.await
    }

    /// Waits until all requests have ended, or until the time `at_most` is over. Returns whether
    /// all have ended.
    pub async fn finish(&self, at_most: Duration) -> bool {
        self.running.close();
        tokio::time::timeout(at_most, self.running.wait()).await.is_ok()
    }
}

pub(crate) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work that has begun. What is left of it when this is dropped runs in a task of its own.
struct Begun<T: Send + 'static> {
    /// `None` once the work has ended.
    work: Option<Work<T>>,
    /// The place among the requests, until the work has ended.
    held: Option<(OwnedSemaphorePermit, TaskTrackerToken)>,
    span: Span,
    runtime: Handle,
}

impl<T: Send + 'static> Future for Begun<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        // A panic ends the request, and not its connection. The work is not used after it.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Some(result),
            Err(_) => {
                tracing::error!("a request did not end: it panicked");
                None
            }
        };
        self.work = None;
        self.held = None;
        Poll::Ready(result)
    }
}

impl<T: Send + 'static> Drop for Begun<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // A host that opens no span for each request can open one while it drops this.
            let span = if self.span.is_none() { Span::current() } else { self.span.clone() };
            let held = self.held.take();
            let rest = async move {
                work.await;
                drop(held);
            };
            self.runtime.spawn(rest.instrument(span));
        }
    }
}

/// The most records that one call of the store drops. It is small, so that a sweep does not block
/// the other calls of the store for long.
const SWEEP_LIMIT: usize = 1000;

/// Deletes expired records from the store, at once and then again after each `pause`. It never
/// returns: spawn it once per process. Several processes may sweep the same store.
///
/// Only the size of the database depends on it: expired records are refused in any case. A few
/// minutes are a good pause. A failure of the store is logged, and the next sweep follows after the
/// pause.
///
/// ```
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use grantcore::{AlwaysActive, MemoryStore, Policy, Server};
/// # let policy = Policy::builder("https://auth.example").build()?;
/// let server = Arc::new(Server::new(policy, MemoryStore::new(), AlwaysActive));
/// tokio::spawn(grantcore_axum::sweep(Arc::clone(&server), Duration::from_secs(300)));
/// # Ok(())
/// # }
/// ```
pub async fn sweep<S, A, L>(server: Arc<Server<S, A, L>>, pause: Duration)
where
    S: StoreAdministration,
    A: AccountSource<S>,
    L: AuditLog,
{
    loop {
        match server.store().sweep(server.now(), SWEEP_LIMIT).await {
            // More records may have expired.
            Ok(SWEEP_LIMIT..) => tokio::task::yield_now().await,
            Ok(_) => tokio::time::sleep(pause).await,
            Err(error) => {
                tracing::error!(%error, "the store could not be swept");
                tokio::time::sleep(pause).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use grantcore::moment::SystemEntropy;
    use grantcore::policy::RegistrationRules;
    use grantcore::{AlwaysActive, MemoryStore, Policy, RequestParts, Timestamp};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_nobody_has_used_is_dropped_after_its_time_and_not_before() {
        let policy = Policy::builder("https://auth.example")
            .scope("notes", "Read your notes")
            .resource("https://notes.example", "notes")
            .default_scope("notes")
            .registration(RegistrationRules::default())
            .build()
            .unwrap();
        let now = Arc::new(AtomicU64::new(1_000_000_000));
        let clock = Arc::clone(&now);
        let clock = move || Timestamp::from_unix_seconds(clock.load(Ordering::Relaxed));
        let store = MemoryStore::new();
        let server = Server::with_sources(policy, store, AlwaysActive, clock, SystemEntropy);
        let server = Arc::new(server);
        let request = RequestParts {
            method: "POST",
            content_type: grantcore::ContentType::JSON,
            body: br#"{"redirect_uris": ["https://app.example/cb"]}"#,
            ..RequestParts::default()
        };
        assert_eq!(server.register(&request).await.unwrap().status, 201);

        let pause = Duration::from_secs(300);
        tokio::spawn(sweep(Arc::clone(&server), pause));
        tokio::time::sleep(pause * 2).await;
        assert_eq!(server.store().counts().clients, 1);
        now.fetch_add(7 * 24 * 3600, Ordering::Relaxed);
        tokio::time::sleep(pause * 2).await;
        assert_eq!(server.store().counts().clients, 0);
    }
}
