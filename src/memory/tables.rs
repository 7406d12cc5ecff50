//! The tables of the reference store.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::account::{Account, Balance};
use crate::client::Client;
use crate::decision::Loaded;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::record::{Change, Commit, Stored, Write};
use crate::seen::Seen;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;
use crate::value::text::{ClientId, Subject};

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) clients: BTreeMap<ClientId, Stored<Client>>,
    pub(super) grants: BTreeMap<GrantId, Stored<Grant>>,
    grants_by_user: BTreeSet<(Subject, GrantId)>,
    pub(super) seen: BTreeMap<SeenKey, Seen>,
    pub(super) accounts: BTreeMap<Subject, Account>,
    pub(super) balances: BTreeMap<Subject, Balance>,
}

impl Tables {
    pub(super) fn load(&self, keys: &Keys<'_>) -> Loaded {
        let grant = keys.grant.and_then(|id| self.grants.get(&id)).cloned();
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).and_then(|id| self.clients.get(id)).cloned();
        let caller = keys.caller_id().and_then(|id| self.clients.get(id)).cloned();
        if keys.skip_accounts {
            return Loaded { grant, client, caller, ..Loaded::default() };
        }
        let account = keys.subject_id(of_grant).map(|subject| self.account_of(subject));
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let balance = keys.payer_id(of_grant, owner).map(|payer| self.balance_of(payer));
        let owner = owner.map(|owner| self.account_of(owner.as_str()));
        Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() }
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

    pub(super) fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Vec<GrantId> {
        let first = (Subject::new(subject), after.unwrap_or(GrantId::from_bytes([0; 16])));
        self.grants_by_user
            .range(first..)
            .take_while(|(own, _)| own.as_str() == subject)
            .map(|(_, id)| *id)
            .filter(|id| Some(*id) != after)
            .take(limit)
            .collect()
    }

    pub(super) fn commit(&mut self, write: &Write) -> Commit {
        match write {
            Write::Grant(change) => self.commit_grant(change),
            Write::Client(change) => self.commit_client(change),
            Write::Seen(seen) => self.create_mark(seen),
        }
    }

    fn create_mark(&mut self, seen: &Seen) -> Commit {
        match self.seen.entry(*seen.key()) {
            Entry::Vacant(place) => {
                place.insert(seen.clone());
                Commit::Done
            }
            Entry::Occupied(_) => Commit::Conflict,
        }
    }

    fn commit_grant(&mut self, change: &Change<Grant>) -> Commit {
        let id = change.id();
        if self.grants.get(&id).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        self.grants.insert(id, change.stored());
        if change.seen().is_none() {
            self.grants_by_user.extend(change.record().subject().map(|own| (own.clone(), id)));
        }
        Commit::Done
    }

    fn commit_client(&mut self, change: &Change<Client>) -> Commit {
        if self.clients.get(change.id()).map(|stored| stored.version) != change.seen() {
            return Commit::Conflict;
        }
        self.clients.insert(change.id().clone(), change.stored());
        Commit::Done
    }

    pub(super) fn due(&self, now: Timestamp, limit: usize) -> Due {
        let grants =
            self.grants.iter().filter(|(_, stored)| is_due(stored.record.drop_after(), now));
        let grants: Vec<_> = grants.map(|(id, _)| *id).take(limit).collect();
        let clients =
            self.clients.iter().filter(|(_, stored)| is_due(stored.record.drop_after(), now));
        let rest = limit - grants.len();
        let clients: Vec<_> = clients.map(|(id, _)| id.clone()).take(rest).collect();
        let seen = self.seen.iter().filter(|(_, seen)| is_due(seen.drop_after(), now));
        let seen = seen.map(|(key, _)| *key).take(rest - clients.len()).collect();
        Due { grants, clients, seen }
    }

    /// Drops these records where they are still due: one may have been prolonged since it was
    /// found.
    pub(super) fn drop_due(&mut self, due: &Due, now: Timestamp) -> usize {
        let mut dropped = 0;
        for id in &due.grants {
            if self.grants.get(id).is_some_and(|stored| is_due(stored.record.drop_after(), now)) {
                if let Some(stored) = self.grants.remove(id) {
                    if let Some(subject) = stored.record.subject() {
                        self.grants_by_user.remove(&(subject.clone(), *id));
                    }
                    dropped += 1;
                }
            }
        }
        for id in &due.clients {
            if self.clients.get(id).is_some_and(|stored| is_due(stored.record.drop_after(), now)) {
                self.clients.remove(id);
                dropped += 1;
            }
        }
        for key in &due.seen {
            if self.seen.get(key).is_some_and(|seen| is_due(seen.drop_after(), now)) {
                self.seen.remove(key);
                dropped += 1;
            }
        }
        dropped
    }
}

/// The keys of records that may be dropped.
pub(super) struct Due {
    grants: Vec<GrantId>,
    clients: Vec<ClientId>,
    seen: Vec<SeenKey>,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.clients.is_empty() && self.seen.is_empty()
    }
}

/// Returns whether a record may be dropped. `Timestamp::NEVER` is never due.
fn is_due(drop_after: Timestamp, now: Timestamp) -> bool {
    drop_after < Timestamp::NEVER && drop_after <= now
}
