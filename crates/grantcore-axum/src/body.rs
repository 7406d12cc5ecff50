//! Bodies, read up to a limit before a request is decided.

use axum::body::{Body, Bytes, to_bytes};
use grantcore::reason::Endpoint;
use grantcore::{Policy, Reason};
use http_body_util::LengthLimitError;

/// The number of bytes that are read beyond the limit of the policy. A body that is a little too
/// large then reaches the server, which refuses it at the limit of its endpoint.
const SLACK: usize = 1024;

/// The reason why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The body is longer than any endpoint of the policy allows.
    TooLarge,
    /// The body is incomplete, or its transfer coding is invalid.
    Incomplete,
}

impl BodyError {
    /// Returns the reason with which this endpoint refuses the request.
    pub(crate) fn reason(self, endpoint: Endpoint) -> Reason {
        match (self, endpoint) {
            (Self::TooLarge, _) => Reason::RequestTooLarge,
            (Self::Incomplete, Endpoint::Registration | Endpoint::Management) => {
                Reason::MetadataNotJson
            }
            (Self::Incomplete, _) => Reason::RequestUndecodable,
        }
    }
}

/// Reads the whole body, up to the largest that an endpoint of the policy allows.
pub(crate) async fn read(body: Body, policy: &Policy) -> Result<Bytes, BodyError> {
    let limits = policy.limits();
    let limit = limits.request_bytes().max(limits.registration_bytes()).saturating_add(SLACK);
    to_bytes(body, limit).await.map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            BodyError::TooLarge
        } else {
            BodyError::Incomplete
        }
    })
}
