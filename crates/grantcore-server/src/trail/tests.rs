//! The trail, in every database that can be had here: what is found, and what happens when it
//! cannot be kept.

use std::sync::Mutex;
use std::time::SystemTime;

use grantcore::blocking::Server;
use grantcore::{
    Endpoint, FromStore, GrantId, MemoryStore, Policy, Reason, Refusal, RegistrationRules,
    SentError, Subject,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::config::Database;
use crate::store::tests::databases::{Databases, file};

/// 2027-01-15 12:34:00 UTC.
const MINUTE: u64 = 1_800_016_440;

/// The minute it is: Redis goes by the time at which events are written, if not to the second.
fn this_minute() -> u64 {
    Timestamp::from(SystemTime::now()).unix_seconds() / 60 * 60
}

/// Events as a server makes them: those of a test differ in what it says. This one is the
/// operator's.
fn event(at: u64, change: impl FnOnce(&mut Event)) -> Event {
    let ask = |server: &Server<MemoryStore>| {
        drop(server.revoke_client("nobody", grantcore::RevokedBy::Administrator("")));
    };
    made(at, ask, |event| {
        event.claimed = None;
        event.note = None;
        event.reason = Some(Reason::ConnectionUnknown);
        change(event);
    })
}

/// The same of a request that anybody can send.
fn stranger(at: u64) -> Event {
    let refuse = |server: &Server<MemoryStore>| {
        let _ = server.refuse(Refusal::plain(Reason::RequestTooLarge, Endpoint::Token), None);
    };
    made(at, refuse, |_| {})
}

fn made(
    at: u64,
    step: impl FnOnce(&Server<MemoryStore>),
    change: impl FnOnce(&mut Event),
) -> Event {
    let seen = Arc::new(Mutex::new(None));
    let copy = Arc::clone(&seen);
    let policy = Policy::builder("https://auth.example")
        .scope("a", "A")
        .resource("https://mcp.example/mcp", "a")
        .registration(RegistrationRules::default())
        .build()
        .unwrap();
    let server = Server::new(policy, MemoryStore::new(), FromStore)
        .with_observer(move |event| *copy.lock().unwrap() = Some(event.clone()));
    step(&server);
    let mut event = seen.lock().unwrap().take().unwrap();
    event.at = Timestamp::from_unix_seconds(at);
    event.sent = None;
    change(&mut event);
    event
}

fn refused(at: u64, client: &str, error: &'static str) -> Event {
    event(at, |event| {
        event.claimed = Some(client.into());
        event.sent = Some(Box::new(SentError {
            status: 400,
            error: Some(error),
            description: None,
            challenge: None,
        }));
    })
}

/// A trail, and what it is kept in.
struct Fixture {
    trail: Trail,
    directory: TempDir,
}

impl Fixture {
    async fn on_disk(waits: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { trail: trail(&Database::Sqlite(file(&directory)), waits).await, directory }
    }

    /// Somebody else's connection to the file.
    fn other(&self) -> Connection {
        Connection::open(file(&self.directory)).unwrap()
    }
}

impl Trail {
    async fn keep(&self, event: &Event) {
        self.record(event, Place::default()).await.unwrap();
    }

    async fn found(&self, search: &Search) -> Vec<Entry> {
        self.find(search, usize::MAX).await.unwrap()
    }
}

async fn trail(database: &Database, waits: bool) -> Trail {
    Trail::open(&Backend::open(database, 10).await.unwrap(), waits)
}

/// An empty trail in each database that can be had here.
async fn trails(databases: &Databases) -> Vec<(&'static str, Trail)> {
    let mut trails = Vec::new();
    for (name, database) in &databases.all {
        trails.push((*name, trail(database, false).await));
    }
    trails
}

fn times(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.at).collect()
}

#[tokio::test]
async fn audit_03_a_case_is_found_by_client_minute_and_error() {
    let (databases, minute) = (Databases::start().await, this_minute());
    for (name, trail) in trails(&databases).await {
        for second in [minute - 61, minute - 60, minute + 30, minute + 119, minute + 120] {
            trail.keep(&refused(second, "app", "invalid_grant")).await;
        }
        trail.keep(&refused(minute, "other", "invalid_grant")).await;
        trail.keep(&refused(minute, "app", "invalid_client")).await;
        let (client, error) = (Some("app".to_owned()), Some("invalid_grant".to_owned()));
        for around in [minute, minute + 17, minute + 59] {
            let search = Search {
                client: client.clone(),
                error: error.clone(),
                around: Some(around),
                ..Search::default()
            };
            assert_eq!(
                times(&trail.found(&search).await),
                [minute - 60, minute + 30, minute + 119],
                "{name}"
            );
            let latest = trail.find(&search, 2).await.unwrap();
            assert_eq!(times(&latest), [minute + 30, minute + 119], "{name}");
        }
        let of_client = Search { client, ..Search::default() };
        assert_eq!(trail.found(&of_client).await.len(), 6, "{name}");
        let of_error = Search { error, around: Some(minute), ..Search::default() };
        assert_eq!(trail.found(&of_error).await.len(), 4, "{name}");
        assert_eq!(trail.found(&Search::default()).await.len(), 7, "{name}");
        let long_ago = Search { around: Some(minute - 86_400), ..Search::default() };
        assert_eq!(trail.found(&long_ago).await, [], "{name}");
        let nobodys = Search { client: Some("a\0b".to_owned()), ..Search::default() };
        assert_eq!(trail.found(&nobodys).await, [], "{name}");
    }
}

#[tokio::test]
async fn a_flow_is_found_whole_and_in_order_and_a_request_by_its_name() {
    let flows = [1, 2].map(|byte| GrantId::from_bytes([byte; 16]));
    let databases = Databases::start().await;
    for (name, trail) in trails(&databases).await {
        let mut all = Vec::new();
        for number in 0..6_u64 {
            let flow = Some(flows[usize::from(number % 2 == 1)]);
            // The clock of the host may be set back within a flow.
            all.push(event(MINUTE - number, |event| event.flow = flow));
            trail.keep(&all[usize::try_from(number).unwrap()]).await;
        }
        let own = trail.flow(&flows[0].to_string()).await.unwrap();
        assert_eq!(times(&own), [MINUTE, MINUTE - 2, MINUTE - 4], "{name}");
        assert!(own.iter().all(|entry| entry.flow == Some(flows[0].to_string())), "{name}");
        let third = all[2].correlation.to_string();
        let named =
            trail.found(&Search { correlation: Some(third.clone()), ..Search::default() }).await;
        assert_eq!((times(&named), &named[0].correlation), (vec![MINUTE - 2], &third), "{name}");
        for nothing in ["nothing", "a\0b"] {
            assert_eq!(trail.flow(nothing).await.unwrap(), [], "{name}");
        }
    }
}

/// More than is read or written at once.
#[tokio::test]
async fn however_many_there_are_they_are_found_in_order() {
    let databases = Databases::start().await;
    let flow = GrantId::from_bytes([7; 16]);
    for (name, trail) in trails(&databases).await {
        let expected: Vec<_> = (MINUTE..MINUTE + 2500).collect();
        for second in &expected {
            trail.keep(&event(*second, |event| event.flow = Some(flow))).await;
        }
        assert_eq!(times(&trail.flow(&flow.to_string()).await.unwrap()), expected, "{name}");
        assert_eq!(times(&trail.found(&Search::default()).await), expected, "{name}");
        assert_eq!(
            times(&trail.find(&Search::default(), 3).await.unwrap()),
            expected[2497..],
            "{name}"
        );
    }
}

#[tokio::test]
async fn audit_04_an_event_is_kept_as_it_was() {
    let full = event(MINUTE, |event| {
        event.detail = Some("redirect_uris".into());
        event.flow = Some(GrantId::from_bytes([7; 16]));
        event.claimed = Some("'; DROP TABLE trail; --".into());
        event.subject = Some(Subject::new("ålice"));
        event.note = Some("asked for\\n by mail".into());
        event.set_source("192.0.2.1");
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
    for (name, trail) in trails(&databases).await {
        trail.keep(&event(MINUTE, |_| {})).await;
        trail.keep(&full).await;
        let search = Search { subject: Some("ålice".to_owned()), ..Search::default() };
        let found = trail.found(&search).await;
        assert_eq!(found, [Entry::of(&full)], "{name}");
        let entry = &found[0];
        assert_eq!(
            (entry.kind.as_str(), entry.reason.as_deref()),
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
            (Some("'; DROP TABLE trail; --"), Some("redirect_uris"))
        );
    }
}

#[tokio::test]
async fn old_events_are_dropped_the_oldest_first_a_bit_at_a_time() {
    let databases = Databases::start().await;
    // Redis knows the time at which they were written, and no other.
    for (name, trail) in
        trails(&databases).await.into_iter().filter(|(name, _)| !name.starts_with("redis"))
    {
        let now = Timestamp::from_unix_seconds(MINUTE);
        let limit = usize::from(SWEPT_AT_ONCE);
        for _ in 0..limit {
            trail.keep(&event(MINUTE - 1000, |_| {})).await;
        }
        for age in [0, 99, 100, 101, 500] {
            trail.keep(&event(MINUTE - age, |_| {})).await;
        }
        trail.flush().await;
        let retention = Duration::from_secs(100);
        assert_eq!(trail.sweep(now, retention, u64::MAX).await.unwrap(), limit, "{name}");
        let left = trail.found(&Search::default()).await;
        assert_eq!(
            times(&left),
            [MINUTE - 500, MINUTE - 101, MINUTE - 100, MINUTE - 99, MINUTE],
            "{name}"
        );
        assert_eq!(trail.sweep(now, retention, u64::MAX).await.unwrap(), 2, "{name}");
        assert_eq!(trail.sweep(now, retention, u64::MAX).await.unwrap(), 0, "{name}");
        assert_eq!(trail.found(&Search::default()).await.len(), 3, "{name}");
        let since_ever = Duration::from_secs(u64::MAX);
        assert_eq!(trail.sweep(now, since_ever, u64::MAX).await.unwrap(), 0, "{name}");
    }
}

#[tokio::test]
async fn in_redis_events_are_old_by_when_they_were_written() {
    let databases = Databases::start().await;
    for (name, trail) in
        trails(&databases).await.into_iter().filter(|(name, _)| name.starts_with("redis"))
    {
        for _ in 0..3 {
            trail.keep(&event(1, |_| {})).await;
        }
        trail.flush().await;
        let (now, day) = (this_minute(), Duration::from_secs(86_400));
        assert_eq!(
            trail.sweep(Timestamp::from_unix_seconds(now), day, u64::MAX).await.unwrap(),
            0,
            "{name}"
        );
        assert_eq!(
            trail
                .sweep(Timestamp::from_unix_seconds(now + 2 * 86_400), day, u64::MAX)
                .await
                .unwrap(),
            3,
            "{name}"
        );
        assert_eq!(trail.found(&Search::default()).await, [], "{name}");
    }
}

/// The writer is held up while events queue up; one of them cannot be written, and takes those of
/// its transaction with it.
#[tokio::test]
async fn what_has_queued_up_is_written_in_one_transaction() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    let poison = "CREATE TRIGGER poison BEFORE INSERT ON trail WHEN NEW.note = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END";
    other.execute_batch(poison).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    fixture.trail.keep(&event(1, |_| {})).await;
    // The writer has taken the first and waits for the file.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for second in 2..100 {
        fixture
            .trail
            .keep(&event(second, |event| event.note = (second == 50).then(|| "poison".into())))
            .await;
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(times(&fixture.trail.found(&Search::default()).await), [1]);
    fixture.trail.keep(&event(100, |_| {})).await;
    assert_eq!(times(&fixture.trail.found(&Search::default()).await), [1, 100], "and it goes on");
}

#[tokio::test]
async fn audit_08_only_a_trail_that_waits_says_that_the_disk_failed() {
    for waits in [true, false] {
        let fixture = Fixture::on_disk(waits).await;
        fixture.trail.keep(&event(1, |_| {})).await;
        fixture.trail.flush().await;
        let other = fixture.other();
        other.execute_batch("ALTER TABLE trail RENAME TO gone").unwrap();
        assert_eq!(fixture.trail.record(&event(2, |_| {}), Place::default()).await.is_err(), waits);
        fixture.trail.flush().await;
        other.execute_batch("ALTER TABLE gone RENAME TO trail").unwrap();
        fixture.trail.keep(&event(3, |_| {})).await;
        if waits {
            let written: i64 =
                other.query_row("SELECT count(*) FROM trail", [], |row| row.get(0)).unwrap();
            assert_eq!(written, 2, "it is on the disk before it is recorded");
        }
        assert_eq!(times(&fixture.trail.found(&Search::default()).await), [1, 3]);
    }
}

/// The writer is held up until each place is taken: of strangers' events first, and of others then.
#[tokio::test]
async fn i46_a_full_queue_refuses_loses_nothing_that_it_took_and_keeps_the_places_apart() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut taken = [0, 0];
    // A registration: it is written, and so it is never only counted.
    let registration = |server: &Server<MemoryStore>| {
        let incoming = grantcore::RequestParts {
            method: "POST",
            content_type: Some(b"application/json"),
            body: br#"{"redirect_uris":["https://app.example/cb"],"token_endpoint_auth_method":"none"}"#,
            ..grantcore::RequestParts::default()
        };
        drop(server.register(&incoming).unwrap());
    };
    let strangers = || made(1, registration, |_| {});
    let flows = || event(1, |_| {});
    let makers: [&dyn Fn() -> Event; 2] = [&strangers, &flows];
    for (make, taken) in makers.into_iter().zip(&mut taken) {
        while fixture.trail.record(&make(), Place::default()).await.is_ok() {
            *taken += 1;
            assert!(*taken < 10_000, "the queue has no end");
        }
        assert!(fixture.trail.reserve(&make()).await.is_err());
        if *taken < 4096 {
            assert!(fixture.trail.reserve(&flows()).await.is_ok(), "others have places still");
        }
    }
    assert!((1024..4096).contains(&taken[0]) && taken[1] >= 4096, "{taken:?}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(fixture.trail.found(&Search::default()).await.len(), taken[0] + taken[1]);
    fixture.trail.keep(&flows()).await;
    assert_eq!(fixture.trail.found(&Search::default()).await.len(), taken[0] + taken[1] + 1);
}

/// A place that is reserved is one, whatever comes meanwhile.
#[tokio::test]
async fn audit_08_a_reserved_place_is_kept() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    let own = event(7, |_| {});
    let place = fixture.trail.reserve(&own).await.unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    while fixture.trail.record(&event(1, |_| {}), Place::default()).await.is_ok() {}
    assert!(fixture.trail.reserve(&own).await.is_err());
    fixture.trail.record(&own, place).await.unwrap();
    other.execute_batch("COMMIT").unwrap();
    let found = fixture.trail.found(&Search::default()).await;
    assert!(found.iter().any(|entry| entry.correlation == own.correlation.to_string()));
}

#[tokio::test]
async fn i45_a_step_that_arrives_twice_is_kept_once() {
    let databases = Databases::start().await;
    for (name, trail) in trails(&databases).await {
        let flow = GrantId::from_bytes([3; 16]);
        let twice = event(MINUTE, |event| event.flow = Some(flow));
        trail.keep(&twice).await;
        trail.flush().await;
        trail.keep(&twice).await;
        trail.abandoned(twice.clone());
        trail.keep(&event(MINUTE, |event| event.flow = Some(flow))).await;
        assert_eq!(trail.found(&Search::default()).await.len(), 2, "{name}");
        assert_eq!(trail.flow(&flow.to_string()).await.unwrap().len(), 2, "{name}");
    }
}

/// A flood of one reason: what is kept is bounded, all of it is counted, and nothing of a flow or of
/// another reason is lost.
#[tokio::test]
async fn i46_strangers_add_a_bounded_number_of_rows_and_displace_nothing() {
    let databases = Databases::start().await;
    let minute = this_minute();
    for (name, trail) in trails(&databases).await {
        let mut flood = stranger(minute);
        let (error, description, challenge) = ("invalid_request", None, None);
        flood.sent =
            Some(Box::new(SentError { status: 413, error: Some(error), description, challenge }));
        for number in 0..20_000 {
            trail.keep(&flood).await;
            if number % 4000 == 0 {
                trail.keep(&event(minute, |_| {})).await;
            }
        }
        let mut other = stranger(minute);
        other.reason = Some(Reason::ClientUnknown);
        trail.keep(&other).await;
        let found = trail.found(&Search::default()).await;
        let own = found.iter().filter(|entry| entry.attributed).count();
        assert_eq!(own, 5, "{name}");
        let unknown = found.iter().filter(|entry| {
            entry.reason.as_deref() == Some("client_unknown")
                && entry.correlation == other.correlation.to_string()
        });
        assert_eq!(unknown.count(), 1, "{name}: one reason hides no other");
        let counts: Vec<_> = found.iter().filter(|entry| entry.count > 0).collect();
        let kept = 20;
        assert_eq!((counts.len(), counts[0].count), (1, 20_000 - kept), "{name}");
        assert_eq!((counts[0].at, counts[0].status), (minute, Some(413)), "{name}");
        assert!(found.len() < strangers::ROWS_A_MINUTE, "{name}");
        trail.keep(&stranger(minute + 60)).await;
        let next = trail.found(&Search::default()).await;
        assert_eq!(next.len(), found.len() + 1, "{name}: a new minute is kept whole again");
    }
}

#[tokio::test]
async fn i46_where_there_are_too_many_events_those_of_strangers_go_first() {
    let databases = Databases::start().await;
    // Redis cuts its streams by itself.
    for (name, trail) in
        trails(&databases).await.into_iter().filter(|(name, _)| !name.starts_with("redis"))
    {
        let now = Timestamp::from_unix_seconds(MINUTE + 10);
        for second in MINUTE..MINUTE + 10 {
            trail.keep(&stranger(second)).await;
            trail.keep(&event(second, |_| {})).await;
        }
        let day = Duration::from_secs(86_400);
        let sweep = async |rows| trail.sweep(now, day, rows).await.unwrap();
        trail.flush().await;
        assert_eq!((sweep(20).await, sweep(16).await), (0, 4), "{name}");
        let found = trail.found(&Search::default()).await;
        let of = |attributed: bool| {
            found.iter().filter(|entry| entry.attributed == attributed).collect::<Vec<_>>()
        };
        assert_eq!((of(true).len(), of(false).len()), (10, 6), "{name}");
        assert_eq!(of(false)[0].at, MINUTE + 4, "{name}: the oldest first");
        assert_eq!(sweep(8).await, 8, "{name}");
        let found = trail.found(&Search::default()).await;
        assert!(found.iter().all(|entry| entry.attributed), "{name}");
        assert_eq!(times(&found), (MINUTE + 2..MINUTE + 10).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test]
async fn what_is_queued_is_written_when_the_trail_is_dropped() {
    let Fixture { trail, directory } = Fixture::on_disk(false).await;
    for second in 0..1000 {
        trail.record(&event(second, |_| {}), Place::default()).await.unwrap();
    }
    drop(trail);
    let other = Connection::open(file(&directory)).unwrap();
    let written =
        || other.query_row("SELECT count(*) FROM trail", [], |row| row.get::<_, i64>(0)).unwrap();
    for _ in 0..100 {
        if written() == 1000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of 1000", written());
}
