//! What a client may ask the token endpoint for (OAuth 2.1 §1.3).

use serde::{Deserialize, Serialize};

/// The grant types a client registered for. Every client may redeem codes unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantTypes {
    /// `authorization_code`.
    pub authorization_code: bool,
    /// `refresh_token`: without it, no refresh token is issued (OAuth 2.1 §3.2.3).
    pub refresh_token: bool,
}

impl GrantTypes {
    /// The grant types that are in both.
    pub(crate) fn within(self, other: Self) -> Self {
        Self {
            authorization_code: self.authorization_code && other.authorization_code,
            refresh_token: self.refresh_token && other.refresh_token,
        }
    }
}
