//! What every route shares: the authorization server, the sessions, and how refusals and failures
//! become pages.

use std::time::SystemTime;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use grantcore::{Endpoint, Error, Event, FromStore, Reason, Refusal, Reply, Server, User};
use grantcore_fetch::DocumentFetcher;

use crate::accounts::{Accounts, Attempts};
use crate::config::Issuer;
use crate::kept::Kept;
use crate::pages::{Nav, Onward, Page, Problem};
use crate::routes::Unread;
use crate::sessions::{Cookie, Session, Sessions};
use crate::store::{Backend, BackendError};
use crate::tasks::Tasks;
use crate::trail::Trail;

/// The server's state, shared by all requests.
pub(crate) struct App {
    pub(crate) oauth: Server<Backend, FromStore, Trail>,
    pub(crate) trail: Trail,
    pub(crate) tasks: Tasks,
    pub(crate) accounts: Accounts,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Sessions,
    pub(crate) kept: Kept,
    pub(crate) session_cookie: Cookie,
    pub(crate) form_cookie: Cookie,
    pub(crate) issuer: Issuer,
    pub(crate) documents: DocumentFetcher,
}

impl App {
    /// The session of the browser that sent these headers, if it is signed in.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.session_cookie
            .read(headers)
            .and_then(|token| self.sessions.find(&token, SystemTime::now()))
    }

    /// The ways through the pages for this user, or for somebody who is not signed in.
    pub(crate) fn nav(&self, subject: Option<&str>) -> Nav {
        let is_admin = subject.is_some_and(|subject| self.accounts.is_admin(subject));
        Nav { is_admin, ..Nav::of(subject) }
    }

    /// A refusal at the authorization endpoint: the redirect that it allows, or the banner in place
    /// of Allow.
    pub(crate) fn refused(&self, refusal: &Refusal, reload_url: Option<String>) -> Response {
        let policy = self.oauth.policy();
        let reply = refusal.reply(policy);
        if reply.status == 303 {
            return to_client(reply);
        }
        let problem = refusal.problem(policy);
        let page = Problem {
            status: problem.status,
            title: "Authorization failed".into(),
            code: problem.code.map(|code| code.to_string()).unwrap_or_default(),
            description: problem.description.into_owned(),
            cause: problem.cause.into(),
            fix: problem.fix.into(),
            anchor: problem.anchor,
            continue_url: problem.continue_url,
            reload_url,
            correlation_id: refusal.correlation().map(|id| id.to_string()).unwrap_or_default(),
            at: crate::pages::utc(SystemTime::now().into()),
        };
        let mut response = Page(page).into_response();
        // The page is the host's own; what the library says beside it (how long to wait, which
        // methods there are) is kept.
        for (name, value) in respond(reply).headers() {
            response.headers_mut().entry(name).or_insert(value.clone());
        }
        response
    }

    /// A request whose body was not read, for a program.
    pub(crate) async fn unread(&self, unread: Unread, endpoint: Endpoint) -> Response {
        let refusal =
            self.oauth.refuse(Refusal::plain(unread.reason(endpoint), endpoint), None).await;
        respond(refusal.reply(self.oauth.policy()))
    }

    /// A refusal of the host's own at the authorization endpoint.
    pub(crate) async fn refuse(&self, reason: Reason) -> Response {
        let refusal =
            self.oauth.refuse(Refusal::plain(reason, Endpoint::Authorization), None).await;
        self.refused(&refusal, None)
    }

    /// The page of a call that did not succeed. `reload_url` leads back to the request.
    pub(crate) fn failed(
        &self,
        error: &Error<BackendError>,
        reload_url: Option<String>,
    ) -> Response {
        log_failure(error);
        self.refused(error.refusal(), reload_url)
    }

    /// The response of a call to a program.
    pub(crate) fn reply(&self, reply: Result<Reply, Error<BackendError>>) -> Response {
        respond(reply.unwrap_or_else(|error| {
            log_failure(&error);
            error.reply(self.oauth.policy())
        }))
    }
}

impl Session {
    /// The user, as the library wants to know them.
    #[expect(clippy::expect_used, reason = "accounts have names, and a binding is a digest")]
    pub(crate) fn user(&self) -> User<'_> {
        User::new(&self.subject, self.binding.as_bytes()).expect("a session is of an account")
    }
}

/// The longest `Location` that is sent as a header. With the other headers it stays below the 4 KiB
/// that reverse proxies read by default (nginx: `proxy_buffer_size`).
const LONGEST_LOCATION: usize = 3_000;

/// A redirect to the client. Its state can be 4 KiB, and three times that when it is encoded: a
/// longer address is on a page, which leads there by itself.
pub(crate) fn to_client(reply: Reply) -> Response {
    match reply.header("location") {
        Some(location) if location.len() > LONGEST_LOCATION => {
            Page(Onward { url: location.to_owned() }).into_response()
        }
        _ => respond(reply),
    }
}

/// A reply of the library, sent as it is.
pub(crate) fn respond(reply: Reply) -> Response {
    axum::http::Response::<String>::from(reply).map(Body::from)
}

/// The log's line for each call of an endpoint; of a refusal, where its cause and fix are told. The
/// event has no secret in it.
pub(crate) fn log_event(event: &Event) {
    let reason = event.reason.map(Reason::name);
    let see = reason.map(|reason| format!("/troubleshooting#{reason}"));
    let (flow, subject) = (
        event.flow.map(|flow| flow.to_string()),
        event.subject.as_ref().map(grantcore::Subject::as_str),
    );
    let (kind, client, error) = (event.kind.name(), event.client_id(), event.error());
    tracing::info!(kind, reason, detail = event.detail.as_deref(), error, client, subject, flow, correlation = %event.correlation, see, "oauth");
}

/// Logs what only the operator learns of a call that did not succeed: why the database failed.
pub(crate) fn log_failure(error: &Error<BackendError>) {
    if let Some(failure) = error.failure() {
        tracing::error!(error = %failure.cause, correlation = %failure.event.correlation, "the database failed");
    }
}
