//! Deciding: one file per verb, each one pure function from a request, the loaded records and the
//! moment to a decision.
//!
//! Never here: a store, a driver, a clock, a source of randomness. The tables they implement are in
//! the crate's documentation.

mod access;
mod authenticate;
mod authorization;
mod client_status;
mod connection;
mod consent;
mod document;
mod introspection;
mod management;
mod redeem;
mod refresh;
mod registration;
mod renew;
mod revocation;
mod terms;
mod token;
