//! The part of the host: who is signed in, and the pages of the authorization endpoint.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use askama::Template;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use grantcore::request::ConsentDecision;
use grantcore::response::{ConsentPage, LoginPage, Problem};
use grantcore::value::{RequestDigest, display_text};
use grantcore::{Policy, Refusal};
use serde::{Deserialize, Deserializer};

use crate::router::with_page_headers;
use crate::signed_in::SignedIn;

/// The error of [`Pages::user`]: the host failed to find out who is signed in. It is logged, and
/// the user gets an error page.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The part of the authorization endpoint that belongs to the host: who is signed in, and the
/// pages.
///
/// [`user`](Self::user) and [`login`](Self::login) are required. The pages of consent and errors
/// have plain defaults, which are complete and accessible.
///
/// ```
/// use axum::http::header::COOKIE;
/// use axum::http::request::Parts;
/// use axum::response::Response;
/// use grantcore_axum::{BoxError, Login, Pages, SignedIn};
///
/// struct Site {
///     sessions: Sessions,
/// }
///
/// impl Pages for Site {
///     async fn user(&self, request: &Parts) -> Result<Option<SignedIn>, BoxError> {
///         let Some(cookie) = request.headers.get(COOKIE) else { return Ok(None) };
///         let session = self.sessions.find(cookie.as_bytes()).await?;
///         Ok(session.map(|session| SignedIn::new(session.user_id, session.secret)))
///     }
///
///     async fn login(&self, _request: &Parts, login: Login) -> Response {
///         login.redirect("/login")
///     }
/// }
/// # struct Sessions;
/// # struct Session { user_id: String, secret: Vec<u8> }
/// # impl Sessions {
/// #     async fn find(&self, _: &[u8]) -> Result<Option<Session>, std::io::Error> { Ok(None) }
/// # }
/// ```
pub trait Pages: Send + Sync + 'static {
    /// Returns the user who is signed in at the browser that sent this request, or `None`. A user
    /// whose account is suspended is returned as well: the server refuses the request then, and
    /// `None` would show a login page that leads nowhere.
    ///
    /// # Errors
    /// [`BoxError`] if the sessions cannot be read. The user gets an error page with status 503.
    fn user(
        &self,
        request: &Parts,
    ) -> impl Future<Output = Result<Option<SignedIn>, BoxError>> + Send;

    /// Returns the response to a browser whose user must sign in: a login page, or a redirect to
    /// one. After the sign-in, redirect the browser to [`Login::return_to`].
    fn login(&self, request: &Parts, login: Login) -> impl Future<Output = Response> + Send;

    /// Returns the consent page, as HTML. Its form posts to [`Consent::action`], with the fields
    /// that [`Consent`] lists. Default: [`Consent::plain_page`].
    fn consent(&self, _request: &Parts, consent: Consent) -> impl Future<Output = Response> + Send {
        async move { consent.plain_page() }
    }

    /// Returns the decision of a user who allows a request, with what the host binds to the grant:
    /// [properties](ConsentDecision::with_properties), such as the organization that the user
    /// chose, or an [end](ConsentDecision::until). Default: the decision as it is.
    ///
    /// `form` has the names and values of all fields, the host's own included. A user can send any
    /// value, so compare each with what the host knows of the user.
    ///
    /// # Errors
    /// The response to the browser, if the host does not accept the form. Nothing is decided then,
    /// and the user can answer the consent page again.
    fn allow<'a>(
        &self,
        _request: &Parts,
        _form: &[(Cow<'_, str>, Cow<'_, str>)],
        decision: ConsentDecision<'a>,
    ) -> impl Future<Output = Result<ConsentDecision<'a>, Response>> + Send {
        async move { Ok(decision) }
    }

    /// Returns the page of an error that is not sent to the client by a redirect. Whatever status
    /// the page sets, the response has the status of the error. Default: [`ErrorPage::plain_page`].
    fn error(&self, _request: &Parts, error: ErrorPage) -> impl Future<Output = Response> + Send {
        async move { error.plain_page() }
    }
}

/// The sign-in that an authorization request needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Login {
    /// The name of the application that asks, cleaned for display. `None` if it is not known yet.
    pub client_name: Option<String>,
    /// The `client_id` of the application that asks, if it is known.
    pub client_id: Option<String>,
    /// The host and port of the redirect URI, or the scheme of a private-use URI, if it is known.
    pub redirect_host: Option<String>,
    /// The address that the browser goes to after the sign-in: the authorization request, at this
    /// server.
    pub return_to: ReturnTo,
    /// The request, for [`SignedIn::signed_in_for`]. [`redirect`](Self::redirect) carries it to the
    /// login page, which keeps it in the session that it opens.
    pub request: Option<RequestDigest>,
    /// Whether the user must sign in again, even if a user is signed in (`prompt=login`, or a login
    /// that is older than [`max_age`](Self::max_age)).
    pub fresh: bool,
    /// Whether the user must choose an account, even if a user is signed in
    /// (`prompt=select_account`).
    pub choose_account: bool,
    /// The classes of logins (`acr`) of which one is necessary. Empty: any login suffices. A host
    /// that cannot offer one answers with
    /// [`Server::give_up_login`](grantcore::Server::give_up_login).
    pub needed_acr_values: Vec<String>,
    /// For how many seconds after a login the client accepts it.
    pub max_age: Option<u64>,
    /// Who the client believes the user is, for the name field of the form. It is the client's own
    /// text.
    pub login_hint: Option<String>,
    /// The languages that the user prefers, the best first.
    pub ui_locales: Vec<String>,
}

impl Login {
    pub(crate) fn new(page: Option<&LoginPage>, return_to: ReturnTo) -> Self {
        Self {
            client_name: page.map(LoginPage::client_name),
            client_id: page.map(|page| page.client_id().to_owned()),
            redirect_host: page.map(|page| page.redirect_host().to_owned()),
            return_to,
            request: page.map(LoginPage::request),
            fresh: page.is_some_and(LoginPage::fresh),
            choose_account: page.is_some_and(LoginPage::choose_account),
            needed_acr_values: page
                .map(|page| page.needed_acr_values().map(str::to_owned).collect())
                .unwrap_or_default(),
            max_age: page.and_then(LoginPage::max_age),
            login_hint: page.and_then(|page| page.login_hint().map(str::to_owned)),
            ui_locales: page
                .map(|page| page.ui_locales().map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }

    /// Returns a redirect to the host's login page at this path. `return_to` and `request` are
    /// added to its query. The page reads them as a [`LoginTarget`].
    pub fn redirect(&self, path: &str) -> Response {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("return_to", self.return_to.as_str());
        if let Some(request) = self.request {
            query.append_pair("request", &request.to_string());
        }
        let separator = if path.contains('?') { '&' } else { '?' };
        see_other(&format!("{path}{separator}{}", query.finish()))
    }
}

/// The parameters that [`Login::redirect`] adds to the address of the login page.
///
/// A form without an `action` posts to the address of its page. So both the handler of the page and
/// the handler of its form can read the target from the query. Without these parameters, for a user
/// who signs in for no client, it is the default: `/` and no request.
///
/// ```
/// use axum::extract::{Form, Query};
/// use axum::http::header::SET_COOKIE;
/// use axum::response::{IntoResponse, Response};
/// use grantcore_axum::LoginTarget;
///
/// async fn sign_in(Query(target): Query<LoginTarget>, Form(form): Form<Credentials>) -> Response {
///     let session = Session { user: form.username, signed_in_for: target.request };
///     ([(SET_COOKIE, session.save().await)], target.return_to.redirect()).into_response()
/// }
/// # #[derive(serde::Deserialize)] struct Credentials { username: String }
/// # struct Session { user: String, signed_in_for: Option<grantcore::value::RequestDigest> }
/// # impl Session { async fn save(self) -> String { self.user } }
/// # let _: axum::Router = axum::Router::new().route("/login", axum::routing::post(sign_in));
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LoginTarget {
    /// The address that the browser goes to after the sign-in.
    pub return_to: ReturnTo,
    /// The request, for [`SignedIn::signed_in_for`]. Keep it in the session that the sign-in opens.
    pub request: Option<RequestDigest>,
}

/// The path and query of a page of this server, to which a browser goes after a sign-in. `/` by
/// default.
///
/// It can be deserialized from a request. Only a path that begins with a single slash is accepted:
/// a URL of another site would make the login page an open redirector (RFC 9700 §4.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Returns the target, or `None` if it is not a path of this server.
    pub fn new(target: impl Into<String>) -> Option<Self> {
        let target = target.into();
        // `//` is followed by a host, and browsers read a backslash as a slash.
        let is_own = target.starts_with('/')
            && !target.starts_with("//")
            && target.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        is_own.then_some(Self(target))
    }

    /// Returns the path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the target of this path and query. They are not checked: pass what this crate has
    /// built.
    pub(crate) fn from_parts(path: &str, query: &str) -> Self {
        Self(format!("{path}?{query}"))
    }

    /// Returns a redirect of the browser to the target.
    pub fn redirect(&self) -> Response {
        see_other(&self.0)
    }
}

impl Default for ReturnTo {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReturnTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let target = String::deserialize(deserializer)?;
        let refuse = || serde::de::Error::custom("return_to is not a path of this server");
        Self::new(target).ok_or_else(refuse)
    }
}

/// The content of a consent page.
///
/// The form of the page posts these fields to [`action`](Self::action):
///
/// - `ticket`: [`ConsentPage::ticket`],
/// - `decision`: `allow` or `deny`,
/// - `scope`: once for each scope token that the user has left ticked, with a field
///   `scopes_shown` of any value. Without `scopes_shown`, all scopes are granted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Consent {
    /// The client and the request, for display.
    pub page: ConsentPage,
    /// The scopes that the client asks for: each token with its description.
    pub scopes: Vec<(String, String)>,
    /// The path that the form posts to.
    pub action: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct PlainConsent<'a> {
    client: String,
    consent: &'a Consent,
    subject: String,
    is_unverified: bool,
    ticket: String,
}

impl Consent {
    pub(crate) fn new(page: ConsentPage, action: String, policy: &Policy) -> Self {
        let scopes = page.scopes(policy).map(|(name, text)| (name.into(), text.into())).collect();
        Self { page, scopes, action }
    }

    /// Returns a complete page in plain HTML.
    pub fn plain_page(&self) -> Response {
        let page = PlainConsent {
            client: self.page.client_name(),
            subject: display_text(self.page.subject()),
            is_unverified: self.page.is_unverified(),
            ticket: self.page.ticket(),
            consent: self,
        };
        render(StatusCode::OK, page.render())
    }
}

/// The content of an error page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ErrorPage {
    /// The cause of the error, and how to fix it.
    pub problem: Problem,
    /// The id of the request in the audit log, for support.
    pub correlation_id: Option<String>,
    /// The URL that explains the error, if the policy has a troubleshooting page.
    pub help_url: Option<String>,
}

#[derive(Template)]
#[template(path = "error.html")]
struct PlainError<'a> {
    error: &'a ErrorPage,
}

impl ErrorPage {
    pub(crate) fn new(refusal: &Refusal, policy: &Policy) -> Self {
        let problem = refusal.problem(policy);
        let help_url = policy.troubleshooting_url().map(|url| format!("{url}#{}", problem.anchor));
        let correlation_id = refusal.correlation().map(|id| id.to_string());
        Self { problem, correlation_id, help_url }
    }

    /// Returns a complete page in plain HTML.
    pub fn plain_page(&self) -> Response {
        let status = StatusCode::from_u16(self.problem.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        render(status, PlainError { error: self }.render())
    }
}

/// A page that redirects the browser by itself. It is sent if the address is too long for a header.
#[derive(Template)]
#[template(path = "onward.html")]
struct RedirectPage<'a> {
    url: &'a str,
}

/// The longest `Location` that is sent as a header, in bytes. With the other headers, which have
/// fewer than 400, it stays below the 4 KiB that reverse proxies read by default (nginx:
/// `proxy_buffer_size`).
pub(crate) const LOCATION_LIMIT: usize = 3_600;

/// Returns the [`RedirectPage`] to this address.
pub(crate) fn redirect_page(url: &str) -> Response {
    with_page_headers(render(StatusCode::OK, RedirectPage { url }.render()))
}

/// Returns a rendered page as a response. A failure to render is logged.
pub(crate) fn render(status: StatusCode, page: askama::Result<String>) -> Response {
    match page {
        Ok(html) => {
            // The plain pages load nothing: their style is inline.
            let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                          frame-ancestors 'none'";
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, policy),
            ];
            (status, headers, html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Redirects to a page of this server.
fn see_other(target: &str) -> Response {
    if target.len() > LOCATION_LIMIT {
        return redirect_page(target);
    }
    (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
}
