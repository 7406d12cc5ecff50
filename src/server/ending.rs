//! What came of ending many grants: one that cannot be ended keeps none of the others alive.

use super::core::Early;
use super::{Answer, AsyncServer, Server};
use crate::audit::{AsyncAuditLog, AuditLog};
use crate::drive::Failure;
use crate::keys::Keys;
use crate::operation::Loaded;
use crate::request::connection::{GrantRevocation, RevokedBy};
use crate::store::{AsyncStore, Store};
use crate::value::credential::GrantId;

/// How many grants of a user are read at once to be ended.
const AT_ONCE: usize = 256;
/// How many more times the grants are tried that could not be ended: whoever conflicts with the
/// end of a grant is done with it by then.
const MORE_TURNS: u32 = 2;

/// What came of ending the grants of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a grant that remains may still work"]
#[non_exhaustive]
pub struct RevokedGrants {
    /// How many grants were ended.
    pub ended: usize,
    /// The grants that could not be ended, after several attempts each: the store failed, or other
    /// requests kept changing them. Each attempt has an event that says why. Call again to end
    /// them.
    pub remaining: Vec<GrantId>,
}

impl RevokedGrants {
    /// Returns whether all of them were ended.
    pub fn is_complete(&self) -> bool {
        self.remaining.is_empty()
    }

    /// Takes the end of one grant, or that it could not be ended.
    fn count(&mut self, grant: GrantId, is_ended: bool) {
        if is_ended {
            self.ended += 1;
        } else {
            self.remaining.push(grant);
        }
    }
}

/// Returns whether this record is a grant to end: of this client, if one is named, and not over.
fn concerns(loaded: &Loaded, client: Option<&str>) -> bool {
    let grant = loaded.grant.as_ref();
    grant.is_some_and(|grant| GrantRevocation::concerns(&grant.record, client))
}

impl<S: Store, T: AuditLog> Server<S, T> {
    /// Ends each grant by itself, and tries again those that could not be ended.
    pub(super) fn revoke_each(
        &self,
        subject: &str,
        client: Option<&str>,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        let mut done = RevokedGrants::default();
        let mut after = None;
        loop {
            let ids = match self.store.grants_of(subject, after, AT_ONCE) {
                Ok(ids) => ids,
                Err(error) => {
                    let Failure { error, refusal, event } = self.core.failure(error);
                    let refusal = self.told(Early { refusal, event: event.clone() });
                    return Err(Failure { error, refusal, event });
                }
            };
            match self.store.load_grants(&ids) {
                Ok(loaded) => {
                    for (id, loaded) in ids.iter().zip(&loaded) {
                        if concerns(loaded, client) {
                            self.end_grant(*id, revoked_by, &mut done);
                        }
                    }
                }
                // One record that cannot be read fails the whole list: each is read by itself.
                Err(_) => {
                    for id in &ids {
                        self.find_and_end(*id, client, revoked_by, &mut done);
                    }
                }
            }
            match ids.last() {
                Some(last) if ids.len() >= AT_ONCE => after = Some(*last),
                _ => break,
            }
        }
        for _ in 0..MORE_TURNS {
            for id in std::mem::take(&mut done.remaining) {
                self.find_and_end(id, client, revoked_by, &mut done);
            }
        }
        Ok(Ok(done))
    }

    fn find_and_end(
        &self,
        grant: GrantId,
        client: Option<&str>,
        revoked_by: RevokedBy<'_>,
        done: &mut RevokedGrants,
    ) {
        match self.store.load(&Keys { grant: Some(grant), ..Keys::default() }) {
            Ok(loaded) if concerns(&loaded, client) => self.end_grant(grant, revoked_by, done),
            Ok(_) => {}
            Err(_) => done.count(grant, false),
        }
    }

    fn end_grant(&self, grant: GrantId, revoked_by: RevokedBy<'_>, done: &mut RevokedGrants) {
        let ended = self.revoke_grant(grant, revoked_by);
        done.count(grant, matches!(ended, Ok(Ok(()))));
    }
}

impl<S: AsyncStore, T: AsyncAuditLog> AsyncServer<S, T> {
    /// Ends each grant by itself, and tries again those that could not be ended.
    pub(super) async fn revoke_each(
        &self,
        subject: &str,
        client: Option<&str>,
        revoked_by: RevokedBy<'_>,
    ) -> Answer<RevokedGrants, S::Error> {
        let mut done = RevokedGrants::default();
        let mut after = None;
        loop {
            let ids = match self.store.grants_of(subject, after, AT_ONCE).await {
                Ok(ids) => ids,
                Err(error) => {
                    let Failure { error, refusal, event } = self.core.failure(error);
                    let refusal = self.told(Early { refusal, event: event.clone() }).await;
                    return Err(Failure { error, refusal, event });
                }
            };
            match self.store.load_grants(&ids).await {
                Ok(loaded) => {
                    for (id, loaded) in ids.iter().zip(&loaded) {
                        if concerns(loaded, client) {
                            self.end_grant(*id, revoked_by, &mut done).await;
                        }
                    }
                }
                // One record that cannot be read fails the whole list: each is read by itself.
                Err(_) => {
                    for id in &ids {
                        self.find_and_end(*id, client, revoked_by, &mut done).await;
                    }
                }
            }
            match ids.last() {
                Some(last) if ids.len() >= AT_ONCE => after = Some(*last),
                _ => break,
            }
        }
        for _ in 0..MORE_TURNS {
            for id in std::mem::take(&mut done.remaining) {
                self.find_and_end(id, client, revoked_by, &mut done).await;
            }
        }
        Ok(Ok(done))
    }

    async fn find_and_end(
        &self,
        grant: GrantId,
        client: Option<&str>,
        revoked_by: RevokedBy<'_>,
        done: &mut RevokedGrants,
    ) {
        match self.store.load(&Keys { grant: Some(grant), ..Keys::default() }).await {
            Ok(loaded) if concerns(&loaded, client) => {
                self.end_grant(grant, revoked_by, done).await;
            }
            Ok(_) => {}
            Err(_) => done.count(grant, false),
        }
    }

    async fn end_grant(&self, grant: GrantId, revoked_by: RevokedBy<'_>, done: &mut RevokedGrants) {
        let ended = self.revoke_grant(grant, revoked_by).await;
        done.count(grant, matches!(ended, Ok(Ok(()))));
    }
}
