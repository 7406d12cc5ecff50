//! Bodies of requests: they are read up to a limit before a decision, and discarded after an early
//! refusal.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, Version};
use axum::response::Response;
use bytes::Buf;
use grantcore::reason::Endpoint;
use grantcore::{Policy, Reason};
use http_body_util::BodyExt as _;

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
    if body.size_hint().lower() > limit as u64 {
        discard(body);
        return Err(BodyError::TooLarge);
    }
    let mut body = body;
    // Most bodies are one part, which is not copied.
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Incomplete)?;
        let part = frame.into_data().unwrap_or_default();
        if first.is_empty() {
            first = part;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&part);
        }
        if first.len().max(joined.len()) > limit {
            discard(body);
            return Err(BodyError::TooLarge);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.into() })
}

/// The longest rest of a body that is read after an early response.
const DISCARD_LIMIT: usize = 8 * 1024 * 1024;
/// The longest time for which the rest of a body is read, and the longest pause of the client.
const DISCARD_TIME: Duration = Duration::from_secs(30);
const DISCARD_SILENCE: Duration = Duration::from_secs(5);

/// Reads the rest of a body in a task of its own, and throws it away, so that a response can be
/// sent before the whole request has arrived. Otherwise the HTTP server would close the connection
/// with bytes unread, and the client could lose the response (RFC 9112 §9.6).
pub(crate) fn discard<B>(body: B)
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
{
    let rest = async move {
        let mut body = std::pin::pin!(body);
        let mut left = DISCARD_LIMIT;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_SILENCE, body.frame()).await {
            let bytes = frame.data_ref().map_or(0, Buf::remaining);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(tokio::time::timeout(DISCARD_TIME, rest));
    }
}

/// Leaves the body of a refused request: the rest is [discarded](discard), or the response ends the
/// connection if the rest is too long, or if the client sends it only on request (`Expect`, RFC
/// 9110 §10.1.1).
pub(crate) fn leave<B>(head: Head, body: B, response: &mut Response)
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
{
    if body.is_end_stream() {
        return;
    }
    let is_long = body.size_hint().lower() > DISCARD_LIMIT as u64;
    if !head.expects && !is_long {
        discard(body);
    } else if head.version < Version::HTTP_2 {
        // HTTP/2 has no such header, and ends the stream alone.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The facts that decide how a body is left.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    version: Version,
    expects: bool,
}

impl Head {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self { version: request.version(), expects: request.headers().contains_key(EXPECT) }
    }
}
