//! The trail: every step of every flow, kept so that support finds a case by what its user can
//! quote: the client, the error, the minute.
//!
//! What lives here: how an event is kept and asked for. How it gets to the database is
//! `trail/queue.rs`'s, what it is there is the ledger's.

mod queue;
mod strangers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grantcore::{AuditError, AuditLog, AuditQuery, Event, EventClass, Timestamp, Written};

use serde::{Deserialize, Serialize};

use self::queue::{Place, Queue};
use crate::store::{Backend, BackendError, Ledger as _, SWEPT_AT_ONCE};

type Result<T> = std::result::Result<T, BackendError>;

/// Where events are kept: with the grants. A clone is another handle of the same.
#[derive(Clone)]
pub(crate) struct Trail(Arc<Queue>);

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What it wrote: `grant` or `client` and the version of the record, or `account`.
    pub(crate) written: Option<String>,
    /// Whether what it wrote is `durable`, or its fate `unknown`.
    pub(crate) fate: Option<String>,
    /// Whether it is of a live flow, a proven client or the operator. Others make room first.
    pub(crate) attributed: bool,
    /// How many events were counted in this one besides those that are kept; 0 for an event.
    pub(crate) count: u64,
}

impl Trail {
    /// A trail in this database. If it `waits`, no event is recorded before it is durable.
    pub(crate) fn open(backend: &Backend, waits: bool) -> Self {
        Self(Arc::new(Queue::start(backend.ledger().clone(), waits)))
    }

    /// The events that fit, in the order they happened; the latest `most` of them.
    pub(crate) async fn find(&self, search: &Search, limit: usize) -> Result<Vec<Entry>> {
        self.flush().await;
        self.0.ledger.find(search, limit).await
    }

    /// A whole flow in order, from its consent page to its last step.
    pub(crate) async fn flow(&self, flow_id: &str) -> Result<Vec<Entry>> {
        self.flush().await;
        self.0.ledger.flow(flow_id).await
    }

    /// Returns when all that was recorded before is written, as far as it ever will be.
    pub(crate) async fn flush(&self) {
        self.0.flush().await;
    }

    /// Drops some of the events that are older than `retention`, and some of those that are more
    /// than `most`, strangers' first. Returns how many, the greater of the two.
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        retention: Duration,
        limit: u64,
    ) -> Result<usize> {
        self.0.log_losses();
        let before =
            Timestamp::from_unix_seconds(now.unix_seconds().saturating_sub(retention.as_secs()));
        let old = self.0.ledger.drop_before(before, SWEPT_AT_ONCE.into()).await?;
        let over = self.0.ledger.drop_over(limit, SWEPT_AT_ONCE.into()).await?;
        Ok(old.max(over))
    }
}

/// Nothing of what is kept is shown.
impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trail")
    }
}

impl AuditLog for Trail {
    type Place = Place;

    async fn reserve(&self, event: &Event) -> std::result::Result<Place, AuditError> {
        self.0.reserve(event)
    }

    async fn record(&self, event: &Event, place: Place) -> std::result::Result<(), AuditError> {
        self.0.record(event, place).await
    }

    fn abandoned(&self, event: Event) {
        self.0.abandoned(&event);
    }
}

impl Search {
    /// The seconds asked for, the end not included; nothing if no time was named.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let around = Some(Timestamp::from_unix_seconds(self.around?));
        Some(AuditQuery { around, ..AuditQuery::default() }.span())
    }

    /// What must be exactly so, each with the name of its column.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let columns = [
            ("correlation", &self.correlation),
            ("flow", &self.flow),
            ("client", &self.client),
            ("subject", &self.subject),
            ("error", &self.error),
        ];
        columns.into_iter().filter_map(|(column, wanted)| Some((column, wanted.as_ref()?)))
    }

    /// Whether an event is one of those asked for, where no database can tell.
    pub(crate) fn fits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, own: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == own
        };
        let at = Timestamp::from_unix_seconds(entry.at);
        self.span().is_none_or(|(from, until)| (from..until).contains(&at))
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
        let written: Option<Written> = event.written.or(event.prepared);
        Self {
            at: event.at.unix_seconds(),
            correlation: event.correlation.to_string(),
            flow: event.flow.map(|flow| flow.to_string()),
            kind: event.kind.name().to_owned(),
            reason: event.reason.map(|reason| reason.name().to_owned()),
            detail: event.detail.as_deref().map(str::to_owned),
            client: event.client_id().map(str::to_owned),
            subject: event.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            status: sent.map(|sent| sent.status),
            error: event.error().map(str::to_owned),
            description: sent.and_then(|sent| sent.description.as_deref()).map(str::to_owned),
            challenge: sent.and_then(|sent| sent.challenge.as_deref()).map(str::to_owned),
            note: note(event),
            written: written.map(|written| written.record.to_string()),
            fate: written.map(|written| written.fate.name().to_owned()),
            attributed: event.class() == EventClass::Attributed,
            count: 0,
        }
    }
}

/// The note of an event, with what else is known of its sender: the source of the request, and the
/// metadata that were left out.
fn note(event: &Event) -> Option<String> {
    let source = event.source.as_ref().map(|source| format!("source {source}"));
    let dropped = &event.dropped;
    let dropped = (!dropped.is_empty()).then(|| format!("dropped: {}", dropped.join("; ")));
    let parts: Vec<_> =
        [event.note.as_deref().map(str::to_owned), source, dropped].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
