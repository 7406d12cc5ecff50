//! Settings of scopes and resources: what access tokens allow, and where.

use super::PolicyBuilder;
use crate::policy::{Resource, ResourceDescription, ScopeFor, ScopeInfo};

/// # Scopes and resources
///
/// What access tokens allow, and at which resources. A policy has at least one resource.
///
/// ```
/// let policy = grantcore::Policy::builder("https://auth.example")
///     .scope("notes:read", "Read your notes")
///     .scope("notes:write", "Change and delete your notes")
///     .scope_implies("notes:write", "notes:read")
///     .default_scope("notes:read")
///     .resource("https://mcp.example/mcp", "notes:read notes:write")
///     .resource("https://api.example/v1", "notes:read")
///     .default_resource("https://mcp.example/mcp")
///     .build()?;
/// assert!(policy.implies("notes:write", "notes:read"));
/// assert_eq!(policy.resources().len(), 2);
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Declares a scope token (OAuth 2.1 §1.4.1), with the description that the consent page shows.
    /// Default: the policy has no scopes.
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.policy.scopes.push(ScopeInfo {
            name: name.into(),
            description: description.into(),
            of: ScopeFor::default(),
        });
        self
    }

    /// Sets who can be granted a declared scope token. Default: [`ScopeFor::Both`], a user and, if
    /// the operator's record of it says so, a client on its own behalf.
    pub fn scope_for(mut self, name: impl Into<String>, of: ScopeFor) -> Self {
        self.scope_marks.push((name.into(), of));
        self
    }

    /// Declares that one scope token includes another, for example `admin` includes `read`.
    /// Inclusion is transitive. Default: none includes another.
    ///
    /// A resource that checks an access token accepts a wider token in place of a narrower one. The
    /// token response and the consent page list no narrower token that was not requested. So a user
    /// who has allowed the wider token is not asked again for a narrower one (MCP, Step-Up
    /// Authorization Flow).
    ///
    /// A client whose limit has the wider token can request the narrower one. A user can approve
    /// the narrower one in place of the wider one. A refresh that requests a narrower one gets the
    /// granted token that includes it.
    pub fn scope_implies(mut self, scope: impl Into<String>, included: impl Into<String>) -> Self {
        self.policy.implied.push((scope.into(), included.into()));
        self
    }

    /// Sets the scope of an authorization request that names none, as tokens separated by spaces.
    /// Default: such a request is refused (OAuth 2.1 §1.4.1).
    ///
    /// A wide default grants clients more than they need.
    pub fn default_scope(mut self, tokens: impl Into<String>) -> Self {
        self.default_scope = Some(tokens.into());
        self
    }

    /// Sets whether unknown scope tokens are left out of a request instead of refused. Default:
    /// `false`.
    ///
    /// The token response contains the scope that is left (OAuth 2.1 §3.2.3). A client that ignores
    /// it assumes that its whole request was granted.
    pub fn drop_unknown_scopes(mut self, drop: bool) -> Self {
        self.policy.drop_unknown_scopes = drop;
        self
    }

    /// Adds a protected resource. `identifier` is its resource identifier (RFC 8707 §2; RFC 9728
    /// §1.2), an `https` URL without a fragment. `scopes` are the scope tokens that its metadata
    /// lists, separated by spaces. Default: none, and a policy without a resource is refused. At
    /// most 64.
    ///
    /// The default scope of a request is cut to the tokens that its resources understand, and the
    /// request is refused if none is left. A scope that a request names beside resources is cut as
    /// well, but not to nothing. A resource understands the tokens that it lists, wider tokens that
    /// include one of these, and tokens that no resource lists. A resource that lists no scope, and
    /// the only resource of a policy, understand all tokens.
    ///
    /// # Templates
    ///
    /// An identifier with up to four variables in braces is a template: one resource for each
    /// value. A variable is one whole label of the host or one whole segment of the path, as in
    /// `https://{org}.example.com/mcp` and `https://mcp.example.com/{org}/mcp`. In the host, it
    /// takes letters, digits and inner hyphens, in lower case; in the path, 1 to 64 letters, digits
    /// and `-._~`. Grants, tokens and documents name the concrete resource, and a token for one is
    /// good at no other. One grant names at most one resource of a template. A request that names
    /// no resource never means a template.
    ///
    /// A request can name a tenant that does not exist, and a user can approve one that they do not
    /// belong to: such a token is refused by nobody but the resource. Refuse strangers at the
    /// consent page, by its [`resource_variables`](crate::ConsentPage::resource_variables). Every
    /// name that matches the host must be the operator's own.
    pub fn resource(mut self, identifier: impl Into<String>, scopes: &str) -> Self {
        self.policy.resources.push(Resource::declared(identifier.into(), scopes));
        self
    }

    /// Describes a resource in its metadata document. `identifier` is as in
    /// [`resource`](Self::resource), byte for byte. Default: the document has what clients need,
    /// and no name.
    pub fn describe_resource(
        mut self,
        identifier: impl Into<String>,
        description: ResourceDescription,
    ) -> Self {
        self.descriptions.push((identifier.into(), description));
        self
    }

    /// Sets whether a variable in the host of a resource takes international names in their ASCII
    /// form (`xn--…`). Default: `false`.
    ///
    /// Such names can look like those of other tenants.
    pub fn punycode_tenants(mut self, allow: bool) -> Self {
        self.punycode_tenants = allow;
        self
    }

    /// Sets the resource of an authorization request that names none. Default: the only resource;
    /// with several, such a request is refused.
    ///
    /// With a default among several resources, a client that leaves `resource` out can get a token
    /// for another resource than it needs (RFC 8707 §2).
    pub fn default_resource(mut self, identifier: impl Into<String>) -> Self {
        self.policy.default_resource = Some(identifier.into());
        self
    }

    /// Sets whether authorization requests without a resource are refused, even if the policy has a
    /// default or only one resource (RFC 8707 §2). Default: `false`.
    pub fn require_resource(mut self, require: bool) -> Self {
        self.policy.require_resource = require;
        self
    }
}
