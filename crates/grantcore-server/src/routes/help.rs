//! `/troubleshooting`: the cause and fix of every refusal, from the library's error table.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::app::{App, SessionUnavailable};
use crate::help::MANUAL;
use crate::pages::{Page, Troubleshooting};
use crate::sessions::Session;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
}

/// The page is readable while the database fails, as for a visitor who is not signed in.
pub(crate) async fn troubleshooting(
    State(app): State<Arc<App>>,
    session: Result<Option<Session>, SessionUnavailable>,
    Query(asked): Query<Asked>,
) -> Response {
    let session = session.ok().flatten();
    let typed = asked.q.trim().to_owned();
    let found = (!typed.is_empty()).then(|| MANUAL.search(&typed));
    Page(Troubleshooting { nav: app.nav(session.as_ref()), manual: &MANUAL, typed, found })
        .into_response()
}
