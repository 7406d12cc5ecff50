//! A whole HTTP response as plain values, and the responses that carry refusals.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::event::SentError;
use crate::policy::Policy;
use crate::reason::{Endpoint, ErrorCode, Reason};
use crate::refusal::{Delivery, Refusal};

/// A whole HTTP response. The host sends status, headers and body as they are.
///
/// ```
/// use grantcore::Reply;
///
/// /// Writes the response for an HTTP library that has no types of the `http` crate.
/// fn to_text(reply: &Reply) -> String {
///     let mut text = format!("HTTP/1.1 {}\r\n", reply.status);
///     for (name, value) in &reply.headers {
///         text += &format!("{name}: {value}\r\n");
///     }
///     text + &format!("content-length: {}\r\n\r\n{}", reply.body.len(), reply.body)
/// }
/// # let reply = Reply { status: 200, headers: vec![("pragma", "no-cache".into())], body: "{}".into() };
/// # assert!(to_text(&reply).ends_with("\r\npragma: no-cache\r\ncontent-length: 2\r\n\r\n{}"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a reply is for the client"]
#[expect(clippy::exhaustive_structs, reason = "a response is status, headers and body")]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header names, in lower case, with their values.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body. It may contain tokens and secrets, so it does not belong in a log.
    pub body: String,
}

/// The headers of every page of the authorization endpoint. They forbid framing, caching and
/// referrers (OAuth 2.1 §7.11; RFC 9700 §4.2.4). A host may use a stricter content security policy.
pub const PAGE_HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "frame-ancestors 'none'"),
];

#[derive(Serialize)]
struct ErrorBody {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<String>,
}

impl Reply {
    /// Makes a JSON response that no cache keeps (OAuth 2.1 §3.2.3).
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::of_json(status, to_json(body))
    }

    /// Makes a response of this JSON that no cache keeps.
    pub(super) fn of_json(status: u16, body: String) -> Self {
        let mut headers = Vec::with_capacity(5);
        headers.push(("content-type", "application/json".into()));
        headers.push(("cache-control", "no-store".into()));
        headers.push(("pragma", "no-cache".into()));
        Self { status, headers, body }
    }

    /// Makes a page of the host's own: the login, the consent page or an error. It has the
    /// [`PAGE_HEADERS`], so that no other site can frame it and no cache keeps it.
    ///
    /// ```
    /// use grantcore::Reply;
    ///
    /// let page = Reply::page(200, "text/html; charset=utf-8", "<!doctype html><title>Sign in</title>");
    /// assert_eq!(page.header("x-frame-options"), Some("DENY"));
    /// ```
    pub fn page(
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<String>,
    ) -> Self {
        let fixed = PAGE_HEADERS.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        let mut headers = Vec::with_capacity(PAGE_HEADERS.len() + 3);
        headers.extend(fixed);
        headers.push(("content-type", content_type.into()));
        Self { status, headers, body: body.into() }
    }

    /// Returns the first value of this header. The case of the name does not matter.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }
}

/// Serializes a body of this crate.
#[expect(clippy::expect_used, reason = "bodies are structs of texts, numbers and lists of them")]
fn to_json(body: &impl Serialize) -> String {
    let mut text = Vec::with_capacity(512);
    serde_json::to_writer(&mut text, body).expect("a body has text keys, and memory takes it");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Shows the status and the names of the headers. The body and the values may contain tokens.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

impl Refusal {
    /// Returns the whole response: at the authorization endpoint the redirect to the client or a
    /// plain text page, elsewhere JSON.
    pub fn reply(&self, policy: &Policy) -> Reply {
        let mut reply = match self.endpoint() {
            Endpoint::Authorization => self.page(policy),
            _ => match self.error_body(policy) {
                None => Reply {
                    status: self.status(),
                    headers: vec![("cache-control", "no-store".into())],
                    body: String::new(),
                },
                Some(body) => Reply::json(self.status(), &body),
            },
        };
        if let Some(challenge) = self.authenticate_header(policy) {
            reply.headers.push(("www-authenticate", challenge));
        }
        if let Some(seconds) = self.retry_after() {
            reply.headers.push(("retry-after", seconds.to_string().into()));
        }
        if let Some(correlation) = self.correlation() {
            reply.headers.push(("x-correlation-id", correlation.to_string().into()));
        }
        if self.reason() == Reason::MethodNotAllowed {
            reply.headers.push(("allow", Reason::allowed_methods(self.endpoint()).into()));
        }
        reply
    }

    /// Returns what the response contains, for the event: the texts of [`reply`](Self::reply),
    /// which are also those of a host's own error page and of the redirect.
    pub fn sent(&self, policy: &Policy) -> SentError {
        let is_page = self.endpoint() == Endpoint::Authorization && !self.is_redirect();
        let (error, description) = self.error(policy).unzip();
        let description = description.filter(|_| is_page || !policy.is_terse());
        let status = if self.is_redirect() { 303 } else { self.status() };
        let challenge = self.authenticate_header(policy).map(|header| header.into_owned().into());
        SentError { status, error, description, challenge }
    }

    /// Returns the address of the reason's entry on the policy's troubleshooting page, if there is
    /// one. Reasons with the same description share an address, so that the address discloses no
    /// more than the description.
    pub(crate) fn error_uri(&self, policy: &Policy) -> Option<String> {
        let page = policy.troubleshooting_url().filter(|_| !policy.is_terse())?;
        let description = self.reason().disclosed().description();
        let first = Reason::ALL.iter().find(|reason| reason.description() == description)?;
        Some(format!("{page}#{}", first.name()))
    }

    /// Returns `error` and `error_description`, or `None` for a request without credentials (OAuth
    /// 2.1 §5.3.2).
    fn error(&self, policy: &Policy) -> Option<(&'static str, Cow<'static, str>)> {
        match self.code() {
            None => {
                let has_error = self.endpoint() == Endpoint::Resource
                    && policy.check_rules().body_error_without_token;
                let description = "The request has no access token.";
                has_error.then(|| (ErrorCode::InvalidToken.as_str(), description.into()))
            }
            Some(ErrorCode::TooManyRequests) => {
                Some((policy.rate_rules().error_code, self.description()))
            }
            Some(code) => Some((code.as_str(), self.description())),
        }
    }

    fn authenticate_header(&self, policy: &Policy) -> Option<Cow<'static, str>> {
        let issuer = policy.issuer();
        match (self.delivery(), self.endpoint(), self.code()) {
            (Delivery::Challenge(challenge), ..) if self.status() < 500 => {
                Some(challenge.header(self, policy).into())
            }
            (
                _,
                Endpoint::Token | Endpoint::Revocation | Endpoint::Introspection,
                Some(ErrorCode::InvalidClient),
            ) => Some(format!("Basic realm=\"{issuer}\"").into()),
            // The tokens of registration are bearer tokens too, but for no resource (RFC 6750 §3).
            (_, Endpoint::Registration | Endpoint::Management, None) => {
                Some(format!("Bearer realm=\"{issuer}\"").into())
            }
            (_, Endpoint::Registration | Endpoint::Management, Some(ErrorCode::InvalidToken)) => {
                Some(format!("Bearer realm=\"{issuer}\", error=\"invalid_token\"").into())
            }
            _ => None,
        }
    }

    fn error_body(&self, policy: &Policy) -> Option<ErrorBody> {
        let (error, description) = self.error(policy)?;
        let error_description = (!policy.is_terse()).then_some(description);
        let error_uri = self.error_uri(policy);
        Some(ErrorBody { error, error_description, error_uri })
    }

    fn page(&self, policy: &Policy) -> Reply {
        if let Some(location) = self.location(policy) {
            let mut headers: Vec<_> =
                PAGE_HEADERS.iter().map(|(name, value)| (*name, Cow::Borrowed(*value))).collect();
            headers.push(("location", location.into()));
            return Reply { status: 303, headers, body: String::new() };
        }
        let problem = self.problem(policy);
        let code = problem.code.map_or("", ErrorCode::as_str);
        let mut body = format!(
            "Authorization failed: {code}\n{}\n{}\n{}\n",
            problem.description, problem.cause, problem.fix
        );
        if let Some(url) = problem.continue_url {
            body.extend(["Continue: ", &url, "\n"]);
        }
        Reply::page(problem.status, "text/plain; charset=utf-8", body)
    }
}

#[cfg(feature = "http")]
impl From<Reply> for http::Response<String> {
    /// Converts every header: names are constants, and values were checked when they were made.
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = http::StatusCode::from_u16(reply.status)
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in reply.headers {
            if let Ok(value) = http::HeaderValue::try_from(&*value) {
                response.headers_mut().append(http::HeaderName::from_static(name), value);
            }
        }
        response
    }
}
