//! A request as bytes, with an independent parser of its form, query and `Authorization` header by
//! their specifications.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantcore::request::Site;
use grantcore::{Authorization, RequestParts};

/// The target of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Authorize,
    Consent,
    Token,
    Revoke,
    Introspect,
    Register,
    Manage,
    Check,
    /// No request. Time passes.
    Wait(u64),
}

#[derive(Clone)]
pub struct Request {
    pub to: To,
    pub method: &'static str,
    pub query: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub authorization: Vec<Vec<u8>>,
    pub body: Vec<u8>,
    /// The index of the signed-in user of a browser's request.
    pub user: Option<usize>,
    /// The `client_id` in the path of a registration's endpoint, or the ticket of a consent form.
    pub name: String,
    /// The scope that the user allows. `None` is a denial, and an empty text allows all.
    pub choice: Option<String>,
}

impl Request {
    pub fn to(to: To) -> Self {
        Self {
            to,
            method: "POST",
            query: Vec::new(),
            content_type: Some("application/x-www-form-urlencoded"),
            authorization: Vec::new(),
            body: Vec::new(),
            user: None,
            name: String::new(),
            choice: None,
        }
    }

    pub fn incoming(&self) -> RequestParts<'_> {
        RequestParts {
            method: self.method,
            query: &self.query,
            content_type: self.content_type.map(str::as_bytes).into_iter().collect(),
            authorization: self.authorization.iter().map(Vec::as_slice).collect(),
            source: "192.0.2.7",
            site: Site::Unknown,
            body: &self.body,
        }
    }

    pub fn header(&self) -> Authorization<'_> {
        self.authorization.iter().map(Vec::as_slice).collect()
    }

    /// Returns the decoded parameters that the endpoint reads.
    pub fn params(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let from_query = self.to == To::Authorize && self.method == "GET";
        pairs(if from_query { &self.query } else { &self.body })
    }

    /// Returns the value of a parameter that the request has exactly once. A parameter without a
    /// value counts as absent (OAuth 2.1 §3.1).
    pub fn param(&self, name: &str) -> Option<Vec<u8>> {
        let params = self.params();
        let mut values =
            params.iter().filter(|(own, value)| own == name.as_bytes() && !value.is_empty());
        let value = values.next()?;
        values.next().is_none().then(|| value.1.clone())
    }

    /// Returns the client that the request names, with its secret and method. Returns `None` if the
    /// request does not authenticate in exactly one way (OAuth 2.1 §2.4.1).
    pub fn claim(&self) -> Option<Claim> {
        match &*self.authorization {
            [] => {
                let id = self.param("client_id")?;
                let secret = self.param("client_secret");
                let method = if secret.is_some() { Method::Post } else { Method::None };
                Some(Claim { id, method, secret: secret.unwrap_or_default() })
            }
            [header] => {
                let space = header.iter().position(u8::is_ascii_whitespace)?;
                let (scheme, encoded) = header.split_at(space);
                if !scheme.eq_ignore_ascii_case(b"Basic") || self.param("client_secret").is_some() {
                    return None;
                }
                let pair = STANDARD.decode(encoded.trim_ascii()).ok()?;
                let colon = pair.iter().position(|byte| *byte == b':')?;
                let id = decoded(&pair[..colon]);
                let secret = decoded(&pair[colon + 1..]);
                let also = self.param("client_id");
                let agrees = also.is_none_or(|also| also == id);
                agrees.then_some(Claim { id, method: Method::Basic, secret })
            }
            _ => None,
        }
    }
}

/// The client that a request claims to come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Claim {
    pub id: Vec<u8>,
    pub method: Method,
    pub secret: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    None,
    Basic,
    Post,
}

/// Returns the pairs of `application/x-www-form-urlencoded`, decoded to bytes, without empty pairs.
pub fn pairs(input: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let of = |pair: &[u8]| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(end);
        (decoded(name), decoded(value.get(1..).unwrap_or_default()))
    };
    input.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(of).collect()
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        f.debug_struct("Request")
            .field("to", &self.to)
            .field("method", &self.method)
            .field("query", &text(&self.query))
            .field("content_type", &self.content_type)
            .field("authorization", &self.authorization.iter().map(|h| text(h)).collect::<Vec<_>>())
            .field("body", &text(&self.body))
            .field("user", &self.user)
            .field("name", &self.name)
            .field("choice", &self.choice)
            .finish()
    }
}
