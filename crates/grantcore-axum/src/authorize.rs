//! The authorization endpoint and the consent form: calls of the server, with the login and the
//! pages of the host between them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use grantcore::policy::Remember;
use grantcore::reason::Endpoint;
use grantcore::request::{ConsentDecision, Site, UserError};
#[cfg(feature = "fetch")]
use grantcore::response::DocumentRequest;
use grantcore::{AuthorizationStep, Choice, Reason, Refusal, RequestParts};
#[cfg(feature = "fetch")]
use grantcore_fetch::{Asker, as_fetch};

use crate::body::read;
use crate::consent_form::ConsentForm;
use crate::pages::{Consent, ErrorPage, Login, Pages, ReturnTo};
use crate::router::{
    App, internal_error, redirect_to_client, reference_to, respond, source, with_page_headers,
};
use crate::signed_in::SignedIn;

/// Returns whether a body is a form by its media type.
fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// The parameter that [`ReturnTo`] has if another site began the request. A link of that site that
/// has it as well only makes the request trusted less.
const BEGAN_ELSEWHERE: (&str, &str) = ("began", "elsewhere");

/// Handles `GET` and `POST` of the authorization endpoint (OAuth 2.1 §3.1).
pub(crate) async fn authorize<P: Pages>(
    State(app): State<Arc<App<P>>>,
    request: Request,
) -> Response {
    let decide =
        |app: Arc<App<P>>, parts, body: Bytes| async move { app.authorize(&parts, &body).await };
    run(app, request, decide).await
}

/// Handles `POST` of the consent form.
pub(crate) async fn consent<P: Pages>(
    State(app): State<Arc<App<P>>>,
    request: Request,
) -> Response {
    let decide =
        |app: Arc<App<P>>, parts, body: Bytes| async move { app.consent(&parts, &body).await };
    run(app, request, decide).await
}

/// Reads the body of a request, and decides the request, also if its client hangs up.
async fn run<P: Pages, F: Future<Output = Response> + Send>(
    app: Arc<App<P>>,
    request: Request,
    decide: impl FnOnce(Arc<App<P>>, Parts, Bytes) -> F + Send + 'static,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = read(body, app.endpoints.policy()).await;
    let tasks = app.tasks.clone();
    let decided = tasks.run(async move {
        match body {
            Ok(body) => decide(app, parts, body).await,
            Err(error) => app.refuse(&parts, error.reason(Endpoint::Authorization)).await,
        }
    });
    with_page_headers(decided.await.unwrap_or_else(internal_error))
}

impl<P: Pages> App<P> {
    /// Returns the login page, the consent page or the refusal of a request.
    async fn authorize(&self, parts: &Parts, body: &[u8]) -> Response {
        let signed_in = match self.user(parts).await {
            Ok(signed_in) => signed_in,
            Err(response) => return response,
        };
        let user = match signed_in.as_ref().map(SignedIn::as_user).transpose() {
            Ok(user) => user,
            Err(error) => return invalid_user(error),
        };
        let source = source(parts);
        let request = RequestParts {
            source: &source,
            site: began_at(parts),
            ..RequestParts::from_http(parts, body)
        };
        let step = self.endpoints.authorize(&request, user, None).await;
        #[cfg(feature = "fetch")]
        let step = match step {
            Ok(AuthorizationStep::NeedsDocument(document)) => {
                let asker =
                    user.map_or(Asker::Stranger(&source), |user| Asker::User(user.subject()));
                let fetched = self.fetch(&document, asker).await;
                if matches!(&fetched, Err(error) if error.is_busy()) && user.is_none() {
                    // All strangers share a limit of fetches, and each user has one of their own:
                    // the request can continue after a sign-in.
                    let login = Login::new(None, self.return_to(parts, body));
                    return self.pages.login(parts, login).await;
                }
                self.endpoints.authorize(&request, user, Some(as_fetch(&fetched))).await
            }
            step => step,
        };
        match step {
            Ok(AuthorizationStep::NeedsLogin(page)) => {
                let login = Login::new(Some(&page), self.return_to(parts, body));
                self.pages.login(parts, login).await
            }
            Ok(AuthorizationStep::NeedsConsent(page)) => {
                let policy = self.endpoints.policy();
                let consent = Consent::new(page, self.action.clone(), policy);
                self.pages.consent(parts, consent).await
            }
            Ok(AuthorizationStep::Done(redirect)) => redirect_to_client(redirect.reply()),
            // With the feature `fetch` this does not occur: the request was sent with its document.
            // Without it, the router refuses a policy that accepts documents.
            Ok(AuthorizationStep::NeedsDocument(_)) => {
                self.refuse(parts, Reason::DocumentUnreachable).await
            }
            Err(refusal) => self.refusal_response(parts, &refusal).await,
        }
    }

    /// Returns the redirect to the client after the user's choice, or the refusal of the form.
    async fn consent(&self, parts: &Parts, body: &[u8]) -> Response {
        let signed_in = match self.user(parts).await {
            Ok(Some(signed_in)) => signed_in,
            Ok(None) => return self.refuse(parts, Reason::ConsentSessionMismatch).await,
            Err(response) => return response,
        };
        let user = match signed_in.as_user() {
            Ok(user) => user,
            Err(error) => return invalid_user(error),
        };
        let form = if is_form(&parts.headers) {
            ConsentForm::parse(body)
        } else {
            // No browser sends the form of a page so.
            Err(Reason::ContentType)
        };
        let form = match form {
            Ok(form) => form,
            Err(reason) => return self.refuse(parts, reason).await,
        };
        let choice = match form.choice() {
            Ok(choice) => choice,
            Err(reason) => return self.refuse(parts, reason).await,
        };
        let mut decision = match ConsentDecision::new(form.ticket(), user, choice) {
            Ok(decision) => decision,
            Err(refusal) => {
                let refusal = self.endpoints.refuse(refusal, &source(parts)).await;
                return self.refusal_response(parts, &refusal).await;
            }
        };
        if choice != Choice::Deny {
            decision = match self.pages.allow(parts, form.fields(), decision).await {
                Ok(decision) => decision,
                Err(response) => return response,
            };
        }
        match self.endpoints.consent(decision).await {
            Ok(redirect) => redirect_to_client(redirect.reply()),
            Err(refusal) => self.refusal_response(parts, &refusal).await,
        }
    }

    /// Returns the user who is signed in, or an error page if the host failed to find out. The
    /// failure is logged.
    async fn user(&self, parts: &Parts) -> Result<Option<SignedIn>, Response> {
        match self.pages.user(parts).await {
            Ok(user) => Ok(user),
            Err(error) => {
                tracing::error!(%error, "Pages::user failed");
                Err(self.refuse(parts, Reason::StorageUnavailable).await)
            }
        }
    }

    /// Records a refusal for a reason that was found outside of the server's decision, and returns
    /// its response.
    async fn refuse(&self, parts: &Parts, reason: Reason) -> Response {
        let refusal = Refusal::plain(reason, Endpoint::Authorization);
        let refusal = self.endpoints.refuse(refusal, &source(parts)).await;
        self.refusal_response(parts, &refusal).await
    }

    /// Returns the response of a refusal: a redirect if the refusal allows one, otherwise the error
    /// page.
    async fn refusal_response(&self, parts: &Parts, refusal: &Refusal) -> Response {
        let policy = self.endpoints.policy();
        let reply = refusal.reply(policy);
        if reply.status == StatusCode::SEE_OTHER.as_u16() {
            return redirect_to_client(reply);
        }
        let mut page = self.pages.error(parts, ErrorPage::new(refusal, policy)).await;
        let reply = respond(reply);
        *page.status_mut() = reply.status();
        // The page replaces the server's body. Its other headers, such as `Retry-After`, are kept.
        for (name, value) in reply.headers() {
            page.headers_mut().entry(name).or_insert(value.clone());
        }
        page
    }

    /// Returns the path that repeats this authorization request after the sign-in. The parameters
    /// of a `POST` move to the query, because a redirect becomes a `GET`.
    fn return_to(&self, parts: &Parts, body: &[u8]) -> ReturnTo {
        let sent = match parts.method {
            Method::POST => body,
            _ => parts.uri.query().unwrap_or_default().as_bytes(),
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(form_urlencoded::parse(sent));
        // After the sign-in, the browser states that it comes from the login page. Where the policy
        // counts on its word, the request remembers who began.
        let counts = self.endpoints.policy().consent_rules().remember() == Remember::HttpsRedirect;
        let is_own = matches!(began_at(parts), Site::SameOrigin | Site::None);
        if counts && !is_own && !began_elsewhere(parts) {
            query.append_pair(BEGAN_ELSEWHERE.0, BEGAN_ELSEWHERE.1);
        }
        let query = query.finish();
        let path = reference_to(self.endpoints.policy().authorization_endpoint());
        ReturnTo::from_parts(&path, &query)
    }

    /// Fetches a client's metadata document. The reason of a failure is logged and not returned: by
    /// it, strangers could map this server's network (SSRF).
    #[cfg(feature = "fetch")]
    async fn fetch(
        &self,
        document: &DocumentRequest,
        asker: Asker<'_>,
    ) -> Result<grantcore_fetch::Document, grantcore_fetch::FetchError> {
        let Some(fetcher) = &self.fetcher else {
            // Does not occur: the router has a fetcher if the policy accepts documents.
            return Err(grantcore_fetch::FetchError::NotHttps);
        };
        let outcome = fetcher.fetch(document, asker).await;
        if let Err(error) = &outcome {
            tracing::warn!(url = document.url, %error, "a client's document could not be fetched");
        }
        outcome
    }
}

/// Returns the site whose page began the request.
fn began_at(parts: &Parts) -> Site {
    if began_elsewhere(parts) { Site::CrossSite } else { Site::from(&parts.headers) }
}

/// Returns whether the query states that another site began the request.
fn began_elsewhere(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| (&*name, &*value) == BEGAN_ELSEWHERE)
}

/// Returns the response if the user of [`Pages::user`] is invalid. The fault is logged.
fn invalid_user(error: UserError) -> Response {
    tracing::error!(%error, "Pages::user returned an invalid user");
    internal_error()
}
