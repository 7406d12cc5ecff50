//! The form of a revocation (RFC 7009 §2.1) and of an introspection (RFC 7662 §2.1): client
//! credentials and one token.

use std::borrow::Cow;

use super::client_assertion::AssertionParameters;
use super::parameters::{Parameter, for_each_parameter, refuse_repeated};
use super::parts::RequestParts;
use super::token::{Credentials, refuse_secrets_in_query};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::Fault;

/// The credentials of the caller, and the token if the form has one. `token_type_hint` is ignored,
/// because the prefix of a token names its type.
pub(crate) struct TokenForm<'a> {
    pub(crate) credentials: Credentials<'a>,
    pub(crate) token: Option<Cow<'a, str>>,
}

impl<'a> TokenForm<'a> {
    /// Reads a POST with a form body, and the client's credentials from header or body.
    pub(crate) fn read(request: &RequestParts<'a>, policy: &Policy) -> Result<Self, Fault> {
        if request.method != "POST" {
            return Err(Reason::MethodNotAllowed.into());
        }
        let limits = policy.limits();
        refuse_secrets_in_query(request.query, limits)?;
        let mut client_id = Parameter::default();
        let mut client_secret = Parameter::default();
        let mut assertion = AssertionParameters::default();
        let mut token = Parameter::default();
        let mut hint = Parameter::default();
        for_each_parameter(request.form(limits)?, limits, |name, value| match name {
            "client_id" => client_id.set(value),
            "client_secret" => client_secret.set(value),
            "client_assertion" | "client_assertion_type" => assertion.take(name, value),
            "token" => token.set(value),
            "token_type_hint" => hint.set(value),
            _ => {}
        })?;
        refuse_repeated([
            ("client_id", &client_id),
            ("client_secret", &client_secret),
            ("client_assertion", &assertion.assertion),
            ("client_assertion_type", &assertion.kind),
            ("token", &token),
            ("token_type_hint", &hint),
        ])?;
        let credentials = Credentials::read(
            &request.authorization,
            client_id.value,
            client_secret.value,
            assertion,
            policy,
        )?;
        Ok(Self { credentials, token: token.value })
    }
}
