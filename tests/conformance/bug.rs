//! The bugs that a store can have, each once in a [broken store](crate::broken).

/// The bug of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    /// Reads the version with `SELECT`, and then writes with an unconditional `UPDATE`.
    CheckThenWrite,
    /// Writes with `UPDATE … WHERE version`, and ignores the number of changed rows.
    RowsAffectedIgnored,
    /// Acknowledges, and writes a little later.
    AcknowledgedBeforeWritten,
    /// Each handle caches what it has read.
    StaleReadCache,
    /// A busy database is returned as a conflict.
    ConflictForBusy,
    /// A conflict is returned as an error.
    ErrorForConflict,
    /// Counts its own versions, from 1 for each new row.
    VersionReset,
    /// Keeps the old record and increments the version.
    KeepsOldBody,
    /// A sweep drops records before their end.
    EarlyExpiry,
    /// The database expires records before their end.
    OwnExpiryEarly,
    /// Sets the end of a row when it is created, and not when it changes.
    FirstEndForGood,
    /// A sweep ignores its limit.
    SweepsAll,
    /// Never sweeps clients.
    SweepsNoClients,
    /// Creates a row that a write should replace, if the row is absent.
    Upsert,
    /// Looks users up by a prefix.
    SubjectByPrefix,
    /// Looks users up in a column that cuts the last character.
    SubjectCut,
    /// Takes a grant without a user for one of the user with the empty name.
    SubjectOfNobody,
    /// Reads the index of users and grants from the user on, up to a subject of another length.
    SubjectRange,
    /// Reads it backwards, up to a subject of another length.
    SubjectRangeBack,
    /// A sweep leaves the grant in the index of its user's grants.
    SweepLeavesIndex,
    /// It does, and the list leaves out what is gone after it has cut the page.
    SweepLeavesHoles,
    /// Forgets the index when a grant changes.
    SubjectLost,
    /// Indexes a grant only if it begins as a consent page.
    SubjectOfPagesOnly,
    /// Lists in descending order.
    SubjectUnordered,
    /// A page begins with the last id of the page before.
    SubjectPagesOverlap,
    /// Identifiers are compared without their letter case.
    FoldsCase,
    /// A column of 4,000 characters truncates longer texts silently.
    CutsBodies,
    /// `load` returns no account.
    LoadsNoAccount,
    /// `load` returns every account as active and with its first epoch.
    LoadsGoodAccounts,
    /// `load` returns no owner.
    LoadsNoOwner,
    /// `load` returns no balance.
    LoadsNoBalance,
    /// `load_grants` returns no accounts.
    LoadsNoAccountsOfMany,
    /// `load` without accounts leaves out the client as well.
    SkipsClients,
    /// `load` returns the client that the request names, and not the grant's.
    LoadsNoClientOfGrant,
    /// `load` takes a client that cannot exist for one that was not named.
    ImpossibleIsUnnamed,
    /// `load` returns the grant's client if the named one does not exist.
    AbsentIsOfGrant,
    /// `load` always returns the grant's client.
    AlwaysOfGrant,
    /// `load` returns the grant's client as the caller if the caller does not exist.
    CallerIsOfGrant,
    /// `raise_epoch` returns `true` and raises nothing.
    EpochNotRaised,
    /// Creates a mark with `INSERT OR REPLACE`, and reports it as done.
    MarkOverwrites,
    /// It does, and reports the conflict that it found before.
    MarkOverwritesQuietly,
    /// Evicts marks: memory is short.
    MarkEvicted,
    /// A sweep drops marks at the end of their assertions, without the margin.
    MarkSweptAtEnd,
    /// The database expires marks at the end of their assertions.
    MarkExpiresAtEnd,
    /// Never sweeps marks.
    SweepsNoMarks,
    /// Each handle keeps its own marks: a cache in each process.
    MarkOfProcess,
    /// Looks marks up by the first bytes of their keys.
    MarkByPrefix,
}
