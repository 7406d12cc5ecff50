//! The audit log: where the events of every step are recorded, so that a case can be found again by
//! what its user can quote.
//!
//! [`AuditLog`] takes events, [`AuditQuery`] searches for them, and [`MemoryAuditLog`] is the
//! simplest implementation. The module `event` defines what an event contains.

#[cfg(all(test, grantcore_schedules))]
mod schedules;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;

use crate::event::{Event, EventClass, EventKind};
use crate::moment::{CorrelationId, Timestamp};
use crate::sync::{Mutex, PoisonError};
use crate::value::credential::GrantId;

/// Records the events of a server.
///
/// Every durable step is recorded at least once, deduplicated by (correlation, kind); a step of
/// unknown [durability](crate::event::Durability) is marked and may have no durable counterpart. An
/// event arrives twice if its caller was cancelled while it was being recorded: keep the first of
/// two events of one [correlation](Event::correlation) and [kind](Event::kind).
///
/// If an event is lost, its step cannot be traced. The response is returned all the same, unless
/// [`AuditPolicy::with_fail_closed`] is set. `()` keeps no events.
///
/// ```
/// use std::sync::mpsc::SyncSender;
///
/// use grantcore::AuditLog;
/// use grantcore::audit::AuditError;
/// use grantcore::event::Event;
///
/// /// Sends each event as a line of JSON to a thread that writes them.
/// struct Lines(SyncSender<String>);
///
/// impl AuditLog for Lines {
///     type Reservation = ();
///
///     async fn record(&self, event: &Event, _: ()) -> Result<(), AuditError> {
///         let line = serde_json::to_string(event).map_err(|_| AuditError)?;
///         self.0.try_send(line).map_err(|_| AuditError) // The queue is full.
///     }
///
///     fn abandoned(&self, event: Event) {
///         // A destructor must not wait.
///         if let Ok(line) = serde_json::to_string(&event) {
///             let _ = self.0.try_send(line);
///         }
///     }
/// }
/// ```
pub trait AuditLog: Send + Sync {
    /// The reservation of room for one event. Dropping it releases the room. `()` for a log that
    /// always has room. Its default reserves nothing: [`record`](Self::record) must then find room.
    type Reservation: Default + Send;

    /// Reserves room for an event whose write is about to be committed. It is called under
    /// [`AuditPolicy::with_fail_closed`] only: without a reservation nothing is written, and the
    /// request is refused with 503. By default there is always room.
    ///
    /// A log with limited room keeps the room of the two [classes](Event::class) apart, so that a
    /// flood of strangers' refusals cannot stop every flow.
    ///
    /// # Errors
    /// [`AuditError`] if there is no room.
    fn reserve(
        &self,
        event: &Event,
    ) -> impl Future<Output = Result<Self::Reservation, AuditError>> + Send {
        let _ = event;
        async { Ok(Self::Reservation::default()) }
    }

    /// Records this event. It is called once for each step, after the write is durable and before
    /// the response is returned.
    ///
    /// # Errors
    /// [`AuditError`] if the event was not recorded. The log itself reports why.
    fn record(
        &self,
        event: &Event,
        reservation: Self::Reservation,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Takes the event of a step that did not end: its future was dropped, or its caller panicked.
    /// It is called from a destructor: queue the event or spawn a task for it, and never wait.
    fn abandoned(&self, event: Event);
}

/// An event was not recorded. The log itself reports why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event was not recorded")]
#[expect(clippy::exhaustive_structs, reason = "a log of the host's own makes it")]
pub struct AuditError;

/// Which events are recorded, and what follows if one cannot be.
///
/// ```
/// let policy = grantcore::audit::AuditPolicy::default().with_fail_closed(true);
/// assert!(policy.fail_closed() && !policy.routine());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a policy does nothing until a server has it"]
pub struct AuditPolicy {
    pub(crate) fail_closed: bool,
    pub(crate) routine: bool,
}

impl AuditPolicy {
    /// Sets whether a request whose event cannot be recorded is refused with 503. Default: `false`.
    ///
    /// Room in the log is reserved before each write, so that a request without a reservation
    /// changes nothing and can be repeated. If the log fails after the reservation, a response is
    /// withheld although its write is durable. A client that then sends its refresh token again
    /// replays it: set a [replay window](crate::policy::PolicyBuilder::replay_window) as well.
    pub fn with_fail_closed(self, fail_closed: bool) -> Self {
        Self { fail_closed, ..self }
    }

    /// Sets whether routine events are recorded as well: accepted calls of resources,
    /// introspections of active tokens and lists of connections. Default: `false`, because they are
    /// most of all events.
    pub fn with_routine(self, routine: bool) -> Self {
        Self { routine, ..self }
    }

    /// Returns the value of [`with_fail_closed`](Self::with_fail_closed).
    pub fn fail_closed(&self) -> bool {
        self.fail_closed
    }

    /// Returns the value of [`with_routine`](Self::with_routine).
    pub fn routine(&self) -> bool {
        self.routine
    }

    pub(crate) fn keeps(self, kind: EventKind) -> bool {
        self.routine || !kind.is_routine()
    }
}

impl AuditLog for () {
    type Reservation = ();

    async fn record(&self, _: &Event, (): ()) -> Result<(), AuditError> {
        Ok(())
    }

    fn abandoned(&self, _: Event) {}
}

impl<L: AuditLog> AuditLog for std::sync::Arc<L> {
    type Reservation = L::Reservation;

    async fn reserve(&self, event: &Event) -> Result<L::Reservation, AuditError> {
        (**self).reserve(event).await
    }

    async fn record(&self, event: &Event, reservation: L::Reservation) -> Result<(), AuditError> {
        (**self).record(event, reservation).await
    }

    fn abandoned(&self, event: Event) {
        (**self).abandoned(event);
    }
}

/// A search for events. An event is found if it matches every field that is set.
///
/// ```
/// use grantcore::Timestamp;
/// use grantcore::audit::{AuditQuery, MemoryAuditLog};
///
/// /// "Notes said invalid_grant at twelve past nine."
/// fn case(log: &MemoryAuditLog, time: Timestamp) {
///     let query = AuditQuery {
///         client: Some("notes-app"),
///         error: Some("invalid_grant"),
///         around: Some(time),
///         ..AuditQuery::default()
///     };
///     for event in log.find(&query, 20) {
///         println!("{:?}: {:?}", event.reason.map(|reason| reason.cause()), event.detail);
///         // Then everything else of the same connection.
///         let flow = AuditQuery { flow: event.flow, ..AuditQuery::default() };
///         println!("{} events", log.find(&flow, 100).len());
///     }
/// }
/// # case(&MemoryAuditLog::new(10), Timestamp::from_unix_seconds(0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a query is written as a literal with `..`")]
pub struct AuditQuery<'a> {
    /// The client, known or claimed.
    pub client: Option<&'a str>,
    /// The public error code that was sent.
    pub error: Option<&'a str>,
    /// A time to the minute, as a user remembers it: the minute itself, the one before and the one
    /// after.
    pub around: Option<Timestamp>,
    /// The flow.
    pub flow: Option<GrantId>,
    /// The request.
    pub correlation: Option<CorrelationId>,
}

impl AuditQuery<'_> {
    /// Returns the first second of the search and the second after its last: the minute of
    /// [`around`](Self::around), the one before and the one after.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let Some(around) = self.around else {
            return (Timestamp::EPOCH, Timestamp::NEVER);
        };
        let minute = around.unix_seconds() / 60 * 60;
        let at = Timestamp::from_unix_seconds;
        (at(minute.saturating_sub(60)), at(minute.saturating_add(120)))
    }

    /// Returns whether an event is found.
    pub fn matches(&self, event: &Event) -> bool {
        let (from, until) = self.span();
        (from..until).contains(&event.at)
            && self.client.is_none_or(|client| event.client_id() == Some(client))
            && self.error.is_none_or(|error| event.error() == Some(error))
            && self.flow.is_none_or(|flow| event.flow == Some(flow))
            && self.correlation.is_none_or(|correlation| event.correlation == correlation)
    }
}

/// The latest events, in memory.
///
/// When it is full, the oldest [unattributed](EventClass::Unattributed) event is dropped; if there
/// is none, the oldest event.
///
/// ```
/// let log = grantcore::audit::MemoryAuditLog::new(10_000);
/// assert!(log.find(&grantcore::audit::AuditQuery::default(), 50).is_empty());
/// ```
#[derive(Debug)]
pub struct MemoryAuditLog {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The events by their numbers, in the order of their arrival.
    events: BTreeMap<u64, Event>,
    unattributed: BTreeSet<u64>,
    names: HashSet<(CorrelationId, EventKind)>,
    next: u64,
}

impl MemoryAuditLog {
    /// Returns a log with room for `limit` events.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// Returns the latest `limit` events that the query finds, in the order of their arrival.
    pub fn find(&self, query: &AuditQuery<'_>, limit: usize) -> Vec<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = kept
            .events
            .values()
            .rev()
            .filter(|event| query.matches(event))
            .take(limit)
            .cloned()
            .collect();
        found.reverse();
        found
    }

    /// Keeps the event, unless one of its correlation and kind is kept already.
    pub(crate) fn keep(&self, event: Event) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.names.insert((event.correlation, event.kind)) {
            kept.add(event);
            while kept.events.len() > self.limit {
                kept.drop_one();
            }
        }
    }
}

impl Kept {
    fn add(&mut self, event: Event) {
        let number = self.next;
        self.next += 1;
        if event.class() == EventClass::Unattributed {
            self.unattributed.insert(number);
        }
        self.events.insert(number, event);
    }

    fn drop_one(&mut self) {
        let dropped = match self.unattributed.pop_first() {
            Some(number) => self.events.remove(&number),
            None => self.events.pop_first().map(|(_, event)| event),
        };
        if let Some(event) = dropped {
            self.names.remove(&(event.correlation, event.kind));
        }
    }
}

impl AuditLog for MemoryAuditLog {
    type Reservation = ();

    async fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        self.keep(event.clone());
        Ok(())
    }

    fn abandoned(&self, event: Event) {
        self.keep(event);
    }
}
