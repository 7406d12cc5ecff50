//! `/settings/connected-apps`: lists the connections of a user and ends them (OAuth 2.1 §7.9).

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::client::Registration;
use grantcore::response::{Connection, ConnectionState};
use grantcore::value::GrantId;
use grantcore::{Error, Policy};
use serde::Deserialize;

use super::authorize::log_in_first;
use super::login::{CsrfForm, with_form_cookie};
use crate::app::{App, log_failure, not_now};
use crate::pages::{self, Confirm, Connected, Entry, Nav, Page, Refused, utc};
use crate::sessions::Session;
use crate::store::BackendError;

/// The number of grants that are read for one page.
const MOST: usize = 100;
const HERE: &str = "/settings/connected-apps";

#[derive(Deserialize)]
pub(crate) struct Shown {
    after: Option<String>,
    #[serde(default)]
    active: String,
    #[serde(default)]
    ended: String,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(shown): Query<Shown>,
    session: Option<Session>,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    let after = shown.after.as_deref().and_then(|id| id.parse().ok());
    let found = match app.oauth.connections(&session.subject, after, MOST).await {
        Ok(found) => found,
        Err(error) => return unavailable(app.nav(Some(&session.subject)), &error),
    };
    let active_only = !shown.active.is_empty();
    let listed =
        found.entries.iter().filter(|own| !active_only || own.state() == ConnectionState::Active);
    Page(Connected {
        nav: app.nav(Some(&session.subject)),
        apps: by_app(listed, app.oauth.policy()),
        active_only,
        ended: !shown.ended.is_empty(),
        next: found.next.map(|id| id.to_string()),
    })
    .into_response()
}

/// Asks for confirmation. The page shows only what the user can see in the list.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path(grant): Path<String>,
    session: Option<Session>,
    headers: HeaderMap,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    let own = match find(&app, &session, &grant).await {
        Ok(Some(own)) => own,
        Ok(None) => return unknown(app.nav(Some(&session.subject))),
        Err(error) => return unavailable(app.nav(Some(&session.subject)), &error),
    };
    with_form_cookie(&app, &headers, |csrf| {
        Page(Confirm {
            nav: app.nav(Some(&session.subject)),
            question: format!("End the connection of “{}”?", own.client_name()),
            consequence:
                "Its tokens stop working at once. To use it again you will have to allow it again."
                    .into(),
            button: "Revoke",
            action: format!("{HERE}/{grant}/revoke"),
            fields: vec![("csrf".into(), csrf)],
            back: HERE.into(),
        })
        .into_response()
    })
}

pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Path(grant): Path<String>,
    session: Option<Session>,
    headers: HeaderMap,
    Form(form): Form<CsrfForm>,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    if !app.form_cookie.matches(&headers, &form.csrf) {
        return forged(app.nav(Some(&session.subject)));
    }
    let Ok(id) = grant.parse() else { return unknown(app.nav(Some(&session.subject))) };
    match app.oauth.revoke_connection(&session.subject, id).await {
        Ok(()) => Redirect::to(&format!("{HERE}?ended=1")).into_response(),
        Err(Error::Refused(_)) => unknown(app.nav(Some(&session.subject))),
        Err(error) => unavailable(app.nav(Some(&session.subject)), &error),
    }
}

/// Refuses a form that was not opened in this browser, or whose cookie has expired.
pub(super) fn forged(nav: Nav) -> Response {
    Page(Refused {
        nav,
        status: StatusCode::FORBIDDEN,
        title: "Nothing was changed",
        message: "This form was not opened in this browser, or its cookie has expired. \
                  Go back, reload the page and try again.",
    })
    .into_response()
}

/// Finds the connection of this user with this grant id.
async fn find(
    app: &App,
    session: &Session,
    grant: &str,
) -> Result<Option<Connection>, Error<BackendError>> {
    let Ok(id) = grant.parse::<GrantId>() else { return Ok(None) };
    let mut after = None;
    loop {
        let found = app.oauth.connections(&session.subject, after, MOST).await?;
        if let Some(own) = found.entries.into_iter().find(|own| own.grant_id() == id) {
            return Ok(Some(own));
        }
        match found.next {
            Some(next) => after = Some(next),
            None => return Ok(None),
        }
    }
}

fn unknown(nav: Nav) -> Response {
    Page(Refused {
        nav,
        status: StatusCode::NOT_FOUND,
        title: "No such connection",
        message: "You have no such connection. It may have ended already.",
    })
    .into_response()
}

fn unavailable(nav: Nav, error: &Error<BackendError>) -> Response {
    log_failure(error);
    not_now(nav)
}

/// Groups connections by application, the latest refresh first.
pub(super) fn by_app<'a>(
    connections: impl Iterator<Item = &'a Connection>,
    policy: &Policy,
) -> Vec<pages::App> {
    let mut all: Vec<_> = connections.collect();
    all.sort_by_key(|own| {
        (own.client_name(), own.client_id().clone(), std::cmp::Reverse(own.last_refreshed_at()))
    });
    let mut apps: Vec<pages::App> = Vec::new();
    for own in all {
        let client_id = own.client_id().to_string();
        let verified = own.client().registration() == Registration::Operator;
        match apps.last_mut() {
            Some(app) if app.client_id == client_id => app.entries.push(entry(own, policy)),
            _ => apps.push(pages::App {
                name: own.client_name(),
                client_id,
                verified,
                entries: vec![entry(own, policy)],
            }),
        }
    }
    apps
}

fn entry(own: &Connection, policy: &Policy) -> Entry {
    let meaning = |name: &str| {
        let known = policy.scopes().iter().find(|known| known.name() == name);
        (name.to_owned(), known.map_or_else(String::new, |known| known.description().to_owned()))
    };
    Entry {
        grant: own.grant_id().to_string(),
        scopes: own.scope().map(meaning).collect(),
        resources: own.resources().map(Into::into).collect(),
        connected: utc(own.created()),
        refreshed: utc(own.last_refreshed_at()),
        until: own.access_expires_at().map(utc),
        expires: utc(own.expires()),
        active: own.state() == ConnectionState::Active,
    }
}
