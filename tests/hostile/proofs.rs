//! Random programs of machines and assertions at four nodes of two issuers, with a thief who sends
//! every assertion that was ever made, at any node and as any client. A model predicts every answer.
//!
//! The model ([`rules`]) is written from `docs/decisions.md` and shares no code with the crate. It
//! knows which assertion was used, and by whom each token is owned. The four nodes ([`nodes`]) share a
//! store with faults.

mod nodes;
mod play;
mod rules;

pub use self::play::{run, run_without_marks};
