//! The way of events to the database: a bounded queue, and one task that writes all that has queued
//! up at once.
//!
//! Whoever records does not wait for the database, unless no answer may leave without its event. A
//! queue that is full, a database that fails or a task that is gone cost events, never answers;
//! they are counted and told of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use grantcore::{Event, Unrecorded};
use tokio::sync::{mpsc, oneshot};

use super::Entry;
use crate::store::{AnyLedger, Ledger as _};

/// How many events may wait to be written.
const ROOM: usize = 4096;
/// How many are written at once at most, so that what else waits for the database gets its turn.
const AT_ONCE: usize = 512;
/// How often it is said that events are being lost.
const TELL_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Queue {
    pub(super) ledger: AnyLedger,
    sender: mpsc::Sender<Queued>,
    /// Whether recording waits for the database.
    waits: bool,
    lost: Arc<Lost>,
}

/// Something for the writer: an event, and whom to tell when it is written. Without an event it
/// only tells that all before it are.
struct Queued {
    event: Option<Event>,
    done: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Starts the task that writes. It ends when this queue is gone and all that was in it is
    /// written.
    pub(super) fn start(ledger: AnyLedger, waits: bool) -> Self {
        let (sender, receiver) = mpsc::channel(ROOM);
        let lost = Arc::new(Lost::default());
        tokio::spawn(write(ledger.clone(), receiver, Arc::clone(&lost)));
        Self { ledger, sender, waits, lost }
    }

    pub(super) async fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        let (done, written) = oneshot::channel();
        let queued = Queued { event: Some(event.clone()), done: self.waits.then_some(done) };
        if let Err(refused) = self.sender.try_send(queued) {
            // Its text is of the queue alone, and not of what was to go into it.
            self.lost.add(1, &refused);
            return Err(Unrecorded);
        }
        if self.waits { written.await.map_err(|_| Unrecorded) } else { Ok(()) }
    }

    /// Takes the event of a request that nobody waits for any more.
    pub(super) fn abandoned(&self, event: Event) {
        if let Err(refused) = self.sender.try_send(Queued { event: Some(event), done: None }) {
            self.lost.add(1, &refused);
        }
    }

    /// Returns when all that was recorded before is written, or lost.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.sender.send(Queued { event: None, done: Some(done) }).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Tells of losses that were not worth a line of their own yet.
    pub(super) fn tell_losses(&self) {
        self.lost.add(0, &"see before");
    }
}

/// The task.
async fn write(ledger: AnyLedger, mut queue: mpsc::Receiver<Queued>, lost: Arc<Lost>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
        let entries: Vec<_> =
            batch.iter().filter_map(|queued| queued.event.as_ref()).map(Entry::of).collect();
        let count = entries.len();
        let written = if count == 0 { Ok(()) } else { ledger.append(entries).await };
        for Queued { done, .. } in batch.drain(..) {
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
    untold: usize,
    told: Option<Instant>,
}

impl Lost {
    fn add(&self, count: usize, why: &dyn std::fmt::Display) {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(count, Instant::now());
        if let Some(lost) = told {
            tracing::error!(lost, %why, "events were not recorded");
        }
    }
}

impl Tally {
    /// Counts, and says how many to tell of if it is time to.
    fn add(&mut self, count: usize, now: Instant) -> Option<usize> {
        self.untold += count;
        let is_due = self.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY);
        if self.untold == 0 || !is_due {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
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
