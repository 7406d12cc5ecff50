//! Which resource servers can ask about tokens (RFC 7662).

use super::Policy;

/// The rules of the introspection endpoint: which client asks for which resource.
///
/// A resource server is a client with a secret. It needs no redirect URI and no scope, and learns
/// nothing of a token that is not for one of its resources.
///
/// ```
/// let rules = grantcore::policy::IntrospectionRules::default()
///     .with_resource_server("files-server", "https://files.example");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct IntrospectionRules {
    pub(super) callers: Vec<IntrospectionCaller>,
    /// The member of the response that has the properties of the grant.
    pub(super) properties: Option<String>,
}

/// A client that can ask about the tokens for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IntrospectionCaller {
    pub(super) client_id: String,
    pub(super) resource: String,
}

/// Members of the response that this crate writes or that are registered for it (RFC 7662 §2.2;
/// RFC 9449 §6.2; RFC 9470 §6.2; RFC 8693 §4; RFC 9396 §9.2).
const RESERVED: [&str; 18] = [
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "nbf",
    "sub",
    "aud",
    "iss",
    "jti",
    "cnf",
    "auth_time",
    "acr",
    "act",
    "may_act",
    "authorization_details",
];

impl IntrospectionRules {
    /// Lets this client ask about tokens for this resource of the policy. Default: no client can,
    /// and a policy without any is refused. A client can have several resources.
    ///
    /// The client learns the subject, the client and the scope of each token that it presents
    /// (RFC 7662 §5).
    pub fn with_resource_server(
        mut self,
        client_id: impl Into<String>,
        resource: impl Into<String>,
    ) -> Self {
        let caller = IntrospectionCaller { client_id: client_id.into(), resource: resource.into() };
        self.callers.push(caller);
        self
    }

    /// Shows the properties of a grant ([`ConsentDecision::with_properties`]) as this member of the
    /// response. Default: they are not shown. The name must not be one of the protocol's.
    ///
    /// Every resource server that may introspect then reads all of them (RFC 7662 §5): bind nothing
    /// to a grant that one of them must not know.
    ///
    /// [`ConsentDecision::with_properties`]: crate::request::ConsentDecision::with_properties
    pub fn with_properties(mut self, member: impl Into<String>) -> Self {
        self.properties = Some(member.into());
        self
    }

    /// Returns the name of the member that has the properties of the grant.
    pub(crate) fn properties(&self) -> Option<&str> {
        self.properties.as_deref()
    }

    /// Returns whether the member of the properties has a name that the protocol uses, or none.
    pub(super) fn is_reserved(member: &str) -> bool {
        member.is_empty() || RESERVED.contains(&member)
    }

    /// Returns the identifiers of the resources that a client can ask about.
    pub(crate) fn resources_of<'a>(&'a self, client_id: &'a str) -> impl Iterator<Item = &'a str> {
        self.callers
            .iter()
            .filter(move |caller| caller.client_id == client_id)
            .map(|caller| caller.resource.as_str())
    }
}

impl Policy {
    /// Returns the URL of the introspection endpoint (RFC 7662 §2), or `None` if introspection is
    /// off.
    pub fn introspection_endpoint(&self) -> Option<&str> {
        self.introspection.as_ref().map(|_| self.introspection_endpoint.as_str())
    }

    /// Returns which resource servers can ask about tokens, or `None` if none can.
    pub fn introspection(&self) -> Option<&IntrospectionRules> {
        self.introspection.as_ref()
    }
}
