//! What a client proved itself with.

use std::fmt;

use serde::Serialize;

use crate::client::UsedSecret;
use crate::value::auth_method::SecretMethod;

/// What the client of a step proved itself with. It serializes to one flat object, such as
/// `{"method":"client_secret_basic","secret":"retiring"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
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
}

/// The method, and in brackets which secret it was, such as `client_secret_basic (retiring)`.
impl fmt::Display for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { method, secret } => write!(f, "{method} ({secret})"),
        }
    }
}
