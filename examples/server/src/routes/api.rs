//! What programs call: the token and revocation endpoints, and the guard in front of each protected resource.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use grantcore::{Authorization, Incoming, Needs, Reason, Refusal, Resource, Surface};
use serde::Serialize;

use super::authorize::read;
use super::clients::source;
use crate::app::{App, respond};
use crate::mcp::Identity;

/// Which resource a route belongs to, and what its calls need.
pub(crate) struct Guarded {
    pub(crate) app: Arc<App>,
    pub(crate) resource: Resource,
    pub(crate) scope: &'static str,
}

pub(crate) async fn token(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(body).await else {
        return respond(Refusal::plain(Reason::RequestTooLarge, Surface::Token).reply(app.oauth.policy()));
    };
    let source = source(&parts);
    match app.oauth.token(&Incoming { source: &source, ..Incoming::from_http(&parts, &body) }).await {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// `/oauth/revoke` (RFC 7009).
pub(crate) async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(body).await else {
        return respond(Refusal::plain(Reason::RequestTooLarge, Surface::Token).reply(app.oauth.policy()));
    };
    let source = source(&parts);
    match app.oauth.revoke(&Incoming { source: &source, ..Incoming::from_http(&parts, &body) }).await {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// Lets a call through whose access token is good for this resource, and says whose it is.
pub(crate) async fn guard(State(guarded): State<Arc<Guarded>>, mut request: Request, next: Next) -> Response {
    let Guarded { app, resource, scope } = &*guarded;
    let values = request.headers().get_all(header::AUTHORIZATION);
    let authorization: Authorization<'_> = values.iter().map(HeaderValue::as_bytes).collect();
    let access = match app.oauth.check(&authorization, Needs::of(resource).scopes(&[scope])).await {
        Ok(Ok(access)) => access,
        Ok(Err(refusal)) => return respond(refusal.reply(app.oauth.policy())),
        Err(failure) => return app.failed_reply(&failure),
    };
    let identity = Identity {
        subject: access.subject().to_string(),
        client_id: access.client_id().to_string(),
        scopes: access.scope().map(Into::into).collect(),
    };
    request.extensions_mut().insert(identity);
    next.run(request).await
}

#[derive(Serialize)]
struct WhoAmI {
    subject: String,
    client_id: String,
    scopes: Vec<String>,
}

/// `GET /api`: who the access token speaks for.
pub(crate) async fn whoami(Extension(caller): Extension<Identity>) -> Response {
    let Identity { subject, client_id, scopes } = caller;
    Json(WhoAmI { subject, client_id, scopes }).into_response()
}
