//! The state that all routes share: the authorization server and the sessions. Refusals and
//! failures become pages here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::OptionalFromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use grantcore::policy::Resource;
use grantcore::reason::Endpoint;
use grantcore::request::Login;
use grantcore::{Error, Event, FromStore, Reason, Refusal, Reply, Server, User};
use grantcore_axum::{Source, Tasks};
use grantcore_fetch::DocumentFetcher;

use crate::accounts::{Accounts, Attempts};
use crate::audit::StoredAuditLog;
use crate::config::Issuer;
use crate::kept::Kept;
use crate::organizations::Organizations;
use crate::pages::answer::shown;
use crate::pages::{Nav, Onward, Page, PlainWords, Problem, Refused, fix, place};
use crate::provider::Provider;
use crate::sessions::{Session, Sessions, TokenCookie};
use crate::setup::ResourceNames;
use crate::store::{Backend, BackendError};
use crate::waiting::Waiting;

/// The server's state, shared by all requests.
pub(crate) struct App {
    pub(crate) oauth: Arc<Server<Backend, FromStore, StoredAuditLog>>,
    pub(crate) audit_log: StoredAuditLog,
    pub(crate) tasks: Tasks,
    pub(crate) accounts: Accounts,
    /// The identity provider, if users sign in with one.
    pub(crate) provider: Option<Provider>,
    /// What a new account of the provider has to spend.
    pub(crate) opening_balance: u64,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Sessions,
    pub(crate) waiting: Waiting,
    pub(crate) kept: Kept,
    pub(crate) session_cookie: TokenCookie,
    pub(crate) form_cookie: TokenCookie,
    pub(crate) sign_in_cookie: TokenCookie,
    pub(crate) issuer: Issuer,
    pub(crate) documents: DocumentFetcher,
    pub(crate) resource_names: ResourceNames,
    pub(crate) organizations: Arc<Organizations>,
    /// Whether the consent of some client's users is remembered.
    pub(crate) remembers: bool,
    /// The ids of the clients that the file of settings declares.
    pub(crate) declared_clients: BTreeSet<String>,
    /// The id of the demonstration's public client. `None` under a file of settings.
    pub(crate) public_client: Option<&'static str>,
}

impl App {
    /// Returns the name of a resource for people: its identifier, if the operator gave it no name.
    /// An instance of a template has the name of the template.
    pub(crate) fn resource_name<'a>(&'a self, identifier: &'a str) -> &'a str {
        let of_template = || {
            let is_above = |own: &&Resource| {
                own.called_at(identifier).is_some_and(|own| own.identifier() == identifier)
            };
            let template = self.oauth.policy().resources().iter().find(is_above)?;
            self.resource_names.get(template.identifier())
        };
        let name = self.resource_names.get(identifier).or_else(of_template);
        name.map_or(identifier, String::as_str)
    }

    /// Returns the session of the browser that sent these headers, or `None` if it is not signed
    /// in.
    pub(crate) async fn session(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<Session>, SessionUnavailable> {
        let Some(token) = self.session_cookie.read(headers) else { return Ok(None) };
        let found = self.sessions.find(&token, &self.accounts, SystemTime::now().into()).await;
        found.map_err(|error| {
            tracing::error!(%error, "a session could not be looked up");
            SessionUnavailable::default()
        })
    }

    /// Returns the links between the pages for this session, or for a visitor who is not signed in.
    #[expect(clippy::unused_self, reason = "pages ask the server for their navigation")]
    pub(crate) fn nav(&self, session: Option<&Session>) -> Nav {
        let is_admin = session.is_some_and(|session| session.is_admin);
        let account = session.map(|session| session.subject.clone());
        Nav { account, is_admin, ..Nav::of(session.map(Session::shown)) }
    }

    /// Returns the response of a refusal at the authorization endpoint: a redirect if the refusal
    /// allows one, otherwise the error page.
    pub(crate) fn refused(&self, refusal: &Refusal, asked: Asked) -> Response {
        let policy = self.oauth.policy();
        let reply = refusal.reply(policy);
        if reply.status == 303 {
            return to_client(reply);
        }
        let problem = refusal.problem(policy);
        // The anchor is the reason that may be disclosed.
        let disclosed = Reason::ALL.iter().find(|reason| reason.name() == problem.anchor);
        let disclosed = *disclosed.unwrap_or(&refusal.reason());
        let client_id = asked.client_id.as_deref();
        let page = Problem {
            status: problem.status,
            plain: PlainWords::of(disclosed, client_id),
            code: problem.code.map(|code| code.to_string()).unwrap_or_default(),
            description: problem.description.into_owned(),
            cause: problem.cause.into(),
            fix: fix(disclosed, client_id).unwrap_or(problem.fix).into(),
            anchor: problem.anchor,
            client_id: asked.client_id.map(|id| shown(id.as_bytes())),
            onward: problem.continue_url.map(|url| {
                let place = place(&url);
                (url, place)
            }),
            reload_url: asked.reload,
            correlation_id: refusal.correlation().map(|id| id.to_string()).unwrap_or_default(),
            at: crate::pages::utc(SystemTime::now().into()),
        };
        let mut response = Page(page).into_response();
        // The page replaces the library's body. Other headers, such as `Retry-After` and `Allow`,
        // are kept.
        for (name, value) in respond(reply).headers() {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        response
    }

    /// Refuses a request at the authorization endpoint for a reason that the host found.
    pub(crate) async fn refuse(&self, reason: Reason, source: &str) -> Response {
        self.refuse_asked(reason, source, Asked::default()).await
    }

    /// Refuses this request for a reason that the host found.
    pub(crate) async fn refuse_asked(
        &self,
        reason: Reason,
        source: &str,
        asked: Asked,
    ) -> Response {
        let refusal = Refusal::plain(reason, Endpoint::Authorization);
        let refusal = self.oauth.refuse(refusal, None, source).await;
        self.refused(&refusal, asked)
    }

    /// Returns the page of a call that failed.
    pub(crate) fn failed(&self, error: &Error<BackendError>, asked: Asked) -> Response {
        log_failure(error);
        self.refused(error.refusal(), asked)
    }

    /// Returns the response of a call, at an endpoint for programs.
    pub(crate) fn reply(&self, reply: Result<Reply, Error<BackendError>>) -> Response {
        respond(reply.unwrap_or_else(|error| {
            log_failure(&error);
            error.reply(self.oauth.policy())
        }))
    }
}

/// What the error page repeats of an authorization request.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The client ID, as it was received.
    pub(crate) client_id: Option<String>,
    /// The address that repeats the request.
    pub(crate) reload: Option<String>,
}

/// Returns the source of a request, for the limits.
pub(crate) fn source_of(extensions: &Extensions) -> String {
    extensions.get::<Source>().map(|source| source.network_text()).unwrap_or_default()
}

/// The database failed while a session was looked up. The cause is in the log.
#[derive(Debug, Default)]
pub(crate) struct SessionUnavailable {
    /// The page of an authorization request. `None` elsewhere.
    page: Option<Box<Response>>,
}

impl IntoResponse for SessionUnavailable {
    fn into_response(self) -> Response {
        self.page.map_or_else(|| not_now(Nav::of(None)), |page| *page)
    }
}

/// Makes `Option<Session>` an argument of a handler: `None` for a browser that is not signed in.
impl OptionalFromRequestParts<Arc<App>> for Session {
    type Rejection = SessionUnavailable;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Option<Self>, SessionUnavailable> {
        let session = app.session(&parts.headers).await;
        let path = parts.uri.path();
        if session.is_ok() || !(path.starts_with("/login") || path.starts_with("/oauth/")) {
            return session;
        }
        // A request of an application waits for this page.
        let again = parts.uri.path_and_query().filter(|_| parts.method == Method::GET);
        let asked = Asked { reload: again.map(ToString::to_string), ..Asked::default() };
        let source = source_of(&parts.extensions);
        let page = app.refuse_asked(Reason::StorageUnavailable, &source, asked).await;
        Err(SessionUnavailable { page: Some(Box::new(page)) })
    }
}

impl Session {
    /// Returns the user as the library takes one.
    #[expect(clippy::expect_used, reason = "accounts have names, and a binding is a digest")]
    pub(crate) fn user(&self) -> User<'_> {
        let user = User::new(&self.subject, self.binding.as_bytes());
        let user = user.expect("a session is of an account");
        match self.signed_in {
            Some(time) => user.with_login(Login::at(time)),
            None => user,
        }
    }
}

/// Returns the page for a database that fails.
pub(crate) fn not_now(nav: Nav) -> Response {
    Page(Refused::new(
        nav,
        StatusCode::SERVICE_UNAVAILABLE,
        "Not now",
        "The server cannot answer now. Try again later.",
    ))
    .into_response()
}

/// The longest `Location` that is sent as a header, in bytes. With the other headers, which have
/// fewer than 400, it stays below the 4 KiB that reverse proxies read by default (F05; nginx:
/// `proxy_buffer_size`).
const LONGEST_LOCATION: usize = 3_600;

/// Redirects to the client. A state of 4 KiB can be 12 KiB once it is encoded, so a long address is
/// put on a page that leads there by itself.
pub(crate) fn to_client(reply: Reply) -> Response {
    match reply.header("location") {
        Some(location) if location.len() > LONGEST_LOCATION => {
            Page(Onward { url: location.to_owned(), place: place(location) }).into_response()
        }
        _ => respond(reply),
    }
}

/// Converts a reply of the library into a response, unchanged.
pub(crate) fn respond(reply: Reply) -> Response {
    axum::http::Response::<String>::from(reply).map(Body::from)
}

/// The link to the entry of a reason in the page of troubleshooting.
struct HelpLink(Reason);

impl fmt::Display for HelpLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/troubleshooting#{}", self.0.name())
    }
}

/// Logs one line for each call of an endpoint. For a refusal, the line links to its cause and fix.
/// An event has no secret.
pub(crate) fn log_event(event: &Event) {
    tracing::info!(
        kind = event.kind.name(),
        reason = event.reason.map(Reason::name),
        detail = event.detail.as_deref(),
        error = event.error(),
        client = event.client_id(),
        subject = event.subject.as_ref().map(grantcore::value::Subject::as_str),
        proof = event.proof.as_ref().map(tracing::field::display),
        flow = event.flow.map(tracing::field::display),
        correlation = %event.correlation,
        see = event.reason.map(|reason| tracing::field::display(HelpLink(reason))),
        "oauth"
    );
}

/// Logs why the database failed. Clients do not see the cause.
pub(crate) fn log_failure(error: &Error<BackendError>) {
    if let Some(failure) = error.failure() {
        let correlation = &failure.event.correlation;
        tracing::error!(error = %failure.cause, %correlation, "the database failed");
    }
}
