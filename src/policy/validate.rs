//! Checks a policy: one that could not be kept is refused when it is built.

use std::time::Duration;

use super::{Lifetimes, Limits, Policy};
use crate::value::loopback;
use crate::value::redirect_uri::LoopbackPorts;
use crate::value::resource;
use crate::value::scope::Scope;

/// Why a policy cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The issuer.
    #[error("an issuer is an https URL without query and fragment (loopback http only if allowed)")]
    Issuer,
    /// An endpoint that is not an `https` URL of the issuer's origin without fragment, or loopback
    /// `http` if allowed (OAuth 2.1 §1.5, §3.1); the registration endpoint has no query either,
    /// for each registration has its own URL below it.
    #[error("an endpoint is an https URL of the issuer's origin without fragment")]
    Endpoint,
    /// A troubleshooting page that is not an `https` URL without fragment, or loopback `http` if
    /// allowed.
    #[error("a troubleshooting page is an https URL without fragment")]
    TroubleshootingUrl,
    /// No resource: tokens would be for nothing.
    #[error("a policy names at least one resource")]
    NoResource,
    /// A resource that is not an `https` URL without fragment (loopback `http` if allowed), is
    /// named twice, be it with a closing slash, or is one of more than 64.
    #[error(
        "a resource is an https URL without fragment, named once, and named if it is the default; there are at most 64"
    )]
    Resource,
    /// A scope that is not one token, is named twice, or is used but not declared; or a resource
    /// that lists `offline_access`, which is nothing a resource understands (MCP, Scope
    /// Selection).
    #[error(
        "a scope is one token, declared once, and declared if a default, a resource or registration uses it"
    )]
    Scope,
    /// No way to authenticate is offered.
    #[error("a policy offers at least one way of client authentication")]
    AuthMethods,
    /// Registration is advertised, but no client could use it: nobody may register, or what is
    /// registered can ask for nothing.
    #[error(
        "registration takes somebody in, gives the code flow, and leaves something of the default scope"
    )]
    Registration,
    /// Introspection is advertised, but nobody may ask, or about a resource that is not the
    /// policy's, or no client can have a secret.
    #[error("introspection names at least one client with a secret, and resources of the policy")]
    Introspection,
    /// Client documents are advertised, but clients known by them could not connect: they are
    /// public, listen on ports that no document can name, and need the code flow and something
    /// of the default scope.
    #[error(
        "client documents need the method none, the code flow, some scope, varying loopback ports, freshness bounds in order"
    )]
    Documents,
    /// A lifetime that is not whole seconds, is none, or is too long to count.
    #[error("a lifetime is whole seconds, at least one, and at most a thousand years")]
    Lifetime,
    /// A code that would outlive ten minutes (OAuth 2.1 §4.1.2).
    #[error("a code lives at most 600 seconds")]
    CodeLifetime,
    /// A refresh token that would die before the access token it renews.
    #[error("refresh tokens live at least as long as access tokens")]
    RefreshLifetime,
    /// A replay window longer than an access token, or not shorter than the idle lifetime.
    #[error("the replay window is at most the access lifetime and shorter than the idle lifetime")]
    ReplayWindow,
    /// A cap of zero, or a code for what is over a limit that is none, or would have clients throw
    /// their tokens away.
    #[error("a limit is at least one, and the code of a 429 is an error code that ends nothing")]
    Limit,
}

/// Longer than any grant, short enough for every clock and database.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);
/// A token keeps which of them it is for as bits of one word.
const MOST_RESOURCES: usize = 64;

/// What cannot work, or would be a false promise, is refused here and not at a request.
pub(super) fn check(policy: &Policy, loopback_http: bool) -> Result<(), PolicyError> {
    check_urls(policy, loopback_http)?;
    check_scopes(policy)?;
    check_resources(policy, loopback_http)?;
    check_lifetimes(policy)?;
    check_limits(&policy.limits)?;
    if !policy.rates.are_sound() {
        return Err(PolicyError::Limit);
    }
    check_introspection(policy)?;
    check_registration(policy)?;
    check_documents(policy)
}

fn check_urls(policy: &Policy, loopback_http: bool) -> Result<(), PolicyError> {
    if !is_server_url(&policy.issuer, loopback_http) || policy.issuer.contains('?') {
        return Err(PolicyError::Issuer);
    }
    if policy.troubleshooting_url().is_some_and(|url| !is_server_url(url, loopback_http)) {
        return Err(PolicyError::TroubleshootingUrl);
    }
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    let own =
        |url: &String| is_server_url(url, loopback_http) && origin(url) == origin(&policy.issuer);
    if [
        &policy.authorization_endpoint,
        &policy.token_endpoint,
        &policy.registration_endpoint,
        &policy.revocation_endpoint,
        &policy.introspection_endpoint,
    ]
    .into_iter()
    .all(own)
        && !policy.registration_endpoint.contains('?')
    {
        Ok(())
    } else {
        Err(PolicyError::Endpoint)
    }
}

/// `https`, or `http` on a loopback host where that is allowed; a host, no userinfo, no fragment.
fn is_server_url(text: &str, loopback_http: bool) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let scheme_ok = match url.scheme() {
        "https" => true,
        "http" => {
            loopback_http && url.host_str().is_some_and(|host| loopback::LITERALS.contains(&host))
        }
        _ => false,
    };
    // The parser forgives a missing slash or two; what is published must not need it.
    let authority =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let has_host = url.has_host() && !authority.is_empty() && !authority.starts_with(['/', '?']);
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    scheme_ok
        && plain
        && has_host
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

fn check_scopes(policy: &Policy) -> Result<(), PolicyError> {
    for (position, scope) in policy.scopes.iter().enumerate() {
        let one_token = Scope::parse(&scope.name).is_ok_and(|parsed| parsed.as_str() == scope.name)
            && !scope.name.contains(' ');
        let named_before =
            policy.scopes.iter().take(position).any(|earlier| earlier.name == scope.name);
        if !one_token || named_before {
            return Err(PolicyError::Scope);
        }
    }
    let mut implied = policy.implied.iter().flat_map(|(scope, included)| [scope, included]);
    if !implied.all(|scope| policy.knows_scope(scope)) {
        return Err(PolicyError::Scope);
    }
    let is_known = |scope: &Scope| scope.tokens().all(|token| policy.knows_scope(token));
    if [policy.default_scope.as_ref(), policy.unverified_scope.as_ref()]
        .into_iter()
        .flatten()
        .all(is_known)
    {
        Ok(())
    } else {
        Err(PolicyError::Scope)
    }
}

fn check_resources(policy: &Policy, loopback_http: bool) -> Result<(), PolicyError> {
    if policy.resources.is_empty() {
        return Err(PolicyError::NoResource);
    }
    if policy.resources.len() > MOST_RESOURCES {
        return Err(PolicyError::Resource);
    }
    for (position, own) in policy.resources.iter().enumerate() {
        // Nor may they differ in a closing slash alone: both would have their document at one
        // address.
        let named_before = policy
            .resources
            .iter()
            .take(position)
            .any(|earlier| resource::same(&earlier.metadata_url, &own.metadata_url));
        if named_before || !is_server_url(&own.identifier, loopback_http) {
            return Err(PolicyError::Resource);
        }
        if !own.scopes.iter().all(|scope| policy.knows_scope(scope) && scope != "offline_access") {
            return Err(PolicyError::Scope);
        }
    }
    match &policy.default_resource {
        Some(default) if !policy.resources.iter().any(|own| own.identifier == *default) => {
            Err(PolicyError::Resource)
        }
        _ => Ok(()),
    }
}

fn check_lifetimes(policy: &Policy) -> Result<(), PolicyError> {
    let Lifetimes { consent, code, access, refresh_idle, refresh_absolute, unused_client } =
        policy.lifetimes;
    let all = [
        consent,
        code,
        access,
        refresh_idle,
        refresh_absolute.unwrap_or(refresh_idle),
        unused_client,
    ];
    if !all.into_iter().all(is_countable) {
        return Err(PolicyError::Lifetime);
    }
    if code > Duration::from_secs(600) {
        return Err(PolicyError::CodeLifetime);
    }
    if refresh_idle < access || refresh_absolute.is_some_and(|absolute| absolute < access) {
        return Err(PolicyError::RefreshLifetime);
    }
    if policy.replay_window.subsec_nanos() != 0 {
        return Err(PolicyError::Lifetime);
    }
    if policy.replay_window > access || policy.replay_window >= refresh_idle {
        return Err(PolicyError::ReplayWindow);
    }
    Ok(())
}

fn is_countable(lifetime: Duration) -> bool {
    lifetime.subsec_nanos() == 0 && (Duration::from_secs(1)..=LONGEST).contains(&lifetime)
}

fn check_registration(policy: &Policy) -> Result<(), PolicyError> {
    if policy.auth_methods.offered().next().is_none() {
        return Err(PolicyError::AuthMethods);
    }
    let Some(rules) = &policy.registration else { return Ok(()) };
    let takes_somebody =
        rules.initial_access_tokens.as_ref().is_none_or(|tokens| !tokens.is_empty());
    if takes_somebody && serves_strangers(policy) { Ok(()) } else { Err(PolicyError::Registration) }
}

/// Whether a client that the operator did not register can do anything, if it asks for nothing in
/// particular.
fn serves_strangers(policy: &Policy) -> bool {
    let leaves_something = match (&policy.unverified_scope, &policy.default_scope) {
        (Some(ceiling), Some(default)) => default.tokens().any(|token| ceiling.contains(token)),
        _ => true,
    };
    leaves_something && policy.default_grant_types.authorization_code
}

fn check_introspection(policy: &Policy) -> Result<(), PolicyError> {
    let Some(rules) = &policy.introspection else { return Ok(()) };
    let is_known = |(_, resource): &(String, String)| policy.resource(resource).is_some();
    let has_method = policy.auth_methods.basic || policy.auth_methods.post;
    if has_method && !rules.callers.is_empty() && rules.callers.iter().all(is_known) {
        Ok(())
    } else {
        Err(PolicyError::Introspection)
    }
}

fn check_documents(policy: &Policy) -> Result<(), PolicyError> {
    let Some(rules) = &policy.documents else { return Ok(()) };
    let in_order = is_countable(rules.fresh_at_least)
        && is_countable(rules.fresh_at_most)
        && rules.fresh_at_least <= rules.fresh_at_most;
    let ports_vary = policy.redirect_rules.loopback_ports != LoopbackPorts::Off;
    let can_connect = ports_vary && policy.auth_methods.none && serves_strangers(policy);
    if in_order && can_connect { Ok(()) } else { Err(PolicyError::Documents) }
}

fn check_limits(limits: &Limits) -> Result<(), PolicyError> {
    let Limits {
        request_bytes,
        parameters,
        value_bytes,
        live_access_tokens,
        registration_bytes,
        ..
    } = *limits;
    let rates = [
        limits.token_requests_per_minute,
        limits.failed_authentications_per_minute,
        limits.registrations_per_minute,
        limits.all_registrations_per_minute,
        limits.all_documents_per_minute,
        limits.consent_pages_per_minute,
    ];
    let sizes = [request_bytes, parameters, value_bytes, live_access_tokens, registration_bytes];
    let zero = sizes.contains(&0) || rates.contains(&0);
    if zero { Err(PolicyError::Limit) } else { Ok(()) }
}
