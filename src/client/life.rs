//! How a client's status changes, and when a client that the operator did not register expires
//! (CLIENT-21, CLIENT-23).
//!
//! A client that registered itself expires unless it is used. Before a grant begins or is prolonged
//! beyond the expiry of its client, the client is renewed, so that no grant outlives its client.

use std::time::Duration;

use super::{Client, ClientStatus, Fields, Origin};
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::value::secret::Digest;

/// How long a document is not fetched anew for the keys that it lacks.
const DOCUMENT_COOL_DOWN: Duration = Duration::from_secs(60);

impl Client {
    /// Returns the same client, deactivated: refused at every endpoint once this is stored.
    pub fn deactivated(self) -> Self {
        Self(Fields { status: ClientStatus::Deactivated, ..self.0 })
    }

    /// Returns the same client, active again.
    pub fn reactivated(self) -> Self {
        Self(Fields { status: ClientStatus::Active, ..self.0 })
    }

    /// Returns the same client in its next epoch. Once this is stored, every grant that captured an
    /// older epoch is ended.
    pub fn with_grants_ended(self) -> Self {
        Self(Fields { epoch: self.0.epoch.wrapping_add(1), ..self.0 })
    }

    /// Returns the same client after a change of its description. If its keys changed and the
    /// policy says so, its grants are ended.
    pub(crate) fn rekeyed(self, before: &Self, policy: &Policy) -> Self {
        let ends = policy.client_keys().is_some_and(|rules| rules.end_grants_on_key_change);
        if ends && self.keys() != before.keys() { self.with_grants_ended() } else { self }
    }

    /// Returns the same client in this epoch.
    pub(crate) fn in_epoch(self, epoch: u64) -> Self {
        Self(Fields { epoch, ..self.0 })
    }

    /// Returns the same client, deleted. Once this is stored, the client is unknown by any clock
    /// and its grants are ended. The record may be dropped, unless the operator registered the
    /// client.
    pub fn deleted(self) -> Self {
        Self(Fields { expires: Timestamp::EPOCH, ..self.with_grants_ended().0 })
    }

    /// Returns whether the client was deleted, and has not merely expired.
    pub(crate) fn is_deleted(&self) -> bool {
        self.0.expires == Timestamp::EPOCH
    }

    /// Returns when the client expires unless it is used before. A client of the operator never
    /// does.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// Returns whether the client has expired or was deleted, and so is unknown.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.0.expires
    }

    /// Returns when a store may drop the record. For three kinds of clients this is never:
    ///
    /// - A deactivated client. With a metadata document it would come back active at its next
    ///   request.
    /// - A client with a metadata document that the operator restricted. It would come back without
    ///   the restrictions at its next request.
    /// - A client of the operator, also if it is deleted: registered again under its name, it would
    ///   begin in epoch 0 and bring ended grants back to life.
    pub fn drop_after(&self) -> Timestamp {
        match (self.0.status, &self.0.origin) {
            (ClientStatus::Active, Origin::Dynamic { .. }) => self.0.expires,
            (ClientStatus::Active, Origin::MetadataDocument { .. }) if !self.is_restricted() => {
                self.0.expires
            }
            _ => Timestamp::NEVER,
        }
    }

    /// Returns whether the operator set something that a document does not bring back.
    fn is_restricted(&self) -> bool {
        let Fields { restrictions, lifetimes, owner, consent, .. } = &self.0;
        let has_ports = self.code_flow().is_some_and(|flow| flow.loopback_ports.is_some());
        let has_right = self.machine_rights().is_some() || self.may_use_assertions();
        let is_bound = owner.is_some() || consent.is_some() || has_ports || has_right;
        !restrictions.is_empty() || lifetimes.is_some() || is_bound
    }

    /// Returns the same client with a later expiry if it would expire before the record of a grant
    /// that can be used until `last_use` is dropped. The new expiry is a whole unused lifetime
    /// after that drop, so that renewals are rare.
    pub(crate) fn renewed_past(&self, last_use: Timestamp, unused: Duration) -> Option<Self> {
        let dropped = last_use.after(crate::grant::RETENTION);
        (self.0.expires < dropped)
            .then(|| Self(Fields { expires: dropped.after(unused), ..self.0.clone() }))
    }

    /// Returns the same client with this expiry.
    #[cfg(feature = "conformance")]
    pub(crate) fn known_until(&self, end: Timestamp) -> Self {
        Self(Fields { expires: end, ..self.0.clone() })
    }

    /// Returns whether the metadata document need not be fetched yet. A freshness that ends later
    /// than `at_most` from now was set by a clock that was ahead, or under a longer bound, and does
    /// not count.
    pub(crate) fn is_fresh(&self, now: Timestamp, at_most: Duration) -> bool {
        match self.0.origin {
            Origin::MetadataDocument { fresh_until, .. } => {
                now < fresh_until && fresh_until <= now.after(at_most)
            }
            Origin::Operator { .. } | Origin::Dynamic { .. } => true,
        }
    }

    /// Returns whether the metadata document may be fetched although it is fresh, because the
    /// client uses a key that is not in it: once in 60 s (KEYS-38). A fetch in the future was
    /// recorded by a clock that was ahead, and does not count.
    pub(crate) fn may_have_newer_document(&self, now: Timestamp) -> bool {
        match self.0.origin {
            Origin::MetadataDocument { asked, .. } => {
                now < asked || now >= asked.after(DOCUMENT_COOL_DOWN)
            }
            Origin::Operator { .. } | Origin::Dynamic { .. } => false,
        }
    }

    /// Returns the same client whose document was asked for now, and not read.
    pub(crate) fn asked_for_document(&self, now: Timestamp) -> Self {
        let mut fields = self.0.clone();
        if let Origin::MetadataDocument { asked, .. } = &mut fields.origin {
            *asked = now;
        }
        Self(fields)
    }

    /// Returns whether the other record is this client in everything but the freshness of its
    /// document and its expiry.
    pub(crate) fn is_described_as(&self, other: &Self) -> bool {
        *self
            == Self(Fields {
                origin: self.0.origin.clone(),
                expires: self.0.expires,
                ..other.0.clone()
            })
    }

    /// Returns whether this is the digest of the client's registration access token. A client
    /// without such a token matches no digest.
    pub(crate) fn is_managed_by(&self, token: &Digest) -> bool {
        let Origin::Dynamic { registration_access_token_digest: Some(own), .. } = &self.0.origin
        else {
            return false;
        };
        own.matches(token)
    }
}
