//! A correct table of users, and broken ones that the conformance suite finds by the law that they
//! break.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use grantcore::conformance::{
    AccountsHarness, BlockingAccounts, Law, Violation, a_raised_epoch_is_read,
    accounts_are_the_same_at_every_handle, epochs_raised_at_once_all_count,
};
use grantcore::{Account, blocking};

/// The bug of a table of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// The table has no column for an epoch.
    NoEpoch,
    /// `raise_epoch` returns `true` and raises nothing.
    EpochNotRaised,
    /// Reads the epoch, and then writes the next one in a second statement.
    EpochReadThenWritten,
    /// Runs `UPDATE users SET epoch = epoch + 1` without `WHERE`.
    EpochOfEverybody,
    /// Each handle caches what it has read.
    Cached,
    /// A read creates the user that it does not find.
    CreatedByRead,
    /// Subjects are compared without their letter case.
    FoldsCase,
    /// A new user is not active before a confirmation.
    SignedUpSuspended,
    /// Raising an epoch suspends the user.
    RaiseSuspends,
}

/// One handle. The table assigns numbers as subjects.
struct Users {
    table: Arc<Mutex<BTreeMap<String, Account>>>,
    cache: Mutex<BTreeMap<String, Option<Account>>>,
    bug: Bug,
}

fn harness(bug: Bug) -> impl AccountsHarness {
    let table = Arc::new(Mutex::new(BTreeMap::new()));
    let open = move || Users { table: Arc::clone(&table), cache: Mutex::default(), bug };
    BlockingAccounts::new(open).with_sign_up(Users::sign_up)
}

impl Users {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.table.lock().unwrap()
    }

    fn sign_up(&self, name: &str) -> String {
        let mut table = self.table();
        let subject = match self.bug {
            Bug::FoldsCase => name.to_lowercase(),
            _ => format!("u{}", table.len()),
        };
        let suspended = self.bug == Bug::SignedUpSuspended;
        table.insert(subject.clone(), Account { suspended, ..Account::ACTIVE });
        subject
    }

    fn key(&self, subject: &str) -> String {
        if self.bug == Bug::FoldsCase { subject.to_lowercase() } else { subject.to_owned() }
    }
}

impl blocking::Accounts for Users {
    type Error = Infallible;

    fn account(&self, subject: &str) -> Result<Option<Account>, Infallible> {
        let key = self.key(subject);
        let found = self.table().get(&key).copied();
        match (self.bug, found) {
            (Bug::Cached, _) => {
                let mut cache = self.cache.lock().unwrap();
                Ok(*cache.entry(key).or_insert(found))
            }
            (Bug::CreatedByRead, None) => {
                self.table().insert(key, Account::ACTIVE);
                Ok(None)
            }
            _ => Ok(found),
        }
    }

    fn raise_epoch(&self, subject: &str) -> Result<bool, Infallible> {
        let key = self.key(subject);
        match self.bug {
            Bug::NoEpoch => return Ok(false),
            Bug::EpochNotRaised => {}
            Bug::EpochReadThenWritten => {
                let read = self.table().get(&key).copied();
                std::thread::sleep(Duration::from_millis(1));
                if let Some(account) = read {
                    let raised = Account { epoch: account.epoch + 1, ..account };
                    self.table().insert(key, raised);
                }
            }
            Bug::EpochOfEverybody => {
                self.table().values_mut().for_each(|account| account.epoch += 1);
            }
            _ => {
                if let Some(account) = self.table().get_mut(&key) {
                    account.epoch += 1;
                    account.suspended = self.bug == Bug::RaiseSuspends;
                }
            }
        }
        Ok(true)
    }
}

mod plain {
    use super::{Bug, harness};

    grantcore::accounts_conformance!([harness(Bug::None), harness(Bug::NoEpoch)]);
}

/// Asserts that the check finds the bug by this law.
macro_rules! finds {
    ($check:ident: $($bug:ident => $law:ident),+ $(,)?) => {
        $(is_found($check(&harness(Bug::$bug)), Bug::$bug, Law::$law);)+
    };
}

#[track_caller]
fn is_found(result: Result<(), Violation>, bug: Bug, law: Law) {
    let violation = result.expect_err(&format!("{bug:?} was not found"));
    assert_eq!(violation.law(), law, "{bug:?} broke another law: {violation:?}");
}

#[test]
fn bugs_of_reads_are_found() {
    finds!(accounts_are_the_same_at_every_handle:
        CreatedByRead => Account,
        FoldsCase => Account,
        SignedUpSuspended => Account,
    );
}

#[test]
fn bugs_of_epochs_are_found() {
    finds!(a_raised_epoch_is_read:
        EpochNotRaised => Epoch,
        EpochOfEverybody => Epoch,
        Cached => Epoch,
        RaiseSuspends => Account,
    );
}

#[test]
fn bugs_of_parallel_epochs_are_found() {
    finds!(epochs_raised_at_once_all_count:
        EpochNotRaised => Epoch,
        EpochReadThenWritten => Epoch,
    );
}
