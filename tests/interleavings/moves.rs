//! The moves of a run, as the judges and the traces see them.

use std::fmt;

use grantcore::grant::{GrantState, RevocationCause};
use grantcore::store::Version;

use crate::proof::Proof;
use crate::request::{Ask, Credential};
use crate::state::{Answer, Basis, Name};

/// The outcome of a commit, and its report to the request. All but the first three are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitOutcome {
    /// No write.
    Unwritten,
    Done,
    /// Not applied, because the version had changed.
    Conflict,
    /// Applied, and reported as a conflict, as if a client library repeated its own write.
    AppliedConflict,
    /// Applied, and reported as an error: the acknowledgement was lost, or the server crashed
    /// before its response.
    AppliedError,
    /// Not applied, and reported as an error: the write was lost, or the server crashed before it.
    Dropped,
    /// Delayed, and reported as an error.
    LateError,
    /// Delayed, and reported as a conflict.
    LateConflict,
}

/// One event of a run.
#[derive(Clone)]
pub enum Move {
    ReadGrant {
        by: Name,
        ask: Ask,
        presented: Option<Credential>,
        now: i64,
        version: Option<Version>,
    },
    ReadStanding {
        by: Name,
    },
    ReadMemory {
        by: Name,
    },
    /// The mark of the request's assertion is made.
    Mark {
        by: Name,
    },
    Decide(Box<Decided>),
    Leave {
        by: Name,
        answer: Answer,
        arrives: bool,
    },
    Land {
        by: Name,
    },
    Tick(i64),
    Raise(Ask),
}

/// A decision and its commit.
#[derive(Clone)]
pub struct Decided {
    pub by: Name,
    pub ask: Ask,
    pub presented: Option<Credential>,
    pub basis: Basis,
    pub attempt: u8,
    pub proof: Proof,
    /// Whether the write changes nothing but the proof that the grant has.
    pub raises: bool,
    pub is_retry: bool,
    pub wrote: Option<GrantState>,
    pub outcome: CommitOutcome,
    /// The response, or `None` if the request is decided again.
    pub answer: Option<Answer>,
}

impl Decided {
    /// Returns whether the decision ends the grant by the host.
    pub fn is_ended_by_host(&self) -> bool {
        self.wrote == Some(GrantState::Revoked(RevocationCause::Host))
    }

    /// Returns whether the decision is a replay that revokes.
    pub fn replays(&self) -> bool {
        self.wrote == Some(GrantState::Revoked(RevocationCause::Replay))
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadGrant { by, ask, presented, now, version } => {
                let found = version
                    .map_or("no record".to_owned(), |version| format!("version {}", version.0));
                write!(
                    f,
                    "{by:?}: {ask} with {:?}; reads the clock ({now} s) and {found}",
                    presented.as_slice()
                )
            }
            Self::ReadMemory { by } => write!(f, "{by:?}: reads the earlier grant"),
            Self::Mark { by } => write!(f, "{by:?}: marks its assertion"),
            Self::ReadStanding { by } => write!(f, "{by:?}: reads client and account"),
            Self::Decide(decided) => {
                let again = if decided.is_retry { " again" } else { "" };
                write!(f, "{:?}: decides{again}", decided.by)?;
                match decided.wrote {
                    Some(wrote) => write!(f, ", commits {wrote:?}: {:?}", decided.outcome)?,
                    None => write!(f, ", nothing to write")?,
                }
                decided.answer.as_ref().map_or(Ok(()), |answer| write!(f, " -> {answer:?}"))
            }
            Self::Leave { by, answer, arrives } => {
                write!(f, "{by:?}: {answer:?} leaves{}", if *arrives { "" } else { " and is lost" })
            }
            Self::Land { by } => write!(f, "the late commit of {by:?} lands"),
            Self::Tick(seconds) => write!(f, "the clock moves by {seconds} s"),
            Self::Raise(ask) => write!(f, "{ask}: done, acknowledged"),
        }
    }
}
