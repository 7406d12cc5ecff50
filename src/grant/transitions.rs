//! Every transition of a grant. Each makes the next record and touches nothing; none leaves
//! [`Phase::Revoked`].

use std::sync::Arc;

use super::{
    AccessTokenEntry, Active, Fields, Grant, IssuedCode, PendingConsent, Phase, RevocationCause,
    Revoked, Schema, Terms, Window,
};
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::value::credential::GrantId;
use crate::value::scope::{Scope, Subset};
use crate::value::secret::{Digest, Salt};

/// The digests of a refresh and an access secret made together, and what the access token is for.
pub(crate) struct Minted {
    pub(crate) refresh: Digest,
    pub(crate) access: Digest,
    pub(crate) scope: Subset,
    pub(crate) resources: Subset,
}

impl Grant {
    /// authorize: a consent page is made.
    pub(crate) fn pending(
        id: GrantId,
        terms: Terms,
        prompt: PendingConsent,
        now: Timestamp,
    ) -> Self {
        Self(Fields {
            schema: Schema,
            id,
            terms: Arc::new(terms),
            latest_seen: now,
            expires: prompt.expires,
            phase: Phase::ConsentPending(prompt),
        })
    }

    /// approve: a code is issued, for all that was asked or for a part of it. The absolute lifetime
    /// starts here.
    pub(crate) fn approved(
        &self,
        prompt: &PendingConsent,
        code: Digest,
        scope: Option<Scope>,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let terms = match scope {
            None => Arc::clone(&self.0.terms),
            Some(scope) => Arc::new(Terms { scope, ..(*self.0.terms).clone() }),
        };
        let lifetimes = policy.lifetimes();
        let expires =
            lifetimes.refresh_absolute.map_or(Timestamp::NEVER, |absolute| now.after(absolute));
        let issued = IssuedCode {
            consent: prompt.clone(),
            code,
            expires: now.after(lifetimes.code).min(expires),
        };
        Self(Fields { terms, expires, ..self.next(now, Phase::CodeIssued(issued)).0 })
    }

    /// deny: over before it began.
    pub(crate) fn denied(&self, prompt: &PendingConsent, now: Timestamp) -> Self {
        let until = self.last_use();
        self.next(
            now,
            Phase::Revoked(Revoked {
                cause: RevocationCause::Denied,
                until,
                denied: Some(prompt.clone()),
            }),
        )
    }

    /// redeem: the code becomes a family of tokens. Without a refresh token to disclose, the family
    /// ends with its access token.
    pub(crate) fn redeemed(
        &self,
        issued: &IssuedCode,
        family: Digest,
        minted: &Minted,
        refreshes: bool,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let access = self.live(minted, policy, now);
        let idle = if refreshes { self.idle(policy, now) } else { access.expires };
        let window = (!policy.replay_window().is_zero())
            .then_some(Window { salt: None, previous_rotation: now });
        let active = Active {
            code: issued.code,
            challenge: issued.consent.challenge,
            family,
            current: minted.refresh,
            idle_expires: idle,
            redeemed: now,
            rotated: now,
            access_tokens: vec![access],
            window,
        };
        self.next(now, Phase::Active(active))
    }

    /// refresh: the successor becomes current, what has expired is dropped, the new access token is
    /// added.
    pub(crate) fn rotated(
        &self,
        active: &Active,
        minted: &Minted,
        salt: Salt,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let mut live = Vec::with_capacity(active.access_tokens.len() + 1);
        if !policy.revokes_previous_access() {
            live.extend(active.access_tokens.iter().filter(|live| now < live.expires));
        }
        // The entries are in the order they were issued, and so in the order they expire.
        let surplus = (live.len() + 1).saturating_sub(policy.limits().live_access_tokens);
        live.drain(..surplus);
        live.push(self.live(minted, policy, now));
        let window = (!policy.replay_window().is_zero()).then(|| Window {
            salt: Some(salt),
            previous_rotation: active.window.map_or(Timestamp::EPOCH, |_| active.rotated),
        });
        let next = Active {
            current: minted.refresh,
            idle_expires: self.idle(policy, now),
            rotated: now,
            access_tokens: live,
            window,
            ..*active
        };
        self.next(now, Phase::Active(next))
    }

    /// revoke: every credential of the grant is dead, at once and for good.
    pub(crate) fn revoked(&self, cause: RevocationCause, now: Timestamp) -> Self {
        self.next(now, Phase::Revoked(Revoked { cause, until: self.last_use(), denied: None }))
    }

    /// revoke one access token: the others and the family stay.
    pub(crate) fn without(&self, active: &Active, token: &Digest, now: Timestamp) -> Self {
        let live = active
            .access_tokens
            .iter()
            .filter(|live| !live.digest.matches(token))
            .copied()
            .collect();
        self.next(now, Phase::Active(Active { access_tokens: live, ..*active }))
    }

    /// A record of the conformance kit: in use until then.
    #[cfg(feature = "conformance")]
    pub(crate) fn in_use(self, until: Timestamp) -> Self {
        let Phase::ConsentPending(prompt) = self.0.phase else { return self };
        let (code, latest_seen) = (prompt.ticket, self.0.latest_seen);
        let active = Active {
            code,
            challenge: prompt.challenge,
            family: prompt.session,
            current: code,
            idle_expires: until,
            redeemed: latest_seen,
            rotated: latest_seen,
            access_tokens: Vec::new(),
            window: None,
        };
        Self(Fields { expires: until, phase: Phase::Active(active), ..self.0 })
    }

    fn live(&self, minted: &Minted, policy: &Policy, now: Timestamp) -> AccessTokenEntry {
        let expires = now.after(policy.lifetimes().access).min(self.0.expires);
        AccessTokenEntry {
            digest: minted.access,
            issued: now,
            expires,
            scope: minted.scope,
            resources: minted.resources,
        }
    }

    fn idle(&self, policy: &Policy, now: Timestamp) -> Timestamp {
        now.after(policy.lifetimes().refresh_idle).min(self.0.expires)
    }

    fn next(&self, now: Timestamp, phase: Phase) -> Self {
        Self(Fields {
            schema: Schema,
            id: self.0.id,
            terms: Arc::clone(&self.0.terms),
            latest_seen: now,
            expires: self.0.expires,
            phase,
        })
    }
}
