//! How clients come to be known: registration, the endpoint of one registration, and the documents
//! that some are known by.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use grantcore::reason::Endpoint;
use grantcore::response::DocumentRequest;
use grantcore::{AuthorizationStep, Error, RequestParts, User};
use grantcore_fetch::{Asker, as_fetch};

use super::authorize::read;
use crate::app::App;
use crate::network::source::Source;
use crate::store::BackendError;

/// `/oauth/register` (RFC 7591).
pub(crate) async fn register(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Registration).await,
    };
    let source = source(&parts);
    let incoming = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
    app.reply(app.oauth.register(&incoming).await)
}

/// `/oauth/register/CLIENT_ID` (RFC 7592).
pub(crate) async fn manage(
    State(app): State<Arc<App>>,
    client_id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.unread(unread, Endpoint::Management).await,
    };
    // A path that is no text names no client.
    let client_id = client_id.map(|Path(id)| id).unwrap_or_default();
    let source = source(&parts);
    let incoming = RequestParts { source: &source, ..RequestParts::from_http(&parts, &body) };
    app.reply(app.oauth.manage(&client_id, &incoming).await)
}

/// Where a request comes from, as far as a limit goes by it; see `--trusted-proxies`.
pub(super) fn source(parts: &Parts) -> String {
    parts.extensions.get::<Source>().map(|source| source.network().to_string()).unwrap_or_default()
}

/// Decides the same authorization request again, with the document that it needs. Returns `None` if
/// the user must sign in first, because strangers have no slot left. The log has the reason of a
/// failure; in a response it would let strangers map this server's network.
pub(crate) async fn with_document(
    app: &App,
    needed: &DocumentRequest,
    parts: &Parts,
    incoming: &RequestParts<'_>,
    user: Option<User<'_>>,
) -> Option<Result<AuthorizationStep, Error<BackendError>>> {
    let source = source(parts);
    let asker = user.map_or(Asker::Stranger(&source), |user| Asker::User(user.subject()));
    let fetched = app.documents.fetch(needed, asker).await;
    if let Err(error) = &fetched {
        tracing::warn!(url = needed.url, %error, "a client's document could not be fetched");
        if error.is_busy() && user.is_none() {
            return None;
        }
    }
    Some(app.oauth.authorize_with_document(incoming, user, as_fetch(&fetched)).await)
}
