//! Checks the resources of a policy and their descriptions.

use super::super::members::Document;
use super::super::template::Template;
use super::super::{Policy, PolicyError, Resource, ResourcesError, is_issuer};
use super::check_declared;
use crate::value::resource;
use crate::value::uri::{is_page, is_server_url};

/// The most resources: a token keeps which of them it is for as the bits of one word.
const RESOURCE_LIMIT: usize = 64;

pub(super) fn check_resources(policy: &Policy) -> Result<(), PolicyError> {
    if policy.resources.is_empty() {
        return Err(PolicyError::ResourceMissing);
    }
    let count = policy.resources.len();
    if count > RESOURCE_LIMIT {
        return Err(PolicyError::ResourcesTooMany { count });
    }
    for (position, own) in policy.resources.iter().enumerate() {
        let resource = own.identifier.clone();
        if !own.is_template() && !is_server_url(&resource, policy.loopback_http) {
            return Err(PolicyError::Resource { resource });
        }
        for earlier in policy.resources.iter().take(position) {
            check_distinct(own, earlier)?;
        }
        if own.scopes.iter().any(|scope| scope == "offline_access") {
            return Err(PolicyError::OfflineAccess { resource });
        }
        check_declared(policy, "resource", &own.scopes)?;
        check_description(policy, own)?;
    }
    let is_one = |own: &Resource, name: &str| !own.is_template() && own.identifier == name;
    match &policy.default_resource {
        Some(default) if !policy.resources.iter().any(|own| is_one(own, default)) => {
            Err(PolicyError::DefaultResource { resource: default.clone() })
        }
        _ => Ok(()),
    }
}

/// Checks that no identifier is of both resources.
fn check_distinct(own: &Resource, earlier: &Resource) -> Result<(), PolicyError> {
    let resource = own.identifier.clone();
    if !own.is_template() && !earlier.is_template() {
        // Two resources that differ only in a final slash would have their metadata at the same URL
        // (RFC 9728 §3.1).
        return if resource::same(&earlier.metadata_url, &own.metadata_url) {
            Err(PolicyError::ResourceRepeated { resource })
        } else {
            Ok(())
        };
    }
    let parts = |of: &Resource| match of.template() {
        Some(template) => Some(Template::clone(template)),
        None => Template::of_literal(&of.identifier),
    };
    let overlaps = parts(own).zip(parts(earlier)).is_some_and(|(own, other)| own.overlaps(&other));
    if overlaps {
        let other = earlier.identifier.clone();
        return Err(ResourcesError::Overlap { resource, other }.into());
    }
    Ok(())
}

fn check_description(policy: &Policy, own: &Resource) -> Result<(), ResourcesError> {
    let resource = || own.identifier.clone();
    let description = &own.description;
    if let Some((member, url)) = description.pages().find(|(_, url)| !is_page(url)) {
        return Err(ResourcesError::Page { resource: resource(), member, url: url.to_owned() });
    }
    for (position, issuer) in description.other_issuers.iter().enumerate() {
        let is_repeated = description.other_issuers.iter().take(position).any(|own| own == issuer);
        if is_repeated || !is_issuer(issuer) || issuer == policy.issuer() {
            return Err(ResourcesError::Issuer { resource: resource(), issuer: issuer.clone() });
        }
    }
    let checked = description.members.check(Document::Resource);
    checked.map_err(|(member, error)| ResourcesError::Member {
        resource: resource(),
        member,
        error,
    })
}
