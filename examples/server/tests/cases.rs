//! What real clients sent, and the right answer to it: the requests of `tests/cases`, each driven
//! against the running server.
//!
//! A file there is one report from the field and others of its kind. Its format is that of
//! `support/cases.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod support;

#[path = "cases/billing.rs"]
mod billing;

use std::collections::BTreeSet;

use support::cases::drive;

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
    f01_what_is_not_served_narrows_a_registration: "F01-grant-types-superset.http",
    f02_a_document_that_shares_a_method_connects: "F02-cimd-private-key-jwt.http",
    f03_a_registered_scope_locks_nobody_in: "F03-registered-scope-lock-in.http",
    f12_too_many_scopes_are_counted: "F12-scope-count.http",
    f15_descriptive_members_that_do_not_fit_are_dropped: "F15-http-client-uri.http",
}

#[test]
fn every_file_of_cases_is_driven() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
    let files: BTreeSet<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let driven: BTreeSet<_> = DRIVEN.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(files, driven);
}
