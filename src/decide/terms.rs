//! Requested scope and resources: checked against policy and client at the authorization endpoint,
//! and against the grant at the token endpoint.

use std::borrow::Cow;
use std::sync::Arc;

use super::dropped::{HABITUAL, is_dropped, tokens};
use crate::client::Client;
use crate::grant::Terms;
use crate::policy::{Policy, Resource, ScopeInfo};
use crate::reason::Reason;
use crate::refusal::{Fault, listed, scope_hint};
use crate::value::hints::Hints;
use crate::value::pkce::CodeChallenge;
use crate::value::prompt::PromptWords;
use crate::value::resource;
use crate::value::scope::{Scope, ScopeError, Subset};

/// The grant that a valid request asks for.
pub(super) struct RequestedGrant {
    pub(super) challenge: CodeChallenge,
    pub(super) scope: Scope,
    pub(super) resources: Arc<[Box<str>]>,
    pub(super) prompt: PromptWords,
    pub(super) hints: Option<Box<Hints>>,
    /// The classes of logins of which one is necessary. Empty: any login suffices.
    pub(super) acr_values: Box<[Box<str>]>,
}

/// The scope and the resources of a grant.
type ScopeAndResources = (Scope, Arc<[Box<str>]>);

/// What an authorization request names of its scope and its resources, and who asks.
pub(super) struct Asked<'r> {
    pub(super) scope: Option<&'r str>,
    pub(super) resources: &'r [Cow<'r, str>],
    /// Resources of this request that the policy does not know.
    pub(super) known: &'r [Resource],
    pub(super) client: &'r Client,
    pub(super) policy: &'r Policy,
}

impl Asked<'_> {
    /// Returns the scope and the resources of the grant (OAuth 2.1 §1.4.1, RFC 8707 §2), or an error
    /// if the policy does not declare them or the client may not request them.
    pub(super) fn terms(&self) -> Result<ScopeAndResources, Fault> {
        let Self { client, policy, .. } = *self;
        let named = known_scope(self.scope, policy)?;
        let resources = requested_resources(self.resources, self.known, policy);
        let named = named.filter(|scope| {
            resources.as_ref().map_or(true, |own| !self.is_meaningless(scope, own))
        });
        let is_named = named.is_some();
        let limits = client.scope_limits(policy);
        let may = |token: &str| limits.admit(token);
        let scope = scope_within(named, || default_scope(client, policy), may, limits.are_none())?;
        let resources = resources?;
        // A client that knows of no resources asks for what it will do with the whole server.
        if is_named && self.resources.is_empty() {
            return Ok((scope, resources));
        }
        let understood = Understood::of(&resources, self.known, policy);
        match understood.limit(scope) {
            Ok(left) => Ok((left, resources)),
            // The token will be insufficient, and the challenge then names what the client needs
            // (RS-10).
            Err(scope) if is_named => Ok((scope, resources)),
            Err(_) => Err(Reason::ScopeMissing.hint(understood.hint())),
        }
    }

    /// Returns whether a scope has only tokens that clients send to every server, whatever the
    /// resource and their registration (CLIENTPOLICY-13), and the resources understand none.
    fn is_meaningless(&self, scope: &Scope, resources: &[Box<str>]) -> bool {
        if Understood::is_only(self.known, self.policy) {
            return false;
        }
        if scope.tokens().any(|token| !HABITUAL.contains(&token)) {
            return false;
        }
        let understood = Understood::of(resources, self.known, self.policy);
        !scope.tokens().any(|token| understood.has(token))
    }
}

/// The scope tokens that the resources of a request understand.
pub(super) struct Understood<'r> {
    resources: Vec<Cow<'r, Resource>>,
    /// Whether the server has a single resource, so that no token can be meant for another.
    is_only: bool,
    policy: &'r Policy,
}

impl<'r> Understood<'r> {
    pub(super) fn of(resources: &[Box<str>], known: &'r [Resource], policy: &'r Policy) -> Self {
        let find = |named| {
            let of_request = || known.iter().find(|own| own.identifier() == named);
            policy.resource(named).or_else(|| of_request().map(Cow::Borrowed))
        };
        let is_only = Self::is_only(known, policy);
        let named = resources.iter().filter(|_| !is_only).map(|named| &**named);
        Self { resources: named.filter_map(find).collect(), is_only, policy }
    }

    /// Returns whether the server has a single resource, which understands every token.
    fn is_only(known: &[Resource], policy: &Policy) -> bool {
        policy.resources().len() == 1 && known.is_empty()
    }

    /// Returns the part of a scope that the resources understand, or the scope itself if nothing is
    /// left.
    pub(super) fn limit(&self, scope: Scope) -> Result<Scope, Scope> {
        if scope.tokens().all(|token| self.has(token)) {
            return Ok(scope);
        }
        let left = scope.tokens().filter(|token| self.has(token));
        Scope::from_tokens(left).map_err(|_| scope)
    }

    /// Says in a hint what the resources declare.
    pub(super) fn hint(&self) -> String {
        let declared = self.resources.iter().flat_map(|own| own.scopes());
        format!("The resource understands: {}.", listed(declared))
    }

    /// Returns whether one of the resources understands the token.
    pub(super) fn has(&self, token: &str) -> bool {
        self.is_only || self.resources.iter().any(|own| own.understands(token, self.policy))
    }
}

/// Returns the requested scope, or `default` if the request names none. `may` must hold for each
/// token, and need not be asked if it `holds_for_all`.
pub(super) fn scope_within(
    requested: Option<Scope>,
    default: impl Fn() -> Result<Scope, Reason>,
    may: impl Fn(&str) -> bool,
    holds_for_all: bool,
) -> Result<Scope, Fault> {
    let Some(scope) = requested else { return Ok(default()?) };
    if holds_for_all || scope.tokens().all(&may) {
        return Ok(scope);
    }
    let forbidden = scope.tokens().filter(|token| !may(token));
    let hint = format!("Beyond the registration: {}.", listed(forbidden));
    Err(Reason::ScopeForbidden.hint(hint))
}

/// Returns the requested scope without the tokens that are dropped, or `None` if the request names
/// no other one. Each token must be declared by the policy.
pub(super) fn known_scope(
    requested: Option<&str>,
    policy: &Policy,
) -> Result<Option<Scope>, Fault> {
    let Some(requested) = requested else { return Ok(None) };
    if let Some(whole) = policy.whole_scope(requested) {
        return Ok(Some(whole.clone()));
    }
    // A malformed token is an error even where unknown tokens are dropped.
    let kept = match Scope::parse(requested) {
        Ok(scope) if scope.tokens().all(|token| policy.knows_scope(token)) => {
            return Ok(Some(scope));
        }
        Ok(scope) => Scope::from_tokens(scope.tokens().filter(|token| !is_dropped(token, policy))),
        Err(error) => Err(error),
    };
    let scope = match kept {
        Ok(scope) => scope,
        Err(ScopeError::Empty) => return Ok(None),
        Err(error @ (ScopeError::Character | ScopeError::TooMany)) => {
            return Err(Reason::ScopeMalformed.maybe_hint(scope_hint(requested, error)));
        }
    };
    let unknown: Vec<_> = scope.tokens().filter(|token| !policy.knows_scope(token)).collect();
    if unknown.is_empty() {
        Ok(Some(scope))
    } else {
        Err(Reason::ScopeUnknown.hint(unknown_hint(&unknown, policy)))
    }
}

/// Returns the scope of a request that names none: the client's own default, or else that of the
/// policy.
pub(super) fn default_of<'a>(client: &'a Client, policy: &'a Policy) -> Result<&'a Scope, Reason> {
    client.default_scope(policy).or_else(|| policy.default_scope()).ok_or(Reason::ScopeMissing)
}

/// Returns the tokens of the default scope that this client may request.
fn default_scope(client: &Client, policy: &Policy) -> Result<Scope, Reason> {
    let default = default_of(client, policy)?;
    Scope::from_tokens(default.tokens().filter(|token| client.may_ask_for(token, policy)))
        .map_err(|_| Reason::ScopeMissing)
}

/// Names the unknown scope tokens and the known ones. Clients that were written for another server
/// often separate tokens by commas.
fn unknown_hint(unknown: &[&str], policy: &Policy) -> String {
    let known = listed(policy.scopes().iter().map(ScopeInfo::name));
    let mut hint = format!("Unknown: {}. Known: {known}.", listed(unknown.iter().copied()));
    if unknown.iter().any(|token| token.contains(',')) {
        hint.push_str(" Separate scope tokens by spaces, not by commas.");
    }
    hint
}

/// Returns the resources of an authorization request (RFC 8707 §2), in the policy's spelling.
/// `known` are resources of this request that the policy does not know.
pub(super) fn requested_resources(
    requested: &[Cow<'_, str>],
    known: &[Resource],
    policy: &Policy,
) -> Result<Arc<[Box<str>]>, Fault> {
    if requested.is_empty() {
        let Some(assumed) = policy.assumed_resources() else {
            return Err(Reason::ResourceMissing.hint(known_resources(policy)));
        };
        return Ok(Arc::clone(assumed));
    }
    let mut found: Vec<Cow<'_, Resource>> = Vec::new();
    for indicator in requested {
        if !resource::is_resource(indicator) {
            return Err(Reason::ResourceMalformed.received(indicator));
        }
        // A resource of the policy is preferred: the host of a request cannot replace it.
        let own = policy.resource(indicator);
        let of_request = || {
            let named = |own: &&Resource| policy.is_same_resource(own.identifier(), indicator);
            known.iter().find(named).map(Cow::Borrowed)
        };
        let Some(own) = own.or_else(of_request) else {
            let fault = Reason::ResourceUnknown.received(indicator);
            return Err(fault.hint(known_resources(policy)));
        };
        if found.iter().any(|earlier| earlier.identifier() == own.identifier()) {
            continue;
        }
        // A token for two tenants would carry the rights of one to the other.
        let is_mixed = |earlier: &Cow<'_, Resource>| {
            earlier
                .instance_of()
                .zip(own.instance_of())
                .is_some_and(|(one, other)| Arc::ptr_eq(one, other))
        };
        if found.iter().any(is_mixed) {
            return Err(Reason::ResourceTenantsMixed.received(indicator));
        }
        // A token keeps which resources it is for as the bits of one word.
        if found.len() >= MAX_RESOURCES {
            return Err(Reason::ResourceUnknown.received(indicator));
        }
        found.push(own);
    }
    Ok(found.iter().map(|own| own.identifier().into()).collect())
}

/// The most resources of one grant.
const MAX_RESOURCES: usize = 64;

pub(super) fn known_resources(policy: &Policy) -> String {
    format!("Known: {}.", listed(policy.resources().iter().map(Resource::identifier)))
}

/// Returns the part of what is left of the grant's scope that a refresh requests; all of it if the
/// request names none (OAuth 2.1 §4.3.1).
///
/// A token that a granted one includes is no more than was granted (RS-11). The record has the
/// granted tokens alone: the narrowest one that includes it takes its place in the response too.
pub(super) fn narrowed_scope(
    requested: Option<&str>,
    left: Subset,
    terms: &Terms,
    policy: &Policy,
) -> Result<Subset, Fault> {
    let Some(requested) = requested else { return Ok(left) };
    let is_granted = |token: &&str| terms.scope.contains(token);
    let kept = tokens(requested).filter(|token| is_granted(token) || !is_dropped(token, policy));
    let including = |token| narrowest_including(token, left, terms, policy);
    match terms.scope.subset(kept.map(|token| including(token).unwrap_or(token))) {
        // Every token was dropped, so the request names none.
        Some(Subset::NONE) => Ok(left),
        Some(subset) if left.covers(subset, terms.scope.len()) => Ok(subset),
        Some(_) | None => {
            let beyond = tokens(requested).filter(|token| including(token).is_none());
            Err(Reason::ScopeBeyondGrant.hint(format!("Beyond the grant: {}.", listed(beyond))))
        }
    }
}

/// Returns the token if it is left of the grant, or else the narrowest one left that includes it.
fn narrowest_including<'t>(
    token: &str,
    left: Subset,
    terms: &'t Terms,
    policy: &Policy,
) -> Option<&'t str> {
    let own = || left.of(terms.scope.tokens());
    let including = || own().filter(|own| policy.implies(own, token));
    // The narrowest includes no other candidate, except one that includes it as well.
    let is_wider = |one: &str| {
        including().any(|other| policy.implies(one, other) && !policy.implies(other, one))
    };
    own().find(|own| *own == token).or_else(|| including().find(|candidate| !is_wider(candidate)))
}

/// Returns the part of this scope that lies under the ceiling, or `None` if nothing does.
pub(super) fn scope_under_ceiling(
    scope: Subset,
    ceiling: &Scope,
    terms: &Terms,
    policy: &Policy,
) -> Option<Subset> {
    if ceiling.covers(&terms.scope) {
        return Some(scope);
    }
    let asked = scope.of(terms.scope.tokens());
    let left = terms.scope.subset(asked.filter(|token| policy.is_within(ceiling, token)));
    left.filter(|left| *left != Subset::NONE)
}

/// Returns the part of what is left of the grant's resources that a token request names; all of it
/// if the request names none (RFC 8707 §2.2).
pub(super) fn narrowed_resources(
    requested: &[Cow<'_, str>],
    left: Subset,
    terms: &Terms,
    policy: &Policy,
) -> Result<Subset, Fault> {
    if requested.is_empty() {
        return Ok(left);
    }
    let mut subset = Subset::NONE;
    for indicator in requested {
        let mut granted = terms.resources.iter();
        let position = granted.position(|granted| policy.is_same_resource(granted, indicator));
        let Some(position) = position.filter(|position| left.has(*position)) else {
            return Err(Reason::ResourceBeyondGrant.received(indicator));
        };
        subset = subset.with(position);
    }
    Ok(subset)
}
