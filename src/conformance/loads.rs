//! Stores that load accounts with their records.

use super::harness::Harness;
use super::host::{Answer, Host, client_on};
use super::keys::commit;
use super::law::works;
use super::records::{self, DAY, Draft, new_subject, now};
use super::{Law, Violation};
use crate::account::Accounts as _;
use crate::decision::{Loaded, Records};
use crate::keys::{ClientKey, Keys};
use crate::record::Commit;
use crate::store::{FromStore, LoadsAccounts, load_each};
use crate::value::credential::GrantId;
use crate::value::text::Subject;

/// Checks that [`load`](crate::Store::load), [`load_grants`](crate::Store::load_grants) and
/// [`inspect`](crate::Store::inspect) return the accounts and the balance that the single reads
/// return, and that [`Keys::skip_accounts`] leaves the records as they are.
///
/// # Errors
/// The first [`Violation`].
pub fn accounts_are_loaded<H: Harness<Store: LoadsAccounts>>(harness: &H) -> Result<(), Violation> {
    let store = harness.open();
    // No two accounts have the same epoch, so that one is not taken for another.
    let mut raises = 0;
    let mut sign_up = || -> Result<Subject, Violation> {
        let subject = harness.sign_up(&store, new_subject()?.as_str());
        raises += 1;
        for _ in 0..raises {
            works("raise_epoch", harness.wait(store.raise_epoch(&subject)))?;
        }
        Ok(Subject::new(subject))
    };
    let alice = sign_up()?;
    let bob = sign_up()?;
    let carol = sign_up()?;
    let owned = records::new_client(now().after(DAY))?.edit().owner(carol).build();
    let owned = works("building a client", owned)?;
    let plain = works("building a client", records::client(new_subject()?.as_str()))?;
    let of_owned = Draft { client: owned.id().clone(), ..Draft::new()?.of(&alice) };
    let of_plain = Draft { client: plain.id().clone(), in_use: true, ..Draft::new()?.of(&bob) };
    let without_client = Draft::new()?.of(&alice);
    let ids = [of_owned.id, of_plain.id, without_client.id, records::new_id()?];
    let clients = [owned.id().to_string(), plain.id().to_string(), records::new_id()?.to_string()];
    for write in [
        records::over(None, owned),
        records::over(None, plain),
        of_owned.over(None)?,
        of_plain.over(None)?,
        without_client.over(None)?,
    ] {
        let commit = harness.wait(commit(&store, &write))?;
        Law::Progress.holds(commit == Commit::Done, || format!("a new record: {commit:?}"))?;
    }
    let stranger = new_subject()?;
    let subjects = [None, Some(alice.as_str()), Some(bob.as_str()), Some(stranger.as_str())];
    for store in [&store, &harness.open()] {
        for keys in all_keys(&ids, &clients, &subjects) {
            harness.wait(is_loaded(store, &keys))?;
        }
        harness.wait(are_loaded(store, &ids))?;
    }
    Ok(())
}

/// Returns every combination of these names, with a balance and without.
fn all_keys<'k>(
    ids: &[GrantId],
    clients: &'k [String],
    subjects: &[Option<&'k str>],
) -> Vec<Keys<'k>> {
    let grants = ids.iter().copied().map(Some).chain([None]);
    let named = clients.iter().map(|id| ClientKey::named(id.as_str()));
    let clients: Vec<_> = named.chain([ClientKey::Unnamed]).collect();
    let mut all = Vec::new();
    for grant in grants {
        for client in &clients {
            for subject in subjects {
                for balance in [false, true] {
                    let client = client.clone();
                    let subject = subject.map(Into::into);
                    all.push(Keys { grant, client, subject, balance, ..Keys::default() });
                }
            }
        }
    }
    all
}

/// Checks one load, with its accounts and without.
async fn is_loaded<S: LoadsAccounts>(store: &S, keys: &Keys<'_>) -> Result<(), Violation> {
    let expected = read(store, keys).await?;
    let loaded = works("load", store.load(keys).await)?;
    let is_same = has_records_of(&loaded, &expected) && has_accounts_of(&loaded, &expected);
    Law::LoadsAccounts.holds(is_same, || {
        format!("{keys:?} loaded {loaded:?}; the single reads returned {expected:?}")
    })?;
    let mut inspected = Vec::new();
    let mut visit = |records: Records<'_>| inspected.push(copied(records));
    works("inspect", store.inspect(keys, &mut visit).await)?;
    let is_same = matches!(&*inspected, [only] if only.grant == expected.grant
        && only.client == expected.client
        && has_accounts_of(only, &expected));
    Law::LoadsAccounts.holds(is_same, || {
        format!("{keys:?} showed {inspected:?}; the single reads returned {expected:?}")
    })?;
    let skipping = Keys { skip_accounts: true, ..keys.clone() };
    let loaded = works("load", store.load(&skipping).await)?;
    Law::Loads.holds(has_records_of(&loaded, &expected), || {
        format!("{skipping:?} loaded {loaded:?}; the single reads returned {expected:?}")
    })
}

fn copied(records: Records<'_>) -> Loaded {
    let Records { grant, client, account, owner, balance } = records;
    let (grant, client) = (grant.cloned(), client.cloned());
    Loaded { grant, client, account, owner, balance, ..Loaded::default() }
}

/// Checks `load_grants` of these grants and of the first one again.
async fn are_loaded<S: LoadsAccounts>(store: &S, ids: &[GrantId]) -> Result<(), Violation> {
    let ids: Vec<_> = ids.iter().chain(ids.first()).copied().collect();
    let all = works("load_grants", store.load_grants(&ids).await)?;
    Law::Loads.holds(all.len() == ids.len(), || {
        format!("load_grants of {} grants returned {}", ids.len(), all.len())
    })?;
    for (id, loaded) in ids.iter().zip(&all) {
        let expected = read(store, &Keys::of_grant(*id)).await?;
        let is_same = has_records_of(loaded, &expected) && has_accounts_of(loaded, &expected);
        Law::LoadsAccounts.holds(is_same, || {
            format!("load_grants loaded {loaded:?}; the single reads returned {expected:?}")
        })?;
    }
    Ok(())
}

/// Returns what the single reads return.
async fn read<S: LoadsAccounts>(store: &S, keys: &Keys<'_>) -> Result<Loaded, Violation> {
    let mut loaded = works("a read", load_each(store, keys).await)?;
    works("account", loaded.fill_accounts(keys, store).await)?;
    Ok(loaded)
}

fn has_records_of(loaded: &Loaded, expected: &Loaded) -> bool {
    loaded.grant == expected.grant
        && loaded.client == expected.client
        && loaded.caller == expected.caller
}

fn has_accounts_of(loaded: &Loaded, expected: &Loaded) -> bool {
    loaded.account == expected.account
        && loaded.owner == expected.owner
        && loaded.balance == expected.balance
}

/// Checks that a raised epoch ends the user's grants at every handle of a server that takes its
/// accounts from the store ([`FromStore`]), and no other user's.
///
/// # Errors
/// The first [`Violation`].
pub fn a_raised_epoch_ends_the_users_grants<H: Harness<Store: LoadsAccounts>>(
    harness: &H,
) -> Result<(), Violation> {
    let client = client_on(harness)?;
    let host = Host::with_accounts(harness, 0, FromStore)?;
    let other = Host::with_accounts(harness, 0, FromStore)?;
    let alice = harness.sign_up(host.store(), new_subject()?.as_str());
    let bob = harness.sign_up(host.store(), new_subject()?.as_str());
    let tokens = [host.first_pair(&client, &alice)?, host.first_pair(&client, &bob)?];
    for host in [&host, &other] {
        for pair in &tokens {
            Law::LoadsAccounts.holds(host.works(&pair.access)?, || {
                "an access token of an active account does not work".to_owned()
            })?;
        }
    }
    if !works("raise_epoch", harness.wait(other.store().raise_epoch(&alice)))? {
        return Ok(());
    }
    let [alices, bobs] = &tokens;
    for host in [&host, &other] {
        host.all_dead(Law::Epoch, &client, &[alices], "the epoch of a user was raised")?;
    }
    let is_alive = host.works(&bobs.access)?
        && matches!(other.refresh(&client, &bobs.refresh)?, Answer::Tokens(_));
    Law::Epoch.holds(is_alive, || "raising one user's epoch ended another's grants".to_owned())
}
