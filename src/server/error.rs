//! What a call of an endpoint returns when it does not succeed.

use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::response::reply::Reply;
use crate::store::Failure;

/// A request was refused, or the host's storage failed.
///
/// Either way [`reply`](Self::reply) is the response to send. A failure is the host's to log as well.
#[derive(Debug, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a host that matches must not overlook a failure")]
pub enum Error<E> {
    /// The request breaks a rule of the protocol or of the policy.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store or the accounts failed.
    #[error(transparent)]
    Failed(#[from] Failure<E>),
}

impl<E> Error<E> {
    /// Returns the refusal to send: for a failure, that the service is unavailable.
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(failure) => &failure.refusal,
        }
    }

    /// Returns the same, owned.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(failure) => failure.refusal,
        }
    }

    /// Returns the failure of the host's storage, if it is one.
    pub fn failure(&self) -> Option<&Failure<E>> {
        match self {
            Self::Refused(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }

    /// Returns the response to send.
    pub fn reply(&self, policy: &Policy) -> Reply {
        self.refusal().reply(policy)
    }
}
