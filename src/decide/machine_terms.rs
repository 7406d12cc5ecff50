//! Scope and resources of a token that a client gets on its own behalf: checked against its right.

use std::borrow::Cow;
use std::sync::Arc;

use super::terms::{Understood, known_resources, known_scope, requested_resources, scope_within};
use crate::client::Client;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::{Fault, listed};
use crate::value::machine_rights::MachineRights;
use crate::value::scope::Scope;

/// Returns the scope that a client gets on its own behalf: what it requests, or all that it may
/// have if it names none. More is refused and never cut (OAuth 2.1 §1.4.1).
pub(super) fn machine_scope(
    requested: Option<&str>,
    rights: &MachineRights,
    (client, resources): (&Client, &[Box<str>]),
    policy: &Policy,
) -> Result<Scope, Fault> {
    let ceiling = client.restrictions().scope();
    let may = |token: &str| {
        policy.is_within(rights.scope(), token)
            && policy.is_for_machines(token)
            && ceiling.is_none_or(|ceiling| policy.is_within(ceiling, token))
    };
    // The record may name what the policy does not declare any more.
    let all = || {
        let open = rights.scope().tokens().filter(|token| policy.knows_scope(token) && may(token));
        Scope::from_tokens(open).map_err(|_| Reason::ScopeForbidden)
    };
    let asked = known_scope(requested, policy)?;
    let is_named = asked.is_some();
    let scope = scope_within(asked, all, may, false)?;
    if is_named {
        return Ok(scope);
    }
    let understood = Understood::of(resources, &[], policy);
    understood.limit(scope).map_err(|_| Reason::ScopeForbidden.hint(understood.hint()))
}

/// Returns the resources that a client gets a token for on its own behalf (RFC 8707 §2): what it
/// requests, or the only one that it may have if it names none.
pub(super) fn machine_resources(
    requested: &[Cow<'_, str>],
    rights: &MachineRights,
    policy: &Policy,
) -> Result<Arc<[Box<str>]>, Fault> {
    if requested.is_empty() {
        let Some(assumed) = assumed_of(rights, policy) else {
            let known = rights.resources().map(listed);
            let known =
                known.map_or_else(|| known_resources(policy), |own| format!("Known: {own}."));
            return Err(Reason::ResourceMissing.hint(known));
        };
        return Ok([assumed].into());
    }
    let named = requested_resources(requested, &[], policy)?;
    match named.iter().find(|resource| !is_within(resource, rights, policy)) {
        Some(beyond) => Err(Reason::ResourceForbidden.received(beyond)),
        None => Ok(named),
    }
}

/// Returns the resource of a request that names none.
fn assumed_of(rights: &MachineRights, policy: &Policy) -> Option<Box<str>> {
    if policy.requires_resource() {
        return None;
    }
    let only = match rights.only() {
        Some([only]) => policy.resource(only).map(|own| own.identifier().into()),
        Some(_) | None => None,
    };
    only.or_else(|| {
        let assumed = policy.assumed_resource()?;
        is_within(assumed, rights, policy).then(|| assumed.into())
    })
}

/// Returns whether a resource of the policy is one that the right names, or of a template that it
/// names.
fn is_within(resource: &str, rights: &MachineRights, policy: &Policy) -> bool {
    let is_of = |named: &str| {
        let declared = policy.declared_resource(named);
        let template = declared.as_ref().and_then(|own| own.template());
        template.is_some_and(|template| template.instance(resource).is_some())
    };
    rights.only().is_none_or(|named| {
        named.iter().any(|own| policy.is_same_resource(own, resource) || is_of(own))
    })
}
