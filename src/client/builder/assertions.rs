//! Whether the operator lets a client exchange assertions.

use super::ClientBuilder;
use crate::client::{Authentication, ClientError};

impl ClientBuilder {
    /// Sets whether the client may exchange the assertions of the policy's identity providers for
    /// tokens of their users (ID-JAG). Default: `false`. An issuer's rules can
    /// [name](crate::policy::IdJag::with_client) a client as well.
    ///
    /// It is for a client that proves itself. No registration, update or document of the client
    /// changes it. A client of the operator with this right needs no redirect URI.
    pub fn assertions(mut self, allow: bool) -> Self {
        self.assertions = allow;
        self
    }

    /// Checks that only a client that proves itself has the right.
    pub(super) fn check_assertions(&self) -> Result<(), ClientError> {
        let is_proved = matches!(self.authentication, Authentication::Confidential { .. });
        if self.assertions && !is_proved { Err(ClientError::AssertionsUnproved) } else { Ok(()) }
    }
}
