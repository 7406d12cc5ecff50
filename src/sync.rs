//! The locks of the crate: those of the standard library.
//!
//! With `--cfg grantcore_schedules`, the crate's own tests use the locks of `shuttle` instead, and
//! run in every order in which threads can take the locks: `just schedules`.

#[cfg(not(all(test, grantcore_schedules)))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

#[cfg(all(test, grantcore_schedules))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(all(test, grantcore_schedules))]
pub(crate) use std::sync::PoisonError;

#[cfg(all(test, grantcore_schedules))]
pub(crate) mod schedules {
    //! The search through schedules.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The number of schedules after which a search ends. Most searches are complete before.
    const LIMIT: usize = 50_000;

    /// The number of schedules that were run, and of those with a wrong result.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Found {
        pub(crate) schedules: usize,
        pub(crate) wrong: usize,
    }

    impl Found {
        /// Asserts that no schedule is wrong, and that there was a choice.
        #[track_caller]
        pub(crate) fn assert_none_wrong(self) {
            println!("{} schedules", self.schedules);
            assert!(self.wrong == 0 && self.schedules >= 6, "{self:?}");
        }

        /// Asserts that the planted race was found.
        #[track_caller]
        pub(crate) fn assert_found(self) {
            println!("{} of {} schedules", self.wrong, self.schedules);
            assert!(self.wrong > 0 && self.wrong < self.schedules, "{self:?}");
        }
    }

    /// Runs threads on a new value in every schedule, and judges what they return.
    pub(crate) fn explore<S, T>(
        new: impl Fn() -> S + Send + Sync + 'static,
        threads: Vec<fn(&S) -> T>,
        is_right: impl Fn(&S, Vec<T>) -> bool + Send + Sync + 'static,
    ) -> Found
    where
        S: Send + Sync + 'static,
        T: Send + 'static,
    {
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let own = Arc::clone(&counts);
        let run = move || {
            let shared = Arc::new(new());
            let running = threads.iter().map(|thread| {
                let (thread, shared) = (*thread, Arc::clone(&shared));
                shuttle::thread::spawn(move || thread(&shared))
            });
            let running: Vec<_> = running.collect();
            let results = running.into_iter().map(|own| own.join().unwrap()).collect();
            own[0].fetch_add(1, Ordering::Relaxed);
            own[1].fetch_add(usize::from(!is_right(&shared, results)), Ordering::Relaxed);
        };
        shuttle::check_dfs(run, Some(LIMIT));
        let [schedules, wrong] = [0, 1].map(|at: usize| counts[at].load(Ordering::Relaxed));
        Found { schedules, wrong }
    }
}
