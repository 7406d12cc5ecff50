//! What a grant keeps in each phase. Each phase has its own fields and no others.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Basis, Consent, RevocationCause, Terms};
use crate::moment::Timestamp;
use crate::policy::{Policy, Resource};
use crate::value::pkce::CodeChallenge;
use crate::value::scope::Subset;
use crate::value::secret::{Digest, Salt};
use crate::value::text::State;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    ConsentPending(PendingConsent),
    CodeIssued(IssuedCode),
    Active(Active),
    Revoked(Revoked),
}

/// A consent page, and what the authorization response needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingConsent {
    /// Of the ticket in the page's form. No other page has it.
    pub(crate) ticket_digest: Digest,
    /// Of the browser session that the page was made for. The answer must come from the same
    /// session.
    pub(crate) session_digest: Digest,
    pub(crate) code_challenge: CodeChallenge,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) state: Option<State>,
    /// The classes of logins of which the user's must be one. Empty: any login suffices.
    pub(crate) acr_values: Box<[Box<str>]>,
    pub(crate) expires: Timestamp,
}

/// A code that has not been redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedCode {
    pub(crate) issued_by: CodeIssue,
    pub(crate) code_digest: Digest,
    pub(crate) expires: Timestamp,
}

/// What a code was issued by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum CodeIssue {
    /// The answer of this consent page. The page stays, so that the same answer sent again is
    /// recognized.
    Page(PendingConsent),
    /// The authorization request alone: there was no page that a form could answer.
    NoPage { code_challenge: CodeChallenge },
}

/// A grant whose tokens are in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Active {
    pub(crate) issued_from: Issuance,
    /// What is left of what was granted, or `None` while nothing was taken away. It only ever
    /// shrinks, and every token is limited to it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) remaining: Option<Remaining>,
    /// In the order of issue. The entries that have expired are dropped at the next refresh.
    pub(crate) access_tokens: AccessTokens,
}

/// The parts of the grant's scope and resources that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remaining {
    pub(crate) scope: Subset,
    pub(crate) resources: Subset,
}

/// What the tokens were issued from, with the facts that only such tokens have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Issuance {
    Code(RedeemedCode),
    /// A token request alone. It has nowhere to keep a refresh token (I42).
    Direct,
}

/// A redeemed code and the refresh tokens that followed it.
///
/// The digest and the challenge of the code stay, so that its replay is recognized while the grant
/// lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedeemedCode {
    pub(crate) digest: Digest,
    pub(crate) code_challenge: CodeChallenge,
    /// When the code was redeemed.
    pub(crate) redeemed: Timestamp,
    /// The strongest proof by a key that the client has given for this grant. Each later request
    /// needs a proof that is as strong.
    pub(crate) proof: KeyProof,
    pub(crate) refresh_family: RefreshFamily,
}

/// The proof that a client gave of itself, in ascending order of strength.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyProof {
    /// No key.
    #[default]
    None,
    /// An assertion whose `aud` is the token endpoint. It is accepted of a client that may act
    /// without proof, and another server that the client calls may have sent it: such a server
    /// names this endpoint as its own, and receives an assertion that is valid here (audience
    /// injection).
    Weak,
    /// An assertion whose `aud` is the issuer, or one for the token endpoint that the operator has
    /// allowed.
    Strong,
}

/// The refresh tokens of a grant, of which one is current.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshFamily {
    /// Of the secret that every refresh token of the grant carries. A token without it was forged,
    /// and a forged token must not count as a replay: it would let strangers revoke the grant.
    pub(crate) family_digest: Digest,
    /// Of the secret that only the current refresh token carries.
    pub(crate) current_digest: Digest,
    /// When the current token expires unless it is used.
    pub(crate) idle_expires: Timestamp,
    /// When tokens were last issued, by the redemption or by a refresh.
    pub(crate) rotated: Timestamp,
    /// `None` if the policy had no replay window when tokens were last issued.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) replay_window: Option<ReplayWindow>,
}

/// What is needed to answer a replay within the policy's replay window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayWindow {
    /// The salt that the current token was derived with. `None` before the first refresh.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) salt: Option<Salt>,
    /// When tokens were issued the time before [`RefreshFamily::rotated`]. Two rotations within one
    /// window count as two tabs of one client, not as theft.
    pub(crate) previous_rotation: Timestamp,
}

/// The access tokens of a grant. Most have one, which then lies in the record.
pub(crate) type AccessTokens = SmallVec<[AccessTokenEntry; 1]>;

/// An access token that has not expired, and its part of the grant's scope and resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessTokenEntry {
    pub(crate) digest: Digest,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) scope: Subset,
    pub(crate) resources: Subset,
}

/// The scope and resources that are left of an access token: [`Active::limited`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRights {
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    pub(crate) scope: Subset,
    pub(crate) resources: Subset,
}

/// The end of a grant. No transition leaves this phase.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoked {
    pub(crate) cause: RevocationCause,
    /// When the last of the revoked credentials would have expired.
    pub(crate) last_expiry: Timestamp,
    /// The page that led to no code: the user denied, and the same answer sent again gets the same
    /// response; or the grant was revoked before an answer, and a late answer gets the response for
    /// that.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) closed_consent: Option<PendingConsent>,
}

impl IssuedCode {
    /// Returns the challenge of the code.
    pub(crate) fn code_challenge(&self) -> &CodeChallenge {
        match &self.issued_by {
            CodeIssue::Page(page) => &page.code_challenge,
            CodeIssue::NoPage { code_challenge } => code_challenge,
        }
    }
}

impl Phase {
    /// Returns whether a grant on this basis can be in this phase: only a user who was asked has a
    /// page, only a consent has a code, and what has no code was issued directly.
    pub(super) fn is_consistent_with(&self, basis: &Basis) -> bool {
        let was_asked = matches!(basis, Basis::Consent { consent: Consent::Asked, .. });
        match self {
            Self::ConsentPending(_) => was_asked,
            Self::CodeIssued(issued) => {
                !basis.is_direct() && was_asked == matches!(issued.issued_by, CodeIssue::Page(_))
            }
            Self::Active(active) => {
                basis.is_direct() == matches!(active.issued_from, Issuance::Direct)
            }
            Self::Revoked(revoked) => was_asked || revoked.closed_consent.is_none(),
        }
    }
}

impl Active {
    /// Returns the code that the tokens were issued from, if there was one.
    pub(crate) fn code(&self) -> Option<&RedeemedCode> {
        match &self.issued_from {
            Issuance::Code(code) => Some(code),
            Issuance::Direct => None,
        }
    }

    /// Returns what is left of an access token of a grant that ends at `end`.
    pub(crate) fn limited(&self, entry: &AccessTokenEntry, end: Timestamp) -> TokenRights {
        let left = self.remaining();
        TokenRights {
            issued: entry.issued,
            expires: entry.expires.min(end),
            scope: entry.scope.and(left.scope),
            resources: entry.resources.and(left.resources),
        }
    }

    /// Returns what is left of scope and resources.
    pub(crate) fn remaining(&self) -> Remaining {
        self.remaining.unwrap_or(Remaining::ALL)
    }

    /// Returns whether some scope and some resource is left.
    pub(super) fn is_consistent(&self, terms: &Terms) -> bool {
        self.remaining.is_none_or(|left| {
            !left.scope.is_empty(terms.scope.len())
                && !left.resources.is_empty(terms.resources.len())
        })
    }

    /// Returns the access token of this digest. Every entry is compared, in constant time, so that
    /// the time does not depend on which entry matches.
    pub(crate) fn find(&self, digest: &Digest) -> Option<&AccessTokenEntry> {
        self.access_tokens.iter().fold(None, |found, entry| {
            if entry.digest.matches(digest) { Some(entry) } else { found }
        })
    }

    /// Returns the expiry of the token that expires last.
    pub(super) fn last_expiry(&self) -> Timestamp {
        let idle = self.code().map_or(Timestamp::EPOCH, |code| code.refresh_family.idle_expires);
        self.access_tokens.iter().map(|entry| entry.expires).fold(idle, Timestamp::max)
    }
}

impl Remaining {
    const ALL: Self = Self { scope: Subset::ALL, resources: Subset::ALL };

    /// Returns what is left of both, or `None` if that is everything.
    pub(super) fn and(self, scope: Subset, resources: Subset) -> Option<Self> {
        let scope = self.scope.and(scope);
        let resources = self.resources.and(resources);
        Some(Self { scope, resources }).filter(|left| *left != Self::ALL)
    }
}

impl TokenRights {
    /// Returns whether the token is for this resource.
    pub(crate) fn is_for(&self, terms: &Terms, resource: &Resource, policy: &Policy) -> bool {
        self.resources.of(terms.resources.iter()).any(|own| policy.is_good_at(own, resource))
    }
}

impl Revoked {
    /// Returns whether there is a page if the cause is a denial, and none if the cause needs a code
    /// or tokens.
    pub(super) fn is_consistent(&self) -> bool {
        match self.cause {
            RevocationCause::Denied => self.closed_consent.is_some(),
            RevocationCause::User
            | RevocationCause::Administrator
            | RevocationCause::SecurityEvent => true,
            RevocationCause::Replay
            | RevocationCause::Client
            | RevocationCause::Host
            | RevocationCause::Superseded => self.closed_consent.is_none(),
        }
    }
}
