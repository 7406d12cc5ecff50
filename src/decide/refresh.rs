//! refresh: a refresh token becomes its successor (OAuth 2.1 §4.3). The rows are those of the decision table, in its order.

use std::sync::Arc;

use super::terms::{narrowed_resources, narrowed_scope};
use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Active, Cause, Grant, Minted, Phase};
use crate::moment::{Moment, Timestamp};
use crate::operation::{Decision, Loaded, Stored, Write};
use crate::policy::Policy;
use crate::reason::{Reason, Surface};
use crate::request::token::Refreshing;
use crate::response::token::Tokens;
use crate::value::credential::{Issued, Kind};
use crate::value::scope::Subset;
use crate::value::secret::{Salt, Secret, Successor};

pub(crate) fn refresh(
    request: &Refreshing<'_>,
    client: &Client,
    loaded: &Loaded,
    policy: &Policy,
    moment: &Moment,
) -> Decision<Tokens> {
    let refuse = |reason| Decision::refuse(reason, Surface::Token, loaded, moment);
    let Some(Stored { grant, version }) = &loaded.grant else { return refuse(Reason::RefreshUnknown) };
    let active = match grant.phase() {
        Phase::Active(active) => active,
        Phase::Revoked(_) => return refuse(Reason::GrantRevoked),
        Phase::ConsentPending(_) | Phase::CodeIssued(_) => return refuse(Reason::RefreshUnknown),
    };
    if client.id() != grant.client_id() {
        return refuse(Reason::RefreshClientMismatch);
    }
    if !request.token.family.digest().matches(&active.family) {
        return refuse(Reason::RefreshForged);
    }
    let now = grant.now(moment.now);
    if now >= grant.expires() {
        return refuse(Reason::RefreshAbsoluteExpired);
    }
    if !loaded.is_of_epoch(grant) {
        return refuse(Reason::GrantEnded);
    }
    let presented = &request.token.current;
    let asked = || fits(request, active, grant, loaded, now);

    if presented.digest().matches(&active.current) {
        return match asked() {
            Err(reason) => refuse(reason),
            Ok((scope, resources)) => {
                let salt = moment.entropy.salt();
                let (refresh, access) =
                    (presented.successor(Successor::Refresh, &salt), presented.successor(Successor::Access, &salt));
                let minted = Minted { refresh: refresh.digest(), access: access.digest(), scope, resources };
                let next = grant.rotated(active, &minted, salt, policy, now);
                let expires_in = now.after(policy.lifetimes().access).min(grant.expires()).seconds_from(now);
                let tokens = tokens(request, grant, refresh, access, scope, expires_in);
                Decision::allow(EventKind::TokensRefreshed, tokens, loaded, moment).writing(Write::replace(
                    grant.id(),
                    *version,
                    next,
                ))
            }
        };
    }

    // Not the current one: its successor again, if that is current and this request made it or the window is open.
    let window = policy.replay_window();
    let recent = active.window.filter(|last| now < last.rotated.after(window)).and_then(|last| last.salt);
    let own = Some((moment.entropy.salt(), EventKind::TokensRefreshed)).filter(|_| moment.again);
    for (salt, kind) in own.into_iter().chain(recent.map(|salt| (salt, EventKind::RefreshReplayedInWindow))) {
        let successor = presented.successor(Successor::Refresh, &salt);
        if successor.digest().matches(&active.current) {
            return match asked() {
                Err(reason) => refuse(reason),
                Ok(_) => Decision::allow(kind, recorded(request, grant, active, successor, &salt, now), loaded, moment),
            };
        }
    }
    if active.window.is_some_and(|last| now < last.before.after(window)) {
        return refuse(Reason::RefreshSuperseded);
    }
    if moment.again && !window.is_zero() {
        return refuse(Reason::Contended);
    }
    refuse(Reason::RefreshReused).writing(Write::replace(grant.id(), *version, grant.revoked(Cause::Replay, now)))
}

/// What is judged only of a token that would otherwise be answered: a replay is one whatever else is wrong with the request.
fn fits(
    request: &Refreshing<'_>,
    active: &Active,
    grant: &Grant,
    loaded: &Loaded,
    now: Timestamp,
) -> Result<(Subset, Subset), Reason> {
    if now >= active.idle {
        return Err(Reason::RefreshIdleExpired);
    }
    if !loaded.account_in_standing() {
        return Err(Reason::AccountSuspended);
    }
    let scope = narrowed_scope(request.scope.as_deref(), grant.terms())?;
    let resources = narrowed_resources(&request.resources, grant.terms())?;
    Ok((scope, resources))
}

/// The answer of the last rotation again: its tokens derived anew, their scope and lifetime from the record.
fn recorded(request: &Refreshing<'_>, grant: &Grant, active: &Active, refresh: Secret, salt: &Salt, now: Timestamp) -> Tokens {
    let access = request.token.current.successor(Successor::Access, salt);
    // An access token that was revoked by itself stays dead; the client finds out at its first use and refreshes.
    let (scope, expires) = active.find(&access.digest()).map_or((Subset::ALL, now), |live| (live.scope, live.expires));
    tokens(request, grant, refresh, access, scope, expires.seconds_from(now).max(1))
}

fn tokens(request: &Refreshing<'_>, grant: &Grant, refresh: Secret, access: Secret, scope: Subset, expires_in: u64) -> Tokens {
    let family = Secret::new(*request.token.family.bytes());
    Tokens {
        access: Issued::one(Kind::Access, grant.id(), access),
        refresh: Some(Issued::refresh(grant.id(), family, refresh)),
        expires_in,
        terms: Arc::clone(grant.terms()),
        scope,
    }
}
