//! The laws of a store, as tests that a host runs on its own.
//!
//! A store of your own goes into a [`Harness`], and [`conformance!`](crate::conformance!) makes a
//! test of each law of it:
//!
//! ```no_run
//! # use grantcore::MemoryStore as MyStore;
//! # mod tests {
//! # use grantcore::MemoryStore as MyStore;
//! use grantcore::conformance::Blocking;
//!
//! // tests/store.rs; each store that is opened is another handle of the same database, as another process would have it.
//! grantcore::conformance!([Blocking::new(|| MyStore::default())]);
//! # }
//! ```
//!
//! A store that is awaited brings the way to await it:
//!
//! ```
//! # use std::future::Future;
//! # use grantcore::MemoryStore as MyStore;
//! use grantcore::conformance::Harness;
//!
//! struct Mine(tokio::runtime::Runtime, /* the database's address */ String);
//!
//! impl Harness for Mine {
//!     type Store = MyStore;
//!
//!     fn open(&self) -> MyStore {
//!         self.wait(async { MyStore::default() }) // MyStore::connect(&self.1).await.unwrap()
//!     }
//!
//!     fn wait<F: Future>(&self, future: F) -> F::Output {
//!         self.0.block_on(future)
//!     }
//! }
//! ```
//!
//! A store that knows which accounts there are, and says of strangers that they have none, makes
//! them in [`Harness::sign_up`].
//!
//! What is between the brackets of `conformance!` is run one after the other: an array of
//! harnesses, or an `Option` where the database may not be installed. A test that fails names the
//! [`Law`] that was broken and says what was seen. All keys are random, so tests may run at once in
//! one database; but take one that is there for nothing else: what is written stays, and sweeps are
//! of all there is.
//!
//! # With a hook
//!
//! Some checks need more than a store, and are called by hand:
//!
//! - [`acknowledged_commits_survive`] kills the database again and again ([`Crash`]) and looks for
//!   what it had acknowledged. For a database inside the process, have a child process [`work`] and
//!   kill that; then [`verify`] what it wrote down.
//! - [`doubt_is_an_error`] loses requests and answers on the way ([`Faults`]), where a store must
//!   never say what it does not know; [`histories_with_faults_are_linearizable`] does while several
//!   are at it.
//! - [`damage_is_an_error`] looks at a record that you have damaged.
//!
//! What lives here: the checks. What never does: a check that cannot fail. Each is run against
//! stores that are broken on purpose, and must find them.

mod cancellation;
mod crash;
mod faults;
mod flows;
mod harness;
mod histories;
mod index;
mod judge;
mod keys;
mod law;
mod life;
mod model;
mod names;
mod races;
mod records;
mod values;

pub use self::cancellation::a_dropped_future_leaves_all_or_nothing;
pub use self::crash::{Crash, Verdict, acknowledged_commits_survive, verify, work};
pub use self::faults::{Damaged, Fault, Faults, damage_is_an_error, doubt_is_an_error};
pub use self::flows::{
    approve_or_deny, one_code_is_redeemed_once, one_refresh_token_has_one_successor,
    revoked_stays_revoked,
};
pub use self::harness::{Awaited, Blocking, Harness};
pub use self::histories::{histories_are_linearizable, histories_with_faults_are_linearizable};
pub use self::index::{a_raised_epoch_is_read, the_grants_of_a_user_are_found};
pub use self::law::{Law, Violation};
pub use self::life::{
    a_client_outlives_its_grants, a_key_that_comes_back_is_another_record, nothing_is_dropped_early,
};
pub use self::model::the_store_is_a_map;
pub use self::names::a_named_client_is_that_one_or_none;
pub use self::races::of_many_commits_on_one_version_one_wins;
pub use self::values::values_of_any_kind_come_back;

/// One test for each law, run on each of these harnesses: see the [module](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($harnesses:expr) => {
        $crate::conformance! { @ $harnesses =>
            the_store_is_a_map
            a_named_client_is_that_one_or_none
            of_many_commits_on_one_version_one_wins
            histories_are_linearizable
            a_dropped_future_leaves_all_or_nothing
            values_of_any_kind_come_back
            nothing_is_dropped_early
            a_key_that_comes_back_is_another_record
            a_client_outlives_its_grants
            the_grants_of_a_user_are_found
            a_raised_epoch_is_read
            one_code_is_redeemed_once
            one_refresh_token_has_one_successor
            revoked_stays_revoked
            approve_or_deny
        }
    };
    (@ $harnesses:expr => $($law:ident)+) => {
        $(
            #[test]
            #[allow(for_loops_over_fallibles, reason = "an Option is one way to say that there may be none")]
            fn $law() -> ::std::result::Result<(), $crate::conformance::Violation> {
                for harness in $harnesses {
                    $crate::conformance::$law(&harness)?;
                }
                ::std::result::Result::Ok(())
            }
        )+
    };
}
