//! What an operator does with a client brings back neither ended grants nor a deactivated client.

use super::harness::Harness;
use super::host::{Host, Pair};
use super::keys::commit;
use super::law::works;
use super::records::{client, new_id, new_subject};
use super::{Law, Violation};
use crate::client::Client;
use crate::record::{Commit, Stored, Write};
use crate::store::{Store as _, StoreAdministration};

/// Checks that [`put_client`](StoreAdministration::put_client) writes the client, and never lowers
/// its epoch: the grants that were ended with the client's epoch stay ended. A higher epoch is
/// written, and ends the grants.
///
/// # Errors
/// The first [`Violation`].
pub fn a_client_put_again_revives_no_grant<H: Harness<Store: StoreAdministration>>(
    harness: &H,
) -> Result<(), Violation> {
    let id = format!("conformance-{}", new_id()?);
    let host = Host::open(harness, 0)?;
    let store = harness.open();
    let put = |client| works("put_client", harness.wait(store.put_client(client)));
    let built = || works("building a client", client(&id));
    put(built()?)?;
    let old = host.first_pair(&id, new_subject()?.as_str())?;

    let raised = Client::clone(&stored(harness, &store, &id)?.record).with_grants_ended();
    let write = Write::client(Some(&stored(harness, &store, &id)?), raised.clone());
    let result = harness.wait(commit(host.store(), &write))?;
    Law::Progress.holds(result == Commit::Done, || {
        format!("a commit over the stored client returned {result:?}")
    })?;
    ended(&host, &id, &[&old], "the client's epoch was raised")?;

    let named = works("building a client", built()?.edit().name("Another").build())?;
    put(named.clone())?;
    let found = stored(harness, &store, &id)?.record;
    Law::NoRevival.holds(found.epoch() == raised.epoch(), || {
        format!("put_client over epoch {} stored epoch {}", raised.epoch(), found.epoch())
    })?;
    Law::Faithful.holds(*found == named.in_epoch(raised.epoch()), || {
        format!("put_client wrote another client: {found:?} is stored")
    })?;
    ended(&host, &id, &[&old], "the client was put again")?;

    let new = host.first_pair(&id, new_subject()?.as_str())?;
    put(raised.with_grants_ended())?;
    ended(&host, &id, &[&old, &new], "the client was put with a higher epoch")
}

/// Checks that [`add_client`](StoreAdministration::add_client) writes a new client and returns
/// `true`, and that it keeps a client that exists, also a deactivated one, and returns `false`.
///
/// # Errors
/// The first [`Violation`].
pub fn a_client_is_added_once<H: Harness<Store: StoreAdministration>>(
    harness: &H,
) -> Result<(), Violation> {
    let id = format!("conformance-{}", new_id()?);
    let store = harness.open();
    let other = harness.open();
    let built = works("building a client", client(&id))?;
    let added = works("add_client", harness.wait(store.add_client(built.clone())))?;
    let first = stored(harness, &other, &id)?;
    Law::AddedOnce.holds(added && *first.record == built, || {
        format!("add_client of a new client returned {added}, and {first:?} is stored")
    })?;
    let write = Write::client(Some(&first), built.clone().deactivated());
    let result = harness.wait(commit(&store, &write))?;
    Law::Progress.holds(result == Commit::Done, || {
        format!("a commit over the stored client returned {result:?}")
    })?;
    let before = stored(harness, &other, &id)?;
    let added = works("add_client", harness.wait(other.add_client(built)))?;
    let after = stored(harness, &store, &id)?;
    Law::AddedOnce.holds(!added && after == before, || {
        format!("add_client over {before:?} returned {added}, and {after:?} is stored")
    })
}

fn ended<H: Harness>(
    host: &Host<'_, H>,
    id: &str,
    pairs: &[&Pair],
    why: &str,
) -> Result<(), Violation> {
    host.all_dead(Law::NoRevival, id, pairs, why)
}

fn stored<H: Harness>(
    harness: &H,
    store: &H::Store,
    id: &str,
) -> Result<Stored<Client>, Violation> {
    let found = works("a read", harness.wait(store.client(id)))?;
    found.ok_or_else(|| Law::Faithful.broken(format_args!("the client {id} is not stored")))
}
