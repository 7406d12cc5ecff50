//! `/settings/connected-apps`: lists the connections of a user and ends them (OAuth 2.1 §7.9).

mod all;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use grantcore::client::{ClientStatus, Registration};
use grantcore::grant::GrantState;
use grantcore::policy::Resource;
use grantcore::response::{ConnectedBy, Connection, ConnectionState};
use grantcore::value::{GrantId, Subject, display_text};
use grantcore::{Accounts as _, Error, Store as _};
use serde::Deserialize;

pub(crate) use self::all::{confirm_all, disconnect_all};
use super::authorize::log_in_first;
use super::login::{CsrfForm, with_form_cookie};
use crate::app::{App, not_now};
use crate::organizations;
use crate::pages::words::{ago, brief};
use crate::pages::{self, AppName, Confirm, Connected, Entry, Nav, Page, Refused, Usable, utc};
use crate::sessions::Session;
use crate::store::BackendError;

/// Who reads about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    User,
    Administrator,
}

/// The number of grants that are read for one page.
const MOST: usize = 100;
/// What a page answers whose form was not opened in this browser.
pub(super) const FORGED: &str = "This form was not opened in this browser, or its cookie has \
                                 expired. Go back, reload the page and try again.";
const HOUR: Duration = Duration::from_secs(3600);
const HERE: &str = "/settings/connected-apps";

#[derive(Deserialize)]
pub(crate) struct Shown {
    after: Option<String>,
    #[serde(default)]
    active: String,
    /// The id of the grant that was just ended.
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
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    let active_only = !shown.active.is_empty();
    let listed =
        found.entries.iter().filter(|own| !active_only || own.state() == ConnectionState::Active);
    let is_suspended = match app.oauth.store().account(&session.subject).await {
        Ok(account) => account.is_some_and(|account| account.suspended),
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    let mut apps = by_app(listed, &app, Viewer::User, is_suspended);
    for own in &mut apps {
        let is_of = |entry: &&Connection| entry.client_id().as_str() == own.client_id;
        own.count = found.entries.iter().filter(is_of).count();
    }
    let ended = match ended(&app, &session.subject, &shown.ended).await {
        Ok(ended) => ended,
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    Page(Connected {
        nav: app.nav(Some(&session)),
        apps,
        active_only,
        is_suspended,
        ended,
        next: found.next.map(|id| id.to_string()),
        addresses: app.oauth.policy().resources().iter().map(|own| named(&app, own)).collect(),
    })
    .into_response()
}

/// Returns the name of the application whose connection this user has just ended. The address names
/// the grant alone, so that no link can put words on the page.
async fn ended(app: &App, subject: &str, grant: &str) -> Result<Option<AppName>, BackendError> {
    let store = app.oauth.store();
    let Ok(id) = grant.parse::<GrantId>() else { return Ok(None) };
    let Some(grant) = store.grant(id).await?.map(|stored| stored.record) else { return Ok(None) };
    if grant.subject().map(Subject::as_str) != Some(subject)
        || !matches!(grant.state(), GrantState::Revoked(_))
    {
        return Ok(None);
    }
    let client = store.client(grant.client_id().as_str()).await?;
    Ok(Some(client.map_or_else(AppName::unknown, |stored| AppName::of_client(&stored.record))))
}

/// Asks for confirmation. The page shows only what the user can see in the list.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path(grant): Path<String>,
    session: Option<Session>,
    headers: HeaderMap,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    let own = match find(&app, &session.subject, &grant).await {
        Ok(Some(own)) => own,
        Ok(None) => return unknown(app.nav(Some(&session))),
        Err(error) => return unavailable(app.nav(Some(&session)), &error),
    };
    with_form_cookie(&app, &headers, |csrf| {
        let entry = connection(&own, &app, Viewer::User);
        Page(Confirm {
            nav: app.nav(Some(&session)),
            question: format!("Disconnect {}?", app_name(&own).plain()),
            consequence: consequence(&entry, is_users(&own)),
            button: "Disconnect",
            action: format!("{HERE}/{grant}/disconnect"),
            fields: vec![("csrf".into(), csrf)],
            back: HERE.into(),
        })
        .into_response()
    })
}

/// Says what the end of a connection means. One of the user's organization comes back with the
/// organization's next word for the user.
fn consequence(entry: &Entry, is_users: bool) -> String {
    let Entry { since, connected, place, .. } = entry;
    if is_users {
        return format!(
            "You connected it {since} ({connected}). {place}. It loses its access at once, and must \
             ask you again."
        );
    }
    format!(
        "It was connected {since} ({connected}). {place}. It loses its access at once. Your \
         organization can connect it again without asking you: ask there to end it for good."
    )
}

pub(crate) async fn disconnect(
    State(app): State<Arc<App>>,
    Path(grant): Path<String>,
    session: Option<Session>,
    headers: HeaderMap,
    Form(form): Form<CsrfForm>,
) -> Response {
    let Some(session) = session else { return log_in_first(HERE) };
    if !app.form_cookie.matches(&headers, &form.csrf) {
        return forged(app.nav(Some(&session)));
    }
    let Ok(id) = grant.parse() else { return unknown(app.nav(Some(&session))) };
    match app.oauth.revoke_connection(&session.subject, id).await {
        Ok(()) => Redirect::to(&format!("{HERE}?ended={id}")).into_response(),
        Err(Error::Refused(_)) => unknown(app.nav(Some(&session))),
        Err(error) => unavailable(app.nav(Some(&session)), &error),
    }
}

/// Refuses a form that was not opened in this browser, or whose cookie has expired.
pub(super) fn forged(nav: Nav) -> Response {
    Page(Refused::new(nav, StatusCode::FORBIDDEN, "Nothing was changed", FORGED)).into_response()
}

/// Finds the connection of this user with this grant id.
pub(super) async fn find(
    app: &App,
    subject: &str,
    grant: &str,
) -> Result<Option<Connection>, Error<BackendError>> {
    let Ok(id) = grant.parse::<GrantId>() else { return Ok(None) };
    let mut after = None;
    loop {
        let found = app.oauth.connections(subject, after, MOST).await?;
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
    Page(Refused::new(
        nav,
        StatusCode::NOT_FOUND,
        "No such connection",
        "You have no such connection. It may have ended already.",
    ))
    .into_response()
}

fn unavailable(nav: Nav, error: &dyn Display) -> Response {
    tracing::error!(%error, "the database failed");
    not_now(nav)
}

/// Groups connections by application, the latest refresh first. `is_suspended` is of the account.
pub(super) fn by_app<'a>(
    connections: impl Iterator<Item = &'a Connection>,
    app: &App,
    viewer: Viewer,
    is_suspended: bool,
) -> Vec<pages::App> {
    let entry = |own: &Connection| {
        let mut entry = connection(own, app, viewer);
        if is_suspended {
            entry.state = Usable::AccountSuspended;
        }
        entry
    };
    let mut all: Vec<_> = connections.collect();
    all.sort_by_key(|own| {
        (own.client_name(), own.client_id().clone(), std::cmp::Reverse(own.last_refreshed_at()))
    });
    let mut apps: Vec<pages::App> = Vec::new();
    for own in all {
        let client_id = own.client_id().to_string();
        match apps.last_mut() {
            Some(last) if last.client_id == client_id => {
                last.entries.push(entry(own));
            }
            _ => apps.push(pages::App {
                name: app_name(own),
                client_id,
                count: 1,
                entries: vec![entry(own)],
            }),
        }
    }
    apps
}

fn app_name(own: &Connection) -> AppName {
    let verified = own.client().registration() == Registration::Operator;
    AppName::of(&own.client_name(), own.client_id().as_str(), verified)
}

pub(super) fn connection(own: &Connection, app: &App, viewer: Viewer) -> Entry {
    let policy = app.oauth.policy();
    let now = app.oauth.now();
    let meaning = |name: &str| {
        let known = policy.scopes().iter().find(|known| known.name() == name);
        (name.to_owned(), known.map_or_else(String::new, |known| known.description().to_owned()))
    };
    let software = &own.client().description().software_version;
    Entry {
        grant: own.grant_id().to_string(),
        scopes: own.scope().map(meaning).collect(),
        resources: own.resources().map(|url| (app.resource_name(url).into(), url.into())).collect(),
        organization: organizations::bound(own.properties())
            .map(|id| app.organizations.name(&id).to_owned()),
        place: place(own, viewer),
        software: software.as_deref().map(brief),
        since: ago(own.created(), now),
        last: last_use(own, app),
        connected: utc(own.created()),
        refreshed: utc(own.last_refreshed_at()),
        until: own.access_expires_at().map(utc),
        expires: utc(own.expires()),
        state: match own.state() {
            _ if own.client().status() == ClientStatus::Deactivated => Usable::ClientSuspended,
            ConnectionState::Active => Usable::Active,
            _ => Usable::Dormant,
        },
        refreshes: own.client().grant_types().refresh_token && is_users(own),
    }
}

/// Says when a connection was used last, as far as this server knows it: a refresh, and the
/// lifetime of the token that it gave. Counted in days, the two are one if the lifetime is short.
fn last_use(own: &Connection, app: &App) -> Option<String> {
    let (last, now) = (own.last_refreshed_at(), app.oauth.now());
    let is_short = app.oauth.policy().lifetimes_of(own.client()).access() <= HOUR;
    if own.state() != ConnectionState::Active && is_short && now.seconds_from(last) >= 24 * 3600 {
        return Some(format!("It was last used {}", ago(last, now)));
    }
    (last > own.first_used()).then(|| format!("It last renewed its access {}", ago(last, now)))
}

/// Returns whether the user connected the application, and not their organization.
fn is_users(own: &Connection) -> bool {
    matches!(own.by(), ConnectedBy::User)
}

/// Says in a sentence what the redirect URI of a connection shows of its application's place, or
/// which organization connected it.
fn place(own: &Connection, viewer: Viewer) -> String {
    if let ConnectedBy::Enterprise { issuer, .. } = own.by() {
        return match viewer {
            Viewer::User => {
                let issuer = display_text(issuer);
                format!("By your organization ({issuer}), which can connect it again")
            }
            Viewer::Administrator => format!("By the identity provider {}", display_text(issuer)),
        };
    }
    let host = own.redirect_host();
    let (whose, whom) = match viewer {
        Viewer::User => ("yours", "you"),
        Viewer::Administrator => ("the user", "the user"),
    };
    match own.redirects_to_own_device() {
        true if own.redirects_to_loopback() => format!("It runs on a device of {whose}, at {host}"),
        true => format!("It runs on a device of {whose}, where it opens {host}: addresses"),
        // A web application may run anywhere. Only the address that gets the code is known.
        false => format!("It sends {whom} back to {host}"),
    }
}

/// Returns the name of a resource for people, and its URL.
fn named(app: &App, resource: &Resource) -> (String, String) {
    let identifier = resource.identifier();
    (app.resource_name(identifier).to_owned(), identifier.to_owned())
}
