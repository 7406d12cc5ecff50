//! The laws of accounts, and what a host hands over to have them checked.

use std::fmt;
use std::future::Future;

use super::harness::{Harness, at_once};
use super::law::works;
use super::records::new_subject;
use super::{Law, Violation};
use crate::account::{Account, Accounts};
use crate::blocking::{self, Ready, block_on};
use crate::store::LoadsAccounts;

/// How many handles raise one epoch at the same time, and how often each.
const HANDLES: usize = 4;
const RAISES: usize = 8;

/// Accounts to check. The conformance suite uses them from several threads at once.
///
/// Every [`Harness`] of a store that [loads accounts](LoadsAccounts) is one.
pub trait AccountsHarness: Sync {
    /// The accounts.
    type Accounts: Accounts;

    /// Opens another handle of the same accounts, as another process would: see
    /// [`Harness::open`].
    fn open(&self) -> Self::Accounts;

    /// Runs a future to its end on this thread, while other threads run theirs.
    fn wait<F: Future>(&self, future: F) -> F::Output;

    /// Creates an active account and returns its subject. `subject` is a name that no account has;
    /// return another one if the host's subjects have a form of their own.
    ///
    /// The default creates nothing, for accounts that all exist.
    fn sign_up(&self, accounts: &Self::Accounts, subject: &str) -> String {
        let _ = accounts;
        subject.to_owned()
    }
}

impl<H: Harness<Store: LoadsAccounts>> AccountsHarness for H {
    type Accounts = H::Store;

    fn open(&self) -> H::Store {
        Harness::open(self)
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        Harness::wait(self, future)
    }

    fn sign_up(&self, accounts: &H::Store, subject: &str) -> String {
        Harness::sign_up(self, accounts, subject)
    }
}

type SignUp<A> = Box<dyn Fn(&A, &str) -> String + Sync>;

/// An [`AccountsHarness`] of [`blocking::Accounts`], made of a function that opens them.
pub struct BlockingAccounts<A, O> {
    open: O,
    sign_up: Option<SignUp<A>>,
}

impl<A, O> fmt::Debug for BlockingAccounts<A, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingAccounts").finish_non_exhaustive()
    }
}

impl<A: blocking::Accounts, O: Fn() -> A> BlockingAccounts<A, O> {
    /// Returns a harness that opens each handle with this function.
    pub fn new(open: O) -> Self {
        Self { open, sign_up: None }
    }

    /// Creates accounts with this function: see [`AccountsHarness::sign_up`].
    #[must_use = "the harness that creates accounts is the one returned"]
    pub fn with_sign_up(self, sign_up: impl Fn(&A, &str) -> String + Sync + 'static) -> Self {
        Self { sign_up: Some(Box::new(sign_up)), ..self }
    }
}

impl<A: blocking::Accounts, O: Fn() -> A + Sync> AccountsHarness for BlockingAccounts<A, O> {
    type Accounts = Ready<A>;

    fn open(&self) -> Ready<A> {
        Ready((self.open)())
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }

    fn sign_up(&self, accounts: &Ready<A>, subject: &str) -> String {
        match &self.sign_up {
            Some(sign_up) => sign_up(&accounts.0, subject),
            None => subject.to_owned(),
        }
    }
}

/// Checks that an account is the same at every handle and at every read: one that was signed up
/// exists and is active, and the result for an unknown subject stays the same, also while others
/// sign up.
///
/// # Errors
/// The first [`Violation`].
pub fn accounts_are_the_same_at_every_handle<H: AccountsHarness>(
    harness: &H,
) -> Result<(), Violation> {
    let handles = [harness.open(), harness.open()];
    let name = new_subject()?;
    let strangers: Vec<_> =
        look_alikes(name.as_str()).into_iter().chain([new_subject()?.to_string()]).collect();
    let first = read_each(harness, &handles[0], &strangers)?;
    let alice = harness.sign_up(&handles[0], name.as_str());
    for handle in [&handles[0], &handles[1], &harness.open()] {
        existing(harness, handle, &alice)?;
        let again = read_each(harness, handle, &strangers)?;
        Law::Account.holds(again == first, || {
            format!("of the unknown {strangers:?}, a read returned {first:?}, and then {again:?}")
        })?;
    }
    Ok(())
}

/// Checks that a raised epoch is read by every handle at once, and that no other account changes.
/// Accounts that have no epoch keep the one they return.
///
/// # Errors
/// The first [`Violation`].
pub fn a_raised_epoch_is_read<H: AccountsHarness>(harness: &H) -> Result<(), Violation> {
    let handles = [harness.open(), harness.open()];
    let alice = harness.sign_up(&handles[0], new_subject()?.as_str());
    let bob = harness.sign_up(&handles[0], new_subject()?.as_str());
    let others: Vec<_> = look_alikes(&alice).into_iter().chain([bob]).collect();
    let others_before = read_each(harness, &handles[1], &others)?;
    let mut before = existing(harness, &handles[1], &alice)?;
    for _ in 0..3 {
        let raised = works("raise_epoch", harness.wait(handles[0].raise_epoch(&alice)))?;
        let mut after = before;
        for handle in &handles {
            after = existing(harness, handle, &alice)?;
            let is_right =
                if raised { after.epoch > before.epoch } else { after.epoch == before.epoch };
            Law::Epoch.holds(is_right, || {
                format!(
                    "{before:?} was read, raise_epoch returned {raised}, and {after:?} was read"
                )
            })?;
        }
        before = after;
    }
    for handle in &handles {
        let others_after = read_each(harness, handle, &others)?;
        Law::Epoch.holds(others_after == others_before, || {
            format!(
                "the epoch of {alice:?} was raised, and {others:?} changed from {others_before:?} \
                 to {others_after:?}"
            )
        })?;
    }
    Ok(())
}

/// Checks that each of several raises at the same time raises the epoch, so that none is lost: a
/// grant that was made between two of them is ended by the later one.
///
/// # Errors
/// The first [`Violation`].
pub fn epochs_raised_at_once_all_count<H: AccountsHarness>(harness: &H) -> Result<(), Violation> {
    let handles: Vec<_> = (0..HANDLES).map(|_| harness.open()).collect();
    let accounts = harness.open();
    let alice = harness.sign_up(&accounts, new_subject()?.as_str());
    let before = existing(harness, &accounts, &alice)?;
    let raised = at_once(&handles, |handle| {
        let mut raised = 0_u64;
        for _ in 0..RAISES {
            let is_raised = works("raise_epoch", harness.wait(handle.raise_epoch(&alice)))?;
            raised += u64::from(is_raised);
        }
        Ok(raised)
    })?;
    let raised: u64 = raised.iter().sum();
    let after = existing(harness, &accounts, &alice)?;
    Law::Epoch.holds(after.epoch.saturating_sub(before.epoch) >= raised, || {
        format!("{before:?} was raised {raised} times by {HANDLES} handles, and is {after:?}")
    })
}

/// Reads an account that was signed up.
fn existing<H: AccountsHarness>(
    harness: &H,
    accounts: &H::Accounts,
    subject: &str,
) -> Result<Account, Violation> {
    let found = works("account", harness.wait(accounts.account(subject)))?;
    let active = found.filter(|account| !account.suspended);
    active.ok_or_else(|| {
        Law::Account.broken(format_args!("{subject:?} was signed up, and {found:?} was read"))
    })
}

fn read_each<H: AccountsHarness>(
    harness: &H,
    accounts: &H::Accounts,
    subjects: &[String],
) -> Result<Vec<Option<Account>>, Violation> {
    let read = |subject: &String| works("account", harness.wait(accounts.account(subject)));
    subjects.iter().map(read).collect()
}

/// Names that an inexact comparison takes for this one.
fn look_alikes(subject: &str) -> [String; 4] {
    [format!("{subject} "), format!("{subject}0"), subject.to_uppercase(), format!("{subject}%")]
}
