//! Crashes: acknowledged writes survive, and nothing that was used up is usable again.
//!
//! Workers go through flows and write into a journal, right after each acknowledgement, what was
//! acknowledged. Then the database is killed. The journal is the oracle. A write that was under way
//! at that moment may be there or not.

use std::collections::BTreeMap;
use std::future::Future;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::harness::{Harness, catching_panics};
use super::host::{Answer, Host, client_on};
use super::law::works;
use super::marks::accepted;
use super::records::{Dice, new_subject, now};
use super::{Law, Violation};
use crate::client::Client;
use crate::decision::Loaded;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::record::{Commit, Stored, Write};
use crate::seen::Seen;
use crate::store::Store;
use crate::value::credential::GrantId;
use crate::value::seen_key::SeenKey;

/// A database that can be killed.
pub trait Crash: Harness {
    /// Kills the database as a power loss or `kill -9` does, without time to finish anything, and
    /// starts it again on what is left. Returns when it answers.
    fn crash(&self);
}

/// What was found after the crashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a verdict is checked by `holds`"]
#[non_exhaustive]
pub struct Verdict {
    /// The number of commits that were acknowledged.
    pub acknowledged: usize,
    /// The number of acknowledged commits that are lost.
    pub lost: usize,
    /// The number of redeemed codes that could be redeemed again.
    pub redeemed_twice: usize,
    /// The number of used refresh tokens and revoked tokens that work again.
    pub revived: usize,
    /// The number of times that a used assertion was accepted again, by another node or after a
    /// crash.
    pub accepted_twice: usize,
}

impl Verdict {
    /// Checks that nothing was lost.
    ///
    /// # Errors
    /// The [`Violation`] if something was lost.
    pub fn holds(self) -> Result<(), Violation> {
        let Self { lost, redeemed_twice, revived, accepted_twice, .. } = self;
        let is_whole = [lost, redeemed_twice, revived, accepted_twice] == [0; 4];
        Law::Durable.holds(is_whole, || format!("{self:?}"))
    }
}

/// The line of a worker that only asks whether to go on.
const AGAIN: &str = "again";
/// How many workers there are while the database is killed.
const WORKERS: usize = 4;
/// For how many turns nothing may be acknowledged after a crash.
const PATIENCE: usize = 60_000;
const TURN: Duration = Duration::from_millis(1);

/// Kills the database this often, at random moments, while flows are under way, and looks for all
/// that it had acknowledged.
///
/// # Errors
/// A [`Violation`] if the store does not come back. Losses are in the [`Verdict`].
pub fn acknowledged_commits_survive<H: Crash>(
    harness: &H,
    crashes: usize,
) -> Result<Verdict, Violation> {
    let journal = Mutex::new(Vec::new());
    let is_over = AtomicBool::new(false);
    let note = |line: &str| {
        if line != AGAIN {
            lines(&journal).push(line.to_owned());
        }
        !is_over.load(Ordering::SeqCst)
    };
    let client = client_on(harness)?;
    let noted = Noted { harness, note: &note };
    let hosts = Host::open_many(&noted, WORKERS, 0)?;
    let killed = std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| work_on(host, &client, &note));
        }
        let mut dice = Dice(u64::try_from(crashes).unwrap_or(0));
        let killed = (0..crashes).try_for_each(|number| {
            let wanted = lines(&journal).len() + 5 + dice.below(80);
            let is_working = (0..PATIENCE).any(|_| {
                sleep(TURN);
                lines(&journal).len() >= wanted
            });
            catching_panics(|| {
                harness.crash();
                Ok(())
            })?;
            Law::Works.holds(is_working, || {
                format!("after {number} crashes nothing is acknowledged any more")
            })
        });
        is_over.store(true, Ordering::SeqCst);
        killed
    });
    killed?;
    verify(harness, lines(&journal).iter())
}

fn lines(journal: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Goes through flows on this store, and hands a line to `note` right after each acknowledgement,
/// until `note` returns `false`. If the store fails it tries again: the database may be being
/// killed.
///
/// # Errors
/// A [`Violation`] if it cannot begin.
pub fn work<H: Harness>(harness: &H, note: impl Fn(&str) -> bool + Sync) -> Result<(), Violation> {
    let client = client_on(harness)?;
    let noted = Noted { harness, note: &note };
    work_on(&Host::open(&noted, 0)?, &client, &note);
    Ok(())
}

fn work_on<H: Harness>(host: &Host<'_, H>, client: &str, note: &impl Fn(&str) -> bool) {
    let mut turn = 0_u32;
    loop {
        let has_failed = assertion(host, turn, note).is_err();
        if has_failed || flow(host, client, note, turn % 3 == 0).is_err() {
            sleep(TURN);
        }
        if !note(AGAIN) {
            return;
        }
        turn = turn.wrapping_add(1);
    }
}

/// Goes through one flow, as far as it comes.
fn flow<H: Harness>(
    host: &Host<'_, H>,
    client: &str,
    note: &impl Fn(&str) -> bool,
    revokes: bool,
) -> Result<(), Violation> {
    let code = host.code(client, new_subject()?.as_str())?;
    let Answer::Tokens(mut pair) = host.redeem(client, &code)? else { return Ok(()) };
    note(&format!("code {client} {code}"));
    for _ in 0..3 {
        let Answer::Tokens(next) = host.refresh(client, &pair.refresh)? else { return Ok(()) };
        note(&format!("spent {client} {}", pair.refresh));
        pair = next;
    }
    if revokes {
        if !host.revoke(client, &pair.refresh)? {
            return Ok(());
        }
        note(&format!("ended {client} {} {}", pair.refresh, pair.access));
    }
    Ok(())
}

/// Sends an assertion that every worker sends at this turn within this second, also those of
/// another process.
fn assertion<H: Harness>(
    host: &Host<'_, H>,
    turn: u32,
    note: &impl Fn(&str) -> bool,
) -> Result<(), Violation> {
    let jti = format!("crash-{}-{}", now().unix_seconds(), turn);
    if let Some(by) = accepted(host.harness(), host.store(), &jti)? {
        note(&format!("assertion {jti} {by}"));
    }
    Ok(())
}

/// Looks for all that these lines of [`work`] report as acknowledged. It uses up and revokes what
/// it finds, so that nothing can be verified twice.
///
/// # Errors
/// A [`Violation`] if the store fails.
pub fn verify<H: Harness, L: AsRef<str>>(
    harness: &H,
    journal: impl IntoIterator<Item = L>,
) -> Result<Verdict, Violation> {
    let host = Host::open(harness, 0)?;
    let store = harness.open();
    let mut verdict = Verdict::default();
    let mut commits = BTreeMap::<String, Vec<u64>>::new();
    let mut used = Vec::new();
    let mut assertions = BTreeMap::<String, usize>::new();
    for line in journal {
        let words: Vec<_> = line.as_ref().split(' ').map(str::to_owned).collect();
        match words.as_slice() {
            [kind, id, version] if kind == "commit" => {
                commits
                    .entry(id.clone())
                    .or_default()
                    .push(works("reading the journal", version.parse())?);
            }
            [kind, jti, _] if kind == "assertion" => {
                *assertions.entry(jti.clone()).or_default() += 1;
            }
            [kind] if kind == AGAIN => {}
            _ => used.push(words),
        }
    }
    for (id, versions) in &commits {
        let id = works("reading the journal", GrantId::from_str(id))?;
        let stored = works("a read", harness.wait(store.grant(id)))?;
        let stored = stored.map_or(0, |stored| stored.version.0);
        verdict.acknowledged += versions.len();
        verdict.lost += versions.iter().filter(|version| **version > stored).count();
    }
    for (jti, times) in &assertions {
        verdict.accepted_twice += times - 1;
        verdict.accepted_twice += usize::from(accepted(harness, &store, jti)?.is_some());
    }
    // The latest first: a token that is refused as a replay revokes its family, and would hide what
    // was acknowledged after it.
    for words in used.iter().rev() {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["code", client, code] => {
                let answer = host.redeem(client, code)?;
                verdict.redeemed_twice += usize::from(matches!(answer, Answer::Tokens(_)));
            }
            ["spent", client, token] => {
                let answer = host.refresh(client, token)?;
                verdict.revived += usize::from(matches!(answer, Answer::Tokens(_)));
            }
            ["ended", client, refresh, access] => {
                let is_alive = matches!(host.refresh(client, refresh)?, Answer::Tokens(_));
                verdict.revived += usize::from(is_alive || host.works(access)?);
            }
            // The last line of a process that was killed may have been cut.
            _ => {}
        }
    }
    Ok(verdict)
}

/// A harness whose stores note each acknowledged commit of a grant.
struct Noted<'a, H, N> {
    harness: &'a H,
    note: &'a N,
}

struct NotedStore<'a, S, N> {
    store: S,
    note: &'a N,
}

impl<'a, H: Harness, N: Fn(&str) -> bool + Sync> Harness for Noted<'a, H, N> {
    type Store = NotedStore<'a, H::Store, N>;

    fn open(&self) -> Self::Store {
        NotedStore { store: self.harness.open(), note: self.note }
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.harness.wait(future)
    }
}

impl<S: Store, N: Fn(&str) -> bool + Sync> Store for NotedStore<'_, S, N> {
    type Error = S::Error;

    async fn client(&self, id: &str) -> Result<Option<Stored<Client>>, S::Error> {
        self.store.client(id).await
    }

    async fn grant(&self, id: GrantId) -> Result<Option<Stored<Grant>>, S::Error> {
        self.store.grant(id).await
    }

    async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
        let commit = self.store.commit(write).await?;
        if let (Commit::Done, Some(change)) = (commit, write.as_grant()) {
            (self.note)(&format!("commit {} {}", change.id(), change.version().0));
        }
        Ok(commit)
    }

    async fn seen(&self, key: &SeenKey) -> Result<Option<Seen>, S::Error> {
        self.store.seen(key).await
    }

    async fn grants_of(
        &self,
        subject: &str,
        after: Option<GrantId>,
        limit: usize,
    ) -> Result<Vec<GrantId>, S::Error> {
        self.store.grants_of(subject, after, limit).await
    }

    async fn load(&self, keys: &Keys<'_>) -> Result<Loaded, S::Error> {
        self.store.load(keys).await
    }

    async fn load_grants(&self, ids: &[GrantId]) -> Result<Vec<Loaded>, S::Error> {
        self.store.load_grants(ids).await
    }
}
