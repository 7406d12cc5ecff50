//! What may be asked for: scope and resources, at the authorization endpoint against the policy,
//! later against the grant.

use std::borrow::Cow;

use crate::client::Client;
use crate::grant::Terms;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::value::resource;
use crate::value::scope::{Scope, ScopeError, Subset};

/// Scopes that clients add by themselves and that mean nothing here unless the policy declares
/// them.
const TOLERATED: &str = "offline_access";

/// The scope of an authorization request (OAuth 2.1 §1.4.1): within what the policy knows and the
/// client may ask for.
pub(crate) fn requested_scope(
    asked: Option<&str>,
    client: &Client,
    policy: &Policy,
) -> Result<Scope, Reason> {
    let drops = |token: &&str| {
        !policy.knows_scope(token) && (*token == TOLERATED || policy.drops_unknown_scopes())
    };
    let asked = asked.map(|asked| {
        // A malformed token is an error even where unknown ones are dropped.
        Scope::parse(asked)
            .and_then(|asked| Scope::from_tokens(asked.tokens().filter(|token| !drops(token))))
    });
    let scope = match asked {
        Some(Ok(scope)) => scope,
        Some(Err(ScopeError::Character | ScopeError::TooMany)) => {
            return Err(Reason::ScopeMalformed);
        }
        Some(Err(ScopeError::Empty)) | None => return default_scope(client, policy),
    };
    if !scope.tokens().all(|token| policy.knows_scope(token)) {
        return Err(Reason::ScopeUnknown);
    }
    let is_open = scope.tokens().all(|token| client.may_ask_for(token, policy));
    if is_open { Ok(scope) } else { Err(Reason::ScopeForbidden) }
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
) -> Result<Box<[Box<str>]>, Reason> {
    if asked.is_empty() {
        let assumed = policy.assumed_resource().ok_or(Reason::ResourceMissing)?;
        return Ok([assumed.into()].into());
    }
    let mut found: Vec<Box<str>> = Vec::new();
    for indicator in asked {
        if !resource::is_resource(indicator) {
            return Err(Reason::ResourceMalformed);
        }
        let known = policy.resource(indicator).ok_or(Reason::ResourceUnknown)?.identifier();
        if !found.iter().any(|own| &**own == known) {
            found.push(known.into());
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
