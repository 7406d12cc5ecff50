//! One HTTP request as plain borrowed values: the parts that the endpoints read.

use std::fmt;

use super::parameters::Malformed;
use super::site::Site;
use crate::policy::Limits;
use crate::reason::Reason;
use crate::refusal::Fault;

/// The parts of an HTTP request to one of the endpoints. The host fills them in from its HTTP
/// library. With the feature `http`, `RequestParts::from_http` does so.
///
/// ```
/// use grantcore::{Authorization, ContentType, RequestParts};
///
/// let request = RequestParts {
///     method: "POST",
///     content_type: ContentType::FORM,
///     authorization: [b"Basic YXBwOnNlY3JldA==".as_slice()].into_iter().collect(),
///     source: "192.0.2.1",
///     body: b"grant_type=refresh_token&refresh_token=grt_example",
///     ..RequestParts::default()
/// };
/// assert!(matches!(request.authorization, Authorization::One(_)));
/// ```
#[derive(Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it with `..RequestParts::default()`")]
pub struct RequestParts<'a> {
    /// The method as sent, for example `POST`.
    pub method: &'a str,
    /// The query without its `?`, empty if there is none.
    pub query: &'a [u8],
    /// The `Content-Type` headers.
    pub content_type: ContentType<'a>,
    /// The `Authorization` headers.
    pub authorization: Authorization<'a>,
    /// The source of the request for rate limits, for example the network address of the caller.
    ///
    /// If it is empty, token requests are limited by client alone, so that a stranger can use up
    /// the limit of a client, and all registrations share one limit.
    pub source: &'a str,
    /// The site whose page sent the browser here. Only the authorization endpoint reads it, where
    /// the policy [remembers consents](crate::policy::Remember::HttpsRedirect) of public clients.
    ///
    /// A host that repeats a request after a sign-in passes the site of the first request: by then
    /// the browser comes from the host's own login page.
    pub site: Site,
    /// The body. A host should read at most one byte more than [`Limits::request_bytes`].
    pub body: &'a [u8],
}

/// Shows the method and the lengths. Query, header and body can contain secrets.
impl fmt::Debug for RequestParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestParts")
            .field("method", &self.method)
            .field("query_bytes", &self.query.len())
            .field("content_type", &self.content_type)
            .field("authorization", &self.authorization)
            .field("source", &self.source)
            .field("site", &self.site)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// The `Content-Type` header of a request.
///
/// ```
/// use grantcore::ContentType;
///
/// // All values of the header: a library that returns the first one hides the others.
/// let values: Vec<&[u8]> = vec![b"application/json", b"text/plain"];
/// let content_type: ContentType<'_> = values.into_iter().collect();
/// assert_eq!(content_type, ContentType::Several);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a header is absent, single or repeated")]
pub enum ContentType<'a> {
    /// The request has no such header.
    #[default]
    None,
    /// The request has one header, or several with this same value.
    One(&'a [u8]),
    /// The request has several that differ, which no endpoint accepts.
    Several,
}

/// The media type of a form.
const FORM: &[u8] = b"application/x-www-form-urlencoded";

impl ContentType<'static> {
    /// The media type of a form: of requests for tokens, revocation and introspection.
    pub const FORM: Self = Self::One(FORM);
    /// The media type of JSON: of registrations.
    pub const JSON: Self = Self::One(b"application/json");
}

impl<'a> ContentType<'a> {
    /// Returns the value, or an empty one that names no media type.
    fn value(self) -> &'a [u8] {
        if let Self::One(value) = self { value } else { b"" }
    }
}

impl fmt::Debug for ContentType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::One(value) => write!(f, "One(\"{}\")", value.escape_ascii()),
            Self::Several => f.write_str("Several"),
        }
    }
}

impl<'a> FromIterator<&'a [u8]> for ContentType<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match values.next() {
            None => Self::None,
            Some(first) if values.all(|other| other == first) => Self::One(first),
            Some(_) => Self::Several,
        }
    }
}

/// The `Authorization` header of a request.
///
/// ```
/// use grantcore::Authorization;
///
/// // The values of a header map, of which there may be several.
/// let values: Vec<&[u8]> = vec![b"Bearer grt_example"];
/// let authorization: Authorization<'_> = values.into_iter().collect();
/// assert!(matches!(authorization, Authorization::One(_)));
/// ```
#[derive(Clone, Copy, Default)]
#[expect(clippy::exhaustive_enums, reason = "a header is absent, single or repeated")]
pub enum Authorization<'a> {
    /// The request has no such header.
    #[default]
    None,
    /// The request has one header, with this value.
    One(&'a [u8]),
    /// The request has several, which no endpoint accepts.
    Several,
}

/// Redacted: the value contains a secret.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::One(_) => "One(redacted)",
            Self::Several => "Several",
        })
    }
}

impl<'a> FromIterator<&'a [u8]> for Authorization<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(one), None) => Self::One(one),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

impl<'a> Authorization<'a> {
    /// Returns the credentials if there is one header with this scheme, in any letter case (RFC
    /// 9110 §11.1).
    pub(crate) fn credentials(&self, scheme: &str) -> Option<&'a [u8]> {
        let Self::One(value) = self else { return None };
        let (found, rest) = value.split_at_checked(scheme.len())?;
        // Spaces alone separate the two (RFC 9110 §11.4). Other whitespace stays part of the
        // credentials, and makes them malformed. HTTP removes whitespace at the end of a header.
        let is_separated = rest.first().is_none_or(u8::is_ascii_whitespace);
        let spaces = rest.iter().take_while(|b| **b == b' ').count();
        let credentials = rest.get(spaces..).unwrap_or_default().trim_ascii_end();
        (found.eq_ignore_ascii_case(scheme.as_bytes()) && is_separated).then_some(credentials)
    }
}

impl<'a> RequestParts<'a> {
    /// Returns the body if its media type is that of a form, in any letter case and with any
    /// parameters (OAuth 2.1 §3.2.2).
    ///
    /// A list of media types is accepted if it contains that of a form, because the HTTP libraries
    /// of some clients add their own media type to the one that the client set.
    pub(crate) fn form(&self, limits: &Limits) -> Result<&'a [u8], Fault> {
        let listed = self.content_type.value();
        // Nearly every client sends it so, and taking a list apart costs 500 instructions.
        let is_plain = listed == FORM;
        if !is_plain && !elements(listed).any(|one| is_of_type(one, FORM)) {
            return Err(Reason::ContentType.into());
        }
        if self.body.len() > limits.request_bytes {
            return Err(Malformed::bytes(self.body.len(), limits.request_bytes).into());
        }
        Ok(self.body)
    }

    /// Returns the body if its media type is JSON (RFC 7591 §3.1).
    pub(crate) fn json(&self, limits: &Limits) -> Result<&'a [u8], Fault> {
        if !is_of_type(self.content_type.value(), b"application/json") {
            return Err(Reason::MetadataNotJson.into());
        }
        if self.body.len() > limits.registration_bytes {
            return Err(Malformed::bytes(self.body.len(), limits.registration_bytes).into());
        }
        Ok(self.body)
    }
}

/// Returns whether this is the wanted media type, with any parameters.
fn is_of_type(media_type: &[u8], wanted: &[u8]) -> bool {
    let essence = media_type.split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted)
}

/// Returns the elements of a list in a header (RFC 9110 §5.6.1). A comma within a quoted string
/// separates nothing.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    list.split(move |b| {
        let escapes = is_quoted && !is_escaped && *b == b'\\';
        if *b == b'"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = escapes;
        *b == b',' && !is_quoted
    })
}

#[cfg(feature = "http")]
impl<'a> RequestParts<'a> {
    /// Makes the parts of a request of the `http` crate. They have no source: set it with
    /// `RequestParts { source, ..RequestParts::from_http(..) }`.
    ///
    /// ```
    /// use grantcore::RequestParts;
    ///
    /// let request = http::Request::post("/oauth/token")
    ///     .header("content-type", "application/x-www-form-urlencoded")
    ///     .body(b"grant_type=refresh_token".to_vec())?;
    /// let (parts, body) = request.into_parts();
    /// let source = "192.0.2.1"; // The address of the caller.
    /// let request = RequestParts { source, ..RequestParts::from_http(&parts, &body) };
    /// assert_eq!(request.method, "POST");
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn from_http(parts: &'a http::request::Parts, body: &'a [u8]) -> Self {
        Self {
            method: parts.method.as_str(),
            query: parts.uri.query().unwrap_or_default().as_bytes(),
            content_type: (&parts.headers).into(),
            authorization: (&parts.headers).into(),
            source: "",
            site: (&parts.headers).into(),
            body,
        }
    }
}

#[cfg(feature = "http")]
impl<'a> From<&'a http::HeaderMap> for Authorization<'a> {
    /// Takes the `Authorization` header of a request.
    fn from(headers: &'a http::HeaderMap) -> Self {
        let values = headers.get_all(http::header::AUTHORIZATION);
        values.iter().map(http::HeaderValue::as_bytes).collect()
    }
}

#[cfg(feature = "http")]
impl<'a> From<&'a http::HeaderMap> for ContentType<'a> {
    /// Takes the `Content-Type` headers of a request.
    fn from(headers: &'a http::HeaderMap) -> Self {
        let values = headers.get_all(http::header::CONTENT_TYPE);
        values.iter().map(http::HeaderValue::as_bytes).collect()
    }
}
