//! What may be asked for: scope and resources, at the authorization endpoint against the policy,
//! later against the grant.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::client::Client;
use crate::grant::Terms;
use crate::policy::{Policy, Resource, ScopeInfo};
use crate::reason::Reason;
use crate::refusal::{Fault, listed};
use crate::value::resource;
use crate::value::scope::{MOST_TOKENS, Scope, ScopeError, Subset, is_token};

/// Scopes that clients add by themselves and that mean nothing here unless the policy declares
/// them.
const TOLERATED: &str = "offline_access";

/// The scope of an authorization request (OAuth 2.1 §1.4.1): within what the policy knows and the
/// client may ask for.
pub(crate) fn requested_scope(
    asked: Option<&str>,
    client: &Client,
    policy: &Policy,
) -> Result<Scope, Fault> {
    let drops = |token: &&str| {
        !policy.knows_scope(token) && (*token == TOLERATED || policy.drops_unknown_scopes())
    };
    let Some(asked) = asked else { return Ok(default_scope(client, policy)?) };
    // A malformed token is an error even where unknown ones are dropped.
    let scope = Scope::parse(asked)
        .and_then(|parsed| Scope::from_tokens(parsed.tokens().filter(|token| !drops(token))));
    let scope = match scope {
        Ok(scope) => scope,
        Err(ScopeError::Empty) => return Ok(default_scope(client, policy)?),
        Err(error @ (ScopeError::Character | ScopeError::TooMany)) => {
            return Err(Reason::ScopeMalformed.maybe_hint(scope_hint(asked, error)));
        }
    };
    let unknown: Vec<_> = scope.tokens().filter(|token| !policy.knows_scope(token)).collect();
    if !unknown.is_empty() {
        return Err(Reason::ScopeUnknown.hint(unknown_hint(&unknown, policy)));
    }
    let forbidden: Vec<_> =
        scope.tokens().filter(|token| !client.may_ask_for(token, policy)).collect();
    if !forbidden.is_empty() {
        let hint = format!("Beyond the registration: {}.", listed(forbidden));
        return Err(Reason::ScopeForbidden.hint(hint));
    }
    Ok(scope)
}

/// Which tokens are unknown, and which are known. A comma is the usual separator of clients that
/// were written for another server.
fn unknown_hint(unknown: &[&str], policy: &Policy) -> String {
    let known = listed(policy.scopes().iter().map(ScopeInfo::name));
    let mut hint = format!("Unknown: {}. Known: {known}.", listed(unknown.iter().copied()));
    if unknown.iter().any(|token| token.contains(',')) {
        hint.push_str(" Separate scope tokens by spaces, not by commas.");
    }
    hint
}

/// Which token cannot be one, or how many there are.
pub(crate) fn scope_hint(asked: &str, error: ScopeError) -> Option<String> {
    let tokens = || asked.split(' ').filter(|token| !token.is_empty());
    match error {
        ScopeError::Empty => None,
        ScopeError::Character => {
            let wrong = tokens().filter(|token| !is_token(token));
            Some(format!("Not a scope token: {}.", listed(wrong)))
        }
        ScopeError::TooMany => {
            let received = tokens().collect::<BTreeSet<_>>().len();
            Some(format!("Received: {received} scope tokens. At most {MOST_TOKENS} are possible."))
        }
    }
}

/// The configured default, as far as it is open to this client.
fn default_scope(client: &Client, policy: &Policy) -> Result<Scope, Reason> {
    let default = policy.default_scope().ok_or(Reason::ScopeMissing)?;
    Scope::from_tokens(default.tokens().filter(|token| client.may_ask_for(token, policy)))
        .map_err(|_| Reason::ScopeMissing)
}

/// The resources of an authorization request (RFC 8707 §2), as the policy spells them.
pub(crate) fn requested_resources(
    asked: &[Cow<'_, str>],
    policy: &Policy,
) -> Result<Box<[Box<str>]>, Fault> {
    let known =
        || format!("Known: {}.", listed(policy.resources().iter().map(Resource::identifier)));
    if asked.is_empty() {
        let assumed = policy.assumed_resource();
        let assumed = assumed.ok_or_else(|| Reason::ResourceMissing.hint(known()))?;
        return Ok([assumed.into()].into());
    }
    let mut found: Vec<Box<str>> = Vec::new();
    for indicator in asked {
        if !resource::is_resource(indicator) {
            return Err(Reason::ResourceMalformed.received(indicator));
        }
        let own = policy.resource(indicator);
        let own = own.ok_or_else(|| Reason::ResourceUnknown.received(indicator).hint(known()))?;
        if !found.iter().any(|before| **before == *own.identifier()) {
            found.push(own.identifier().into());
        }
    }
    Ok(found.into())
}

/// The part of a grant's scope that a refresh asks for; all of it if it asks for none (OAuth 2.1
/// §4.3.1).
pub(crate) fn narrowed_scope(asked: Option<&str>, terms: &Terms) -> Result<Subset, Reason> {
    let Some(asked) = asked else { return Ok(Subset::ALL) };
    let tokens = asked.split(' ').filter(|token| !token.is_empty());
    let tokens = tokens.filter(|token| *token != TOLERATED || terms.scope.contains(token));
    match terms.scope.subset(tokens) {
        Some(Subset::NONE) => Ok(Subset::ALL),
        Some(subset) => Ok(subset),
        None => Err(Reason::ScopeBeyondGrant),
    }
}

/// The part of a grant's resources that a token request names; all of them if it names none (RFC
/// 8707 §2.2).
pub(crate) fn narrowed_resources(
    asked: &[Cow<'_, str>],
    terms: &Terms,
    policy: &Policy,
) -> Result<Subset, Reason> {
    if asked.is_empty() {
        return Ok(Subset::ALL);
    }
    asked.iter().try_fold(Subset::NONE, |subset, indicator| {
        let position =
            terms.resources.iter().position(|own| policy.is_same_resource(own, indicator));
        Ok(subset.with(position.ok_or(Reason::ResourceBeyondGrant)?))
    })
}
