//! `/settings/connected-apps/disconnect-all`: ends all connections of one application.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::response::Connection;
use grantcore::{Error, RevokedBy};
use serde::Deserialize;

use super::{HERE, MOST, app_name, forged, is_users, unavailable, unknown};
use crate::app::App;
use crate::pages::{Confirm, Page, Refused};
use crate::routes::authorize::log_in_first;
use crate::routes::login::with_form_cookie;
use crate::sessions::Session;
use crate::store::BackendError;

/// The application whose connections are all to end.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct OfApp {
    client_id: String,
    csrf: String,
}

/// Asks for confirmation to end all connections of an application.
pub(crate) async fn confirm_all(
    State(app): State<Arc<App>>,
    Query(OfApp { client_id, .. }): Query<OfApp>,
    session: Option<Session>,
    headers: HeaderMap,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    let own = match of_client(&app, &session.subject, &client_id).await {
        Ok(own) => own,
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    let Some(first) = own.first() else { return unknown(app.nav(Some(&session))) };
    let comes_back = if own.iter().all(is_users) {
        "and must ask you again."
    } else {
        "and must ask you again, unless your organization connects it: ask there to end that for good."
    };
    let name = app_name(first).plain();
    with_form_cookie(&app, &headers, |csrf| {
        Page(Confirm {
            nav: app.nav(Some(&session)),
            question: format!("Disconnect all {} of {name}?", own.len()),
            consequence: format!(
                "Each of its connections ends at once. It loses its access, {comes_back}"
            ),
            button: "Disconnect all",
            action: format!("{HERE}/disconnect-all"),
            fields: vec![("csrf".into(), csrf), ("client_id".into(), client_id)],
            back: HERE.into(),
        })
        .into_response()
    })
}

/// Ends all connections of an application.
pub(crate) async fn disconnect_all(
    State(app): State<Arc<App>>,
    session: Option<Session>,
    headers: HeaderMap,
    Form(form): Form<OfApp>,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    if !app.form_cookie.matches(&headers, &form.csrf) {
        return forged(app.nav(Some(&session)));
    }
    let own = match of_client(&app, &session.subject, &form.client_id).await {
        Ok(own) => own,
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    let Some(first) = own.first() else { return unknown(app.nav(Some(&session))) };
    let by = RevokedBy::User;
    match app.oauth.revoke_user_client(&session.subject, &form.client_id, by).await {
        Ok(ended) if ended.is_complete() => {
            Redirect::to(&format!("{HERE}?ended={}", first.grant_id())).into_response()
        }
        Ok(_) => Page(Refused::new(
            app.nav(Some(&session)),
            StatusCode::SERVICE_UNAVAILABLE,
            "Some connections were not disconnected",
            "The server could not end all of them now. Send the form again.",
        ))
        .into_response(),
        Err(error) => unavailable(app.nav(Some(&session)), &error),
    }
}

/// Finds the connections of this user with this client.
async fn of_client(
    app: &App,
    subject: &str,
    client_id: &str,
) -> Result<Vec<Connection>, Error<BackendError>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let found = app.oauth.connections(subject, after, MOST).await?;
        all.extend(found.entries.into_iter().filter(|own| own.client_id().as_str() == client_id));
        match found.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}
