//! Deciding: each operation is a pure function from a request, the loaded records, the policy and
//! the moment to a [`Decision`](crate::operation::Decision).
//!
//! There is one file per operation. `document`, `login` and `silent` are parts of authorize, and
//! `redeem`, `refresh`, `machine` and `jwt_bearer` are the parts of a token request. The steps are
//! private methods of the request; they are listed in `docs/decisions.md`, in the same order.
//!
//! Never here: a store, a driver, a clock, a source of randomness.

mod access;
mod authenticate;
mod authorization;
mod client_assertion;
mod client_status;
mod connection;
mod consent;
mod context;
mod direct;
mod document;
mod dropped;
mod introspection;
mod jwt_bearer;
mod login;
mod machine;
mod machine_terms;
mod management;
mod narrowing;
mod parameters;
mod redeem;
mod refresh;
mod registration;
mod revocation;
mod secret_rotation;
mod silent;
mod supersession;
mod terms;
mod token;
