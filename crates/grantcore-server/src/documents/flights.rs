//! Fetches of the same document are one: whoever asks for what is being fetched already waits for
//! that answer, and a fetch that failed is not tried again for some seconds.
//!
//! What lives here: which fetches are under way, and which failed of late. What never does: a
//! document once it has been handed over; to keep it is the library's matter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use tokio::sync::watch;

use super::{FetchError, Fetched};

/// How long a failure is the answer to those who ask again.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many failures are remembered: those of a minute's strangers and users.
const MOST_FAILURES: usize = 1024;

/// What is wanted: a URL, and how much of what is there.
pub(super) type Wanted = (String, usize);
/// What came of a fetch.
pub(super) type Outcome = Result<Fetched, FetchError>;
/// Where the outcome appears.
pub(super) type Arrival = watch::Receiver<Option<Outcome>>;

/// The fetches that are under way or failed of late.
#[derive(Clone)]
pub(super) struct Flights(Arc<Mutex<Table>>);

struct Table {
    under_way: HashMap<Wanted, Arrival>,
    failed: LruCache<Wanted, (Instant, FetchError)>,
}

/// A fetch that has begun; once this is dropped, it is over.
pub(super) struct Flight {
    flights: Flights,
    wanted: Wanted,
    departed: watch::Sender<Option<Outcome>>,
}

/// What there is for somebody who wants a document.
pub(super) enum Boarding {
    /// Somebody else wants it too, and it is under way.
    Joined(Arrival),
    /// It must be fetched.
    Begun(Flight, Arrival),
}

impl Default for Flights {
    fn default() -> Self {
        let table = Table { under_way: HashMap::new(), failed: LruCache::new(MOST_FAILURES) };
        Self(Arc::new(Mutex::new(table)))
    }
}

impl Flights {
    /// Joins the fetch that is under way, or begins one.
    ///
    /// # Errors
    /// The failure of one that ended seconds ago.
    pub(super) fn board(&self, wanted: Wanted, now: Instant) -> Result<Boarding, FetchError> {
        let mut table = self.lock();
        if let Some((at, error)) = table.failed.peek(&wanted) {
            if now.saturating_duration_since(*at) < REMEMBERED {
                return Err(error.clone());
            }
            table.failed.remove(&wanted);
        }
        if let Some(arrival) = table.under_way.get(&wanted) {
            return Ok(Boarding::Joined(arrival.clone()));
        }
        let (departed, arrival) = watch::channel(None);
        table.under_way.insert(wanted.clone(), arrival.clone());
        drop(table);
        Ok(Boarding::Begun(Flight { flights: self.clone(), wanted, departed }, arrival))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Hands the outcome to all who wait for it.
    pub(super) fn land(self, outcome: Outcome, now: Instant) {
        if let Err(error) = &outcome {
            self.flights.lock().failed.insert(self.wanted.clone(), (now, error.clone()));
        }
        self.departed.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.lock().under_way.remove(&self.wanted);
    }
}

/// Waits for the outcome.
pub(super) async fn await_outcome(mut arrival: Arrival) -> Outcome {
    match arrival.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(FetchError::Abandoned)),
        Err(_) => Err(FetchError::Abandoned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(n: usize) -> Wanted {
        (format!("https://{n}.example/client"), 100)
    }

    fn begin(flights: &Flights, n: usize, now: Instant) -> Flight {
        match flights.board(wanted(n), now) {
            Ok(Boarding::Begun(flight, _)) => flight,
            _ => panic!("{n} is under way or failed"),
        }
    }

    #[tokio::test]
    async fn whoever_joins_gets_the_same_outcome() {
        let flights = Flights::default();
        let now = Instant::now();
        let flight = begin(&flights, 0, now);
        let joined: Vec<_> = (0..3)
            .map(|_| match flights.board(wanted(0), now).unwrap() {
                Boarding::Joined(arrival) => arrival,
                Boarding::Begun(..) => panic!("a second fetch of the same document"),
            })
            .collect();
        flight.land(Err(FetchError::NotHttps), now);
        for arrival in joined {
            assert!(matches!(await_outcome(arrival).await, Err(FetchError::NotHttps)));
        }
    }

    #[tokio::test]
    async fn a_fetch_that_ends_without_an_outcome_keeps_nobody_waiting() {
        let flights = Flights::default();
        let now = Instant::now();
        let Ok(Boarding::Begun(flight, arrival)) = flights.board(wanted(0), now) else {
            panic!("nothing was under way")
        };
        drop(flight);
        assert!(matches!(await_outcome(arrival).await, Err(FetchError::Abandoned)));
        drop(begin(&flights, 0, now));
    }

    #[test]
    fn failures_are_remembered_for_seconds_and_not_without_bound() {
        let flights = Flights::default();
        let start = Instant::now();
        begin(&flights, 0, start).land(Err(FetchError::NotHttps), start);
        assert!(flights.board(wanted(0), start + REMEMBERED / 2).is_err());
        assert!(flights.board((wanted(0).0, 200), start).is_ok(), "more of it is another fetch");
        drop(begin(&flights, 0, start + REMEMBERED));
        for n in 0..2 * MOST_FAILURES {
            begin(&flights, n, start + REMEMBERED).land(Err(FetchError::NotHttps), start);
        }
        let table = flights.lock();
        assert_eq!((table.failed.len(), table.under_way.len()), (MOST_FAILURES, 0));
    }
}
