//! Tests that the conformance suite finds each broken store by the law that it breaks.

use grantcore::blocking::Ready;
use grantcore::conformance::{
    Harness, Law, Violation, a_cancelled_call_leaves_all_or_nothing, a_client_outlives_its_grants,
    a_code_is_redeemed_once, a_consent_page_is_answered_once, a_mark_is_created_once,
    a_raised_epoch_ends_the_users_grants, a_raised_epoch_is_read,
    a_recreated_record_rejects_old_versions, a_refresh_token_has_one_successor,
    accounts_are_loaded, an_assertion_is_accepted_once, grants_of_lists_every_grant,
    histories_are_linearizable, load_returns_the_named_client_or_none,
    marks_are_kept_until_drop_after, one_of_many_commits_over_a_version_is_done,
    one_of_many_creations_of_a_mark_is_done, records_are_kept_until_drop_after,
    revoked_grants_stay_revoked, swept_grants_leave_the_list, the_store_behaves_like_a_map,
    values_of_any_kind_are_kept,
};

use crate::broken::{Broken, harness};
use crate::bug::Bug;

/// Asserts that the check finds each bug by its law.
#[track_caller]
fn finds<H: Harness<Store = Ready<Broken>>>(
    check: impl Fn(&H) -> Result<(), Violation>,
    made: impl Fn(Bug) -> H,
    expected: &[(Bug, Law)],
) {
    for (bug, law) in expected {
        let violation = check(&made(*bug)).expect_err(&format!("{bug:?} was not found"));
        assert_eq!(violation.law(), *law, "{bug:?} broke another law: {violation:?}");
    }
}

#[test]
fn bugs_of_commits_are_found() {
    finds(
        the_store_behaves_like_a_map,
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
            (Bug::LoadsNoClientOfGrant, Law::Loads),
            (Bug::SkipsClients, Law::Loads),
        ],
    );
}

#[test]
fn i44_bugs_of_the_named_client_are_found() {
    let bugs = [
        Bug::ImpossibleIsUnnamed,
        Bug::AbsentIsOfGrant,
        Bug::AlwaysOfGrant,
        Bug::CallerIsOfGrant,
        Bug::LoadsNoClientOfGrant,
    ];
    finds(load_returns_the_named_client_or_none, harness, &bugs.map(|bug| (bug, Law::NamedClient)));
}

#[test]
fn bugs_in_races_are_found() {
    let races = one_of_many_commits_over_a_version_is_done;
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
fn bugs_in_histories_are_found() {
    for bug in [
        Bug::CheckThenWrite,
        Bug::RowsAffectedIgnored,
        Bug::StaleReadCache,
        Bug::AcknowledgedBeforeWritten,
    ] {
        let violation =
            histories_are_linearizable(&harness(bug)).expect_err(&format!("{bug:?} was not found"));
        let laws = [Law::Linearizable, Law::OneWinner, Law::Faithful];
        assert!(laws.contains(&violation.law()), "{bug:?} broke another law: {violation:?}");
    }
}

#[test]
fn bugs_of_values_are_found() {
    finds(
        values_of_any_kind_are_kept,
        harness,
        &[(Bug::FoldsCase, Law::Progress), (Bug::CutsBodies, Law::Works)],
    );
}

#[test]
fn bugs_of_the_sweep_are_found() {
    finds(
        records_are_kept_until_drop_after,
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
fn bugs_of_reused_keys_are_found() {
    finds(
        a_recreated_record_rejects_old_versions,
        harness,
        &[
            (Bug::Upsert, Law::Compares),
            (Bug::VersionReset, Law::Progress),
            (Bug::SweepsNoClients, Law::Swept),
        ],
    );
}

#[test]
fn bugs_of_the_list_of_grants_are_found() {
    let bugs = [
        Bug::SubjectByPrefix,
        Bug::SubjectCut,
        Bug::SubjectRange,
        Bug::SubjectRangeBack,
        Bug::SubjectLost,
        Bug::SubjectOfPagesOnly,
        Bug::SubjectUnordered,
        Bug::SubjectPagesOverlap,
        Bug::SubjectOfNobody,
    ];
    finds(grants_of_lists_every_grant, harness, &bugs.map(|bug| (bug, Law::Index)));
}

#[test]
fn bugs_of_the_index_after_a_sweep_are_found() {
    finds(
        swept_grants_leave_the_list,
        harness,
        &[
            (Bug::SweepLeavesIndex, Law::SweptIndex),
            (Bug::SweepLeavesHoles, Law::Index),
            (Bug::SweepsAll, Law::Swept),
        ],
    );
    // The same indexes are right as long as nothing is swept.
    for bug in [Bug::SweepLeavesIndex, Bug::SweepLeavesHoles] {
        grants_of_lists_every_grant(&harness(bug)).unwrap();
    }
}

#[test]
fn bugs_of_loaded_accounts_are_found() {
    finds(
        accounts_are_loaded,
        harness,
        &[
            (Bug::LoadsNoAccount, Law::LoadsAccounts),
            (Bug::LoadsGoodAccounts, Law::LoadsAccounts),
            (Bug::LoadsNoOwner, Law::LoadsAccounts),
            (Bug::LoadsNoBalance, Law::LoadsAccounts),
            (Bug::LoadsNoAccountsOfMany, Law::LoadsAccounts),
            (Bug::SkipsClients, Law::Loads),
        ],
    );
    finds(
        a_raised_epoch_ends_the_users_grants,
        harness,
        &[
            (Bug::LoadsNoAccount, Law::Works),
            (Bug::LoadsGoodAccounts, Law::Epoch),
            (Bug::EpochNotRaised, Law::Epoch),
        ],
    );
    finds(a_raised_epoch_is_read, harness, &[(Bug::EpochNotRaised, Law::Epoch)]);
}

#[test]
fn bugs_are_found_by_whole_flows() {
    finds(
        a_code_is_redeemed_once,
        harness,
        &[
            (Bug::CheckThenWrite, Law::OneRedemption),
            (Bug::RowsAffectedIgnored, Law::OneRedemption),
        ],
    );
    finds(
        a_refresh_token_has_one_successor,
        harness,
        &[(Bug::CheckThenWrite, Law::OneSuccessor), (Bug::RowsAffectedIgnored, Law::OneSuccessor)],
    );
    finds(revoked_grants_stay_revoked, harness, &[(Bug::RowsAffectedIgnored, Law::Revoked)]);
    finds(
        a_consent_page_is_answered_once,
        harness,
        &[(Bug::CheckThenWrite, Law::OneAnswer), (Bug::RowsAffectedIgnored, Law::OneAnswer)],
    );
}

#[test]
fn seen_12_bugs_of_marks_are_found() {
    finds(
        a_mark_is_created_once,
        harness,
        &[
            (Bug::MarkOverwrites, Law::MarkOnce),
            (Bug::MarkOverwritesQuietly, Law::MarkOnce),
            (Bug::MarkOfProcess, Law::Fresh),
            (Bug::MarkByPrefix, Law::Progress),
            (Bug::MarkEvicted, Law::MarkOnce),
            (Bug::StaleReadCache, Law::Fresh),
            (Bug::AcknowledgedBeforeWritten, Law::Fresh),
            (Bug::RowsAffectedIgnored, Law::MarkOnce),
            (Bug::ConflictForBusy, Law::Progress),
            (Bug::ErrorForConflict, Law::Works),
        ],
    );
    finds(
        one_of_many_creations_of_a_mark_is_done,
        harness,
        &[
            (Bug::CheckThenWrite, Law::MarkOnce),
            (Bug::MarkOverwrites, Law::MarkOnce),
            (Bug::MarkOfProcess, Law::MarkOnce),
        ],
    );
    finds(
        marks_are_kept_until_drop_after,
        harness,
        &[
            (Bug::MarkSweptAtEnd, Law::NotEarly),
            (Bug::MarkExpiresAtEnd, Law::NotEarly),
            (Bug::EarlyExpiry, Law::NotEarly),
            (Bug::MarkEvicted, Law::NotEarly),
            (Bug::SweepsNoMarks, Law::Swept),
            (Bug::SweepsAll, Law::Swept),
        ],
    );
    finds(
        an_assertion_is_accepted_once,
        harness,
        &[
            (Bug::CheckThenWrite, Law::OneAcceptance),
            (Bug::MarkOverwrites, Law::OneAcceptance),
            (Bug::MarkOfProcess, Law::OneAcceptance),
            (Bug::RowsAffectedIgnored, Law::OneAcceptance),
        ],
    );
}

#[test]
fn a_violation_names_its_law_and_the_observation() {
    let violation = the_store_behaves_like_a_map(&harness(Bug::RowsAffectedIgnored)).unwrap_err();
    let text = format!("{violation:?}");
    let law = "a law is broken: a commit over a version that is not the stored one is Conflict";
    assert!(text.starts_with(law), "{text}");
    assert!(text.contains("Here: walk 1, step ") && text.ends_with("(Law::Compares)"), "{text}");
    // The futures of a blocking store never wait, so its calls cannot be cancelled.
    a_cancelled_call_leaves_all_or_nothing(&harness(Bug::None)).unwrap();
}
