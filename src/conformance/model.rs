//! The store against a map: the same calls one after the other, through several handles.

use super::harness::Harness;
use super::keys::{Key, Record, came_back, commit, shown};
use super::law::works;
use super::records::{Dice, new_id};
use super::{Law, Violation};
use crate::keys::{ClientKey, Keys};
use crate::record::{Commit, Version};
use crate::store::{Store, load_each};

/// How many walks there are, and how many steps each has.
const WALKS: u64 = 3;
const STEPS: usize = 120;

/// Checks the store against a map with versions: commits over the right version or a wrong one,
/// and reads, through one handle or another.
///
/// # Errors
/// The first [`Violation`].
pub fn the_store_behaves_like_a_map<H: Harness>(harness: &H) -> Result<(), Violation> {
    (1..=WALKS).try_for_each(|seed| walk(harness, seed))
}

fn walk<H: Harness>(harness: &H, seed: u64) -> Result<(), Violation> {
    let mut dice = Dice(seed);
    let handles = [harness.open(), harness.open()];
    let keys = [Key::all()?, Key::all()?].concat();
    let mut map: Vec<Option<Record>> = vec![None; keys.len()];
    for step in 0..STEPS {
        let at = dice.below(keys.len());
        let writer = dice.below(2);
        let (Some(key), Some(slot)) = (keys.get(at), map.get_mut(at)) else { continue };
        let [one, other] = &handles;
        let (store, reader) = if writer == 0 { (one, other) } else { (other, one) };
        let stored = slot.as_ref().map(Record::version);
        let over = a_version(&mut dice, stored);
        let write = key.write(over, format!("walk {seed}, step {step}"))?;
        let result = harness.wait(commit(store, &write))?;
        let observed = || {
            let stored = shown(slot.as_ref());
            format!(
                "walk {seed}, step {step}: {stored} is stored, a commit over {over:?} returned \
                 {result:?}"
            )
        };
        match result {
            Commit::Done => Law::Compares.holds(over == stored, observed)?,
            Commit::Conflict => Law::Progress.holds(over != stored, observed)?,
        }
        let read = harness.wait(key.read(if dice.below(3) == 0 { store } else { reader }))?;
        if result == Commit::Done {
            let written = Record::of(&write);
            let anew = if read.as_ref() == Some(&written) {
                None
            } else {
                harness.wait(key.read(&harness.open()))?
            };
            came_back(&written, read.as_ref(), anew.as_ref())?;
            *slot = Some(written);
        }
        Law::Compares.holds(read == *slot, || {
            let read = shown(read.as_ref());
            format!("walk {seed}, step {step}: after {result:?}, {read} was read")
        })?;
        harness.wait(loads(reader, key))?;
    }
    harness.wait(loads_many(&handles[0], &keys))
}

/// Returns the stored version most of the time, else none or one near it.
fn a_version(dice: &mut Dice, stored: Option<Version>) -> Option<Version> {
    let near = |by: u64| Some(Version(stored.map_or(by, |version| version.0.wrapping_add(by))));
    match dice.below(6) {
        0 => None,
        1 => near(1),
        2 => near(u64::MAX),
        _ => stored,
    }
}

/// Checks that `load` returns the grant, its client and the caller that the single reads return,
/// whether or not accounts are asked for.
async fn loads<S: Store>(store: &S, key: &Key) -> Result<(), Violation> {
    let nobody = new_id()?;
    let cases = match key {
        Key::Grant(draft) => [
            Keys::of_grant(draft.id),
            Keys {
                grant: Some(draft.id),
                client: ClientKey::named(draft.client.as_str()),
                ..Keys::default()
            },
        ],
        Key::Client(client) => [
            Keys { client: ClientKey::named(client.id().as_str()), ..Keys::default() },
            Keys {
                grant: Some(nobody),
                caller: ClientKey::named(client.id().as_str()),
                ..Keys::default()
            },
        ],
    };
    for keys in cases {
        let expected = works("a read", load_each(store, &keys).await)?;
        for skip_accounts in [false, true] {
            let keys = Keys { skip_accounts, ..keys.clone() };
            let loaded = works("load", store.load(&keys).await)?;
            let is_same = loaded.grant == expected.grant
                && loaded.client == expected.client
                && loaded.caller == expected.caller;
            Law::Loads.holds(is_same, || {
                format!("{keys:?} loaded {loaded:?}; the single reads returned {expected:?}")
            })?;
        }
    }
    Ok(())
}

/// Checks that `load_grants` returns each grant in the order of the ids, also for an id that is
/// named twice and for one that does not exist.
async fn loads_many<S: Store>(store: &S, keys: &[Key]) -> Result<(), Violation> {
    let own = keys
        .iter()
        .filter_map(|key| if let Key::Grant(draft) = key { Some(draft.id) } else { None });
    let mut ids: Vec<_> = own.collect();
    ids.push(new_id()?);
    ids.extend(ids.first().copied());
    let found = works("load_grants", store.load_grants(&ids).await)?;
    Law::Loads.holds(found.len() == ids.len(), || {
        format!("load_grants of {} grants returned {}", ids.len(), found.len())
    })?;
    for (id, loaded) in ids.iter().zip(&found) {
        let alone = works("load", store.load(&Keys::of_grant(*id)).await)?;
        let is_same = loaded.grant == alone.grant && loaded.client == alone.client;
        Law::Loads.holds(is_same, || {
            format!("of {id:?}, load_grants loaded {loaded:?}, and load {alone:?}")
        })?;
    }
    Ok(())
}
