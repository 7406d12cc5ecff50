//! The store against real servers: each test starts its own, one that stands alone and a cluster of
//! three.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]
#![allow(unreachable_pub, reason = "nothing of a test crate is reachable")]

mod accounts;
mod administration;
mod clients;
mod commit;
mod conformance;
mod crash;
mod failover;
mod flow;
mod harmed;
mod index;
mod lost;
mod place;
mod proxies;
mod race;
mod resharding;
mod risks;
mod round_trips;
mod stopped;
