//! revoke: a client gives a token back (RFC 7009 §2). A refresh token ends its grant, an access
//! token ends alone.

use std::sync::Arc;

use super::authenticate::authenticate;
use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Active, Grant, Phase, RevocationCause};
use crate::keys::{ClientKey, Keys};
use crate::moment::Moment;
use crate::operation::{Decision, Loaded, Operation};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::Fault;
use crate::request::revocation::{Revocable, RevocationRequest};
use crate::response::revocation::Revoked;

impl Operation for RevocationRequest<'_> {
    type Response = Revoked;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let grant = match &self.token {
            Ok(Revocable::Refresh(token)) => Some(token.id),
            Ok(Revocable::Access(token)) => Some(token.id),
            Ok(Revocable::Nothing) | Err(_) => None,
        };
        Keys { grant, client: ClientKey::named(&*self.credentials.id), ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Revoked> {
        let refuse_for = |fault: Fault| {
            Decision::refuse(fault, Endpoint::Token, loaded, moment)
                .claimed_by(&self.credentials.id)
        };
        let refuse = |reason: Reason| refuse_for(reason.into());
        let client =
            match authenticate(loaded.client.as_ref(), &self.credentials, policy, moment.now) {
                Ok(client) => client,
                Err(fault) => return refuse_for(fault),
            };
        let token = match (&self.token, policy.revocation()) {
            (_, None) => return refuse(Reason::RevocationOff).by(client),
            (Err(reason), _) => return refuse(*reason).by(client),
            (Ok(token), Some(_)) => token,
        };
        let decision = match revoke(token, client, loaded, policy, moment) {
            Err(Reason::RevocationClientMismatch)
                if policy.revocation().is_some_and(|rules| rules.silent) =>
            {
                let decision = Decision::allow(EventKind::NothingRevoked, Revoked, loaded, moment);
                decision.because(Reason::RevocationClientMismatch)
            }
            Err(reason) => refuse(reason),
            Ok(None) => Decision::allow(EventKind::NothingRevoked, Revoked, loaded, moment),
            Ok(Some((kind, write))) => {
                Decision::allow(kind, Revoked, loaded, moment).writing(write)
            }
        };
        decision.by(client)
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}

/// The write that ends the token; nothing if it is over already, was never ours, or is of another
/// family.
fn revoke(
    token: &Revocable,
    client: &Client,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Result<Option<(EventKind, Write)>, Reason> {
    let Some((stored, active)) = loaded.grant.as_ref().and_then(in_use) else { return Ok(None) };
    let grant = &*stored.record;
    let is_of_grant = match token {
        Revocable::Refresh(token) => token.family.digest().matches(&active.family),
        Revocable::Access(token) => active
            .find(&token.secret.digest())
            .is_some_and(|live| grant.now(moment.now) < live.expires),
        Revocable::Nothing => false,
    };
    if !is_of_grant {
        return Ok(None);
    }
    if client.id() != grant.client_id() {
        return Err(Reason::RevocationClientMismatch);
    }
    let now = grant.now(moment.now);
    let cascades = policy.revocation().is_some_and(|rules| rules.cascade_from_access);
    let (kind, next) = match token {
        Revocable::Access(token) if !cascades => {
            (EventKind::TokenRevoked, grant.without(active, &token.secret.digest(), now))
        }
        _ => (EventKind::GrantRevoked, grant.revoked(RevocationCause::Client, now)),
    };
    Ok(Some((kind, Write::grant(Some(stored), Arc::new(next)))))
}

fn in_use(stored: &Stored<Grant>) -> Option<(&Stored<Grant>, &Active)> {
    match stored.record.phase() {
        Phase::Active(active) => Some((stored, active)),
        Phase::ConsentPending(_) | Phase::CodeIssued(_) | Phase::Revoked(_) => None,
    }
}
