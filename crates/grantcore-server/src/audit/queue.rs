//! The queue of events to the database, and the task that writes them in batches.
//!
//! The queue is bounded by places. Attributed events (of flows, authenticated clients and the
//! operator) have places of their own, so that unattributed requests cannot displace them.
//!
//! Recording does not wait for the database, unless every response must have its event. If the
//! queue is full, the database fails or the task has ended, events are lost, and responses are not.
//! Lost events are counted and logged.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use grantcore::Event;
use grantcore::audit::AuditError;
use grantcore::event::EventClass;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::unattributed::Unattributed;
use super::{Entry, Item};
use crate::store::{AnyLedger, Ledger as _};

/// How many attributed events may wait to be written.
const ROOM: usize = 4096;
/// How many unattributed events may wait to be written.
const UNATTRIBUTED_ROOM: usize = 1024;
/// How many events are written at once. The bound lets other writes to the database take their
/// turn.
const AT_ONCE: usize = 512;
/// The time for which events gather before they are written, if no caller waits for them. Each
/// write wakes a task, so the task is woken once for many events.
const GATHER: Duration = Duration::from_millis(10);
/// How often lost events are logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Queue {
    pub(super) ledger: AnyLedger,
    sender: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
    unattributed_room: Arc<Semaphore>,
    unattributed: Mutex<Unattributed>,
    /// Whether recording waits for the database.
    waits: bool,
    /// Ends the wait for more items, because a caller waits for one of them.
    write_now: Arc<Notify>,
    lost: Arc<Lost>,
    /// Whether the last write succeeded.
    works: Arc<AtomicBool>,
}

/// A place in the queue, or none yet. It is released when its event is written.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<OwnedSemaphorePermit>);

/// A step of the queue.
#[derive(Default)]
struct Queued {
    /// The item to write. `None` only waits for the items before it.
    item: Option<Item>,
    place: Place,
    /// Is notified when the item is written, and dropped if it is lost.
    done: Option<oneshot::Sender<()>>,
}

impl Queue {
    /// Starts the task that writes. The task ends when the queue is dropped and its items are
    /// written.
    pub(super) fn start(ledger: AnyLedger, waits: bool) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let lost = Arc::new(Lost::default());
        let works = Arc::new(AtomicBool::new(true));
        let write_now = Arc::new(Notify::new());
        let writer = Writer {
            ledger: ledger.clone(),
            waits,
            write_now: Arc::clone(&write_now),
            lost: Arc::clone(&lost),
            works: Arc::clone(&works),
        };
        tokio::spawn(writer.run(receiver));
        Self {
            ledger,
            sender,
            room: Arc::new(Semaphore::new(ROOM)),
            unattributed_room: Arc::new(Semaphore::new(UNATTRIBUTED_ROOM)),
            unattributed: Mutex::default(),
            waits,
            write_now,
            lost,
            works,
        }
    }

    /// Reserves the place of an event, before its step is written.
    ///
    /// Fails while the last write to the database failed. The refusal that follows is itself an
    /// event, and writing it shows whether the database works again.
    pub(super) fn reserve(&self, event: &Event) -> Result<Place, AuditError> {
        if !self.works.load(Ordering::SeqCst) {
            return Err(AuditError);
        }
        self.place(event).ok_or(AuditError)
    }

    fn place(&self, event: &Event) -> Option<Place> {
        let room = match event.class() {
            EventClass::Unattributed => &self.unattributed_room,
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
            self.lost.add(1, &"the queue is full");
            return Err(AuditError);
        };
        let queued = Queued { item: Some(event.clone().into()), place, done: None };
        self.send_and_wait(queued).await
    }

    /// Sends an item, and waits until it is written if recording waits.
    async fn send_and_wait(&self, queued: Queued) -> Result<(), AuditError> {
        if !self.waits {
            self.send(queued);
            return Ok(());
        }
        let (done, written) = oneshot::channel();
        self.send(Queued { done: Some(done), ..queued });
        written.await.map_err(|_| AuditError)
    }

    /// Records an entry of the host's own, if there is a place for it.
    pub(super) fn add(&self, entry: Entry) {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(place) => {
                let item = Some(entry.into());
                self.send(Queued { item, place: Place(Some(place)), done: None });
            }
            Err(_) => self.lost.add(1, &"the queue is full"),
        }
    }

    /// Records the event of a request whose caller is gone. It needs no place, because there are at
    /// most as many of these as requests under way.
    pub(super) fn abandoned(&self, event: Event) {
        if !self.is_only_counted(&event) {
            self.send(Queued { item: Some(event.into()), ..Queued::default() });
        }
    }

    /// Records a step of the server itself. It needs no place, because administrators make few.
    pub(super) async fn keep_step(&self, entry: Entry) -> Result<(), AuditError> {
        self.send_and_wait(Queued { item: Some(entry.into()), ..Queued::default() }).await
    }

    /// Returns whether events need not be recorded, or the last write succeeded.
    pub(super) fn admits(&self) -> bool {
        !self.waits || self.works.load(Ordering::SeqCst)
    }

    /// Counts an unattributed event beyond the limit of its minute, and returns whether it did. A
    /// counted event is not stored.
    fn is_only_counted(&self, event: &Event) -> bool {
        if event.class() != EventClass::Unattributed || event.has_written() {
            return false;
        }
        let mut unattributed = self.unattributed.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = unattributed.begin(event.at);
        let is_counted = unattributed.counts(event);
        drop(unattributed);
        self.send_counts(ended);
        is_counted
    }

    /// Sends the counts of a minute. They need no place, because there is at most one for each kind
    /// and reason.
    fn send_counts(&self, counts: Vec<Entry>) {
        for entry in counts {
            self.send(Queued { item: Some(entry.into()), ..Queued::default() });
        }
    }

    fn send(&self, queued: Queued) {
        if let Err(refused) = self.sender.send(queued) {
            // The error is about the closed queue. It does not show the item.
            self.lost.add(1, &refused);
        }
    }

    /// Waits until all events recorded before are written or lost. Writes the counts of this minute
    /// as well.
    pub(super) async fn flush(&self) {
        let counts = self.unattributed.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.send_counts(counts);
        let (done, written) = oneshot::channel();
        self.send(Queued { done: Some(done), ..Queued::default() });
        self.write_now.notify_one();
        let _ = written.await;
    }

    /// Returns how many places for attributed and for unattributed events are taken.
    pub(super) fn queued(&self) -> (usize, usize) {
        let taken = |room: &Semaphore, all: usize| all.saturating_sub(room.available_permits());
        (taken(&self.room, ROOM), taken(&self.unattributed_room, UNATTRIBUTED_ROOM))
    }

    /// Returns how many events were lost since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.lost.1.load(Ordering::Relaxed)
    }

    /// Logs the losses that were not logged yet.
    pub(super) fn log_losses(&self) {
        self.lost.add(0, &"as logged before");
    }
}

/// The task that writes.
struct Writer {
    ledger: AnyLedger,
    waits: bool,
    write_now: Arc<Notify>,
    lost: Arc<Lost>,
    works: Arc<AtomicBool>,
}

impl Writer {
    /// Writes the items of the queue in batches until the queue is dropped.
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Queued>) {
        let mut batch = Vec::with_capacity(AT_ONCE);
        while queue.recv_many(&mut batch, AT_ONCE).await > 0 {
            if !self.waits && batch.len() < AT_ONCE {
                self.gather(&mut queue, &mut batch).await;
            }
            self.write(&mut batch).await;
        }
    }

    /// Waits for more items, until somebody waits for one of them.
    async fn gather(&self, queue: &mut mpsc::UnboundedReceiver<Queued>, batch: &mut Vec<Queued>) {
        if batch.iter().all(|queued| queued.done.is_none()) {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.write_now.notified() => {}
            }
        }
        while batch.len() < AT_ONCE {
            let Ok(queued) = queue.try_recv() else { break };
            batch.push(queued);
        }
    }

    async fn write(&self, batch: &mut Vec<Queued>) {
        let items: Vec<_> = batch.iter_mut().filter_map(|queued| queued.item.take()).collect();
        let count = items.len();
        let is_awaited = batch.iter().any(|queued| queued.done.is_some());
        let written = if count == 0 { Ok(()) } else { self.ledger.append(items, is_awaited).await };
        if count > 0 {
            self.works.store(written.is_ok(), Ordering::SeqCst);
        }
        for Queued { done, place, .. } in batch.drain(..) {
            drop(place);
            // A caller that no longer waits is ignored. If the write failed, `done` is dropped, and
            // the caller reads that as a loss.
            if let (Some(done), true) = (done, written.is_ok()) {
                let _ = done.send(());
            }
        }
        if let Err(error) = written {
            self.lost.add(count, &error);
        }
    }
}

/// The events that were not written: those to log, and the number of all.
#[derive(Default)]
struct Lost(Mutex<Tally>, AtomicU64);

#[derive(Default)]
struct Tally {
    unlogged: usize,
    logged: Option<Instant>,
}

impl Lost {
    fn add(&self, count: usize, why: &dyn std::fmt::Display) {
        self.1.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(count, Instant::now());
        if let Some(lost) = due {
            tracing::error!(lost, %why, "events were not recorded");
        }
    }
}

impl Tally {
    /// Adds to the count, and returns the number to log if a line is due.
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
    fn all_losses_are_logged_at_most_once_a_minute() {
        let mut tally = Tally::default();
        let start = Instant::now();
        let mut at = |seconds, count| tally.add(count, start + Duration::from_secs(seconds));
        assert_eq!(at(0, 0), None, "nothing is lost and nothing is logged");
        assert_eq!(at(0, 2), Some(2));
        assert_eq!((at(1, 3), at(59, 4), at(59, 0)), (None, None, None));
        assert_eq!(at(60, 0), Some(7));
        assert_eq!((at(61, 1), at(120, 1)), (None, Some(2)));
    }
}
