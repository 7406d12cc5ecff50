//! `GET /healthz` and `GET /readyz`, for whatever supervises the process.
//!
//! `/healthz` answers as long as the process does, and asks nothing of the database: a process must
//! not be restarted because its database is down. `/readyz` names each part that does not work. It
//! shows no error, because anybody can ask.
//!
//! Both are at the root of the server, also if the issuer has a path, and answer to any `Host`.
//! They are in no log, because they are asked every few seconds.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use grantcore::Store as _;
use tokio::sync::Mutex;

use crate::app::App;
use crate::stop::Stop;
use crate::store::Ledger as _;

/// How long the database may take to answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

const HEALTH: &str = "/healthz";
const READINESS: &str = "/readyz";

/// Returns whether this is the path of one of both routes.
pub(crate) fn is_own(path: &str) -> bool {
    path == HEALTH || path == READINESS
}

/// What `/readyz` looks at.
struct Health {
    app: Arc<App>,
    stop: Stop,
    last: Mutex<Option<Look>>,
}

/// The last look at the database.
struct Look {
    began: Instant,
    faults: Vec<String>,
}

/// Returns both routes.
pub(crate) fn router(app: &Arc<App>, stop: &Stop) -> Router {
    let (app, stop) = (Arc::clone(app), stop.clone());
    Router::new()
        .route(HEALTH, get(|| async { answer(StatusCode::OK, "ok") }))
        .route(READINESS, get(ready))
        .with_state(Arc::new(Health { app, stop, last: Mutex::default() }))
}

/// Answers 200 if the server does not stop, both parts of the database answer (the library's store,
/// and the host's own tables), and the database can be written: without a write nobody signs in,
/// and no token is issued.
async fn ready(State(health): State<Arc<Health>>) -> Response {
    if health.stop.is_draining() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "the server stops");
    }
    // A look writes to the database. A request that waited for a look that began after its own
    // arrival needs no other, so that many requests at once cost two looks.
    let asked = Instant::now();
    let mut last = health.last.lock().await;
    let look = match last.take().filter(|look| look.began >= asked) {
        Some(look) => look,
        None => Look { began: Instant::now(), faults: Box::pin(look_at(&health.app)).await },
    };
    let faults = &last.insert(look).faults;
    if faults.is_empty() {
        return answer(StatusCode::OK, "ready");
    }
    answer(StatusCode::SERVICE_UNAVAILABLE, &faults.join("\n"))
}

/// Returns what is wrong with the database.
async fn look_at(app: &App) -> Vec<String> {
    let store = app.oauth.store();
    let (grants, accounts, writes) = tokio::join!(
        fault("grants", store.client("readyz")),
        fault("accounts", store.ledger().balance("readyz")),
        fault("writes", app.sessions.try_to_write(SystemTime::now().into())),
    );
    [grants, accounts, writes].into_iter().flatten().collect()
}

/// Asks one part of the database, and returns what is wrong with it.
async fn fault<T, E: Display>(
    part: &'static str,
    asked: impl Future<Output = Result<T, E>>,
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
