//! The consent page and its form.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::client::Registration;
use grantcore::request::ConnectionList;
use grantcore::{Choice, ConsentPage, Policy, Reason};
use url::form_urlencoded;

use super::authorize::client_id;
use super::resume::{link, log_in_for};
use crate::app::{App, Asked, log_failure, to_client};
use crate::kept::Request as Kept;
use crate::pages::words::{ago, day, listed, spoken, utc};
use crate::pages::{self, AppName, Destination, Notice, Page};
use crate::sessions::Session;

/// How many grants of the user are read to find a live connection. A page must not cost as much as
/// its user has grants.
const GRANTS_READ: usize = 256;

/// Handles the consent form: the ticket, the scopes that are ticked, and the decision. The request
/// itself is in the record of the grant.
pub(crate) async fn consent(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let field = |name: &str| {
        form_urlencoded::parse(body.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value)
    };
    // A copy of the authorization request, used only to start it again.
    let request = field("reload").and_then(|address| Kept::of_field(&address));
    let Ok(session) = app.session(&headers).await else {
        return app.refuse(Reason::StorageUnavailable).await;
    };
    let Some(session) = session else {
        if let Some(request) = request {
            return log_in_for(&app, request);
        }
        let message = "Your session has ended. Start again from the application.";
        return (StatusCode::FORBIDDEN, Page(Notice::new("Signed out", message))).into_response();
    };
    let ticket = field("ticket").unwrap_or_default();
    let scopes = form_urlencoded::parse(body.as_bytes())
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value)
        .collect::<Vec<_>>()
        .join(" ");
    let choice = match field("decision").as_deref() {
        // A form without the boxes grants what was asked for.
        Some("allow") if field("scopes_shown").is_none() => Choice::Allow,
        // The page says so beside the boxes.
        Some("allow") if scopes.is_empty() => Choice::Deny,
        Some("allow") => Choice::AllowOnly(&scopes),
        Some("deny") => Choice::Deny,
        _ => return app.refuse(Reason::TicketMissing).await,
    };
    match app.oauth.consent(&ticket, session.user(), choice).await {
        Ok(redirect) => to_client(redirect.reply()),
        Err(error) => {
            let client_id = request.as_ref().and_then(|request| client_id(&request.query));
            let reload = request.and_then(|request| link(&app, request));
            app.failed(&error, Asked { client_id, reload })
        }
    }
}

/// Answers a browser that opens the address of the form, such as from its history.
pub(crate) async fn again() -> Response {
    let message = "This page is part of a request by an application. Start again there.";
    let page = Notice::new("There is nothing to decide here", message);
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], Page(page)).into_response()
}

/// Returns the day since which the user has a live connection of this client, or `None` if there
/// is none. A database that fails here does not stop the user.
pub(super) async fn connected_since(app: &App, page: &ConsentPage) -> Option<String> {
    let list = ConnectionList::new(page.subject(), None, GRANTS_READ);
    let found = app.oauth.run(list).await.inspect_err(log_failure).ok()?;
    let own = found.entries.iter().filter(|own| own.client_id().as_str() == page.client_id());
    own.map(grantcore::response::Connection::created).min().map(day)
}

pub(super) fn consent_page(
    page: &ConsentPage,
    reload: String,
    csrf: String,
    connected: Option<String>,
    app: &App,
    session: Option<&Session>,
) -> pages::Consent {
    let policy = app.oauth.policy();
    let now = app.oauth.now();
    let scopes = page.scopes(policy).map(|(name, description)| pages::Scope {
        name: name.into(),
        description: description.into(),
    });
    let verified = page.registration() == Registration::Operator;
    let name = AppName::of(&page.client_name(), page.client_id(), verified);
    let is_cut = name.text.ends_with('…');
    let names: Vec<String> = page.resources().map(|own| app.resource_name(own).into()).collect();
    let resources = page.resources().map(|own| (app.resource_name(own).into(), own.into()));
    pages::Consent {
        subject: session.map_or(page.subject(), Session::shown).into(),
        name,
        whole_name: is_cut.then(|| page.client_name()),
        wanted: if names.is_empty() { "your account".into() } else { listed(&names) },
        unverified: unverified(page, app),
        connected,
        destination: Destination::of(
            page.redirect_host(),
            page.redirects_to_loopback(),
            page.redirects_to_own_device(),
        ),
        lasts: lasts(page, policy, app),
        registration: match page.registration() {
            Registration::Operator => "Registered by the operator of this server".into(),
            Registration::MetadataDocument => {
                format!("Described by its own document, first read {}", utc(page.registered()))
            }
            _ => format!("Registered itself {}", utc(page.registered())),
        },
        client_id: page.client_id().into(),
        client_host: page.client_id_host().map(Into::into),
        client_pages: client_pages(page),
        scopes: scopes.collect(),
        resources: resources.collect(),
        access_lifetime: spoken(policy.lifetimes().access().as_secs()),
        expires_in: spoken(page.expires().seconds_from(now)),
        ticket: page.ticket(),
        reload,
        csrf,
    }
}

/// Returns the titles and URLs of the client's own pages. Its logo is not shown, because the user's
/// browser would call a host that the client chose.
fn client_pages(page: &ConsentPage) -> Vec<(&'static str, String)> {
    let pages = [
        ("Website", page.client_uri()),
        ("Privacy policy", page.policy_uri()),
        ("Terms of service", page.tos_uri()),
    ];
    pages.into_iter().filter_map(|(what, uri)| Some((what, uri?.to_owned()))).collect()
}

/// Returns how a client that the operator did not register came to be known, and when. A client
/// that is minutes old is suspicious to a user who did not just set it up.
fn unverified(page: &ConsentPage, app: &App) -> Option<String> {
    let age = ago(page.registered(), app.oauth.now());
    match page.registration() {
        Registration::Operator => None,
        Registration::MetadataDocument => {
            let host = page.client_id_host().unwrap_or_default();
            Some(format!("described by its own document at {host}, first read {age}"))
        }
        _ => Some(format!("registered itself {age}")),
    }
}

/// Returns how long the access lasts. A client without a refresh token cannot renew it.
fn lasts(page: &ConsentPage, policy: &Policy, app: &App) -> String {
    let lifetimes = policy.lifetimes();
    let idle = spoken(lifetimes.refresh_idle().as_secs());
    if !page.gets_refresh_token() {
        return format!("The access lasts {}", spoken(lifetimes.access().as_secs()));
    }
    match lifetimes.refresh_absolute() {
        Some(absolute) => {
            let last = day(app.oauth.now().after(absolute));
            format!("The access lasts until {last}, or until it is unused for {idle}")
        }
        None => format!("The access lasts until it is unused for {idle}"),
    }
}
