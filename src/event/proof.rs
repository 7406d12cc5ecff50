//! What a client proved itself with.

use std::fmt;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::client::UsedSecret;
use crate::value::auth_method::{PRIVATE_KEY_JWT, SecretMethod};
use crate::value::text::LogWord;

/// The credential that the client of a step proved itself with. It serializes to one flat object,
/// such as `{"method":"client_secret_basic","secret":"retiring"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientProof {
    /// A client secret.
    Secret {
        /// How it was sent.
        method: SecretMethod,
        /// Which of the client's secrets it was. After a rotation, it shows whether the former one
        /// is still in use.
        secret: UsedSecret,
    },
    /// A key (`private_key_jwt`).
    Key {
        /// The name of the key, if the assertion had one: escaped, cut at 256 bytes.
        kid: Option<Box<str>>,
    },
}

/// Serializes one flat object.
impl Serialize for ClientProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        match self {
            Self::Secret { method, secret } => {
                members.serialize_entry("method", method.as_str())?;
                members.serialize_entry("secret", secret)?;
            }
            Self::Key { kid } => {
                members.serialize_entry("method", PRIVATE_KEY_JWT)?;
                if let Some(kid) = kid {
                    members.serialize_entry("kid", kid)?;
                }
            }
        }
        members.end()
    }
}

/// The method, and in brackets which secret or key it was, such as `client_secret_basic
/// (retiring)`.
impl fmt::Display for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { method, secret } => write!(f, "{method} ({secret})"),
            Self::Key { kid: Some(kid) } => write!(f, "{PRIVATE_KEY_JWT} ({})", LogWord(kid)),
            Self::Key { kid: None } => f.write_str(PRIVATE_KEY_JWT),
        }
    }
}
