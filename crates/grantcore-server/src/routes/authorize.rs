//! The authorization endpoint. It adds the login and the pages to the library.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use grantcore::request::{ConnectionList, LoginFailure};
use grantcore::response::PAGE_HEADERS;
use grantcore::{AuthorizationStep, Error, Reason, RequestParts, User};
use http_body_util::LengthLimitError;
use url::form_urlencoded;

use super::BODY_LIMIT;
use super::clients::{source, with_document};
use super::consent::{GRANTS_READ, connected_since, consent_page};
use super::login::with_form_cookie;
use super::resume::{link, try_log_in_for};
use crate::app::{App, Asked, log_failure, to_client};
use crate::kept::{Request as Kept, SignIn, Wanted};
use crate::organizations;
use crate::pages::Page;
use crate::sessions::Session;
use crate::store::BackendError;

/// What a request led to before.
#[derive(Clone, Copy, Default)]
pub(super) struct Earlier<'a> {
    /// The sign-in.
    pub(super) answered: Option<&'a SignIn>,
    /// A consent page that was answered without a choice of the organization: the scopes that were
    /// ticked on it.
    pub(super) unchosen: Option<&'a str>,
}

pub(crate) async fn authorize(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return app.refuse(unread.reason(), &source(&parts)).await,
    };
    let incoming = RequestParts::from_http(&parts, &body);
    let sent = if parts.method == Method::POST { &body } else { incoming.query };
    let query = String::from_utf8_lossy(sent);
    decide(&app, &parts, &incoming, &query, Earlier::default()).await
}

/// Returns the login page, the consent page or the refusal of a request.
///
/// `query` holds the parameters of the request, so that it can be repeated after a sign-in.
/// `earlier` is what the request led to before.
pub(super) async fn decide(
    app: &App,
    parts: &Parts,
    incoming: &RequestParts<'_>,
    query: &str,
    earlier: Earlier<'_>,
) -> Response {
    let Ok(session) = app.session(&parts.headers).await else {
        let asked = again(app, parts, query).await;
        return app.refuse_asked(Reason::StorageUnavailable, &source(parts), asked).await;
    };
    let user = match &session {
        Some(session) => Some(user_of(app, session, query).await),
        None => None,
    };
    let mut answer = authorize_with_document(app, parts, incoming, user).await;
    if let Some(Ok(AuthorizationStep::NeedsLogin(page))) = &answer
        && let (Some(session), Some(sign_in)) = (&session, earlier.answered)
        && sign_in.session == session.binding
        && (sign_in.is_fresh || !page.fresh())
    {
        let user = user_of(app, session, query).await.signed_in_for(page.request());
        answer = authorize_with_document(app, parts, incoming, Some(user)).await;
    }
    let log_in = async |wanted| {
        let kept = try_log_in_for(app, &Kept::new(query, wanted), &source(parts)).await;
        match kept {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a request could not be kept for its sign-in");
                // The client and its redirect URI are verified, so the client gets the error
                // (AUTHZ-25).
                let failure = LoginFailure::Unavailable;
                let error = app.oauth.give_up_login(incoming, user, failure).await;
                app.failed(&error, Asked { client_id: client_id(query), reload: None })
            }
        }
    };
    match answer {
        None => log_in(Wanted::default()).await,
        Some(Ok(AuthorizationStep::NeedsLogin(page))) => {
            let (fresh, choice) = (page.fresh(), page.choose_account());
            log_in(Wanted { fresh, choice, ..Wanted::default() }).await
        }
        Some(Ok(AuthorizationStep::NeedsConsent(page))) => {
            let connected = connected_since(app, &page).await;
            with_form_cookie(app, &parts.headers, |csrf| {
                let address = Kept::address(query);
                let session = session.as_ref();
                let mut shown = consent_page(&page, address, csrf, connected, app, session);
                if let Some(ticked) = earlier.unchosen {
                    shown.ask_again(ticked);
                }
                Page(shown).into_response()
            })
        }
        Some(Ok(AuthorizationStep::Done(redirect))) => to_client(redirect.reply()),
        // Does not occur: the request was just sent with its document.
        Some(Ok(AuthorizationStep::NeedsDocument(_))) => {
            app.refuse(Reason::DocumentUnreachable, &source(parts)).await
        }
        Some(Err(error)) if error.failure().is_some() => {
            app.failed(&error, again(app, parts, query).await)
        }
        Some(Err(error)) => app.failed(&error, Asked { client_id: client_id(query), reload: None }),
    }
}

/// Returns what the error page repeats of a request that is good for another try.
async fn again(app: &App, parts: &Parts, query: &str) -> Asked {
    let request = Kept::new(query, Wanted::default());
    Asked { client_id: client_id(query), reload: link(app, request, &source(parts)).await }
}

/// Returns the user, with the connection to this client whose consent may be remembered. The
/// library decides whether it covers the request.
async fn user_of<'s>(app: &App, session: &'s Session, query: &str) -> User<'s> {
    let user = session.user();
    let Some(client_id) = client_id(query).filter(|_| app.remembers) else { return user };
    let list = ConnectionList::new(&session.subject, None, GRANTS_READ);
    // Without the list, the user is asked.
    let Ok(found) = app.oauth.run(list).await.inspect_err(log_failure) else { return user };
    let Some(id) = found.asked(&client_id) else { return user };
    let own = found.entries.iter().find(|own| own.grant_id() == id);
    // A remembered consent is for the same organization, which the user may have left.
    let bound = own.and_then(|own| organizations::bound(own.properties()));
    match bound {
        Some(bound) if !app.organizations.has_member(&bound, &session.subject) => user,
        _ => user.remembering(id),
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

/// Returns the client ID of a request, as it was received.
pub(super) fn client_id(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, value)| name == "client_id" && !value.is_empty())
        .map(|(_, value)| value.into_owned())
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
    /// Returns the reason of the refusal at the authorization endpoint.
    fn reason(self) -> Reason {
        match self {
            Self::TooLarge => Reason::RequestTooLarge,
            Self::Broken => Reason::RequestUndecodable,
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
