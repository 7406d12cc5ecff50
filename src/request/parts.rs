//! One HTTP request as plain borrowed values: all that the endpoints read of it.

use super::parameters::Malformed;
use crate::policy::Limits;
use crate::reason::Reason;
use crate::refusal::Fault;

/// An HTTP request to one of the endpoints. The host fills it in from whatever HTTP library it has;
/// with the feature `http`, `RequestParts::from_http` does.
#[derive(Clone, Copy, Default)]
pub struct RequestParts<'a> {
    /// The method as sent, for example `POST`.
    pub method: &'a str,
    /// The query without its `?`; empty if there is none.
    pub query: &'a [u8],
    /// The value of `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// The value of `Authorization`.
    pub authorization: Authorization<'a>,
    /// Where it comes from, as far as limits go by that: the caller's network address, say. Empty
    /// if the host does not say: token requests are then limited by client alone, so that anybody
    /// can use up a client's limit, and registrations by one limit for all.
    pub source: &'a str,
    /// The body. A host should not read more than [`Limits::request_bytes`] and one.
    pub body: &'a [u8],
}

/// The `Authorization` header of a request.
#[derive(Clone, Copy, Default)]
pub enum Authorization<'a> {
    /// There is none.
    #[default]
    None,
    /// There is one, with this value.
    One(&'a [u8]),
    /// There are several, which no endpoint accepts.
    Several,
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
    /// The credentials if the header is there once and has this scheme, in any letter case (RFC
    /// 9110 §11.1).
    pub(crate) fn credentials(&self, scheme: &str) -> Option<&'a [u8]> {
        let Self::One(value) = self else { return None };
        let (found, rest) = value.split_at_checked(scheme.len())?;
        let credentials = rest.trim_ascii();
        let separated = rest.first().is_none_or(u8::is_ascii_whitespace);
        (found.eq_ignore_ascii_case(scheme.as_bytes()) && separated).then_some(credentials)
    }
}

impl<'a> RequestParts<'a> {
    /// The form body, if the media type is that of a form; its parameters and letter case do not
    /// matter (OAuth 2.1 §3.2.2). A list of media types is one of a form if the form's is among
    /// them: some clients have their library add its own to theirs.
    pub(crate) fn form(&self, limits: &Limits) -> Result<&'a [u8], Fault> {
        let listed = self.content_type.unwrap_or_default();
        if !elements(listed).any(|one| is_of_type(one, b"application/x-www-form-urlencoded")) {
            return Err(Reason::ContentType.into());
        }
        if self.body.len() > limits.request_bytes {
            return Err(Malformed::bytes(self.body.len(), limits.request_bytes).into());
        }
        Ok(self.body)
    }

    /// The body, if it says that it is JSON (RFC 7591 §3.1).
    pub(crate) fn json(&self, limits: &Limits) -> Result<&'a [u8], Fault> {
        if !is_of_type(self.content_type.unwrap_or_default(), b"application/json") {
            return Err(Reason::MetadataNotJson.into());
        }
        if self.body.len() > limits.registration_bytes {
            return Err(Malformed::bytes(self.body.len(), limits.registration_bytes).into());
        }
        Ok(self.body)
    }
}

/// Returns whether this is the wanted media type, whatever its parameters.
fn is_of_type(media_type: &[u8], wanted: &[u8]) -> bool {
    let essence = media_type.split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted)
}

/// Returns the elements of a list in a header (RFC 9110 §5.6.1). A comma within a quoted string
/// separates nothing.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
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
    /// The request of these parts and this body. They do not say where it comes from: `RequestParts {
    /// source, ..RequestParts::from_http(..) }`.
    pub fn from_http(parts: &'a http::request::Parts, body: &'a [u8]) -> Self {
        Self {
            method: parts.method.as_str(),
            query: parts.uri.query().unwrap_or_default().as_bytes(),
            content_type: only(
                parts
                    .headers
                    .get_all(http::header::CONTENT_TYPE)
                    .iter()
                    .map(http::HeaderValue::as_bytes),
            ),
            authorization: parts
                .headers
                .get_all(http::header::AUTHORIZATION)
                .iter()
                .map(http::HeaderValue::as_bytes)
                .collect(),
            source: "",
            body,
        }
    }
}

/// Returns the value of a header that may be repeated with the same value. If the values differ,
/// none of them counts.
#[cfg(feature = "http")]
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}
