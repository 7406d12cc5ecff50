//! Stores that are broken on purpose, each in one of the ways in which stores are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantcore::conformance::{Awaited, Blocking, Harness};
use grantcore::{
    Account, Client, ClientKey, Clock as _, Commit, Grant, GrantId, Keys, Loaded, Store, Stored,
    SystemClock, Timestamp, Write,
};

use crate::rows::{Id, Row, Rows, split};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    None,
    /// `SELECT` the version, then `UPDATE` whatever it is.
    CheckThenWrite,
    /// `UPDATE … WHERE version`, and nobody looks whether a row was changed.
    RowsAffectedIgnored,
    /// Acknowledges, and writes a little later.
    AcknowledgedBeforeWritten,
    /// Keeps what it has read, for each handle apart.
    StaleReadCache,
    /// A busy database is told as a lost race.
    ConflictForBusy,
    /// A lost race is told as an error.
    ErrorForConflict,
    /// Counts versions itself, beginning with 1 for each new row.
    VersionReset,
    /// Leaves the record as it is, and moves the version.
    KeepsOldBody,
    /// Drops records a while before their end.
    EarlyExpiry,
    /// Has records go by themselves, a while before their end.
    OwnExpiryEarly,
    /// Gives a row its end when it is made, and not when it changes.
    FirstEndForGood,
    /// Sweeps all there is, whatever it is told.
    SweepsAll,
    /// Never sweeps clients.
    SweepsNoClients,
    /// A row that is not there is made when it is to be replaced.
    Upsert,
    /// Looks users up by a prefix.
    SubjectByPrefix,
    /// Forgets the index when a grant changes.
    SubjectLost,
    /// Takes note of a user's grant when it begins as a consent page, and else not.
    SubjectOfPagesOnly,
    /// Lists in descending order.
    SubjectUnordered,
    /// A part of a list begins with what the part before ended with.
    SubjectPagesOverlap,
    /// Identifiers are the same in any letter case.
    FoldsCase,
    /// A column of 4,000 characters, cut without a word.
    CutsBodies,
    /// Brings the account of nobody.
    LoadsNoAccount,
    /// Says of every account that it stands well.
    LoadsGoodAccounts,
    /// Forgets the account that answers for a client.
    LoadsNoOwner,
    /// Looks for the client that the request names, and not for the grant's.
    LoadsNoClientOfGrant,
    /// Takes a client that cannot exist for one that was not named.
    ImpossibleIsUnnamed,
    /// Brings the grant's client where the one that was named does not exist.
    AbsentIsOfGrant,
    /// Brings the grant's client whichever was named.
    AlwaysOfGrant,
    /// Brings the grant's client as the caller where that one does not exist.
    CallerIsOfGrant,
    /// Says that it raised an epoch, and did not.
    EpochNotRaised,
}

/// One handle of a broken store.
pub struct Broken {
    rows: Arc<Rows>,
    bug: Bug,
    cache: Mutex<BTreeMap<Id, Option<Row>>>,
    /// What is acknowledged and not written, and how many calls it waits for.
    queue: Mutex<Vec<(Id, Row)>>,
    calls: AtomicUsize,
    order: Arc<Mutex<Vec<GrantId>>>,
}

#[derive(Debug)]
pub enum BrokenError {
    Undecodable,
    LostRace,
}

impl From<serde_json::Error> for BrokenError {
    fn from(_: serde_json::Error) -> Self {
        Self::Undecodable
    }
}

type Result<T> = std::result::Result<T, BrokenError>;

/// A database with this bug in the way of it, and the handles of it.
pub fn harness(bug: Bug) -> impl Harness<Store = Awaited<Broken>> {
    let (rows, order) = (Arc::new(Rows::default()), Arc::new(Mutex::new(Vec::new())));
    let open = move || Broken {
        rows: Arc::clone(&rows),
        bug,
        cache: Mutex::default(),
        queue: Mutex::default(),
        calls: AtomicUsize::new(0),
        order: Arc::clone(&order),
    };
    Blocking::new(open).swept_by(Broken::sweep)
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
            Bug::SweepsNoClients => {
                let (clients, limit) = (|id: &Id| matches!(id, Id::Client(_)), limit);
                let mut rows = self.rows.lock();
                let over: Vec<_> = rows
                    .iter()
                    .filter(|(id, row)| !clients(id) && now >= row.drop_after)
                    .map(|(id, _)| id.clone())
                    .collect();
                over.iter().take(limit).filter(|id| rows.remove(id).is_some()).count()
            }
            _ => self.rows.sweep(now, limit),
        }
    }

    fn id(&self, id: Id) -> Id {
        match id {
            Id::Client(id) if self.has(Bug::FoldsCase) => Id::Client(id.to_lowercase()),
            other => other,
        }
    }

    fn get(&self, id: Id) -> Option<Row> {
        let id = self.id(id);
        if self.calls.fetch_add(1, Ordering::SeqCst) % 4 == 3 {
            self.rows.lock().extend(self.queue.lock().unwrap().drain(..));
        }
        if self.has(Bug::StaleReadCache) {
            return self
                .cache
                .lock()
                .unwrap()
                .entry(id.clone())
                .or_insert_with(|| self.rows.get(&id))
                .clone();
        }
        let early = SystemClock.now().after(Duration::from_secs(7200));
        self.rows.get(&id).filter(|row| !self.has(Bug::OwnExpiryEarly) || early < row.drop_after)
    }

    fn put(&self, write: &Write) -> Result<Commit> {
        let (id, seen, mut row) = split(write);
        let id = self.id(id);
        if let (Id::Grant(id), None) = (&id, seen) {
            self.order.lock().unwrap().push(*id);
        }
        // Others come between what was read and what is written, as they do where a database is
        // further away.
        let far_away = || std::thread::sleep(Duration::from_millis(3));
        if matches!(self.bug, Bug::CheckThenWrite | Bug::RowsAffectedIgnored) {
            far_away();
        }
        if self.has(Bug::CheckThenWrite) {
            let fits = self.rows.get(&id).map(|row| row.version) == seen;
            far_away();
            return Ok(if fits {
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
            own => own.as_deref() == Some(subject),
        }
    }
}

impl Store for Broken {
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

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>> {
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

    fn account(&self, subject: &str) -> Result<Option<Account>> {
        Ok(Some(self.rows.account(subject)))
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool> {
        if !self.has(Bug::EpochNotRaised) {
            self.rows.raise(subject);
        }
        Ok(true)
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
        let find = |id: Option<&str>| -> Result<_> {
            Ok(id.map(|id| self.client(id)).transpose()?.flatten())
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
        let balance =
            grant.as_ref().filter(|_| keys.balance).map(|_| grantcore::Balance::Sufficient);
        Ok(Loaded { grant, client, account, owner, caller, balance })
    }
}
