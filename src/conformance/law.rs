//! What a store must keep, by name, and how it is told that one of it was broken.

use std::fmt;

/// A law of a store. See [the laws](crate::store#the-laws-of-a-store).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Law {
    /// The store failed where nothing was wrong, a lost race included: that is a `Conflict`, not an
    /// error.
    #[error("where nothing is wrong, a call succeeds; a lost race is Conflict, not an error")]
    Works,
    /// A record came back otherwise than it was written.
    #[error("a record comes back as it was written")]
    Faithful,
    /// A record came back with another version than was written with it. Versions come from the
    /// library, never from a counter of the store's own: that one begins again when a record
    /// does.
    #[error("a record comes back with the version that was written with it")]
    Versions,
    /// A commit on another version than the stored one was done, or said to be.
    #[error("a commit on a version that is not the stored one is Conflict, and writes nothing")]
    Compares,
    /// Several commits on one version were done: the comparison and the write are not one step.
    #[error("of all commits on one version at most one is Done")]
    OneWinner,
    /// `Conflict` was told though nobody else had written. A write that failed, or of which nothing
    /// is known, is an error.
    #[error("Conflict is told only where somebody else has written")]
    Progress,
    /// `Done` was told before it was written.
    #[error("Done is told when it is written, and not before")]
    Done,
    /// A handle did not read what another had been told was done: a cache, or a replica.
    #[error("every read, by whichever handle, sees what was acknowledged before it began")]
    Fresh,
    /// What was read and written cannot have happened in any order.
    #[error("reads and writes of a record happen in one order, which is that of the clock as well")]
    Linearizable,
    /// A call that was dropped half way left half of its work, or a handle that is of no use any
    /// more.
    #[error(
        "a call that is dropped half way has written all or nothing, and leaves the store sound"
    )]
    WholeOrNothing,
    /// A record was gone before its `drop_after`.
    #[error("no record is dropped before its drop_after, as it was written last")]
    NotEarly,
    /// A sweep left what it should have dropped, or dropped more than it was told to.
    #[error("a sweep drops what is over, at most as many as it is told")]
    Swept,
    /// `grants_of` left out a grant, or brought one that is not this user's, or not in the order of
    /// ids, or not as many as asked for.
    #[error("grants_of gives the ids of a user's grants, all of them in parts, in their order")]
    Index,
    /// `load` or `load_grants` brought something else than the single reads do.
    #[error("load brings what the single reads bring")]
    Loads,
    /// `load` brought another client than the one that was named, such as the grant's in place of
    /// one that does not exist (I44).
    #[error("load brings the client that was named, or none; the grant's only if none was named")]
    NamedClient,
    /// `raise_epoch` said that it had raised the epoch, and `account` did not say so.
    #[error("an epoch that was raised is read so, and nobody else's is raised")]
    Epoch,
    /// A result that could not be known was told as `Conflict`, or as `Done`, or a record that
    /// could not be read as absent.
    #[error("what is not known is an error: never Conflict, never Done, never absent")]
    Doubt,
    /// What was acknowledged was gone after a crash.
    #[error("what was acknowledged is there after a crash")]
    Durable,
    /// One code yielded two pairs of tokens, or its replay left tokens alive (I6, I8).
    #[error("a code yields one pair of tokens, and its replay ends them")]
    OneRedemption,
    /// One refresh token had two successors, or lost its family to the very retry that the replay
    /// window is for (I10, I11, I14).
    #[error("a refresh token has one successor")]
    OneSuccessor,
    /// A token worked after the revocation of its grant had been acknowledged, or after a replay
    /// (I12, I19).
    #[error("no token of a grant works once its revocation was acknowledged")]
    Revoked,
    /// A consent page was answered twice (I3).
    #[error("a consent page is answered once")]
    OneAnswer,
}

/// A law that was broken, and what was seen of it.
#[derive(Clone, thiserror::Error)]
#[error("{law}.\n  Here: {told}")]
pub struct Violation {
    law: Law,
    told: String,
}

/// A failing test prints this, so it is written for people.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store breaks a law: {self}\n  (Law::{:?})", self.law)
    }
}

impl Violation {
    /// The law that was broken.
    pub fn law(&self) -> Law {
        self.law
    }
}

impl Law {
    /// It was broken so.
    pub(super) fn broken(self, told: impl fmt::Display) -> Violation {
        Violation { law: self, told: told.to_string() }
    }

    /// It holds if this does; otherwise it was broken so.
    pub(super) fn holds(self, holds: bool, told: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { Err(self.broken(told())) }
    }
}

/// The result of a call that nothing is in the way of.
pub(super) fn works<T, E: fmt::Debug>(
    what: impl fmt::Display,
    result: Result<T, E>,
) -> Result<T, Violation> {
    result.map_err(|error| Law::Works.broken(format_args!("{what} failed: {error:?}")))
}
