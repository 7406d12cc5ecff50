//! What may be asked for: scope and resources, at the authorization endpoint against the policy,
//! later against the grant.

use std::borrow::Cow;

use crate::client::Client;
use crate::grant::Terms;
use crate::policy::{Policy, Resource, ScopeInfo};
use crate::reason::Reason;
use crate::refusal::{Fault, listed, scope_hint};
use crate::value::resource;
use crate::value::scope::{Scope, ScopeError, Subset};

/// Scope tokens that clients send by habit from server to server. They mean nothing unless the
/// policy declares them, and are dropped then (CLIENTPOLICY-13).
const HABITUAL: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Whether a request's scope token is left out instead of refused.
fn is_dropped(token: &str, policy: &Policy) -> bool {
    !policy.knows_scope(token) && (HABITUAL.contains(&token) || policy.drops_unknown_scopes())
}

/// The event's detail for a request of which scope tokens were dropped.
fn dropped_detail<'a>(dropped: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut dropped = dropped.peekable();
    dropped.peek()?;
    Some(format!("scope_dropped: {}.", listed(dropped)))
}

/// What of a request's scope is left out, for its event.
pub(crate) fn dropped_scope(asked: Option<&str>, policy: &Policy) -> Option<String> {
    dropped_detail(tokens(asked?).filter(|token| is_dropped(token, policy)))
}

/// The same at a refresh, where what was granted is never left out.
pub(crate) fn dropped_from_refresh(
    asked: Option<&str>,
    terms: &Terms,
    policy: &Policy,
) -> Option<String> {
    let is_left_out = |token: &&str| !terms.scope.contains(token) && is_dropped(token, policy);
    dropped_detail(tokens(asked?).filter(is_left_out))
}

fn tokens(asked: &str) -> impl Iterator<Item = &str> {
    asked.split(' ').filter(|token| !token.is_empty())
}

/// The scope of an authorization request (OAuth 2.1 §1.4.1): within what the policy knows and the
/// client may ask for.
pub(crate) fn requested_scope(
    asked: Option<&str>,
    client: &Client,
    policy: &Policy,
) -> Result<Scope, Fault> {
    let Some(asked) = asked else { return Ok(default_scope(client, policy)?) };
    // A malformed token is an error even where unknown ones are dropped.
    let scope = Scope::parse(asked).and_then(|parsed| {
        Scope::from_tokens(parsed.tokens().filter(|token| !is_dropped(token, policy)))
    });
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
pub(crate) fn narrowed_scope(
    asked: Option<&str>,
    terms: &Terms,
    policy: &Policy,
) -> Result<Subset, Fault> {
    let Some(asked) = asked else { return Ok(Subset::ALL) };
    let granted = |token: &&str| terms.scope.contains(token);
    let kept = tokens(asked).filter(|token| granted(token) || !is_dropped(token, policy));
    match terms.scope.subset(kept) {
        Some(Subset::NONE) => Ok(Subset::ALL),
        Some(subset) => Ok(subset),
        None => {
            let beyond = tokens(asked).filter(|token| !granted(token));
            Err(Reason::ScopeBeyondGrant.hint(format!("Beyond the grant: {}.", listed(beyond))))
        }
    }
}

/// The part of a grant's resources that a token request names; all of them if it names none (RFC
/// 8707 §2.2).
pub(crate) fn narrowed_resources(
    asked: &[Cow<'_, str>],
    terms: &Terms,
    policy: &Policy,
) -> Result<Subset, Fault> {
    if asked.is_empty() {
        return Ok(Subset::ALL);
    }
    asked.iter().try_fold(Subset::NONE, |subset, indicator| {
        let position =
            terms.resources.iter().position(|own| policy.is_same_resource(own, indicator));
        let position = position.ok_or_else(|| Reason::ResourceBeyondGrant.received(indicator))?;
        Ok(subset.with(position))
    })
}
