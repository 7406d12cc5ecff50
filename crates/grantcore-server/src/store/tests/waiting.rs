//! What waits for a browser, in every database that is available.

use std::time::{Duration, SystemTime};

use grantcore_testing_servers::PostgresPair;

use super::*;

/// Returns room for three rows of a source and for five in all.
fn room() -> Room {
    let bytes = row("", 0).bytes();
    Room { of_source: 3 * bytes, in_all: 5 * bytes }
}

/// Returns a row without a browser that expires `seconds` from now. Uses the real time, because
/// Redis expires keys by its own clock.
fn row(source: &str, seconds: u64) -> WaitingRow {
    WaitingRow {
        browser: None,
        source: source.to_owned(),
        value: r#""Ünter\u0000""#.to_owned(),
        expires: Timestamp::from(SystemTime::now()).unix_seconds() + seconds,
    }
}

/// Returns those of `digests` that wait, after the browser `one` claimed them.
async fn alive(ledger: &AnyLedger, digests: &[&'static str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for digest in digests {
        if ledger.claim_waiting(digest, "one").await.unwrap().is_some() {
            found.push(*digest);
        }
    }
    found
}

#[tokio::test]
async fn a_row_is_of_the_first_browser_and_is_taken_once() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        let ledger = backend.ledger();
        let waiting = row("home", 1000);
        ledger.add_waiting("a", &waiting, room()).await.unwrap();
        assert_eq!(ledger.claim_waiting("b", "one").await.unwrap(), None);
        assert_eq!(ledger.take_waiting("a", "one").await.unwrap(), None, "nobody claimed it");
        let claimed = Some(WaitingRow { browser: Some("one".to_owned()), ..waiting });
        for _ in 0..2 {
            assert_eq!(ledger.claim_waiting("a", "one").await.unwrap(), claimed);
        }
        assert_eq!(ledger.claim_waiting("a", "two").await.unwrap(), None);
        assert_eq!(ledger.take_waiting("a", "two").await.unwrap(), None);
        assert_eq!(ledger.take_waiting("a", "one").await.unwrap(), claimed);
        assert_eq!(ledger.take_waiting("a", "one").await.unwrap(), None);
        assert_eq!(ledger.claim_waiting("a", "one").await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_browsers_at_once_one_claims_a_row_and_takes_it_once() {
    let databases = Databases::start().await;
    for ((name, _), backend) in databases.all.iter().zip(backends(&databases).await) {
        let ledger = backend.ledger();
        ledger.add_waiting("a", &row("home", 1000), room()).await.unwrap();
        let calls = |take: bool| {
            (0..16).map(move |number| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    let browser = format!("browser {}", number % 4);
                    let found = if take {
                        ledger.take_waiting("a", &browser).await
                    } else {
                        ledger.claim_waiting("a", &browser).await
                    };
                    found.unwrap().and_then(|row| row.browser)
                })
            })
        };
        for (take, times) in [(false, 4), (true, 1)] {
            let mut owners = Vec::new();
            for call in calls(take).collect::<Vec<_>>() {
                owners.extend(call.await.unwrap());
            }
            assert_eq!(owners.len(), times, "{name}: {owners:?}");
            owners.dedup();
            assert_eq!(owners.len(), 1, "{name}: {owners:?}");
        }
    }
}

#[tokio::test]
async fn the_oldest_rows_make_room_first_those_of_the_same_source() {
    let databases = Databases::start().await;
    for ((name, _), backend) in databases.all.iter().zip(backends(&databases).await) {
        let ledger = backend.ledger();
        let all = ["a1", "b1", "b2", "b3", "b4", "c1", "c2"];
        for digest in &all[..5] {
            ledger.add_waiting(digest, &row(&digest[..1], 1000), room()).await.unwrap();
        }
        assert_eq!(alive(ledger, &all).await, ["a1", "b2", "b3", "b4"], "{name}: three of b");
        for digest in &all[5..] {
            ledger.add_waiting(digest, &row("c", 1000), room()).await.unwrap();
        }
        let left = alive(ledger, &all).await;
        assert!(!left.contains(&"a1"), "{name}: {left:?}");
        assert!(left.ends_with(&["b4", "c1", "c2"]) && left.len() <= 5, "{name}: {left:?}");
    }
}

#[tokio::test]
async fn a_row_that_is_over_is_dropped_and_no_other() {
    let databases = Databases::start().await;
    for ((name, database), backend) in databases.all.iter().zip(backends(&databases).await) {
        let ledger = backend.ledger();
        let soon = row("home", 2);
        ledger.add_waiting("soon", &soon, room()).await.unwrap();
        ledger.add_waiting("too", &soon, room()).await.unwrap();
        ledger.add_waiting("later", &row("home", 1000), room()).await.unwrap();
        if matches!(database, Database::Redis(_)) {
            tokio::time::sleep(Duration::from_secs(3)).await;
        } else {
            let before = Timestamp::from_unix_seconds(soon.expires - 1);
            assert_eq!(ledger.drop_waiting(before, 9).await.unwrap(), 0, "{name}");
            let over = Timestamp::from_unix_seconds(soon.expires);
            // One sweep of a database keeps to its limit.
            if !matches!(database, Database::Memory) {
                assert_eq!(ledger.drop_waiting(over, 1).await.unwrap(), 1, "{name}");
            }
            backend.sweep(over).await.unwrap();
        }
        assert_eq!(alive(ledger, &["soon", "too", "later"]).await, ["later"], "{name}");
    }
}

/// What waits is not on the standby. The table must work there all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l3_after_a_failover_of_postgresql_a_user_can_start_over() {
    let Some(mut pair) = PostgresPair::start(true) else { return };
    let database = Database::read(&pair.url()).unwrap();
    let backend = Backend::open(&database, &DatabaseTls::default(), 10).await.unwrap();
    let ledger = backend.ledger();
    ledger.add_waiting("before", &row("home", 1000), room()).await.unwrap();
    ledger.add_account("alice", 5).await.unwrap();

    tokio::task::block_in_place(|| pair.fail_over(Duration::ZERO));
    // Connections to the server that is gone fail once.
    for _ in 0..100 {
        if ledger.balance("alice").await.is_ok() {
            break;
        }
    }
    assert_eq!(ledger.balance("alice").await.unwrap(), Some(5));
    assert_eq!(ledger.claim_waiting("before", "one").await.unwrap(), None);
    ledger.add_waiting("after", &row("home", 1000), room()).await.unwrap();
    assert!(ledger.claim_waiting("after", "one").await.unwrap().is_some());
    assert!(ledger.take_waiting("after", "one").await.unwrap().is_some());
}
