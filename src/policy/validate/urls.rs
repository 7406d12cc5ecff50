//! Checks the URLs of a policy.

use url::Url;

use super::super::builder::NamedEndpoints;
use super::super::{Policy, PolicyError};
use crate::value::loopback;

/// Checks that the issuer is a URL that can be one, in its canonical spelling.
pub(super) fn check_issuer(issuer: &str, loopback_http: bool) -> Result<(), PolicyError> {
    let refused = || PolicyError::Issuer { issuer: issuer.to_owned() };
    let lower_scheme = match issuer.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => return Err(refused()),
    };
    if !is_server_url(&lower_scheme, loopback_http) || issuer.contains('?') {
        return Err(refused());
    }
    let canonical = canonical(issuer).ok_or_else(refused)?;
    if issuer == canonical {
        return Ok(());
    }
    Err(PolicyError::IssuerSpelling { issuer: issuer.to_owned(), canonical })
}

/// Returns the canonical spelling of an issuer: lower-case scheme and host, no default port, no dot
/// segments, and no slash in the place of a path. The slash at the end of a path is part of it:
/// `https://h/t1/` and `https://h/t1` are two issuers.
fn canonical(issuer: &str) -> Option<String> {
    let url = Url::parse(issuer).ok()?;
    let text = url.as_str();
    let text = if url.path() == "/" { text.strip_suffix('/').unwrap_or(text) } else { text };
    Some(text.to_owned())
}

/// Checks that each endpoint is a URL of the issuer's origin: what the metadata name is this
/// server's own. An endpoint that the host named must belong to a feature that is on.
pub(super) fn check_endpoints(
    policy: &Policy,
    named: &NamedEndpoints,
    loopback_http: bool,
) -> Result<(), PolicyError> {
    let off = [
        (
            "registration_endpoint",
            "registration",
            &named.registration,
            policy.registration.is_some(),
        ),
        ("revocation_endpoint", "revocation", &named.revocation, policy.revocation.is_some()),
        (
            "introspection_endpoint",
            "introspection",
            &named.introspection,
            policy.introspection.is_some(),
        ),
    ];
    for (endpoint, feature, named, is_on) in off {
        if let Some(url) = named.as_ref().filter(|_| !is_on) {
            return Err(PolicyError::EndpointOff { endpoint, feature, url: url.clone() });
        }
    }
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    let issuer_origin = origin(&policy.issuer);
    for (endpoint, url) in [
        ("authorization_endpoint", &policy.authorization_endpoint),
        ("token_endpoint", &policy.token_endpoint),
        ("registration_endpoint", &policy.registration_endpoint),
        ("revocation_endpoint", &policy.revocation_endpoint),
        ("introspection_endpoint", &policy.introspection_endpoint),
    ] {
        let is_own = is_server_url(url, loopback_http) && origin(url) == issuer_origin;
        // Each registration has its own URL below the endpoint.
        let has_no_place_below = endpoint == "registration_endpoint" && url.contains('?');
        if !is_own || has_no_place_below {
            return Err(PolicyError::Endpoint { endpoint, url: url.clone() });
        }
    }
    Ok(())
}

/// Returns whether this is an `https` URL with a host and without user, password and fragment. With
/// `loopback_http`, `http` on a loopback host is one too.
pub(super) fn is_server_url(text: &str, loopback_http: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let scheme_ok = match url.scheme() {
        "https" => true,
        "http" => {
            loopback_http && url.host_str().is_some_and(|host| loopback::LITERALS.contains(&host))
        }
        _ => false,
    };
    // The parser adds a slash or two that are missing. What is published must have them.
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let has_host = url.has_host() && !rest.is_empty() && !rest.starts_with(['/', '?']);
    // A challenge quotes these URLs (RFC 6750 §3), and nothing in them may end the quote.
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    scheme_ok
        && is_plain
        && has_host
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}
