//! Tests of requests that real clients sent, with the right response: the files of
//! `tests/server/cases` against the running server.
//!
//! Each file has one report of a real client and similar cases. `support/cases.rs` describes the
//! format. Cases that need more than one request are modules below.

mod billing;
mod flows;
mod signing_in;

use std::collections::BTreeSet;

use crate::support::cases::drive;

macro_rules! cases {
    ($($name:ident: $file:literal,)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                drive($file, include_str!(concat!("cases/", $file))).await;
            }
        )+

        const DRIVEN: &[&str] = &[$($file),+];
    };
}

cases! {
    f01_unsupported_grant_types_are_dropped_from_a_registration: "F01-grant-types-superset.http",
    f02_a_document_with_a_common_method_connects: "F02-cimd-private-key-jwt.http",
    f03_a_registered_scope_does_not_lock_a_client_in: "F03-registered-scope-lock-in.http",
    f08_a_refused_host_is_named: "F08-host-of-a-named-upstream.http",
    f09_there_is_no_openid_document: "F09-openid-alias.http",
    f10_scopes_that_clients_send_by_habit_are_dropped: "F10-openid-scopes.http",
    f11_the_error_of_a_wrong_method_names_the_registered_one: "F11-right-secret-other-method.http",
    f12_too_many_scopes_are_counted: "F12-scope-count.http",
    f13_editors_register_their_schemes: "F13-cursor-three-uris.http",
    f15_invalid_descriptive_members_are_dropped: "F15-http-client-uri.http",
    f16_redirect_uris_are_counted: "F16-eleven-redirect-uris.http",
    f18_a_scheme_without_a_credential_counts_as_none: "F18-empty-bearer.http",
    f19_a_slash_at_the_end_leads_to_the_same_resource: "F19-slash-at-the-end.http",
    habits_of_clients_are_served: "habits-of-clients.http",
}

#[test]
fn every_file_of_cases_is_driven() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/cases");
    let files: BTreeSet<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let driven: BTreeSet<_> = DRIVEN.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, driven);
}
