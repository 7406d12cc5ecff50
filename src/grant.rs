//! The grant: the record of one authorization of one client, by one user or on the client's own
//! behalf.
//!
//! `grant/terms.rs` has what was granted, `grant/phase.rs` what each phase keeps, and
//! `grant/transitions.rs` every change of phase. No other code makes or changes a grant. A record
//! holds SHA-256 digests of credentials, never a credential.

mod phase;
mod terms;
mod transitions;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

pub(crate) use self::phase::{
    AccessTokenEntry, AccessTokens, Active, CodeIssue, Issuance, IssuedCode, KeyProof,
    PendingConsent, Phase, RedeemedCode, RefreshFamily, TokenRights,
};
pub use self::terms::Principal;
pub(crate) use self::terms::{Basis, CapturedAccount, Consent, LoginFacts, Terms};
pub(crate) use self::transitions::{Adjustment, Approval, Bound, Minted};
use crate::moment::Timestamp;
use crate::schema::{self, Schema};
use crate::value::credential::GrantId;
use crate::value::issuer::Issuer;
use crate::value::properties::Properties;
use crate::value::scope::{Scope, Subset};
use crate::value::text::{ClientId, Subject};

/// The record of one authorization: the consent page, the code, the refresh token family, the
/// access tokens, and the revocation.
///
/// ```text
/// authorize ──► ConsentPending ──approve──► CodeIssued ──redeem──► Active ──refresh──► Active
///                     │                         │                     │
///                deny, revoke                 revoke           replay, revoke
///                     ▼                         ▼                     ▼
///                  Revoked                   Revoked               Revoked
/// ```
///
/// A request that needs no consent page begins with `CodeIssued`, and one without a user with
/// `Active`. `Revoked` is final. Expiry is no phase: each use compares the record's times with the
/// clock.
///
/// # As a record
///
/// A grant is plain data for a store. `serde` writes it, as JSON or in any other format, and the
/// store keeps the text or the bytes unchanged. The first field is the number of the format,
/// `schema`. A record is read whole or not at all: a record of a newer format, with an unknown
/// field, without one of its fields, or with fields that contradict each other is an error, and the
/// store must report it as its own error. Every later version of this crate reads this format.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Grant(Fields);

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: Fields = schema::read("Grant", deserializer)?;
        match &fields.phase {
            Phase::Revoked(revoked) if !revoked.is_consistent() => Err(de::Error::custom(
                "a grant has a closed_consent if it was denied, and none if its code was used",
            )),
            phase if !phase.is_consistent_with(&fields.terms.basis) => Err(de::Error::custom(
                "a grant has a consent page if and only if its user was asked, and a code if and \
                 only if it has a consent",
            )),
            Phase::Active(active) if !active.is_consistent(&fields.terms) => {
                Err(de::Error::custom("an active grant has scope and resources left"))
            }
            _ => Ok(Self(fields)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "Grant", deny_unknown_fields)]
struct Fields {
    schema: Schema,
    id: GrantId,
    /// For every other issuer that shares the store, the record does not exist.
    issuer: Issuer,
    /// Behind an `Arc`, because all versions of the record after the consent share them.
    terms: Arc<Terms>,
    /// The latest time at which this record was written. A clock that steps back cannot revive an
    /// expired credential.
    latest_seen: Timestamp,
    /// The absolute end. Before the approval this is the end of the consent page.
    expires: Timestamp,
    phase: Phase,
}

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationCause {
    /// The user denied consent.
    Denied,
    /// The code or a rotated refresh token was used again.
    Replay,
    /// The client revoked one of its refresh tokens (RFC 7009).
    Client,
    /// The user ended the connection.
    User,
    /// An administrator revoked the grant.
    Administrator,
    /// The host reported a security event, such as a changed password or a lost device.
    SecurityEvent,
    /// The host ended the grant when it was being refreshed
    /// ([`Accounts::refresh_decision`](crate::Accounts::refresh_decision)).
    Host,
    /// A newer grant of the same user at the same place took its place
    /// ([`PolicyBuilder::supersede`](crate::policy::PolicyBuilder::supersede)).
    Superseded,
}

/// The phase of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantState {
    /// The consent page waits for the user's answer.
    ConsentPending,
    /// The user approved, and the code has not been redeemed.
    CodeIssued,
    /// The code was redeemed for tokens.
    Active,
    /// The grant is revoked, for this cause. This state is final.
    Revoked(RevocationCause),
}

/// How long a record is kept after the expiry of its last credential, so that a late request still
/// gets the precise refusal.
pub(crate) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the record of an unanswered consent page is kept after its expiry. It is shorter,
/// because any site can make a user's browser open such pages.
pub(crate) const RETENTION_PENDING: Duration = Duration::from_secs(60 * 60);
/// How long the record of a token without a code is kept after its expiry. It is shorter, because
/// each such token has a record of its own.
pub(crate) const RETENTION_DIRECT: Duration = Duration::from_secs(60 * 60);

impl Grant {
    /// Returns the key of the record, which also identifies the flow in the audit log.
    pub fn id(&self) -> GrantId {
        self.0.id
    }

    /// Returns the bytes of the grant's id.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        self.0.id.as_bytes()
    }

    /// Returns the issuer that the grant was made at (RFC 8414 §2).
    pub fn issued_by(&self) -> &str {
        self.0.issuer.as_str()
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// Returns the client that the grant is for.
    pub fn client_id(&self) -> &ClientId {
        &self.0.terms.client_id
    }

    /// Returns who the grant's tokens speak for.
    pub fn principal(&self) -> Principal<'_> {
        self.0.terms.principal()
    }

    /// Returns the user who granted it, or `None` if the client acts on its own behalf.
    pub fn subject(&self) -> Option<&Subject> {
        self.0.terms.account().map(|account| &account.subject)
    }

    /// Returns whether this is the user who granted it.
    pub(crate) fn is_of(&self, user: &str) -> bool {
        self.subject().is_some_and(|subject| subject.as_str() == user)
    }

    /// Returns the granted scope, or the requested scope while the consent is pending.
    pub fn scope(&self) -> &Scope {
        &self.0.terms.scope
    }

    /// Returns the resources that the grant is for (RFC 8707).
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0.terms.resources.iter().map(|resource| &**resource)
    }

    /// Returns the scope tokens that are left of the granted scope. No token of the grant has
    /// another one.
    pub fn remaining_scope(&self) -> impl Iterator<Item = &str> {
        self.remaining().0.of(self.scope().tokens())
    }

    /// Returns the resources that are left of those that the grant is for.
    pub fn remaining_resources(&self) -> impl Iterator<Item = &str> {
        self.remaining().1.of(self.resources())
    }

    /// Returns what the host has bound to the grant.
    pub fn properties(&self) -> Option<&Properties> {
        self.0.terms.properties.as_ref()
    }

    /// Returns when the consent page was made, or the code or the token was issued without one.
    pub fn created(&self) -> Timestamp {
        self.0.terms.created
    }

    /// Returns the absolute end. A refresh may bring it nearer and never moves it away. Before the
    /// approval this is the end of the consent page.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// Returns until when its code can be redeemed, while it has one that was not (OAuth 2.1
    /// §4.1.2).
    pub fn code_expires(&self) -> Option<Timestamp> {
        match &self.0.phase {
            Phase::CodeIssued(issued) => Some(issued.expires),
            _ => None,
        }
    }

    /// Returns the phase. An expired grant keeps its phase, because expiry is checked at each use.
    pub fn state(&self) -> GrantState {
        match &self.0.phase {
            Phase::ConsentPending(_) => GrantState::ConsentPending,
            Phase::CodeIssued(_) => GrantState::CodeIssued,
            Phase::Active(_) => GrantState::Active,
            Phase::Revoked(revoked) => GrantState::Revoked(revoked.cause),
        }
    }

    /// Returns the time after which a store may drop the record.
    pub fn drop_after(&self) -> Timestamp {
        let retention = match self.0.phase {
            Phase::ConsentPending(_) => RETENTION_PENDING,
            _ if self.0.terms.basis.is_direct() => RETENTION_DIRECT,
            Phase::CodeIssued(_) | Phase::Active(_) | Phase::Revoked(_) => RETENTION,
        };
        self.last_use().after(retention)
    }

    /// Returns the earlier grant whose consent page this one relies on, while its code waits to be
    /// redeemed.
    pub(crate) fn relies_on(&self) -> Option<GrantId> {
        match (&self.0.phase, self.0.terms.consent()) {
            (Phase::CodeIssued(_), Some(Consent::Remembered { of })) => Some(of),
            _ => None,
        }
    }

    /// Returns the consent page of the grant, until its code is redeemed.
    pub(crate) fn consent_page(&self) -> Option<&PendingConsent> {
        match &self.0.phase {
            Phase::ConsentPending(page) => Some(page),
            Phase::CodeIssued(issued) => match &issued.issued_by {
                CodeIssue::Page(page) => Some(page),
                CodeIssue::NoPage { .. } => None,
            },
            Phase::Active(_) => None,
            Phase::Revoked(revoked) => revoked.closed_consent.as_ref(),
        }
    }

    /// Returns what is left of scope and resources. Narrowing begins when the code is redeemed.
    fn remaining(&self) -> (Subset, Subset) {
        match &self.0.phase {
            Phase::Active(active) => (active.remaining().scope, active.remaining().resources),
            Phase::ConsentPending(_) | Phase::CodeIssued(_) | Phase::Revoked(_) => {
                (Subset::ALL, Subset::ALL)
            }
        }
    }

    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.0.terms
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.0.phase
    }

    /// Returns the time that expiries of the record are compared with: the clock's, or the latest
    /// time in the record if the clock is behind it.
    pub(crate) fn now(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.0.latest_seen)
    }

    /// Returns whether one of the grant's credentials can still be accepted.
    pub(crate) fn is_live(&self, clock: Timestamp) -> bool {
        !matches!(self.0.phase, Phase::Revoked(_)) && self.now(clock) < self.last_use()
    }

    /// Returns whether the grant is live and before its absolute end.
    pub(crate) fn is_usable(&self, clock: Timestamp) -> bool {
        self.is_live(clock) && self.now(clock) < self.0.expires
    }

    /// Returns the expiry of the credential that expires last.
    pub(crate) fn last_use(&self) -> Timestamp {
        match &self.0.phase {
            Phase::ConsentPending(consent) => consent.expires,
            Phase::CodeIssued(issued) => issued.expires,
            Phase::Active(active) => active.last_expiry(),
            Phase::Revoked(revoked) => revoked.last_expiry,
        }
    }
}
