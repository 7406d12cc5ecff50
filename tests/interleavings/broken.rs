//! The search without one of the rules that protect a grant. It must find a counterexample: an
//! exploration that is too small to see a fault would pass with any code.
//!
//! A rule is left out in the model around the decisions, and not in the library.

use crate::keyed::KEYED;
use crate::scenario::SCENARIOS;
use crate::search::{Report, explore_without};

/// A rule that protects a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A write is applied only on the version that was read (LAW 2).
    VersionCheck,
    /// Each attempt has the entropy of the first one, so that a request knows its own write (I17).
    SameEntropy,
    /// A later attempt says that it is one (I17).
    Again,
    /// The outcome is sealed until its write is durable (LAW 1).
    Sealed,
    /// A replay revokes (I8, I12).
    ReplayRevokes,
    /// The epochs of client and account are read (I20).
    Epochs,
    /// A grant that its client has proved itself for asks for the proof again (I38).
    ProofKept,
    /// A redemption records the proof that it gave (I38).
    ProofAtRedemption,
    /// Tokens that are answered again record a stronger proof (I38).
    ProofRaised,
    /// An assertion for the token endpoint is a weaker proof than one for the issuer (I38).
    TwoStrengths,
    /// After the mark of an assertion, the grant is decided at the time of its load (I34).
    LoadTime,
    /// The mark of an assertion is no earlier attempt (I34).
    FirstAttempt,
}

/// Explores a scenario without this rule.
fn without(rule: Rule, name: &str, window: u64) -> Report {
    let mut all = SCENARIOS.iter().chain(KEYED);
    let scenario = all.find(|scenario| scenario.name == name).expect("a scenario");
    explore_without(Some(rule), scenario, window, 1)
}

/// Asserts that the search finds a counterexample to this invariant without the rule.
#[track_caller]
fn assert_found(rule: Rule, invariant: &str, name: &str, window: u64) {
    let report = without(rule, name, window);
    let trace = report.broken.get(invariant);
    let found: Vec<_> = report.broken.keys().collect();
    let trace = trace.unwrap_or_else(|| panic!("{rule:?} is not missed in {name}: {found:?}"));
    println!("{invariant} without {rule:?}, in {name}:\n{trace}");
}

#[test]
fn i6_without_the_version_check_one_code_gives_two_pairs() {
    assert_found(Rule::VersionCheck, "I6", "redeem || redeem, then refresh", 0);
}

#[test]
fn i11_without_the_version_check_one_token_has_two_successors() {
    assert_found(Rule::VersionCheck, "I11", "three tabs, one goes on", 0);
}

#[test]
fn i18_without_the_version_check_a_revoked_grant_comes_back() {
    assert_found(Rule::VersionCheck, "I18", "refresh || revoke || check", 0);
}

#[test]
fn i14_without_the_same_entropy_an_own_write_is_a_replay() {
    assert_found(Rule::SameEntropy, "I17", "refresh || check", 30);
    assert_found(Rule::SameEntropy, "I17", "refresh || check", 0);
}

#[test]
fn i17_without_the_sign_of_a_later_attempt_an_own_write_is_a_replay() {
    assert_found(Rule::Again, "I17", "refresh || check", 30);
    assert_found(Rule::Again, "I14", "refresh || the same refresh", 30);
}

#[test]
fn i6_without_the_seal_an_outcome_leaves_whose_write_is_lost() {
    assert_found(Rule::Sealed, "I6", "redeem || redeem, then refresh", 0);
    assert_found(Rule::Sealed, "I11", "refresh || the same refresh", 0);
    assert_found(Rule::Sealed, "I3", "approve || deny, then redeem", 0);
}

#[test]
fn i8_i12_without_the_revocation_a_replay_is_only_refused() {
    assert_found(Rule::ReplayRevokes, "I8", "redeem || redeem, then refresh", 0);
    assert_found(Rule::ReplayRevokes, "I12", "refresh || old token || check", 30);
}

#[test]
fn i20_without_the_epochs_tokens_outlive_the_end_of_their_client_or_user() {
    assert_found(Rule::Epochs, "I20", "redeem || client ended || check", 0);
    assert_found(Rule::Epochs, "I20", "refresh || account ended || check", 0);
}

#[test]
fn i38_without_its_rules_a_thief_without_the_key_advances_or_ends_a_grant() {
    assert_found(Rule::ProofKept, "I38", "proved refresh || without proof || check", 30);
    assert_found(Rule::ProofKept, "I38", "proved refresh || old token without proof", 30);
    assert_found(Rule::ProofKept, "I38", "proved refresh || revoke without proof", 0);
    assert_found(Rule::ProofKept, "I38", "redeem with proof || without", 0);
    assert_found(Rule::ProofAtRedemption, "I38", "redeem with proof, then without", 0);
    assert_found(Rule::ProofRaised, "I38", "two tabs, one with proof, then without", 30);
}

#[test]
fn i38_without_two_strengths_a_passed_on_assertion_advances_a_proved_grant() {
    assert_found(Rule::TwoStrengths, "I38", "proved refresh || weak proof || check", 0);
    assert_found(Rule::TwoStrengths, "I38", "proved refresh || revoke with weak proof", 30);
}

#[test]
fn i14_without_the_time_of_the_load_a_slow_mark_is_a_replay() {
    assert_found(Rule::LoadTime, "I14", "two tabs of a client with keys", 30);
}

#[test]
fn i12_without_the_first_attempt_a_mark_hides_a_replay() {
    assert_found(Rule::FirstAttempt, "I12", "old token of a client with keys || check", 30);
}
