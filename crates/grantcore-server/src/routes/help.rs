//! `/troubleshooting`: the cause and fix of every refusal, from the library's error table.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use grantcore::Reason;
use grantcore::reason::{Endpoint, ErrorCode};

use crate::app::{App, SessionUnavailable};
use crate::pages::{self, Page, Troubleshooting};
use crate::sessions::Session;

/// The page is readable while the database fails, as for a visitor who is not signed in.
pub(crate) async fn troubleshooting(
    State(app): State<Arc<App>>,
    session: Result<Option<Session>, SessionUnavailable>,
) -> Response {
    let session = session.ok().flatten();
    let reasons = Reason::ALL.iter().map(|reason| pages::Reason {
        name: reason.name().into(),
        code: reason.code(Endpoint::Token).map_or("", ErrorCode::as_str).into(),
        description: reason.description().into(),
        cause: reason.cause().into(),
        fix: reason.fix().into(),
        section: reason.section().into(),
    });
    Page(Troubleshooting { nav: app.nav(session.as_ref()), reasons: reasons.collect() })
        .into_response()
}
