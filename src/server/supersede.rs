//! The end of a user's older grants at one place, after a redemption. A failure harms nobody: the
//! tokens of the redemption are returned, and the next redemption ends what remains.

use super::Server;
use crate::audit::AuditLog;
use crate::grant::Grant;
use crate::policy::{Policy, Supersede};
use crate::request::supersession::GrantSupersession;
use crate::request::token::{Exchange, TokenRequest};
use crate::response::token::Tokens;
use crate::store::{AccountSource, Store};
use crate::value::credential::GrantId;
use crate::value::text::Subject;

/// How many grants of a user are read at once.
const PAGE: usize = 256;
/// After how many grants of a user no further ones are read.
const READ_LIMIT: usize = 32_768;

/// Returns the grant whose older ones are to be ended: that of a redemption, if the policy says so
/// and the grant is at a place that can have older ones. Nothing is read for any other.
pub(super) fn superseding(
    request: &TokenRequest<'_>,
    tokens: &Tokens,
    policy: &Policy,
) -> Option<GrantId> {
    let is_redemption = matches!(request.exchange, Exchange::Code(_));
    let is_on = policy.supersede() == Supersede::SamePlace;
    if is_redemption && is_on && tokens.terms.has_place() { request.grant() } else { None }
}

impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Ends the older grants at the place of this one. Each failure has an event.
    pub(super) async fn supersede(&self, own: GrantId) {
        let own = match self.store.grant(own).await {
            Ok(Some(stored)) => stored.record,
            Ok(None) => return,
            Err(error) => return drop(self.failure(error).await),
        };
        let Some(subject) = own.subject().map(Subject::as_str) else { return };
        let mut after = None;
        for _ in 0..READ_LIMIT / PAGE {
            let ids = match self.store.grants_of(subject, after, PAGE).await {
                Ok(ids) => ids,
                Err(error) => return drop(self.failure(error).await),
            };
            for id in self.find_at_place(&own, &ids).await {
                let ended = self.run(GrantSupersession::between(own.id(), id)).await;
                // A later redemption was faster. Its own run ends the others.
                if matches!(ended, Ok(Some(ended)) if ended == own.id()) {
                    return;
                }
            }
            match ids.last() {
                Some(last) if ids.len() >= PAGE => after = Some(*last),
                _ => return,
            }
        }
    }

    /// Returns which of these grants are at the place of the user's own one.
    async fn find_at_place(&self, own: &Grant, ids: &[GrantId]) -> Vec<GrantId> {
        let now = self.core.clock.now();
        let is_at_place = |other: &Grant| GrantSupersession::older(own, other, now).is_some();
        let mut found = Vec::new();
        match self.store.load_grants(ids).await {
            Ok(loaded) => {
                let grants = loaded.iter().filter_map(|loaded| loaded.grant.as_ref());
                let at_place = grants.filter(|stored| is_at_place(&stored.record));
                found.extend(at_place.map(|stored| stored.record.id()));
            }
            // A record that cannot be read fails the whole page, so each is read by itself.
            Err(_) => {
                for id in ids {
                    match self.store.grant(*id).await {
                        Ok(Some(stored)) if is_at_place(&stored.record) => found.push(*id),
                        Ok(_) => {}
                        Err(error) => drop(self.failure(error).await),
                    }
                }
            }
        }
        found
    }
}
