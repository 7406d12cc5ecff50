//! The driver. It executes the steps of a request: load, decide, commit, record. It repeats them
//! after a conflict, until the request is settled. It knows no operation and no protocol.
//!
//! [`call`] is the step machine that names the next step. The loop here executes it.

pub(crate) mod call;
pub(crate) mod guard;

use std::sync::OnceLock;

use self::call::{Call, Step};
use self::guard::{Host, Unguarded};
use crate::audit::AuditLog;
use crate::decision::{Loaded, Operation, Settled};
use crate::keys::{GrantList, Keys};
use crate::moment::{Clock, Entropy};
use crate::outside::AskOutside;
use crate::policy::Policy;
use crate::store::{AccountSource, Failure, FailureCause, Store};

/// Runs one operation against a store.
///
/// It records no event: the host records the event of the result. It has no
/// [outside](crate::Outside): a request that needs something from there is refused. If the host
/// stops before it has recorded the event, or drops the future during a commit, a durable write has
/// no audit event. [`Server`](crate::Server) records every step.
///
/// # Errors
/// [`Failure`] at the first failure of the store or the accounts. It is not retried: a commit that
/// failed may have been durable.
pub async fn drive<O: Operation, S: Store, A: AccountSource<S>>(
    operation: &O,
    store: &S,
    accounts: &A,
    policy: &Policy,
    clock: &(impl Clock + ?Sized),
    entropy: Entropy,
) -> Result<Settled<O::Response>, Failure<S::Error>> {
    let host = Unguarded { policy, clock, keys: OnceLock::new() };
    let mut call = Call::new(operation, &host, entropy);
    run(&mut call, store, accounts, &(), &()).await;
    call.settled()
}

/// Loads the records and the accounts of an attempt into their place.
pub(crate) async fn load<'p, S: Store, A: AccountSource<S>>(
    store: &S,
    accounts: &A,
    keys: &Keys<'_>,
    place: &'p mut Option<Loaded>,
) -> Result<&'p mut Loaded, FailureCause<S::Error>> {
    if keys.is_empty() {
        return Ok(place.insert(Loaded::default()));
    }
    let place = match store.load(keys).await {
        Ok(loaded) => place.insert(loaded),
        Err(error) => return Err(FailureCause::Store(error)),
    };
    accounts.complete(store, keys, place).await?;
    match place.fill_remembered(keys, store).await {
        Ok(()) => Ok(place),
        Err(error) => Err(FailureCause::Store(error)),
    }
}

/// Lists grants of a user if they are not named, and loads each with its client and account.
async fn load_list<'p, S: Store, A: AccountSource<S>>(
    store: &S,
    accounts: &A,
    list: &GrantList<'_>,
    place: &'p mut Option<Loaded>,
) -> Result<&'p mut Loaded, FailureCause<S::Error>> {
    let ids = match *list {
        GrantList::Page { subject, after, limit } => {
            store.grants_of(subject, after, limit).await.map_err(FailureCause::Store)?
        }
        GrantList::Ids(ids) => ids.to_vec(),
    };
    let grants = store.load_grants(&ids).await.map_err(FailureCause::Store)?;
    let list = ids.into_iter().zip(grants).collect();
    let place = place.insert(Loaded { list, ..Loaded::default() });
    for (id, grant) in &mut place.list {
        accounts.complete(store, &Keys::of_grant(*id), grant).await?;
    }
    Ok(place)
}

/// Executes the steps that the call needs, until it is finished. The call keeps which step has
/// begun. If this future is dropped at an `await`, the call is dropped with it, and reports a step
/// that may be durable. It is passed by reference, because a move would cost more than the guard;
/// the caller then takes its outcome.
pub(crate) async fn run<O: Operation, S: Store, A: AccountSource<S>, L: AuditLog, H: Host>(
    call: &mut Call<'_, O, H, S::Error>,
    store: &S,
    accounts: &A,
    log: &L,
    outside: &dyn AskOutside,
) {
    let mut reservation = L::Reservation::default();
    // The records of the present attempt. They are filled in and decided on where they are: each
    // move of them takes 40 instructions, and to drop those of no attempt 50.
    let mut loaded = None;
    loop {
        match call.step() {
            Step::Load(mut keys) => {
                keys.skip_accounts = !A::IN_STORE;
                let read = load(store, accounts, &keys, &mut loaded).await;
                drop(keys);
                call.loaded(read);
            }
            Step::List(list) => {
                let read = load_list(store, accounts, &list, &mut loaded).await;
                call.loaded(read);
            }
            Step::Decide => call.decide_on(loaded.get_or_insert_default()),
            Step::Reserve(event) => {
                let reserved = log.reserve(event).await;
                call.reserved(reserved.map(|reserved| reservation = reserved));
            }
            Step::Commit(write) => {
                let committed = store.commit(write).await;
                call.committed(committed);
            }
            Step::Find(key) => {
                let found = store.seen(key).await;
                call.found(found);
            }
            Step::Ask(need) => {
                let asked = outside.ask(need.clone()).await;
                call.answered(asked);
            }
            Step::Record(event) => {
                let recorded = log.record(event, std::mem::take(&mut reservation)).await;
                call.recorded(recorded);
            }
            Step::Nothing => {}
        }
        if call.is_done() {
            return;
        }
    }
}
