//! The state of the model: the store, and how far each request is.

use std::collections::BTreeMap;

use grantcore::Reason;
use grantcore::store::{Seen, SeenKey};

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The number of the time that the fastest clock shows.
    pub clock: usize,
    pub marks: BTreeMap<SeenKey, Seen>,
    /// For each request, whose grant of its id is stored.
    pub grants: Vec<Option<usize>>,
    /// The writes that were given up and may still land, each with its request.
    pub late: Vec<(usize, Kind)>,
    pub runs: Vec<Run>,
    pub faults: u8,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Run {
    pub turns: Vec<Turn>,
    pub loaded: Option<LoadedGrant>,
    pub phase: Phase,
    /// Whether it ever created a mark, and its grant.
    pub has_marked: bool,
    pub has_created: bool,
}

/// What a request has loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoadedGrant {
    /// The request that created the grant, or `None` if there was no grant.
    pub created_by: Option<usize>,
    /// The time of the load.
    pub at: i64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Turn {
    Lost(i64),
    /// A mark was tried: what the request was given for what was found, and what was found.
    Marked {
        own: Seen,
        given: Option<Seen>,
        found: Option<Seen>,
        now: i64,
    },
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Phase {
    Loads,
    Decides,
    /// A write is on its way. `is_free` is what a comparison before the write has found.
    Sent {
        kind: Kind,
        is_free: bool,
    },
    Finds(Seen),
    Answered(Answer),
    Crashed,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    Mark(Seen),
    Grant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Accepted,
    Refused(Reason),
    /// The store failed.
    Unknown,
}
