//! The requirements, row by row: a test's name starts with the row it proves. All through the public API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "../support/mod.rs"]
mod support;

mod smoke;
