//! Deciding: one file per verb, each one pure function from a request, the loaded records and the
//! moment to a decision.
//!
//! Never here: a store, a driver, a clock, a source of randomness. The tables they implement are in
//! the crate's documentation.

mod authenticate;
mod authorize;
mod check;
mod consent;
mod disconnect;
mod document;
mod introspect;
mod manage;
mod redeem;
mod refresh;
mod register;
mod renew;
mod revoke;
mod standing;
mod terms;
mod token;
