//! `/admin`: the lists of clients and accounts, and the audit log. The actions are in
//! `admin/act.rs`.

mod act;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use grantcore::client::{ClientStatus, Registration};
use grantcore::{Accounts as _, Reason, Timestamp};
use serde::Deserialize;

pub(crate) use self::act::act;
use super::authorize::log_in_first;
use super::connected::by_app;
use super::login::with_form_cookie;
use crate::app::App;
use crate::pages::{
    self, Accounts, AdminHome, Clients, Flow, Nav, Page, Refused, SearchForm, Step, Trail, utc,
};
use crate::store::{BackendError, Ledger as _};
use crate::trail::{Entry, Search};

const CLIENTS_AT_ONCE: usize = 50;
const STEPS_AT_ONCE: usize = 200;
const CONNECTIONS_AT_ONCE: usize = 500;

#[derive(Deserialize)]
pub(crate) struct Shown {
    after: Option<String>,
    #[serde(default)]
    done: String,
}

pub(crate) async fn home(Admin(nav): Admin) -> Response {
    Page(AdminHome {
        nav,
        form: SearchForm { at: minute(SystemTime::now().into()), ..SearchForm::default() },
    })
    .into_response()
}

pub(crate) async fn clients(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Response {
    let found = match app.oauth.store().clients(shown.after.as_deref(), CLIENTS_AT_ONCE).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let next = found
        .last()
        .filter(|_| found.len() >= CLIENTS_AT_ONCE)
        .map(|last| last.record.id().to_string());
    let clients = found.iter().map(|stored| {
        let client = &stored.record;
        let is_own = client.registration() == Registration::Operator;
        pages::Client {
            id: client.id().to_string(),
            name: client.display_name(),
            registration: match client.registration() {
                Registration::Operator => "registered by the operator",
                Registration::Dynamic => "registered itself",
                _ => "known by its document",
            },
            created: (!is_own).then(|| utc(client.created())),
            active: client.status() == ClientStatus::Active,
        }
    });
    let listed = clients.collect();
    let done = !shown.done.is_empty();
    with_form_cookie(&app, &headers, |csrf| {
        Page(Clients { nav, csrf, done, listed, next }).into_response()
    })
}

pub(crate) async fn accounts(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Response {
    let mut names = match names(&app).await {
        Ok(names) => names,
        Err(error) => return failed(nav, &error),
    };
    match app.oauth.store().accounts().await {
        Ok(found) => {
            let listed = found.into_iter().map(|row| {
                let name = names.remove(&row.subject);
                (row.subject, name, row.suspended, row.balance)
            });
            let listed = listed.collect();
            let done = !shown.done.is_empty();
            with_form_cookie(&app, &headers, |csrf| {
                Page(Accounts { nav, csrf, done, listed }).into_response()
            })
        }
        Err(error) => failed(nav, &error),
    }
}

pub(crate) async fn account(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Response {
    let row = match app.oauth.store().account_row(&subject).await {
        Ok(Some(row)) => row,
        Ok(None) => {
            return refused(
                nav,
                StatusCode::NOT_FOUND,
                "No such account",
                "There is no account of this name.",
            );
        }
        Err(error) => return failed(nav, &error),
    };
    let found = match app.oauth.connections(&subject, None, CONNECTIONS_AT_ONCE).await {
        Ok(found) => found,
        Err(error) => return failed(nav, &error),
    };
    let name = match names(&app).await {
        Ok(mut names) => names.remove(&subject),
        Err(error) => return failed(nav, &error),
    };
    let apps = by_app(found.entries.iter(), app.oauth.policy(), app.oauth.now());
    with_form_cookie(&app, &headers, |csrf| {
        Page(pages::Account {
            nav,
            csrf,
            done: !shown.done.is_empty(),
            subject,
            name,
            suspended: row.suspended,
            balance: row.balance,
            apps,
        })
        .into_response()
    })
}

/// Returns the names for people of accounts whose subjects are not for people.
async fn names(app: &App) -> Result<BTreeMap<String, String>, BackendError> {
    Ok(app.oauth.store().ledger().account_names().await?.into_iter().collect())
}

/// The search, as typed.
#[derive(Deserialize)]
pub(crate) struct SearchQuery {
    #[serde(default)]
    error: String,
    #[serde(default)]
    client: String,
    #[serde(default)]
    at: String,
    #[serde(default)]
    reference: String,
    #[serde(default)]
    subject: String,
}

pub(crate) async fn trail(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Query(query): Query<SearchQuery>,
) -> Response {
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let around = time(&query.at);
    let bad_time = some(&query.at).is_some() && around.is_none();
    let search = Search {
        error: some(&query.error),
        client: some(&query.client),
        around,
        correlation: some(&query.reference),
        subject: some(&query.subject),
        flow: None,
    };
    let SearchQuery { error, client, at, reference, subject } = query;
    let form = SearchForm { error, client, at, reference, subject, bad_time };
    if bad_time {
        return Page(Trail { nav, form, steps: Vec::new(), cut: false }).into_response();
    }
    match app.trail.find(&search, STEPS_AT_ONCE).await {
        Ok(found) => {
            let cut = found.len() >= STEPS_AT_ONCE;
            let steps = found.into_iter().map(|entry| step(entry, None)).collect();
            Page(Trail { nav, form, steps, cut }).into_response()
        }
        Err(error) => failed(nav, &error),
    }
}

pub(crate) async fn flow(
    Admin(nav): Admin,
    State(app): State<Arc<App>>,
    Path(flow): Path<String>,
    Query(shown): Query<Shown>,
    headers: HeaderMap,
) -> Response {
    match app.trail.flow(&flow).await {
        Ok(found) => {
            let mut before = None;
            let steps = found.into_iter().map(|entry| {
                let at = entry.at;
                step(entry, before.replace(at))
            });
            let steps = steps.collect();
            let done = !shown.done.is_empty();
            with_form_cookie(&app, &headers, |csrf| {
                Page(Flow { nav, csrf, done, id: flow, steps }).into_response()
            })
        }
        Err(error) => failed(nav, &error),
    }
}

fn step(entry: Entry, before: Option<u64>) -> Step {
    let known = entry.reason.as_deref().and_then(Reason::from_name);
    let after = before.map(|before| {
        humantime::format_duration(Duration::from_secs(entry.at.saturating_sub(before))).to_string()
    });
    Step {
        at: utc(Timestamp::from_unix_seconds(entry.at)),
        after,
        meaning: known.map(|reason| (reason.cause().to_owned(), reason.fix().to_owned())),
        entry,
    }
}

/// Parses a time: to the minute or with seconds, with a space or a `T`, with or without UTC or Z.
fn time(text: &str) -> Option<u64> {
    let text =
        text.trim().trim_end_matches("UTC").trim_end_matches('Z').trim_end().replacen('T', " ", 1);
    let to_the_second =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let text = if text.matches(':').count() == 1 { format!("{text}:00") } else { text };
    let read = time::PrimitiveDateTime::parse(&text, to_the_second).ok()?;
    u64::try_from(read.assume_utc().unix_timestamp()).ok()
}

/// Formats the minute of a time for the search form.
fn minute(at: Timestamp) -> String {
    utc(at).get(..16).unwrap_or_default().to_owned()
}

/// The navigation of a signed-in administrator. The extractor refuses everybody else before the
/// body is read.
pub(crate) struct Admin(Nav);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let session = app.session(&parts.headers).await.map_err(IntoResponse::into_response)?;
        let session = session.ok_or_else(|| log_in_first("/admin"))?;
        let nav = app.nav(Some(&session));
        if !nav.is_admin {
            return Err(refused(
                nav,
                StatusCode::FORBIDDEN,
                "Not for you",
                "Only administrators can see this page.",
            ));
        }
        match app.oauth.store().account(&session.subject).await {
            Ok(Some(account)) if !account.suspended => Ok(Self(nav)),
            Ok(_) => Err(refused(
                nav,
                StatusCode::FORBIDDEN,
                "Not for you",
                "This account is suspended.",
            )),
            Err(error) => Err(failed(nav, &error)),
        }
    }
}

fn refused(nav: Nav, status: StatusCode, title: &'static str, message: &'static str) -> Response {
    Page(Refused { nav, status, title, message }).into_response()
}

fn failed(nav: Nav, error: &dyn Display) -> Response {
    tracing::error!(%error, "the database failed");
    refused(
        nav,
        StatusCode::SERVICE_UNAVAILABLE,
        "Temporarily unavailable",
        "The database cannot answer now. See the server's log for the cause.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_parsed_in_several_spellings() {
        let noon = Some(1_795_523_640);
        for text in [
            "2026-11-24 12:34",
            " 2026-11-24T12:34 ",
            "2026-11-24 12:34 UTC",
            "2026-11-24T12:34Z",
            "2026-11-24 12:34:00",
        ] {
            assert_eq!(time(text), noon, "{text}");
        }
        assert_eq!(time("2026-11-24T12:34:56Z"), noon.map(|noon| noon + 56));
        for bad in ["", "12:34", "2026-11-24", "2026-13-24 12:34", "1969-01-01 00:00", "now"] {
            assert_eq!(time(bad), None, "{bad}");
        }
        assert_eq!(minute(Timestamp::from_unix_seconds(1_795_523_690)), "2026-11-24 12:34");
    }
}
