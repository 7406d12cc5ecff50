//! The introspection request (RFC 7662 §2.1): the credentials of a resource server, and the token
//! that it received.

use std::fmt;

use super::parts::RequestParts;
use super::token::Credentials;
use super::token_form::TokenForm;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::value::credential::{Credential, Kind};

/// A request for the state of one token.
pub struct IntrospectionRequest<'a> {
    pub(crate) credentials: Credentials<'a>,
    /// The access token. `None` stands for a text that is no access token of this server, and is
    /// answered as an inactive token.
    pub(crate) token: Result<Option<Credential>, Reason>,
}

impl<'a> IntrospectionRequest<'a> {
    /// Reads a POST with a form body, and the resource server's credentials from header or body.
    ///
    /// # Errors
    /// A [`Refusal`] if the request cannot be read, or does not identify its caller in exactly one
    /// way.
    pub fn parse(request: &RequestParts<'a>, policy: &Policy) -> Result<Self, Refusal> {
        // Without credentials nobody is authorized (RFC 7662 §2.1). At the token endpoint, a public
        // client that does not name itself sends a malformed request instead.
        let form = TokenForm::read(request, policy).map_err(|fault| {
            let fault = match fault.reason {
                Reason::ClientIdMissing => Reason::IntrospectionCallerMissing.into(),
                _ => fault,
            };
            Refusal::of(fault, Endpoint::Introspection)
        })?;
        let token = form
            .token
            .map(|token| Credential::parse(Kind::Access, &token))
            .ok_or(Reason::IntrospectionTokenMissing);
        Ok(Self { credentials: form.credentials, token })
    }

    /// Returns the `client_id` that the request claims. It is not authenticated.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }
}

/// Shows the claimed caller. Secret and token are left out.
impl fmt::Debug for IntrospectionRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionRequest")
            .field("claimed_client", &self.claimed_client())
            .finish_non_exhaustive()
    }
}
