//! The single use of an assertion: a decision that rests on one waits for its mark.

use super::{Decision, Loaded};
use crate::moment::{Mark, Moment, Timestamp};
use crate::reason::{Endpoint, Reason};
use crate::seen::Seen;
use crate::value::seen_key::{AssertionUse, SeenKey};

/// An assertion that has passed every check, and may be used once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SingleUse {
    key: SeenKey,
    /// From when it is refused as expired, its leeway included.
    end: Timestamp,
    /// Why it is refused if it was used before.
    replayed: Reason,
}

impl SingleUse {
    /// Names the single use of an assertion. `party` is who speaks in it: a client for itself, or
    /// a trusted issuer. `end` is its `exp` with the leeway.
    pub(crate) fn new(
        issuer: &str,
        used_for: AssertionUse,
        party: &str,
        jti: &str,
        end: Timestamp,
        replayed: Reason,
    ) -> Self {
        Self { key: SeenKey::of(issuer, used_for, party, jti), end, replayed }
    }
}

impl SingleUse {
    /// Returns whether this request has made the mark.
    pub(crate) fn is_own(&self, moment: &Moment) -> bool {
        moment.mark(&self.key) == Mark::Own
    }
}

impl<T> Decision<T> {
    /// Makes the decision wait for the mark of an assertion. The decision was made as if the mark
    /// existed.
    ///
    /// - The mark is this request's: the decision stays.
    /// - The mark does not exist yet: the decision stays if it asks the host or refuses for now, so
    ///   that the client can come again with the same assertion (SEEN-07). Otherwise the mark is
    ///   created, after which the same is decided again. So a refusal uses the assertion up as
    ///   well: an assertion cannot be tried twice (SEEN-06).
    /// - The mark is another request's: the assertion was used before.
    ///
    /// A request with two assertions waits for the grant's mark first, and then for the client's:
    /// the mark that is waited for last is made first (SEEN-15).
    pub(crate) fn wait_for_mark(
        &mut self,
        single_use: &SingleUse,
        endpoint: Endpoint,
        loaded: &Loaded,
        moment: &Moment,
    ) {
        let refuse = |reason| Self::refuse(reason, endpoint, loaded, moment);
        match moment.mark(&single_use.key) {
            Mark::Own => {}
            Mark::Pending | Mark::Missing(_) if self.precedes_marks() => {}
            Mark::Pending | Mark::Missing(_) => {
                let by = moment.entropy.correlation();
                let seen = Seen::new(single_use.key, by, single_use.end);
                *self = Self::mark(seen, endpoint, loaded, moment);
            }
            Mark::Other { first } => *self = refuse(single_use.replayed).replaying(first),
            // The store drops marks, or cannot read them: nothing is accepted that might have been
            // used before.
            Mark::Unusable => *self = refuse(Reason::Contended),
        }
    }
}
