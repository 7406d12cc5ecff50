//! Checks the URLs of a policy.

use super::super::builder::NamedEndpoints;
use super::super::{Policy, PolicyError};
use crate::value::uri::{Uri, canonical_issuer, is_same_origin, is_server_url};

/// Checks that the issuer is a URL that can be one, in its canonical spelling.
pub(in super::super) fn check_issuer(issuer: &str, loopback_http: bool) -> Result<(), PolicyError> {
    let refused = || PolicyError::Issuer { issuer: issuer.to_owned() };
    // A scheme in upper case is a matter of spelling, which has an error of its own.
    let lower_scheme = Uri::split(issuer).ok_or_else(refused)?.with_lower_scheme();
    if !is_server_url(&lower_scheme, loopback_http) || issuer.contains('?') {
        return Err(refused());
    }
    let canonical = canonical_issuer(issuer).ok_or_else(refused)?;
    if issuer == canonical {
        return Ok(());
    }
    Err(PolicyError::IssuerSpelling { issuer: issuer.to_owned(), canonical })
}

/// Checks that each endpoint is a URL of the issuer's origin: what the metadata name is this
/// server's own. An endpoint that the host named must belong to a feature that is on.
pub(super) fn check_endpoints(policy: &Policy, named: &NamedEndpoints) -> Result<(), PolicyError> {
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
    for (endpoint, url) in [
        ("authorization_endpoint", &policy.authorization_endpoint),
        ("token_endpoint", &policy.token_endpoint),
        ("registration_endpoint", &policy.registration_endpoint),
        ("revocation_endpoint", &policy.revocation_endpoint),
        ("introspection_endpoint", &policy.introspection_endpoint),
    ] {
        let is_own =
            is_server_url(url, policy.loopback_http) && is_same_origin(url, policy.issuer());
        // Each registration has its own URL below the endpoint.
        let has_no_place_below = endpoint == "registration_endpoint" && url.contains('?');
        if !is_own || has_no_place_below {
            return Err(PolicyError::Endpoint { endpoint, url: url.clone() });
        }
    }
    Ok(())
}
