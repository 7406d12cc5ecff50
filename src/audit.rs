//! The trail: where the events of every step are kept, so that a case can be found again by what
//! its user can quote.
//!
//! A [`AuditLog`] takes events; [`AuditQuery`] says which of them are asked for; [`MemoryAuditLog`] is the
//! reference, the shortest honest one. What is in an event is `event.rs`'s.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use crate::event::{Event, EventClass, EventKind};
use crate::moment::{CorrelationId, Timestamp};
use crate::value::credential::GrantId;

/// Keeps events.
///
/// Every durable step is recorded at least once, deduplicated by (correlation, kind); a step of
/// unknown [fate](crate::Fate) is marked and may have no durable counterpart. An event arrives
/// twice if its caller was cut off while it was being recorded: keep the first of two events of one
/// [correlation](Event::correlation) and [kind](Event::kind).
///
/// An event that is lost costs a case that cannot be traced, and never the response, unless
/// [`AuditPolicy::fail_closed`] is set. `()` keeps no events.
pub trait AuditLog: Send + Sync {
    /// The reserved place of one event. Dropping it gives the place back. `()` for a log that always
    /// has room. Its default is no place: [`record`](Self::record) must then find one.
    type Place: Default + Send;

    /// Reserves the place of an event whose write is about to be committed. It is called under
    /// [`AuditPolicy::fail_closed`] only: without a place nothing is written, and the request is
    /// refused with 503. By default there is always a place.
    ///
    /// A log with limited room keeps the places of the two [classes](Event::class) apart, so that a
    /// flood of strangers' refusals cannot stop every flow.
    ///
    /// # Errors
    /// [`AuditError`] if there is no place.
    fn reserve(
        &self,
        event: &Event,
    ) -> impl Future<Output = Result<Self::Place, AuditError>> + Send {
        let _ = event;
        async { Ok(Self::Place::default()) }
    }

    /// Records this event. It is called once for each step, after the write is durable and before
    /// the response leaves.
    ///
    /// # Errors
    /// [`AuditError`] if the event was not recorded. The log itself reports why.
    fn record(
        &self,
        event: &Event,
        place: Self::Place,
    ) -> impl Future<Output = Result<(), AuditError>> + Send;

    /// Takes the event of a step whose caller was cut off: its future was dropped, or it panicked.
    /// It is called from a destructor: queue the event or spawn a task for it, and never wait.
    fn abandoned(&self, event: Event);
}

/// An event was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event was not recorded")]
pub struct AuditError;

/// What is recorded, and what follows if it cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPolicy {
    /// Refuses with 503 what cannot be recorded. A place in the trail is reserved before each
    /// write, so that a request without one changes nothing and can be sent again. Default: no.
    ///
    /// A trail that fails after it gave a place withholds an answer whose write is durable: a
    /// client that then repeats its refresh token replays it. Set a
    /// [replay window](crate::PolicyBuilder::replay_window) as well.
    pub fail_closed: bool,
    /// Whether accepted calls of resources, and introspections that found a token active, are
    /// recorded too. Default: no, for they are most of what happens.
    pub routine: bool,
}

impl AuditPolicy {
    pub(crate) fn keeps(self, kind: EventKind) -> bool {
        self.routine || !kind.is_routine()
    }
}

impl AuditLog for () {
    type Place = ();

    async fn record(&self, _: &Event, (): ()) -> Result<(), AuditError> {
        Ok(())
    }

    fn abandoned(&self, _: Event) {}
}

impl<L: AuditLog> AuditLog for std::sync::Arc<L> {
    type Place = L::Place;

    async fn reserve(&self, event: &Event) -> Result<L::Place, AuditError> {
        (**self).reserve(event).await
    }

    async fn record(&self, event: &Event, place: L::Place) -> Result<(), AuditError> {
        (**self).record(event, place).await
    }

    fn abandoned(&self, event: Event) {
        (**self).abandoned(event);
    }
}

/// Which events are asked for: all that fit every part that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery<'a> {
    /// Of this client, known or claimed.
    pub client: Option<&'a str>,
    /// Answered with this public error code.
    pub error: Option<&'a str>,
    /// Within a minute of the one that this time is in: what somebody remembers is good to the
    /// minute.
    pub around: Option<Timestamp>,
    /// Of this flow.
    pub flow: Option<GrantId>,
    /// Of this request.
    pub correlation: Option<CorrelationId>,
}

impl AuditQuery<'_> {
    /// The seconds asked for, the end not included: the minute of [`around`](Self::around), the one
    /// before and the one after.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let Some(around) = self.around else { return (Timestamp::EPOCH, Timestamp::NEVER) };
        let minute = around.unix_seconds() / 60 * 60;
        let at = Timestamp::from_unix_seconds;
        (at(minute.saturating_sub(60)), at(minute.saturating_add(120)))
    }

    /// Whether an event is one of those asked for.
    pub fn fits(&self, event: &Event) -> bool {
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
/// Where there is no more room, the oldest [unattributed](EventClass::Unattributed) event makes
/// room; only where there is none of these, the oldest of all.
#[derive(Debug)]
pub struct MemoryAuditLog {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the order in which they came.
    events: BTreeMap<u64, Event>,
    unattributed: BTreeSet<u64>,
    names: HashSet<(CorrelationId, EventKind)>,
    next: u64,
}

impl MemoryAuditLog {
    /// A trail with room for this many events.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// The events that fit, in the order they happened; the latest `most` of them.
    pub fn find(&self, query: &AuditQuery<'_>, limit: usize) -> Vec<Event> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = kept
            .events
            .values()
            .rev()
            .filter(|event| query.fits(event))
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
    type Place = ();

    async fn record(&self, event: &Event, (): ()) -> Result<(), AuditError> {
        self.keep(event.clone());
        Ok(())
    }

    fn abandoned(&self, event: Event) {
        self.keep(event);
    }
}
