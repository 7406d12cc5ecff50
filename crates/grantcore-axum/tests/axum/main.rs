//! Tests of the crate over its router: each module has those of one subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "nothing of a test crate is reachable")]

mod support;

mod bearer;
mod bodies;
mod consent;
mod cross_origin;
mod flow;
mod hangup;
#[cfg(feature = "introspection")]
mod introspection;
mod login;
mod pages;
mod routes;
mod services;
mod sources;
