//! check: may this call be served? (OAuth 2.1 §5.2) One read of one record decides it, and nothing
//! is written.

use std::sync::Arc;

use crate::account::Balance;
use crate::client::ClientStatus;
use crate::event::EventKind;
use crate::grant::{AccessTokenEntry, Grant, Phase};
use crate::keys::Keys;
use crate::moment::{Moment, Timestamp};
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::{Policy, Resource};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::response::access::{Access, Warning};
use crate::value::credential::Credential;

impl Operation for AccessCheck<'_> {
    type Response = Access;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        Keys {
            grant: self.token.as_ref().map(|token| token.id),
            balance: self.needs.billed,
            ..Keys::default()
        }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Access> {
        check(self, loaded, policy, moment)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Resource
    }
}

fn check(
    request: &AccessCheck<'_>,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Access> {
    let needs = &request.needs;
    let accepted = request.token.as_ref().ok_or(Reason::TokenUnknown);
    let accepted =
        accepted.and_then(|token| accept(token, needs.resource, loaded, policy, moment.now));
    let served = accepted.and_then(|(grant, live)| {
        reaches(live, grant, needs, policy)?;
        Ok((grant, live, affords(needs, loaded)?))
    });
    match served {
        Ok((grant, live, warning)) => {
            let access = Access {
                grant: Arc::clone(grant),
                live: *live,
                correlation: moment.entropy.correlation(),
                warning,
            };
            Decision::allow(EventKind::AccessAllowed, access, loaded, moment)
        }
        Err(reason) => Decision::refuse_by(refusal(told(reason, policy), needs), loaded, moment),
    }
}

/// A suspension is told as the policy has it (AMB-19).
fn told(reason: Reason, policy: &Policy) -> Reason {
    match reason {
        Reason::AccountSuspended | Reason::OwnerSuspended
            if policy.checks().suspended_is_forbidden =>
        {
            Reason::AccountForbidden
        }
        other => other,
    }
}

/// A challenge where another token would help, and none where it would not.
fn refusal(reason: Reason, needs: &Needs<'_>) -> Refusal {
    match reason {
        Reason::BalanceInsufficient | Reason::AccountForbidden => {
            Refusal::plain(reason, Endpoint::Resource)
        }
        _ => Refusal::challenge(reason, needs.resource, needs.scopes),
    }
}

/// The grant and the live entry of a token that is good at this resource: all that is asked before
/// scope and balance, in that order: the token, its client and account, its audience. Introspection
/// asks the same (RFC 7662 §2.2).
pub(crate) fn accept<'g>(
    token: &Credential,
    resource: &Resource,
    loaded: &'g Loaded,
    policy: &Policy,
    clock: Timestamp,
) -> Result<(&'g Arc<Grant>, &'g AccessTokenEntry), Reason> {
    let grant = &loaded.grant.as_ref().ok_or(Reason::TokenUnknown)?.record;
    let active = match grant.phase() {
        Phase::Active(active) => active,
        Phase::Revoked(_) => return Err(Reason::TokenRevoked),
        Phase::ConsentPending(_) | Phase::CodeIssued(_) => return Err(Reason::TokenUnknown),
    };
    let live = active.find(&token.secret.digest()).ok_or(Reason::TokenExpired)?;
    stands(live, grant, loaded, grant.now(clock))?;
    if live.is_for(grant.terms(), resource.identifier(), policy) {
        Ok((grant, live))
    } else {
        Err(Reason::AudienceMismatch)
    }
}

/// Whether the token, its client and its account are alive.
fn stands(
    live: &AccessTokenEntry,
    grant: &Grant,
    loaded: &Loaded,
    now: Timestamp,
) -> Result<(), Reason> {
    if now >= live.expires || now >= grant.expires() {
        return Err(Reason::TokenExpired);
    }
    if !loaded.is_of_epoch(grant) {
        return Err(Reason::TokenRevoked);
    }
    if !loaded.client.as_ref().is_some_and(|client| client.record.status() == ClientStatus::Active)
    {
        return Err(Reason::ClientDeactivated);
    }
    loaded.check_accounts()
}

/// Whether the token reaches as far as the operation needs, what its scope includes counted in.
fn reaches(
    live: &AccessTokenEntry,
    grant: &Grant,
    needs: &Needs<'_>,
    policy: &Policy,
) -> Result<(), Reason> {
    let granted = |needed: &&str| {
        let mut own = live.scope.of(grant.scope().tokens());
        own.any(|own| own == *needed || policy.implies(own, needed))
    };
    if needs.scopes.iter().all(granted) { Ok(()) } else { Err(Reason::ScopeInsufficient) }
}

/// Whether the account can pay, where there is something to pay. A balance that nobody knows does
/// not suffice.
fn affords(needs: &Needs<'_>, loaded: &Loaded) -> Result<Option<Warning>, Reason> {
    match (needs.billed, loaded.balance) {
        (false, _) | (true, Some(Balance::Sufficient)) => Ok(None),
        (true, Some(Balance::Low { left })) => Ok(Some(Warning::LowBalance { left })),
        (true, Some(Balance::Insufficient) | None) => Err(Reason::BalanceInsufficient),
    }
}
