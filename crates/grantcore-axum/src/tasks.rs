//! Work in tasks: requests that run to their end, and the sweeping of the store.
//!
//! When a client closes its connection, the future of its request is dropped, with all that was
//! being decided, written or recorded. So each request that can write is decided in a task of its
//! own, which is not cancelled.

use std::sync::Arc;
use std::time::Duration;

use grantcore::Server;
use grantcore::audit::AuditLog;
use grantcore::store::{AccountSource, StoreAdministration};
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

/// The most records that are dropped by one call of the store. A call takes a moment then, and
/// others of the store come in between.
const AT_A_TIME: usize = 1000;

/// Drops what the store no longer needs, now and then again after each `pause`. It never returns:
/// spawn it once per process. Several processes may sweep one store.
///
/// Nothing but the size of the database depends on it. A few minutes are a good pause. A failure of
/// the store is logged, and the store is swept again after the next pause.
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
        match server.store().sweep(server.now(), AT_A_TIME).await {
            // More may be due.
            Ok(AT_A_TIME..) => tokio::task::yield_now().await,
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
