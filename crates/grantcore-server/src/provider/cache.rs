//! The provider's documents, read when they are needed and kept for a bounded time.
//!
//! One read is under way at a time, and those who came meanwhile share its result. A failure is
//! remembered for a short time, so that a provider that is down does not hold up each user for the
//! length of a time-out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Fault;

/// How long documents are used without a question.
const FRESH: Duration = Duration::from_secs(3600);
/// How long documents are used while the provider cannot be read.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How long a failure is remembered without documents, and with them.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_WITH_DOCUMENTS: Duration = Duration::from_secs(60);
/// How often an unknown key makes the documents be read again.
const KEY_PAUSE: Duration = Duration::from_secs(60);

/// The documents that were read last.
pub(super) struct Cache<T>(Mutex<State<T>>);

struct State<T> {
    known: Option<(Arc<T>, Instant)>,
    failed: Option<(Fault, Instant)>,
    /// When an unknown key last made the documents be read.
    renewed: Option<Instant>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::new(State { known: None, failed: None, renewed: None }))
    }
}

impl<T> Cache<T> {
    /// Returns the documents, and reads them before if they are not known or old.
    pub(super) async fn current(
        &self,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Arc<T>, Fault> {
        let mut state = self.0.lock().await;
        let now = Instant::now();
        let usable = |within| state.known.as_ref().filter(|(_, at)| now - *at < within);
        if let Some((known, _)) = usable(FRESH) {
            return Ok(Arc::clone(known));
        }
        let older = usable(STALE).map(|(known, _)| Arc::clone(known));
        let pause = if older.is_some() { PAUSE_WITH_DOCUMENTS } else { PAUSE };
        let recent = state.failed.as_ref().filter(|(_, at)| now - *at < pause);
        if let Some((fault, _)) = recent {
            return older.ok_or_else(|| fault.clone());
        }
        match read.await {
            Ok(read) => Ok(state.keep(read)),
            Err(fault) => {
                tracing::warn!(%fault, "the identity provider's documents cannot be read");
                state.failed = Some((fault.clone(), Instant::now()));
                older.ok_or(fault)
            }
        }
    }

    /// Returns documents that are newer than `seen`, which lack a key. Reads them if that was not
    /// done a short time ago, and returns `seen` if there are none.
    pub(super) async fn newer(
        &self,
        seen: &Arc<T>,
        read: impl Future<Output = Result<T, Fault>>,
    ) -> Arc<T> {
        let mut state = self.0.lock().await;
        if let Some((known, _)) = state.known.as_ref().filter(|(own, _)| !Arc::ptr_eq(own, seen)) {
            return Arc::clone(known);
        }
        let now = Instant::now();
        if state.renewed.is_some_and(|at| now - at < KEY_PAUSE) {
            return Arc::clone(seen);
        }
        state.renewed = Some(now);
        match read.await {
            Ok(read) => state.keep(read),
            Err(fault) => {
                tracing::warn!(%fault, "the identity provider's keys cannot be read");
                Arc::clone(seen)
            }
        }
    }
}

impl<T> State<T> {
    fn keep(&mut self, read: T) -> Arc<T> {
        let known = Arc::new(read);
        self.known = Some((Arc::clone(&known), Instant::now()));
        self.failed = None;
        known
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A cache of the number of its reads, and whether a read succeeds.
    #[derive(Default)]
    struct Fixture {
        cache: Cache<usize>,
        reads: Cell<usize>,
        is_down: Cell<bool>,
    }

    impl Fixture {
        async fn read(&self) -> Result<usize, Fault> {
            tokio::task::yield_now().await;
            self.reads.set(self.reads.get() + 1);
            if self.is_down.get() {
                return Err(Fault::Unavailable("down".to_owned()));
            }
            Ok(self.reads.get())
        }

        /// Returns what the cache has after these seconds.
        async fn after(&self, seconds: u64) -> Option<usize> {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            self.cache.current(self.read()).await.ok().map(|known| *known)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn documents_are_read_again_after_an_hour_and_kept_for_a_day_without_the_provider() {
        let fixture = Fixture::default();
        assert_eq!(fixture.after(0).await, Some(1));
        assert_eq!(fixture.after(3599).await, Some(1));
        assert_eq!(fixture.after(1).await, Some(2));
        fixture.is_down.set(true);
        assert_eq!(fixture.after(3600).await, Some(2), "the documents from before");
        assert_eq!(fixture.after(59).await, Some(2));
        assert_eq!(fixture.reads.get(), 3, "the failure is remembered");
        assert_eq!(fixture.after(1).await, Some(2));
        assert_eq!(fixture.reads.get(), 4);
        assert_eq!(fixture.after(22 * 3600).await, Some(2));
        assert_eq!(fixture.after(3600).await, None, "a day is over");
        let reads = fixture.reads.get();
        assert_eq!(fixture.after(4).await, None);
        assert_eq!(fixture.reads.get(), reads);
        fixture.is_down.set(false);
        assert_eq!(fixture.after(1).await, Some(reads + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_key_reads_the_documents_once_a_minute() {
        let fixture = Fixture::default();
        let first = fixture.cache.current(fixture.read()).await.unwrap();
        let newer = async |seen: &Arc<usize>| *fixture.cache.newer(seen, fixture.read()).await;
        assert_eq!(newer(&first).await, 2);
        assert_eq!(newer(&first).await, 2, "another sign-in has read them");
        let second = fixture.cache.current(fixture.read()).await.unwrap();
        assert_eq!(newer(&second).await, 2, "not again within a minute");
        tokio::time::advance(KEY_PAUSE).await;
        fixture.is_down.set(true);
        assert_eq!(newer(&second).await, 2, "those that were seen");
        assert_eq!(fixture.reads.get(), 3);
        fixture.is_down.set(false);
        tokio::time::advance(KEY_PAUSE).await;
        assert_eq!(newer(&second).await, 4);
    }
}
