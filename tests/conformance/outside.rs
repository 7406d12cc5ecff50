//! Tests of what a request needs from outside the store: when it is asked, how often, and on what
//! the request is decided afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use grantcore::blocking::{Outside, Server};
use grantcore::conformance::AssertionRequest;
use grantcore::outside::{
    DocumentRequest, FetchResult, FetchedResponse, KeysRequest, Link, Linked, Need,
};
use grantcore::value::{GrantId, Subject};
use grantcore::{AlwaysActive, Error, Event, MemoryStore, Reason, Timestamp};

use crate::marking::{END, T, entropy, request};

/// The clock, and what was asked at which time.
#[derive(Default)]
struct Web {
    now: AtomicU64,
    asked: Mutex<Vec<String>>,
    /// How long an answer takes, in seconds.
    slow: u64,
    has_nothing: bool,
}

impl Web {
    fn asked(&self, what: &str) -> FetchResult {
        self.asked.lock().unwrap().push(what.to_owned());
        self.now.fetch_add(self.slow, Ordering::SeqCst);
        if self.has_nothing {
            return FetchResult::Failed;
        }
        FetchResult::Response(FetchedResponse { status: 200, ..FetchedResponse::default() })
    }
}

impl Outside for Web {
    fn keys(&self, needed: &KeysRequest) -> FetchResult {
        self.asked(&needed.url)
    }

    fn document(&self, needed: &DocumentRequest) -> FetchResult {
        self.asked(&needed.url)
    }

    fn account(&self, link: &Link) -> Linked {
        match self.asked(&link.subject) {
            FetchResult::Response(_) => Linked::Account(Subject::new("alice")),
            FetchResult::Failed | FetchResult::Busy => Linked::Unavailable,
        }
    }
}

/// Runs the request, and returns its outcome with its only event.
fn run(
    web: &Arc<Web>,
    store: &Arc<MemoryStore>,
    request: &AssertionRequest,
) -> (Result<GrantId, Reason>, Event) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let clock = Arc::clone(web);
    web.now.fetch_max(T, Ordering::SeqCst);
    let server = Server::with_sources(
        AssertionRequest::policy().unwrap(),
        Arc::clone(store),
        AlwaysActive,
        move || Timestamp::from_unix_seconds(clock.now.load(Ordering::SeqCst)),
        || Ok(entropy(1)),
    )
    .with_observer(move |event| log.lock().unwrap().push(event.clone()))
    .with_outside(Arc::clone(web));
    let outcome = server.run(request).map_err(reason);
    let mut events = std::mem::take(&mut *events.lock().unwrap());
    assert_eq!(events.len(), 1, "one request is one event");
    (outcome, events.remove(0))
}

fn reason(error: Error<std::convert::Infallible>) -> Reason {
    match error {
        Error::Refused(refusal) => refusal.reason(),
        Error::Failed(failure) => panic!("{failure}"),
    }
}

fn keys(url: &str) -> Need {
    Need::Keys(KeysRequest::new(url, None))
}

fn account(subject: &str) -> Need {
    Need::Account(Link::new("https://idp.example", subject))
}

#[test]
fn seen_07_what_is_needed_from_outside_comes_before_the_mark() {
    let (web, store) = (Arc::new(Web { slow: 7, ..Web::default() }), Arc::default());
    let asking = request("one").needing(account("carol")).needing(account("bob"));
    let (outcome, event) = run(&web, &store, &asking);
    assert_eq!(outcome, Ok(asking.grant_id()));
    assert_eq!(*web.asked.lock().unwrap(), ["carol", "bob"]);
    assert_eq!(event.at.unix_seconds(), T + 14, "the records are loaded again after each answer");
    assert_eq!(event.correlation.as_bytes(), &[1; 16], "it is one request");
    assert!(event.marked.is_some());

    // Without an answer nothing is written, and the assertion can be sent again.
    let web = Arc::new(Web { has_nothing: true, ..Web::default() });
    let asking = request("two").needing(account("bob"));
    let (outcome, event) = run(&web, &store, &asking);
    assert_eq!(outcome, Err(Reason::DocumentsBusy));
    assert!(!event.has_written());
    let (outcome, _) = run(&Arc::default(), &store, &asking);
    assert_eq!(outcome, Ok(asking.grant_id()));
}

#[test]
fn seen_07_a_bounded_number_of_things_is_asked_and_each_once() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let all = |count: usize| {
        names[..count].iter().fold(request("one"), |asking, name| asking.needing(account(name)))
    };
    let web = Arc::default();
    assert!(run(&web, &Arc::default(), &all(6)).0.is_ok());
    assert_eq!(*web.asked.lock().unwrap(), names[..6]);
    for asking in [all(7), request("one").needing(account("a")).needing(account("a"))] {
        let (outcome, event) = run(&Arc::default(), &Arc::default(), &asking);
        assert_eq!(outcome, Err(Reason::Contended));
        assert!(!event.has_written());
    }
}

/// The assertion is judged again after an answer that took its time.
#[test]
fn seen_07_an_answer_does_not_prolong_an_assertion() {
    let web = Arc::new(Web { slow: END - T, ..Web::default() });
    let store = Arc::default();
    let asking = request("one").needing(account("bob"));
    let (outcome, event) = run(&web, &store, &asking);
    assert_eq!(outcome, Err(AssertionRequest::EXPIRED));
    assert!(!event.has_written());
}

/// A server without anything outside refuses, and does not wait.
#[test]
fn seen_07_nothing_is_outside_by_default() {
    let server = Server::with_sources(
        AssertionRequest::policy().unwrap(),
        MemoryStore::new(),
        AlwaysActive,
        || Timestamp::from_unix_seconds(T),
        || Ok(entropy(1)),
    );
    for need in [keys("https://keys.example"), account("bob")] {
        let error = server.run(request("one").needing(need)).unwrap_err();
        assert_eq!(reason(error), Reason::DocumentsBusy);
    }
}
