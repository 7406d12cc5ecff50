//! Tests of the audit log in every database that is available: the search, the bounds, and a
//! failing database.

mod bounds;
mod events;
mod pages;

use std::time::SystemTime;

use grantcore::Reason;
use grantcore::client::UsedSecret;
use grantcore::event::{ClientProof, SentError};
use grantcore::value::{GrantId, SecretMethod, Subject};
use rusqlite::Connection;
use tempfile::TempDir;

use self::events::{event, refused};
use super::*;
use crate::config::{Database, DatabaseTls};
use crate::store::tests::databases::{Databases, file};

/// 2027-01-15 12:34:00 UTC.
const MINUTE: u64 = 1_800_016_440;

/// Returns the current minute. Redis searches by the time at which entries were written.
fn this_minute() -> u64 {
    Timestamp::from(SystemTime::now()).unix_seconds() / 60 * 60
}

/// An audit log, and the directory of its database.
struct Fixture {
    log: StoredAuditLog,
    directory: TempDir,
}

impl Fixture {
    async fn on_disk(waits: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { log: log(&Database::Sqlite(file(&directory)), waits).await, directory }
    }

    /// Opens another connection to the file.
    fn other(&self) -> Connection {
        Connection::open(file(&self.directory)).unwrap()
    }
}

impl StoredAuditLog {
    async fn keep(&self, event: &Event) {
        self.record(event, Place::default()).await.unwrap();
    }

    /// Returns all entries that match, the oldest first.
    async fn found(&self, search: &Search) -> Vec<Entry> {
        let mut found = self.find(search, None, usize::MAX).await.unwrap();
        assert_eq!(found.older, None);
        found.entries.reverse();
        found.entries
    }
}

async fn log(database: &Database, waits: bool) -> StoredAuditLog {
    StoredAuditLog::open(
        &Backend::open(database, &DatabaseTls::default(), 10).await.unwrap(),
        waits,
    )
}

/// Returns an empty audit log in each database that is available.
async fn audit_logs(databases: &Databases) -> Vec<(&'static str, StoredAuditLog)> {
    let mut audit_logs = Vec::new();
    for (name, database) in &databases.all {
        audit_logs.push((*name, log(database, false).await));
    }
    audit_logs
}

fn times(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.at).collect()
}

#[tokio::test]
async fn audit_03_a_case_is_found_by_client_minute_and_error() {
    let databases = Databases::start().await;
    let minute = this_minute();
    for (name, log) in audit_logs(&databases).await {
        for second in [minute - 61, minute - 60, minute + 30, minute + 119, minute + 120] {
            log.keep(&refused(second, "app", "invalid_grant")).await;
        }
        log.keep(&refused(minute, "other", "invalid_grant")).await;
        log.keep(&refused(minute, "app", "invalid_client")).await;
        let client = Some("app".to_owned());
        let error = Some("invalid_grant".to_owned());
        for around in [minute, minute + 17, minute + 59] {
            let search = Search {
                client: client.clone(),
                error: error.clone(),
                around: Some(around),
                ..Search::default()
            };
            assert_eq!(
                times(&log.found(&search).await),
                [minute - 60, minute + 30, minute + 119],
                "{name}"
            );
            let latest = log.find(&search, None, 2).await.unwrap();
            assert_eq!(times(&latest.entries), [minute + 119, minute + 30], "{name}");
        }
        let of_client = Search { client, ..Search::default() };
        assert_eq!(log.found(&of_client).await.len(), 6, "{name}");
        let of_error = Search { error, around: Some(minute), ..Search::default() };
        assert_eq!(log.found(&of_error).await.len(), 4, "{name}");
        assert_eq!(log.found(&Search::default()).await.len(), 7, "{name}");
        let long_ago = Search { around: Some(minute - 86_400), ..Search::default() };
        assert_eq!(log.found(&long_ago).await, [], "{name}");
        let unknown = Search { client: Some("a\0b".to_owned()), ..Search::default() };
        assert_eq!(log.found(&unknown).await, [], "{name}");
    }
}

#[tokio::test]
async fn a_flow_is_found_in_order_and_a_request_by_its_correlation_id() {
    let flows = [1, 2].map(|byte| GrantId::from_bytes([byte; 16]));
    let databases = Databases::start().await;
    for (name, log) in audit_logs(&databases).await {
        let mut all = Vec::new();
        for number in 0..6_u64 {
            let flow = Some(flows[usize::from(number % 2 == 1)]);
            // The clock of the host may be set back within a flow.
            all.push(event(MINUTE - number, |event| event.flow = flow));
            log.keep(&all[usize::try_from(number).unwrap()]).await;
        }
        let own = log.flow(&flows[0].to_string()).await.unwrap();
        assert_eq!(times(&own), [MINUTE, MINUTE - 2, MINUTE - 4], "{name}");
        assert!(own.iter().all(|entry| entry.flow == Some(flows[0].to_string())), "{name}");
        let third = all[2].correlation.to_string();
        let named =
            log.found(&Search { reference: Some(third.clone()), ..Search::default() }).await;
        assert_eq!((times(&named), &named[0].correlation), (vec![MINUTE - 2], &third), "{name}");
        for nothing in ["nothing", "a\0b"] {
            assert_eq!(log.flow(nothing).await.unwrap(), [], "{name}");
        }
    }
}

/// There are more events than are read or written at once.
#[tokio::test]
async fn many_events_are_found_in_order() {
    let databases = Databases::start().await;
    let flow = GrantId::from_bytes([7; 16]);
    for (name, log) in audit_logs(&databases).await {
        let expected: Vec<_> = (MINUTE..MINUTE + 2500).collect();
        for second in &expected {
            log.keep(&event(*second, |event| event.flow = Some(flow))).await;
        }
        assert_eq!(times(&log.flow(&flow.to_string()).await.unwrap()), expected, "{name}");
        assert_eq!(times(&log.found(&Search::default()).await), expected, "{name}");
        let latest = log.find(&Search::default(), None, 3).await.unwrap();
        assert_eq!(times(&latest.entries), [MINUTE + 2499, MINUTE + 2498, MINUTE + 2497], "{name}");
    }
}

#[tokio::test]
async fn audit_04_an_event_is_kept_as_it_was() {
    let full = event(MINUTE, |event| {
        event.detail = Some("redirect_uris".into());
        event.flow = Some(GrantId::from_bytes([7; 16]));
        event.claimed = Some("'; DROP TABLE audit_log; --".into());
        event.subject = Some(Subject::new("ålice"));
        event.note = Some("asked for\\n by mail".into());
        event.set_source("192.0.2.1");
        event.proof =
            Some(ClientProof::Secret { method: SecretMethod::Basic, secret: UsedSecret::Retiring });
        event.dropped = vec!["logo_uri".into(), "scope 'openid'".into()];
        let description = Some("Too \"much\".".into());
        let challenge = Some("Bearer error=\"invalid_token\"".into());
        event.sent = Some(Box::new(SentError {
            status: 401,
            error: Some("invalid_token"),
            description,
            challenge,
        }));
    });
    let databases = Databases::start().await;
    for (name, log) in audit_logs(&databases).await {
        log.keep(&event(MINUTE, |_| {})).await;
        log.keep(&full).await;
        let search = Search { subject: Some("ålice".to_owned()), ..Search::default() };
        let found = log.found(&search).await;
        assert_eq!(found, [Entry::of(&full)], "{name}");
        let entry = &found[0];
        assert_eq!(
            (&*entry.kind, entry.reason.as_deref()),
            ("refused", Some(Reason::ConnectionUnknown.name()))
        );
        assert_eq!(
            (entry.status, entry.error.as_deref(), entry.note.as_deref()),
            (
                Some(401),
                Some("invalid_token"),
                Some("asked for\\n by mail; source 192.0.2.1; dropped: logo_uri; scope 'openid'")
            )
        );
        assert_eq!(entry.challenge.as_deref(), Some("Bearer error=\"invalid_token\""));
        assert_eq!(
            (entry.client.as_deref(), entry.detail.as_deref()),
            (
                Some("'; DROP TABLE audit_log; --"),
                Some("redirect_uris Proof: client_secret_basic (retiring).")
            )
        );
    }
}

#[tokio::test]
async fn old_events_are_dropped_oldest_first_a_bounded_number_at_a_time() {
    let databases = Databases::start().await;
    // Redis knows only the time at which entries were written.
    for (name, log) in
        audit_logs(&databases).await.into_iter().filter(|(name, _)| !name.starts_with("redis"))
    {
        let now = Timestamp::from_unix_seconds(MINUTE);
        let limit = usize::from(SWEPT_AT_ONCE);
        for _ in 0..limit {
            log.keep(&event(MINUTE - 1000, |_| {})).await;
        }
        for age in [0, 99, 100, 101, 500] {
            log.keep(&event(MINUTE - age, |_| {})).await;
        }
        log.flush().await;
        let retention = Duration::from_secs(100);
        assert_eq!(log.sweep(now, retention, u64::MAX).await.unwrap(), limit, "{name}");
        let left = log.found(&Search::default()).await;
        assert_eq!(
            times(&left),
            [MINUTE - 500, MINUTE - 101, MINUTE - 100, MINUTE - 99, MINUTE],
            "{name}"
        );
        assert_eq!(log.sweep(now, retention, u64::MAX).await.unwrap(), 2, "{name}");
        assert_eq!(log.sweep(now, retention, u64::MAX).await.unwrap(), 0, "{name}");
        assert_eq!(log.found(&Search::default()).await.len(), 3, "{name}");
        let unlimited = Duration::from_secs(u64::MAX);
        assert_eq!(log.sweep(now, unlimited, u64::MAX).await.unwrap(), 0, "{name}");
    }
}

#[tokio::test]
async fn redis_drops_events_by_the_time_at_which_they_were_written() {
    let databases = Databases::start().await;
    for (name, log) in
        audit_logs(&databases).await.into_iter().filter(|(name, _)| name.starts_with("redis"))
    {
        for _ in 0..3 {
            log.keep(&event(1, |_| {})).await;
        }
        log.flush().await;
        let now = this_minute();
        let day = Duration::from_secs(86_400);
        assert_eq!(
            log.sweep(Timestamp::from_unix_seconds(now), day, u64::MAX).await.unwrap(),
            0,
            "{name}"
        );
        assert_eq!(
            log.sweep(Timestamp::from_unix_seconds(now + 2 * 86_400), day, u64::MAX).await.unwrap(),
            3,
            "{name}"
        );
        assert_eq!(log.found(&Search::default()).await, [], "{name}");
    }
}

/// The writer is blocked while events queue up. One of them cannot be written, so the whole
/// transaction is lost.
#[tokio::test]
async fn queued_events_are_written_in_one_transaction() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    let poison = "CREATE TRIGGER poison BEFORE INSERT ON audit_log WHEN NEW.note = 'poison' \
                  BEGIN SELECT RAISE(ABORT, 'poison'); END";
    other.execute_batch(poison).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    fixture.log.keep(&event(1, |_| {})).await;
    // The writer has taken the first event and waits for the file.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for second in 2..100 {
        fixture
            .log
            .keep(&event(second, |event| event.note = (second == 50).then(|| "poison".into())))
            .await;
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(times(&fixture.log.found(&Search::default()).await), [1]);
    fixture.log.keep(&event(100, |_| {})).await;
    let found = fixture.log.found(&Search::default()).await;
    assert_eq!(times(&found), [1, 100], "later events are written");
}

#[tokio::test]
async fn audit_08_only_a_waiting_log_reports_a_failed_write() {
    for waits in [true, false] {
        let fixture = Fixture::on_disk(waits).await;
        fixture.log.keep(&event(1, |_| {})).await;
        fixture.log.flush().await;
        let other = fixture.other();
        other.execute_batch("ALTER TABLE audit_log RENAME TO gone").unwrap();
        assert_eq!(fixture.log.record(&event(2, |_| {}), Place::default()).await.is_err(), waits);
        fixture.log.flush().await;
        other.execute_batch("ALTER TABLE gone RENAME TO audit_log").unwrap();
        fixture.log.keep(&event(3, |_| {})).await;
        if waits {
            let written: i64 =
                other.query_row("SELECT count(*) FROM audit_log", [], |row| row.get(0)).unwrap();
            assert_eq!(written, 2, "recording returns after the event is on the disk");
        }
        assert_eq!(times(&fixture.log.found(&Search::default()).await), [1, 3]);
    }
}

/// A reserved place can be used even if the queue fills up in between.
#[tokio::test]
async fn audit_08_a_reserved_place_is_kept() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    let own = event(7, |_| {});
    let place = fixture.log.reserve(&own).await.unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    while fixture.log.record(&event(1, |_| {}), Place::default()).await.is_ok() {}
    assert!(fixture.log.reserve(&own).await.is_err());
    fixture.log.record(&own, place).await.unwrap();
    other.execute_batch("COMMIT").unwrap();
    let found = fixture.log.found(&Search::default()).await;
    assert!(found.iter().any(|entry| entry.correlation == own.correlation.to_string()));
}

#[tokio::test]
async fn i45_an_event_that_arrives_twice_is_stored_once() {
    let databases = Databases::start().await;
    for (name, log) in audit_logs(&databases).await {
        let flow = GrantId::from_bytes([3; 16]);
        let twice = event(MINUTE, |event| event.flow = Some(flow));
        log.keep(&twice).await;
        log.flush().await;
        log.keep(&twice).await;
        log.abandoned(twice.clone());
        log.keep(&event(MINUTE, |event| event.flow = Some(flow))).await;
        assert_eq!(log.found(&Search::default()).await.len(), 2, "{name}");
        assert_eq!(log.flow(&flow.to_string()).await.unwrap().len(), 2, "{name}");
    }
}

#[tokio::test]
async fn queued_events_are_written_when_the_log_is_dropped() {
    let Fixture { log, directory } = Fixture::on_disk(false).await;
    for second in 0..1000 {
        log.record(&event(second, |_| {}), Place::default()).await.unwrap();
    }
    drop(log);
    let other = Connection::open(file(&directory)).unwrap();
    let written = || {
        other.query_row("SELECT count(*) FROM audit_log", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for _ in 0..100 {
        if written() == 1000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of 1000", written());
}
