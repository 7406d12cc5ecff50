//! The JSON API: a protected resource.

use axum::Json;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::call::{Call, Identity};
use crate::payment::Unpaid;

/// The seconds after a login within which [`export`] is allowed.
pub(crate) const RECENT_LOGIN: u32 = 300;

/// What only a user who signed in recently gets.
#[derive(Serialize)]
pub(crate) struct Export {
    #[serde(flatten)]
    caller: Identity,
    /// When the user signed in, in seconds since 1970.
    signed_in: Option<u64>,
}

/// `POST /api/export`: returns all that the API knows of the user. Who found a browser that was
/// left signed in does not get it: the guard asks for a login within [`RECENT_LOGIN`].
pub(crate) async fn export(Extension(call): Extension<Call>) -> Json<Export> {
    Json(Export { caller: call.caller, signed_in: call.signed_in })
}

/// `GET /api`: returns the user and the client of the access token.
pub(crate) async fn whoami(Extension(call): Extension<Call>) -> Response {
    match call.pay().await {
        Ok(caller) => Json(caller).into_response(),
        // The guard replaces this response.
        Err(Unpaid) => StatusCode::PAYMENT_REQUIRED.into_response(),
    }
}
