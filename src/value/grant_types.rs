//! The grant types of the token endpoint (OAuth 2.1 §1.3), and those of the code flow that a client
//! registered.

use serde::{Deserialize, Serialize};

use super::names::named_enum;

named_enum! {
    /// A value of `grant_type` that this crate supports (OAuth 2.1 §3.2.2).
    ///
    /// ```
    /// use grantcore::value::GrantType;
    ///
    /// let grant_type: GrantType = "refresh_token".parse()?;
    /// assert_eq!(grant_type, GrantType::RefreshToken);
    /// assert_eq!(grant_type.to_string(), "refresh_token");
    /// # Ok::<(), grantcore::value::NameError>(())
    /// ```
    pub enum GrantType, as_str, "a grant type" {
        /// Redeems an authorization code (OAuth 2.1 §4.1.3).
        AuthorizationCode = "authorization_code",
        /// Rotates a refresh token (OAuth 2.1 §4.3).
        RefreshToken = "refresh_token",
        /// Gives a client access on its own behalf (OAuth 2.1 §4.2).
        ClientCredentials = "client_credentials",
        /// Exchanges an assertion of a trusted issuer (RFC 7523 §2.1).
        JwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer",
    }
}

/// The grant types of the code flow that a client registered. What a client may do on its own
/// behalf is in its [`machine_rights`](crate::Client::machine_rights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a caller that left out a grant type would lose it")]
pub struct GrantTypes {
    /// `authorization_code`.
    pub authorization_code: bool,
    /// `refresh_token`. Without it, the client gets no refresh tokens (OAuth 2.1 §3.2.3).
    pub refresh_token: bool,
}

impl GrantTypes {
    /// Returns whether the set contains this grant type.
    pub const fn contains(self, grant_type: GrantType) -> bool {
        match grant_type {
            GrantType::AuthorizationCode => self.authorization_code,
            GrantType::RefreshToken => self.refresh_token,
            GrantType::ClientCredentials | GrantType::JwtBearer => false,
        }
    }

    /// Returns the grant types of the set.
    pub fn iter(self) -> impl Iterator<Item = GrantType> {
        GrantType::ALL.iter().copied().filter(move |grant_type| self.contains(*grant_type))
    }

    /// Returns the grant types that are in both sets.
    pub(crate) fn within(self, other: Self) -> Self {
        Self {
            authorization_code: self.authorization_code && other.authorization_code,
            refresh_token: self.refresh_token && other.refresh_token,
        }
    }
}
