//! The revocation request (RFC 7009 §2.1): the client's credentials and the token to revoke.

use std::fmt;

use super::parts::RequestParts;
use super::token::Credentials;
use super::token_form::TokenForm;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::value::credential::{Credential, Kind, RefreshCredential};

/// A request to revoke a token. `token_type_hint` is ignored, because the prefix of a token names
/// its type.
pub struct RevocationRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) token: Result<RevocableToken, Reason>,
}

/// The token of a revocation.
pub(crate) enum RevocableToken {
    Refresh(RefreshCredential),
    Access(Credential),
    /// No token of this server. The request succeeds as if the token had expired (RFC 7009 §2.2).
    Unknown,
}

impl<'a> RevocationRequest<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] if the request cannot be read, or does not identify its client in exactly one
    /// way.
    pub fn parse(request: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        let form = TokenForm::read(request, policy)
            .map_err(|fault| Refusal::of(fault, Endpoint::Revocation))?;
        let token = form
            .token
            .map(|token| RevocableToken::parse(&token))
            .ok_or(Reason::RevocationTokenMissing);
        Ok(Self { credentials: form.credentials, token })
    }

    /// Returns the `client_id` that the request claims. It is not authenticated.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }
}

/// Shows the claimed client. Secret and token are left out.
impl fmt::Debug for RevocationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationRequest")
            .field("claimed_client", &self.claimed_client())
            .finish_non_exhaustive()
    }
}

impl RevocableToken {
    fn parse(text: &str) -> Self {
        let refresh = RefreshCredential::parse(text).map(Self::Refresh);
        let access = || Credential::parse(Kind::Access, text).map(Self::Access);
        refresh.or_else(access).unwrap_or(Self::Unknown)
    }
}
