//! introspect: whether the check would accept a token at the resource of whoever asks (RFC 7662
//! §2.2).

use std::sync::Arc;

use super::access::accept;
use super::authenticate::authenticate;
use crate::client::{Authentication, Client};
use crate::event::EventKind;
use crate::grant::{AccessTokenEntry, Grant};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::{IntrospectionRules, Policy};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Fault;
use crate::request::introspection::IntrospectionRequest;
use crate::response::introspection::Introspected;
use crate::value::credential::Credential;

impl Operation for IntrospectionRequest<'_> {
    type Response = Introspected;

    /// The client of the grant, and who asks about it.
    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let grant = self.token.as_ref().ok().and_then(Option::as_ref).map(|token| token.id);
        Keys { grant, caller: ClientKey::named(&*self.credentials.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Introspected> {
        // Who may not ask is told of as themselves, and not as of the grant they named.
        let nobody = Loaded { client: loaded.caller.clone(), ..Loaded::default() };
        let refuse_for = |fault: Fault| {
            Decision::refuse(fault, Endpoint::Token, &nobody, moment)
                .claimed_by(&self.credentials.id)
        };
        let refuse = |reason: Reason| refuse_for(reason.into());
        let caller =
            match authenticate(loaded.caller.as_ref(), &self.credentials, policy, moment.now) {
                Ok(client) => client,
                Err(fault) => return refuse_for(fault),
            };
        let (rules, token) = match may_ask(caller, policy)
            .and_then(|rules| Ok((rules, self.token.as_ref().map_err(|e| *e)?)))
        {
            Ok(asked) => asked,
            Err(reason) => return refuse(reason).by(caller),
        };
        let decision = match active(token.as_ref(), caller, rules, loaded, policy, moment) {
            Ok((grant, live)) => {
                let answer = Introspected::active(Arc::clone(grant), *live);
                Decision::allow(EventKind::TokenIntrospected, answer, loaded, moment)
            }
            Err(reason) => Decision::allow(
                EventKind::InactiveIntrospected,
                Introspected::INACTIVE,
                loaded,
                moment,
            )
            .because(reason),
        };
        decision.noted(Some(&self.credentials.id)).by(caller)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}

/// Whether this client may ask at all: it has proved who it is, for it has a secret, and the policy
/// names it.
fn may_ask<'p>(caller: &Client, policy: &'p Policy) -> Result<&'p IntrospectionRules, Reason> {
    let rules = policy.introspection().ok_or(Reason::IntrospectionOff)?;
    if *caller.authentication() == Authentication::Public {
        return Err(Reason::IntrospectionUnauthenticated);
    }
    let is_named = rules.resources_of(caller.id().as_str()).next().is_some();
    if is_named { Ok(rules) } else { Err(Reason::IntrospectionUnauthorized) }
}

/// The token, if the check would accept it at one of the caller's resources, before scope and
/// balance (INTROSPECT-04).
fn active<'g>(
    token: Option<&Credential>,
    caller: &Client,
    rules: &IntrospectionRules,
    loaded: &'g Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Result<(&'g Arc<Grant>, &'g AccessTokenEntry), Reason> {
    let token = token.ok_or(Reason::TokenUnknown)?;
    for resource in rules
        .resources_of(caller.id().as_str())
        .filter_map(|identifier| policy.resource(identifier))
    {
        match accept(token, resource, loaded, policy, moment.now) {
            Err(Reason::AudienceMismatch) => {}
            settled => return settled,
        }
    }
    Err(Reason::AudienceMismatch)
}
