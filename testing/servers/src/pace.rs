//! How fast workers go while their database is made to fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The pause before each call while a crash takes its time. At full speed the workers would only
/// write more of the same, and all of it is looked for at the end.
const PAUSE: Duration = Duration::from_millis(3);

/// The pace of workers: as fast as they can, but slowly while a crash takes its time.
#[derive(Debug, Default)]
pub struct Pace(AtomicBool);

impl Pace {
    /// Slows the workers down until this has ended.
    pub fn slow<T>(&self, crash: impl FnOnce() -> T) -> T {
        self.0.store(true, Ordering::SeqCst);
        let crashed = crash();
        self.0.store(false, Ordering::SeqCst);
        crashed
    }

    /// Waits for a moment if the workers are to be slow. A worker calls it before each call of its
    /// store.
    pub fn keep(&self) {
        if self.0.load(Ordering::SeqCst) {
            sleep(PAUSE);
        }
    }
}
