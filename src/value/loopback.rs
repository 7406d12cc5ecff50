//! The hosts of the user's own device: the one definition of loopback.
//!
//! A connection to one of them reaches whatever program listens there, so that no certificate and
//! no registration says who answers (RFC 8252 §8.3; MCP, Localhost Redirect URI Risks).

use url::{Host, Url};

/// The loopback hosts that plain `http` is accepted for, in the only spelling that is accepted
/// (OAuth 2.1 §8.4.2).
pub(crate) const LITERALS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Returns whether a browser that goes to this host stays on the user's own device. The unspecified
/// addresses lead there as well on most systems, and names below `localhost` in every browser.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let mapped = address.to_ipv4_mapped();
            address.is_loopback()
                || address.is_unspecified()
                || mapped.is_some_and(|address| is_loopback(&Host::Ipv4(address)))
        }
    }
}

/// Returns whether a browser that follows this URI stays on the user's own device.
pub(crate) fn leads_to_loopback(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.host().is_some_and(|host| is_loopback(&host))
    })
}
