//! The door between what a store loads and what a decision sees: records of another issuer do not
//! exist (I50), and those of a former issuer are the present one's.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::{Loaded, Records};
use crate::account::RefreshDecision;
use crate::client::Client;
use crate::keys::{ClientKey, Keys};
use crate::policy::{Belonging, Policy};
use crate::record::Stored;

/// Loaded records without those of other issuers. Every decision is made on it: a context is made
/// of nothing else.
#[derive(Debug)]
pub(crate) struct OwnRecords<'l> {
    records: Cow<'l, Loaded>,
    has_foreign_client: bool,
}

/// The records of a grant without those of other issuers. A check takes this type, and only this
/// module makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own<'r>(Records<'r>);

impl<'r> Deref for Own<'r> {
    type Target = Records<'r>;

    fn deref(&self) -> &Records<'r> {
        &self.0
    }
}

impl Deref for OwnRecords<'_> {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        &self.records
    }
}

impl OwnRecords<'static> {
    /// Returns no records.
    pub(crate) fn nothing() -> Self {
        Self { records: Cow::Owned(Loaded::default()), has_foreign_client: false }
    }
}

impl OwnRecords<'_> {
    /// Returns the client that calls, as the client, and nothing else.
    pub(crate) fn caller_only(&self) -> OwnRecords<'static> {
        let answers = self.answers.clone();
        let records = Loaded { client: self.caller.clone(), answers, ..Loaded::default() };
        OwnRecords { records: Cow::Owned(records), has_foreign_client: false }
    }

    /// Returns the records of the grant.
    pub(crate) fn of_grant(&self) -> Own<'_> {
        Own(self.records.records())
    }

    /// Returns whether the named client is on record and bound to another issuer.
    pub(crate) fn has_foreign_client(&self) -> bool {
        self.has_foreign_client
    }
}

impl Loaded {
    /// Returns the records without those of other issuers. `keys` are those that were loaded; they
    /// are asked for only if a record is not of the policy's issuer.
    ///
    /// In the usual case it compares the issuers of two records and copies nothing.
    pub(crate) fn own<'l, 'k>(
        &'l self,
        policy: &Policy,
        keys: impl FnOnce() -> Keys<'k>,
    ) -> OwnRecords<'l> {
        let grant = self
            .grant
            .as_ref()
            .map_or(Belonging::Own, |stored| policy.belonging(stored.record.issuer()));
        let client = belonging_of(self.client.as_ref(), policy);
        let caller = belonging_of(self.caller.as_ref(), policy);
        let remembered = self
            .remembered
            .as_ref()
            .map_or(Belonging::Own, |stored| policy.belonging(stored.record.issuer()));
        if [grant, client, caller, remembered] == [Belonging::Own; 4] {
            return OwnRecords { records: Cow::Borrowed(self), has_foreign_client: false };
        }
        let mut records = self.clone();
        match grant {
            Belonging::Own => {}
            Belonging::Former => {
                records.grant = records.grant.map(|stored| Stored {
                    record: Arc::new(stored.record.relabelled(policy)),
                    version: stored.version,
                });
            }
            Belonging::Foreign => {
                let keys = keys();
                records.grant = None;
                records.balance = None;
                records.refresh_decision = RefreshDecision::default();
                // What was loaded for the grant and not for the request goes with it.
                if keys.client == ClientKey::Unnamed {
                    records.client = None;
                    records.owner = None;
                }
                if keys.subject.is_none() {
                    records.account = None;
                }
            }
        }
        if remembered == Belonging::Foreign {
            records.remembered = None;
        }
        if client == Belonging::Foreign {
            records.owner = None;
        }
        records.client = own_client(records.client, client, policy);
        records.caller = own_client(records.caller, caller, policy);
        let has_foreign_client = client == Belonging::Foreign;
        OwnRecords { records: Cow::Owned(records), has_foreign_client }
    }
}

impl Records<'_> {
    /// Passes on the records without those of other issuers. `keys` are those that were read.
    ///
    /// In the usual case it compares the issuers of two records and copies nothing.
    pub(crate) fn own<T>(
        &self,
        policy: &Policy,
        keys: &Keys<'_>,
        judge: impl FnOnce(Own<'_>) -> T,
    ) -> T {
        let grant = self
            .grant
            .is_none_or(|stored| policy.belonging(stored.record.issuer()) == Belonging::Own);
        if grant && belonging_of(self.client, policy) == Belonging::Own {
            return judge(Own(*self));
        }
        let Self { account, owner, balance, .. } = *self;
        let (grant, client) = (self.grant.cloned(), self.client.cloned());
        let loaded = Loaded { grant, client, account, owner, balance, ..Loaded::default() };
        judge(loaded.own(policy, || keys.clone()).of_grant())
    }
}

fn belonging_of(client: Option<&Stored<Client>>, policy: &Policy) -> Belonging {
    let issuer = client.and_then(|stored| stored.record.issuer());
    issuer.map_or(Belonging::Own, |issuer| policy.belonging(issuer))
}

fn own_client(
    client: Option<Stored<Client>>,
    belonging: Belonging,
    policy: &Policy,
) -> Option<Stored<Client>> {
    match belonging {
        Belonging::Own => client,
        Belonging::Former => client.map(|stored| Stored {
            record: Arc::new(stored.record.relabelled(policy)),
            version: stored.version,
        }),
        Belonging::Foreign => None,
    }
}
