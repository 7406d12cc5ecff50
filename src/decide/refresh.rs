//! refresh: a refresh token is exchanged for its successor (OAuth 2.1 §4.3). The steps are the
//! lines of the table in `docs/decisions.md`, in their order.

use super::context::Context;
use super::dropped::dropped_from_refresh;
use super::terms::{narrowed_resources, narrowed_scope, scope_under_ceiling};
use crate::account::RefreshDecision;
use crate::client::Client;
use crate::decision::{Allowed, Decision};
use crate::event::EventKind;
use crate::grant::{
    Active, Adjustment, Grant, Minted, Phase, RedeemedCode, RefreshFamily, RevocationCause,
};
use crate::moment::Timestamp;
use crate::policy::EffectiveLifetimes;
use crate::reason::Reason;
use crate::record::{Stored, Write};
use crate::refusal::Fault;
use crate::request::token::RefreshExchange;
use crate::response::token::{NewTokens, Tokens};
use crate::value::scope::Subset;
use crate::value::secret::{Salt, Secret, Successor};

impl RefreshExchange<'_> {
    pub(super) fn refresh(&self, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let token = match self.find_token(client, ctx) {
            Ok(token) => token,
            Err(reason) => return ctx.refuse(reason),
        };
        if self.token.current.digest().matches(&token.family().current_digest) {
            return token.rotate();
        }
        match token.find_rotation() {
            Some(rotation) => token.answer_again(&rotation),
            None => token.refuse_replay(),
        }
    }

    /// Returns the token if it is of a live grant's family and its client presents it. Nothing is
    /// written otherwise: neither another client nor a forger can end a grant (REFRESH-06).
    fn find_token<'a>(
        &'a self,
        client: &'a Client,
        ctx: &'a Context<'a>,
    ) -> Result<FamilyToken<'a>, Reason> {
        let stored = ctx.loaded.grant.as_ref().ok_or(Reason::RefreshUnknown)?;
        let grant = &*stored.record;
        let active = match grant.phase() {
            Phase::Active(active) => active,
            Phase::Revoked(revoked) if revoked.cause == RevocationCause::SecurityEvent => {
                return Err(Reason::RevokedSecurityEvent);
            }
            Phase::Revoked(revoked) if revoked.cause == RevocationCause::Superseded => {
                return Err(Reason::GrantSuperseded);
            }
            Phase::Revoked(_) => return Err(Reason::GrantRevoked),
            Phase::ConsentPending(_) | Phase::CodeIssued(_) => return Err(Reason::RefreshUnknown),
        };
        // A grant that was issued without a code has no refresh token.
        let code = active.code().ok_or(Reason::RefreshUnknown)?;
        if client.id() != grant.client_id() {
            return Err(Reason::RefreshClientMismatch);
        }
        // Before every line that could rotate or revoke: without the proof the sender is not known
        // to be the client.
        ctx.check_key_proof(code)?;
        // Forgery: the id of a grant is no secret. Every token that was ever issued for the grant
        // has the family's secret, so a token without it is no replay.
        if !self.token.family.digest().matches(&code.refresh_family.family_digest) {
            return Err(Reason::RefreshForged);
        }
        // A clock that stepped back revives no grant that a write has seen expired (I23).
        let now = grant.now(ctx.moment.now);
        if now >= grant.expires() {
            return Err(Reason::RefreshAbsoluteExpired);
        }
        if !ctx.loaded.epochs_match(grant) {
            return Err(Reason::GrantEnded);
        }
        let lifetimes = ctx.policy.lifetimes_of(client);
        Ok(FamilyToken { request: self, client, stored, active, code, ctx, now, lifetimes })
    }
}

/// A refresh token of the family of a live grant, presented by the grant's client: the current one,
/// or one that was rotated before.
struct FamilyToken<'a> {
    request: &'a RefreshExchange<'a>,
    client: &'a Client,
    stored: &'a Stored<Grant>,
    active: &'a Active,
    code: &'a RedeemedCode,
    ctx: &'a Context<'a>,
    /// By the record's time.
    now: Timestamp,
    /// Those of the client.
    lifetimes: EffectiveLifetimes,
}

/// The scope and resources that a refresh asks for, within what is left of the grant's.
struct Narrowed {
    scope: Subset,
    resources: Subset,
}

/// A rotation of the presented token whose successor is the current token.
struct Rotation {
    refresh: Secret,
    salt: Salt,
    /// The kind of the event of answering this rotation again.
    kind: EventKind,
}

impl FamilyToken<'_> {
    /// Replaces the current token by its successor.
    fn rotate(&self) -> Decision<Tokens> {
        let left = self.active.remaining();
        let narrowed = match self.check_request(left.scope, left.resources) {
            Ok(narrowed) => narrowed,
            Err(fault) => return self.ctx.refuse(fault),
        };
        let Some(adjustment) = self.adjustment() else { return self.end_by_host() };
        let grant = self.grant();
        let policy = self.ctx.policy;
        let scope = narrowed.scope.and(adjustment.remaining_scope);
        // The host's decision leaves something of the grant and nothing of what was asked for. No
        // token is issued without a scope, so the decision is not applied either (I53).
        if scope != Subset::ALL && scope.is_empty(grant.scope().len()) {
            return self.ctx.refuse(Reason::ScopeBeyondGrant);
        }
        let Some(scope) = self.under_ceiling(scope) else {
            return self.ctx.refuse(Reason::ScopeForbidden);
        };
        let presented = &self.request.token.current;
        let salt = self.ctx.moment.entropy.salt();
        let refresh = presented.successor(Successor::Refresh, &salt);
        let access = presented.successor(Successor::Access, &salt);
        let minted = Minted {
            refresh: refresh.digest(),
            access: access.digest(),
            scope,
            resources: narrowed.resources,
            lifetimes: self.lifetimes,
            proof: self.ctx.key_proof(),
        };
        let next =
            grant.rotated((self.active, self.code), &minted, salt, &adjustment, policy, self.now);
        if let Some(renewal) = self.ctx.client_renewal(next.last_use()) {
            return self.ctx.prepare(renewal);
        }
        let expires = self.now.after(self.lifetimes.access()).min(adjustment.expires);
        let expires_in = expires.seconds_from(self.now);
        let tokens = self.tokens(&refresh, &access, scope, expires_in);
        let details = [self.dropped_scope(), self.changed_by_host(&adjustment)];
        self.ctx.allow_all(Allowed {
            kind: EventKind::TokensRefreshed,
            response: tokens,
            write: Some(Write::grant(Some(self.stored), next)),
            redirects_at_once: None,
            detail: details.into_iter().flatten().reduce(|one, other| format!("{one} {other}")),
        })
    }

    /// Returns what the host's decision changes in the grant, or `None` if it ends the grant: it
    /// says so, it leaves no scope, or its end is not in the future.
    fn adjustment(&self) -> Option<Adjustment<'_>> {
        let grant = self.grant();
        let left = self.active.remaining().scope;
        let decision = &self.ctx.loaded.refresh_decision;
        if let RefreshDecision::End(_) = decision {
            return None;
        }
        let mut adjustment =
            Adjustment { remaining_scope: left, properties: None, expires: grant.expires() };
        let Some(changes) = decision.changes() else { return Some(adjustment) };
        if let Some(scope) = changes.scope() {
            let length = grant.scope().len();
            let kept = left.and(grant.scope().common(scope));
            if kept.is_empty(length) {
                return None;
            }
            adjustment.remaining_scope = if kept.covers(left, length) { left } else { kept };
        }
        if let Some(end) = changes.end() {
            if end <= self.now {
                return None;
            }
            adjustment.expires = end.min(grant.expires());
        }
        adjustment.properties =
            changes.properties().filter(|properties| Some(*properties) != grant.properties());
        Some(adjustment)
    }

    /// Ends the grant by the decision of the host. Call it only for a request that would otherwise
    /// get tokens: nobody else can make the host's decision count (I53).
    fn end_by_host(&self) -> Decision<Tokens> {
        let revoked = self.grant().revoked(RevocationCause::Host, self.now);
        self.ctx
            .refuse(Reason::GrantEndedByHost)
            .with_note(self.ctx.loaded.refresh_decision.note())
            .writing(Write::grant(Some(self.stored), revoked))
    }

    /// Returns the rotation that made the current token from the presented one, if its tokens may
    /// be returned again.
    fn find_rotation(&self) -> Option<Rotation> {
        // Lost response of the store: an earlier attempt of this request made the rotation (I17).
        if self.ctx.moment.is_retry {
            let salt = self.ctx.moment.entropy.salt();
            let own = self.rotation_by(salt, EventKind::TokensRefreshed);
            if own.is_some() {
                return own;
            }
        }
        // Lost response to the client, or two requests of it at once: the replay window is open
        // (REFRESH-05).
        if self.now >= self.family().rotated.after(self.lifetimes.replay_window()) {
            return None;
        }
        let salt = self.family().replay_window?.salt?;
        self.rotation_by(salt, EventKind::RefreshReplayedInWindow)
    }

    /// Returns the rotation by this salt, if its successor is the current token.
    fn rotation_by(&self, salt: Salt, kind: EventKind) -> Option<Rotation> {
        let refresh = self.request.token.current.successor(Successor::Refresh, &salt);
        let is_current = refresh.digest().matches(&self.family().current_digest);
        is_current.then_some(Rotation { refresh, salt, kind })
    }

    /// Returns the tokens of that rotation again. They are derived anew; their scope and lifetime
    /// come from the record. What was taken away from the grant since then changes neither this
    /// answer nor whether it is given: the same token has one successor (I11).
    fn answer_again(&self, rotation: &Rotation) -> Decision<Tokens> {
        if let Err(fault) = self.check_request(Subset::ALL, Subset::ALL) {
            return self.ctx.refuse(fault);
        }
        if self.adjustment().is_none() {
            return self.end_by_host();
        }
        let presented = &self.request.token.current;
        let access = presented.successor(Successor::Access, &rotation.salt);
        // An access token that was revoked by itself stays revoked. The client finds out at the
        // token's first use and refreshes.
        let entry = self.active.find(&access.digest());
        let scope = entry.map_or(Subset::ALL, |entry| entry.scope);
        let expires = entry.map_or(self.now, |entry| entry.expires);
        // A 200 never has an `expires_in` of 0 (CLOCK-05).
        let expires_in = expires.seconds_from(self.now).max(1);
        let tokens = self.tokens(&rotation.refresh, &access, scope, expires_in);
        let again = self.ctx.allow(rotation.kind, tokens).with_detail(self.dropped_scope());
        let proof = self.ctx.key_proof();
        if proof <= self.code.proof {
            return again;
        }
        let proved = self.grant().proved((self.active, self.code), proof, self.now);
        again.writing(Write::grant(Some(self.stored), proved))
    }

    /// Refuses a rotated token. Unless an honest client may have sent it, it counts as a replay and
    /// the grant is revoked: a thief and the client may both hold its tokens (OAuth 2.1 §4.3.1).
    fn refuse_replay(&self) -> Decision<Tokens> {
        let window = self.lifetimes.replay_window();
        // Two tabs of one client: two rotations lie within one window.
        if self
            .family()
            .replay_window
            .is_some_and(|last| self.now < last.previous_rotation.after(window))
        {
            return self.ctx.refuse(Reason::RefreshSuperseded);
        }
        // Late write: an earlier attempt of this request may have rotated the token, and its commit
        // may still be under way (I14, I17).
        if self.ctx.moment.is_retry && !window.is_zero() {
            return self.ctx.refuse(Reason::Contended);
        }
        let revoked = self.grant().revoked(RevocationCause::Replay, self.now);
        self.ctx.refuse(Reason::RefreshReused).writing(Write::grant(Some(self.stored), revoked))
    }

    /// Checks idle time, accounts, and that scope and resources are within these parts of the
    /// grant's. Call it only once the token is known to be
    /// no replay: otherwise a thief could hide a replay behind a bad scope.
    fn check_request(&self, scope: Subset, resources: Subset) -> Result<Narrowed, Fault> {
        if self.now >= self.family().idle_expires {
            return Err(Reason::RefreshIdleExpired.into());
        }
        self.ctx.check_accounts()?;
        let terms = self.grant().terms();
        let policy = self.ctx.policy;
        Ok(Narrowed {
            scope: narrowed_scope(self.request.scope.as_deref(), scope, terms, policy)?,
            resources: narrowed_resources(&self.request.resources, resources, terms, policy)?,
        })
    }

    /// Returns the part of this scope that the operator lets the client have now, or `None` if
    /// nothing of it is left (CLIENTPOLICY-06). The grant stays as it is. Tokens that are answered
    /// again keep the scope that they were made with.
    fn under_ceiling(&self, scope: Subset) -> Option<Subset> {
        match self.client.ceiling() {
            Some(ceiling) => {
                scope_under_ceiling(scope, ceiling, self.grant().terms(), self.ctx.policy)
            }
            None => Some(scope),
        }
    }

    /// Returns the event's detail about scope tokens that were left out.
    fn dropped_scope(&self) -> Option<String> {
        let requested = self.request.scope.as_deref();
        dropped_from_refresh(requested, self.grant().terms(), self.ctx.policy)
    }

    /// Returns the event's detail about what the host's decision changes. The values are not in it
    /// (HOST-08).
    fn changed_by_host(&self, adjustment: &Adjustment<'_>) -> Option<String> {
        self.ctx.loaded.refresh_decision.changes()?;
        let is_narrowed = adjustment.remaining_scope != self.active.remaining().scope;
        let changed = [
            ("scope", is_narrowed),
            ("properties", adjustment.properties.is_some()),
            ("end", adjustment.expires != self.grant().expires()),
        ];
        let changed: Vec<_> = changed
            .into_iter()
            .filter(|(_, is_changed)| *is_changed)
            .map(|(name, _)| name)
            .collect();
        (!changed.is_empty()).then(|| format!("changed_by_host: {}.", changed.join(", ")))
    }

    fn tokens(&self, refresh: &Secret, access: &Secret, scope: Subset, expires_in: u64) -> Tokens {
        NewTokens {
            grant: self.grant().id(),
            access,
            refresh: Some((&self.request.token.family, refresh)),
            expires_in,
            scope,
        }
        .written(self.grant().terms())
    }

    fn grant(&self) -> &Grant {
        &self.stored.record
    }

    fn family(&self) -> &RefreshFamily {
        &self.code.refresh_family
    }
}
