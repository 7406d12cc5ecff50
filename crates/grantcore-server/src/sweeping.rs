//! The task that drops what is over: expired records, and old events of the audit log.

use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::audit::StoredAuditLog;
use crate::store::{self, Backend};

/// The pause between two sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// How much of the audit log is kept.
#[derive(Clone, Copy)]
pub(crate) struct AuditBounds {
    pub(crate) retention: Duration,
    pub(crate) events: u64,
}

/// Drops expired records and old events, a bounded number at a time.
pub(crate) async fn sweep(
    backend: Backend,
    audit_log: StoredAuditLog,
    bounds: AuditBounds,
    stop: CancellationToken,
) {
    let mut turns = tokio::time::interval(SWEEP_EVERY);
    while stop.run_until_cancelled(turns.tick()).await.is_some() {
        while let Some(dropped) = swept(&backend, &audit_log, bounds).await {
            tracing::debug!(dropped, "swept");
            if stop.is_cancelled() {
                return;
            }
        }
    }
}

/// Returns how many were dropped. Returns `None` if there is nothing more to drop, or on an error.
async fn swept(
    backend: &Backend,
    audit_log: &StoredAuditLog,
    bounds: AuditBounds,
) -> Option<usize> {
    let now = SystemTime::now().into();
    let events = audit_log.sweep(now, bounds.retention, bounds.events).await;
    let dropped = match (backend.sweep(now).await, events) {
        (Ok(records), Ok(events)) => Ok(records + events),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match dropped {
        Ok(dropped) => Some(dropped).filter(|dropped| *dropped >= store::SWEPT_AT_ONCE.into()),
        Err(error) => {
            tracing::error!(%error, "the sweep failed");
            None
        }
    }
}
