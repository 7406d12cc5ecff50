//! The consent page and its form.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::client::Registration;
use grantcore::request::{ConnectionList, ConsentDecision};
use grantcore::value::Properties;
use grantcore::{Choice, ConsentPage, Policy, Reason, RequestParts, Store as _, User};
use grantcore_axum::ConsentForm;

use super::authorize::{Earlier, client_id, decide};
use super::clients::source;
use super::resume::{link, log_in_for};
use crate::app::{App, Asked, log_failure, to_client};
use crate::kept::{Request as Kept, Wanted};
use crate::organizations::{self, Candidates, Unbound};
use crate::pages::words::{ago, day, listed, spoken, utc};
use crate::pages::{self, AppName, Destination, Notice, Page};
use crate::sessions::Session;
use crate::store::BackendError;

/// How many grants of the user are read to find a live connection. A page must not cost as much as
/// its user has grants.
pub(super) const GRANTS_READ: usize = 256;

/// Handles the consent form: the ticket, the scopes that are ticked, and the decision. The request
/// itself is in the record of the grant.
pub(crate) async fn consent(State(app): State<Arc<App>>, parts: Parts, body: Bytes) -> Response {
    let form = match ConsentForm::parse(&body) {
        Ok(form) => form,
        Err(reason) => return app.refuse(reason, &source(&parts)).await,
    };
    // A copy of the authorization request, used only to start it again.
    let request = form.field("reload").and_then(Kept::of_field);
    let Ok(session) = app.session(&parts.headers).await else {
        return unavailable(&app, &parts, request).await;
    };
    let Some(session) = session else {
        if let Some(request) = request {
            let wanted = Wanted { signed_out: true, ..Wanted::default() };
            return log_in_for(&app, Kept { wanted, ..request }, &source(&parts)).await;
        }
        let message = "Your session has ended. Start again from the application.";
        return (StatusCode::FORBIDDEN, Page(Notice::new("Signed out", message))).into_response();
    };
    let (ticket, choice) = match form.choice() {
        Ok(choice) => (form.ticket(), choice),
        // The library refuses it for the same reason, and records the user.
        Err(Reason::TicketMissing) => ("", Choice::Deny),
        Err(reason) => return app.refuse(reason, &source(&parts)).await,
    };
    let answer = form.field("organization");
    let (choice, properties) = match properties(&app, ticket, session.user(), choice, answer).await
    {
        Ok(properties) => (choice, properties),
        // The library refuses it, and says why. It would grant nothing in any case.
        Err(NotBound::Closed) => (NOTHING, None),
        Err(NotBound::Unavailable(error)) => {
            tracing::error!(%error, "the grant of a consent page could not be read");
            return unavailable(&app, &parts, request).await;
        }
        Err(NotBound::Organization(why)) => {
            return match (why, request) {
                (Unbound::NotChosen, Some(request)) => {
                    ask_again(&app, &parts, &request, form.scope()).await
                }
                (why, _) => not_bound(&why),
            };
        }
    };
    let decision = ConsentDecision::new(ticket, session.user(), choice);
    let redirect = match (decision, properties) {
        (Ok(decision), Some(properties)) => {
            app.oauth.run(decision.with_properties(properties)).await
        }
        _ => app.oauth.consent(ticket, session.user(), choice).await,
    };
    match redirect {
        Ok(redirect) => to_client(redirect.reply()),
        Err(error) => app.failed(&error, asked(&app, &parts, request).await),
    }
}

/// A choice of no scope, which the library refuses also on an open page.
const NOTHING: Choice<'_> = Choice::AllowOnly("");

/// Returns what the error page repeats of the request of a form.
async fn asked(app: &App, parts: &Parts, request: Option<Kept>) -> Asked {
    let Some(request) = request else { return Asked::default() };
    let client_id = client_id(&request.query);
    Asked { client_id, reload: link(app, request, &source(parts)).await }
}

/// Returns the page for a database that fails while a form is handled.
async fn unavailable(app: &App, parts: &Parts, request: Option<Kept>) -> Response {
    let asked = asked(app, parts, request).await;
    app.refuse_asked(Reason::StorageUnavailable, &source(parts), asked).await
}

/// Why no properties can be bound to a grant.
enum NotBound {
    Organization(Unbound),
    /// The page of the ticket does not wait for an answer of this user.
    Closed,
    Unavailable(BackendError),
}

/// Returns what is bound to the grant of this ticket: the organization that it is for.
///
/// Which organization a resource is of is read from the record, and not from the form: with the
/// address of another request in the form, a user could otherwise connect a client to the resource
/// of an organization that the user does not belong to. A ticket without a record gets nothing, and
/// the library refuses it. Nobody is asked for an organization by a ticket that is not good.
async fn properties(
    app: &App,
    ticket: &str,
    user: User<'_>,
    choice: Choice<'_>,
    answer: Option<&str>,
) -> Result<Option<Properties>, NotBound> {
    if choice == Choice::Deny {
        return Ok(None);
    }
    let Ok(decision) = ConsentDecision::new(ticket, user, choice) else { return Ok(None) };
    let found = app.oauth.store().grant(decision.grant_id()).await;
    let Some(stored) = found.map_err(NotBound::Unavailable)? else { return Ok(None) };
    let policy = app.oauth.policy();
    let resources = stored.record.resources();
    let candidates = app.organizations.candidates(user.subject(), policy, resources);
    let chosen = candidates.choose(answer).map_err(|why| {
        let is_open = decision.is_open(&stored.record, app.oauth.now());
        if is_open { NotBound::Organization(why) } else { NotBound::Closed }
    })?;
    Ok(chosen.and_then(|id| organizations::properties(id).ok()))
}

/// Shows the consent page of this request again, which asks for the organization in words.
async fn ask_again(app: &App, parts: &Parts, request: &Kept, ticked: &str) -> Response {
    let again = RequestParts {
        method: "GET",
        query: request.query.as_bytes(),
        ..RequestParts::from_http(parts, &[])
    };
    let earlier = Earlier { answered: None, unchosen: Some(ticked) };
    decide(app, parts, &again, &request.query, earlier).await
}

/// Returns the page after an answer that no page of this server offers to the user.
fn not_bound(why: &Unbound) -> Response {
    let (status, message) = match why {
        Unbound::NotChosen => (
            StatusCode::BAD_REQUEST,
            "No organization was chosen. Go back, choose one and try again.",
        ),
        Unbound::NotMember => (
            StatusCode::FORBIDDEN,
            "Your account does not belong to this organization. Start again from the application.",
        ),
    };
    (status, Page(Notice::new("Nothing was allowed", message))).into_response()
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
    let scopes = page.scopes(policy).map(|(name, description)| pages::Scope {
        name: name.into(),
        description: description.into(),
        is_ticked: true,
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
        organization: organization(page, app),
        resources: resources.collect(),
        access_lifetime: spoken(page.lifetimes(policy).access().as_secs()),
        expires: utc(page.expires()),
        ticket: page.ticket(),
        reload,
        csrf,
    }
}

/// Returns the organization that the access would be for, as the page shows it.
fn organization(page: &ConsentPage, app: &App) -> pages::Organization {
    let all = &app.organizations;
    let name = |id: &str| all.name(id).to_owned();
    match all.candidates(page.subject(), app.oauth.policy(), page.resources()) {
        Candidates::None => pages::Organization::None,
        Candidates::One(id) => pages::Organization::One(name(id)),
        Candidates::Several(ids) => pages::Organization::Choice {
            options: ids.into_iter().map(|id| (id.to_owned(), name(id))).collect(),
            is_missing: false,
        },
        // The id is that of the client's request. A name would say whether there is such an
        // organization.
        Candidates::Stranger(id) => pages::Organization::Stranger(id),
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

/// Returns how long the access of this client lasts. A client without a refresh token cannot renew
/// it.
fn lasts(page: &ConsentPage, policy: &Policy, app: &App) -> String {
    let lifetimes = page.lifetimes(policy);
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
