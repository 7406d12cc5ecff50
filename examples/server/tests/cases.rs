//! What real clients sent, and the right answer to it: the requests of `tests/cases`, each driven
//! against the running server.
//!
//! A file there is one report from the field and others of its kind. Its format is that of
//! `support/cases.rs`. What takes more than one request and one answer follows below.
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
