//! What access tokens are for, and what they allow: the protected resources and scopes of a policy.

/// A protected resource: an API that access tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub(crate) identifier: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) metadata_url: String,
}

impl Resource {
    /// Returns the resource identifier (RFC 8707 §2; RFC 9728 §1.2): an absolute URI, best the
    /// exact URL that clients call.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// Returns the scope tokens that the resource advertises (`scopes_supported`, RFC 9728 §2).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Returns the URL of the resource's metadata document (RFC 9728 §3).
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }
}

/// A scope token of the policy, and what it means to the user who is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeInfo {
    pub(crate) name: String,
    pub(crate) description: String,
}

impl ScopeInfo {
    /// Returns the scope token.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the scope lets a client do, in words for the user.
    pub fn description(&self) -> &str {
        &self.description
    }
}
