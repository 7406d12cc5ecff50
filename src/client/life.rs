//! A client's life: how its status changes, and how long a client that nobody registered by hand is
//! known (CLIENT-21, -23).
//!
//! A client that registered itself is forgotten unless it is used, and one that is used outlives
//! its grants: before a grant begins or is prolonged beyond the client's own end, the client is
//! renewed. No grant is ever without its client.

use std::time::Duration;

use super::{Client, ClientStatus, Fields, Origin, StoredSecret};
use crate::moment::Timestamp;
use crate::value::secret::Digest;

impl Client {
    /// The same client, refused everywhere from when this is stored.
    pub fn deactivated(self) -> Self {
        Self(Fields { status: ClientStatus::Deactivated, ..self.0 })
    }

    /// The same client, served again.
    pub fn reactivated(self) -> Self {
        Self(Fields { status: ClientStatus::Active, ..self.0 })
    }

    /// The same client in its next epoch: when this is stored, every grant that captured an older
    /// one is dead.
    pub fn with_grants_ended(self) -> Self {
        Self(Fields { epoch: self.0.epoch.wrapping_add(1), ..self.0 })
    }

    /// The same client, unknown from when this is stored, whatever the clock says, and its grants
    /// dead. The record may be dropped, unless it is the operator's own.
    pub fn deleted(self) -> Self {
        Self(Fields { expires: Timestamp::EPOCH, ..self.with_grants_ended().0 })
    }

    /// Whether it was deleted, and is not only over.
    pub(crate) fn is_deleted(&self) -> bool {
        self.0.expires == Timestamp::EPOCH
    }

    /// When it is unknown again: of one that the operator registered never, of another when it was
    /// not used for so long.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }

    /// Whether it is unknown again.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.0.expires
    }

    /// Returns when the record may be dropped. Never that of a client that is deactivated, nor of
    /// one that is known by a document and was restricted by the operator: it would come back at its
    /// next request, active and without the restriction. Nor the operator's own, even if deleted:
    /// under the same name again, it would bring ended grants back.
    pub fn drop_after(&self) -> Timestamp {
        match (self.0.status, &self.0.origin) {
            (ClientStatus::Active, Origin::Dynamic { .. }) => self.0.expires,
            (ClientStatus::Active, Origin::MetadataDocument { .. }) if !self.is_restricted() => {
                self.0.expires
            }
            _ => Timestamp::NEVER,
        }
    }

    /// Returns whether the record holds a fact of the operator's that a document does not bring.
    fn is_restricted(&self) -> bool {
        let Fields { restrictions, owner, loopback_ports, .. } = &self.0;
        !restrictions.is_empty() || owner.is_some() || loopback_ports.is_some()
    }

    /// The same client with a longer life, if it would not outlive a grant that may be used until
    /// then. Its new end is some time beyond, so that this is seldom asked for.
    pub(crate) fn outliving(&self, grant: Timestamp, beyond: Duration) -> Option<Self> {
        let kept = grant.after(crate::grant::KEPT);
        (self.0.expires < kept)
            .then(|| Self(Fields { expires: kept.after(beyond), ..self.0.clone() }))
    }

    /// The same client, known until then.
    #[cfg(feature = "conformance")]
    pub(crate) fn known_until(&self, end: Timestamp) -> Self {
        Self(Fields { expires: end, ..self.0.clone() })
    }

    /// Whether the document it is known by need not be fetched yet. What was read by a clock that
    /// was ahead, or under a longer bound, is not believed for longer than that.
    pub(crate) fn is_fresh(&self, now: Timestamp, at_most: Duration) -> bool {
        match self.0.origin {
            Origin::MetadataDocument { fresh_until } => {
                now < fresh_until && fresh_until <= now.after(at_most)
            }
            Origin::Operator | Origin::Dynamic { .. } => true,
        }
    }

    /// Whether the other is this client in all but when it was last read about, and how long it is
    /// known.
    pub(crate) fn is_described_as(&self, other: &Self) -> bool {
        *self
            == Self(Fields {
                origin: self.0.origin.clone(),
                expires: self.0.expires,
                ..other.0.clone()
            })
    }

    /// Whether this is the digest of its management token. A client without one has none that is
    /// right.
    pub(crate) fn is_managed_by(&self, token: &Digest) -> bool {
        matches!(&self.0.origin, Origin::Dynamic { management: Some(own) } if own.matches(token))
    }

    /// Whether this is the digest of its secret. Nothing that a person chose is told so: that takes
    /// a slow hash.
    pub(crate) fn has_secret(&self, digest: &Digest) -> bool {
        use super::Authentication::Confidential;
        matches!(&self.0.authentication, Confidential { secret: StoredSecret::Digest(own), .. } if own.matches(digest))
    }
}
