//! A failure of the host's storage during a request.

use std::error::Error;

use crate::event::Event;
use crate::refusal::Refusal;

/// What failed: the [`Store`](crate::Store) or the [`Accounts`](crate::Accounts).
#[derive(Debug, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is nothing else that a host brings and that fails"
)]
pub enum FailureCause<E> {
    /// The store's own error.
    #[error("the store failed: {0}")]
    Store(#[source] E),
    /// The error of the host's accounts.
    #[error("the accounts failed: {0}")]
    Accounts(#[source] Box<dyn Error + Send + Sync>),
}

/// The store or the accounts failed, or the result of a write is not known. Nothing was concluded
/// from it, and no secret was disclosed.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
#[non_exhaustive]
pub struct Failure<E> {
    /// What failed.
    #[source]
    pub cause: FailureCause<E>,
    /// The refusal to send. The client may retry: 503, or `temporarily_unavailable` at the
    /// authorization endpoint.
    pub refusal: Refusal,
    /// The audit event.
    pub event: Box<Event>,
}

impl<E> Failure<E> {
    /// Returns the store's own error, if it was the store that failed.
    pub fn store_error(&self) -> Option<&E> {
        match &self.cause {
            FailureCause::Store(error) => Some(error),
            FailureCause::Accounts(_) => None,
        }
    }
}
