//! A call to a protected resource (OAuth 2.1 §5.1.1): the bearer token it carries and what it is
//! needed for.

use super::parameters::{Slot, each};
use super::parts::{Authorization, RequestParts};
use crate::policy::{Policy, Resource};
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
    /// Whether it costs the account something, so that its [balance](crate::Store::balance) must
    /// suffice.
    pub billed: bool,
}

impl<'a> Needs<'a> {
    /// Any token for this resource will do, and the call is free.
    pub const fn of(resource: &'a Resource) -> Self {
        Self { resource, scopes: &[], billed: false }
    }

    /// It needs these scope tokens.
    #[must_use = "the narrower needs are the ones returned"]
    pub const fn scopes(self, scopes: &'a [&'a str]) -> Self {
        Self { scopes, ..self }
    }

    /// It costs the account something.
    #[must_use = "the needs of a billed call are the ones returned"]
    pub const fn billed(self) -> Self {
        Self { billed: true, ..self }
    }
}

impl<'a> AccessCheck<'a> {
    /// Reads the `Authorization` header. Tokens in the query or the body are not looked at (OAuth
    /// 2.1 §5.1).
    ///
    /// # Errors
    /// A [`Refusal`] with the challenge when there is no bearer credential, or a malformed one.
    pub fn parse(authorization: &Authorization<'_>, needs: Needs<'a>) -> Result<Self, Refusal> {
        match authorization.credentials("Bearer") {
            None if matches!(authorization, Authorization::Several) => {
                Err(refuse(Reason::BearerMalformed, &needs))
            }
            // A scheme without a credential is what a client sends that has stored no token. Only a
            // 401 makes it authorize anew (RS-03).
            None | Some([]) => Err(refuse(Reason::TokenMissing, &needs)),
            Some(token) => Self::of(token, needs),
        }
    }

    /// Reads the `Authorization` header, or else, if the policy [allows
    /// it](crate::CheckRules::bearer_in_body), `access_token` in the form body of a request
    /// whose method has one (OAuth 2.1 §5.1.2). Never the query.
    ///
    /// # Errors
    /// A [`Refusal`] with the challenge when there is no bearer credential, or a malformed one, or
    /// one in both places.
    pub fn of_request(
        incoming: &RequestParts<'_>,
        needs: Needs<'a>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        let slot = token_in_body(incoming, policy);
        match (&slot.value, &incoming.authorization) {
            (None, _) => Self::parse(&incoming.authorization, needs),
            (Some(token), header) if !slot.repeated && !has_credentials(header) => {
                Self::of(token.as_bytes(), needs)
            }
            (Some(_), _) => Err(refuse(Reason::BearerMalformed, &needs)),
        }
    }

    fn of(token: &[u8], needs: Needs<'a>) -> Result<Self, Refusal> {
        if !is_token68(token) {
            return Err(refuse(Reason::BearerMalformed, &needs));
        }
        let token = std::str::from_utf8(token)
            .ok()
            .and_then(|token| Credential::parse(Kind::Access, token));
        Ok(Self { token, needs })
    }
}

/// Returns whether there is any credential in the header. The scheme `Bearer` alone is none.
fn has_credentials(authorization: &Authorization<'_>) -> bool {
    let is_bare = authorization.credentials("Bearer").is_some_and(<[u8]>::is_empty);
    !matches!(authorization, Authorization::None) && !is_bare
}

fn refuse(reason: Reason, needs: &Needs<'_>) -> Refusal {
    Refusal::challenge(reason, needs.resource, needs.scopes)
}

/// What a form says of `access_token`, where it may say anything. A body that is none of ours to
/// read says nothing.
fn token_in_body<'a>(incoming: &RequestParts<'a>, policy: &Policy) -> Slot<'a> {
    let mut slot = Slot::default();
    let has_body = matches!(incoming.method, "POST" | "PUT" | "PATCH");
    if let (true, true, Ok(body)) =
        (policy.checks().bearer_in_body, has_body, incoming.form(policy.limits()))
    {
        let read = each(body, policy.limits(), |name, value| {
            if name == "access_token" {
                slot.put(value);
            }
        });
        if read.is_err() {
            return Slot::default();
        }
    }
    slot
}

/// A run of token characters, then any padding (RFC 9110 §11.2).
fn is_token68(text: &[u8]) -> bool {
    let is_token =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let padding = text.iter().skip_while(|b| is_token(b)).all(|b| *b == b'=');
    text.first().is_some_and(is_token) && padding
}
