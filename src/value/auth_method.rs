//! How a client authenticates at the token endpoint, and the names of the ways in metadata.

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthMethod {
    None,
    Secret(SecretMethod),
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 3] =
        [Self::None, Self::Secret(SecretMethod::Basic), Self::Secret(SecretMethod::Post)];

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
