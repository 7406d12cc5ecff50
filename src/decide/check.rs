//! check: may this call be served? (OAuth 2.1 §5.2) One read of one record decides it, and nothing is written.

use std::sync::Arc;

use crate::client::ClientStatus;
use crate::event::EventKind;
use crate::grant::{Grant, Live, Phase};
use crate::moment::{Moment, Timestamp};
use crate::operation::{Decision, Keys, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Reason, Surface};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::response::access::Access;

impl Operation for AccessCheck<'_> {
    type Response = Access;

    fn keys(&self, _: &Moment) -> Keys<'_> {
        Keys { grant: self.token.as_ref().map(|token| token.id), client: None, subject: None }
    }

    fn decide(&self, loaded: &Loaded, _: &Policy, moment: &Moment) -> Decision<Access> {
        check(self, loaded, moment)
    }

    fn surface(&self) -> Surface {
        Surface::Resource
    }
}

fn check(request: &AccessCheck<'_>, loaded: &Loaded, moment: &Moment) -> Decision<Access> {
    let refuse =
        |reason| Decision::refuse_by(Refusal::challenge(reason, request.needs.resource, request.needs.scopes), loaded, moment);
    let (Some(token), Some(stored)) = (&request.token, &loaded.grant) else { return refuse(Reason::TokenUnknown) };
    let grant = &stored.record;
    let active = match grant.phase() {
        Phase::Active(active) => active,
        Phase::Revoked(_) => return refuse(Reason::TokenRevoked),
        Phase::ConsentPending(_) | Phase::CodeIssued(_) => return refuse(Reason::TokenUnknown),
    };
    let Some(live) = active.find(&token.secret.digest()) else { return refuse(Reason::TokenExpired) };
    if let Err(reason) = stands(live, grant, loaded, grant.now(moment.now)).and_then(|()| serves(live, grant, &request.needs)) {
        return refuse(reason);
    }
    let access = Access { grant: Arc::clone(grant), live: *live, correlation: moment.entropy.correlation() };
    Decision::allow(EventKind::AccessAllowed, access, loaded, moment)
}

/// Whether the token, its client and its account are alive.
fn stands(live: &Live, grant: &Grant, loaded: &Loaded, now: Timestamp) -> Result<(), Reason> {
    if now >= live.expires || now >= grant.expires() {
        return Err(Reason::TokenExpired);
    }
    if !loaded.is_of_epoch(grant) {
        return Err(Reason::TokenRevoked);
    }
    if !loaded.client.as_ref().is_some_and(|client| client.record.status() == ClientStatus::Active) {
        return Err(Reason::ClientDeactivated);
    }
    loaded.standing()
}

/// Whether the token is for this resource, and reaches far enough.
fn serves(live: &Live, grant: &Grant, needs: &Needs<'_>) -> Result<(), Reason> {
    if !live.is_for(grant.terms(), needs.resource.identifier()) {
        return Err(Reason::AudienceMismatch);
    }
    let granted = |needed: &&str| live.scope.of(grant.scope().tokens()).any(|own| own == *needed);
    if needs.scopes.iter().all(granted) { Ok(()) } else { Err(Reason::ScopeInsufficient) }
}
