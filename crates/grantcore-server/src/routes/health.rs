//! `GET /healthz` and `GET /readyz`, for whatever supervises the process.
//!
//! `/healthz` answers as long as the process does, and asks nothing of the database: a process must
//! not be restarted because its database is down. `/readyz` names each part that does not work. It
//! shows no error, because anybody can ask.
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
use crate::stop::Stop;
use crate::store::{BackendError, Ledger as _};

/// How long the database may take to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

const HEALTH: &str = "/healthz";
const READINESS: &str = "/readyz";

/// Returns whether this is the path of one of both routes.
pub(crate) fn is_own(path: &str) -> bool {
    path == HEALTH || path == READINESS
}

/// Returns both routes.
pub(crate) fn router(app: &Arc<App>, stop: &Stop) -> Router {
    Router::new()
        .route(HEALTH, get(|| async { answer(StatusCode::OK, "ok") }))
        .route(READINESS, get(ready))
        .with_state((Arc::clone(app), stop.clone()))
}

/// Answers 200 if the server does not stop, both parts of the database answer (the library's store,
/// and the host's own tables), and the database can be written: without a write nobody signs in,
/// and no token is issued.
async fn ready(State((app, stop)): State<(Arc<App>, Stop)>) -> Response {
    if stop.is_draining() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "the server stops");
    }
    let store = app.oauth.store();
    let (grants, accounts, writes) = tokio::join!(
        fault("grants", store.client("readyz")),
        fault("accounts", store.ledger().balance("readyz")),
        // There is no such session. The database takes its lock for writing and changes nothing.
        fault("writes", store.ledger().close_session("readyz")),
    );
    let faults: Vec<_> = [grants, accounts, writes].into_iter().flatten().collect();
    if faults.is_empty() {
        return answer(StatusCode::OK, "ready");
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, &faults.join("\n"))
}

/// Asks one part of the database, and returns what is wrong with it.
async fn fault<T>(
    part: &'static str,
    asked: impl Future<Output = Result<T, BackendError>>,
) -> Option<String> {
    match tokio::time::timeout(LONGEST_ANSWER, asked).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => {
            tracing::debug!(part, %error, "not ready");
            Some(format!("{part}: the database does not answer"))
        }
        Err(_) => Some(format!("{part}: the database does not answer in time")),
    }
}

fn answer(status: StatusCode, text: &str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response()
}
