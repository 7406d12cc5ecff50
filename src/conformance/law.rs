//! The laws by name, and how a violation is reported.

use std::fmt;

/// A law of a [store](crate::store#the-laws-of-a-store) or of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Law {
    /// A call failed although nothing was wrong. A lost race is no failure: it is a `Conflict`.
    #[error("a call succeeds if nothing is wrong; a lost race is Conflict, not an error")]
    Works,
    /// A record was read with another content than was written.
    #[error("a record is read as it was written")]
    Faithful,
    /// A record was read with another version than was written with it. Versions come from the
    /// library. A counter of the store's own begins again when a record is recreated.
    #[error("a record is read with the version that was written with it")]
    Versions,
    /// A commit over another version than the stored one was done, or was reported as done.
    #[error("a commit over a version that is not the stored one is Conflict, and writes nothing")]
    Compares,
    /// Several commits over one version were done: the comparison and the write are not one step.
    #[error("at most one of all commits over one version is Done")]
    OneWinner,
    /// `Conflict` was returned although nobody else had written. A write that failed, or whose
    /// result is not known, is an error.
    #[error("Conflict is returned only if somebody else has written")]
    Progress,
    /// `Done` was returned before the record was written.
    #[error("Done is returned after the record is written, and not before")]
    Done,
    /// A handle did not read what another handle had acknowledged: there is a cache or a replica.
    #[error("a read through any handle sees every commit that was acknowledged before it began")]
    Fresh,
    /// No order of the reads and writes explains what they returned.
    #[error("the reads and writes of a record have one order, which agrees with the clock")]
    Linearizable,
    /// A call that was cancelled wrote a part of its record, or left a handle that cannot be used.
    #[error("a cancelled call has written all or nothing, and leaves the handle usable")]
    WholeOrNothing,
    /// A record was dropped before its `drop_after`.
    #[error("no record is dropped before its drop_after, as it was last written")]
    NotEarly,
    /// A sweep left a record that was due, or dropped more records than its limit.
    #[error("a sweep drops the records that are due, and no more than its limit")]
    Swept,
    /// `grants_of` omitted a grant, listed one of another user, ignored the order of ids or
    /// exceeded its limit.
    #[error("grants_of lists all grant ids of a user, ascending, in pages of any size")]
    Index,
    /// `grants_of` listed a grant that a sweep had dropped: its entry is left in the index of the
    /// user's grants, which grows for ever.
    #[error("a sweep drops a grant together with its entry in the list of its user's grants")]
    SweptIndex,
    /// `load` or `load_grants` returned other records than the single reads.
    #[error("load returns the records that the single reads return")]
    Loads,
    /// `load` returned another client than the one that was named, such as the grant's client in
    /// place of one that does not exist (I44).
    #[error("load returns the named client or none; the grant's client only if none was named")]
    NamedClient,
    /// `account` returned different answers although nothing had changed.
    #[error("all handles return the same account until it is changed")]
    Account,
    /// `raise_epoch` returned `true`, and the epoch was not higher afterwards; or another account
    /// changed with it.
    #[error("a raised epoch is read by every handle, and no other account changes")]
    Epoch,
    /// `load` or `load_grants` returned other accounts than the single reads.
    #[error("a store that loads accounts returns those that the single reads return")]
    LoadsAccounts,
    /// A result that was not known was returned as `Conflict` or `Done`, or a record that could not
    /// be read as absent.
    #[error("a result that is not known is an error: never Conflict, Done or absent")]
    Unknown,
    /// An acknowledged write was gone after a crash.
    #[error("an acknowledged write survives a crash")]
    Durable,
    /// One code yielded two pairs of tokens, or its replay left tokens alive (I6, I8).
    #[error("a code is redeemed once, and its replay revokes what it yielded")]
    OneRedemption,
    /// One refresh token had two successors, or a retry within the replay window revoked its family
    /// (I10, I11, I14).
    #[error("a refresh token has one successor")]
    OneSuccessor,
    /// A token worked after the revocation of its grant was acknowledged, or after a replay (I12,
    /// I19).
    #[error("no token of a grant works once its revocation was acknowledged")]
    Revoked,
    /// `put_client` lowered the epoch of a client, or did not write a higher one.
    #[error("put_client never lowers a client's epoch: ended grants stay ended")]
    NoRevival,
    /// `add_client` replaced a client that existed, or returned the wrong result.
    #[error("add_client writes a client unless one of its id exists, and returns whether it did")]
    AddedOnce,
    /// A mark was created twice, replaced, or lost: its assertion is usable again.
    #[error("a mark is created if there is none of its key, and never changed")]
    MarkOnce,
    /// An assertion was accepted twice, or by no node at all (I32).
    #[error("an assertion is accepted once")]
    OneAcceptance,
    /// A consent page was answered twice (I3).
    #[error("a consent page is answered once")]
    OneAnswer,
}

/// A law that was broken, and the observation that shows it.
#[derive(Clone, thiserror::Error)]
#[error("{law}.\n  Here: {observed}")]
pub struct Violation {
    law: Law,
    observed: String,
}

/// A failing test prints this, so it is written for people.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a law is broken: {self}\n  (Law::{:?})", self.law)
    }
}

impl Violation {
    /// Returns the law that was broken.
    pub fn law(&self) -> Law {
        self.law
    }
}

impl Law {
    /// Returns the violation of this law that was observed.
    pub(super) fn broken(self, observed: impl fmt::Display) -> Violation {
        Violation { law: self, observed: observed.to_string() }
    }

    /// Checks a condition of this law.
    pub(super) fn holds(
        self,
        holds: bool,
        observed: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        if holds { Ok(()) } else { Err(self.broken(observed())) }
    }
}

/// Returns the result of a call that has no reason to fail.
pub(super) fn works<T, E: fmt::Debug>(
    call: impl fmt::Display,
    result: Result<T, E>,
) -> Result<T, Violation> {
    result.map_err(|error| Law::Works.broken(format_args!("{call} failed: {error:?}")))
}
