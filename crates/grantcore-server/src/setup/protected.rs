//! The scopes and the resources of protected upstreams, and the rules for their paths.

use std::collections::BTreeSet;

use grantcore::policy::{PolicyBuilder, ResourceDescription};

use super::{API_SCOPE, MCP_SCOPE};
use crate::config::{Builtin, Config, Issuer, Place};

/// The first segments of the paths of this server, below the issuer. A test compares them with the
/// routes.
pub(super) const OWN_PATHS: [&str; 9] = [
    "admin",
    "assets",
    "healthz",
    "login",
    "logout",
    "oauth",
    "readyz",
    "settings",
    "troubleshooting",
];

/// Adds the resources of the protected upstreams, and each scope that they need and nobody
/// declares.
pub(super) fn apply(mut policy: PolicyBuilder, config: &Config, issuer: &Issuer) -> PolicyBuilder {
    let (mut known, mut by_default): (BTreeSet<String>, Vec<String>) = match &config.declared {
        Some(declared) => {
            let scopes = declared.scopes.iter().map(|own| &own.value);
            let defaults = scopes.clone().filter(|own| own.default);
            (
                scopes.map(|own| own.name.clone()).collect(),
                defaults.map(|own| own.name.clone()).collect(),
            )
        }
        None => (
            [MCP_SCOPE, API_SCOPE].map(Into::into).into(),
            [MCP_SCOPE, API_SCOPE].map(Into::into).into(),
        ),
    };
    // With no other scope, those of the paths are the only ones that a request can mean.
    let has_default = !by_default.is_empty() || known.is_empty();
    for (_, protect) in config.protected() {
        let resource = protect.resource(issuer);
        let required = protect.required_scope();
        // A table names declared scopes only, so a scope that is not declared is the path's own.
        if protect.scopes.is_empty() && known.insert(required.clone()) {
            policy = policy.scope(&required, format!("Use {}", protect.shown_name()));
            by_default.push(required);
        }
        policy = policy.resource(&resource, &protect.scope());
        if let Some(name) = &protect.name {
            let description = ResourceDescription::default().with_name(name);
            policy = policy.describe_resource(&resource, description);
        }
        if protect.default {
            policy = policy.default_resource(resource);
        }
    }
    if has_default && !by_default.is_empty() {
        policy.default_scope(by_default.join(" "))
    } else {
        policy
    }
}

/// Returns what is wrong with the paths and the resources of the protected upstreams.
pub(crate) fn problems(
    config: &Config,
    issuer: &Issuer,
    builtins: &[(Builtin, String, String)],
) -> Vec<(Option<Place>, String)> {
    let site = issuer.site();
    let builtins = builtins.iter().map(|(builtin, ..)| site.path(builtin.path()));
    let own = OWN_PATHS.iter().map(|own| site.path(&format!("/{own}")));
    // Health is at the root of the server.
    let health = ["/healthz", "/readyz"].map(str::to_owned);
    let taken: Vec<String> = own.chain(builtins).chain(health).collect();
    let declared: Vec<&str> = config
        .declared
        .iter()
        .flat_map(|declared| &declared.resources)
        .map(|own| own.value.url.as_str())
        .collect();
    let mut seen: Vec<(&str, String)> = Vec::new();
    let mut found = Vec::new();
    for (place, protect) in config.protected() {
        let path = protect.path.as_str();
        let resource = protect.resource(issuer);
        let mut refuse = |why: &str| found.push((place, format!("protect `{path}`: {why}")));
        if let Some(taken) = taken.iter().find(|taken| protect.path.overlaps(taken)) {
            refuse(&format!("this server itself answers at {taken}"));
        }
        if seen.iter().any(|(other, _)| protect.path.overlaps(other)) {
            refuse("another protected path is the same, or is above or below it");
        }
        let is_taken = seen.iter().any(|(_, other)| *other == resource);
        if is_taken || declared.contains(&resource.as_str()) {
            refuse(&format!("the resource {resource} is declared already"));
        }
        let is_plain = !resource.contains(['?', '#']);
        if protect.resource.is_some() && (url::Url::parse(&resource).is_err() || !is_plain) {
            refuse("the resource must be a URL without query and fragment");
        }
        if protect.machines && protect.max_age.is_some() {
            refuse("max_age is for calls of users, and machines = true admits calls without one");
        }
        if protect.ca_file.is_some() && !protect.upstream.is_https() {
            refuse("ca_file is for an https upstream");
        }
        seen.push((path, resource));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// Returns the first problem of these values of `--protect`.
    fn problem(issuer: &str, values: &str) -> Option<String> {
        let arguments = ["grantcore-server", "--issuer", issuer, "--protect", values];
        let config = Config::load(arguments).unwrap();
        let plan = Plan::of(&config, config.listen);
        plan.err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn a_path_of_this_server_or_of_another_upstream_is_refused() {
        let at_root = "http://127.0.0.1:8080";
        let below = "http://127.0.0.1:8080/auth";
        for (issuer, values, expected) in [
            (at_root, "/notes=http://a,/files=https://b/x", None),
            (at_root, "/login=http://a", Some("this server itself answers at /login")),
            (at_root, "/oauth/x=http://a", Some("this server itself answers at /oauth")),
            (at_root, "/mcp=http://a", Some("this server itself answers at /mcp")),
            (at_root, "/loginx=http://a", None),
            (at_root, "/a=http://a,/a=http://b", Some("another protected path is the same")),
            (at_root, "/a=http://a,/a/b=http://b", Some("or is above or below it")),
            (below, "/login=http://a", None),
            (below, "/auth=http://a", Some("this server itself answers at /auth/")),
            (below, "/auth/login=http://a", Some("this server itself answers at /auth/login")),
            (below, "/auth/notes=http://a", None),
            (below, "/readyz=http://a", Some("this server itself answers at /readyz")),
        ] {
            let found = problem(issuer, values);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) if found.contains(expected) => {}
                _ => panic!("{values}: {found:?}, and not {expected:?}"),
            }
        }
    }

    /// A path of the server that is not in the list could be taken by an upstream.
    #[test]
    fn every_route_of_this_server_is_taken() {
        let routes = [include_str!("../routes.rs"), include_str!("../routes/health.rs")];
        let mut seen = 0;
        for route in routes.iter().flat_map(|code| code.split("\"/").skip(1)) {
            let path = route.split(['"', '/']).next().unwrap();
            // A slash as a text, and the front page.
            if !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_lowercase()) {
                assert!(OWN_PATHS.contains(&path), "/{path} is a route of the server");
                seen += 1;
            }
        }
        assert!(seen > 15, "only {seen} routes were found");
    }
}
