//! The reference store with the faults of a store.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use grantcore::blocking::Store as _;
use grantcore::grant::Grant;
use grantcore::store::{Commit, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{Client, MemoryStore};

use super::rules::Fault;

/// The error of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is broken")
    }
}

impl std::error::Error for Broken {}

/// The reference store with faults.
#[derive(Default)]
pub struct FaultyStore {
    pub inner: Arc<MemoryStore>,
    faults: Mutex<VecDeque<Fault>>,
    late: Mutex<Vec<Write>>,
    /// Each grant as it was before its last write.
    previous: Mutex<BTreeMap<GrantId, Stored<Grant>>>,
    /// The number of reads of a grant that are stale.
    stale: AtomicUsize,
    broken_reads: AtomicUsize,
    /// The number of writes that were applied.
    applied: AtomicUsize,
}

pub fn sure<T>(result: Result<T, std::convert::Infallible>) -> T {
    result.unwrap_or_else(|never| match never {})
}

impl FaultyStore {
    /// Prepares the store for the next request.
    pub fn fail(&self, faults: &[Fault], is_stale: bool, has_broken_read: bool) {
        *self.faults.lock().unwrap() = faults.iter().copied().collect();
        self.stale.store(usize::from(is_stale), Ordering::SeqCst);
        self.broken_reads.store(usize::from(has_broken_read), Ordering::SeqCst);
        self.applied.store(0, Ordering::SeqCst);
    }

    /// Returns the number of writes since the last preparation, and ends its faults.
    pub fn applied(&self) -> usize {
        self.faults.lock().unwrap().clear();
        self.stale.store(0, Ordering::SeqCst);
        self.broken_reads.store(0, Ordering::SeqCst);
        self.applied.load(Ordering::SeqCst)
    }

    /// Applies the delayed writes that still can be.
    pub fn land(&self) {
        for write in std::mem::take(&mut *self.late.lock().unwrap()) {
            self.apply(&write);
        }
    }

    fn read<T>(&self, read: impl FnOnce() -> T) -> Result<T, Broken> {
        let is_broken = |left: usize| left.checked_sub(1);
        let taken = self.broken_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_broken);
        if taken.is_ok() { Err(Broken) } else { Ok(read()) }
    }

    fn read_grant(&self, id: GrantId) -> Option<Stored<Grant>> {
        let one_less = |left: usize| left.checked_sub(1);
        let is_stale =
            self.stale.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        let earlier = self.previous.lock().unwrap().get(&id).cloned().filter(|_| is_stale);
        earlier.or_else(|| sure(self.inner.grant(id)))
    }

    fn apply(&self, write: &Write) -> Commit {
        let before = write.as_grant().and_then(|change| sure(self.inner.grant(change.id())));
        let commit = sure(self.inner.commit(write));
        if commit == Commit::Done {
            self.applied.fetch_add(1, Ordering::SeqCst);
            if let Some(before) = before {
                self.previous.lock().unwrap().insert(before.record.id(), before);
            }
        }
        commit
    }

    fn write(&self, write: &Write) -> Result<Commit, Broken> {
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            None => Ok(self.apply(write)),
            Some(Fault::Conflict) => Ok(Commit::Conflict),
            Some(Fault::AppliedThenConflict) => {
                self.apply(write);
                Ok(Commit::Conflict)
            }
            Some(Fault::Unacknowledged) => {
                self.apply(write);
                Err(Broken)
            }
            Some(Fault::Dropped) => Err(Broken),
            Some(Fault::Late) => {
                self.late.lock().unwrap().push(write.clone());
                Err(Broken)
            }
        }
    }
}

impl grantcore::blocking::Store for FaultyStore {
    type Error = Broken;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        self.read(|| sure(self.inner.client(id)))
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        self.read(|| self.read_grant(id))
    }

    fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        self.write(write)
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        self.read(|| sure(self.inner.grants_of(subject, after, limit)))
    }
}

/// Suspends once, before a call and after it.
async fn suspend() {
    let mut is_first = true;
    std::future::poll_fn(|_| {
        if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

async fn slowly<T>(act: impl FnOnce() -> T) -> T {
    suspend().await;
    let done = act();
    suspend().await;
    done
}

impl grantcore::Store for FaultyStore {
    type Error = Broken;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        slowly(|| grantcore::blocking::Store::client(self, id)).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        slowly(|| grantcore::blocking::Store::grant(self, id)).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        slowly(|| self.write(write)).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        slowly(|| grantcore::blocking::Store::grants_of(self, subject, after, limit)).await
    }
}
