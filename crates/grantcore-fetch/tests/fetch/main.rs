//! Tests of the fetcher against servers of the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../support/mod.rs"]
mod support;

mod exchange;
mod limits;
