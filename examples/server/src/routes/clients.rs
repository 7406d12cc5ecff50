//! How clients come to be known: registration, the endpoint of one registration, and the documents that some are known by.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use grantcore::{Answer, AuthorizationStep, DocumentRequest, FetchedDocument, Incoming, Reason, Refusal, Surface, User};

use super::authorize::read;
use crate::app::{App, respond};
use crate::store::BackendError;

/// `/oauth/register` (RFC 7591).
pub(crate) async fn register(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(body).await else { return too_large(&app, Surface::Registration) };
    // Behind a reverse proxy this is the proxy, and the limit one for all.
    let source = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip().to_string()).unwrap_or_default();
    match app.oauth.register(&Incoming::from_http(&parts, &body), &source).await {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

/// `/oauth/register/CLIENT_ID` (RFC 7592).
pub(crate) async fn manage(State(app): State<Arc<App>>, Path(client_id): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read(body).await else { return too_large(&app, Surface::Management) };
    match app.oauth.manage(&client_id, &Incoming::from_http(&parts, &body)).await {
        Ok(reply) => respond(reply),
        Err(failure) => app.failed_reply(&failure),
    }
}

fn too_large(app: &App, surface: Surface) -> Response {
    respond(Refusal::plain(Reason::RequestTooLarge, surface).reply(app.oauth.policy()))
}

/// The same authorization request once more, with the document that it needs. Why there is none is for the log only: a stranger
/// could map this server's network by it.
pub(crate) async fn with_document(
    app: &App,
    needed: &DocumentRequest,
    incoming: &Incoming<'_>,
    user: Option<User<'_>>,
) -> Answer<AuthorizationStep, BackendError> {
    let fetched = match app.documents.fetch(&needed.url, needed.max_bytes).await {
        Ok(fetched) => Some(fetched),
        Err(error) => {
            tracing::warn!(url = needed.url, %error, "a client's document could not be fetched");
            None
        }
    };
    let document = fetched.as_ref().map(|fetched| FetchedDocument {
        status: fetched.status,
        content_type: fetched.content_type.as_deref().map(str::as_bytes),
        fresh_for: fetched.fresh_for,
        body: &fetched.body,
    });
    app.oauth.authorize_with(incoming, user, document).await
}
