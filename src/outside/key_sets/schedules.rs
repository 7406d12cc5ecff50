//! Tests of concurrent fetches of one key set, in every schedule.

use super::{CachedKeys, KeysAnswer};
use crate::jws::{Generation, KeysUrl};
use crate::moment::Timestamp;
use crate::outside::{FetchResult, FetchedResponse, KeysRequest};
use crate::sync::Mutex;
use crate::sync::schedules::explore;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn request() -> KeysRequest {
    let url = KeysUrl::parse("https://idp.example/jwks", false).unwrap();
    KeysRequest::of_issuer(&url, None)
}

fn fetched() -> FetchResult {
    let body = br#"{"keys": []}"#.to_vec();
    FetchResult::Response(FetchedResponse { status: 200, body, ..FetchedResponse::default() })
}

/// Fetches the set unless the cache has it. Returns the generation of the set that was returned.
fn fetch(keys: &CachedKeys) -> Option<Generation> {
    let answer = keys.in_hand(&request(), NOW);
    match answer.unwrap_or_else(|| keys.keep(&request(), fetched(), NOW)) {
        KeysAnswer::Set(_, generation) => Some(generation),
        KeysAnswer::Unavailable | KeysAnswer::Current => None,
    }
}

/// A fetch that fails beside one that succeeds.
fn fail(keys: &CachedKeys) -> Option<Generation> {
    keys.keep(&request(), FetchResult::Failed, NOW);
    None
}

fn in_hand(keys: &CachedKeys) -> Option<Generation> {
    match keys.in_hand(&request(), NOW) {
        Some(KeysAnswer::Set(_, generation)) => Some(generation),
        _ => None,
    }
}

#[test]
fn keys_33_every_schedule_answers_a_set_and_keeps_the_newest() {
    let threads: Vec<fn(&CachedKeys) -> Option<Generation>> = vec![fetch, fetch, fetch];
    let found = explore(CachedKeys::default, threads, |keys, all| {
        all.iter().all(Option::is_some) && in_hand(keys) == all.into_iter().max().flatten()
    });
    found.assert_none_wrong();
}

#[test]
fn keys_36_no_schedule_lets_a_failed_fetch_displace_a_set() {
    let threads: Vec<fn(&CachedKeys) -> Option<Generation>> = vec![fetch, fail];
    let found = explore(CachedKeys::default, threads, |keys, all| match all[0] {
        Some(own) => in_hand(keys) == Some(own),
        // The other fetch had failed before this one began.
        None => in_hand(keys).is_none(),
    });
    found.assert_none_wrong();
}

/// The planted race: a set is numbered under one lock, and stored under another.
#[test]
fn keys_33_a_number_apart_from_its_set_is_found() {
    #[derive(Default)]
    struct Naive {
        last: Mutex<u64>,
        held: Mutex<u64>,
    }
    let put = |cache: &Naive| {
        let number = {
            let mut last = cache.last.lock().unwrap();
            *last += 1;
            *last
        };
        *cache.held.lock().unwrap() = number;
    };
    let found = explore(Naive::default, vec![put; 2], |cache, _| *cache.held.lock().unwrap() == 2);
    found.assert_found();
}
