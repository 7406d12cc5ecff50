//! The authorization endpoint and the consent form. They add the login and the pages to the
//! library.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::client::Registration;
use grantcore::reason::Endpoint;
use grantcore::response::PAGE_HEADERS;
use grantcore::{
    AuthorizationStep, Choice, ConsentPage, Error, Policy, Reason, RequestParts, User,
};
use http_body_util::LengthLimitError;
use url::form_urlencoded;

use super::BODY_LIMIT;
use super::clients::with_document;
use super::login::with_form_cookie;
use super::resume::{link, log_in_for};
use crate::app::{App, to_client};
use crate::kept::{Request as Kept, SignIn, Wanted};
use crate::pages::{self, Notice, Page};
use crate::sessions::Session;
use crate::store::BackendError;

pub(crate) async fn authorize(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.refuse(unread.reason(Endpoint::Authorization)).await,
    };
    let incoming = RequestParts::from_http(&parts, &body);
    let sent = if parts.method == Method::POST { &body } else { incoming.query };
    let query = String::from_utf8_lossy(sent);
    decide(&app, &parts, &incoming, &query, None).await
}

/// Returns the login page, the consent page or the refusal of a request.
///
/// `query` holds the parameters of the request, so that it can be repeated after a sign-in.
/// `answered` is the sign-in that this request already led to, if any.
pub(super) async fn decide(
    app: &App,
    parts: &Parts,
    incoming: &RequestParts<'_>,
    query: &str,
    answered: Option<&SignIn>,
) -> Response {
    let Ok(session) = app.session(&parts.headers).await else {
        return app.refuse(Reason::StorageUnavailable).await;
    };
    let user = session.as_ref().map(Session::user);
    let mut answer = authorize_with_document(app, parts, incoming, user).await;
    if let Some(Ok(AuthorizationStep::NeedsLogin(page))) = &answer
        && let (Some(session), Some(sign_in)) = (&session, answered)
        && sign_in.session == session.binding
        && (sign_in.is_fresh || !page.fresh())
    {
        let user = session.user().signed_in_for(page.request());
        answer = authorize_with_document(app, parts, incoming, Some(user)).await;
    }
    let log_in = |wanted| log_in_for(app, Kept::new(query, wanted));
    match answer {
        None => log_in(Wanted::default()),
        Some(Ok(AuthorizationStep::NeedsLogin(page))) => {
            log_in(Wanted { fresh: page.fresh(), choice: page.choose_account() })
        }
        Some(Ok(AuthorizationStep::NeedsConsent(page))) => {
            with_form_cookie(app, &parts.headers, |csrf| {
                Page(consent_page(&page, Kept::address(query), csrf, app)).into_response()
            })
        }
        // Does not occur: the request was just sent with its document.
        Some(Ok(AuthorizationStep::NeedsDocument(_))) => {
            app.refuse(Reason::DocumentUnreachable).await
        }
        Some(Err(error)) => app.failed(&error, None),
    }
}

/// Authorizes the request, and fetches the client's document first if the library needs it. Returns
/// `None` if the user must sign in before the document is fetched.
async fn authorize_with_document(
    app: &App,
    parts: &Parts,
    incoming: &RequestParts<'_>,
    user: Option<User<'_>>,
) -> Option<Result<AuthorizationStep, Error<BackendError>>> {
    let answer = app.oauth.authorize(incoming, user).await;
    let Ok(AuthorizationStep::NeedsDocument(needed)) = &answer else { return Some(answer) };
    with_document(app, needed, parts, incoming, user).await
}

/// Redirects to the login page, which redirects to `page` after the sign-in.
pub(super) fn log_in_first(page: &str) -> Response {
    let next = form_urlencoded::Serializer::new(String::new()).append_pair("next", page).finish();
    (AppendHeaders(PAGE_HEADERS), Redirect::to(&format!("/login?{next}"))).into_response()
}

/// Handles the consent form: the ticket, the scopes to leave out, and the decision. The request
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
        return (
            StatusCode::FORBIDDEN,
            Page(Notice { title: "Signed out".into(), message: message.into() }),
        )
            .into_response();
    };
    let all = |name: &'static str| {
        form_urlencoded::parse(body.as_bytes())
            .filter(move |(own, _)| own == name)
            .map(|(_, value)| value)
    };
    let without = all("without").collect::<Vec<_>>();
    let ticket = field("ticket").unwrap_or_default();
    let granted =
        all("granted").filter(|scope| !without.contains(scope)).collect::<Vec<_>>().join(" ");
    let choice = match field("decision").as_deref() {
        Some("allow") if without.is_empty() => Choice::Allow,
        Some("allow") => Choice::AllowOnly(&granted),
        Some("deny") => Choice::Deny,
        _ => return app.refuse(Reason::TicketMissing).await,
    };
    match app.oauth.consent(&ticket, session.user(), choice).await {
        Ok(redirect) => to_client(redirect.reply()),
        Err(error) => app.failed(&error, request.and_then(|request| link(&app, request))),
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The body is longer than [`BODY_LIMIT`].
    TooLarge,
    /// The body is incomplete, or its transfer coding is invalid.
    Broken,
}

impl BodyError {
    /// Returns the reason of the refusal at this endpoint.
    pub(crate) fn reason(self, endpoint: Endpoint) -> Reason {
        match (self, endpoint) {
            (Self::TooLarge, _) => Reason::RequestTooLarge,
            (Self::Broken, Endpoint::Registration | Endpoint::Management) => {
                Reason::MetadataNotJson
            }
            (Self::Broken, _) => Reason::RequestUndecodable,
        }
    }
}

/// Reads the whole body, up to [`BODY_LIMIT`].
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, BodyError> {
    match to_bytes(body, BODY_LIMIT).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => {
            let is_large = error.into_inner().is::<LengthLimitError>();
            Err(if is_large { BodyError::TooLarge } else { BodyError::Broken })
        }
    }
}

fn consent_page(page: &ConsentPage, reload: String, csrf: String, app: &App) -> pages::Consent {
    let policy = app.oauth.policy();
    let scopes = page.scopes(policy).map(|(name, description)| pages::Scope {
        name: name.into(),
        description: description.into(),
    });
    pages::Consent {
        subject: page.subject().into(),
        client_name: page.client_name(),
        client_id: page.client_id().into(),
        client_host: page.client_id_host().map(Into::into),
        client_pages: client_pages(page),
        registration: registration(page, app),
        verified: page.registration() == Registration::Operator,
        redirect_host: page.redirect_host().into(),
        loopback_only: page.redirects_to_own_device(),
        scopes: scopes.collect(),
        resources: page.resources().map(Into::into).collect(),
        access_lifetime: spoken(policy.lifetimes().access().as_secs()),
        grant_lifetime: grant_lifetime(policy),
        expires_in: format!(
            "This page is valid for {}",
            spoken(page.expires().seconds_from(app.oauth.now()))
        ),
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

/// Returns how the client came to be known, and when. A client that is minutes old is suspicious to
/// a user who did not just set it up.
fn registration(page: &ConsentPage, app: &App) -> String {
    let age = spoken_roughly(app.oauth.now().seconds_from(page.registered()));
    match page.registration() {
        Registration::Operator => "Registered by the operator of this server".into(),
        Registration::MetadataDocument => {
            format!("Known by a document it publishes about itself, first read {age}")
        }
        _ => format!("Registered itself {age}, unverified"),
    }
}

/// Describes a past time by its largest unit.
fn spoken_roughly(seconds: u64) -> String {
    let units = [86_400, 3600, 60];
    let unit = units.into_iter().find(|unit| seconds >= *unit);
    unit.map_or("just now".into(), |unit| format!("{} ago", spoken(seconds / unit * unit)))
}

fn grant_lifetime(policy: &Policy) -> String {
    let idle = spoken(policy.lifetimes().refresh_idle().as_secs());
    match policy.lifetimes().refresh_absolute() {
        Some(absolute) => format!("up to {}, or {idle} without use", spoken(absolute.as_secs())),
        None => format!("as long as it is used every {idle}"),
    }
}

/// Describes a duration by the largest unit that divides it.
fn spoken(seconds: u64) -> String {
    let units = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
    let (unit, length) = units
        .into_iter()
        .find(|(_, length)| seconds >= *length && seconds.is_multiple_of(*length))
        .unwrap_or(("second", 1));
    let count = seconds / length;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
