//! Requests: bytes become an [`Operation`](crate::Operation). Malformed requests are refused here,
//! so a parsed value is never malformed. One file per endpoint.
//!
//! Never here: a record, or a decision that needs one. The methods that decide on a request are in
//! `decide/`.

pub(crate) mod access;
pub(crate) mod authorization;
pub(crate) mod client_status;
pub(crate) mod connection;
pub(crate) mod consent;
pub(crate) mod document;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod parameters;
pub(crate) mod parts;
pub(crate) mod registration;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod token_form;
