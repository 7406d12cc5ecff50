//! The introspection request (RFC 7662 §2.1): a resource server asks whether a token is good for
//! it.

use super::parts::RequestParts;
use super::token::Credentials;
use super::token_form::TokenForm;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::value::credential::{Credential, Kind};

/// A question about one token.
pub struct IntrospectionRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// The access token; nothing where it is none of this server's, which is not active.
    pub(crate) token: Result<Option<Credential>, Reason>,
}

impl<'a> IntrospectionRequest<'a> {
    /// Reads a POST with a form body, and the resource server's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] when the request cannot be read or does not say, in one way, who asks.
    pub fn parse(incoming: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        let form = TokenForm::read(incoming, policy)
            .map_err(|fault| Refusal::of(fault, Endpoint::Introspection))?;
        let token = form
            .token
            .map(|token| Credential::parse(Kind::Access, &token))
            .ok_or(Reason::IntrospectionTokenMissing);
        Ok(Self { credentials: form.credentials, token })
    }

    /// The `client_id` it claims.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }
}
