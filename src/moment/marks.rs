//! What a request knows of the marks of its assertions.

use super::{CorrelationId, Moment, Timestamp};
use crate::value::seen_key::SeenKey;

/// The assertions of one request: at most the client's and the grant's (SEEN-15).
const MARKS: usize = 2;

/// How often a mark is created that conflicts and is then not found (the mark's table in
/// docs/decisions.md).
const CREATIONS: u8 = 2;

/// The marks that a request has tried to create.
#[derive(Debug)]
pub(crate) struct Marks {
    known: Vec<(SeenKey, Mark)>,
    /// The time for the assertions: the clock was read again after the last creation. The grant is
    /// still decided by [`Moment::now`], which belongs to its load.
    now: Timestamp,
}

/// What is known of the mark of an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// This request has not created it yet.
    Pending,
    /// This request has created it.
    Own,
    /// Another request has created it. The assertion was used before.
    Other {
        /// The id of that request.
        first: CorrelationId,
    },
    /// Its creation conflicts, and it is not found: the store drops marks, or cannot read them.
    /// Or the request would make more marks than it may.
    Unusable,
    /// Its creation conflicted, and it was not found afterwards.
    Missing(u8),
}

impl Moment {
    /// Returns what is known of the mark of this key.
    pub(crate) fn mark(&self, key: &SeenKey) -> Mark {
        let Some(marks) = &self.marks else { return Mark::Pending };
        match marks.find(key) {
            Some(Mark::Missing(creations)) if creations >= CREATIONS => Mark::Unusable,
            Some(Mark::Missing(_)) => Mark::Pending,
            Some(mark) => mark,
            None if marks.known.len() >= MARKS => Mark::Unusable,
            None => Mark::Pending,
        }
    }

    /// Returns the time for the checks of assertions: a mark may have taken its time, and the
    /// assertion have ended meanwhile. Everything else is decided at [`Moment::now`].
    pub(crate) fn assertion_now(&self) -> Timestamp {
        self.marks.as_ref().map_or(self.now, |marks| marks.now.max(self.now))
    }

    /// Returns whether the request has created a mark.
    pub(crate) fn has_mark(&self) -> bool {
        let own = |(_, mark): &(SeenKey, Mark)| *mark == Mark::Own;
        self.marks.as_ref().is_some_and(|marks| marks.known.iter().any(own))
    }

    /// Notes the result of a creation. The clock of everything but the assertions stays.
    pub(crate) fn note_mark(&mut self, key: SeenKey, mark: Mark, now: Timestamp) {
        let marks = self.marks.get_or_insert_with(|| Box::new(Marks { known: Vec::new(), now }));
        marks.now = now;
        let again = match (mark, marks.find(&key)) {
            (Mark::Missing(_), Some(Mark::Missing(creations))) => Mark::Missing(creations + 1),
            (mark, _) => mark,
        };
        marks.known.retain(|(own, _)| *own != key);
        marks.known.push((key, again));
    }
}

impl Marks {
    fn find(&self, key: &SeenKey) -> Option<Mark> {
        self.known.iter().find(|(own, _)| own == key).map(|(_, mark)| *mark)
    }
}
