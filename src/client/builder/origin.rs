//! What a registration or a document of the client sets.

use super::ClientBuilder;
use crate::client::Origin;
use crate::moment::Timestamp;
use crate::value::secret::Digest;

impl ClientBuilder {
    /// Replaces the redirect URIs by those that the client names. Trust in a client is trust in
    /// where its responses go, so that it ends when the URIs change.
    pub(crate) fn redirecting_to(mut self, uris: Vec<String>) -> Self {
        let before = std::mem::take(&mut self.redirect_uris);
        let mut next = uris.into_iter().fold(self, Self::redirect_uri);
        next.trusted = next.trusted.map(|trusted| trusted && next.redirect_uris == before);
        next
    }

    /// Sets a registration by the client itself, which expires at `until` unless it is used. The
    /// epoch is drawn at random: a record that was dropped and comes back has another one, so that
    /// grants of the dropped record stay dead.
    pub(crate) fn registered(
        mut self,
        registration_access_token_digest: Option<Digest>,
        now: Timestamp,
        until: Timestamp,
        epoch: u64,
    ) -> Self {
        (self.origin, self.expires, self.epoch) =
            (Origin::Dynamic { issuer: None, registration_access_token_digest }, until, epoch);
        (self.created, self.described) = (now, now);
        self
    }

    /// Sets that the client is known by a metadata document, which was fetched now.
    pub(crate) fn documented(
        mut self,
        now: Timestamp,
        fresh_until: Timestamp,
        until: Timestamp,
    ) -> Self {
        (self.origin, self.expires) =
            (Origin::MetadataDocument { asked: now, fresh_until }, self.expires.max(until));
        self
    }

    /// Sets when the client became known, and its epoch. [`documented`](Self::documented) sets the
    /// expiry.
    pub(crate) fn new_at(mut self, now: Timestamp, epoch: u64) -> Self {
        (self.epoch, self.expires) = (epoch, Timestamp::EPOCH);
        (self.created, self.described) = (now, now);
        self
    }
}
