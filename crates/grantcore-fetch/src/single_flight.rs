//! Joins equal fetches: callers that want what is being fetched wait for that outcome, and a fetch
//! that failed is not tried again for some seconds.
//!
//! No document is kept here once the fetch has ended; the server keeps it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use tokio::sync::watch;

use crate::Target;
use crate::document::Document;
use crate::error::FetchError;

/// How long a failure is the outcome of equal fetches.
const FAILURE_KEPT: Duration = Duration::from_secs(5);
/// The most failures that are kept. The oldest makes room.
const MAX_FAILURES: usize = 1024;

pub(crate) type Outcome = Result<Document, FetchError>;
/// The outcome of a fetch, once it has one.
pub(crate) type Pending = watch::Receiver<Option<Outcome>>;

/// The fetches that run, and those that failed some seconds ago. A clone shares them.
#[derive(Clone)]
pub(crate) struct SingleFlight(Arc<Mutex<Table>>);

struct Table {
    running: HashMap<Target, Pending>,
    failed: LruCache<Target, (Instant, FetchError)>,
}

/// The duty to fetch for all callers that want the same. The fetch is over once this is dropped.
pub(crate) struct Lead {
    fetches: SingleFlight,
    target: Target,
    outcome: watch::Sender<Option<Outcome>>,
}

/// The part of a caller in a fetch.
pub(crate) enum Role {
    /// Another caller's fetch is running: wait for its outcome.
    Follower(Pending),
    /// Nothing is running: fetch.
    Leader(Lead, Pending),
}

impl Default for SingleFlight {
    fn default() -> Self {
        let table = Table { running: HashMap::new(), failed: LruCache::new(MAX_FAILURES) };
        Self(Arc::new(Mutex::new(table)))
    }
}

impl SingleFlight {
    /// Joins the fetch of this target that is running, or starts one.
    ///
    /// # Errors
    /// The failure of an equal fetch that ended some seconds ago.
    pub(crate) fn join(&self, target: Target, now: Instant) -> Result<Role, FetchError> {
        let mut table = self.lock();
        if let Some((at, error)) = table.failed.peek(&target) {
            if now.saturating_duration_since(*at) < FAILURE_KEPT {
                return Err(error.clone());
            }
            table.failed.remove(&target);
        }
        if let Some(pending) = table.running.get(&target) {
            return Ok(Role::Follower(pending.clone()));
        }
        let (outcome, pending) = watch::channel(None);
        table.running.insert(target.clone(), pending.clone());
        drop(table);
        Ok(Role::Leader(Lead { fetches: self.clone(), target, outcome }, pending))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Hands the outcome to all callers that wait for it.
    pub(crate) fn finish(self, outcome: Outcome, now: Instant) {
        if let Err(error) = &outcome {
            self.fetches.lock().failed.insert(self.target.clone(), (now, error.clone()));
        }
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.fetches.lock().running.remove(&self.target);
    }
}

/// Waits for the outcome of a fetch.
pub(crate) async fn await_outcome(mut pending: Pending) -> Outcome {
    match pending.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(FetchError::Abandoned)),
        Err(_) => Err(FetchError::Abandoned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(n: usize) -> Target {
        let url = format!("https://{n}.example/client").parse().unwrap();
        Target { url, max_bytes: 100, allow_loopback: false, any_address: false }
    }

    fn lead(fetches: &SingleFlight, target: Target, now: Instant) -> Lead {
        match fetches.join(target, now) {
            Ok(Role::Leader(lead, _)) => lead,
            _ => panic!("it is running or has failed"),
        }
    }

    #[tokio::test]
    async fn followers_get_the_outcome_of_the_leader() {
        let fetches = SingleFlight::default();
        let now = Instant::now();
        let leader = lead(&fetches, target(0), now);
        let followers: Vec<_> = (0..3)
            .map(|_| match fetches.join(target(0), now).unwrap() {
                Role::Follower(pending) => pending,
                Role::Leader(..) => panic!("a second fetch of the same document"),
            })
            .collect();
        leader.finish(Err(FetchError::NotHttps), now);
        for pending in followers {
            assert!(matches!(await_outcome(pending).await, Err(FetchError::NotHttps)));
        }
    }

    #[tokio::test]
    async fn a_fetch_that_ends_without_an_outcome_ends_for_its_followers() {
        let fetches = SingleFlight::default();
        let now = Instant::now();
        let Ok(Role::Leader(leader, pending)) = fetches.join(target(0), now) else {
            panic!("nothing was running")
        };
        drop(leader);
        assert!(matches!(await_outcome(pending).await, Err(FetchError::Abandoned)));
        drop(lead(&fetches, target(0), now));
    }

    #[test]
    fn failures_are_kept_for_seconds_and_within_a_bound() {
        let fetches = SingleFlight::default();
        let start = Instant::now();
        lead(&fetches, target(0), start).finish(Err(FetchError::NotHttps), start);
        assert!(fetches.join(target(0), start + FAILURE_KEPT / 2).is_err());
        let others =
            [Target { max_bytes: 200, ..target(0) }, Target { allow_loopback: true, ..target(0) }];
        for other in others {
            drop(lead(&fetches, other, start));
        }
        drop(lead(&fetches, target(0), start + FAILURE_KEPT));
        for n in 0..2 * MAX_FAILURES {
            lead(&fetches, target(n), start + FAILURE_KEPT)
                .finish(Err(FetchError::NotHttps), start);
        }
        let table = fetches.lock();
        assert_eq!((table.failed.len(), table.running.len()), (MAX_FAILURES, 0));
    }
}
