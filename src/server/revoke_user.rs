//! The revocation of all grants of a user. A failure for one grant does not stop the others.

use super::early::EarlyRefusal;
use super::watch::Limit;
use super::{Error, Server};
use crate::audit::AuditLog;
#[cfg(doc)]
use crate::audit::AuditPolicy;
use crate::decision::Loaded;
use crate::drive::guard::Guard;
use crate::event::{Durability, Event, EventKind, Written, WrittenRecord};
use crate::keys::Keys;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::connection::{GrantRevocation, RevokedBy};
use crate::store::{AccountSource, Failure, FailureCause, Store};
use crate::value::credential::GrantId;
use crate::value::text::{Subject, log_text};

/// How many grants of a user are read at once.
const PAGE: usize = 256;
/// How often grants that could not be revoked are tried again. A request that conflicted with the
/// revocation has probably ended by then.
const RETRIES: u32 = 2;

/// The result of revoking the grants of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a grant that remains may still work"]
#[non_exhaustive]
pub struct RevokedGrants {
    /// How many grants were revoked.
    pub revoked: usize,
    /// The grants that could not be revoked, after several attempts each: the store failed, or
    /// other requests kept changing them. Each attempt has an event with the reason. Call again to
    /// revoke them.
    pub remaining: Vec<GrantId>,
}

impl RevokedGrants {
    /// Returns whether all grants were revoked.
    pub fn is_complete(&self) -> bool {
        self.remaining.is_empty()
    }

    fn count(&mut self, grant: GrantId, is_revoked: bool) {
        if is_revoked {
            self.revoked += 1;
        } else {
            self.remaining.push(grant);
        }
    }
}

/// Returns whether this record is a grant to revoke: it has not ended and is of this client, if one
/// is named.
fn is_to_revoke(loaded: &Loaded, client_id: Option<&str>, policy: &Policy) -> bool {
    let own = loaded.own(policy, Keys::default);
    let grant = own.grant.as_ref();
    grant.is_some_and(|grant| GrantRevocation::concerns(&grant.record, client_id))
}

/// # Ending the access of a user
impl<S: Store, A: AccountSource<S>, L: AuditLog> Server<S, A, L> {
    /// Revokes all grants of a user: raises the [epoch](crate::Account::epoch) of the account,
    /// which ends them at once, and then revokes each grant, so that its record has the cause. If
    /// the accounts have no epoch, a consent page that is being made at the same moment may be
    /// missed.
    ///
    /// A grant that cannot be revoked does not stop the others:
    /// [`RevokedGrants::remaining`] lists it.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// use grantcore::RevokedBy;
    ///
    /// // After a stolen account. Every application must ask the user again.
    /// let done = server.revoke_user("alice", RevokedBy::SecurityEvent("password changed")).await?;
    /// assert!(done.is_complete()); // Otherwise call it again.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Failed`] if the epoch cannot be raised or the user's grants cannot be listed,
    /// [`Error::Refused`] if the audit log fails under [`AuditPolicy::with_fail_closed`].
    pub async fn revoke_user(
        &self,
        subject: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<RevokedGrants, Error<S::Error>> {
        self.raise_epoch(subject, revoked_by).await?;
        self.revoke_each(subject, None, revoked_by).await
    }

    /// Revokes all grants of a user for one client. A consent page that is being made at the same
    /// moment may be missed. A grant that cannot be revoked does not stop the others:
    /// [`RevokedGrants::remaining`] lists it.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # example::tokens(&server).await;
    /// use grantcore::RevokedBy;
    ///
    /// let reason = RevokedBy::Administrator("the user's laptop was lost");
    /// let done = server.revoke_user_client("alice", "notes-app", reason).await?;
    /// assert_eq!(done.revoked, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Failed`] if the user's grants cannot be listed.
    pub async fn revoke_user_client(
        &self,
        subject: &str,
        client_id: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<RevokedGrants, Error<S::Error>> {
        self.revoke_each(subject, Some(client_id), revoked_by).await
    }

    /// Raises the epoch of the account. This is no [`Operation`](crate::operation::Operation),
    /// because the accounts belong to the host. It has a guard and an event like one.
    async fn raise_epoch(
        &self,
        subject: &str,
        revoked_by: RevokedBy<'_>,
    ) -> Result<(), Error<S::Error>> {
        let event = self.epoch_event(subject, revoked_by);
        let reserved = if self.core.audit.fail_closed {
            self.log.reserve(&event).await
        } else {
            Ok(L::Reservation::default())
        };
        let Ok(reservation) = reserved else {
            let refusal = Refusal::plain(Reason::AuditUnavailable, Endpoint::Operator);
            return Err(self.record_early(self.core.early_refusal(refusal, None)).await.into());
        };
        let watch = self.watch(Limit::None, "");
        let mut guard = Guard::armed(&watch, event);
        let raised = self.accounts.raise_epoch(&self.store, subject).await;
        let failed = self.record_epoch(guard.event(), raised).err();
        let correlation = guard.event().correlation;
        let recorded = match guard.observe() {
            Some(event) => self.log.record(event, reservation).await,
            None => Ok(()),
        };
        if let Some((cause, refusal)) = failed {
            let event = Box::new(guard.event().clone());
            guard.disarm();
            return Err(Failure { cause, refusal, event }.into());
        }
        guard.disarm();
        if recorded.is_err() && self.core.audit.fail_closed {
            let refusal = Refusal::plain(Reason::AuditUnavailable, Endpoint::Operator);
            return Err(refusal.correlated(correlation).into());
        }
        Ok(())
    }

    /// Returns the event of raising an epoch, while its durability is unknown.
    fn epoch_event(&self, subject: &str, revoked_by: RevokedBy<'_>) -> Event {
        Event {
            subject: Some(Subject::new(subject)),
            note: Some(log_text(revoked_by.note())),
            written: Some(Written {
                record: WrittenRecord::Account,
                durability: Durability::Unknown,
            }),
            attributed: true,
            ..Event::new(EventKind::AccountGrantsEnded, None, self.core.moment().stamp())
        }
    }

    /// Records in the event whether the epoch was raised.
    fn record_epoch(
        &self,
        event: &mut Event,
        raised: Result<bool, FailureCause<S::Error>>,
    ) -> Result<(), (FailureCause<S::Error>, Refusal)> {
        match raised {
            Ok(true) => event.written = event.written.map(Written::durable),
            // These accounts have no epoch: nothing was written.
            Ok(false) => event.written = None,
            Err(cause) => {
                let reason = Reason::StorageUnavailable;
                let refusal =
                    Refusal::plain(reason, Endpoint::Operator).correlated(event.correlation);
                event.kind = EventKind::Refused;
                event.reason = Some(reason);
                event.sent = Some(Box::new(refusal.sent(&self.core.policy)));
                return Err((cause, refusal));
            }
        }
        Ok(())
    }

    /// Revokes each grant by itself, and tries again those that could not be revoked.
    async fn revoke_each(
        &self,
        subject: &str,
        client_id: Option<&str>,
        revoked_by: RevokedBy<'_>,
    ) -> Result<RevokedGrants, Error<S::Error>> {
        let mut done = RevokedGrants::default();
        let mut after = None;
        loop {
            let ids = match self.store.grants_of(subject, after, PAGE).await {
                Ok(ids) => ids,
                Err(error) => return Err(self.failure(error).await.into()),
            };
            match self.store.load_grants(&ids).await {
                Ok(loaded) => {
                    for (id, loaded) in ids.iter().zip(&loaded) {
                        if is_to_revoke(loaded, client_id, &self.core.policy) {
                            self.revoke_one(*id, revoked_by, &mut done).await;
                        }
                    }
                }
                // A record that cannot be read fails the whole list, so each is read by itself.
                Err(_) => {
                    for id in &ids {
                        self.find_and_revoke(*id, client_id, revoked_by, &mut done).await;
                    }
                }
            }
            match ids.last() {
                Some(last) if ids.len() >= PAGE => after = Some(*last),
                _ => break,
            }
        }
        for _ in 0..RETRIES {
            for id in std::mem::take(&mut done.remaining) {
                self.find_and_revoke(id, client_id, revoked_by, &mut done).await;
            }
        }
        Ok(done)
    }

    async fn find_and_revoke(
        &self,
        grant: GrantId,
        client_id: Option<&str>,
        revoked_by: RevokedBy<'_>,
        done: &mut RevokedGrants,
    ) {
        match self.store.load(&Keys::of_grant(grant)).await {
            Ok(loaded) if is_to_revoke(&loaded, client_id, &self.core.policy) => {
                self.revoke_one(grant, revoked_by, done).await;
            }
            Ok(_) => {}
            Err(_) => done.count(grant, false),
        }
    }

    async fn revoke_one(
        &self,
        grant: GrantId,
        revoked_by: RevokedBy<'_>,
        done: &mut RevokedGrants,
    ) {
        let revoked = self.revoke_grant(grant, revoked_by).await;
        done.count(grant, revoked.is_ok());
    }

    /// Records that the store failed outside of any operation.
    pub(super) async fn failure(&self, error: S::Error) -> Failure<S::Error> {
        let refusal = Refusal::plain(Reason::StorageUnavailable, Endpoint::Operator);
        let EarlyRefusal { refusal, event } = self.core.early_refusal(refusal, None);
        let refusal = self.record_early(EarlyRefusal { refusal, event: event.clone() }).await;
        Failure { cause: FailureCause::Store(error), refusal, event }
    }
}
