//! The revocation request (RFC 7009 §2.1): who asks, and which token is to end.

use super::incoming::Incoming;
use super::parameters::{Slot, each};
use super::token::{Credentials, refuse_secrets_in_query};
use crate::policy::{Limits, Policy};
use crate::reason::{Reason, Surface};
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
    /// A [`Refusal`] when the request cannot be read or does not say, in one way, which client it comes from.
    pub fn parse(incoming: &Incoming<'a>, policy: &Policy) -> Result<Self, Refusal> {
        Self::read(incoming, policy).map_err(|reason| Refusal::plain(reason, Surface::Token))
    }

    /// The `client_id` it claims.
    pub fn claimed_client(&self) -> &str {
        &self.credentials.id
    }

    fn read(incoming: &Incoming<'a>, policy: &Policy) -> Result<Self, Reason> {
        if incoming.method != "POST" {
            return Err(Reason::MethodNotAllowed);
        }
        let limits: &Limits = policy.limits();
        refuse_secrets_in_query(incoming.query, limits)?;
        let (mut client_id, mut client_secret, mut token) = (Slot::default(), Slot::default(), Slot::default());
        let mut hint = Slot::default();
        each(incoming.form(limits)?, limits, |name, value| match name {
            "client_id" => client_id.put(value),
            "client_secret" => client_secret.put(value),
            "token" => token.put(value),
            "token_type_hint" => hint.put(value),
            _ => {}
        })?;
        if [&client_id, &client_secret, &token, &hint].iter().any(|slot| slot.repeated) {
            return Err(Reason::ParameterRepeated);
        }
        let credentials = Credentials::read(&incoming.authorization, client_id.value, client_secret.value, limits)?;
        let token = token.get().map(Revocable::parse).ok_or(Reason::RevocationTokenMissing);
        Ok(Self { credentials, token })
    }
}

impl Revocable {
    fn parse(text: &str) -> Self {
        let refresh = RefreshCredential::parse(text).map(Self::Refresh);
        let access = || Credential::parse(Kind::Access, text).map(Self::Access);
        refresh.or_else(access).unwrap_or(Self::Nothing)
    }
}
