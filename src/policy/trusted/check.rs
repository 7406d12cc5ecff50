//! Checks the table of trusted issuers.

use std::time::Duration;

use super::workload::{MAX_RULES, SEPARATORS};
use super::{
    ClaimMatch, IdJag, IssuerKeys, LONGEST, MAX_ISSUERS, Profile, TrustedIssuer, Workload,
    WorkloadRule,
};
use crate::jws::is_issuer;
use crate::policy::error::TrustedIssuerError;
use crate::policy::{Policy, PolicyError};
use crate::value::text::ClientId;
use crate::value::uri::{MAX_BYTES, Uri, is_server_url};

/// Claims that every token of an issuer has, or that say nothing about the program.
const NOT_IDENTIFYING: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "jti", "auth_time", "scope"];

/// Checks the table.
pub(in crate::policy) fn check_trusted(policy: &Policy) -> Result<(), PolicyError> {
    for (position, own) in policy.trusted.iter().enumerate() {
        let earlier = policy.trusted.iter().take(position);
        check_one(policy, own, earlier)
            .map_err(|error| PolicyError::TrustedIssuer { issuer: own.issuer.clone(), error })?;
    }
    check_own_issuer(policy)
}

/// Checks that no trusted issuer is this server. Otherwise a client could use a token of this
/// server as an assertion, and widen it (ID-JAG §8.3).
pub(in crate::policy) fn check_own_issuer(policy: &Policy) -> Result<(), PolicyError> {
    match policy.trusted.iter().find(|own| is_issuer(&own.issuer, policy.issuer())) {
        Some(own) => Err(PolicyError::TrustedIssuer {
            issuer: own.issuer.clone(),
            error: TrustedIssuerError::Own,
        }),
        None => Ok(()),
    }
}

fn check_one<'a>(
    policy: &Policy,
    own: &TrustedIssuer,
    mut earlier: impl ExactSizeIterator<Item = &'a TrustedIssuer>,
) -> Result<(), TrustedIssuerError> {
    if earlier.len() >= MAX_ISSUERS {
        return Err(TrustedIssuerError::TooMany);
    }
    if earlier.any(|earlier| earlier.issuer == own.issuer) {
        return Err(TrustedIssuerError::Repeated);
    }
    check_identifier(policy, own)?;
    if policy.verifier.is_none() {
        return Err(TrustedIssuerError::Verifier);
    }
    if let IssuerKeys::At(url) = &own.keys {
        if url.is_loopback() && !policy.loopback_http {
            return Err(TrustedIssuerError::KeysUrl { url: url.as_str().to_owned() });
        }
    }
    let second = Duration::from_secs(1);
    let minute = Duration::from_secs(60);
    for (setting, value, least, most) in [
        ("with_longest", own.longest, second, LONGEST),
        ("with_tokens", own.tokens, second, LONGEST),
        ("with_leeway", own.leeway, Duration::ZERO, minute),
    ] {
        if value.subsec_nanos() != 0 || value < least || value > most {
            return Err(TrustedIssuerError::Time { setting, value, least, most });
        }
    }
    match &own.profile {
        Profile::IdJag(rules) => check_id_jag(policy, rules),
        Profile::Workload(rules) => check_workload(rules),
    }
}

/// Checks the identifier. That of a platform need not be a URL: clusters are configured with other
/// texts.
fn check_identifier(policy: &Policy, own: &TrustedIssuer) -> Result<(), TrustedIssuerError> {
    let issuer = own.issuer.as_str();
    if issuer.contains('*') {
        return Err(TrustedIssuerError::Pattern);
    }
    let is_url = is_server_url(issuer, policy.loopback_http) && !issuer.contains('?');
    let is_plain_http =
        || Uri::split(issuer).is_some_and(|uri| uri.scheme().eq_ignore_ascii_case("http"));
    let is_text =
        || (1..=MAX_BYTES).contains(&issuer.len()) && issuer.bytes().all(|b| b.is_ascii_graphic());
    match &own.profile {
        Profile::IdJag(_) if !is_url => Err(TrustedIssuerError::Url),
        Profile::Workload(_) if !is_url && (is_plain_http() || !is_text()) => {
            Err(TrustedIssuerError::Text)
        }
        Profile::IdJag(_) | Profile::Workload(_) => Ok(()),
    }
}

fn check_id_jag(policy: &Policy, rules: &IdJag) -> Result<(), TrustedIssuerError> {
    if let Some(scope) = rules.ceiling.tokens().find(|token| !policy.knows_scope(token)) {
        return Err(TrustedIssuerError::Ceiling { scope: scope.to_owned() });
    }
    let mut clients = rules.clients.iter().chain(&rules.public_clients);
    if let Some(client_id) = clients.find(|id| ClientId::can_be(id).is_none()) {
        return Err(TrustedIssuerError::Client { client_id: client_id.clone() });
    }
    let mut tenants = rules.tenants.iter().chain(&rules.own_tenant);
    if tenants.any(String::is_empty) { Err(TrustedIssuerError::Tenant) } else { Ok(()) }
}

fn check_workload(rules: &Workload) -> Result<(), TrustedIssuerError> {
    match rules.rules.len() {
        0 => return Err(TrustedIssuerError::RulesMissing),
        1..=MAX_RULES => {}
        count => return Err(TrustedIssuerError::RulesTooMany { count }),
    }
    if rules.audience.as_ref().is_some_and(String::is_empty) {
        return Err(TrustedIssuerError::Audience);
    }
    for rule in &rules.rules {
        let client_id = || rule.client_id.clone();
        if ClientId::can_be(&rule.client_id).is_none() {
            return Err(TrustedIssuerError::Client { client_id: client_id() });
        }
        check_rule(rule)
            .map_err(|what| TrustedIssuerError::Rule { client_id: client_id(), what })?;
    }
    Ok(())
}

/// Checks that a rule identifies the program. A platform signs for everybody who runs a program on
/// it, so that a rule must not fit all of them, nor a name that a stranger can choose.
fn check_rule(rule: &WorkloadRule) -> Result<(), &'static str> {
    let is_identifying = |name: &str| !NOT_IDENTIFYING.contains(&name);
    if !rule.conditions.iter().any(|condition| is_identifying(&condition.claim.name)) {
        return Err("it needs a condition on the sub or on another claim that identifies the \
                    program. A platform signs for everybody who runs one there");
    }
    for condition in &rule.conditions {
        let claim = &condition.claim;
        if claim.name.is_empty() || claim.member.as_ref().is_some_and(String::is_empty) {
            return Err("a condition names its claim");
        }
        let texts = match &condition.matching {
            ClaimMatch::Equals(text) => std::slice::from_ref(text),
            ClaimMatch::OneOf(texts) => texts.as_slice(),
            ClaimMatch::Prefix(prefix) if prefix.ends_with(SEPARATORS) && prefix.len() > 1 => {
                continue;
            }
            ClaimMatch::Prefix(_) => {
                return Err("a prefix ends in '/', ':', '|' or '#' and has more than that. Names \
                            that only begin alike are those of somebody else");
            }
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err("a condition has at least one text, and none that is empty");
        }
    }
    Ok(())
}
