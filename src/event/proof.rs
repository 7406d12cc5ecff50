//! What a client proved itself with.

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
