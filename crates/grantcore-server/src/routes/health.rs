//! `GET /healthz` and `GET /readyz`, for whatever supervises the process.
//!
//! Both are at the root of the server, also if the issuer has a path, and answer to any `Host`.
//! They are in no log, because they are asked every few seconds.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use grantcore::Store as _;

use crate::app::App;
use crate::store::Ledger as _;

/// How long the database may take to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

/// Returns both routes.
pub(crate) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { answer(StatusCode::OK, "ok") }))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(app))
}

/// Answers 200 if the database answers: the library's store, and the host's own tables.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let store = app.oauth.store();
    let asked = async {
        store.client("readyz").await?;
        store.ledger().balance("readyz").await
    };
    match tokio::time::timeout(LONGEST_ANSWER, asked).await {
        Ok(Ok(_)) => answer(StatusCode::OK, "ready"),
        Ok(Err(error)) => {
            tracing::debug!(%error, "not ready");
            answer(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
        Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer in time"),
    }
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response()
}
