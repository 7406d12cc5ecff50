//! `move-store`: copies one database to another.
//!
//! A record is created in the target or is there already in the same state, so that the command can
//! be repeated after an interruption. Nothing is overwritten and nothing is deleted.

use std::fmt;
use std::time::SystemTime;

use grantcore::store::{Commit, Record, SeenKey, Write};
use grantcore::value::{GrantId, Subject};
use grantcore::{Account, Accounts as _, Store as _, Timestamp};

use crate::StartError;
use crate::config::{Database, DatabaseTls};
use crate::store::{Backend, Grants, Ledger as _};

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
    copy_clients(source.grants(), target.grants(), start, &mut conflicts).await?;
    copy_grants(source.grants(), target.grants(), start, &mut conflicts).await?;
    copy_marks(source.grants(), target.grants(), start, &mut conflicts).await?;
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

async fn copy_clients(
    from: &Grants,
    to: &Grants,
    now: Timestamp,
    conflicts: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut after: Option<String> = None;
    loop {
        let clients = from.clients(after.as_deref(), PAGE).await?;
        let Some(last) = clients.last() else { return Ok(()) };
        after = Some(last.record.id().to_string());
        for client in clients.into_iter().filter(|client| is_kept(&*client.record, now)) {
            let id = client.record.id().as_str();
            let write = Write::client(None, client.record.clone());
            if to.commit(&write).await? == Commit::Done {
                continue;
            }
            let there = to.client(id).await?;
            if there.is_none_or(|there| there.record != client.record) {
                conflicts.push(format!("the client {id}"));
            }
        }
    }
}

async fn copy_grants(
    from: &Grants,
    to: &Grants,
    now: Timestamp,
    conflicts: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut after = None;
    loop {
        let grants = from.grants(after, PAGE).await?;
        let Some(last) = grants.last() else { return Ok(()) };
        after = Some(last.record.id());
        for grant in grants.into_iter().filter(|grant| is_kept(&*grant.record, now)) {
            let id = grant.record.id();
            if to.commit(&Write::moved(grant.record.clone())).await? == Commit::Done {
                continue;
            }
            if to.grant(id).await?.is_none_or(|there| there.record != grant.record) {
                conflicts.push(format!("the grant {id}"));
            }
        }
    }
}

/// Copies the marks: without them, an assertion that was used could be used again in the target.
async fn copy_marks(
    from: &Grants,
    to: &Grants,
    now: Timestamp,
    conflicts: &mut Vec<String>,
) -> Result<(), StartError> {
    let mut after = None;
    loop {
        let marks = from.marks(after, PAGE).await?;
        let Some(last) = marks.last() else { return Ok(()) };
        after = Some(*last.key());
        for mark in marks.into_iter().filter(|mark| is_kept(mark, now)) {
            if to.commit(&Write::moved_seen(mark.clone())).await? == Commit::Done {
                continue;
            }
            if to.seen(mark.key()).await?.is_none_or(|there| there != mark) {
                conflicts.push(format!("the mark {}", mark.key()));
            }
        }
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

/// Returns whether a record is not due to be dropped. Nothing depends on one that is due.
fn is_kept(record: &impl Record, now: Timestamp) -> bool {
    record.drop_after() > now
}

/// Counts the records that are not due to be dropped. They are listed, because a store's own counts
/// may be estimates.
async fn counts(backend: &Backend, now: Timestamp) -> Result<Counts, StartError> {
    let grants = backend.grants();
    let mut counts =
        Counts { accounts: backend.ledger().accounts().await?.len(), ..Counts::default() };
    let mut after: Option<String> = None;
    loop {
        let page = grants.clients(after.as_deref(), PAGE).await?;
        counts.clients += page.iter().filter(|own| is_kept(&*own.record, now)).count();
        let Some(last) = page.last() else { break };
        after = Some(last.record.id().to_string());
    }
    let mut after: Option<GrantId> = None;
    loop {
        let page = grants.grants(after, PAGE).await?;
        counts.grants += page.iter().filter(|own| is_kept(&*own.record, now)).count();
        let Some(last) = page.last() else { break };
        after = Some(last.record.id());
    }
    let mut after: Option<SeenKey> = None;
    loop {
        let page = grants.marks(after, PAGE).await?;
        counts.marks += page.iter().filter(|own| is_kept(*own, now)).count();
        let Some(last) = page.last() else { break };
        after = Some(*last.key());
    }
    let mut after: Option<Subject> = None;
    loop {
        let page = grants.standings(after.as_ref().map(Subject::as_str), PAGE).await?;
        counts.standings += page.iter().filter(|(_, own)| *own != Account::ACTIVE).count();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
    }
    Ok(counts)
}
