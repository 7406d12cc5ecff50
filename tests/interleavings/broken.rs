//! The search without one of the rules that protect a grant. It must find a counterexample: an
//! exploration that is too small to see a fault would pass with any code.
//!
//! A rule is left out in the model around the decisions, and not in the library.

use crate::keyed::KEYED;
use crate::request::{Ask, Flaw};
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
    /// The client of a request is compared with the client of its credential (I9).
    Client,
    /// The family of a refresh token is compared with the family of its grant (I9).
    Family,
    /// The verifier, the redirect URI and the scope are compared with those of the grant (I9).
    Request,
    /// A decision of the host is applied to the current refresh token alone (I53).
    Judged,
    /// The store loads the client that a request names, and no other.
    Named,
}

impl Rule {
    /// Returns a request as it looks to a server without the rule.
    pub fn hides_flaw_of(self, ask: Ask) -> Ask {
        let seen = |flaw| if self.hides(flaw) { Flaw::None } else { flaw };
        match ask {
            Ask::Redeem(flaw) => Ask::Redeem(seen(flaw)),
            Ask::Refresh(which, flaw) => Ask::Refresh(which, seen(flaw)),
            other => other,
        }
    }

    fn hides(self, flaw: Flaw) -> bool {
        match self {
            Self::Client => flaw == Flaw::Client,
            Self::Family => flaw == Flaw::Family,
            Self::Request => matches!(flaw, Flaw::Verifier | Flaw::Redirect | Flaw::Scope),
            _ => false,
        }
    }
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

#[test]
fn i9_without_a_comparison_an_invalid_attempt_changes_the_grant() {
    assert_found(Rule::Client, "I9", "redeem || wrong client", 0);
    assert_found(Rule::Client, "I9", "refresh || another client's", 30);
    assert_found(Rule::Family, "I9", "refresh || a forged one", 0);
    assert_found(Rule::Request, "I9", "redeem || wrong verifier", 0);
    assert_found(Rule::Request, "I9", "redeem || wrong redirect URI", 0);
}

#[test]
fn i53_a_decision_of_the_host_on_a_rotated_token_hides_its_replay() {
    assert_found(Rule::Judged, "I53", "refresh || old token || the host ends", 0);
    assert_found(Rule::Judged, "I53", "refresh || old token || the host ends", 30);
}

/// A store that falls back to the client of the grant changes nothing: the library compares the client
/// that it gets with the client that the request names (I44).
#[test]
fn i44_with_a_store_that_loads_the_client_of_the_grant_nobody_acts_as_it() {
    for name in ["redeem || wrong client", "refresh || another client's"] {
        let report = without(Rule::Named, name, 0);
        assert!(report.broken.is_empty(), "{name}: {:?}", report.broken.keys());
        assert!(report.judged.contains_key("I9"), "{name}");
    }
}
