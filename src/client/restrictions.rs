//! What the operator imposes on a client: a fact of its own in the record, which no registration,
//! update or document of the client changes (I47).
//!
//! What holds for a client is what it registered for, within these and within the policy.

use serde::{Deserialize, Serialize};

use crate::value::auth_method::AuthMethod;
use crate::value::grant_types::GrantTypes;
use crate::value::scope::Scope;

/// The limits that an operator set on a client that registered itself or is known by a document.
/// Set by [`Client::edit`](super::Client::edit).
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

impl Restrictions {
    /// Returns the most that the client may ask for, or `None` if the operator set no ceiling.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Returns the grant types that the client may use at most, or `None` if the operator named
    /// none.
    pub fn grant_types(&self) -> Option<GrantTypes> {
        self.grant_types
    }

    /// Returns the `token_endpoint_auth_method` that the client must use, or `None` if it may choose.
    pub fn auth_method(&self) -> Option<&'static str> {
        self.auth_method.map(AuthMethod::name)
    }

    /// Returns whether the operator restricted nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn imposed_method(&self) -> Option<AuthMethod> {
        self.auth_method
    }
}
