//! Pages of a search, the newest first, and the searches that support makes.

use super::events::unattributed;
use super::*;

/// Turns the pages of a search, and returns the times of all of them.
async fn turned(log: &StoredAuditLog, search: &Search, limit: usize) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let found = log.find(search, before, limit).await.unwrap();
        pages.push(times(&found.entries));
        let Some(older) = found.older else { return pages };
        // The place survives the way through an address.
        before = Some(older.to_string().parse().unwrap());
    }
}

/// Several events are of one second, and those of strangers are among them.
#[tokio::test]
async fn pages_are_turned_from_the_newest_event_to_the_oldest() {
    let databases = Databases::start().await;
    for (name, log) in audit_logs(&databases).await {
        for number in 0..7 {
            let at = MINUTE + number / 3;
            let is_strange = number % 2 == 1;
            log.keep(&if is_strange { unattributed(at) } else { event(at, |_| {}) }).await;
            log.flush().await;
            // Redis numbers the events of its two streams apart, within each millisecond.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let expected: Vec<u64> = (0..7).rev().map(|number| MINUTE + number / 3).collect();
        for limit in [1, 2, 3, 7, 8] {
            let pages = turned(&log, &Search::default(), limit).await;
            assert!(pages.iter().all(|page| page.len() <= limit), "{name}: {pages:?}");
            assert_eq!(pages.len(), 7_usize.div_ceil(limit), "{name}, {limit}");
            assert_eq!(pages.concat(), expected, "{name}, {limit}");
        }
        let kinds = log.find(&Search::default(), None, 2).await.unwrap().entries;
        assert!(kinds[0].attributed && !kinds[1].attributed, "{name}: {kinds:?}");
        // A new event moves no page.
        let first = log.find(&Search::default(), None, 3).await.unwrap();
        log.keep(&event(MINUTE + 9, |_| {})).await;
        let second = log.find(&Search::default(), first.older, 3).await.unwrap();
        assert_eq!(times(&second.entries), expected[3..6], "{name}");
    }
    assert!("5".parse::<Position>().is_err() && "5-x".parse::<Position>().is_err());
}

#[tokio::test]
async fn refusals_are_found_alone_and_by_their_reason_too() {
    let databases = Databases::start().await;
    for (name, log) in audit_logs(&databases).await {
        let flow = GrantId::from_bytes([7; 16]);
        log.keep(&refused(MINUTE, "app", "invalid_grant")).await;
        let step = Entry {
            at: MINUTE + 1,
            kind: "account_suspended".into(),
            correlation: "a".to_owned(),
            note: Some("by admin: lost laptop".to_owned()),
            attributed: true,
            ..Entry::default()
        };
        log.keep_step(step.clone()).await.unwrap();
        log.keep(&event(MINUTE + 2, |event| event.flow = Some(flow))).await;
        let refusals = Search { refusals: true, ..Search::default() };
        assert_eq!(turned(&log, &refusals, 1).await, [[MINUTE + 2], [MINUTE]], "{name}");
        let all = log.found(&Search::default()).await;
        assert_eq!(all[1], step, "{name}");
        let by = async |search: Search| times(&log.found(&search).await);
        let reason = Some(Reason::ConnectionUnknown.name().to_owned());
        let error = by(Search { error: reason, ..Search::default() }).await;
        assert_eq!(error, [MINUTE, MINUTE + 2], "{name}");
        let reference = Some(flow.to_string());
        assert_eq!(by(Search { reference, ..Search::default() }).await, [MINUTE + 2], "{name}");
    }
}
