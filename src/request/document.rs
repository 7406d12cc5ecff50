//! A client's metadata document (draft-ietf-oauth-client-id-metadata-document): which URL can name a client, what to fetch, and
//! whether what came back is a document about that client. Nothing is fetched here.

use std::time::Duration;

use url::{Host, Url};

use super::metadata::{ClientMetadata, Members, Source};
use crate::policy::{AuthMethod, DocumentRules, Policy};
use crate::reason::Reason;

/// The most bytes of a document that are read (CIMD, SSRF).
const MOST: usize = 5 * 1024;

/// What the host is asked to fetch before an authorization request can be decided (CIMD, Client Information Discovery).
///
/// With GET, an `Accept` of `application/json`, and no credentials. The URL was named by a stranger: resolve its host once, call no
/// address but the one that was resolved and looked at, wait for some seconds only, and do not fetch many at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRequest {
    /// Where the document is: the `client_id`, byte for byte.
    pub url: String,
    /// How much of the body to read at most: one byte more tells that it is too long.
    pub max_bytes: usize,
    /// Whether redirects are to be left alone: a 301 is an answer that is handed back.
    pub no_redirects: bool,
    /// Whether special-purpose addresses (RFC 6890: private, link-local, loopback and the like) must not be called. Unless the policy
    /// [allows loopback](DocumentRules::allow_loopback), when loopback ones may.
    pub forbid_special_ips: bool,
    /// Whether addresses of this very machine may be called, for trials.
    pub allow_loopback: bool,
}

/// What came back from a client's URL.
#[derive(Clone, Copy, Debug)]
pub struct FetchedDocument<'a> {
    /// The status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// For how long the HTTP headers say that the response is fresh (RFC 9111 §4.2); nothing if they do not say. Kept within the
    /// policy's bounds.
    pub fresh_for: Option<Duration>,
    /// The body, or as much as was read.
    pub body: &'a [u8],
}

impl DocumentRequest {
    pub(crate) fn of(url: &str, rules: &DocumentRules) -> Self {
        let allow_loopback = rules.allow_loopback;
        Self { url: url.to_owned(), max_bytes: MOST, no_redirects: true, forbid_special_ips: true, allow_loopback }
    }
}

/// Whether a `client_id` claims to be a URL, and so is no name that this server gave.
pub(crate) fn claims_document(client_id: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| client_id.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)))
}

/// Whether a `client_id` is the URL of a document: `https`, a host, a path, none of what could make two spellings of one (CIMD,
/// Client Identifier). What is fetched is then exactly what is compared.
pub(crate) fn is_document_url(client_id: &str, rules: &DocumentRules) -> bool {
    let Ok(url) = Url::parse(client_id) else { return false };
    let scheme_ok = url.scheme() == "https" || url.scheme() == "http" && rules.allow_loopback && is_loopback(&url);
    let has_path = url.path() != "/";
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    // The parser removes dot segments, default ports, upper case in hosts and the like: a URL it would change is another's spelling.
    scheme_ok && has_path && is_bare && url.as_str() == client_id
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl FetchedDocument<'_> {
    /// The metadata in it, if it is a document about the client of this URL; or the rule it breaks, and in which part.
    pub(crate) fn read(&self, url: &str, policy: &Policy) -> Result<ClientMetadata, (Reason, &'static str)> {
        let invalid = |what| (Reason::DocumentInvalid, what);
        if self.status != 200 {
            return Err(invalid("The response has another status than 200. Redirects are not followed."));
        }
        if !is_json(self.content_type.unwrap_or_default()) {
            return Err(invalid("The response's Content-Type is not application/json."));
        }
        if self.body.len() > MOST {
            return Err(invalid("The document is over 5,120 bytes."));
        }
        let members =
            Members::read(self.body).map_err(|_| invalid("The document is not one JSON object with each member once."))?;
        if members.client_id.as_ref().and_then(serde_json::Value::as_str) != Some(url) {
            return Err(invalid("The document's client_id is not the URL it was fetched from, byte for byte."));
        }
        if members.client_secret.is_some() || members.client_secret_expires_at.is_some() {
            return Err((Reason::DocumentMetadata, "client_secret: what is published is no secret."));
        }
        let metadata = members.judge(Source::Document).and_then(|metadata| metadata.check_redirects(policy).map(|()| metadata));
        let metadata = metadata.map_err(|reason| (Reason::DocumentMetadata, reason.description()))?;
        if metadata.about.name.is_none() {
            return Err((Reason::DocumentMetadata, "client_name is missing."));
        }
        match metadata.auth_method {
            None | Some(AuthMethod::None) => Ok(metadata),
            Some(AuthMethod::Secret(_)) => Err((Reason::DocumentMetadata, "token_endpoint_auth_method must be none, or left out.")),
        }
    }

    /// For how long it is used, within the policy's bounds.
    pub(crate) fn freshness(&self, rules: &DocumentRules) -> Duration {
        self.fresh_for.unwrap_or(rules.fresh_at_least).clamp(rules.fresh_at_least, rules.fresh_at_most)
    }
}

/// `application/json`, or a type that says it is JSON by its suffix (RFC 6839 §3.1).
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    media_type == b"application/json" || media_type.starts_with(b"application/") && media_type.ends_with(b"+json")
}
