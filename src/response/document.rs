//! The request that the host sends for a client's metadata document. The crate opens no socket; it
//! names the URL and the limits.

pub use crate::outside::DocumentRequest;
use crate::policy::DocumentRules;
use crate::value::document_url::MAX_BYTES;

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
