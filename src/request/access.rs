//! A call to a protected resource (OAuth 2.1 §5.1.1): the bearer token it carries and what it is needed for.

use super::incoming::Authorization;
use crate::policy::Resource;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::value::credential::{Credential, Kind};

/// The check of one access token for one resource and the scope that the operation needs.
pub struct AccessCheck<'a> {
    pub(crate) token: Option<Credential>,
    pub(crate) needs: Needs<'a>,
}

/// What an operation of a protected resource needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// The resource it belongs to.
    pub resource: &'a Resource,
    /// The scope tokens it needs, all of them; none if any token for the resource will do.
    pub scopes: &'a [&'a str],
}

impl<'a> AccessCheck<'a> {
    /// Reads the `Authorization` header. Tokens in the query or the body are not looked at (OAuth 2.1 §5.1).
    ///
    /// # Errors
    /// A [`Refusal`] with the challenge when there is no bearer credential, or a malformed one.
    pub fn parse(authorization: &Authorization<'_>, needs: Needs<'a>) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::challenge(reason, needs.resource, needs.scopes);
        let token = match authorization.credentials("Bearer") {
            None if matches!(authorization, Authorization::Several) => return Err(refuse(Reason::BearerMalformed)),
            None => return Err(refuse(Reason::TokenMissing)),
            Some(token) if !is_token68(token) => return Err(refuse(Reason::BearerMalformed)),
            Some(token) => std::str::from_utf8(token).ok().and_then(|token| Credential::parse(Kind::Access, token)),
        };
        Ok(Self { token, needs })
    }
}

/// A run of token characters, then any padding (RFC 9110 §11.2).
fn is_token68(text: &[u8]) -> bool {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let padding = text.iter().skip_while(|b| is_token(b)).all(|b| *b == b'=');
    text.first().is_some_and(is_token) && padding
}
