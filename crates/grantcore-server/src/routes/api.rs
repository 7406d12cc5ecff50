//! The JSON API: a protected resource.

use axum::Json;
use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::mcp::Identity;
use crate::payment::{Payment, Unpaid};

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
