//! The failures of a forwarded call: the response to the caller, and the log line for the operator.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Upstream;

/// The reason for which a call was not forwarded, or has no response of the upstream.
#[derive(Debug)]
pub(super) enum Failure {
    Method,
    WebSocket,
    Content,
    Path,
    ForeignSession,
    TooLarge,
    Incomplete,
    SlowCaller,
    Busy,
    Unreachable(String),
    Timeout,
    AsksForCredentials,
    Upgraded,
    Redirect,
}

impl Failure {
    /// Returns the status, the word for programs, and the sentence for people.
    fn parts(&self) -> (StatusCode, &'static str, &'static str) {
        const BAD: (StatusCode, &str) = (StatusCode::BAD_GATEWAY, "bad_gateway");
        let ((status, code), text) = match self {
            Self::Method => (
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
                "The method is not forwarded.",
            ),
            Self::WebSocket => (
                (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
                "WebSocket connections are not forwarded.",
            ),
            Self::Content => (
                (StatusCode::BAD_REQUEST, "invalid_request"),
                "A GET or HEAD request must have no body.",
            ),
            Self::Path => (
                (StatusCode::BAD_REQUEST, "invalid_request"),
                "The path must have no dot segment, no empty segment, and no encoded slash, \
                 backslash, percent sign or control character.",
            ),
            // MCP: the client then begins a new session.
            Self::ForeignSession => (
                (StatusCode::NOT_FOUND, "session_not_found"),
                "There is no such session of this connection. Begin a new one.",
            ),
            Self::TooLarge => (
                (StatusCode::PAYLOAD_TOO_LARGE, "content_too_large"),
                "The body of the request is too large.",
            ),
            Self::Incomplete => (
                (StatusCode::BAD_REQUEST, "invalid_request"),
                "The body of the request is incomplete.",
            ),
            Self::SlowCaller => (
                (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
                "The body of the request did not arrive in time.",
            ),
            Self::Busy => (
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
                "Too many calls are under way. Try again later.",
            ),
            Self::Unreachable(_) => (BAD, "The server behind this address does not respond."),
            Self::Timeout => (
                (StatusCode::GATEWAY_TIMEOUT, "gateway_timeout"),
                "The server behind this address did not respond in time.",
            ),
            Self::AsksForCredentials => {
                (BAD, "The server behind this address asks for credentials of its own.")
            }
            Self::Upgraded => (BAD, "The server behind this address changed the protocol."),
            Self::Redirect => (BAD, "The server behind this address redirects to another place."),
        };
        (status, code, text)
    }

    /// Returns the response, and logs what the operator must correct.
    pub(super) fn response(&self, upstream: &Upstream) -> Response {
        let (status, error, error_description) = self.parts();
        let cause = match self {
            Self::Unreachable(cause) => cause,
            _ => error_description,
        };
        if status.is_server_error() && !matches!(self, Self::WebSocket) {
            let status = status.as_u16();
            tracing::warn!(%upstream, status, cause, "a call has no response of its upstream");
        }
        let body = serde_json::json!({ "error": error, "error_description": error_description });
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => {
                let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
                headers.insert(header::ALLOW, methods);
            }
            Self::Busy => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => {}
        }
        (status, headers, axum::Json(body)).into_response()
    }
}
