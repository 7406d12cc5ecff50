//! What programs call: the token and revocation endpoints, and the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use grantcore::{Endpoint, RequestParts};

use super::authorize::read;
use super::clients::source;
use crate::app::{App, respond};
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
    match app
        .oauth
        .token(&RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) })
        .await
    {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// `/oauth/revoke` (RFC 7009).
pub(crate) async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Token).await,
    };
    let source = source(&parts);
    match app
        .oauth
        .revoke(&RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) })
        .await
    {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// `/oauth/introspect` (RFC 7662): for a resource server that runs elsewhere. Those of this process
/// call the check itself.
pub(crate) async fn introspect(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Token).await,
    };
    let source = source(&parts);
    match app
        .oauth
        .introspect(&RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) })
        .await
    {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// `GET /api`: who the access token speaks for.
pub(crate) async fn whoami(
    Extension(caller): Extension<Identity>,
    Extension(payment): Extension<Payment>,
) -> Response {
    match payment.draw().await {
        Ok(low) => Json(caller.warned(low)).into_response(),
        // The guard answers in its place.
        Err(Unpaid) => StatusCode::PAYMENT_REQUIRED.into_response(),
    }
}
