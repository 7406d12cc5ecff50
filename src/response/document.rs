//! What the host is asked to fetch. The core opens no socket: it says what is needed, and within
//! which bounds.

use crate::policy::DocumentRules;
use crate::value::document_url::MOST_BYTES;

/// What the host is asked to fetch before an authorization request can be decided (CIMD, Client
/// Information Discovery).
///
/// With GET, an `Accept` of `application/json`, and no credentials. The URL was named by a
/// stranger: resolve its host once, call no address but the one that was resolved and looked at,
/// wait for some seconds only, and do not fetch many at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRequest {
    /// Where the document is: the `client_id`, byte for byte.
    pub url: String,
    /// How much of the body to read at most: one byte more tells that it is too long.
    pub max_bytes: usize,
    /// Whether redirects are to be left alone: a 301 is an answer that is handed back.
    pub no_redirects: bool,
    /// Whether special-purpose addresses (RFC 6890: private, link-local, loopback and the like)
    /// must not be called. Unless the policy [allows loopback](DocumentRules::allow_loopback),
    /// when loopback ones may.
    pub forbid_special_ips: bool,
    /// Whether addresses of this very machine may be called, for trials.
    pub allow_loopback: bool,
}

impl DocumentRequest {
    pub(crate) fn of(url: &str, rules: &DocumentRules) -> Self {
        let allow_loopback = rules.allow_loopback;
        Self {
            url: url.to_owned(),
            max_bytes: MOST_BYTES,
            no_redirects: true,
            forbid_special_ips: true,
            allow_loopback,
        }
    }
}
