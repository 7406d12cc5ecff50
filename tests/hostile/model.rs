//! Random programs of several clients, users, two issuers and a thief, over a clock that jumps and a
//! store with faults. A model predicts every answer.
//!
//! The model ([`rules`], [`tables`]) is written from `docs/decisions.md` and shares no code with the crate. It
//! knows what each ticket, code and token should do; [`play`] compares each answer with it, learns
//! the credentials that arrive, and scans everything else that is produced for secrets. The thief
//! has every credential of everybody.

mod accounts;
mod browser;
mod clients;
mod credentials;
mod documents;
mod host;
pub mod play;
mod programs;
pub mod records;
mod registration;
pub mod rig;
pub mod rules;
pub mod scan;
mod silent;
pub mod steps;
pub mod store;
pub mod tables;
mod visits;

use self::play::{Fault, Play, Reached};
use crate::random::Random;

/// Plays a program, in which each number seeds one step, in a new world.
pub fn run(world: u64, steps: &[u64]) -> Result<Reached, Fault> {
    let mut play = Play::new(Random::new(world));
    for step in steps {
        play.random = Random::new(*step);
        play.step()?;
    }
    play.end()?;
    Ok(play.reached)
}
