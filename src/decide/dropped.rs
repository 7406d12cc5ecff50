//! The scope tokens of a request that are dropped instead of refused, and what the event says of
//! them.

use crate::grant::Terms;
use crate::policy::Policy;
use crate::refusal::listed;

/// Scope tokens that clients request from every server by habit. Those that the policy does not
/// declare are dropped (CLIENTPOLICY-13).
pub(super) const HABITUAL: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Returns the event's detail about the scope tokens of an authorization request that were dropped.
pub(super) fn dropped_scope(requested: Option<&str>, policy: &Policy) -> Option<String> {
    dropped_detail(tokens(requested?).filter(|token| is_dropped(token, policy)))
}

/// Returns the event's detail about the scope tokens of a refresh that were dropped. A token that
/// was granted is never dropped.
pub(super) fn dropped_from_refresh(
    requested: Option<&str>,
    terms: &Terms,
    policy: &Policy,
) -> Option<String> {
    let is_left_out = |token: &&str| !terms.scope.contains(token) && is_dropped(token, policy);
    dropped_detail(tokens(requested?).filter(is_left_out))
}

fn dropped_detail<'a>(dropped: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut dropped = dropped.peekable();
    dropped.peek()?;
    Some(format!("scope_dropped: {}.", listed(dropped)))
}

/// Returns whether a requested scope token is dropped instead of refused.
pub(super) fn is_dropped(token: &str, policy: &Policy) -> bool {
    !policy.knows_scope(token) && (HABITUAL.contains(&token) || policy.drops_unknown_scopes())
}

/// Returns the tokens of a requested scope.
pub(super) fn tokens(requested: &str) -> impl Iterator<Item = &str> {
    requested.split(' ').filter(|token| !token.is_empty())
}
