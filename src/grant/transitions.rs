//! The transitions of a grant. Each returns the next record and does not change this one. No
//! transition leads out of [`Phase::Revoked`].

use std::sync::Arc;

use smallvec::smallvec;

use super::phase::{Issuance, ReplayWindow, Revoked};
use super::{
    AccessTokenEntry, AccessTokens, Active, CodeIssue, Fields, Grant, IssuedCode, KeyProof,
    LoginFacts, PendingConsent, Phase, RedeemedCode, RefreshFamily, RevocationCause, Schema, Terms,
};
use crate::moment::Timestamp;
use crate::policy::{EffectiveLifetimes, Policy};
use crate::value::credential::GrantId;
use crate::value::pkce::CodeChallenge;
use crate::value::properties::Properties;
use crate::value::scope::{Scope, Subset};
use crate::value::secret::{Digest, Salt};

/// A refresh token and an access token that are issued together.
pub(crate) struct Minted {
    pub(crate) refresh: Digest,
    pub(crate) access: Digest,
    /// The part of the grant's scope that the access token has.
    pub(crate) scope: Subset,
    /// The part of the grant's resources that the access token is for.
    pub(crate) resources: Subset,
    /// Those of the client.
    pub(crate) lifetimes: EffectiveLifetimes,
    /// The proof that the client gave of itself.
    pub(crate) proof: KeyProof,
}

/// What a user allowed, and what the host adds to it.
pub(crate) struct Approval<'a> {
    pub(crate) code_digest: Digest,
    /// The part of the requested scope, or `None` for all of it.
    pub(crate) scope: Option<Scope>,
    /// The login of the user who allowed it, if it is known.
    pub(crate) login: Option<LoginFacts>,
    pub(crate) bound: &'a Bound,
}

/// What the host adds to a grant when its user consents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bound {
    pub(crate) properties: Option<Properties>,
    /// The end of the grant. It ends earlier if its lifetime does.
    pub(crate) until: Option<Timestamp>,
}

/// What a refresh changes in a grant besides the rotation, by the decision of the host.
pub(crate) struct Adjustment<'a> {
    /// What is left of the scope, within what was left before.
    pub(crate) remaining_scope: Subset,
    /// The new properties, or `None` if they stay.
    pub(crate) properties: Option<&'a Properties>,
    /// The new end, which is not later than the present one.
    pub(crate) expires: Timestamp,
}

impl Grant {
    /// Creates the record of a new consent page, for the operation *authorize*.
    pub(crate) fn pending(
        id: GrantId,
        terms: Arc<Terms>,
        consent: PendingConsent,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let expires = consent.expires;
        Self::created_in(id, terms, Phase::ConsentPending(consent), expires, policy, now)
    }

    /// Creates a grant with its code, for the operation *authorize* without a consent page. It does
    /// not outlive `until`.
    pub(crate) fn issued_at_once(
        id: GrantId,
        terms: Arc<Terms>,
        code_challenge: CodeChallenge,
        code_digest: Digest,
        until: Option<Timestamp>,
        (policy, lifetimes): (&Policy, &EffectiveLifetimes),
        now: Timestamp,
    ) -> Self {
        let expires = absolute_end(until, lifetimes, now);
        let issued = IssuedCode {
            issued_by: CodeIssue::NoPage { code_challenge },
            code_digest,
            expires: now.after(lifetimes.code).min(expires),
        };
        Self::created_in(id, terms, Phase::CodeIssued(issued), expires, policy, now)
    }

    /// Issues an authorization code, for the operation *approve*. The absolute lifetime of the
    /// grant begins here.
    pub(crate) fn approved(
        &self,
        consent: &PendingConsent,
        approval: Approval<'_>,
        lifetimes: &EffectiveLifetimes,
        now: Timestamp,
    ) -> Self {
        let Approval { code_digest, scope, login, bound } = approval;
        let keeps_login = login.as_ref() == self.0.terms.login();
        let terms = if keeps_login && scope.is_none() && bound.properties.is_none() {
            Arc::clone(&self.0.terms)
        } else {
            let mut terms = self.0.terms.with_login(login);
            terms.properties.clone_from(&bound.properties);
            terms.scope = scope.unwrap_or(terms.scope);
            Arc::new(terms)
        };
        let expires = absolute_end(bound.until, lifetimes, now);
        let issued = IssuedCode {
            issued_by: CodeIssue::Page(consent.clone()),
            code_digest,
            expires: now.after(lifetimes.code).min(expires),
        };
        Self(Fields { terms, expires, ..self.next(now, Phase::CodeIssued(issued)).0 })
    }

    /// Ends the grant before a code is issued, for the operation *deny*.
    pub(crate) fn denied(&self, consent: &PendingConsent, now: Timestamp) -> Self {
        self.next(
            now,
            Phase::Revoked(Revoked {
                cause: RevocationCause::Denied,
                last_expiry: self.last_use(),
                closed_consent: Some(consent.clone()),
            }),
        )
    }

    /// Exchanges the code for tokens, for the operation *redeem*. If the client gets no refresh
    /// token, the refresh family expires with the access token.
    pub(crate) fn redeemed(
        &self,
        issued: &IssuedCode,
        family_digest: Digest,
        minted: &Minted,
        gets_refresh_token: bool,
        now: Timestamp,
    ) -> Self {
        let access_token = access_token(minted, self.0.expires, now);
        let idle_expires = if gets_refresh_token {
            idle_expires(self.0.expires, &minted.lifetimes, now)
        } else {
            access_token.expires
        };
        let replay_window = (!minted.lifetimes.replay_window.is_zero())
            .then_some(ReplayWindow { salt: None, previous_rotation: now });
        let code = RedeemedCode {
            digest: issued.code_digest,
            code_challenge: *issued.code_challenge(),
            redeemed: now,
            proof: minted.proof,
            refresh_family: RefreshFamily {
                family_digest,
                current_digest: minted.refresh,
                idle_expires,
                rotated: now,
                replay_window,
            },
        };
        let active = Active {
            issued_from: Issuance::Code(code),
            remaining: None,
            access_tokens: smallvec![access_token],
        };
        self.next(now, Phase::Active(active))
    }

    /// Creates a grant with its only access token, for a token without a code. The grant
    /// ends with the token.
    pub(crate) fn issued_directly(
        id: GrantId,
        terms: Arc<Terms>,
        access: Digest,
        expires: Timestamp,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let all = Subset::ALL;
        let entry =
            AccessTokenEntry { digest: access, issued: now, expires, scope: all, resources: all };
        let active = Active {
            issued_from: Issuance::Direct,
            remaining: None,
            access_tokens: smallvec![entry],
        };
        Self::created_in(id, terms, Phase::Active(active), expires, policy, now)
    }

    /// Notes that the client has proved itself with this, for the operation *refresh*.
    pub(crate) fn proved(
        &self,
        (active, code): (&Active, &RedeemedCode),
        proof: KeyProof,
        now: Timestamp,
    ) -> Self {
        let issued_from = Issuance::Code(RedeemedCode { proof, ..code.clone() });
        self.next(now, Phase::Active(Active { issued_from, ..active.clone() }))
    }

    /// Makes the successor the current refresh token, drops expired access tokens, adds the new one
    /// and makes the host's adjustment, for the operation *refresh*.
    pub(crate) fn rotated(
        &self,
        (active, code): (&Active, &RedeemedCode),
        minted: &Minted,
        salt: Salt,
        adjustment: &Adjustment<'_>,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let expires = adjustment.expires.min(self.0.expires);
        let mut access_tokens = AccessTokens::with_capacity(active.access_tokens.len() + 1);
        if !policy.revokes_previous_access() {
            let valid = active.access_tokens.iter().filter(|entry| now < entry.expires);
            access_tokens.extend(valid.copied());
        }
        // Without a limit, a client that refreshes each second would make the record grow.
        while access_tokens.len() >= policy.limits().live_access_tokens {
            let by_end = access_tokens.iter().enumerate().min_by_key(|(_, entry)| entry.expires);
            let Some((ends_first, _)) = by_end else { break };
            access_tokens.remove(ends_first);
        }
        access_tokens.push(access_token(minted, expires, now));
        let previous = &code.refresh_family;
        let replay_window = (!minted.lifetimes.replay_window.is_zero()).then(|| ReplayWindow {
            salt: Some(salt),
            // If the policy had no replay window at the previous rotation, a replay of the token
            // before it must not fall into the window of today.
            previous_rotation: previous
                .replay_window
                .map_or(Timestamp::EPOCH, |_| previous.rotated),
        });
        let refresh_family = RefreshFamily {
            family_digest: previous.family_digest,
            current_digest: minted.refresh,
            idle_expires: idle_expires(expires, &minted.lifetimes, now),
            rotated: now,
            replay_window,
        };
        let next = Active {
            issued_from: Issuance::Code(RedeemedCode {
                refresh_family,
                proof: code.proof.max(minted.proof),
                ..*code
            }),
            remaining: active.remaining().and(adjustment.remaining_scope, Subset::ALL),
            access_tokens,
        };
        let terms = match adjustment.properties {
            None => Arc::clone(&self.0.terms),
            Some(properties) => {
                let properties = Some(properties.clone());
                Arc::new(Terms { properties, ..(*self.0.terms).clone() })
            }
        };
        Self(Fields { terms, expires, ..self.next(now, Phase::Active(next)).0 })
    }

    /// Takes everything away that is not in these subsets, for the operation *narrow*. Nothing can
    /// be added: the subsets of before stay limits.
    pub(crate) fn narrowed(
        &self,
        active: &Active,
        scope: Subset,
        resources: Subset,
        now: Timestamp,
    ) -> Self {
        let next = Active {
            issued_from: active.issued_from.clone(),
            remaining: active.remaining().and(scope, resources),
            access_tokens: active.access_tokens.clone(),
        };
        self.next(now, Phase::Active(next))
    }

    /// Ends every credential of the grant, for the operation *revoke*.
    pub(crate) fn revoked(&self, cause: RevocationCause, now: Timestamp) -> Self {
        let closed_consent = match &self.0.phase {
            Phase::ConsentPending(page) => Some(page.clone()),
            Phase::CodeIssued(_) | Phase::Active(_) | Phase::Revoked(_) => None,
        };
        let last_expiry = self.last_use();
        self.next(now, Phase::Revoked(Revoked { cause, last_expiry, closed_consent }))
    }

    /// Ends the access token of this digest, for the operation *revoke*. The other tokens of the
    /// grant stay valid.
    pub(crate) fn without_access_token(
        &self,
        active: &Active,
        token: &Digest,
        now: Timestamp,
    ) -> Self {
        let others = active.access_tokens.iter().filter(|entry| !entry.digest.matches(token));
        let next = Active {
            issued_from: active.issued_from.clone(),
            access_tokens: others.copied().collect(),
            remaining: active.remaining,
        };
        self.next(now, Phase::Active(next))
    }

    /// Returns the same grant, of this policy's issuer. Its next write has the new issuer.
    pub(crate) fn relabelled(&self, policy: &Policy) -> Self {
        Self(Fields { issuer: policy.own_issuer().clone(), ..self.0.clone() })
    }

    /// Makes an active grant that expires at this time, for the conformance suite. Its digests are
    /// those of the consent page.
    #[cfg(feature = "conformance")]
    pub(crate) fn in_use(self, until: Timestamp) -> Self {
        let Phase::ConsentPending(consent) = self.0.phase else { return self };
        let digest = consent.ticket_digest;
        let redeemed = self.0.latest_seen;
        let refresh_family = RefreshFamily {
            family_digest: consent.session_digest,
            current_digest: digest,
            idle_expires: until,
            rotated: redeemed,
            replay_window: None,
        };
        let code_challenge = consent.code_challenge;
        let issued_from = Issuance::Code(RedeemedCode {
            digest,
            code_challenge,
            redeemed,
            proof: KeyProof::None,
            refresh_family,
        });
        let phase = Phase::Active(Active {
            issued_from,
            remaining: None,
            access_tokens: AccessTokens::new(),
        });
        Self(Fields { expires: until, phase, ..self.0 })
    }

    /// Creates a record in its first phase.
    fn created_in(
        id: GrantId,
        terms: Arc<Terms>,
        phase: Phase,
        expires: Timestamp,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        Self(Fields {
            schema: Schema,
            id,
            issuer: policy.own_issuer().clone(),
            terms,
            latest_seen: now,
            expires,
            phase,
        })
    }

    /// Returns this grant in another phase, with `now` as the latest time at which it was written.
    fn next(&self, now: Timestamp, phase: Phase) -> Self {
        Self(Fields {
            schema: Schema,
            id: self.0.id,
            issuer: self.0.issuer.clone(),
            terms: Arc::clone(&self.0.terms),
            latest_seen: now,
            expires: self.0.expires,
            phase,
        })
    }
}

/// Returns the end of a grant that begins now: that of its absolute lifetime, or `until` if that is
/// earlier.
fn absolute_end(
    until: Option<Timestamp>,
    lifetimes: &EffectiveLifetimes,
    now: Timestamp,
) -> Timestamp {
    let absolute = lifetimes.refresh_absolute;
    let longest = absolute.map_or(Timestamp::NEVER, |absolute| now.after(absolute));
    until.map_or(longest, |until| until.min(longest))
}

/// Returns the entry of an access token that is issued now. It does not outlive the grant, which
/// ends at `end`.
fn access_token(minted: &Minted, end: Timestamp, now: Timestamp) -> AccessTokenEntry {
    AccessTokenEntry {
        digest: minted.access,
        issued: now,
        expires: now.after(minted.lifetimes.access).min(end),
        scope: minted.scope,
        resources: minted.resources,
    }
}

/// Returns the idle expiry of a refresh token that is issued now. It does not outlive the grant,
/// which ends at `end`.
fn idle_expires(end: Timestamp, lifetimes: &EffectiveLifetimes, now: Timestamp) -> Timestamp {
    now.after(lifetimes.refresh_idle).min(end)
}
