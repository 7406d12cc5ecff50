//! Cross-origin resource sharing (META-04).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{Any, CorsLayer};

const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The request headers of MCP's streamable HTTP transport.
const MCP_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("mcp-protocol-version"),
    MCP_SESSION_ID,
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("last-event-id"),
];
const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// The time for which a browser may keep the response to a preflight request. Chromium keeps none
/// longer. Without a limit, a browser asks again every five seconds.
const PREFLIGHT: Duration = Duration::from_secs(2 * 60 * 60);

/// Returns the layer that lets web pages of any origin call a protected resource, send a bearer
/// token and the headers of MCP, and read the challenge of a refusal.
///
/// Put it outside of [`RequireToken`](crate::RequireToken), because a browser sends its preflight
/// request without a token. In axum the layer that is added last is the outermost; add both with
/// [`route_layer`](axum::Router::route_layer). Use it only for routes that read no cookie: a page
/// of another site can then do no more than its token allows.
///
/// [`router`](crate::router) has the right cross-origin rules for its own routes.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .max_age(PREFLIGHT)
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(
            [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT]
                .into_iter()
                .chain(MCP_HEADERS)
                .collect::<Vec<_>>(),
        )
        .expose_headers([
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            MCP_SESSION_ID,
            CORRELATION,
        ])
}

/// Adds the headers of [`cors`] to the response to a request whose method is not `OPTIONS`: for a
/// service that is called often and adds them itself. `OPTIONS` is still the layer's.
///
/// For each request, axum clones the rules of the layer, and the layer makes the same headers anew.
pub fn allow_cross_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

const ANY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("retry-after,www-authenticate,mcp-session-id,x-correlation-id");
