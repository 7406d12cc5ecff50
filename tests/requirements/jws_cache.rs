//! Tests of KEYS-33, KEYS-34, KEYS-36 and KEYS-37: for how long a fetched key set is used, and when
//! it is fetched again.

use std::time::Duration;

use grantcore::Timestamp;
use grantcore::jws::{Algorithms, Fault, FetchedKeys, Generation, Jws, KeyCache, KeysUrl, Look};
use proptest::prelude::*;
use serde_json::json;

use crate::support::assertions::{key_set, merged, signer};
use crate::support::{T, property};

/// A cache with a clock, and what the host is asked for.
struct Node {
    cache: KeyCache,
    now: u64,
    fetches: usize,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Keys(usize, Generation),
    Ask,
    Wait(u64),
}

fn url(name: &str) -> KeysUrl {
    KeysUrl::parse(&format!("https://{name}.example/jwks.json"), false).unwrap()
}

fn set(kids: &[&str]) -> String {
    let named = kids.iter().map(|kid| merged(signer("ed").jwk(), json!({ "kid": kid })));
    key_set(&named.collect::<Vec<_>>())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Node {
    fn new() -> Self {
        Self { cache: KeyCache::default(), now: T, fetches: 0 }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.now)
    }

    fn look_newer(&mut self, name: &str, newer_than: Option<Generation>) -> Seen {
        match self.cache.look(&url(name), newer_than, self.time()) {
            Look::Have { keys, generation, .. } => Seen::Keys(keys.len(), generation),
            Look::Ask => Seen::Ask,
            Look::Wait { seconds, .. } => Seen::Wait(seconds),
            other => panic!("{other:?}"),
        }
    }

    fn look(&mut self, name: &str) -> Seen {
        self.look_newer(name, None)
    }

    fn look_at(&mut self, now: u64, name: &str) -> Seen {
        self.now = now;
        self.look(name)
    }

    #[track_caller]
    fn have(&mut self, name: &str) -> Generation {
        match self.look(name) {
            Seen::Keys(_, generation) => generation,
            other => panic!("at {}: {other:?}", self.now),
        }
    }

    fn put(&mut self, name: &str, fresh_for: Option<u64>) {
        self.put_set(name, &set(&["1"]), fresh_for);
    }

    fn put_set(&mut self, name: &str, set: &str, fresh_for: Option<u64>) {
        let now = self.time();
        self.fetches += 1;
        self.cache.put(&url(name), set.as_bytes(), fresh_for.map(seconds), now).unwrap();
    }

    fn fail(&mut self, name: &str) {
        let now = self.time();
        self.fetches += 1;
        self.cache.failed(&url(name), now);
    }
}

#[test]
fn keys_33_a_set_is_fresh_for_the_time_of_its_response_within_bounds() {
    for (stated, fresh) in [
        (None, 300),
        (Some(0), 60),
        (Some(5), 60),
        (Some(60), 60),
        (Some(61), 61),
        (Some(3600), 3600),
        (Some(86_400), 3600),
        (Some(u64::MAX), 3600),
    ] {
        let mut node = Node::new();
        assert_eq!(node.look("a"), Seen::Ask);
        node.put("a", stated);
        let first = node.have("a");
        assert_eq!(node.look_at(T + fresh - 1, "a"), Seen::Keys(1, first), "{stated:?}");
        assert_eq!(node.look_at(T + fresh, "a"), Seen::Ask, "{stated:?}");
    }
}

/// Looks for the kid as an operation does: in the set in hand, and then in a newer one.
fn find(node: &mut Node, kid: &str, published: &[&str]) -> Result<(), Fault> {
    let text = signer("ed").sign(&json!({"alg": "EdDSA", "kid": kid}), &json!({}));
    let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
    let mut newer_than = None;
    loop {
        match node.cache.look(&url("a"), newer_than, node.time()) {
            Look::Have { keys, generation, .. } => {
                match keys.select(jws.header(), Algorithms::ALL, None) {
                    Err(Fault::Key) if newer_than.is_none() => newer_than = Some(generation),
                    found => return found.map(|_| ()),
                }
            }
            Look::Ask => node.put_set("a", &set(published), None),
            _ => return Err(Fault::Key),
        }
    }
}

#[test]
fn keys_34_an_unknown_kid_causes_one_fetch_in_a_minute() {
    let mut node = Node::new();
    assert_eq!(find(&mut node, "old", &["old"]), Ok(()));
    assert_eq!(node.fetches, 1);

    // The key was rotated: the first assertion causes the fetch, the others find the key.
    node.now += 60;
    for _ in 0..3 {
        assert_eq!(find(&mut node, "new", &["old", "new"]), Ok(()));
    }
    assert_eq!(node.fetches, 2);

    // Invented names cause one in a minute.
    node.now += 60;
    for second in 0..60 {
        node.now += u64::from(second > 0);
        for n in 0..20 {
            assert_eq!(find(&mut node, &format!("x{second}-{n}"), &["new"]), Err(Fault::Key));
        }
    }
    assert_eq!(node.fetches, 3);
    assert_eq!(find(&mut node, "new", &["new"]), Ok(()), "the real one is served");
    node.now += 1;
    assert_eq!(find(&mut node, "x", &["new"]), Err(Fault::Key));
    assert_eq!(node.fetches, 4);

    // A key that comes within the minute is found at its end.
    assert_eq!(find(&mut node, "newest", &["newest"]), Err(Fault::Key));
    node.now += 59;
    assert_eq!(find(&mut node, "newest", &["newest"]), Err(Fault::Key));
    node.now += 1;
    assert_eq!(find(&mut node, "newest", &["newest"]), Ok(()));
    assert_eq!(node.fetches, 5);
}

#[test]
fn keys_34_a_set_in_hand_is_no_answer_to_the_question_for_a_newer_one() {
    let mut node = Node::new();
    node.put("a", None);
    let first = node.have("a");
    assert_eq!(node.look_newer("a", Some(first)), Seen::Wait(60));
    node.now += 59;
    assert_eq!(node.look_newer("a", Some(first)), Seen::Wait(1));
    node.now += 1;
    assert_eq!(node.look_newer("a", Some(first)), Seen::Ask);
    node.fail("a");
    assert_eq!(node.look_newer("a", Some(first)), Seen::Wait(60));
    assert_eq!(node.have("a"), first, "the old one is still fresh");
    node.now += 60;
    node.put("a", None);
    let second = node.have("a");
    assert!(second > first);
    assert_eq!(node.look_newer("a", Some(first)), Seen::Keys(1, second));
}

#[test]
fn keys_36_without_a_set_a_failure_holds_for_a_minute() {
    let mut node = Node::new();
    assert_eq!(node.look("a"), Seen::Ask);
    node.fail("a");
    assert_eq!(node.look("a"), Seen::Wait(60));
    assert_eq!(node.look_at(T + 59, "a"), Seen::Wait(1));
    assert_eq!(node.look_at(T + 60, "a"), Seen::Ask);
    assert_eq!(node.look("b"), Seen::Ask, "another URL");

    // What is no key set has failed.
    for body in ["", "<html>", "{}", r#"{"keys":[],"keys":[]}"#] {
        let mut node = Node::new();
        let now = node.time();
        assert!(node.cache.put(&url("a"), body.as_bytes(), Some(seconds(3600)), now).is_err());
        assert_eq!(node.look("a"), Seen::Wait(60), "{body}");
    }
    // A set without keys is an answer.
    node.put_set("a", r#"{"keys":[]}"#, None);
    assert!(matches!(node.look("a"), Seen::Keys(0, _)));
}

#[test]
fn keys_36_a_stale_set_is_used_for_an_hour_while_fetches_fail() {
    let mut node = Node::new();
    node.put("a", Some(300));
    let first = node.have("a");
    assert_eq!(node.look_at(T + 300, "a"), Seen::Ask, "a set that can be had is fresh");
    let mut failures = 0;
    for now in T + 300..T + 3900 {
        if node.look_at(now, "a") == Seen::Ask {
            node.fail("a");
            failures += 1;
        }
        assert_eq!(node.look("a"), Seen::Keys(1, first), "at T + {}", now - T);
    }
    assert_eq!(failures, 60);
    assert_eq!(node.look_at(T + 3900, "a"), Seen::Ask);
    node.fail("a");
    assert_eq!(node.look("a"), Seen::Wait(60));

    // The operator can choose a shorter time, and no longer one.
    for (chosen, used) in [(0, 0), (100, 100), (1_000_000, 3600)] {
        let mut node = Node { cache: KeyCache::new(8, seconds(chosen)), ..Node::new() };
        node.put("a", Some(300));
        node.now = T + 300 + used;
        node.fail("a");
        assert_eq!(node.look("a"), Seen::Wait(60), "{chosen}");
        if used > 0 {
            let mut node = Node { cache: KeyCache::new(8, seconds(chosen)), ..Node::new() };
            node.put("a", Some(300));
            node.now = T + 300 + used - 1;
            node.fail("a");
            assert!(matches!(node.look("a"), Seen::Keys(..)), "{chosen}");
        }
    }
}

#[test]
fn keys_37_the_set_that_was_not_used_for_longest_leaves() {
    let mut node = Node::new();
    for n in 0..1024 {
        node.put_set(&format!("n{n}"), r#"{"keys":[]}"#, Some(3600));
    }
    node.have("n0");
    node.put("new", None);
    assert_eq!(node.look("n1"), Seen::Ask, "it has left");
    for name in ["n0", "n2", "n1023", "new"] {
        node.have(name);
    }
    // A URL that is there takes no more room.
    node.put("new", None);
    node.have("n3");
    let mut smallest = Node { cache: KeyCache::new(0, seconds(0)), ..Node::new() };
    smallest.put("a", None);
    smallest.have("a");
    smallest.fail("b");
    assert_eq!(smallest.look("a"), Seen::Ask);
}

#[test]
fn keys_37_a_clock_that_is_set_back_does_not_lengthen_anything() {
    let mut node = Node::new();
    node.put("a", Some(3600));
    let first = node.have("a");
    // Requests that run at the same time read the clock in different orders.
    assert_eq!(node.look_at(T - 5, "a"), Seen::Keys(1, first));
    assert_eq!(node.look_at(T + 3, "a"), Seen::Keys(1, first));

    // Set back: the set is stale, and is used for the rest of the cool-down.
    assert_eq!(node.look_at(T - 10_000, "a"), Seen::Keys(1, first));
    assert_eq!(node.look_newer("a", Some(first)), Seen::Wait(57));
    assert_eq!(node.look_at(T - 10_000 + 56, "a"), Seen::Keys(1, first));
    assert_eq!(node.look_at(T - 10_000 + 57, "a"), Seen::Ask);
    node.fail("a");
    assert_eq!(node.look("a"), Seen::Keys(1, first));
    assert_eq!(node.look_at(T - 10_000 + 60, "a"), Seen::Wait(57), "a minute after the step");
    assert_eq!(node.look_at(T - 10_000 + 117, "a"), Seen::Ask);
    node.put("a", Some(300));
    assert_eq!(node.look_at(T - 10_000 + 117 + 299, "a"), Seen::Keys(1, node_last(&mut node)));
    assert_eq!(node.look_at(T - 10_000 + 117 + 300, "a"), Seen::Ask);
    assert_eq!(node.look_at(0, "a"), Seen::Ask);
    assert_eq!(node.look_at(u64::MAX, "a"), Seen::Ask);
}

fn node_last(node: &mut Node) -> Generation {
    node.have("a")
}

/// The cache never returns a set beyond its freshness and the stale bound, and two fetches of a URL
/// are a minute apart, whatever is asked and answered.
#[test]
fn keys_37_bounds_hold_in_any_order() {
    let step = (0..400_u64, 0..3_usize, any::<bool>(), any::<bool>());
    let steps = proptest::collection::vec(step, 1..60);
    property::check(&steps, |steps| {
        let mut node = Node { cache: KeyCache::new(2, seconds(600)), ..Node::new() };
        let mut fetched: Vec<(usize, u64)> = Vec::new();
        for (later, name, fails, newer) in steps {
            node.now += later;
            let text = ["a", "b"][name % 2];
            let newer_than = match node.look(text) {
                Seen::Keys(_, generation) if newer => Some(generation),
                _ => None,
            };
            let last = fetched.iter().rev().find(|(own, _)| *own == name % 2).map(|(_, at)| *at);
            match node.look_newer(text, newer_than) {
                Seen::Keys(..) => {
                    prop_assert!(last.is_some_and(|at| node.now < at + 300 + 600));
                }
                Seen::Ask => {
                    prop_assert!(last.is_none_or(|at| node.now >= at + 60));
                    if fails {
                        node.fail(text);
                        // The age of the set is that of the last success.
                        fetched.push((name % 2, node.now));
                    } else {
                        node.put(text, None);
                        fetched.push((name % 2, node.now));
                    }
                }
                Seen::Wait(left) => prop_assert!((1..=60).contains(&left)),
            }
        }
        Ok(())
    });
}

/// Two clients of one URL share the fetch.
#[test]
fn keys_37_a_set_belongs_to_its_url() {
    let mut cache = KeyCache::default();
    let now = Timestamp::from_unix_seconds(T);
    cache.put(&url("a"), set(&["1"]).as_bytes(), None, now).unwrap();
    let sets: Vec<std::sync::Arc<FetchedKeys>> = (0..2)
        .filter_map(|_| match cache.look(&url("a"), None, now) {
            Look::Have { keys, .. } => Some(keys),
            _ => None,
        })
        .collect();
    assert!(std::sync::Arc::ptr_eq(&sets[0], &sets[1]));
    assert!(matches!(cache.look(&url("b"), None, now), Look::Ask));
}

#[test]
fn keys_37_a_set_that_was_fetched_again_is_the_last_that_was_used() {
    let now = Timestamp::from_unix_seconds(T);
    let url = |name: &str| KeysUrl::parse(&format!("https://{name}.example/keys"), false).unwrap();
    let mut cache = KeyCache::new(2, Duration::ZERO);
    for name in ["a", "b", "a", "c"] {
        cache.put(&url(name), br#"{"keys": []}"#, None, now).unwrap();
    }
    let has =
        |cache: &mut KeyCache, name| matches!(cache.look(&url(name), None, now), Look::Have { .. });
    assert!(has(&mut cache, "a") && has(&mut cache, "c") && !has(&mut cache, "b"));
}
