//! Whether a client may exchange assertions.

use super::Client;

impl Client {
    /// Returns whether the operator's record lets the client exchange the assertions of every
    /// identity provider that the policy trusts
    /// ([`ClientBuilder::assertions`](super::ClientBuilder::assertions)).
    pub fn may_use_assertions(&self) -> bool {
        self.0.kind.may_use_assertions()
    }
}
