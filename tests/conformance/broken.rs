//! Stores that are broken on purpose, each with one common bug.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantcore::account::Balance;
use grantcore::blocking::{self, Ready};
use grantcore::conformance::{Blocking, Harness};
use grantcore::grant::Grant;
use grantcore::moment::{Clock as _, SystemClock};
use grantcore::operation::Loaded;
use grantcore::store::{ClientKey, Commit, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Client, Timestamp};

use crate::bug::Bug;
use crate::rows::{Id, Row, Rows, split};

/// One handle of a broken store.
pub struct Broken {
    pub rows: Arc<Rows>,
    pub bug: Bug,
    cache: Mutex<BTreeMap<Id, Option<Row>>>,
    /// The rows that are acknowledged and not written.
    queue: Mutex<Vec<(Id, Row)>>,
    calls: AtomicUsize,
    order: Arc<Mutex<Vec<GrantId>>>,
    /// The index of users and grants, of which a sweep may remove nothing.
    pub index: Arc<Mutex<BTreeSet<(String, GrantId)>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum BrokenError {
    #[error("the record cannot be decoded")]
    Undecodable(#[from] serde_json::Error),
    #[error("the version has changed")]
    LostRace,
}

type Result<T> = std::result::Result<T, BrokenError>;

/// Returns a harness whose handles share one database and have this bug.
pub fn harness(bug: Bug) -> impl Harness<Store = Ready<Broken>> {
    let rows = Arc::new(Rows::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let index = Arc::new(Mutex::new(BTreeSet::new()));
    let open = move || Broken {
        rows: Arc::clone(&rows),
        bug,
        cache: Mutex::default(),
        queue: Mutex::default(),
        calls: AtomicUsize::new(0),
        order: Arc::clone(&order),
        index: Arc::clone(&index),
    };
    Blocking::new(open).with_sweep(Broken::sweep)
}

impl Broken {
    fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }

    fn sweep(&self, now: Timestamp, limit: usize) -> usize {
        match self.bug {
            Bug::EarlyExpiry => {
                self.rows.sweep(Timestamp::from_unix_seconds(now.unix_seconds() + 7200), limit)
            }
            Bug::SweepsAll => self.rows.sweep(now, usize::MAX),
            Bug::MarkSweptAtEnd => {
                let is_over = |id: &Id, row: &Row| {
                    matches!(id, Id::Seen(_))
                        && now.after(Duration::from_secs(600)) >= row.drop_after
                };
                self.rows.lock().retain(|id, row| !is_over(id, row));
                self.rows.sweep(now, limit)
            }
            Bug::SweepsNoClients | Bug::SweepsNoMarks => {
                let kept = |id: &Id| match id {
                    Id::Client(_) => self.has(Bug::SweepsNoClients),
                    Id::Seen(_) => self.has(Bug::SweepsNoMarks),
                    Id::Grant(_) => false,
                };
                let mut rows = self.rows.lock();
                let over: Vec<_> = rows
                    .iter()
                    .filter(|(id, row)| !kept(id) && now >= row.drop_after)
                    .map(|(id, _)| id.clone())
                    .collect();
                over.iter().take(limit).filter(|id| rows.remove(id).is_some()).count()
            }
            _ => self.rows.sweep(now, limit),
        }
    }

    fn id(&self, id: Id) -> Id {
        match id {
            Id::Seen(key) if self.has(Bug::MarkByPrefix) => {
                let mut bytes = *key.as_bytes();
                bytes[16..].fill(0);
                Id::Seen(SeenKey::from_bytes(bytes))
            }
            Id::Client(id) if self.has(Bug::FoldsCase) => Id::Client(id.to_lowercase()),
            other => other,
        }
    }

    fn get(&self, id: Id) -> Option<Row> {
        let id = self.id(id);
        if self.calls.fetch_add(1, Ordering::SeqCst) % 4 == 3 {
            self.rows.lock().extend(self.queue.lock().unwrap().drain(..));
        }
        if self.has(Bug::StaleReadCache)
            || self.has(Bug::MarkOfProcess) && matches!(id, Id::Seen(_))
        {
            return self
                .cache
                .lock()
                .unwrap()
                .entry(id.clone())
                .or_insert_with(|| self.rows.get(&id))
                .clone();
        }
        let two_hours_on = SystemClock.now().after(Duration::from_secs(7200));
        let margin = SystemClock.now().after(Duration::from_secs(600));
        let expires = |row: &Row| {
            let is_over = row.drop_after <= margin && matches!(id, Id::Seen(_));
            self.has(Bug::OwnExpiryEarly) && row.drop_after <= two_hours_on
                || self.has(Bug::MarkExpiresAtEnd) && is_over
        };
        self.rows.get(&id).filter(|row| !expires(row))
    }

    fn put(&self, write: &Write) -> Result<Commit> {
        let (id, seen, mut row) = split(write);
        let id = self.id(id);
        if matches!(id, Id::Seen(_)) {
            let is_there = self.rows.get(&id).is_some();
            match self.bug {
                Bug::MarkOverwrites => {
                    return Ok(self.write(&mut self.rows.lock(), id, row));
                }
                Bug::MarkOverwritesQuietly => {
                    self.rows.lock().insert(id, row);
                    return Ok(if is_there { Commit::Conflict } else { Commit::Done });
                }
                Bug::MarkEvicted => self.rows.lock().retain(|id, _| !matches!(id, Id::Seen(_))),
                Bug::MarkOfProcess => {
                    let mut cache = self.cache.lock().unwrap();
                    let is_known = cache.insert(id, Some(row)).flatten().is_some();
                    return Ok(if is_known { Commit::Conflict } else { Commit::Done });
                }
                _ => {}
            }
        }
        if let (Id::Grant(id), None) = (&id, seen) {
            self.order.lock().unwrap().push(*id);
            let subject = match &row.subject {
                None if self.has(Bug::SubjectOfNobody) => Some(String::new()),
                own => own.clone(),
            };
            self.index.lock().unwrap().extend(subject.map(|subject| (subject, *id)));
        }
        // Other handles write between the read and the write, as with a remote database.
        let pause = || std::thread::sleep(Duration::from_millis(3));
        if matches!(self.bug, Bug::CheckThenWrite | Bug::RowsAffectedIgnored) {
            pause();
        }
        if self.has(Bug::CheckThenWrite) {
            let is_current = self.rows.get(&id).map(|row| row.version) == seen;
            pause();
            return Ok(if is_current {
                self.write(&mut self.rows.lock(), id, row)
            } else {
                Commit::Conflict
            });
        }
        if self.has(Bug::ConflictForBusy) && self.calls.fetch_add(1, Ordering::SeqCst) % 3 == 2 {
            return Ok(Commit::Conflict);
        }
        let mut rows = self.rows.lock();
        let stored = rows.get(&id).cloned();
        let upserts = self.has(Bug::Upsert) && stored.is_none();
        if stored.as_ref().map(|row| row.version) != seen && !upserts {
            return match self.bug {
                Bug::RowsAffectedIgnored => Ok(Commit::Done),
                Bug::ErrorForConflict => Err(BrokenError::LostRace),
                _ => Ok(Commit::Conflict),
            };
        }
        match (self.bug, &stored) {
            (Bug::VersionReset, _) => row.version = seen.map_or(1, |seen| seen + 1),
            (Bug::KeepsOldBody, Some(before)) => row.body.clone_from(&before.body),
            (Bug::FirstEndForGood, Some(before)) => row.drop_after = before.drop_after,
            (Bug::SubjectLost, Some(_)) => row.subject = None,
            (Bug::SubjectOfPagesOnly, None) if !row.body.contains("consent_pending") => {
                row.subject = None;
            }
            (Bug::CutsBodies, _) => row
                .body
                .truncate((0..=4000).rev().find(|at| row.body.is_char_boundary(*at)).unwrap()),
            _ => {}
        }
        Ok(self.write(&mut rows, id, row))
    }

    fn write(&self, rows: &mut BTreeMap<Id, Row>, id: Id, row: Row) -> Commit {
        if self.has(Bug::AcknowledgedBeforeWritten) {
            self.queue.lock().unwrap().push((id, row));
        } else {
            self.cache.lock().unwrap().insert(id.clone(), Some(row.clone()));
            rows.insert(id, row);
        }
        Commit::Done
    }

    fn is_of(&self, row: &Row, subject: &str) -> bool {
        match &row.subject {
            Some(own) if self.has(Bug::SubjectByPrefix) => own.starts_with(subject),
            Some(own) if self.has(Bug::SubjectCut) => {
                let cut = |text: &str| text.chars().take(text.len().saturating_sub(1)).collect();
                let (one, other): (String, String) = (cut(own), cut(subject));
                own.len() == subject.len() && one == other
            }
            None if self.has(Bug::SubjectOfNobody) => subject.is_empty(),
            own => own.as_deref() == Some(subject),
        }
    }
}

impl blocking::Store for Broken {
    type Error = BrokenError;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>> {
        Ok(self.get(Id::Client(id.to_owned())).map(|row| row.client()).transpose()?)
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>> {
        Ok(self.get(Id::Grant(id)).map(|row| row.grant()).transpose()?)
    }

    fn commit(&self, write: &Write) -> Result<Commit> {
        self.put(write)
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>> {
        Ok(self.get(Id::Seen(*key)).map(|row| row.seen()).transpose()?)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
        if let Some(listed) = self.listed(subject, after, limit) {
            return Ok(listed);
        }
        let rows = self.rows.lock();
        let of =
            |id: &GrantId| rows.get(&Id::Grant(*id)).is_some_and(|row| self.is_of(row, subject));
        let mut own: Vec<_> = self.order.lock().unwrap().iter().copied().filter(of).collect();
        if self.has(Bug::SubjectUnordered) {
            own.sort_by(|one, other| other.cmp(one));
            let from = after
                .and_then(|after| own.iter().position(|id| *id == after))
                .map_or(0, |at| at + 1);
            return Ok(own.drain(from..).take(limit).collect());
        }
        own.sort();
        let overlaps = self.has(Bug::SubjectPagesOverlap);
        own.retain(|id| after.is_none_or(|after| *id > after || (overlaps && *id == after)));
        own.truncate(limit);
        Ok(own)
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded> {
        let grant = keys.grant.map(|id| self.grant(id)).transpose()?.flatten();
        let of_grant = grant.as_ref().map(|stored| Arc::clone(&stored.record));
        let client_of_grant = of_grant.as_ref().map(|grant| grant.client_id().as_str());
        let client = match (&keys.client, self.bug) {
            (ClientKey::Unnamed, Bug::LoadsNoClientOfGrant) => None,
            (ClientKey::Impossible, Bug::ImpossibleIsUnnamed) | (_, Bug::AlwaysOfGrant) => {
                client_of_grant
            }
            _ => keys.client_id(of_grant.as_deref()),
        };
        let client = client.filter(|_| !(self.has(Bug::SkipsClients) && keys.skip_accounts));
        let find = |id: Option<&str>| -> Result<_> {
            Ok(id.map(|id| blocking::Store::client(self, id)).transpose()?.flatten())
        };
        let mut client = find(client)?;
        if self.has(Bug::AbsentIsOfGrant) && client.is_none() && keys.client.as_named().is_some() {
            client = find(client_of_grant)?;
        }
        let subject = keys.subject_id(of_grant.as_deref());
        let account = |subject: &str| match self.bug {
            Bug::LoadsGoodAccounts => Account::ACTIVE,
            _ => self.rows.account(subject),
        };
        let owner = client
            .as_ref()
            .and_then(|stored| stored.record.owner())
            .filter(|_| !self.has(Bug::LoadsNoOwner));
        let owner = owner.map(|owner| account(owner.as_str()));
        let account = subject.filter(|_| !self.has(Bug::LoadsNoAccount)).map(account);
        let mut caller = find(keys.caller_id())?;
        if self.has(Bug::CallerIsOfGrant) && caller.is_none() {
            caller = find(client_of_grant)?;
        }
        let payer = grant.as_ref().filter(|_| keys.balance && !self.has(Bug::LoadsNoBalance));
        let balance = payer.map(|_| Balance::Sufficient);
        Ok(Loaded { grant, client, account, owner, caller, balance, ..Loaded::default() })
    }

    fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>> {
        let load = |id: &GrantId| {
            let loaded = self.load(&Keys::of_grant(*id))?;
            Ok(match self.bug {
                Bug::LoadsNoAccountsOfMany => Loaded { account: None, owner: None, ..loaded },
                _ => loaded,
            })
        };
        ids.iter().map(load).collect()
    }
}

impl blocking::Accounts for Broken {
    type Error = BrokenError;

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        Ok(Some(self.rows.account(subject)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        if !self.has(Bug::EpochNotRaised) {
            self.rows.raise(subject);
        }
        Ok(true)
    }
}

impl blocking::LoadsAccounts for Broken {}
