//! The revocation request (RFC 7009 §2.1): who asks, and which token is to end.

use super::parts::RequestParts;
use super::token::Credentials;
use super::token_form::TokenForm;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::value::credential::{Credential, Kind, RefreshCredential};

/// A request to end a token. `token_type_hint` is not looked at: every token says what it is.
pub struct RevocationRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) token: Result<Revocable, Reason>,
}

/// What can be revoked.
pub(crate) enum Revocable {
    Refresh(RefreshCredential),
    Access(Credential),
    /// No token of this server's, which is as good as one that is over.
    Nothing,
}

impl<'a> RevocationRequest<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] when the request cannot be read or does not say, in one way, which client it
    /// comes from.
    pub fn parse(incoming: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        let form = TokenForm::read(incoming, policy)
            .map_err(|fault| Refusal::of(fault, Endpoint::Revocation))?;
        let token =
            form.token.map(|token| Revocable::parse(&token)).ok_or(Reason::RevocationTokenMissing);
        Ok(Self { credentials: form.credentials, token })
    }

    /// The `client_id` it claims.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }
}

impl Revocable {
    fn parse(text: &str) -> Self {
        let refresh = RefreshCredential::parse(text).map(Self::Refresh);
        let access = || Credential::parse(Kind::Access, text).map(Self::Access);
        refresh.or_else(access).unwrap_or(Self::Nothing)
    }
}
