//! One shard of the reference store: some of the grants and marks, and every client and account.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::due::Due;
use super::grants::Grants;
use crate::account::{Account, Balance};
use crate::client::Client;
use crate::decision::{Loaded, Records};
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Commit, Stored};
use crate::seen::Seen;
use crate::value::seen_key::SeenKey;
use crate::value::text::{ClientId, Subject};

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) clients: BTreeMap<ClientId, Stored<Client>>,
    pub(super) grants: Grants,
    pub(super) seen: BTreeMap<SeenKey, Seen>,
    due_seen: Due<SeenKey>,
    pub(super) accounts: BTreeMap<Subject, Account>,
    pub(super) balances: BTreeMap<Subject, Balance>,
}

impl Shard {
    pub(super) fn load(&self, keys: &Keys<'_>) -> Loaded {
        let Records { grant, client, account, owner, balance } = self.records(keys);
        let caller = keys.caller_id().and_then(|id| self.clients.get(id)).cloned();
        let (grant, client) = (grant.cloned(), client.cloned());
        Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() }
    }

    /// Returns the records that [`load`](Self::load) clones.
    pub(super) fn records(&self, keys: &Keys<'_>) -> Records<'_> {
        let grant = keys.grant.and_then(|id| self.grants.get(id));
        let of_grant = grant.map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).and_then(|id| self.clients.get(id));
        if keys.skip_accounts {
            return Records { grant, client, ..Records::default() };
        }
        let account = keys.subject_id(of_grant).map(|subject| self.account_of(subject));
        let owner = client.and_then(|stored| stored.record.owner());
        let balance = keys.payer_id(of_grant, owner).map(|payer| self.balance_of(payer));
        let owner = owner.map(|owner| self.account_of(owner.as_str()));
        Records { grant, client, account, owner, balance }
    }

    pub(super) fn account_of(&self, subject: &str) -> Account {
        self.accounts.get(subject).copied().unwrap_or(Account::ACTIVE)
    }

    pub(super) fn balance_of(&self, subject: &str) -> Balance {
        self.balances.get(subject).copied().unwrap_or(Balance::Sufficient)
    }

    pub(super) fn account(&mut self, subject: &str) -> &mut Account {
        self.accounts.entry(Subject::new(subject)).or_insert(Account::ACTIVE)
    }

    pub(super) fn create_mark(&mut self, seen: &Seen) -> Commit {
        match self.seen.entry(*seen.key()) {
            Entry::Vacant(place) => {
                place.insert(seen.clone());
                self.due_seen.put(seen.drop_after(), *seen.key());
                Commit::Done
            }
            Entry::Occupied(_) => Commit::Conflict,
        }
    }

    pub(super) fn is_any_due(&self, now: Timestamp) -> bool {
        self.grants.is_any_due(now) || self.due_seen.is_any(now)
    }

    /// Looks at up to `limit` records, and returns how many of them were dropped.
    pub(super) fn sweep(&mut self, now: Timestamp, limit: usize) -> usize {
        let looks = std::iter::from_fn(|| {
            self.grants
                .sweep_one(now)
                .or_else(|| Some(self.seen.remove(&self.due_seen.take(now)?).is_some()))
        });
        looks.take(limit).filter(|was_dropped| *was_dropped).count()
    }
}

/// Returns whether a record may be dropped. `Timestamp::NEVER` is never due.
pub(super) fn is_due(drop_after: Timestamp, now: Timestamp) -> bool {
    drop_after < Timestamp::NEVER && drop_after <= now
}
