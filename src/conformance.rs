//! The laws of a store and of accounts, as tests that a host runs on its own.
//!
//! A [`Harness`] opens the store, and [`conformance!`](crate::conformance!) makes a test of each
//! law:
//!
//! ```
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/my_store.rs"));
//! // tests/store.rs
//! use grantcore::conformance::Blocking;
//!
//! // The function opens a handle of the same database, as another process would.
//! grantcore::conformance!([Blocking::new(|| MyStore::open(TEST_DATABASE))]);
//! ```
//!
//! The harness of an async store runs its futures as well:
//!
//! ```
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/my_store.rs"));
//! use grantcore::conformance::Async;
//! use grantcore::store::StoreAdministration;
//!
//! fn harness() -> Async<MyStore> {
//!     let runtime = tokio::runtime::Runtime::new().unwrap();
//!     Async::new(move |future| runtime.block_on(future), async || MyStore::open(TEST_DATABASE))
//!         .with_sweep(async |store, now, limit| {
//!             StoreAdministration::sweep(store, now, limit).await.unwrap()
//!         })
//! }
//!
//! grantcore::conformance!([harness()]);
//! ```
//!
//! A host with a runtime of another kind implements [`Harness`] itself.
//!
//! A store that must be swept is given a sweep function, or its harness overrides
//! [`Harness::sweep`].
//!
//! The brackets of the macro hold one or more harnesses: an array, or an `Option` where the
//! database may not be installed. A test that fails names the [`Law`] that was broken and what was
//! observed. All keys are random, so that tests can run at once in one database. Use a database of
//! its own: what the tests write remains, and sweeps drop every record that is due.
//!
//! # Accounts
//!
//! [`Accounts`](crate::Accounts) have laws of their own. An [`AccountsHarness`] opens and signs up
//! accounts; [`BlockingAccounts`] and [`AsyncAccounts`] are, and so is each [`Harness`] of a store
//! that [loads accounts](crate::LoadsAccounts):
//!
//! ```
//! # fn main() {}
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/my_store.rs"));
//! use grantcore::conformance::{Blocking, BlockingAccounts};
//!
//! mod users {
//!     use super::*;
//!     grantcore::accounts_conformance!([BlockingAccounts::new(|| Users::open(TEST_DATABASE))]);
//! }
//!
//! mod accounts_of_the_store {
//!     use super::*;
//!     // The laws of the joined load as well.
//!     grantcore::accounts_conformance!([Blocking::new(|| MyStore::open(TEST_DATABASE))], FromStore);
//! }
//! ```
//!
//! # Administration
//!
//! A store that implements [`StoreAdministration`](crate::store::StoreAdministration) has laws of
//! its own, which [`administration_conformance!`](crate::administration_conformance!) tests.
//!
//! # With a hook
//!
//! Some checks need more than a store, and are called by hand:
//!
//! - [`acknowledged_commits_survive`] kills the database again and again ([`Crash`]) and looks for
//!   all that it had acknowledged. For a database inside the process, let a child process [`work`],
//!   kill it, and [`verify`] its journal: `docs/stores.md` has the test.
//! - [`unknown_results_are_errors`] loses requests and answers on the way ([`Faults`]).
//!   [`histories_with_faults_are_linearizable`] does so while several handles read and write.
//! - [`damaged_records_are_errors`] reads a record that the host has damaged.
//!
//! Each check also runs against stores that are broken on purpose, and must find the fault. A check
//! that cannot fail does not belong here.

mod accounts;
mod administration;
mod assertion;
mod async_harness;
mod cancellation;
mod crash;
mod faults;
mod flows;
mod harness;
mod histories;
mod host;
mod index;
mod judge;
mod keys;
mod law;
mod life;
mod loads;
mod marks;
mod model;
mod names;
mod races;
mod records;
mod values;

pub use self::accounts::{
    AccountsHarness, BlockingAccounts, a_raised_epoch_is_read,
    accounts_are_the_same_at_every_handle, epochs_raised_at_once_all_count,
};
pub use self::administration::{a_client_is_added_once, a_client_put_again_revives_no_grant};
pub use self::assertion::AssertionRequest;
pub use self::async_harness::{Async, AsyncAccounts};
pub use self::cancellation::a_cancelled_call_leaves_all_or_nothing;
pub use self::crash::{Crash, Verdict, acknowledged_commits_survive, verify, work};
pub use self::faults::{
    Damaged, Fault, Faults, damaged_records_are_errors, unknown_results_are_errors,
};
pub use self::flows::{
    a_code_is_redeemed_once, a_consent_page_is_answered_once, a_refresh_token_has_one_successor,
    revoked_grants_stay_revoked,
};
pub use self::harness::{Blocking, Harness};
pub use self::histories::{histories_are_linearizable, histories_with_faults_are_linearizable};
pub use self::index::{grants_of_lists_every_grant, swept_grants_leave_the_list};
pub use self::law::{Law, Violation};
pub use self::life::{
    a_client_outlives_its_grants, a_recreated_record_rejects_old_versions,
    records_are_kept_until_drop_after,
};
pub use self::loads::{a_raised_epoch_ends_the_users_grants, accounts_are_loaded};
pub use self::marks::{
    a_mark_is_created_once, an_assertion_is_accepted_once, marks_are_kept_until_drop_after,
    one_of_many_creations_of_a_mark_is_done,
};
pub use self::model::the_store_behaves_like_a_map;
pub use self::names::load_returns_the_named_client_or_none;
pub use self::races::one_of_many_commits_over_a_version_is_done;
pub use self::values::values_of_any_kind_are_kept;

/// Makes one test of each law of a store, for each of these [`Harness`]es: see the
/// [module](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($harnesses:expr) => {
        $crate::conformance! { @ $harnesses =>
            the_store_behaves_like_a_map
            load_returns_the_named_client_or_none
            one_of_many_commits_over_a_version_is_done
            histories_are_linearizable
            a_cancelled_call_leaves_all_or_nothing
            values_of_any_kind_are_kept
            records_are_kept_until_drop_after
            a_recreated_record_rejects_old_versions
            a_client_outlives_its_grants
            grants_of_lists_every_grant
            swept_grants_leave_the_list
            a_code_is_redeemed_once
            a_refresh_token_has_one_successor
            revoked_grants_stay_revoked
            a_consent_page_is_answered_once
            a_mark_is_created_once
            one_of_many_creations_of_a_mark_is_done
            marks_are_kept_until_drop_after
            an_assertion_is_accepted_once
        }
    };
    (@ $harnesses:expr => $($law:ident)+) => {
        $(
            #[test]
            #[allow(for_loops_over_fallibles, reason = "there may be no harness: an Option")]
            fn $law() -> ::std::result::Result<(), $crate::conformance::Violation> {
                for harness in $harnesses {
                    $crate::conformance::$law(&harness)?;
                }
                ::std::result::Result::Ok(())
            }
        )+
    };
}

/// Makes one test of each law of
/// [`StoreAdministration`](crate::store::StoreAdministration), for each of these
/// [`Harness`](crate::conformance::Harness)es of a store that implements it.
#[macro_export]
macro_rules! administration_conformance {
    ($harnesses:expr) => {
        $crate::conformance! { @ $harnesses =>
            a_client_put_again_revives_no_grant
            a_client_is_added_once
        }
    };
}

/// Makes one test of each law of [`Accounts`](crate::Accounts), for each of these
/// [`AccountsHarness`](crate::conformance::AccountsHarness)es.
///
/// With `FromStore` as the second argument, the harnesses are those of stores that
/// [load accounts](crate::LoadsAccounts), and the laws of their loads are tested as well.
#[macro_export]
macro_rules! accounts_conformance {
    ($harnesses:expr) => {
        $crate::conformance! { @ $harnesses =>
            accounts_are_the_same_at_every_handle
            a_raised_epoch_is_read
            epochs_raised_at_once_all_count
        }
    };
    ($harnesses:expr, FromStore) => {
        $crate::conformance! { @ $harnesses =>
            accounts_are_the_same_at_every_handle
            a_raised_epoch_is_read
            epochs_raised_at_once_all_count
            accounts_are_loaded
            a_raised_epoch_ends_the_users_grants
        }
    };
}
