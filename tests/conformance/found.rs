//! Each broken store is found out, by the law it breaks, and by which checks.

use grantcore::conformance::{
    Awaited, Harness, Law, Violation, a_client_outlives_its_grants,
    a_dropped_future_leaves_all_or_nothing, a_key_that_comes_back_is_another_record,
    a_named_client_is_that_one_or_none, a_raised_epoch_is_read, approve_or_deny,
    histories_are_linearizable, nothing_is_dropped_early, of_many_commits_on_one_version_one_wins,
    one_code_is_redeemed_once, one_refresh_token_has_one_successor, revoked_stays_revoked,
    the_grants_of_a_user_are_found, the_store_is_a_map, values_of_any_kind_come_back,
};

use crate::broken::{Broken, Bug, harness};

/// What the check says of a store with this bug.
#[track_caller]
fn finds<H: Harness<Store = Awaited<Broken>>>(
    check: impl Fn(&H) -> Result<(), Violation>,
    made: impl Fn(Bug) -> H,
    expected: &[(Bug, Law)],
) {
    for (bug, law) in expected {
        let violation = check(&made(*bug)).expect_err(&format!("{bug:?} was not found"));
        assert_eq!(violation.law(), *law, "{bug:?} was found otherwise: {violation:?}");
    }
}

#[test]
fn by_the_map() {
    finds(
        the_store_is_a_map,
        harness,
        &[
            (Bug::RowsAffectedIgnored, Law::Compares),
            (Bug::AcknowledgedBeforeWritten, Law::Done),
            (Bug::StaleReadCache, Law::Fresh),
            (Bug::ConflictForBusy, Law::Progress),
            (Bug::ErrorForConflict, Law::Works),
            (Bug::VersionReset, Law::Versions),
            (Bug::KeepsOldBody, Law::Faithful),
            (Bug::Upsert, Law::Compares),
            (Bug::LoadsNoAccount, Law::Loads),
            (Bug::LoadsGoodAccounts, Law::Loads),
            (Bug::LoadsNoOwner, Law::Loads),
            (Bug::LoadsNoClientOfGrant, Law::Loads),
        ],
    );
}

#[test]
fn i44_by_the_client_that_was_named() {
    let bugs = [
        Bug::ImpossibleIsUnnamed,
        Bug::AbsentIsOfGrant,
        Bug::AlwaysOfGrant,
        Bug::CallerIsOfGrant,
        Bug::LoadsNoClientOfGrant,
    ];
    finds(a_named_client_is_that_one_or_none, harness, &bugs.map(|bug| (bug, Law::NamedClient)));
}

#[test]
fn by_races() {
    let races = of_many_commits_on_one_version_one_wins;
    finds(
        races,
        harness,
        &[
            (Bug::CheckThenWrite, Law::OneWinner),
            (Bug::RowsAffectedIgnored, Law::OneWinner),
            (Bug::ErrorForConflict, Law::Works),
        ],
    );
}

#[test]
fn by_histories() {
    for bug in [
        Bug::CheckThenWrite,
        Bug::RowsAffectedIgnored,
        Bug::StaleReadCache,
        Bug::AcknowledgedBeforeWritten,
    ] {
        let violation =
            histories_are_linearizable(&harness(bug)).expect_err(&format!("{bug:?} was not found"));
        let laws = [Law::Linearizable, Law::OneWinner, Law::Faithful];
        assert!(laws.contains(&violation.law()), "{bug:?} was found otherwise: {violation:?}");
    }
}

#[test]
fn by_values() {
    finds(
        values_of_any_kind_come_back,
        harness,
        &[(Bug::FoldsCase, Law::Progress), (Bug::CutsBodies, Law::Works)],
    );
}

#[test]
fn by_how_long_records_are_kept() {
    finds(
        nothing_is_dropped_early,
        harness,
        &[
            (Bug::EarlyExpiry, Law::NotEarly),
            (Bug::OwnExpiryEarly, Law::NotEarly),
            (Bug::FirstEndForGood, Law::NotEarly),
            (Bug::SweepsAll, Law::Swept),
            (Bug::SweepsNoClients, Law::Swept),
        ],
    );
    finds(a_client_outlives_its_grants, harness, &[(Bug::FirstEndForGood, Law::NotEarly)]);
}

#[test]
fn by_keys_that_come_back() {
    finds(
        a_key_that_comes_back_is_another_record,
        harness,
        &[
            (Bug::Upsert, Law::Compares),
            (Bug::VersionReset, Law::Progress),
            (Bug::SweepsNoClients, Law::Swept),
        ],
    );
}

#[test]
fn by_the_grants_of_a_user() {
    let bugs = [
        Bug::SubjectByPrefix,
        Bug::SubjectLost,
        Bug::SubjectOfPagesOnly,
        Bug::SubjectUnordered,
        Bug::SubjectPagesOverlap,
    ];
    finds(the_grants_of_a_user_are_found, harness, &bugs.map(|bug| (bug, Law::Index)));
}

#[test]
fn by_epochs() {
    finds(a_raised_epoch_is_read, harness, &[(Bug::EpochNotRaised, Law::Epoch)]);
}

#[test]
fn by_what_becomes_of_flows() {
    finds(
        one_code_is_redeemed_once,
        harness,
        &[
            (Bug::CheckThenWrite, Law::OneRedemption),
            (Bug::RowsAffectedIgnored, Law::OneRedemption),
        ],
    );
    finds(
        one_refresh_token_has_one_successor,
        harness,
        &[(Bug::CheckThenWrite, Law::OneSuccessor), (Bug::RowsAffectedIgnored, Law::OneSuccessor)],
    );
    finds(revoked_stays_revoked, harness, &[(Bug::RowsAffectedIgnored, Law::Revoked)]);
    finds(
        approve_or_deny,
        harness,
        &[(Bug::CheckThenWrite, Law::OneAnswer), (Bug::RowsAffectedIgnored, Law::OneAnswer)],
    );
}

#[test]
fn a_violation_says_what_it_is_about() {
    let violation = the_store_is_a_map(&harness(Bug::RowsAffectedIgnored)).unwrap_err();
    let told = format!("{violation:?}");
    assert!(
        told.starts_with(
            "the store breaks a law: a commit on a version that is not the stored one is Conflict"
        ),
        "{told}"
    );
    assert!(told.contains("Here: walk 1, step ") && told.ends_with("(Law::Compares)"), "{told}");
    // A sound store cannot be found out by being dropped: its futures never wait.
    a_dropped_future_leaves_all_or_nothing(&harness(Bug::None)).unwrap();
}
