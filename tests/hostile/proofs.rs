//! Random programs of machines and assertions at four nodes of two issuers, with a thief who sends
//! every assertion that was ever made, at any node and as any client. A model predicts every answer.
//!
//! The model ([`rules`]) is written from `docs/decisions.md`, and the model of key sets at URLs
//! ([`keys`]) from the rows KEYS-32 to KEYS-37. They share no code with the crate. They know which
//! assertion was used, by whom each token is owned, and which node fetches a key set when. The four
//! nodes ([`nodes`]) share a store with faults.

mod keys;
mod nodes;
mod play;
mod rules;

pub use self::play::{run, run_without_marks};
