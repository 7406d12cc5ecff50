//! Deciding: one file per verb, each one pure function from a request, the loaded records and the moment to a decision.
//!
//! Never here: a store, a driver, a clock, a source of randomness. The tables they implement are in the crate's documentation.

pub(crate) mod authorize;
pub(crate) mod check;
pub(crate) mod consent;
pub(crate) mod redeem;
pub(crate) mod refresh;
mod terms;
