//! The meaning of a registration's scope, and the test whether a scope token is within a scope.

use super::{Policy, Resource};
use crate::value::scope::Scope;

/// The meaning of the scope in a registration or in a client's document (RFC 7591 §2). It applies
/// to clients that the operator did not register.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{RegisteredScope, RegistrationRules};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes:read", "Read your notes")
///     .scope("notes:write", "Change and delete your notes")
///     .resource("https://mcp.example/mcp", "notes:read notes:write")
///     .registration(RegistrationRules::default())
///     // A client that registered with the scope of its first challenge can ask for more later.
///     .registered_scope(RegisteredScope::Default)
///     .build()?;
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegisteredScope {
    /// The client can ask for this scope and for no other. A client that registers with the scope
    /// of its first challenge cannot step up (MCP, Step-Up Authorization Flow): it must register
    /// again, without a scope or with all that it will need.
    #[default]
    Limit,
    /// A request without a scope gets this scope, and a request can ask for more:
    /// [`unverified_scope`](super::PolicyBuilder::unverified_scope), the operator's
    /// [restrictions](crate::client::Restrictions) and the user's consent are the limits.
    Default,
}

impl Policy {
    /// Returns what the scope of a registration means.
    pub fn registered_scope(&self) -> RegisteredScope {
        self.registered_scope
    }

    /// Returns whether the scope has this token or one that includes it. A holder of the wider
    /// token has the narrower one already.
    pub(crate) fn is_within(&self, scope: &Scope, token: &str) -> bool {
        scope.contains(token) || scope.tokens().any(|own| self.implies(own, token))
    }
}

impl Resource {
    /// Returns whether the token may mean something at this resource: the resource declares it or a
    /// token that it includes, declares none at all, or no resource declares the token. A resource
    /// need not advertise every scope that it uses (RFC 9728 §2).
    pub(crate) fn understands(&self, token: &str, policy: &Policy) -> bool {
        let declares = |own: &Resource| own.scopes.iter().any(|own| own == token);
        self.scopes.is_empty()
            || declares(self)
            || self.scopes().any(|own| policy.implies(token, own))
            || !policy.resources().iter().any(declares)
    }
}
