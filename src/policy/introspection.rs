//! Who may ask about tokens (RFC 7662).

/// The rules of the introspection endpoint: which client asks for which resource. A resource server
/// is a client with a secret; it needs no redirect URI and no scope, and never sees a token that is
/// not for a resource of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntrospectionRules {
    pub(super) callers: Vec<(String, String)>,
}

impl IntrospectionRules {
    /// Nobody may ask yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets this client ask about tokens for this resource. A client can have several.
    #[must_use = "the rules with the caller are the ones returned"]
    pub fn resource_server(
        mut self,
        client_id: impl Into<String>,
        resource: impl Into<String>,
    ) -> Self {
        self.callers.push((client_id.into(), resource.into()));
        self
    }

    /// The identifiers of the resources that a client may ask about.
    pub(crate) fn resources_of<'a>(&'a self, client_id: &'a str) -> impl Iterator<Item = &'a str> {
        self.callers
            .iter()
            .filter(move |(client, _)| client == client_id)
            .map(|(_, resource)| resource.as_str())
    }
}
