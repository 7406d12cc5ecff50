//! The outcome of a fetch, as the host gets it and as the server takes it.

use std::time::Duration;

use grantcore::outside::{FetchResult, FetchedResponse};
use grantcore::request::{Fetch, FetchedDocument};

use crate::error::FetchError;

/// A response, whatever its status. The server validates it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`. `None` if the response has no such header, more than one, or
    /// one that is not ASCII: which of two the body is of would be a guess.
    pub content_type: Option<String>,
    /// For how long the response may be kept (RFC 9111 §4.2). Zero if it must not be kept, `None`
    /// if it does not state a lifetime.
    pub fresh_for: Option<Duration>,
    /// The body, or as much of it as was read.
    pub body: Vec<u8>,
}

impl<'a> From<&'a Document> for FetchedDocument<'a> {
    fn from(document: &'a Document) -> Self {
        Self {
            status: document.status,
            content_type: document.content_type.as_deref().map(str::as_bytes),
            fresh_for: document.fresh_for,
            body: &document.body,
        }
    }
}

/// Returns the outcome of [`fetch`](crate::DocumentFetcher::fetch) as
/// [`Server::authorize_with_document`](grantcore::Server::authorize_with_document) takes it.
///
/// Nothing of an error reaches the client but the difference between [`Fetch::Busy`], after which
/// it may try again, and [`Fetch::Failed`]. For a user who is not signed in, a host may answer
/// [busy](FetchError::is_busy) with its login page instead: signed-in users have slots of their
/// own.
pub fn as_fetch(outcome: &Result<Document, FetchError>) -> Fetch<'_> {
    match outcome {
        Ok(document) => Fetch::Document(document.into()),
        Err(error) if error.is_busy() => Fetch::Busy,
        Err(_) => Fetch::Failed,
    }
}

/// Returns the outcome of a fetch as an implementation of [`Outside`](grantcore::Outside) answers
/// with it.
pub fn as_fetch_result(outcome: Result<Document, FetchError>) -> FetchResult {
    match outcome {
        Ok(document) => FetchResult::Response(FetchedResponse {
            status: document.status,
            content_type: document.content_type.map(String::into_bytes),
            fresh_for: document.fresh_for,
            body: document.body,
        }),
        Err(error) if error.is_busy() => FetchResult::Busy,
        Err(_) => FetchResult::Failed,
    }
}
