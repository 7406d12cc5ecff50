//! Crashes: what was acknowledged is there afterwards, and nothing that was used up comes back.
//!
//! Workers go through flows and write down, right after each acknowledgement, what was
//! acknowledged. Then the database is killed. What was written down is the oracle; what was under
//! way at that moment may be there or not.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use super::flows::{Host, Said, client_on};
use super::harness::{Harness, calmly};
use super::law::works;
use super::records::Dice;
use super::{Law, Violation};
use crate::account::{Account, Balance};
use crate::client::Client;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::moment::Timestamp;
use crate::operation::Loaded;
use crate::record::{Commit, Stored, Write};
use crate::store::{AsyncStore, passed_on};
use crate::value::credential::GrantId;

/// A database that can be killed.
pub trait Crash: Harness {
    /// Kills it as a power loss or `kill -9` would, with no time to put anything in order, and
    /// starts it again on what is left. Returns when it answers.
    fn crash(&self);
}

/// What came of it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "nothing is judged until it is asked whether it holds"]
pub struct Verdict {
    /// The commits that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that are not there.
    pub lost: usize,
    /// Codes that were redeemed, and could be once more.
    pub redeemed_twice: usize,
    /// Refresh tokens that were used up, and tokens that were revoked, and yield or work again.
    pub revived: usize,
}

impl Verdict {
    /// Nothing was lost.
    ///
    /// # Errors
    /// The [`Violation`] if something was.
    pub fn holds(self) -> Result<(), Violation> {
        Law::Durable.holds((self.lost, self.redeemed_twice, self.revived) == (0, 0, 0), || {
            format!("{self:?}")
        })
    }
}

/// Of a worker that says that it is there still, and hears whether it should be.
const AGAIN: &str = "again";
/// How many workers there are while the database is killed.
const WORKERS: usize = 4;
/// How long nothing may be acknowledged after a crash.
const PATIENCE: usize = 60_000;
const TURN: Duration = Duration::from_millis(1);

/// Kills the database so often, at random moments, while flows are under way, and looks for what it
/// had acknowledged.
///
/// # Errors
/// A [`Violation`] if the store does not come back. What was lost is in the [`Verdict`].
pub fn acknowledged_commits_survive<H: Crash>(
    harness: &H,
    crashes: usize,
) -> Result<Verdict, Violation> {
    let (journal, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let note = |line: &str| {
        if line != AGAIN {
            lines(&journal).push(line.to_owned());
        }
        !over.load(Ordering::SeqCst)
    };
    let (client, noted) = (client_on(harness)?, Noted { harness, note: &note });
    let hosts = (0..WORKERS).map(|_| Host::open(&noted, 0)).collect::<Result<Vec<_>, _>>()?;
    let killed = std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| work_on(host, &client, &note));
        }
        let mut dice = Dice(u64::try_from(crashes).unwrap_or(0));
        let killed = (0..crashes).try_for_each(|number| {
            let wanted = lines(&journal).len() + 5 + dice.below(80);
            let came = (0..PATIENCE).any(|_| {
                sleep(TURN);
                lines(&journal).len() >= wanted
            });
            calmly(|| {
                harness.crash();
                Ok(())
            })?;
            Law::Works
                .holds(came, || format!("after {number} crashes nothing is acknowledged any more"))
        });
        over.store(true, Ordering::SeqCst);
        killed
    });
    killed?;
    verify(harness, lines(&journal).iter())
}

fn lines(journal: &Mutex<Vec<String>>) -> std::sync::MutexGuard<'_, Vec<String>> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Goes through flows on this store, and hands a line to `note` right after each thing that was
/// acknowledged, until that says no. Where the store fails it tries again: it may be being killed.
///
/// # Errors
/// A [`Violation`] if it cannot begin.
pub fn work<H: Harness>(harness: &H, note: impl Fn(&str) -> bool + Sync) -> Result<(), Violation> {
    let (client, noted) = (client_on(harness)?, Noted { harness, note: &note });
    work_on(&Host::open(&noted, 0)?, &client, &note);
    Ok(())
}

fn work_on<H: Harness>(host: &Host<'_, H>, client: &str, note: &impl Fn(&str) -> bool) {
    let mut turn = 0_u32;
    loop {
        if flow(host, client, note, turn % 3 == 0).is_err() {
            sleep(TURN);
        }
        if !note(AGAIN) {
            return;
        }
        turn = turn.wrapping_add(1);
    }
}

/// One flow, as far as it comes.
fn flow<H: Harness>(
    host: &Host<'_, H>,
    client: &str,
    note: &impl Fn(&str) -> bool,
    revokes: bool,
) -> Result<(), Violation> {
    let code = host.code(client, &host.new_user()?)?;
    let Said::Tokens(mut pair) = host.redeem(client, &code)? else { return Ok(()) };
    note(&format!("code {client} {code}"));
    for _ in 0..3 {
        let Said::Tokens(next) = host.refresh(client, &pair.refresh)? else { return Ok(()) };
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

/// Looks for all that these lines of [`work`] say was acknowledged. It uses up and revokes what it
/// finds: nothing can be verified twice.
///
/// # Errors
/// A [`Violation`] if the store fails.
pub fn verify<H: Harness, L: AsRef<str>>(
    harness: &H,
    journal: impl IntoIterator<Item = L>,
) -> Result<Verdict, Violation> {
    let (host, store) = (Host::open(harness, 0)?, harness.open());
    let (mut verdict, mut commits, mut used) =
        (Verdict::default(), BTreeMap::<String, Vec<u64>>::new(), Vec::new());
    for line in journal {
        let words: Vec<_> = line.as_ref().split(' ').map(str::to_owned).collect();
        match words.as_slice() {
            [kind, id, version] if kind == "commit" => {
                commits
                    .entry(id.clone())
                    .or_default()
                    .push(works("reading the journal", version.parse())?);
            }
            [kind] if kind == AGAIN => {}
            _ => used.push(words),
        }
    }
    for (id, versions) in &commits {
        let id = works("reading the journal", GrantId::from_str(id))?;
        let stored =
            works("a read", harness.wait(store.grant(id)))?.map_or(0, |stored| stored.version.0);
        verdict.acknowledged += versions.len();
        verdict.lost += versions.iter().filter(|version| **version > stored).count();
    }
    // The latest first: what is refused as a replay ends its family, and would hide what came after
    // it.
    for words in used.iter().rev() {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["code", client, code] => {
                verdict.redeemed_twice +=
                    usize::from(matches!(host.redeem(client, code)?, Said::Tokens(_)));
            }
            ["spent", client, token] => {
                verdict.revived +=
                    usize::from(matches!(host.refresh(client, token)?, Said::Tokens(_)));
            }
            ["ended", client, refresh, access] => {
                let yields = matches!(host.refresh(client, refresh)?, Said::Tokens(_));
                verdict.revived += usize::from(yields || host.works(access)?);
            }
            // The last line of a process that was killed may have been cut.
            _ => {}
        }
    }
    Ok(verdict)
}

/// A harness whose stores note each commit of a grant that is acknowledged.
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

    fn sign_up(&self, store: &Self::Store, subject: &str) {
        self.harness.sign_up(&store.store, subject);
    }

    fn sweep(&self, store: &Self::Store, now: Timestamp, limit: usize) -> Option<usize> {
        self.harness.sweep(&store.store, now, limit)
    }
}

impl<S: AsyncStore, N: Fn(&str) -> bool + Sync> AsyncStore for NotedStore<'_, S, N> {
    type Error = S::Error;

    passed_on!(self => self.store);

    async fn commit(&self, write: &Write) -> Result<Commit, S::Error> {
        let said = self.store.commit(write).await?;
        if let (Commit::Done, Some(change)) = (said, write.as_grant()) {
            (self.note)(&format!("commit {} {}", change.id(), change.version().0));
        }
        Ok(said)
    }
}
