//! The scope of a token that an identity provider's assertion brings.

use super::super::dropped::is_dropped;
use super::super::terms::{Understood, default_of, known_scope};
use super::Stop;
use crate::client::Client;
use crate::jws::Claims;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::value::scope::{Scope, ScopeError};

/// Returns what the claim, the request, the client, the ceiling of the issuer and the resources
/// have in common (ASSERT-42). An absent claim and an absent request cut nothing. If both are
/// absent, the default scope takes their place.
pub(super) fn person_scope(
    claims: &Claims,
    requested: Option<&str>,
    (client, ceiling, resources): (&Client, &Scope, &[Box<str>]),
    policy: &Policy,
) -> Result<Scope, Stop> {
    let claimed = claimed_scope(claims, policy)?;
    let requested = known_scope(requested, policy)?;
    let base = match (&claimed, &requested) {
        (None, None) => default_of(client, policy)?,
        (Some(Claimed::Nothing), _) => return Err(Reason::AssertionScope.into()),
        (_, Some(requested)) => requested,
        (Some(Claimed::Scope(claimed)), None) => claimed,
    };
    let is_claimed = |token: &str| match &claimed {
        Some(Claimed::Scope(claimed)) => claimed.contains(token),
        Some(Claimed::Nothing) => false,
        None => true,
    };
    let understood = Understood::of(resources, &[], policy);
    let left = base.tokens().filter(|token| {
        is_claimed(token)
            && ceiling.contains(token)
            && client.may_ask_for(token, policy)
            && understood.has(token)
    });
    Scope::from_tokens(left).map_err(|_| Reason::AssertionScope.into())
}

/// The scope that an assertion names.
enum Claimed {
    Scope(Scope),
    /// It names no token, or none that this server knows.
    Nothing,
}

/// Reads the claim. Tokens that the server does not know are skipped where those of requests are;
/// otherwise the assertion is not one for this server (ASSERT-43).
fn claimed_scope(claims: &Claims, policy: &Policy) -> Result<Option<Claimed>, Stop> {
    let refused = || Stop::claim("scope");
    let Some(text) = claims.text("scope").map_err(|_| refused())? else { return Ok(None) };
    let scope = match Scope::parse(text) {
        Ok(scope) => scope,
        Err(ScopeError::Empty) => return Ok(Some(Claimed::Nothing)),
        Err(ScopeError::Character | ScopeError::TooMany) => return Err(refused()),
    };
    let kept = || scope.tokens().filter(|token| !is_dropped(token, policy));
    if kept().any(|token| !policy.knows_scope(token)) {
        return Err(refused());
    }
    Ok(Some(Scope::from_tokens(kept()).map_or(Claimed::Nothing, Claimed::Scope)))
}
