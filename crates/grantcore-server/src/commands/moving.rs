//! `move-store`: copies one database to another.
//!
//! A record is created in the target or is there already in the same state, so that the command can
//! be repeated after an interruption. Nothing is overwritten and nothing is deleted.

use std::fmt;
use std::time::SystemTime;

use grantcore::grant::Grant;
use grantcore::store::{Commit, Record, Seen, SeenKey, Stored, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts as _, Client, Store as _, Timestamp};

use crate::StartError;
use crate::config::{Database, DatabaseTls};
use crate::store::{Backend, BackendError, Grants, Ledger as _};

/// How many records are read at once.
const PAGE: usize = 500;

/// How many records a database has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    clients: usize,
    grants: usize,
    /// The single-use marks of assertions.
    marks: usize,
    /// The accounts that are suspended or whose epoch was raised.
    standings: usize,
    /// The accounts.
    accounts: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, grants, marks, accounts, standings } = self;
        write!(f, "{clients} clients, {grants} grants, {marks} marks and {accounts} accounts ")?;
        write!(f, "({standings} suspended or ended)")
    }
}

/// Copies clients, grants and accounts. Fails if the target has other records, or has records
/// already and `resumes` is not set.
pub(super) async fn run(
    from: &Database,
    to: &Database,
    resumes: bool,
    tls: &DatabaseTls,
) -> Result<(), StartError> {
    if from == to {
        return Err("--from and --to are the same database".into());
    }
    if [from, to].contains(&&Database::Memory) {
        return Err("`memory:` cannot be moved: it is lost at exit".into());
    }
    super::must_exist(from)?;
    let source = open(from, tls, "--from").await?;
    let target = open(to, tls, "--to").await?;
    let present = counts(&target, Timestamp::from_unix_seconds(0)).await?;
    if present != Counts::default() && !resumes {
        return Err(format!(
            "--to {to} is not empty: it has {present}. \
             If an earlier move was interrupted, finish it with --resume"
        )
        .into());
    }
    let start = now();
    let mut conflicts = Vec::new();
    let (old, new) = (source.grants(), target.grants());
    copy::<Stored<Client>>(old, new, start, &mut conflicts).await?;
    copy::<Stored<Grant>>(old, new, start, &mut conflicts).await?;
    copy::<Seen>(old, new, start, &mut conflicts).await?;
    copy_accounts(&source, &target, &mut conflicts).await?;
    if let Some(first) = conflicts.first() {
        return Err(format!(
            "{} records of --to differ from those of --from and were left as they are, first {first}. \
             Was --to served meanwhile?",
            conflicts.len()
        )
        .into());
    }
    // Redis drops records that are due by itself, also meanwhile.
    let end = now();
    let wanted = counts(&source, end).await?;
    let moved = counts(&target, end).await?;
    if moved != wanted {
        return Err(format!(
            "--to has {moved}, and --from has {wanted}. Stop all servers of both, \
             and finish the move with --resume"
        )
        .into());
    }
    super::print(&format!("moved {moved} to {to}"))
}

async fn open(database: &Database, tls: &DatabaseTls, flag: &str) -> Result<Backend, StartError> {
    let opened = Backend::open(database, tls, 0).await;
    Ok(opened
        .map_err(|error| format!("the database cannot be opened: {error} ({flag} {database})"))?)
}

/// Copies the records of one kind. Without the marks, an assertion that was used could be used
/// again in the target.
async fn copy<R: Copied>(
    from: &Grants,
    to: &Grants,
    now: Timestamp,
    conflicts: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut after = None;
    loop {
        let page = R::page(from, after.as_ref()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key());
        for record in page.into_iter().filter(|record| record.drop_after() > now) {
            // What an earlier run has copied is there already.
            if to.commit(&record.write()).await? != Commit::Done && !record.is_in(to).await? {
                conflicts.push(record.name());
            }
        }
    }
}

/// Counts the records of one kind that are not due to be dropped.
async fn count<R: Copied>(grants: &Grants, now: Timestamp) -> Result<usize, StartError> {
    let mut count = 0;
    let mut after = None;
    loop {
        let page = R::page(grants, after.as_ref()).await?;
        count += page.iter().filter(|record| record.drop_after() > now).count();
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.key());
    }
}

/// A record that is copied: a client, a grant or a mark.
trait Copied: Sized {
    type Key;

    /// Lists the records after this key, ascending.
    async fn page(grants: &Grants, after: Option<&Self::Key>) -> Result<Vec<Self>, BackendError>;

    fn key(&self) -> Self::Key;

    /// Returns the time after which nothing depends on the record.
    fn drop_after(&self) -> Timestamp;

    /// Returns the write that creates it.
    fn write(&self) -> Write;

    /// Returns whether this store has it in the same state.
    async fn is_in(&self, grants: &Grants) -> Result<bool, BackendError>;

    /// Returns what it is called in a message.
    fn name(&self) -> String;
}

impl Copied for Stored<Client> {
    type Key = String;

    async fn page(grants: &Grants, after: Option<&String>) -> Result<Vec<Self>, BackendError> {
        grants.clients(after.map(String::as_str), PAGE).await
    }

    fn key(&self) -> String {
        self.record.id().to_string()
    }

    fn drop_after(&self) -> Timestamp {
        self.record.drop_after()
    }

    fn write(&self) -> Write {
        Write::client(None, self.record.clone())
    }

    async fn is_in(&self, grants: &Grants) -> Result<bool, BackendError> {
        let there = grants.client(self.record.id().as_str()).await?;
        Ok(there.is_some_and(|there| there.record == self.record))
    }

    fn name(&self) -> String {
        format!("the client {}", self.record.id())
    }
}

impl Copied for Stored<Grant> {
    type Key = GrantId;

    async fn page(grants: &Grants, after: Option<&GrantId>) -> Result<Vec<Self>, BackendError> {
        grants.grants(after.copied(), PAGE).await
    }

    fn key(&self) -> GrantId {
        self.record.id()
    }

    fn drop_after(&self) -> Timestamp {
        self.record.drop_after()
    }

    fn write(&self) -> Write {
        Write::moved(self.record.clone())
    }

    async fn is_in(&self, grants: &Grants) -> Result<bool, BackendError> {
        let there = grants.grant(self.record.id()).await?;
        Ok(there.is_some_and(|there| there.record == self.record))
    }

    fn name(&self) -> String {
        format!("the grant {}", self.record.id())
    }
}

impl Copied for Seen {
    type Key = SeenKey;

    async fn page(grants: &Grants, after: Option<&SeenKey>) -> Result<Vec<Self>, BackendError> {
        grants.marks(after.copied(), PAGE).await
    }

    fn key(&self) -> SeenKey {
        *Self::key(self)
    }

    fn drop_after(&self) -> Timestamp {
        Record::drop_after(self)
    }

    fn write(&self) -> Write {
        Write::moved_seen(self.clone())
    }

    async fn is_in(&self, grants: &Grants) -> Result<bool, BackendError> {
        Ok(grants.seen(Self::key(self)).await?.is_some_and(|there| there == *self))
    }

    fn name(&self) -> String {
        format!("the mark {}", Self::key(self))
    }
}

/// Copies which accounts are suspended, their epochs, and the balances.
async fn copy_accounts(
    from: &Backend,
    to: &Backend,
    conflicts: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut after: Option<Subject> = None;
    loop {
        let page = from.grants().standings(after.as_ref().map(Subject::as_str), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (subject, account) in page {
            let there = to.grants().account(subject.as_str()).await?;
            match there.unwrap_or(Account::ACTIVE) {
                same if same == account => {}
                Account::ACTIVE => to.grants().put_standing(&subject, account).await?,
                _ => conflicts.push(format!("the account {subject}")),
            }
        }
    }
    for (subject, balance) in from.ledger().accounts().await? {
        to.ledger().add_account(&subject, balance).await?;
        if to.ledger().balance(&subject).await? != Some(balance) {
            conflicts.push(format!("the balance of {subject}"));
        }
    }
    for (subject, name) in from.ledger().account_names().await? {
        to.ledger().name_account(&subject, &name).await?;
    }
    Ok(())
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Counts the records that are not due to be dropped. They are listed, because a store's own counts
/// may be estimates.
async fn counts(backend: &Backend, now: Timestamp) -> Result<Counts, StartError> {
    let grants = backend.grants();
    let mut counts =
        Counts { accounts: backend.ledger().accounts().await?.len(), ..Counts::default() };
    counts.clients = count::<Stored<Client>>(grants, now).await?;
    counts.grants = count::<Stored<Grant>>(grants, now).await?;
    counts.marks = count::<Seen>(grants, now).await?;
    let mut after: Option<Subject> = None;
    loop {
        let page = grants.standings(after.as_ref().map(Subject::as_str), PAGE).await?;
        counts.standings += page.iter().filter(|(_, own)| *own != Account::ACTIVE).count();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
    }
    Ok(counts)
}
