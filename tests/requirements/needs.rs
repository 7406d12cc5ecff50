//! RS-18: what an operation needs is checked against the policy when the host starts, and not at a
//! call.

use std::sync::LazyLock;

use grantcore::request::NeedsError;
use grantcore::{Authorization, Needs, Reason};

use crate::support::{MCP, Outcome, World, needs, policy};

#[test]
fn rs_18_a_scope_that_nobody_declared_is_refused_at_the_start() {
    let policy = policy().scope("offline_access", "Stay signed in").build().unwrap();
    for (scope, undeclared) in [
        ("note", "note"),
        ("read note", "note"),
        ("READ", "READ"),
        ("read,write", "read,write"),
        ("read\twrite", "read\twrite"),
        ("a\"b", "a\"b"),
    ] {
        let error = NeedsError::ScopeUndeclared { scope: undeclared.into() };
        assert_eq!(policy.needs(MCP, scope), Err(error));
    }
    assert_eq!(
        policy.needs(MCP, "note").unwrap_err().to_string(),
        "scope 'note' is refused: the policy does not declare it, so that no client could be granted \
         it. Correct it, or declare it with PolicyBuilder::scope()."
    );
    assert_eq!(policy.needs(MCP, "read offline_access"), Err(NeedsError::OfflineAccess));
    assert_eq!(
        NeedsError::OfflineAccess.to_string(),
        "scope 'offline_access' is refused: it asks the authorization server for a refresh token and \
         means nothing to a resource (MCP, Scope Selection Strategy). Leave it out."
    );
}

#[test]
fn rs_18_a_resource_that_is_not_in_the_policy_is_refused_at_the_start() {
    let policy = policy().build().unwrap();
    for resource in ["https://files.example", "https://mcp.example/mcp/", "mcp", ""] {
        let error = NeedsError::ResourceUnknown { resource: resource.into() };
        assert_eq!(policy.needs(resource, "read"), Err(error));
    }
    assert_eq!(
        policy.needs("https://files.example", "").unwrap_err().to_string(),
        "resource 'https://files.example' is refused: the policy has no such resource, so that no \
         token could be for it. Name one of the policy's resources, or add it with \
         PolicyBuilder::resource()."
    );
    // Under the policy's own rule for equal resources.
    assert_eq!(policy.needs("https://MCP.example/mcp", "").unwrap().resource().identifier(), MCP);
}

#[test]
fn rs_18_needs_say_what_they_were_built_of() {
    let policy = policy().build().unwrap();
    let needs = policy.needs(MCP, " write  read write ").unwrap();
    assert_eq!(needs.scopes().collect::<Vec<_>>(), ["write", "read"], "each token once");
    assert_eq!((needs.resource().identifier(), needs.is_billed()), (MCP, false));
    let billed = needs.clone().billed();
    assert!(billed.is_billed() && billed != needs);
    assert_eq!(policy.needs(MCP, "").unwrap().scopes().count(), 0, "any token for the resource");
}

/// A host keeps it wherever it likes: it owns what it names.
#[test]
fn rs_18_needs_outlive_the_policy_that_they_were_built_from() {
    static ADMIN: LazyLock<Needs> = LazyLock::new(|| needs(&policy().build().unwrap(), 0, "admin"));
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    let call = |needs| world.server.check(&Authorization::One(header.as_bytes()), needs).outcome();
    assert_eq!(call(&ADMIN).unwrap_err().reason(), Reason::ScopeInsufficient);
    assert!(call(&needs(world.server.policy(), 0, "read")).is_ok());
}
