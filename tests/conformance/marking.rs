//! A request that stands for each one with an assertion, and a store in which marks can go wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use grantcore::blocking::{self, Store as _, drive};
use grantcore::conformance::AssertionRequest;
use grantcore::event::Event;
use grantcore::grant::Grant;
use grantcore::moment::Entropy;
use grantcore::operation::Loaded;
use grantcore::store::{Commit, Failure, Keys, Seen, SeenKey, Stored, Write};
use grantcore::value::GrantId;
use grantcore::{AlwaysActive, Client, MemoryStore, Reason, Timestamp};

pub const T: u64 = 1_800_000_000;
/// The end of the assertions.
pub const END: u64 = T + 300;

/// What goes wrong with the creation of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is applied, and reported as a conflict.
    AppliedThenConflict,
    /// It is reported as a conflict, and nothing was written.
    Conflict,
    /// It is not known.
    Fails,
    /// It is applied, and the mark is lost at once.
    Lost,
}

/// The reference store, which counts, and in which marks can go wrong.
#[derive(Debug, Default)]
pub struct Marking {
    pub store: MemoryStore,
    pub now: AtomicU64,
    pub trouble: Mutex<Vec<Trouble>>,
    pub unreadable: bool,
    /// How long the creation of a mark takes, in seconds.
    pub slow: u64,
    /// Conflicts of the main write that are left.
    pub conflicts: AtomicU64,
    pub calls: Mutex<Vec<&'static str>>,
}

#[derive(Debug, thiserror::Error)]
#[error("not known")]
pub struct Unknown;

impl Marking {
    pub fn new() -> Self {
        Self { now: AtomicU64::new(T), ..Self::default() }
    }

    pub fn with(trouble: impl IntoIterator<Item = Trouble>) -> Self {
        Self { trouble: Mutex::new(trouble.into_iter().collect()), ..Self::new() }
    }

    fn called(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }

    /// Returns the calls since the last question.
    pub fn calls(&self) -> String {
        std::mem::take(&mut *self.calls.lock().unwrap()).join(" ")
    }

    pub fn run(&self, request: &AssertionRequest, seed: u8) -> Result<Done, Failure<Unknown>> {
        let policy = AssertionRequest::policy().unwrap();
        let clock = || Timestamp::from_unix_seconds(self.now.load(Ordering::SeqCst));
        let settled = drive(request, self, AlwaysActive, &policy, &clock, entropy(seed))?;
        Ok(Done {
            outcome: settled.outcome.map_err(|refusal| refusal.reason()),
            event: settled.event,
        })
    }

    pub fn outcome(&self, request: &AssertionRequest, seed: u8) -> Result<GrantId, Reason> {
        self.run(request, seed).unwrap().outcome
    }

    pub fn has_grant(&self, request: &AssertionRequest) -> bool {
        self.store.grant(request.grant_id()).unwrap().is_some()
    }
}

pub struct Done {
    pub outcome: Result<GrantId, Reason>,
    pub event: Event,
}

pub fn entropy(seed: u8) -> Entropy {
    Entropy::from_bytes([seed; 128])
}

pub fn request(jti: &str) -> AssertionRequest {
    AssertionRequest::new(jti, Timestamp::from_unix_seconds(END)).unwrap()
}

pub fn two(client: &str, grant: &str) -> AssertionRequest {
    request(client).with_grant_assertion(grant, Timestamp::from_unix_seconds(END))
}

impl blocking::Store for Marking {
    type Error = Unknown;

    fn client(&self, id: &str) -> Result<Option<Stored<Client>>, Unknown> {
        Ok(blocking::Store::client(&self.store, id).unwrap())
    }

    fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, Unknown> {
        Ok(blocking::Store::grant(&self.store, id).unwrap())
    }

    fn commit(&self, write: &Write) -> Result<Commit, Unknown> {
        let apply = || Ok(blocking::Store::commit(&self.store, write).unwrap());
        match write {
            Write::Seen(seen) => {
                self.called("mark");
                self.now.fetch_add(self.slow, Ordering::SeqCst);
                let mut trouble = self.trouble.lock().unwrap();
                let next = if trouble.is_empty() { None } else { Some(trouble.remove(0)) };
                match next {
                    None => apply(),
                    Some(Trouble::AppliedThenConflict) => {
                        assert_eq!(apply()?, Commit::Done);
                        Ok(Commit::Conflict)
                    }
                    Some(Trouble::Conflict) => Ok(Commit::Conflict),
                    Some(Trouble::Fails) => Err(Unknown),
                    Some(Trouble::Lost) => {
                        let commit = apply()?;
                        self.store.sweep(seen.drop_after(), 10);
                        Ok(commit)
                    }
                }
            }
            Write::Client(_) => {
                self.called("client");
                apply()
            }
            Write::Grant(_) => {
                self.called("grant");
                let left = self.conflicts.load(Ordering::SeqCst);
                if left > 0 {
                    self.conflicts.store(left - 1, Ordering::SeqCst);
                    return Ok(Commit::Conflict);
                }
                apply()
            }
        }
    }

    fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, Unknown> {
        self.called("seen");
        if self.unreadable {
            return Err(Unknown);
        }
        Ok(blocking::Store::seen(&self.store, key).unwrap())
    }

    fn grants_of(&self, _: &str, _: Option<GrantId>, _: usize) -> Result<Vec<GrantId>, Unknown> {
        Ok(Vec::new())
    }

    fn load(&self, keys: &Keys<'_>) -> Result<Loaded, Unknown> {
        self.called("load");
        Ok(blocking::Store::load(&self.store, keys).unwrap())
    }
}
