//! The error of a call of an endpoint.

use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::response::reply::Reply;
use crate::store::Failure;

/// A request was refused, or the host's storage failed.
///
/// In both cases [`reply`](Self::reply) returns the response to send. The host should log a failure
/// as well.
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let request = example::post("");
/// use grantcore::Error;
///
/// match server.token(&request).await {
///     Ok(reply) => println!("{}", reply.status),
///     Err(Error::Refused(refusal)) => println!("refused: {}", refusal.reason().cause()),
///     // Somebody should look at the database.
///     Err(Error::Failed(failure)) => eprintln!("{failure}"),
/// }
/// # Ok(())
/// # }
/// ```
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
    /// Returns the refusal to send. For a failure it says that the service is unavailable.
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(failure) => &failure.refusal,
        }
    }

    /// Returns the [`refusal`](Self::refusal) to send, by value.
    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Failed(failure) => failure.refusal,
        }
    }

    /// Returns the failure, if the store or the accounts failed.
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
