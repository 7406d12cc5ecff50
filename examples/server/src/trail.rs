//! The trail: every step of every flow, kept so that support finds a case by what its user can quote: the client, the error, the minute.

use std::sync::Arc;

use grantcore::{AsyncTrail, Event, MemoryTrail, Query, Timestamp, Unrecorded};

use crate::store::BackendError;

type Result<T> = std::result::Result<T, BackendError>;

/// How many events are kept where they are gone at exit anyway.
const IN_MEMORY: usize = 10_000;

/// Where events are kept: with the grants.
#[derive(Clone)]
pub(crate) struct Trail(Arc<MemoryTrail>);

/// Which events are asked for: all that fit every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// Of this client, known or claimed.
    pub(crate) client: Option<String>,
    /// Answered with this public error code.
    pub(crate) error: Option<String>,
    /// Within a minute of the one that this second, since 1970, is in.
    pub(crate) around: Option<u64>,
    /// Of this flow, as the trail spells it.
    pub(crate) flow: Option<String>,
    /// Of the request that was answered with this name.
    pub(crate) correlation: Option<String>,
    /// Of this user.
    pub(crate) subject: Option<String>,
}

/// One event, as it is kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In seconds since 1970, by the server's clock.
    pub(crate) at: u64,
    pub(crate) correlation: String,
    pub(crate) flow: Option<String>,
    pub(crate) kind: String,
    pub(crate) reason: Option<String>,
    pub(crate) detail: Option<String>,
    /// The client, known or claimed.
    pub(crate) client: Option<String>,
    pub(crate) subject: Option<String>,
    /// What was answered, where it was a refusal.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) note: Option<String>,
}

impl Trail {
    pub(crate) fn in_memory() -> Self {
        Self(Arc::new(MemoryTrail::new(IN_MEMORY)))
    }

    /// The events that fit, in the order they happened; the latest `most` of them.
    pub(crate) async fn find(&self, search: &Search, most: usize) -> Result<Vec<Entry>> {
        self.flush().await;
        let all = self.0.find(&Query::default(), usize::MAX);
        let mut found: Vec<_> = all.iter().rev().map(Entry::of).filter(|entry| search.fits(entry)).take(most).collect();
        found.reverse();
        Ok(found)
    }

    /// A whole flow, from its consent page to its last step.
    pub(crate) async fn flow(&self, flow_id: &str) -> Result<Vec<Entry>> {
        let search = Search { flow: Some(flow_id.to_owned()), ..Search::default() };
        self.find(&search, usize::MAX).await
    }

    /// Returns when all that was recorded before can be found.
    #[allow(clippy::unused_async, reason = "what is queued must be waited for")]
    pub(crate) async fn flush(&self) {}
}

impl AsyncTrail for Trail {
    async fn record(&self, event: &Event) -> std::result::Result<(), Unrecorded> {
        AsyncTrail::record(&self.0, event).await
    }
}

impl Search {
    /// The seconds asked for, the end not included.
    fn span(&self) -> (u64, u64) {
        let around = self.around.map(Timestamp::from_unix_seconds);
        let (from, until) = Query { around, ..Query::default() }.span();
        (from.unix_seconds(), until.unix_seconds())
    }

    fn fits(&self, entry: &Entry) -> bool {
        let (from, until) = self.span();
        let is = |wanted: &Option<String>, own: Option<&String>| wanted.is_none() || wanted.as_ref() == own;
        (from..until).contains(&entry.at)
            && is(&self.client, entry.client.as_ref())
            && is(&self.error, entry.error.as_ref())
            && is(&self.flow, entry.flow.as_ref())
            && is(&self.correlation, Some(&entry.correlation))
            && is(&self.subject, entry.subject.as_ref())
    }
}

impl Entry {
    fn of(event: &Event) -> Self {
        let sent = event.sent.as_deref();
        Self {
            at: event.at.unix_seconds(),
            correlation: event.correlation.to_string(),
            flow: event.flow.map(|flow| flow.to_string()),
            kind: event.kind.name().to_owned(),
            reason: event.reason.map(|reason| reason.name().to_owned()),
            detail: event.detail.map(str::to_owned),
            client: event.client_id().map(str::to_owned),
            subject: event.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            status: sent.map(|sent| sent.status),
            error: sent.map(|sent| sent.error.to_owned()),
            description: sent.and_then(|sent| sent.description).map(str::to_owned),
            challenge: sent.and_then(|sent| sent.challenge.as_deref()).map(str::to_owned),
            note: event.note.as_deref().map(str::to_owned),
        }
    }
}
