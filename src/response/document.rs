//! The request that the host sends for a client's metadata document. The crate opens no socket; it
//! names the URL and the limits.

use crate::policy::DocumentRules;
use crate::value::document_url::MAX_BYTES;

/// A metadata document to fetch before an authorization request can be decided (CIMD, Client
/// Information Discovery).
///
/// Send a GET with `Accept: application/json` and without credentials. A stranger chose the URL
/// (server-side request forgery): resolve its host once, check the address and call no other one,
/// wait a few seconds only, and limit the number of concurrent fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRequest {
    /// The URL of the document: the `client_id`, byte for byte.
    pub url: String,
    /// The longest body that is accepted, in bytes. Read one byte more, so that a longer body is
    /// detected.
    pub max_bytes: usize,
    /// Whether redirects must not be followed. Return a 301 as the response.
    pub no_redirects: bool,
    /// Whether special-purpose addresses must not be called (RFC 6890: private, link-local,
    /// loopback and others). Loopback addresses are exempt if
    /// [`allow_loopback`](Self::allow_loopback) is set.
    pub forbid_special_ips: bool,
    /// Whether loopback addresses may be called, for tests
    /// ([`DocumentRules::allow_loopback`]).
    pub allow_loopback: bool,
}

impl DocumentRequest {
    pub(crate) fn of(url: &str, rules: &DocumentRules) -> Self {
        let allow_loopback = rules.allow_loopback;
        Self {
            url: url.to_owned(),
            max_bytes: MAX_BYTES,
            no_redirects: true,
            forbid_special_ips: true,
            allow_loopback,
        }
    }
}
