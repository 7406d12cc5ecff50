//! Tests of I46: the places of the queue, the rows of a flood, and the limit of entries.

use grantcore::MemoryStore;
use grantcore::blocking::Server;

use super::events::{made, unattributed};
use super::*;

/// The writer is blocked until all places are taken: first those of unattributed events, then those
/// of attributed events.
#[tokio::test]
async fn i46_a_full_queue_refuses_events_and_loses_none_that_it_took() {
    let fixture = Fixture::on_disk(false).await;
    let other = fixture.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut taken = [0, 0];
    // A registration writes a record, so its event is never only counted.
    let register = |server: &Server<MemoryStore>| {
        let body = br#"{"redirect_uris":["https://app.example/cb"],
            "token_endpoint_auth_method":"none"}"#;
        let request = grantcore::RequestParts {
            method: "POST",
            content_type: grantcore::ContentType::JSON,
            body,
            ..grantcore::RequestParts::default()
        };
        drop(server.register(&request).unwrap());
    };
    let registrations = || made(1, register, |_| {});
    let attributed = || event(1, |_| {});
    let makers: [&dyn Fn() -> Event; 2] = [&registrations, &attributed];
    for (make, taken) in makers.into_iter().zip(&mut taken) {
        while fixture.log.record(&make(), Place::default()).await.is_ok() {
            *taken += 1;
            assert!(*taken < 10_000, "the queue is not bounded");
        }
        assert!(fixture.log.reserve(&make()).await.is_err());
        if *taken < 4096 {
            let reserved = fixture.log.reserve(&attributed()).await;
            assert!(reserved.is_ok(), "attributed events still have places");
        }
    }
    assert!((1024..4096).contains(&taken[0]) && taken[1] >= 4096, "{taken:?}");
    assert_eq!(fixture.log.queued(), (4096, 1024), "as the metrics report it");
    assert_eq!(fixture.log.dropped(), 2, "one event of each class");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(fixture.log.found(&Search::default()).await.len(), taken[0] + taken[1]);
    assert_eq!(fixture.log.queued(), (0, 0));
    fixture.log.keep(&attributed()).await;
    assert_eq!(fixture.log.found(&Search::default()).await.len(), taken[0] + taken[1] + 1);
}

/// A flood of one reason adds a bounded number of rows. All of its events are counted, and no event
/// of a flow or of another reason is lost.
#[tokio::test]
async fn i46_unattributed_events_add_a_bounded_number_of_rows_and_displace_nothing() {
    let databases = Databases::start().await;
    let minute = this_minute();
    for (name, log) in audit_logs(&databases).await {
        let mut flood = unattributed(minute);
        flood.sent = Some(Box::new(SentError {
            status: 413,
            error: Some("invalid_request"),
            description: None,
            challenge: None,
        }));
        for number in 0..20_000 {
            log.keep(&flood).await;
            if number % 4000 == 0 {
                log.keep(&event(minute, |_| {})).await;
            }
        }
        let mut other = unattributed(minute);
        other.reason = Some(Reason::ClientUnknown);
        log.keep(&other).await;
        let found = log.found(&Search::default()).await;
        let own = found.iter().filter(|entry| entry.attributed).count();
        assert_eq!(own, 5, "{name}");
        let unknown = found.iter().filter(|entry| {
            entry.reason.as_deref() == Some("client_unknown")
                && entry.correlation == other.correlation.to_string()
        });
        assert_eq!(unknown.count(), 1, "{name}: a flood of one reason does not hide another");
        let counts: Vec<_> = found.iter().filter(|entry| entry.count > 0).collect();
        let kept = 20;
        assert_eq!((counts.len(), counts[0].count), (1, 20_000 - kept), "{name}");
        assert_eq!((counts[0].at, counts[0].status), (minute, Some(413)), "{name}");
        assert!(found.len() < unattributed::ROWS_A_MINUTE, "{name}");
        log.keep(&unattributed(minute + 60)).await;
        let next = log.found(&Search::default()).await;
        assert_eq!(next.len(), found.len() + 1, "{name}: the next minute stores events again");
    }
}

#[tokio::test]
async fn i46_beyond_the_limit_unattributed_events_are_dropped_first() {
    let databases = Databases::start().await;
    // Redis trims its streams by itself.
    for (name, log) in
        audit_logs(&databases).await.into_iter().filter(|(name, _)| !name.starts_with("redis"))
    {
        let now = Timestamp::from_unix_seconds(MINUTE + 10);
        for second in MINUTE..MINUTE + 10 {
            log.keep(&unattributed(second)).await;
            log.keep(&event(second, |_| {})).await;
        }
        let day = Duration::from_secs(86_400);
        let sweep = async |rows| log.sweep(now, day, rows).await.unwrap();
        log.flush().await;
        assert_eq!((sweep(20).await, sweep(16).await), (0, 4), "{name}");
        let found = log.found(&Search::default()).await;
        let of = |attributed: bool| {
            found.iter().filter(|entry| entry.attributed == attributed).collect::<Vec<_>>()
        };
        assert_eq!((of(true).len(), of(false).len()), (10, 6), "{name}");
        assert_eq!(of(false)[0].at, MINUTE + 4, "{name}: the oldest first");
        assert_eq!(sweep(8).await, 8, "{name}");
        let found = log.found(&Search::default()).await;
        assert!(found.iter().all(|entry| entry.attributed), "{name}");
        assert_eq!(times(&found), (MINUTE + 2..MINUTE + 10).collect::<Vec<_>>(), "{name}");
    }
}
