//! What the metadata document of a resource says beside what the policy needs (RFC 9728 §2).

use serde::Serialize;

use super::members::Members;

/// The description of a resource for its metadata document.
///
/// Anybody can read the document. Nothing in it is checked against the resource itself.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::ResourceDescription;
///
/// let notes = ResourceDescription::default()
///     .with_name("Notes")
///     .with_member("resource_name#de", "Notizen")
///     .with_documentation("https://notes.example/docs")
///     .also_issued_by("https://login.example");
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .describe_resource("https://mcp.example/mcp", notes)
///     .build()?;
/// let document = policy.resource_metadata(&policy.resources()[0]);
/// assert!(document.body.contains(r#""resource_name":"Notes""#));
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a description does nothing until a policy is built with it"]
pub struct ResourceDescription {
    pub(crate) name: Option<String>,
    pub(crate) documentation: Option<String>,
    pub(crate) policy_uri: Option<String>,
    pub(crate) tos_uri: Option<String>,
    pub(crate) members: Members,
    pub(crate) other_issuers: Vec<String>,
}

impl ResourceDescription {
    /// Sets `resource_name`, the name of the resource for people. Default: none.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Sets `resource_documentation`, an `https` URL for developers. Default: none.
    pub fn with_documentation(self, url: impl Into<String>) -> Self {
        Self { documentation: Some(url.into()), ..self }
    }

    /// Sets `resource_policy_uri`, an `https` URL with the rules for the use of data. Default:
    /// none.
    pub fn with_policy_uri(self, url: impl Into<String>) -> Self {
        Self { policy_uri: Some(url.into()), ..self }
    }

    /// Sets `resource_tos_uri`, an `https` URL with the terms of service. Default: none.
    pub fn with_tos_uri(self, url: impl Into<String>) -> Self {
        Self { tos_uri: Some(url.into()), ..self }
    }

    /// Adds a member, such as `resource_name#de`, which is the name in another language (RFC 9728
    /// §2.1). A member that the document has from other settings is refused when the policy is
    /// built. Default: none.
    pub fn with_member(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.members.add(name.into(), &value);
        self
    }

    /// Adds an authorization server whose tokens the resource accepts, after this one in
    /// `authorization_servers`. Default: none.
    ///
    /// This server accepts no token of that server. The resource itself must check such tokens, and
    /// a client may send its user to either server.
    pub fn also_issued_by(mut self, issuer: impl Into<String>) -> Self {
        self.other_issuers.push(issuer.into());
        self
    }

    /// Returns the URLs of pages, each with the name of its member.
    pub(super) fn pages(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("resource_documentation", &self.documentation),
            ("resource_policy_uri", &self.policy_uri),
            ("resource_tos_uri", &self.tos_uri),
        ]
        .into_iter()
        .filter_map(|(name, url)| Some((name, url.as_deref()?)))
    }
}
