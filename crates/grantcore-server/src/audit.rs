//! The audit log: every step of every flow. Support finds a case by what its user can quote: the
//! client, the error and the minute.
//!
//! Here: the form of an entry. What waits to become one is in `audit/item.rs`, the search in
//! `audit/search.rs`, the queue to the database in `audit/queue.rs`; the tables are the ledger's.

mod item;
mod queue;
mod search;
#[cfg(test)]
mod tests;
mod unattributed;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use grantcore::audit::AuditError;
use grantcore::event::{EventClass, Written};
use grantcore::{AuditLog, Event, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::item::{Item, Name};
use self::queue::{Place, Queue};
pub(crate) use self::search::{Found, Position, Search, Value};
use crate::store::{Backend, BackendError, Ledger as _, SWEPT_AT_ONCE};

type Result<T> = std::result::Result<T, BackendError>;

/// The audit log of the server, in the database of the grants. Clones share it.
#[derive(Clone)]
pub(crate) struct StoredAuditLog(Arc<Queue>);

/// A sign-in of a user of the identity provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignIn<'a> {
    /// The reference that a page and the log have.
    pub(crate) reference: &'a str,
    /// Why the user may not sign in, if so.
    pub(crate) refused: Option<&'a str>,
    /// The account, or the `sub` at the provider of a user without one.
    pub(crate) subject: &'a str,
    pub(crate) source: &'a str,
}

/// One event, as it is stored and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The time of the event in Unix seconds, by the server's clock.
    pub(crate) at: u64,
    pub(crate) correlation: String,
    pub(crate) flow: Option<String>,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) reason: Option<Cow<'static, str>>,
    pub(crate) detail: Option<String>,
    /// The client, known or claimed.
    pub(crate) client: Option<String>,
    pub(crate) subject: Option<String>,
    /// The status of the response, if it was a refusal.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<Cow<'static, str>>,
    pub(crate) description: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) note: Option<String>,
    /// The record that was written: `grant` or `client` with its version, or `account`.
    pub(crate) written: Option<String>,
    /// The durability of the write: `durable` or `unknown`.
    pub(crate) durability: Option<Cow<'static, str>>,
    /// Whether the event belongs to a live flow, an authenticated client or the operator. Other
    /// events are dropped first.
    pub(crate) attributed: bool,
    /// The number of events that this entry counts. 0 for a single event.
    pub(crate) count: u64,
}

impl StoredAuditLog {
    /// Opens the audit log in this database. If `waits` is set, recording an event waits until the
    /// event is durable.
    pub(crate) fn open(backend: &Backend, waits: bool) -> Self {
        Self(Arc::new(Queue::start(backend.ledger().clone(), waits)))
    }

    /// Returns up to `limit` entries that match, before this place: the newest first.
    pub(crate) async fn find(
        &self,
        search: &Search,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Found> {
        self.flush().await;
        // One more shows whether there is another page.
        let found = self.0.ledger.find(search, before, limit.saturating_add(1)).await?;
        Ok(Found::page(found, limit))
    }

    /// Records a step of an administrator that this server makes itself, such as the suspension of
    /// an account.
    pub(crate) async fn keep_step(&self, entry: Entry) -> std::result::Result<(), AuditError> {
        self.0.keep_step(entry).await
    }

    /// Returns whether a step may be made now. It may not if every step must be recorded and the
    /// last write of events failed.
    pub(crate) fn admits(&self) -> bool {
        self.0.admits()
    }

    /// Returns all entries of a flow in order.
    pub(crate) async fn flow(&self, flow_id: &str) -> Result<Vec<Entry>> {
        self.flush().await;
        self.0.ledger.flow(flow_id).await
    }

    /// Records a sign-in with the identity provider. Only the provider's users cause one.
    pub(crate) fn sign_in(&self, sign_in: &SignIn<'_>, now: Timestamp) {
        self.0.add(Entry::of_sign_in(sign_in, now));
    }

    /// Waits until all events recorded before are written or lost.
    pub(crate) async fn flush(&self) {
        self.0.flush().await;
    }

    /// Returns how many attributed and how many unattributed events wait to be written.
    pub(crate) fn queued(&self) -> (usize, usize) {
        self.0.queued()
    }

    /// Returns how many events were lost since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Drops entries older than `retention`, and entries beyond `limit`, unattributed ones first. A
    /// call drops a bounded number of each, and returns the greater of the two numbers.
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

/// Shows no entry.
impl fmt::Debug for StoredAuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredAuditLog")
    }
}

impl AuditLog for StoredAuditLog {
    type Reservation = Place;

    async fn reserve(&self, event: &Event) -> std::result::Result<Place, AuditError> {
        self.0.reserve(event)
    }

    async fn record(&self, event: &Event, place: Place) -> std::result::Result<(), AuditError> {
        self.0.record(event, place).await
    }

    fn abandoned(&self, event: Event) {
        self.0.abandoned(event);
    }
}

impl Entry {
    fn of_sign_in(sign_in: &SignIn<'_>, now: Timestamp) -> Self {
        let SignIn { reference, refused, subject, source } = sign_in;
        Self {
            at: now.unix_seconds(),
            correlation: (*reference).to_owned(),
            kind: if refused.is_some() { "sign_in_refused" } else { "signed_in" }.into(),
            subject: Some((*subject).to_owned()),
            note: Some(match refused {
                Some(why) => format!("{why}; source {source}"),
                None => format!("source {source}"),
            }),
            attributed: true,
            ..Self::default()
        }
    }

    fn of(event: &Event) -> Self {
        let sent = event.sent.as_deref();
        let written: Option<Written> = event.written.or(event.prepared);
        Self {
            at: event.at.unix_seconds(),
            correlation: event.correlation.to_string(),
            flow: event.flow.as_ref().map(ToString::to_string),
            kind: event.kind.name().into(),
            reason: event.reason.map(|reason| reason.name().into()),
            detail: detail(event),
            client: event.client_id().map(str::to_owned),
            subject: event.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            status: sent.map(|sent| sent.status),
            error: event.error().map(Cow::Borrowed),
            description: sent.and_then(|sent| sent.description.as_deref()).map(str::to_owned),
            challenge: sent.and_then(|sent| sent.challenge.as_deref()).map(str::to_owned),
            note: note(event),
            written: written.map(|written| written.record.to_string()),
            durability: written.map(|written| written.durability.name().into()),
            attributed: event.class() == EventClass::Attributed,
            count: 0,
        }
    }
}

/// The mark before the proof in the detail of an entry.
const PROOF: &str = "Proof: ";

impl Entry {
    /// Takes what the client proved itself with out of the detail.
    pub(crate) fn take_proof(&mut self) -> Option<String> {
        let detail = self.detail.take()?;
        // The client chooses the name of its key, which may contain the mark. So the first mark
        // counts.
        let Some((before, proof)) = detail.split_once(PROOF) else {
            self.detail = Some(detail);
            return None;
        };
        self.detail = Some(before.trim_end().to_owned()).filter(|own| !own.is_empty());
        Some(proof.strip_suffix('.').unwrap_or(proof).to_owned())
    }
}

/// Returns the detail of an event, with what the client proved itself with.
fn detail(event: &Event) -> Option<String> {
    let proof = event.proof.as_ref().map(|proof| format!("{PROOF}{proof}."));
    match (event.detail.as_deref(), proof) {
        (Some(detail), Some(proof)) => Some(format!("{detail} {proof}")),
        (detail, proof) => detail.map(str::to_owned).or(proof),
    }
}

/// Returns the note of an event, with the source of the request and the client metadata that were
/// dropped.
fn note(event: &Event) -> Option<String> {
    let source = event.source.as_ref().map(|source| ["source ", source].concat());
    let dropped = &event.dropped;
    // Nearly all events have nothing else.
    if event.note.is_none() && dropped.is_empty() {
        return source;
    }
    let dropped = (!dropped.is_empty()).then(|| format!("dropped: {}", dropped.join("; ")));
    let parts: Vec<_> =
        [event.note.as_deref().map(str::to_owned), source, dropped].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
