//! The store against real servers: each test has a database of its own, or a server that it can
//! kill. Without PostgreSQL they are skipped, unless `GRANTCORE_REQUIRE_SERVERS=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "nothing of a test crate is reachable")]

mod support;

mod conformance;
mod crash;
mod failover;
mod faults;
mod moving;
mod records;
mod rounds;
mod sweep;
mod tables;
