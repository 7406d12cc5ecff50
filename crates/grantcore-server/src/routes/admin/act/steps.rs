//! The steps of administrators that the library does not make, as entries of the audit log.

use std::time::SystemTime;

use grantcore::Timestamp;
use grantcore::moment::CorrelationId;

use crate::app::App;
use crate::audit::Entry;

/// Returns what the audit log keeps of an action: who did it, and why.
pub(crate) fn note(admin: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("by {admin}: {reason}"),
        None => format!("by {admin}"),
    }
}

/// Records what was done to an account.
pub(super) async fn of_account(app: &App, kind: &'static str, subject: &str, note: &str) {
    let subject = Some(subject.to_owned());
    keep(app, Entry { subject, ..entry(kind, note) }).await;
}

/// Records that a client was added.
pub(crate) async fn added(app: &App, client_id: &str, note: &str) {
    let client = Some(client_id.to_owned());
    keep(app, Entry { client, ..entry("client_added", note) }).await;
}

fn entry(kind: &'static str, note: &str) -> Entry {
    let now: Timestamp = SystemTime::now().into();
    let mut name = [0; 16];
    // Without randomness, the id is the time.
    if getrandom::fill(&mut name).is_err() {
        name[..8].copy_from_slice(&now.unix_seconds().to_be_bytes());
    }
    Entry {
        at: now.unix_seconds(),
        correlation: CorrelationId::from_bytes(name).to_string(),
        kind: kind.into(),
        note: Some(plain(note)),
        attributed: true,
        ..Entry::default()
    }
}

/// Returns a note without characters that a log line must not have.
fn plain(note: &str) -> String {
    note.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The step is made already. If its entry is lost, the log of the server has it.
async fn keep(app: &App, entry: Entry) {
    let (kind, subject, client) = (entry.kind.clone(), entry.subject.clone(), entry.client.clone());
    let kind = &*kind;
    tracing::info!(kind, subject, client, correlation = entry.correlation, "administration");
    if app.audit_log.keep_step(entry).await.is_err() {
        tracing::error!(kind, subject, client, "a step of an administrator was not recorded");
    }
}
