//! The bound of unattributed events: those that belong to no flow, no authenticated client and not
//! to the operator. Anybody can cause them.
//!
//! The first events of each reason and minute are stored, so that support finds a case by what its
//! user can quote. Further events of that minute are counted, and each count is one row. So these
//! events add at most [`ROWS_A_MINUTE`] rows a minute, and a flood of one reason does not hide the
//! events of another.

use std::collections::HashMap;

use grantcore::event::EventKind;
use grantcore::moment::CorrelationId;
use grantcore::{Event, Reason, Timestamp};

use super::Entry;

/// How many events of one kind and reason are stored in a minute.
const WHOLE_OF_A_REASON: u32 = 20;
/// How many events of all kinds and reasons are stored in a minute.
const WHOLE: u32 = 300;
/// The largest number of rows in a minute: stored events, and one count for each reason.
#[cfg(test)]
pub(super) const ROWS_A_MINUTE: usize = WHOLE as usize + Reason::ALL.len();

/// The unattributed events of this minute.
#[derive(Default)]
pub(super) struct Unattributed {
    minute: u64,
    whole: u32,
    reasons: HashMap<(EventKind, Option<Reason>), Tally>,
}

#[derive(Default)]
struct Tally {
    whole: u32,
    counted: u64,
    /// The public error code of the counted events.
    error: Option<&'static str>,
    status: Option<u16>,
}

impl Unattributed {
    /// Begins the minute of this time. If it is a new minute, returns the counts of the previous
    /// one.
    pub(super) fn begin(&mut self, at: Timestamp) -> Vec<Entry> {
        let minute = at.unix_seconds() / 60;
        // A call that began in the previous minute may be recorded in this one, and counts here.
        // Only a clock that was set back begins an earlier minute.
        if (minute..=minute + 1).contains(&self.minute) {
            return Vec::new();
        }
        let counts = self.take();
        *self = Self { minute, ..Self::default() };
        counts
    }

    /// Returns whether an event is beyond the limits, and counts it in that case.
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
    /// Returns the row of a count. Its correlation id belongs to no request.
    fn take(&mut self, kind: EventKind, reason: Option<Reason>, minute: u64) -> Entry {
        let mut name = [0; 16];
        // Without randomness, the id is the minute.
        if getrandom::fill(&mut name).is_err() {
            name[..8].copy_from_slice(&minute.to_be_bytes());
        }
        Entry {
            at: minute * 60,
            correlation: CorrelationId::from_bytes(name).to_string(),
            kind: kind.name().into(),
            reason: reason.map(|reason| reason.name().into()),
            status: self.status,
            error: self.error.map(Into::into),
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

    /// An event that is recorded after the end of its minute does not begin that minute again.
    /// Otherwise each change between the two minutes would admit another 300 rows.
    #[test]
    fn i46_a_late_event_does_not_begin_its_minute_again() {
        let mut events = Unattributed::default();
        events.begin(at(6_000));
        events.whole = WHOLE;
        events.begin(at(5_999));
        assert_eq!((events.minute, events.whole), (100, WHOLE), "a late event");
        events.begin(at(6_060));
        assert_eq!((events.minute, events.whole), (101, 0), "the next minute");
        events.begin(at(120));
        assert_eq!(events.minute, 2, "a clock that was set back");
    }
}
