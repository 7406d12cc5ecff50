//! The grant: everything that belongs to one authorization of one client by one user, in one
//! record.
//!
//! Its phase is a state machine, and its transitions are all in `grant/transitions.rs`: nothing
//! else makes or changes a grant. A record holds digests, never a secret.

mod transitions;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use self::transitions::Minted;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::schema::{self, Schema};
use crate::value::credential::GrantId;
use crate::value::pkce::CodeChallenge;
use crate::value::redirect_uri::{self, VerifiedRedirectUri};
use crate::value::scope::{Scope, Subset};
use crate::value::secret::{Digest, Salt};
use crate::value::text::{ClientId, Subject};

/// One authorization.
///
/// ```text
/// authorize ──► ConsentPending ──approve──► CodeIssued ──redeem──► Active ──refresh──► Active
///                    │ deny, expire             │ expire              │ replay, revoke, expire
///                    ▼                          ▼                     ▼
///                  (over)                     (over)               Revoked (terminal)
/// ```
///
/// # As a record
///
/// Plain data for a store: `serde` writes it, in JSON or any other format, and the store keeps what
/// it wrote as it is. Its first field is the number of its format, `schema`. A record is read whole
/// or not at all: one of a newer format, with a field that is unknown, or without one that should
/// be there is an error, which the store must report as its own. Every later version of this crate
/// reads this format.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Grant(Fields);

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        schema::read("Grant", deserializer).map(Self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "Grant", deny_unknown_fields)]
struct Fields {
    schema: Schema,
    id: GrantId,
    /// What never changes after consent; shared by every version of the record.
    terms: Arc<Terms>,
    /// The latest time any write of this record has seen: a clock that steps back revives nothing.
    latest_seen: Timestamp,
    /// When it is over whatever happens; fixed at consent.
    expires: Timestamp,
    phase: Phase,
}

/// Who granted what to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    pub(crate) client: ClientId,
    pub(crate) subject: Subject,
    #[serde(with = "redirect_uri::record")]
    pub(crate) redirect_uri: VerifiedRedirectUri,
    /// Whether the authorization request named the URI, so that the token request must too (RFC
    /// 6749 §4.1.3).
    pub(crate) redirect_uri_sent: bool,
    pub(crate) scope: Scope,
    pub(crate) resources: Box<[Box<str>]>,
    pub(crate) client_epoch: u64,
    pub(crate) account_epoch: u64,
    /// When the consent page was made.
    pub(crate) created: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    ConsentPending(PendingConsent),
    CodeIssued(IssuedCode),
    Active(Active),
    Revoked(Revoked),
}

/// A consent page: for whom it was made, and what its answer needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingConsent {
    pub(crate) ticket: Digest,
    pub(crate) session: Digest,
    pub(crate) challenge: CodeChallenge,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) state: Option<Box<str>>,
    pub(crate) expires: Timestamp,
}

/// A code that waits to be redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedCode {
    pub(crate) consent: PendingConsent,
    pub(crate) code: Digest,
    pub(crate) expires: Timestamp,
}

/// A family of tokens. The code's digest and challenge stay, so that its replay is recognized as
/// long as the grant lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Active {
    pub(crate) code: Digest,
    pub(crate) challenge: CodeChallenge,
    /// The secret that every refresh token of this grant carries: whoever lacks it is a forger,
    /// not a replayer.
    pub(crate) family: Digest,
    /// The secret of the one refresh token that can advance the grant.
    pub(crate) current: Digest,
    pub(crate) idle_expires: Timestamp,
    /// When the code was redeemed, and when tokens were last issued.
    pub(crate) redeemed: Timestamp,
    pub(crate) rotated: Timestamp,
    pub(crate) access_tokens: Vec<AccessTokenEntry>,
    /// Kept only under a replay window.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) window: Option<Window>,
}

/// An access token that has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessTokenEntry {
    pub(crate) digest: Digest,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) scope: Subset,
    pub(crate) resources: Subset,
}

/// What the replay window needs: the salt of the last rotation (none before the first), and the
/// time of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) salt: Option<Salt>,
    pub(crate) previous_rotation: Timestamp,
}

/// The end. Nothing leaves this phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) cause: RevocationCause,
    /// When the last of its credentials would have ended.
    pub(crate) until: Timestamp,
    /// The page that was answered with Deny, so that a second Deny gets the same answer.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) denied: Option<PendingConsent>,
}

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationCause {
    /// The user denied it.
    Denied,
    /// Its code or one of its refresh tokens was used twice.
    Replay,
    /// Its client gave a token of it back (RFC 7009).
    Client,
    /// Its user ended it, on a page of connected apps.
    User,
    /// An administrator ended it.
    Administrator,
    /// The host reported a security event: a changed password, a lost device.
    SecurityEvent,
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantState {
    /// The user is looking at the consent page.
    ConsentPending,
    /// The user approved; the code is not redeemed yet.
    CodeIssued,
    /// Tokens were issued.
    Active,
    /// It is over.
    Revoked(RevocationCause),
}

/// Records are kept this long past their last credential, so that a late answer can still say what
/// happened.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Consent pages are made by the mere opening of a link, so theirs are kept for less.
pub(crate) const KEPT_PENDING: Duration = Duration::from_secs(60 * 60);

impl Grant {
    /// The record's key, which names the whole flow in the trail.
    pub fn id(&self) -> GrantId {
        self.0.id
    }

    /// The client it is for.
    pub fn client_id(&self) -> &ClientId {
        &self.0.terms.client
    }

    /// The user who granted.
    pub fn subject(&self) -> &Subject {
        &self.0.terms.subject
    }

    /// What was granted (asked for, while the consent is pending).
    pub fn scope(&self) -> &Scope {
        &self.0.terms.scope
    }

    /// The resources it is for.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.0.terms.resources.iter().map(|resource| &**resource)
    }

    /// When its consent page was made.
    pub fn created(&self) -> Timestamp {
        self.0.terms.created
    }

    /// When it is over whatever happens: of a grant in use, its absolute lifetime's end.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// Where it stands. Expiry is not a state: it is judged at each use.
    pub fn state(&self) -> GrantState {
        match &self.0.phase {
            Phase::ConsentPending(_) => GrantState::ConsentPending,
            Phase::CodeIssued(_) => GrantState::CodeIssued,
            Phase::Active(_) => GrantState::Active,
            Phase::Revoked(revoked) => GrantState::Revoked(revoked.cause),
        }
    }

    /// From when on the record may be dropped.
    pub fn drop_after(&self) -> Timestamp {
        let kept =
            if matches!(self.0.phase, Phase::ConsentPending(_)) { KEPT_PENDING } else { KEPT };
        self.last_use().after(kept)
    }

    pub(crate) fn terms(&self) -> &Arc<Terms> {
        &self.0.terms
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.0.phase
    }

    /// The time to judge by: the clock's, or the latest this record has seen.
    pub(crate) fn now(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.0.latest_seen)
    }

    /// Returns whether a credential of this grant can still do anything.
    pub(crate) fn is_live(&self, clock: Timestamp) -> bool {
        !matches!(self.0.phase, Phase::Revoked(_)) && self.now(clock) < self.last_use()
    }

    /// The last moment at which any credential of it could matter.
    pub(crate) fn last_use(&self) -> Timestamp {
        match &self.0.phase {
            Phase::ConsentPending(prompt) => prompt.expires,
            Phase::CodeIssued(issued) => issued.expires,
            Phase::Active(active) => active
                .access_tokens
                .iter()
                .map(|live| live.expires)
                .fold(active.idle_expires, Timestamp::max),
            Phase::Revoked(revoked) => revoked.until,
        }
    }
}

impl AccessTokenEntry {
    /// Whether it is good at this resource.
    pub(crate) fn is_for(&self, terms: &Terms, resource: &str, policy: &Policy) -> bool {
        self.resources.of(terms.resources.iter()).any(|own| policy.is_good_at(own, resource))
    }
}

impl Active {
    /// The live access token of this digest. Every entry is compared, in constant time.
    pub(crate) fn find(&self, digest: &Digest) -> Option<&AccessTokenEntry> {
        self.access_tokens
            .iter()
            .fold(None, |found, live| if live.digest.matches(digest) { Some(live) } else { found })
    }
}
