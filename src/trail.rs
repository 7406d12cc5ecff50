//! The trail: where the events of every step are kept, so that a case can be found again by what
//! its user can quote.
//!
//! A [`Trail`] takes events; [`Query`] says which of them are asked for; [`MemoryTrail`] is the
//! reference, the shortest honest one. What is in an event is `event.rs`'s.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use crate::event::{Event, EventKind};
use crate::moment::{CorrelationId, Timestamp};
use crate::value::credential::GrantId;

/// Keeps events. It is called once for each step, before its answer leaves.
///
/// What losing one costs: a case that cannot be traced. What it never costs is the answer, unless
/// [`TrailRules::fail_closed`] says so. `()` keeps none.
pub trait Trail {
    /// Keeps this event.
    ///
    /// # Errors
    /// [`Unrecorded`] if it was not kept. Why is the trail's own to log.
    fn record(&self, event: &Event) -> Result<(), Unrecorded>;
}

/// [`Trail`], for one that is awaited.
pub trait AsyncTrail {
    /// See [`Trail::record`].
    fn record(&self, event: &Event) -> impl Future<Output = Result<(), Unrecorded>> + Send;
}

/// An event was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event was not recorded")]
pub struct Unrecorded;

/// What is recorded, and what follows if it cannot be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrailRules {
    /// Whether a step whose event is not kept is answered 503 instead. Default: no. What it costs:
    /// the write of the step is durable by then, so that a client which comes again with a
    /// token that was rotated unheard replays it; set a
    /// [replay window](crate::PolicyBuilder::replay_window) as well.
    pub fail_closed: bool,
    /// Whether accepted calls of resources, and introspections that found a token active, are
    /// recorded too. Default: no, for they are most of what happens.
    pub routine: bool,
}

impl TrailRules {
    pub(crate) fn keeps(self, kind: EventKind) -> bool {
        self.routine || !kind.is_routine()
    }
}

impl Trail for () {
    fn record(&self, _: &Event) -> Result<(), Unrecorded> {
        Ok(())
    }
}

impl AsyncTrail for () {
    async fn record(&self, _: &Event) -> Result<(), Unrecorded> {
        Ok(())
    }
}

/// A pointer to a trail is one.
impl<T: Trail + ?Sized> Trail for std::sync::Arc<T> {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        (**self).record(event)
    }
}

impl<T: AsyncTrail + Send + Sync> AsyncTrail for std::sync::Arc<T> {
    async fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        (**self).record(event).await
    }
}

/// Which events are asked for: all that fit every part that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
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

impl Query<'_> {
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
#[derive(Debug)]
pub struct MemoryTrail {
    most: usize,
    events: Mutex<VecDeque<Event>>,
}

impl MemoryTrail {
    /// Room for so many events; the oldest make room.
    pub fn new(most: usize) -> Self {
        Self { most, events: Mutex::default() }
    }

    /// The events that fit, in the order they happened; the latest `most` of them.
    pub fn find(&self, query: &Query<'_>, most: usize) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> =
            events.iter().rev().filter(|event| query.fits(event)).take(most).cloned().collect();
        found.reverse();
        found
    }
}

impl Trail for MemoryTrail {
    fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= self.most {
            events.pop_front();
        }
        events.push_back(event.clone());
        Ok(())
    }
}

/// It never waits.
impl AsyncTrail for MemoryTrail {
    async fn record(&self, event: &Event) -> Result<(), Unrecorded> {
        Trail::record(self, event)
    }
}
