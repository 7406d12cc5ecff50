//! What the operator imposes on a client. The record keeps it apart from the registration, so that
//! no update or document of the client changes it (I47).
//!
//! A client may use what it registered for, within its restrictions and within the policy. The
//! module also computes the scope of a client.

use serde::{Deserialize, Serialize};

use super::{Client, ClientError, Registration};
use crate::policy::{Policy, RegisteredScope, ScopeInfo};
use crate::value::auth_method::AuthMethod;
use crate::value::grant_types::GrantTypes;
use crate::value::scope::Scope;

/// The limits that the operator set on a client. [`Client::edit`](super::Client::edit) sets them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restrictions {
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) scope: Option<Scope>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) grant_types: Option<GrantTypes>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) auth_method: Option<AuthMethod>,
}

/// Refuses refresh tokens without codes.
pub(super) fn check_grant_types(types: GrantTypes) -> Result<(), ClientError> {
    if types.refresh_token && !types.authorization_code {
        return Err(ClientError::GrantTypes);
    }
    Ok(())
}

impl Restrictions {
    /// Returns the widest scope that the client may ask for, or `None` if the operator set none.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Returns the grant types that the client may use at most, or `None` if the operator set no
    /// limit.
    pub fn grant_types(&self) -> Option<GrantTypes> {
        self.grant_types
    }

    /// Returns the `token_endpoint_auth_method` that the client must use, or `None` if it may
    /// choose.
    pub fn auth_method(&self) -> Option<&'static str> {
        self.auth_method.map(AuthMethod::name)
    }

    /// Returns whether the operator set no limit at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses grant types that cannot be used.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        self.grant_types.map_or(Ok(()), check_grant_types)
    }

    pub(crate) fn imposed_method(&self) -> Option<AuthMethod> {
        self.auth_method
    }
}

/// The limits of the scope that a client may ask for.
pub(crate) struct ScopeLimits<'a> {
    each: [Option<&'a Scope>; 3],
    policy: &'a Policy,
}

impl ScopeLimits<'_> {
    /// Returns whether every scope token of the policy is within the limits.
    pub(crate) fn are_none(&self) -> bool {
        self.each.iter().all(Option::is_none) && !self.policy.has_scopes_for_machines()
    }

    /// Returns whether the scope token is within the limits.
    pub(crate) fn admit(&self, token: &str) -> bool {
        let mut limits = self.each.iter().flatten();
        self.policy.is_for_people(token)
            && limits.all(|allowed| self.policy.is_within(allowed, token))
    }
}

impl Client {
    /// Returns the scope that the client may request, with spaces between its tokens. Without a
    /// limit, the client may request every scope of the policy.
    pub(crate) fn scope_under(&self, policy: &Policy) -> String {
        let named: Vec<_> = match self.scope() {
            Some(scope) => scope.tokens().collect(),
            None => policy.scopes().iter().map(ScopeInfo::name).collect(),
        };
        let open = named.into_iter().filter(|token| self.may_ask_for(token, policy));
        open.collect::<Vec<_>>().join(" ")
    }

    /// Returns whether the client may ask for a scope token. The token must lie within the
    /// registered scope where that is a limit, within the restrictions and, unless the operator
    /// registered the client, within the policy's scope for such clients, which may have been
    /// narrowed since the registration.
    pub(crate) fn may_ask_for(&self, token: &str, policy: &Policy) -> bool {
        self.scope_limits(policy).admit(token)
    }

    /// Returns the limits of what the client may ask for.
    pub(crate) fn scope_limits<'a>(&'a self, policy: &'a Policy) -> ScopeLimits<'a> {
        let ceiling =
            policy.unverified_scope().filter(|_| self.registration() != Registration::Operator);
        let registered = match self.default_scope(policy) {
            Some(_) => None,
            None => self.scope(),
        };
        ScopeLimits { each: [registered, self.0.restrictions.scope(), ceiling], policy }
    }

    /// Returns the registered scope if it is the default of a request without a scope. The scope of
    /// a client of the operator is always a limit.
    pub(crate) fn default_scope(&self, policy: &Policy) -> Option<&Scope> {
        let is_default = policy.registered_scope() == RegisteredScope::Default
            && self.registration() != Registration::Operator;
        self.scope().filter(|_| is_default)
    }
}
