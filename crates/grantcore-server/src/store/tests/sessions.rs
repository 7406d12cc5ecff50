//! Sessions, in every database that is available.

use std::time::SystemTime;

use super::*;

/// Returns a session of `subject` that expires `seconds` from now. Uses the real time, because
/// Redis expires keys by its own clock.
fn row(subject: &str, seconds: u64) -> SessionRow {
    let expires = Timestamp::from(SystemTime::now()).unix_seconds() + seconds;
    SessionRow {
        subject: subject.to_owned(),
        credential: "p".to_owned(),
        name: (seconds == 1000).then(|| "Ünter".to_owned()),
        is_admin: seconds == 1000,
        expires,
    }
}

/// Returns those of `digests` that have a session.
async fn found(ledger: &AnyLedger, digests: &[&'static str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for digest in digests {
        if ledger.session(digest).await.unwrap().is_some() {
            found.push(*digest);
        }
    }
    found
}

#[tokio::test]
async fn a_session_is_found_until_it_is_ended() {
    let databases = Databases::start().await;
    for backend in &backends(&databases).await {
        let ledger = backend.ledger();
        let alice = row("alice", 1000);
        ledger.open_session("one", &alice, None, 9).await.unwrap();
        assert_eq!(ledger.session("one").await.unwrap(), Some(alice.clone()));
        assert_eq!(ledger.session("two").await.unwrap(), None);
        ledger.open_session("two", &alice, Some("one"), 9).await.unwrap();
        assert_eq!(found(ledger, &["one", "two"]).await, ["two"]);
        ledger.open_session("bobs", &row("bob", 1000), Some("two"), 9).await.unwrap();
        assert_eq!(
            found(ledger, &["two", "bobs"]).await,
            ["bobs"],
            "the session of the same browser is replaced, also that of another user"
        );
        ledger.open_session("other", &alice, Some("unknown"), 9).await.unwrap();
        for _ in 0..2 {
            ledger.close_session("bobs").await.unwrap();
        }
        assert_eq!(found(ledger, &["bobs", "other"]).await, ["other"]);
    }
}

#[tokio::test]
async fn the_oldest_of_an_account_make_room_and_of_no_other() {
    let databases = Databases::start().await;
    for ((name, _), backend) in databases.all.iter().zip(backends(&databases).await) {
        let ledger = backend.ledger();
        ledger.open_session("bob", &row("bob", 1000), None, 3).await.unwrap();
        // The oldest session expires last, as after a restart with a shorter lifetime. The order of
        // the sign-ins decides which session is removed, not the expiry.
        for (digest, seconds) in [("a", 2000), ("b", 1000), ("c", 1000)] {
            ledger.open_session(digest, &row("alice", seconds), None, 3).await.unwrap();
        }
        let all = ["a", "b", "c", "d", "e", "f", "bob"];
        assert_eq!(found(ledger, &all).await, ["a", "b", "c", "bob"], "{name}");
        ledger.open_session("d", &row("alice", 1000), None, 3).await.unwrap();
        assert_eq!(found(ledger, &all).await, ["b", "c", "d", "bob"], "{name}");
        ledger.open_session("e", &row("alice", 1000), Some("c"), 3).await.unwrap();
        assert_eq!(found(ledger, &all).await, ["b", "d", "e", "bob"], "{name}: takes its place");
        ledger.close_session("d").await.unwrap();
        ledger.open_session("f", &row("alice", 1000), None, 3).await.unwrap();
        assert_eq!(found(ledger, &all).await, ["b", "e", "f", "bob"], "{name}: room was free");
        ledger.open_session("d", &row("alice", 1000), None, 1).await.unwrap();
        assert_eq!(found(ledger, &all).await, ["d", "bob"], "{name}: a lower limit");
    }
}

#[tokio::test]
async fn what_is_over_is_dropped_and_nothing_else() {
    let databases = Databases::start().await;
    for ((name, database), backend) in databases.all.iter().zip(backends(&databases).await) {
        let ledger = backend.ledger();
        let soon = row("alice", 2);
        let later = row("alice", 1000);
        ledger.open_session("soon", &soon, None, 9).await.unwrap();
        ledger.open_session("later", &later, None, 9).await.unwrap();
        let at = Timestamp::from_unix_seconds(soon.expires);
        let before = Timestamp::from_unix_seconds(soon.expires - 1);
        if matches!(database, Database::Redis(_)) {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        } else {
            assert_eq!(ledger.drop_sessions(before, 9).await.unwrap(), 0, "{name}");
            assert_eq!(found(ledger, &["soon", "later"]).await.len(), 2, "{name}");
            backend.sweep(at).await.unwrap();
        }
        assert_eq!(found(ledger, &["soon", "later"]).await, ["later"], "{name}");
        assert_eq!(ledger.drop_sessions(at, 9).await.unwrap(), 0, "{name}");
    }
}

/// Sign-ins at the same time may exceed the limit. The next sign-in removes the excess.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_opened_at_once_stay_within_the_limit() {
    let databases = Databases::start().await;
    for ((name, _), backend) in databases.all.iter().zip(backends(&databases).await) {
        let opening: Vec<_> = (0..20)
            .map(|number| {
                let ledger = backend.ledger().clone();
                let row = row("alice", 1000);
                tokio::spawn(async move {
                    ledger.open_session(&format!("d{number}"), &row, None, 3).await.unwrap();
                })
            })
            .collect();
        for opened in opening {
            opened.await.unwrap();
        }
        let ledger = backend.ledger();
        ledger.open_session("last", &row("alice", 1000), None, 3).await.unwrap();
        let mut alive = 0;
        for number in 0..20 {
            alive += usize::from(ledger.session(&format!("d{number}")).await.unwrap().is_some());
        }
        assert!(alive <= 2, "{name}: {alive}");
        assert!(ledger.session("last").await.unwrap().is_some(), "{name}");
    }
}
