//! The reference store with injected faults, and a record of its calls.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use grantcore::account::{Balance, RefreshDecision};
use grantcore::blocking::{Accounts, LoadsAccounts, Store};
use grantcore::grant::Grant;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Client, MemoryStore};

/// The fault of the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Writes nothing, and returns `Conflict`.
    Conflict,
    /// Writes nothing, and returns an error.
    Dropped,
    /// Writes, and returns an error, as if the acknowledgement was lost.
    Unacknowledged,
    /// Writes, and returns `Conflict`, as if a client library repeated its own write.
    AppliedThenConflict,
}

/// An action of another process just before a commit.
type Meanwhile = Box<dyn FnOnce(&MemoryStore) + Send>;

/// The error of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is broken")
    }
}

impl std::error::Error for Broken {}

#[derive(Default)]
pub struct TestStore {
    pub inner: MemoryStore,
    /// The faults of the next commits, in order.
    pub faults: Mutex<VecDeque<Fault>>,
    /// The fault of the commit with this number.
    fault_at: Mutex<Option<(usize, Fault)>>,
    /// The actions before the next commits, in order.
    meanwhile: Mutex<VecDeque<Meanwhile>>,
    /// Whether reads of clients, grants and accounts fail.
    pub broken_reads: Mutex<bool>,
    broken_balances: Mutex<bool>,
    /// What the host decides about a refresh.
    decision: Mutex<RefreshDecision>,
    broken_decisions: Mutex<bool>,
    /// How often the host was asked about a refresh.
    pub judged: AtomicUsize,
    /// The grant that cannot be read.
    broken_grant: Mutex<Option<GrantId>>,
    pub commits: AtomicUsize,
    pub reads: AtomicUsize,
    calls: Mutex<Vec<&'static str>>,
}

impl TestStore {
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Makes the commit after this many good ones fail.
    pub fn fail_at(&self, good: usize, fault: Fault) {
        *self.fault_at.lock().unwrap() = Some((self.commits() + good, fault));
    }

    /// Runs `act` just before the next commit that has no action yet, between the read and the
    /// write of a request.
    pub fn meanwhile(&self, act: impl FnOnce(&MemoryStore) + Send + 'static) {
        self.meanwhile.lock().unwrap().push_back(Box::new(act));
    }

    pub fn break_reads(&self, broken: bool) {
        *self.broken_reads.lock().unwrap() = broken;
    }

    pub fn broken_grant(&self, grant: Option<GrantId>) {
        *self.broken_grant.lock().unwrap() = grant;
    }

    pub fn break_balances(&self, broken: bool) {
        *self.broken_balances.lock().unwrap() = broken;
    }

    /// Sets what the host decides about a refresh.
    pub fn judge(&self, decision: impl Into<RefreshDecision>) {
        *self.decision.lock().unwrap() = decision.into();
    }

    pub fn break_decisions(&self, broken: bool) {
        *self.broken_decisions.lock().unwrap() = broken;
    }

    pub fn suspend(&self, subject: &str, suspended: bool) {
        self.inner.put_account(Subject::new(subject), Account { suspended, epoch: 0 });
    }

    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// Returns the calls since the last call of this method, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn called(&self, what: &'static str) {
        self.calls.lock().unwrap().push(what);
    }

    fn read<T>(&self, value: Result<T, std::convert::Infallible>) -> Result<T, Broken> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if *self.broken_reads.lock().unwrap() {
            Err(Broken)
        } else {
            Ok(value.unwrap_or_else(|never| match never {}))
        }
    }
}

impl Store for TestStore {
    type Error = Broken;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Broken> {
        self.called("client");
        self.read(self.inner.client(id))
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Broken> {
        self.called("grant");
        if *self.broken_grant.lock().unwrap() == Some(id) {
            return Err(Broken);
        }
        self.read(self.inner.grant(id))
    }

    fn commit(&self, write: &Write) -> Result<Commit, Broken> {
        self.called("commit");
        self.commits.fetch_add(1, Ordering::SeqCst);
        let meanwhile = self.meanwhile.lock().unwrap().pop_front();
        if let Some(act) = meanwhile {
            act(&self.inner);
        }
        let number = self.commits() - 1;
        let at = self.fault_at.lock().unwrap().take_if(|(at, _)| *at == number);
        let fault = self.faults.lock().unwrap().pop_front().or(at.map(|(_, fault)| fault));
        let apply = || self.inner.commit(write).unwrap_or_else(|never| match never {});
        match fault {
            None => Ok(apply()),
            Some(Fault::Conflict) => Ok(Commit::Conflict),
            Some(Fault::Dropped) => Err(Broken),
            Some(Fault::Unacknowledged) => {
                apply();
                Err(Broken)
            }
            Some(Fault::AppliedThenConflict) => {
                apply();
                Ok(Commit::Conflict)
            }
        }
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Broken> {
        self.called("seen");
        self.read(self.inner.seen(key))
    }

    fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, Broken> {
        self.called("grants_of");
        self.read(self.inner.grants_of(subject, after, limit))
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Broken> {
        let grant = keys.grant.map(|id| self.grant(id)).transpose()?.flatten();
        let of_grant = grant.as_ref().map(|stored| &*stored.record);
        let client = keys.client_id(of_grant).map(|id| self.client(id)).transpose()?.flatten();
        let account = keys.subject_id(of_grant).map(|subject| self.account(subject));
        let account = account.transpose()?.flatten();
        let owner = client.as_ref().and_then(|stored| stored.record.owner());
        let balance =
            keys.payer_id(of_grant, owner).map(|payer| self.balance(payer)).transpose()?;
        let owner = owner.map(|owner| self.account(owner.as_str())).transpose()?.flatten();
        let caller = keys.caller_id().map(|id| self.client(id)).transpose()?.flatten();
        let mut loaded = Loaded::default();
        (loaded.grant, loaded.client, loaded.caller) = (grant, client, caller);
        (loaded.account, loaded.owner, loaded.balance) = (account, owner, balance);
        Ok(loaded)
    }
}

impl Accounts for TestStore {
    type Error = Broken;

    fn raise_epoch(&self, subject: &str) -> Result<bool, Broken> {
        self.read(Ok(()))?;
        Ok(self.inner.raise_epoch(subject).unwrap_or_else(|never| match never {}))
    }

    fn account(&self, subject: &str) -> Result<Option<Account>, Broken> {
        self.called("account");
        self.read(self.inner.account(subject))
    }

    fn refresh_decision(&self, _: &Grant) -> Result<RefreshDecision, Broken> {
        self.judged.fetch_add(1, Ordering::SeqCst);
        if *self.broken_decisions.lock().unwrap() {
            return Err(Broken);
        }
        Ok(self.decision.lock().unwrap().clone())
    }

    fn balance(&self, subject: &str) -> Result<Balance, Broken> {
        self.called("balance");
        let balance = self.read(self.inner.balance(subject))?;
        if *self.broken_balances.lock().unwrap() { Err(Broken) } else { Ok(balance) }
    }
}

impl LoadsAccounts for TestStore {}
