//! How a client authenticates at the token endpoint, and the names of the ways in metadata.

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a confidential client sends its secret (OAuth 2.1 §2.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecretMethod {
    /// `client_secret_basic`: in the `Authorization` header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// `client_secret_post`: in the form body.
    #[serde(rename = "client_secret_post")]
    Post,
}

/// How a client authenticates (`token_endpoint_auth_method`, RFC 7591 §2).
/// In records it is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthMethod {
    None,
    Secret(SecretMethod),
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 3] =
        [Self::None, Self::Secret(SecretMethod::Basic), Self::Secret(SecretMethod::Post)];

    /// Those that prove most come first.
    pub(crate) const STRONGEST_FIRST: [Self; 3] =
        [Self::Secret(SecretMethod::Basic), Self::Secret(SecretMethod::Post), Self::None];

    /// Its name in metadata.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Secret(SecretMethod::Basic) => "client_secret_basic",
            Self::Secret(SecretMethod::Post) => "client_secret_post",
        }
    }

    /// The method of this name, if the crate knows it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl Serialize for AuthMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for AuthMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            de::Error::invalid_value(Unexpected::Str(&name), &"the name of an auth method")
        })
    }
}
