//! The way of events to the database: a queue, and one task that writes all that has queued up at
//! once.
//!
//! The queue is bounded by places. Events of flows, of proven clients and of the operator have
//! places of their own, which nothing that a stranger sends can take.
//!
//! Whoever records does not wait for the database, unless no answer may leave without its event. A
//! queue that is full, a database that fails or a task that is gone cost events, never answers;
//! lost events are counted and logged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use grantcore::{AuditError, Event, EventClass};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Entry;
use super::strangers::Strangers;
use crate::store::{AnyLedger, Ledger as _};

/// How many events of flows may wait to be written.
const ROOM: usize = 4096;
/// How many events of strangers may wait to be written.
const STRANGERS_ROOM: usize = 1024;
/// How many are written at once at most, so that what else waits for the database gets its turn.
const AT_ONCE: usize = 512;
/// How often lost events are logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Queue {
    pub(super) ledger: AnyLedger,
    sender: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    strangers_room: Arc<Semaphore>,
    strangers: Mutex<Strangers>,
    /// Whether recording waits for the database.
    waits: bool,
    lost: Arc<Lost>,
    /// Whether the last events could be written.
    works: Arc<AtomicBool>,
}

/// A place in the queue, or none yet. It is given back when its event is written.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<OwnedSemaphorePermit>);

/// Something for the writer: an entry with its place, and whom to tell when it is written. Without
/// an entry it only tells that all before it are.
#[derive(Default)]
struct Queued {
    entry: Option<Entry>,
    place: Place,
    done: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Starts the task that writes. It ends when this queue is gone and all that was in it is
    /// written.
    pub(super) fn start(ledger: AnyLedger, waits: bool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let lost = Arc::new(Lost::default());
        let works = Arc::new(AtomicBool::new(true));
        tokio::spawn(write(ledger.clone(), receiver, Arc::clone(&lost), Arc::clone(&works)));
        Self {
            ledger,
            sender,
            room: Arc::new(Semaphore::new(ROOM)),
            strangers_room: Arc::new(Semaphore::new(STRANGERS_ROOM)),
            strangers: Mutex::default(),
            waits,
            lost,
            works,
        }
    }

    /// Reserves the place of an event, before its step is written. There is none while the database
    /// takes no events: the refusal that follows is itself an event, and shows when it does again.
    pub(super) fn reserve(&self, event: &Event) -> Result<Place, AuditError> {
        if !self.works.load(Ordering::SeqCst) {
            return Err(AuditError);
        }
        self.place(event).ok_or(AuditError)
    }

    fn place(&self, event: &Event) -> Option<Place> {
        let room = match event.class() {
            EventClass::Unattributed => &self.strangers_room,
            _ => &self.room,
        };
        Some(Place(Some(Arc::clone(room).try_acquire_owned().ok()?)))
    }

    pub(super) async fn record(&self, event: &Event, place: Place) -> Result<(), AuditError> {
        if self.is_only_counted(event) {
            return Ok(());
        }
        let place = match place {
            Place(Some(_)) => Some(place),
            Place(None) => self.place(event),
        };
        let Some(place) = place else {
            self.lost.add(1, &"too many of them wait to be written");
            return Err(AuditError);
        };
        let (done, written) = oneshot::channel();
        let done = self.waits.then_some(done);
        self.send(Queued { entry: Some(Entry::of(event)), place, done });
        if self.waits { written.await.map_err(|_| AuditError) } else { Ok(()) }
    }

    /// Takes the event of a request that nobody waits for any more. It needs no place: there are no
    /// more of these than there were requests under way.
    pub(super) fn abandoned(&self, event: &Event) {
        if !self.is_only_counted(event) {
            self.send(Queued { entry: Some(Entry::of(event)), ..Queued::default() });
        }
    }

    /// Returns whether an event is one of a flood of strangers, and has been counted.
    fn is_only_counted(&self, event: &Event) -> bool {
        if event.class() != EventClass::Unattributed || event.has_written() {
            return false;
        }
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = strangers.begin(event.at);
        let is_counted = strangers.counts(event);
        drop(strangers);
        self.send_counts(ended);
        is_counted
    }

    /// The counts of a minute. They need no place: there are no more of them than reasons.
    fn send_counts(&self, counts: Vec<Entry>) {
        for entry in counts {
            self.send(Queued { entry: Some(entry), ..Queued::default() });
        }
    }

    fn send(&self, queued: Queued) {
        if let Err(refused) = self.sender.send(queued) {
            // Its text is of the queue alone, and not of what was to go into it.
            self.lost.add(1, &refused);
        }
    }

    /// Returns when all that was recorded before is written, or lost. What was only counted until
    /// now is written as well.
    pub(super) async fn flush(&self) {
        let counts = self.strangers.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.send_counts(counts);
        let (done, written) = oneshot::channel();
        self.send(Queued { done: Some(done), ..Queued::default() });
        let _ = written.await;
    }

    /// Logs losses that were not worth a line of their own yet.
    pub(super) fn log_losses(&self) {
        self.lost.add(0, &"see before");
    }
}

/// The task.
async fn write(
    ledger: AnyLedger,
    mut queue: mpsc::UnboundedReceiver<Queued>,
    lost: Arc<Lost>,
    works: Arc<AtomicBool>,
) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
        let entries: Vec<_> = batch.iter_mut().filter_map(|queued| queued.entry.take()).collect();
        let count = entries.len();
        let written = if count == 0 { Ok(()) } else { ledger.append(entries).await };
        if count > 0 {
            works.store(written.is_ok(), Ordering::SeqCst);
        }
        for Queued { done, place, .. } in batch.drain(..) {
            drop(place);
            // Who does not wait any more need not be told; who is not told knows that it was not
            // written.
            if let (Some(done), true) = (done, written.is_ok()) {
                let _ = done.send(());
            }
        }
        if let Err(error) = written {
            lost.add(count, &error);
        }
    }
}

/// Events that were not kept.
#[derive(Default)]
struct Lost(Mutex<Tally>);

#[derive(Default)]
struct Tally {
    unlogged: usize,
    logged: Option<Instant>,
}

impl Lost {
    fn add(&self, count: usize, why: &dyn std::fmt::Display) {
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(count, Instant::now());
        if let Some(lost) = due {
            tracing::error!(lost, %why, "events were not recorded");
        }
    }
}

impl Tally {
    /// Counts, and returns how many to log if it is time to.
    fn add(&mut self, count: usize, now: Instant) -> Option<usize> {
        self.unlogged += count;
        let is_due = self.logged.is_none_or(|logged| now.duration_since(logged) >= LOG_EVERY);
        if self.unlogged == 0 || !is_due {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_of_at_most_once_a_minute_and_all_of_them() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let mut at = |seconds, count| tally.add(count, start + Duration::from_secs(seconds));
        assert_eq!(at(0, 0), None, "none lost, none told of");
        assert_eq!(at(0, 2), Some(2));
        assert_eq!((at(1, 3), at(59, 4), at(59, 0)), (None, None, None));
        assert_eq!(at(60, 0), Some(7));
        assert_eq!((at(61, 1), at(120, 1)), (None, Some(2)));
    }
}
