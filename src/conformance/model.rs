//! The store against a map: the same calls, one after the other, through several handles.

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit, shown};
use super::law::works;
use super::records::{Dice, new_subject};
use super::{Law, Violation};
use crate::keys::{ClientKey, Keys};
use crate::record::{Commit, Version};
use crate::store::AsyncStore;

/// How many walks, and how many steps each.
const WALKS: u64 = 3;
const STEPS: usize = 120;

/// A store is a map with versions: whatever is read, written over the right version or a wrong one,
/// by one handle or another, it does what a map would.
///
/// # Errors
/// The first [`Violation`].
pub fn the_store_is_a_map<H: Harness>(harness: &H) -> Result<(), Violation> {
    (1..=WALKS).try_for_each(|seed| walk(harness, seed))
}

fn walk<H: Harness>(harness: &H, seed: u64) -> Result<(), Violation> {
    let (mut dice, handles) = (Dice(seed), [harness.open(), harness.open()]);
    let keys = [Key::all()?, Key::all()?].concat();
    for subject in keys.iter().filter_map(Key::account) {
        harness.sign_up(&handles[0], subject.as_str());
        // Where epochs can be raised, no two accounts stand alike, and one that is brought for
        // another is seen.
        for _ in 0..dice.below(4) {
            works("raise_epoch", harness.wait(handles[0].raise_epoch(subject.as_str())))?;
        }
    }
    let mut map: Vec<Option<Record>> = vec![None; keys.len()];
    for step in 0..STEPS {
        let (at, writer) = (dice.below(keys.len()), dice.below(2));
        let (Some(key), Some(slot)) = (keys.get(at), map.get_mut(at)) else { continue };
        let [one, other] = &handles;
        let (store, reader) = if writer == 0 { (one, other) } else { (other, one) };
        let stored = slot.as_ref().map(Record::version);
        let over = a_version(&mut dice, stored);
        let write = key.write(over, format!("walk {seed}, step {step}"))?;
        let said = harness.wait(commit(store, &write))?;
        let told = || {
            format!(
                "walk {seed}, step {step}: {} is stored, a commit over {over:?} was told {said:?}",
                shown(slot.as_ref())
            )
        };
        match said {
            Commit::Done => Law::Compares.holds(over == stored, told)?,
            Commit::Conflict => Law::Progress.holds(over != stored, told)?,
        }
        let read = harness.wait(key.read(if dice.below(3) == 0 { store } else { reader }))?;
        if said == Commit::Done {
            let written = Record::of(&write);
            let anew = if read.as_ref() == Some(&written) {
                None
            } else {
                harness.wait(key.read(&harness.open()))?
            };
            came_back(&written, read.as_ref(), anew.as_ref())?;
            *slot = Some(written);
        }
        let told = || {
            format!("walk {seed}, step {step}: after {said:?}, {} was read", shown(read.as_ref()))
        };
        Law::Compares.holds(read == *slot, told)?;
        harness.wait(loads(reader, key))?;
    }
    harness.wait(loads_many(&handles[0], &keys))
}

/// The one that is stored, mostly; or none, or one near to it.
fn a_version(dice: &mut Dice, stored: Option<Version>) -> Option<Version> {
    let near = |by: u64| Some(Version(stored.map_or(by, |version| version.0.wrapping_add(by))));
    match dice.below(6) {
        0 => None,
        1 => near(1),
        2 => near(u64::MAX),
        _ => stored,
    }
}

/// That `load` brings what the single reads bring: the grant, its client, its account, and who
/// asks.
async fn loads<S: AsyncStore<Error: std::fmt::Debug>>(
    store: &S,
    key: &Key,
) -> Result<(), Violation> {
    let (stranger, nobody) = (new_subject()?, super::records::new_id()?);
    let cases = match key {
        Key::Grant(draft) => [
            Keys { grant: Some(draft.id), ..Keys::default() },
            Keys {
                grant: Some(draft.id),
                client: ClientKey::named(draft.client.as_str()),
                balance: true,
                ..Keys::default()
            },
        ],
        Key::Client(client) => [
            Keys {
                client: ClientKey::named(client.id().as_str()),
                subject: Some(stranger.as_str()),
                ..Keys::default()
            },
            Keys {
                grant: Some(nobody),
                caller: ClientKey::named(client.id().as_str()),
                ..Keys::default()
            },
        ],
    };
    for keys in cases {
        let loaded = works("load", store.load(&keys).await)?;
        let grant = match keys.grant {
            Some(id) => works("grant", store.grant(id).await)?,
            None => None,
        };
        let of_grant = grant.as_ref().map(|stored| &stored.record);
        let of_grant = of_grant.map(|grant| &**grant);
        let client = match keys.client_id(of_grant) {
            Some(id) => works("client", store.client(id).await)?,
            None => None,
        };
        let account = match keys.subject_id(of_grant) {
            Some(subject) => works("account", store.account(subject).await)?,
            None => None,
        };
        let caller = match keys.caller_id() {
            Some(id) => works("client", store.client(id).await)?,
            None => None,
        };
        let owner = match client.as_ref().and_then(|stored| stored.record.owner()) {
            Some(owner) => works("account", store.account(owner.as_str()).await)?,
            None => None,
        };
        let accounts = loaded.account == account && loaded.owner == owner;
        let same = loaded.grant == grant && loaded.client == client && loaded.caller == caller;
        let paid = loaded.balance.is_some() == (keys.balance && grant.is_some());
        Law::Loads.holds(same && accounts && paid, || format!("{keys:?} brought {loaded:?}"))?;
    }
    Ok(())
}

/// That `load_grants` brings each grant, in the order asked for, one that is twice there and one
/// that does not exist included.
async fn loads_many<S: AsyncStore<Error: std::fmt::Debug>>(
    store: &S,
    keys: &[Key],
) -> Result<(), Violation> {
    let own = keys
        .iter()
        .filter_map(|key| if let Key::Grant(draft) = key { Some(draft.id) } else { None });
    let mut ids: Vec<_> = own.collect();
    ids.push(super::records::new_id()?);
    ids.extend(ids.first().copied());
    let found = works("load_grants", store.load_grants(&ids).await)?;
    Law::Loads.holds(found.len() == ids.len(), || {
        format!("load_grants of {} brought {}", ids.len(), found.len())
    })?;
    for (id, loaded) in ids.iter().zip(&found) {
        let alone = works("load", store.load(&Keys { grant: Some(*id), ..Keys::default() }).await)?;
        let same = loaded.grant == alone.grant && loaded.client == alone.client;
        let accounts = loaded.account == alone.account && loaded.owner == alone.owner;
        Law::Loads.holds(same && accounts, || {
            format!("load_grants brought {loaded:?} for {id:?}, and load {alone:?}")
        })?;
    }
    Ok(())
}
