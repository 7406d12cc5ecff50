//! What a client may do on its own behalf (OAuth 2.1 §4.2). It comes from the operator alone:
//! nothing that a client registers or publishes creates or widens it (I41).

use serde::{Deserialize, Deserializer, Serialize, de};

use super::scope::Scope;

/// The most resources of one right: a token keeps which of them it is for as the bits of one word.
pub(crate) const MAX_RESOURCES: usize = 64;

/// The scope and the resources that a client may have on its own behalf, without a user
/// (`client_credentials`, OAuth 2.1 §4.2).
///
/// ```
/// use grantcore::client::StoredSecret;
/// use grantcore::value::{Digest, MachineRights};
/// use grantcore::Client;
///
/// let rights = MachineRights::new("jobs:run jobs:read".parse()?).at("https://mcp.example/mcp");
/// let secret = StoredSecret::Digest(Digest::of(b"256 random bits as text"));
/// let nightly = Client::machine("nightly", secret, rights).build()?;
/// assert!(nightly.machine_rights().is_some() && nightly.redirect_uris().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineRights {
    scope: Scope,
    resources: Reach,
}

/// The resources of a right.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    /// Every resource of the policy.
    All,
    /// These resources, at least one.
    #[serde(deserialize_with = "some_resources")]
    Only(Vec<Box<str>>),
}

impl MachineRights {
    /// Makes the right to this scope, at every resource of the policy.
    pub fn new(scope: Scope) -> Self {
        Self { scope, resources: Reach::All }
    }

    /// Adds a resource. The right is then for the added resources alone. Default: every resource of
    /// the policy. A [template](crate::policy::PolicyBuilder::resource) stands for each of its
    /// resources.
    #[must_use = "the right with the resource is the one returned"]
    pub fn at(mut self, resource: impl Into<String>) -> Self {
        let resource = resource.into().into_boxed_str();
        match &mut self.resources {
            Reach::Only(named) if named.contains(&resource) => {}
            Reach::Only(named) => named.push(resource),
            all @ Reach::All => *all = Reach::Only(vec![resource]),
        }
        self
    }

    /// Returns the widest scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Returns the resources, or `None` for every resource of the policy.
    pub fn resources(&self) -> Option<impl Iterator<Item = &str>> {
        self.only().map(|named| named.iter().map(|resource| &**resource))
    }

    pub(crate) fn only(&self) -> Option<&[Box<str>]> {
        match &self.resources {
            Reach::All => None,
            Reach::Only(named) => Some(named),
        }
    }
}

fn some_resources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<str>>, D::Error> {
    let named = Vec::<Box<str>>::deserialize(deserializer)?;
    let is_repeated =
        |at: usize| named.iter().take(at).any(|earlier| Some(earlier) == named.get(at));
    match named.len() {
        0 => Err(de::Error::custom("a right names at least one resource")),
        count if count > MAX_RESOURCES => {
            Err(de::Error::custom("a right names at most 64 resources"))
        }
        count if (0..count).any(is_repeated) => {
            Err(de::Error::custom("a right names each resource once"))
        }
        _ => Ok(named),
    }
}
