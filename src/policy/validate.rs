//! Checks a policy: one that could not work, or that would advertise what it cannot keep, is
//! refused when it is built and not at a request.

mod resources;
mod urls;

use std::time::Duration;

use self::resources::check_resources;
use self::urls::check_endpoints;
pub(super) use self::urls::check_issuer;
use super::builder::NamedEndpoints;
use super::introspection::IntrospectionCaller;
use super::machines::check_machines;
use super::members::Document;
use super::trusted::check_trusted;
use super::{
    IntrospectionRules, IssuersError, Lifetimes, LifetimesError, Limits, Policy, PolicyError,
    ScopesError, is_countable,
};
use crate::reason::ErrorCode;
use crate::value::acr::is_acr;
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::LoopbackPorts;
use crate::value::scope::{Scope, is_token};
use crate::value::uri::is_server_url;

/// Checks every rule that a policy can break. `named` are the endpoints that the host named.
pub(super) fn check(policy: &Policy, named: &NamedEndpoints) -> Result<(), PolicyError> {
    check_issuer(policy.issuer(), policy.loopback_http)?;
    check_former_issuers(policy)?;
    check_endpoints(policy, named)?;
    check_troubleshooting_url(policy)?;
    check_members(policy)?;
    check_hosts(policy)?;
    check_scopes(policy)?;
    check_resources(policy)?;
    check_lifetimes(policy)?;
    check_limits(&policy.limits)?;
    check_rates(policy)?;
    check_logins(policy)?;
    check_introspection(policy)?;
    check_machines(policy)?;
    check_registration(policy)?;
    check_documents(policy)?;
    check_keys(policy)?;
    check_trusted(policy)
}

fn check_former_issuers(policy: &Policy) -> Result<(), PolicyError> {
    let is_wrong = |former: &&Issuer| former.as_str().is_empty() || **former == policy.issuer;
    match policy.former_issuers.iter().find(is_wrong) {
        Some(former) => Err(IssuersError::Former { issuer: former.as_str().to_owned() }.into()),
        None => Ok(()),
    }
}

fn check_members(policy: &Policy) -> Result<(), PolicyError> {
    let checked = policy.metadata_members.check(Document::Server);
    checked.map_err(|(member, error)| PolicyError::Member { member, error })
}

fn check_hosts(policy: &Policy) -> Result<(), PolicyError> {
    let hosts = policy.registration.as_ref().and_then(|rules| rules.redirect_hosts.as_ref());
    let redirect = hosts.and_then(|hosts| Some(("with_redirect_hosts", hosts.invalid()?)));
    match policy.domains.invalid().or(redirect) {
        Some((setting, pattern)) => {
            Err(PolicyError::HostPattern { setting, pattern: pattern.to_owned() })
        }
        None => Ok(()),
    }
}

fn check_troubleshooting_url(policy: &Policy) -> Result<(), PolicyError> {
    match policy.troubleshooting_url() {
        Some(url) if !is_server_url(url, policy.loopback_http) => {
            Err(PolicyError::TroubleshootingUrl { url: url.to_owned() })
        }
        _ => Ok(()),
    }
}

fn check_scopes(policy: &Policy) -> Result<(), ScopesError> {
    for (position, own) in policy.scopes.iter().enumerate() {
        let scope = own.name.clone();
        if !is_token(&scope) {
            return Err(ScopesError::Token { scope });
        }
        if policy.scopes.iter().take(position).any(|earlier| earlier.name == scope) {
            return Err(ScopesError::Repeated { scope });
        }
    }
    for (scope, included) in &policy.implied {
        check_declared(policy, "scope_implies", [scope, included])?;
    }
    for (setting, scope) in
        [("default_scope", &policy.default_scope), ("unverified_scope", &policy.unverified_scope)]
    {
        check_declared(policy, setting, scope.iter().flat_map(Scope::tokens))?;
    }
    Ok(())
}

/// Checks that the policy declares every scope token that a setting names.
fn check_declared(
    policy: &Policy,
    setting: &'static str,
    tokens: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<(), ScopesError> {
    for token in tokens {
        let token = token.as_ref();
        if !policy.knows_scope(token) {
            return Err(ScopesError::Undeclared { setting, scope: token.to_owned() });
        }
    }
    Ok(())
}

fn check_lifetimes(policy: &Policy) -> Result<(), LifetimesError> {
    let Lifetimes { consent, code, access, refresh_idle, refresh_absolute, unused_client, machine } =
        policy.lifetimes;
    for (lifetime, value) in [
        ("consent", Some(consent)),
        ("code", Some(code)),
        ("access", Some(access)),
        ("refresh_idle", Some(refresh_idle)),
        ("refresh_absolute", refresh_absolute),
        ("unused_client", Some(unused_client)),
        ("machine", machine),
    ] {
        value.map_or(Ok(()), |value| check_countable(lifetime, value))?;
    }
    for (lifetime, value) in policy.unverified_lifetimes.named() {
        check_countable(lifetime, value)?;
    }
    if code > Duration::from_secs(600) {
        return Err(LifetimesError::Code { value: code });
    }
    for (lifetime, value) in
        [("refresh_idle", Some(refresh_idle)), ("refresh_absolute", refresh_absolute)]
    {
        if let Some(value) = value.filter(|value| *value < access) {
            return Err(LifetimesError::Refresh { lifetime, value, access });
        }
    }
    let window = policy.replay_window;
    if window > access || window >= refresh_idle {
        return Err(LifetimesError::ReplayWindow { window, access, refresh_idle });
    }
    if window.is_zero() { Ok(()) } else { check_countable("replay_window", window) }
}

fn check_countable(lifetime: &'static str, value: Duration) -> Result<(), LifetimesError> {
    if is_countable(value) { Ok(()) } else { Err(LifetimesError::Value { lifetime, value }) }
}

fn check_limits(limits: &Limits) -> Result<(), PolicyError> {
    let Limits {
        request_bytes,
        parameters,
        value_bytes,
        assertion_bytes,
        live_access_tokens,
        token_requests_per_minute,
        failed_authentications_per_minute,
        registration_bytes,
        registrations_per_minute,
        all_registrations_per_minute,
        all_documents_per_minute,
        consent_pages_per_minute,
    } = *limits;
    let zeroes = [
        ("request_bytes", request_bytes == 0),
        ("parameters", parameters == 0),
        ("value_bytes", value_bytes == 0),
        ("assertion_bytes", assertion_bytes == 0),
        ("live_access_tokens", live_access_tokens == 0),
        ("token_requests_per_minute", token_requests_per_minute == 0),
        ("failed_authentications_per_minute", failed_authentications_per_minute == 0),
        ("registration_bytes", registration_bytes == 0),
        ("registrations_per_minute", registrations_per_minute == 0),
        ("all_registrations_per_minute", all_registrations_per_minute == 0),
        ("all_documents_per_minute", all_documents_per_minute == 0),
        ("consent_pages_per_minute", consent_pages_per_minute == 0),
    ];
    match zeroes.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((limit, _)) => Err(PolicyError::Limit { limit }),
        None => Ok(()),
    }
}

fn check_rates(policy: &Policy) -> Result<(), PolicyError> {
    let rules = &policy.rate_rules;
    if let Some((client_id, _)) = rules.clients.iter().find(|(_, limit)| **limit == 0) {
        return Err(PolicyError::ClientLimit { client_id: client_id.clone() });
    }
    let code = rules.error_code;
    let is_code = !code.is_empty()
        && code.bytes().all(|b| matches!(b, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'));
    // Clients that read one of these drop their tokens or their registration, or send the user to
    // a new login.
    let is_fatal = [
        ErrorCode::InvalidGrant,
        ErrorCode::InvalidClient,
        ErrorCode::UnauthorizedClient,
        ErrorCode::InvalidToken,
        ErrorCode::LoginRequired,
        ErrorCode::ConsentRequired,
        ErrorCode::InteractionRequired,
        ErrorCode::AccountSelectionRequired,
        ErrorCode::UnmetAuthenticationRequirements,
        ErrorCode::InsufficientUserAuthentication,
    ]
    .into_iter()
    .any(|fatal| fatal.as_str() == code);
    if is_code && !is_fatal { Ok(()) } else { Err(PolicyError::RateErrorCode { code }) }
}

fn check_logins(policy: &Policy) -> Result<(), PolicyError> {
    for (position, own) in policy.acr_values.iter().enumerate() {
        let acr = own.clone();
        if !is_acr(&acr) {
            return Err(PolicyError::AcrValue { acr });
        }
        if policy.acr_values.iter().take(position).any(|earlier| *earlier == acr) {
            return Err(PolicyError::AcrRepeated { acr });
        }
    }
    Ok(check_countable("remember_for", policy.consent_rules.remember_for)?)
}

fn check_introspection(policy: &Policy) -> Result<(), PolicyError> {
    let Some(rules) = &policy.introspection else { return Ok(()) };
    if !policy.auth_methods.client_secret_basic && !policy.auth_methods.client_secret_post {
        return Err(PolicyError::IntrospectionMethods);
    }
    if rules.callers.is_empty() {
        return Err(PolicyError::IntrospectionCallers);
    }
    if let Some(member) = rules.properties().filter(|name| IntrospectionRules::is_reserved(name)) {
        return Err(PolicyError::IntrospectionMember { member: member.to_owned() });
    }
    let is_unknown =
        |caller: &&IntrospectionCaller| policy.declared_resource(&caller.resource).is_none();
    match rules.callers.iter().find(is_unknown) {
        Some(caller) => Err(PolicyError::IntrospectionResource {
            client_id: caller.client_id.clone(),
            resource: caller.resource.clone(),
        }),
        None => Ok(()),
    }
}

fn check_registration(policy: &Policy) -> Result<(), PolicyError> {
    if policy.auth_methods().offered().next().is_none() {
        return Err(PolicyError::AuthMethods);
    }
    let Some(rules) = &policy.registration else { return Ok(()) };
    if rules.initial_access_tokens.as_ref().is_some_and(Vec::is_empty) {
        return Err(PolicyError::InitialAccessTokens);
    }
    check_unverified(policy, "registration")
}

fn check_keys(policy: &Policy) -> Result<(), PolicyError> {
    let Some(rules) = policy.keys else { return Ok(()) };
    if policy.verifier.is_none() {
        return Err(PolicyError::VerifierMissing);
    }
    let bounds = [
        ("leeway", rules.leeway, 0, 60),
        ("longest", rules.longest, 30, 3600),
        ("stale", rules.stale, 0, 3600),
    ];
    for (setting, value, least, most) in bounds {
        let is_whole = value.subsec_nanos() == 0;
        if !is_whole || !(least..=most).contains(&value.as_secs()) {
            return Err(PolicyError::KeyRules { setting, value, least, most });
        }
    }
    Ok(())
}

fn check_documents(policy: &Policy) -> Result<(), PolicyError> {
    let Some(rules) = &policy.documents else { return Ok(()) };
    let at_least = rules.fresh_at_least;
    let at_most = rules.fresh_at_most;
    check_countable("fresh_at_least", at_least)?;
    check_countable("fresh_at_most", at_most)?;
    if at_least > at_most {
        return Err(PolicyError::DocumentsFreshness { at_least, at_most });
    }
    if policy.redirect_rules.loopback_ports == LoopbackPorts::Off {
        return Err(PolicyError::DocumentsPorts);
    }
    if !policy.auth_methods.public_clients && policy.keys.is_none() {
        return Err(PolicyError::DocumentsMethod);
    }
    check_unverified(policy, "client_documents")
}

/// Checks that a client that the operator did not register, and that states nothing in particular,
/// can use the code flow and ask for some scope.
fn check_unverified(policy: &Policy, feature: &'static str) -> Result<(), PolicyError> {
    let scopes = policy.unverified_scope.as_ref().zip(policy.default_scope.as_ref());
    let is_nothing_left = |(unverified, default): &(&Scope, &Scope)| {
        !default.tokens().any(|token| unverified.contains(token))
    };
    if let Some((unverified, default)) = scopes.filter(is_nothing_left) {
        return Err(ScopesError::Unverified {
            feature,
            unverified_scope: unverified.as_str().to_owned(),
            default_scope: default.as_str().to_owned(),
        }
        .into());
    }
    if !policy.default_grant_types.authorization_code {
        return Err(PolicyError::DefaultGrantTypes { feature });
    }
    Ok(())
}
