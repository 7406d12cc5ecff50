//! The time in which two secrets of a client are accepted.

use std::time::Duration;

/// The time for which a secret is accepted after it was replaced: whole seconds, at most 30 days.
/// Default: 24 hours.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::value::Overlap;
///
/// assert_eq!(Overlap::default().duration(), Duration::from_secs(24 * 3600));
/// assert_eq!(Overlap::new(Duration::from_secs(31 * 24 * 3600)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Overlap(Duration);

impl Overlap {
    /// The replaced secret ends at once: after a leak.
    pub const NONE: Self = Self(Duration::ZERO);
    /// 30 days.
    pub const LONGEST: Self = Self(Duration::from_secs(30 * 24 * 3600));

    /// Returns the overlap, or `None` if it is longer than [`LONGEST`](Self::LONGEST) or no whole
    /// number of seconds.
    pub fn new(overlap: Duration) -> Option<Self> {
        let is_whole = overlap.subsec_nanos() == 0;
        (is_whole && overlap <= Self::LONGEST.0).then_some(Self(overlap))
    }

    /// Returns its duration.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for Overlap {
    fn default() -> Self {
        Self(Duration::from_secs(24 * 3600))
    }
}
