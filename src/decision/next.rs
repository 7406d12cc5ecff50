//! How a request goes on that was not settled.

use crate::moment::{Mark, Moment, Timestamp};
use crate::outside::{Answers, Need};
use crate::seen::Seen;
use crate::value::seen_key::SeenKey;

/// The reason why a request must be decided again, and the records for it. A host that drives by
/// hand passes it to [`Moment::after`].
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a host that drives by hand must know each")]
pub enum Next {
    /// The main write conflicted: another request has changed the record. Load the records again.
    Lost,
    /// A preliminary write was tried. Load the records again.
    Prepared,
    /// The creation of this mark conflicted. Read the mark by
    /// [`Store::seen`](crate::Store::seen), and go on with [`found`](Self::found).
    Met(Box<Seen>),
    /// The mark was created, or found and judged. Keep the loaded records: the request is
    /// decided again on them.
    Marked(Marked),
    /// The host must answer this. Load the records again, with the
    /// [answer](super::Loaded::answers).
    Need(Box<Need>),
}

/// The result of creating a mark.
#[derive(Clone, Copy, Debug)]
pub struct Marked {
    key: SeenKey,
    mark: Mark,
}

impl Marked {
    /// Returns whether the mark is this request's own.
    pub(crate) fn is_own(&self) -> bool {
        self.mark == Mark::Own
    }
}

impl Next {
    /// Returns the way after the creation of a mark.
    pub(super) fn created(seen: &Seen) -> Self {
        Self::Marked(Marked { key: *seen.key(), mark: Mark::Own })
    }

    /// Judges a mark that was met, by what [`Store::seen`](crate::Store::seen) returned: an own
    /// mark goes on, another request's refuses. Anything else stays as it is.
    pub fn found(self, found: Option<&Seen>) -> Self {
        let Self::Met(own) = self else { return self };
        // A store that returned another mark has not found this one.
        let mark = match found.filter(|found| found.key() == own.key()) {
            Some(found) if found.by() == own.by() => Mark::Own,
            Some(found) => Mark::Other { first: found.by() },
            None => Mark::Missing(1),
        };
        Self::Marked(Marked { key: *own.key(), mark })
    }

    /// Returns whether the request is decided again on the records that were loaded, instead of
    /// loading them again.
    pub fn keeps_records(&self) -> bool {
        matches!(self, Self::Marked(_))
    }
}

impl Moment {
    /// Makes the moment of the request's next decision, with the same entropy. `now` is a new
    /// reading of the clock.
    ///
    /// After a mark, the records that were loaded are decided on at the time of their load: a slow
    /// mark does not change how the rest of the request is judged. The new reading is for the times
    /// of the assertion.
    pub fn after(mut self, next: &Next, now: Timestamp) -> Self {
        self.go_on(next, now);
        self
    }

    /// Makes the same moment after the host has answered: an account that it has found is loaded
    /// for the next decision.
    pub fn answered(mut self, answers: &Answers) -> Self {
        self.note_answers(answers);
        self
    }

    pub(crate) fn note_answers(&mut self, answers: &Answers) {
        self.link(answers.found_account().cloned());
    }

    /// Changes this moment into that of the request's next decision.
    pub(crate) fn go_on(&mut self, next: &Next, now: Timestamp) {
        match next {
            Next::Lost => {
                self.now = now;
                self.is_retry = true;
            }
            Next::Prepared => {
                self.now = now;
                self.has_prepared = true;
            }
            Next::Need(_) => self.now = now,
            Next::Marked(Marked { key, mark }) => self.note_mark(*key, *mark, now),
            // Nobody looked for it: it counts as not found.
            Next::Met(own) => self.note_mark(*own.key(), Mark::Missing(1), now),
        }
    }
}
