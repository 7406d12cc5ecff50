//! The methods of client authentication at the token endpoint, and their names in metadata.

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names::impl_name_texts;

/// The place where a confidential client sends its secret (OAuth 2.1 §2.4.1).
///
/// ```
/// use grantcore::value::SecretMethod;
///
/// let method: SecretMethod = "client_secret_post".parse()?;
/// assert_eq!((method, method.as_str()), (SecretMethod::Post, "client_secret_post"));
/// # Ok::<(), grantcore::value::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "OAuth 2.1 defines these two ways to send a secret")]
pub enum SecretMethod {
    /// `client_secret_basic`: in the `Authorization` header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// `client_secret_post`: in the form body.
    #[serde(rename = "client_secret_post")]
    Post,
}

impl SecretMethod {
    /// Every method.
    pub const ALL: &'static [Self] = &[Self::Basic, Self::Post];

    /// Returns the name of the method in metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}

impl_name_texts!(SecretMethod, as_str, "a method of sending a client secret");

/// The name of the method by keys in metadata.
pub(crate) const PRIVATE_KEY_JWT: &str = "private_key_jwt";

/// A value of `token_endpoint_auth_method` (RFC 7591 §2). Records keep its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthMethod {
    None,
    Secret(SecretMethod),
    PrivateKeyJwt,
}

impl AuthMethod {
    pub(crate) const ALL: [Self; 4] = [
        Self::None,
        Self::Secret(SecretMethod::Basic),
        Self::Secret(SecretMethod::Post),
        Self::PrivateKeyJwt,
    ];

    /// All methods, those that prove most first.
    pub(crate) const STRONGEST_FIRST: [Self; 4] = [
        Self::PrivateKeyJwt,
        Self::Secret(SecretMethod::Basic),
        Self::Secret(SecretMethod::Post),
        Self::None,
    ];

    /// Returns the name of the method in metadata.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Secret(method) => method.as_str(),
            Self::PrivateKeyJwt => PRIVATE_KEY_JWT,
        }
    }

    /// Returns the method of this name, or `None` if the crate does not support it.
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
