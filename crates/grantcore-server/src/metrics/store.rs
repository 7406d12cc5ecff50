//! The calls of the database: their latency, conflicts and errors, by operation.

use std::sync::Arc;
use std::time::Instant;

use ::metrics::{Counter, Histogram};
use grantcore::store::Commit;

use super::Register;

/// An operation of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    // Of the library's store.
    Client,
    Grant,
    Load,
    LoadGrants,
    Seen,
    GrantsOf,
    Commit,
    Account,
    RaiseEpoch,
    Sweep,
    // Of the host's own data.
    Balance,
    ChangeBalance,
    Accounts,
    Session,
    ChangeSession,
    ChangeWaiting,
    AppendEvents,
    FindEvents,
    DropEvents,
}

impl Call {
    const ALL: [Self; 19] = [
        Self::Client,
        Self::Grant,
        Self::Load,
        Self::LoadGrants,
        Self::Seen,
        Self::GrantsOf,
        Self::Commit,
        Self::Account,
        Self::RaiseEpoch,
        Self::Sweep,
        Self::Balance,
        Self::ChangeBalance,
        Self::Accounts,
        Self::Session,
        Self::ChangeSession,
        Self::ChangeWaiting,
        Self::AppendEvents,
        Self::FindEvents,
        Self::DropEvents,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Load => "load",
            Self::LoadGrants => "load_grants",
            Self::Seen => "seen",
            Self::GrantsOf => "grants_of",
            Self::Commit => "commit",
            Self::Account => "account",
            Self::RaiseEpoch => "raise_epoch",
            Self::Sweep => "sweep",
            Self::Balance => "balance",
            Self::ChangeBalance => "change_balance",
            Self::Accounts => "accounts",
            Self::Session => "session",
            Self::ChangeSession => "change_session",
            Self::ChangeWaiting => "change_waiting",
            Self::AppendEvents => "append_events",
            Self::FindEvents => "find_events",
            Self::DropEvents => "drop_events",
        }
    }
}

/// Measures calls of the database. Measures nothing by default.
#[derive(Clone, Default)]
pub(crate) struct Meter(Option<Arc<Measured>>);

struct Measured {
    /// In the order of [`Call::ALL`].
    calls: [(Histogram, Counter); Call::ALL.len()],
    conflicts: Counter,
}

impl Meter {
    pub(super) fn new(register: &Register) -> Self {
        let calls = Call::ALL.map(|call| {
            let labels = [("operation", call.name())];
            (
                register.histogram("grantcore_store_duration_seconds", &labels),
                register.counter("grantcore_store_errors_total", &labels),
            )
        });
        let conflicts = register.counter("grantcore_store_conflicts_total", &[]);
        Self(Some(Arc::new(Measured { calls, conflicts })))
    }

    /// Makes a call, and measures it.
    pub(crate) async fn timed<T, E>(
        &self,
        call: Call,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let measured = self.0.as_ref().map(|own| (own, Instant::now()));
        // At one place: the future has room for each of them.
        let answer = made.await;
        let Some((measured, begun)) = measured else { return answer };
        if let Some((duration, errors)) = measured.calls.get(call as usize) {
            duration.record(begun.elapsed());
            if answer.is_err() {
                errors.increment(1);
            }
        }
        answer
    }

    /// Makes a write, and counts it if it lost a race.
    pub(crate) async fn committed<E>(
        &self,
        made: impl Future<Output = Result<Commit, E>>,
    ) -> Result<Commit, E> {
        let answer = self.timed(Call::Commit, made).await;
        if let (Some(measured), Ok(Commit::Conflict)) = (&self.0, &answer) {
            measured.conflicts.increment(1);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use grantcore::store::Write;
    use grantcore::{Client, Store as _};

    use super::super::Metrics;
    use super::*;
    use crate::config::{Database, DatabaseTls};
    use crate::store::{Backend, Ledger as _};

    #[test]
    fn the_order_of_the_series_is_that_of_the_calls() {
        for (index, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as usize, index, "{call:?}");
        }
    }

    #[tokio::test]
    async fn calls_conflicts_and_errors_are_counted() {
        let metrics = Metrics::new(Duration::from_secs(600)).unwrap();
        let database = Database::Memory;
        let backend = Backend::open(&database, &DatabaseTls::default(), 10).await.unwrap();
        let backend = backend.measured(metrics.meter());
        let client = Client::public("app").redirect_uri("https://app.example/cb").build().unwrap();
        let write = Write::client(None, Arc::new(client));
        assert_eq!(backend.commit(&write).await.unwrap(), Commit::Done);
        assert_eq!(backend.commit(&write).await.unwrap(), Commit::Conflict);
        backend.ledger().balance("alice").await.unwrap();
        let failed: Result<(), _> =
            metrics.meter().timed(Call::Load, async { Err("the disk is full") }).await;
        assert!(failed.is_err());
        let text = metrics.0.handle.render();
        for line in [
            r#"grantcore_store_duration_seconds_count{operation="commit"} 2"#,
            r#"grantcore_store_duration_seconds_count{operation="balance"} 1"#,
            r#"grantcore_store_duration_seconds_count{operation="load"} 1"#,
            r#"grantcore_store_errors_total{operation="load"} 1"#,
            r#"grantcore_store_errors_total{operation="commit"} 0"#,
            "grantcore_store_conflicts_total 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}: {text}");
        }
    }
}
