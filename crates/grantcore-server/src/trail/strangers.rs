//! What strangers send, in bounds: the first events of each reason and minute are kept as they are,
//! so that a case is found by what its user can quote; what comes after them in that minute is
//! counted, and each count is one row.
//!
//! So strangers add at most [`ROWS_A_MINUTE`] rows a minute, however much they send, and those of
//! one reason hide none of another.

use std::collections::HashMap;

use grantcore::{CorrelationId, Event, EventKind, Reason, Timestamp};

use super::Entry;

/// How many events of one kind and reason are kept as they are in a minute.
const WHOLE_OF_A_REASON: u32 = 20;
/// How many events are kept as they are in a minute, of all reasons.
const WHOLE: u32 = 300;
/// How many rows strangers add in a minute at most: whole events, and one count for each reason.
#[cfg(test)]
pub(super) const ROWS_A_MINUTE: usize = WHOLE as usize + Reason::ALL.len();

/// The events of strangers in this minute.
#[derive(Default)]
pub(super) struct Strangers {
    minute: u64,
    whole: u32,
    reasons: HashMap<(EventKind, Option<Reason>), Tally>,
}

#[derive(Default)]
struct Tally {
    whole: u32,
    counted: u64,
    /// The public error code of those that were counted.
    error: Option<&'static str>,
    status: Option<u16>,
}

impl Strangers {
    /// Begins the minute of this time, and returns the counts of the one before if that is another.
    pub(super) fn begin(&mut self, at: Timestamp) -> Vec<Entry> {
        let minute = at.unix_seconds() / 60;
        // Calls that began in the minute before are recorded late, among those of this one: they
        // count here. Only a clock that was set back begins an earlier minute.
        if (minute..=minute + 1).contains(&self.minute) {
            return Vec::new();
        }
        let counts = self.take();
        *self = Self { minute, ..Self::default() };
        counts
    }

    /// Counts an event, and returns whether that is all that is kept of it.
    pub(super) fn counts(&mut self, event: &Event) -> bool {
        let tally = self.reasons.entry((event.kind, event.reason)).or_default();
        if tally.whole < WHOLE_OF_A_REASON && self.whole < WHOLE {
            tally.whole += 1;
            self.whole += 1;
            return false;
        }
        tally.counted += 1;
        tally.error = event.error();
        tally.status = event.sent.as_ref().map(|sent| sent.status);
        true
    }

    /// Takes the counts of this minute so far.
    pub(super) fn take(&mut self) -> Vec<Entry> {
        let minute = self.minute;
        let counted = self.reasons.iter_mut().filter(|(_, tally)| tally.counted > 0);
        counted.map(|((kind, reason), tally)| tally.take(*kind, *reason, minute)).collect()
    }
}

impl Tally {
    /// The row of a count, named like a request that there was not.
    fn take(&mut self, kind: EventKind, reason: Option<Reason>, minute: u64) -> Entry {
        let mut name = [0; 16];
        // Without randomness the row is named by what it counts.
        if getrandom::fill(&mut name).is_err() {
            name[..8].copy_from_slice(&minute.to_be_bytes());
        }
        Entry {
            at: minute * 60,
            correlation: CorrelationId::from_bytes(name).to_string(),
            kind: kind.name().to_owned(),
            reason: reason.map(|reason| reason.name().to_owned()),
            status: self.status,
            error: self.error.map(str::to_owned),
            count: std::mem::take(&mut self.counted),
            ..Entry::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    /// Calls that began before a minute's end and are recorded after it begin no minute anew, or
    /// each change between the two would let another 300 rows pass.
    #[test]
    fn i46_late_events_begin_no_minute_anew() {
        let mut strangers = Strangers::default();
        strangers.begin(at(6_000));
        strangers.whole = WHOLE;
        strangers.begin(at(5_999));
        assert_eq!((strangers.minute, strangers.whole), (100, WHOLE), "a late event");
        strangers.begin(at(6_060));
        assert_eq!((strangers.minute, strangers.whole), (101, 0), "the next minute");
        strangers.begin(at(120));
        assert_eq!(strangers.minute, 2, "a clock that was set back");
    }
}
