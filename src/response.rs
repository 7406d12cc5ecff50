//! Responses: values become status, headers and body, without an HTTP crate. The feature `http`
//! converts them.
//!
//! Never here: a decision.

pub(crate) mod access;
pub(crate) mod authorization;
pub(crate) mod challenge;
pub(crate) mod connection;
pub(crate) mod document;
pub(crate) mod introspection;
pub(crate) mod metadata;
pub(crate) mod problem;
pub(crate) mod redirect;
pub(crate) mod registration;
pub(crate) mod reply;
pub(crate) mod revocation;
pub(crate) mod token;
