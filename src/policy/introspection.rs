//! Which resource servers can ask about tokens (RFC 7662).

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
    /// Each caller's `client_id`, with a resource that it can ask about.
    pub(super) callers: Vec<(String, String)>,
}

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
        self.callers.push((client_id.into(), resource.into()));
        self
    }

    /// Returns the identifiers of the resources that a client can ask about.
    pub(crate) fn resources_of<'a>(&'a self, client_id: &'a str) -> impl Iterator<Item = &'a str> {
        self.callers
            .iter()
            .filter(move |(client, _)| client == client_id)
            .map(|(_, resource)| resource.as_str())
    }
}
