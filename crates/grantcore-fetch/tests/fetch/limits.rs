//! How many fetches there are, and for whom.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::{ALICE, DOCUMENT, TOTAL, answering, count, fetch, fetch_for, host, local};
use grantcore::request::Fetch;
use grantcore_fetch::{Asker, BuildError, Busy, DocumentFetcher, FetchError, as_fetch};
use tokio::time::timeout;

const STRANGER: Asker<'_> = Asker::Stranger("203.0.113.1");

/// Sends the document after a quarter of the time-out.
fn answering_late() -> impl Fn(TcpStream) + Send + 'static {
    let answer = answering(DOCUMENT);
    move |stream| {
        thread::sleep(TOTAL / 4);
        answer(stream);
    }
}

#[tokio::test]
async fn a_slow_host_holds_the_slots_of_an_asker_until_it_is_given_up() {
    let (slow, connections) = host("127.0.0.1:0", std::mem::forget);
    let fetcher = local().build().unwrap();
    let url = |n: usize| format!("http://{slow}/{n}");
    let first = url(1);
    let second = url(2);
    let third = url(3);
    let (one, two, three) =
        tokio::join!(fetch(&fetcher, &first), fetch(&fetcher, &second), fetch(&fetcher, &third));
    assert!(matches!((one, two), (Err(FetchError::TimedOut(_)), Err(FetchError::TimedOut(_)))));
    assert!(matches!(three, Err(FetchError::Busy(Busy::Asker))));
    assert!(matches!(as_fetch(&three), Fetch::Busy));
    assert_eq!(count(&connections), 2);
    let again = fetch(&fetcher, &third).await;
    assert!(matches!(again, Err(FetchError::TimedOut(_))), "free again");
}

#[tokio::test]
async fn a_fetch_holds_its_slot_while_it_waits_for_the_response() {
    let (slow, connections) = host("127.0.0.1:0", std::mem::forget);
    let fetcher = local().build().unwrap();
    let url = |n: usize| format!("http://{slow}/{n}");
    let first = url(1);
    let second = url(2);
    let third = url(3);
    let while_both_wait = async {
        while count(&connections) < 2 {
            tokio::time::sleep(TOTAL / 100).await;
        }
        fetch(&fetcher, &third).await
    };
    let (one, two, three) =
        tokio::join!(fetch(&fetcher, &first), fetch(&fetcher, &second), while_both_wait);
    assert!(matches!((one, two), (Err(FetchError::TimedOut(_)), Err(FetchError::TimedOut(_)))));
    assert!(matches!(three, Err(FetchError::Busy(Busy::Asker))), "{three:?}");
}

#[tokio::test]
async fn strangers_have_their_part_of_the_slots_and_their_fetches_per_minute() {
    let (good, connections) = host("127.0.0.1:0", answering(DOCUMENT));
    let url = |n: usize| format!("http://{good}/{n}");
    let users_only = local().slots_for_strangers(0).build().unwrap();
    let refused = fetch_for(&users_only, &url(0), STRANGER).await;
    assert!(matches!(refused, Err(FetchError::Busy(Busy::Total))));
    fetch(&users_only, &url(0)).await.unwrap();

    let fetcher = local().per_minute_for_strangers(2).build().unwrap();
    for n in 0..2 {
        fetch_for(&fetcher, &url(n), STRANGER).await.unwrap();
    }
    let refused = fetch_for(&fetcher.clone(), &url(2), STRANGER).await;
    assert!(matches!(refused, Err(FetchError::Busy(Busy::Rate))), "a clone shares the limits");
    fetch_for(&fetcher, &url(2), Asker::Stranger("203.0.113.2")).await.unwrap();
    fetch(&fetcher, &url(2)).await.unwrap();
    assert_eq!(count(&connections), 5);
}

/// All who want one document share one connection. Once it has failed, there is none for some
/// seconds.
#[tokio::test]
async fn equal_fetches_are_one_and_a_failure_is_not_tried_again_at_once() {
    let (slow, connections) = host("127.0.0.1:0", std::mem::forget);
    let (good, answered) = host("127.0.0.1:0", answering_late());
    let fetcher = local().build().unwrap();
    let failing = format!("http://{slow}/");
    let url = format!("http://{good}/");
    let (one, two, three, four, five) = tokio::join!(
        fetch_for(&fetcher, &failing, STRANGER),
        fetch(&fetcher, &failing),
        fetch_for(&fetcher, &url, STRANGER),
        fetch(&fetcher, &url),
        fetch_for(&fetcher, &url, Asker::User("bob")),
    );
    assert!(matches!((one, two), (Err(FetchError::TimedOut(_)), Err(FetchError::TimedOut(_)))));
    for fetched in [three, four, five] {
        assert_eq!(fetched.unwrap().body, b"{}");
    }
    for asker in [STRANGER, ALICE] {
        let again = fetch_for(&fetcher, &failing, asker).await;
        assert!(matches!(again, Err(FetchError::TimedOut(_))));
    }
    assert_eq!(count(&connections), 1);
    assert_eq!(count(&answered), 1);
    fetch(&fetcher, &url).await.unwrap();
    assert_eq!(count(&answered), 2, "no document is kept");
}

#[tokio::test]
async fn a_fetch_outlives_the_caller_that_began_it() {
    let (good, answered) = host("127.0.0.1:0", answering_late());
    let fetcher = local().build().unwrap();
    let url = format!("http://{good}/");
    let dropped = timeout(TOTAL / 20, fetch_for(&fetcher, &url, STRANGER)).await;
    assert!(dropped.is_err());
    assert_eq!(fetch(&fetcher, &url).await.unwrap().body, b"{}");
    assert_eq!(count(&answered), 1);
}

#[test]
fn settings_that_let_nothing_be_fetched_are_refused() {
    let builder = DocumentFetcher::builder;
    for refused in [
        builder().connect_timeout(Duration::ZERO),
        builder().total_timeout(Duration::ZERO),
        builder().slots(0).slots_for_strangers(0),
        builder().slots_per_host(0).slots_per_host_for_strangers(0),
        builder().slots_per_asker(0),
        builder().slots(7),
        builder().slots_per_host_for_strangers(7),
        builder().per_minute_for_users(0),
    ] {
        let refusal = refused.clone().build();
        assert!(matches!(refusal, Err(BuildError::Setting(_))), "{refused:?}");
    }
    builder().slots(8).build().unwrap();
}
