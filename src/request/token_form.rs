//! The form that names one token: of a revocation (RFC 7009 §2.1) and an introspection (RFC 7662
//! §2.1).

use std::borrow::Cow;

use super::parameters::{Slot, each, refuse_repeated};
use super::parts::RequestParts;
use super::token::{Credentials, refuse_secrets_in_query};
use crate::policy::{Limits, Policy};
use crate::reason::Reason;
use crate::refusal::Fault;

/// Who asks, and the token they name, if they do. `token_type_hint` is not looked at: every token
/// says what it is.
pub(crate) struct TokenForm<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) token: Option<Cow<'a, str>>,
}

impl<'a> TokenForm<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    pub(crate) fn read(incoming: &RequestParts<'a>, policy: &Policy) -> Result<Self, Fault> {
        if incoming.method != "POST" {
            return Err(Reason::MethodNotAllowed.into());
        }
        let limits: &Limits = policy.limits();
        refuse_secrets_in_query(incoming.query, limits)?;
        let mut client_id = Slot::default();
        let mut client_secret = Slot::default();
        let mut token = Slot::default();
        let mut hint = Slot::default();
        each(incoming.form(limits)?, limits, |name, value| match name {
            "client_id" => client_id.put(value),
            "client_secret" => client_secret.put(value),
            "token" => token.put(value),
            "token_type_hint" => hint.put(value),
            _ => {}
        })?;
        refuse_repeated([
            ("client_id", &client_id),
            ("client_secret", &client_secret),
            ("token", &token),
            ("token_type_hint", &hint),
        ])?;
        let credentials = Credentials::read(
            &incoming.authorization,
            client_id.value,
            client_secret.value,
            limits,
        )?;
        Ok(Self { credentials, token: token.value.filter(|token| !token.is_empty()) })
    }
}
