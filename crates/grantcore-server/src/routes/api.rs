//! The endpoints for programs: token, revocation, introspection, and the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use grantcore::RequestParts;
use grantcore::reason::Endpoint;

use super::authorize::read;
use super::clients::source;
use crate::app::App;
use crate::mcp::Identity;
use crate::payment::{Payment, Unpaid};

/// `/oauth/token`.
pub(crate) async fn token(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Token).await,
    };
    let source = source(&parts);
    let incoming = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
    app.reply(app.oauth.token(&incoming).await)
}

/// `/oauth/revoke` (RFC 7009).
pub(crate) async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Revocation).await,
    };
    let source = source(&parts);
    let incoming = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
    app.reply(app.oauth.revoke(&incoming).await)
}

/// `/oauth/introspect` (RFC 7662): for a resource server in another process. Resources of this
/// process call the check directly.
pub(crate) async fn introspect(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Introspection).await,
    };
    let source = source(&parts);
    let incoming = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
    app.reply(app.oauth.introspect(&incoming).await)
}

/// `GET /api`: returns the user and the client of the access token.
pub(crate) async fn whoami(
    Extension(caller): Extension<Identity>,
    Extension(payment): Extension<Payment>,
) -> Response {
    match payment.draw().await {
        Ok(low) => Json(caller.with_warning(low)).into_response(),
        // The guard replaces this response.
        Err(Unpaid) => StatusCode::PAYMENT_REQUIRED.into_response(),
    }
}
