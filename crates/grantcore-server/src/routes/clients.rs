//! Clients that the operator did not register: the documents that some are known by, and the
//! refusal of registration where it is off.

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use grantcore::reason::Endpoint;
use grantcore::response::DocumentRequest;
use grantcore::{AuthorizationStep, Error, Reason, Refusal, RequestParts, User};
use grantcore_axum::Source;
use grantcore_fetch::{Asker, as_fetch};

use crate::app::{App, respond};
use crate::store::BackendError;

/// Answers an endpoint of a feature that is off. The router of the library has no such endpoint,
/// and a developer would search for the fault of a 404 in vain.
pub(crate) async fn off(
    State((app, endpoint)): State<(Arc<App>, Endpoint)>,
    parts: Parts,
) -> Response {
    let reason = match endpoint {
        Endpoint::Introspection => Reason::IntrospectionOff,
        Endpoint::Revocation => Reason::RevocationOff,
        _ => Reason::RegistrationOff,
    };
    let refusal = Refusal::plain(reason, endpoint);
    let refusal = app.oauth.refuse(refusal, None, &source(&parts)).await;
    respond(refusal.reply(app.oauth.policy()))
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
