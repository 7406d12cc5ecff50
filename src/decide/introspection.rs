//! introspect: reports whether the check would accept a token at a resource of the caller (RFC 7662
//! §2.2).

use std::sync::Arc;

use super::access::{AcceptedToken, AccessContext};
use super::authenticate::{Authenticated, authenticate};
use super::context::Context;
use crate::client::Client;
use crate::decision::{Decision, Loaded, Operation, OwnRecords};
use crate::event::EventKind;
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::policy::{IntrospectionRules, Policy};
use crate::reason::{Endpoint, Reason};
use crate::request::introspection::IntrospectionRequest;
use crate::response::introspection::Introspected;
use crate::value::credential::Credential;

impl Operation for IntrospectionRequest<'_> {
    type Response = Introspected;

    /// Names the caller and the grant. No client is named, so the client of the grant is loaded.
    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let grant = self.token.as_ref().ok().and_then(Option::as_ref).map(|token| token.id);
        Keys { grant, caller: ClientKey::named(&*self.credentials.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Introspected> {
        // Refusals are recorded under the caller, not under the grant that it asked about.
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let caller_only = loaded.caller_only();
        let caller_ctx =
            Context::new(self, &caller_only, policy, moment).claimed_by(&self.credentials.id);
        let caller = match authenticate(loaded.caller.as_ref(), &self.credentials, &caller_ctx) {
            Ok(caller) => caller,
            Err(stop) => return stop.decide(&caller_ctx),
        };
        let mut decision = match self.find(&caller, loaded, &caller_ctx) {
            Ok(decision) => decision.with_note(Some(&self.credentials.id)),
            Err(reason) => caller_ctx.refuse(reason),
        };
        caller.complete(&mut decision, &caller_ctx);
        decision
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Introspection
    }
}

impl IntrospectionRequest<'_> {
    /// Answers an authenticated caller. An error refuses the caller.
    fn find(
        &self,
        caller: &Authenticated<'_>,
        loaded: &OwnRecords<'_>,
        caller_ctx: &Context<'_>,
    ) -> Result<Decision<Introspected>, Reason> {
        let Context { policy, moment, .. } = *caller_ctx;
        let rules = check_caller(caller, policy)?;
        let token = self.token.as_ref().map_err(|reason| *reason)?.as_ref();
        let ctx = Context::new(self, loaded, policy, moment);
        let context = AccessContext { records: loaded.of_grant(), policy, clock: moment.now };
        Ok(match find_active(token, caller.client, rules, &context) {
            Ok(accepted) => {
                let active = Introspected::active(Arc::clone(accepted.grant), accepted.rights);
                ctx.allow(EventKind::TokenIntrospected, active)
            }
            Err(reason) => ctx
                .allow(EventKind::InactiveIntrospected, Introspected::INACTIVE)
                .with_reason(reason),
        })
    }
}

/// Returns the rules if the policy names this client as a resource server. A public client proves
/// nothing, and a weak proof may be another server's, so anybody could scan for tokens in the name
/// of such a client (RFC 7662 §2.1).
fn check_caller<'p>(
    caller: &Authenticated<'_>,
    policy: &'p Policy,
) -> Result<&'p IntrospectionRules, Reason> {
    let rules = policy.introspection().ok_or(Reason::IntrospectionOff)?;
    if !caller.is_proved() {
        return Err(Reason::IntrospectionUnauthenticated);
    }
    if rules.resources_of(caller.client.id().as_str()).next().is_none() {
        return Err(Reason::IntrospectionUnauthorized);
    }
    Ok(rules)
}

/// Returns the token if the check would accept it at one of the caller's resources, before scope
/// and balance (INTROSPECT-04).
fn find_active<'a>(
    token: Option<&Credential>,
    caller: &Client,
    rules: &IntrospectionRules,
    context: &AccessContext<'a>,
) -> Result<AcceptedToken<'a>, Reason> {
    let digest = token.ok_or(Reason::TokenUnknown)?.secret.digest();
    for identifier in rules.resources_of(caller.id().as_str()) {
        let Some(resource) = context.policy.declared_resource(identifier) else { continue };
        match context.accept_token(Some(&digest), &resource) {
            Err(Reason::AudienceMismatch) => {}
            decided => return decided,
        }
    }
    Err(Reason::AudienceMismatch)
}
