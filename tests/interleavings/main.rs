//! The explorer: parallel requests in every order and with every fault.
//!
//! It drives the library's real decisions through every interleaving of two or three requests of
//! one grant. Meanwhile the store loses acknowledgements, drops, delays and misreports commits,
//! responses get lost, clients retry and the clock moves. A state of this model is small, equal
//! states are visited once, and every move is judged by every invariant.
//!
//! - [`scenario`]: the table of racing requests
//! - [`keyed`]: the same of clients that have keys
//! - [`proof`]: how such a client proves itself, and that it does not stop to (I38)
//! - [`request`]: the requests as bytes, the responses as credentials
//! - `disclosing`: the credentials of a response
//! - [`memory`]: the earlier grants of a request that needs no consent page
//! - [`state`], [`world`]: the state, and its constant surroundings
//! - [`step`], [`moves`]: one request as a step machine, and all possible next moves
//! - [`search`]: the exploration
//! - [`invariants`], [`host_invariants`]: the predicates, one for each invariant
//! - [`assertion`]: a model of its own, of one assertion at two nodes
//! - [`judge`]: what they judge by
//! - [`broken`]: what the search finds when a protecting rule is left out
//! - `marks`: a model of its own, of requests with one assertion at several nodes
//! - [`supersession`]: a model of its own, of several grants of one user
//! - [`machine`]: a model of its own, of tokens on a client's own behalf

#![allow(unreachable_pub, reason = "nothing of a test crate is reachable")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail loudly"
)]

mod assertion;
mod broken;
mod disclosing;
mod host_invariants;
mod invariants;
mod judge;
mod keyed;
mod machine;
#[cfg(feature = "conformance")]
mod marks;
#[cfg(feature = "conformance")]
mod marks_hold;
mod memory;
mod moves;
mod proof;
mod request;
mod scenario;
mod search;
mod state;
mod step;
mod supersession;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use keyed::KEYED;
use scenario::SCENARIOS;
use search::{Report, explore};

/// Returns the reports of every scenario with each of its windows. They are explored once for all
/// tests, on two threads.
fn reports() -> &'static [Report] {
    static REPORTS: OnceLock<Vec<Report>> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let rows = SCENARIOS
            .iter()
            .chain(KEYED)
            .flat_map(|scenario| scenario.floors.iter().map(move |floor| (scenario, *floor)));
        let rows: Vec<_> = rows.collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let turn = next.fetch_add(1, Ordering::SeqCst);
                let Some((scenario, (window, floor))) = rows.get(turn) else { return done };
                done.push((turn, explore(scenario, *window, *floor)));
            }
        };
        let mut done: Vec<_> = std::thread::scope(|threads| {
            let workers = [(); 2].map(|()| threads.spawn(work));
            workers
                .into_iter()
                .flat_map(|worker| worker.join().expect("an exploration ends"))
                .collect()
        });
        done.sort_by_key(|(turn, _)| *turn);
        done.into_iter().map(|(_, report)| report).collect()
    })
}

/// Asserts that no move of any exploration breaks the invariant, and that it applied to some move.
#[track_caller]
fn assert_holds(invariant: &str) {
    let traces: Vec<_> = reports()
        .iter()
        .filter_map(|report| Some((report, report.broken.get(invariant)?)))
        .collect();
    let broken = traces.iter().map(|(report, trace)| {
        format!("\n  {}, W = {} s\n{trace}\n", report.scenario.name, report.window)
    });
    assert!(
        traces.is_empty(),
        "{invariant} is broken in {} explorations:{}",
        traces.len(),
        broken.collect::<String>()
    );
    let judged: usize = reports().iter().filter_map(|report| report.judged.get(invariant)).sum();
    println!("{invariant}: {judged} moves judged");
    assert!(judged >= 1000, "{invariant} judged only {judged} moves");
}

/// One test for each invariant, named after it.
macro_rules! hold {
    ($(fn $test:ident: $invariant:literal;)*) => {
        $(#[test]
        fn $test() {
            assert_holds($invariant);
        })*
    };
}

hold! {
    fn i3_a_consent_reaches_one_of_code_and_denied: "I3";
    fn i6_one_token_pair_for_one_code: "I6";
    fn i8_a_second_redemption_revokes: "I8";
    fn i9_an_invalid_attempt_changes_nothing: "I9";
    fn i10_one_refresh_token_can_advance_the_grant: "I10";
    fn i11_one_successor_for_each_generation: "I11";
    fn i12_a_replayed_refresh_token_revokes: "I12";
    fn i13_the_window_is_bounded: "I13";
    fn i14_an_honest_user_is_never_logged_out: "I14";
    fn i17_an_own_commit_is_no_replay: "I17";
    fn i18_nothing_leaves_revoked_denied_expired: "I18";
    fn i19_a_check_after_a_revocation_says_inactive: "I19";
    fn i20_tokens_that_leave_after_a_revocation_are_dead: "I20";
    fn i38_proof_once_given_is_not_given_up: "I38";
    fn i52_what_is_left_never_grows: "I52";
    fn i53_the_host_decides_only_what_would_be_answered: "I53";
    fn i54_a_code_without_a_page_needs_a_living_consent: "I54";
    fn i55_a_code_without_a_page_dies_with_its_memory: "I55";
}

/// An exploration that reaches fewer states proves less.
#[test]
fn the_exploration_does_not_shrink() {
    for report in reports() {
        let name = report.scenario.name;
        let window = report.window;
        let states = report.states;
        let moves = report.moves;
        println!("{name:40} W = {window:2} s {states:8} states {moves:8} moves");
    }
    let shrunk: Vec<_> = reports()
        .iter()
        .filter(|report| report.states < report.floor)
        .map(|report| report.scenario.name)
        .collect();
    assert!(shrunk.is_empty(), "fewer states than before: {shrunk:?}");
}

/// The explorations reach every outcome of a commit and every response that a race can have.
#[test]
fn every_outcome_is_met() {
    let met: BTreeSet<_> =
        reports().iter().flat_map(|report| &report.outcomes).map(String::as_str).collect();
    let commits =
        "AppliedConflict AppliedError Conflict Done Dropped LateConflict LateError Unwritten";
    let answers = "ok access_denied consent_used consent_nonce_expired code_expired code_reused \
                   refresh_reused refresh_superseded grant_revoked grant_ended token_revoked \
                   contended storage_unavailable pkce_mismatch code_client_mismatch \
                   token_redirect_uri_mismatch refresh_client_mismatch refresh_forged \
                   grant_ended_by_host connection_unknown scope_insufficient \
                   client_proof_dropped client_assertion_missing";
    let missing: Vec<_> = commits
        .split(' ')
        .chain(answers.split_whitespace())
        .filter(|outcome| !met.contains(outcome))
        .collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
