//! Deciding: each operation is a pure function from a request, the loaded records, the policy and
//! the moment to a [`Decision`](crate::Decision).
//!
//! One file per operation; `document`, `redeem` and `refresh` are parts of an operation with a file
//! of their own. An operation extends its request by private methods. The steps of each are in
//! `docs/decisions.md`, in the same order.
//!
//! Never here: a store, a driver, a clock, a source of randomness.

mod access;
mod authenticate;
mod authorization;
mod client_status;
mod connection;
mod consent;
mod context;
mod document;
mod introspection;
mod management;
mod redeem;
mod refresh;
mod registration;
mod revocation;
mod terms;
mod token;
