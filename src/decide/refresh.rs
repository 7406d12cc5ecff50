//! refresh: a refresh token becomes its successor (OAuth 2.1 §4.3). The steps are the rows of the
//! decision table, in its order.

use std::sync::Arc;

use super::renew::renewal;
use super::terms::{dropped_from_refresh, narrowed_resources, narrowed_scope};
use crate::client::Client;
use crate::event::EventKind;
use crate::grant::{Active, Grant, Minted, Phase, RevocationCause};
use crate::moment::{Moment, Timestamp};
use crate::operation::{Decision, Loaded};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::Fault;
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
    let refuse = |reason| Decision::refuse(reason, Endpoint::Token, loaded, moment);
    let Some(stored) = &loaded.grant else { return refuse(Reason::RefreshUnknown) };
    let grant = &stored.record;
    let active = match grant.phase() {
        Phase::Active(active) => active,
        Phase::Revoked(revoked) if revoked.cause == RevocationCause::SecurityEvent => {
            return refuse(Reason::RevokedSecurityEvent);
        }
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
    OfFamily { request, stored, active, loaded, policy, moment, now }.decide()
}

/// A refresh token of the grant's family, presented by the grant's client while the grant is alive:
/// current, or rotated before.
struct OfFamily<'a> {
    request: &'a Refreshing<'a>,
    stored: &'a Stored<Grant>,
    active: &'a Active,
    loaded: &'a Loaded,
    policy: &'a Policy,
    moment: &'a Moment,
    /// By the record's time.
    now: Timestamp,
}

impl OfFamily<'_> {
    fn decide(&self) -> Decision<Tokens> {
        if self.request.token.current.digest().matches(&self.active.current) {
            return self.rotate();
        }
        match self.current_successor() {
            Some((successor, salt, kind)) => self.answer_again(successor, &salt, kind),
            None => self.replayed(),
        }
    }

    /// The current token: it becomes its successor.
    fn rotate(&self) -> Decision<Tokens> {
        let (scope, resources) = match self.asked() {
            Ok(asked) => asked,
            Err(fault) => return self.refuse(fault),
        };
        let (grant, presented, salt) =
            (self.grant(), &self.request.token.current, self.moment.entropy.salt());
        let (refresh, access) = (
            presented.successor(Successor::Refresh, &salt),
            presented.successor(Successor::Access, &salt),
        );
        let minted =
            Minted { refresh: refresh.digest(), access: access.digest(), scope, resources };
        let next = grant.rotated(self.active, &minted, salt, self.policy, self.now);
        let expires = self.now.after(self.policy.lifetimes().access).min(grant.expires());
        let tokens = self.tokens(refresh, access, scope, expires.seconds_from(self.now));
        if let Some(renewed) = renewal(self.loaded, next.last_use(), self.policy) {
            return Decision::prepare(renewed, Endpoint::Token, self.loaded, self.moment);
        }
        let write = Write::grant(Some(self.stored), next);
        Decision::allow(EventKind::TokensRefreshed, tokens, self.loaded, self.moment)
            .noticing(self.dropped())
            .writing(write)
    }

    /// The successor of a rotated token, if it is the current one: made by this very request, whose
    /// commit came back late, or by the last rotation while the replay window is open.
    fn current_successor(&self) -> Option<(Secret, Salt, EventKind)> {
        let window = self.policy.replay_window();
        let own =
            self.moment.again.then(|| (self.moment.entropy.salt(), EventKind::TokensRefreshed));
        let is_open = self.now < self.active.rotated.after(window);
        let last = self.active.window.filter(|_| is_open).and_then(|last| last.salt);
        let last = last.map(|salt| (salt, EventKind::RefreshReplayedInWindow));
        own.into_iter().chain(last).find_map(|(salt, kind)| {
            let successor = self.request.token.current.successor(Successor::Refresh, &salt);
            successor.digest().matches(&self.active.current).then_some((successor, salt, kind))
        })
    }

    /// The answer of that rotation again: its tokens derived anew, their scope and lifetime from
    /// the record.
    fn answer_again(&self, refresh: Secret, salt: &Salt, kind: EventKind) -> Decision<Tokens> {
        if let Err(fault) = self.asked() {
            return self.refuse(fault);
        }
        let access = self.request.token.current.successor(Successor::Access, salt);
        // An access token that was revoked by itself stays dead; the client finds out at its first
        // use and refreshes.
        let recorded = self.active.find(&access.digest());
        let (scope, expires) =
            recorded.map_or((Subset::ALL, self.now), |live| (live.scope, live.expires));
        let tokens = self.tokens(refresh, access, scope, expires.seconds_from(self.now).max(1));
        Decision::allow(kind, tokens, self.loaded, self.moment).noticing(self.dropped())
    }

    /// A rotated token that gets no answer: whether that is a replay.
    fn replayed(&self) -> Decision<Tokens> {
        let window = self.policy.replay_window();
        // Two rotations within one window: two tabs, not a thief.
        if self.active.window.is_some_and(|last| self.now < last.previous_rotation.after(window)) {
            return self.refuse(Reason::RefreshSuperseded);
        }
        // What was decided again may have rotated the token itself, in a commit that is still on
        // its way.
        if self.moment.again && !window.is_zero() {
            return self.refuse(Reason::Contended);
        }
        let revoked = self.grant().revoked(RevocationCause::Replay, self.now);
        self.refuse(Reason::RefreshReused).writing(Write::grant(Some(self.stored), revoked))
    }

    /// What is judged only of a token that would otherwise be answered: a replay is one whatever
    /// else is wrong with the request.
    fn asked(&self) -> Result<(Subset, Subset), Fault> {
        if self.now >= self.active.idle_expires {
            return Err(Reason::RefreshIdleExpired.into());
        }
        self.loaded.check_accounts()?;
        let scope =
            narrowed_scope(self.request.scope.as_deref(), self.grant().terms(), self.policy)?;
        let resources =
            narrowed_resources(&self.request.resources, self.grant().terms(), self.policy)?;
        Ok((scope, resources))
    }

    fn dropped(&self) -> Option<String> {
        dropped_from_refresh(self.request.scope.as_deref(), self.grant().terms(), self.policy)
    }

    fn tokens(&self, refresh: Secret, access: Secret, scope: Subset, expires_in: u64) -> Tokens {
        let (id, family) = (self.grant().id(), Secret::new(*self.request.token.family.bytes()));
        Tokens {
            access: Issued::one(Kind::Access, id, access),
            refresh: Some(Issued::refresh(id, family, refresh)),
            expires_in,
            terms: Arc::clone(self.grant().terms()),
            scope,
        }
    }

    fn grant(&self) -> &Grant {
        &self.stored.record
    }

    fn refuse(&self, fault: impl Into<Fault>) -> Decision<Tokens> {
        Decision::refuse(fault, Endpoint::Token, self.loaded, self.moment)
    }
}
