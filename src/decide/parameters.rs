//! The parameters of an authorization request, once its client and redirect URI are verified.

use super::terms::{Asked, RequestedGrant};
use crate::client::Client;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::{Fault, quoted};
use crate::request::authorization::AuthorizationRequest;
use crate::value::hints::{Hints, parse_max_age};
use crate::value::pkce::CodeChallenge;
use crate::value::prompt::PromptWords;

impl AuthorizationRequest<'_> {
    /// Checks the parameters, in the order of AUTHZ-05.
    pub(super) fn check_parameters(
        &self,
        client: &Client,
        policy: &Policy,
    ) -> Result<RequestedGrant, Fault> {
        if let Some(name) = self.repeated() {
            return Err(Reason::ParameterRepeated.hint(format!("Repeated: {}.", quoted(name))));
        }
        if self.request.get().is_some() {
            return Err(Reason::RequestObject.into());
        }
        if self.request_uri.get().is_some() {
            return Err(Reason::RequestUri.into());
        }
        match self.response_type.get() {
            None => return Err(Reason::ResponseTypeMissing.into()),
            Some("code") => {}
            Some(other) => return Err(Reason::ResponseTypeUnsupported.received(other)),
        }
        if !client.grant_types().authorization_code {
            return Err(Reason::CodeFlowUnauthorized.into());
        }
        match self.response_mode.get() {
            None | Some("query") => {}
            Some(other) => return Err(Reason::ResponseModeUnsupported.received(other)),
        }
        let challenge = self.read_challenge()?;
        let (scope, resources) = Asked {
            scope: self.scope.get(),
            resources: &self.resources,
            known: self.known_resources,
            client,
            policy,
        }
        .terms()?;
        Ok(RequestedGrant {
            challenge,
            scope,
            resources,
            prompt: self.read_prompt()?,
            hints: self.read_hints()?,
            acr_values: self.needed_classes(policy)?,
        })
    }

    /// Reads `code_challenge`. Every client needs one, with S256: a code that was stolen or
    /// injected is useless without the verifier (code injection, OAuth 2.1 §7.5.1).
    fn read_challenge(&self) -> Result<CodeChallenge, Fault> {
        let challenge = self.code_challenge.get().ok_or(Reason::PkceMissing)?;
        match self.code_challenge_method.get() {
            None => Err(Reason::PkceMethodMissing.into()),
            Some("S256") => CodeChallenge::parse(challenge)
                .ok_or_else(|| Reason::PkceMalformed.hint(CodeChallenge::fault(challenge))),
            Some(other) => Err(Reason::PkceMethod.received(other)),
        }
    }

    /// Reads `prompt`. `none` together with another known value is a contradiction.
    pub(super) fn read_prompt(&self) -> Result<PromptWords, Fault> {
        let Some(text) = self.prompt.get() else { return Ok(PromptWords::default()) };
        PromptWords::parse(text).ok_or_else(|| Reason::PromptContradiction.received(text))
    }

    /// Reads the hints for the host. Of them only a `max_age` can be wrong: the request demands it.
    fn read_hints(&self) -> Result<Option<Box<Hints>>, Fault> {
        let max_age = match self.max_age.get() {
            None => None,
            Some(text) => {
                Some(parse_max_age(text).ok_or_else(|| Reason::MaxAgeMalformed.received(text))?)
            }
        };
        let (login_hint, locales) = (self.login_hint.get(), self.ui_locales.get());
        Ok(Hints::of(login_hint, locales, self.acr_values.get(), max_age))
    }
}
