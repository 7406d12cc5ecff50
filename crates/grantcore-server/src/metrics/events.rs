//! The events of the library, as counters, and the consent pages that wait for an answer.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::metrics::{Counter, Gauge};
use grantcore::event::{EventClass, EventKind};
use grantcore::value::GrantId;
use grantcore::{Event, Reason, Timestamp};

use super::{Register, count};

/// How many consent pages are remembered. The oldest is forgotten for a further one.
const PENDING_LIMIT: usize = 65_536;

/// The kinds of events that end something.
const REVOCATIONS: [EventKind; 6] = [
    EventKind::GrantRevoked,
    EventKind::TokenRevoked,
    EventKind::ClientDeleted,
    EventKind::ClientDeactivated,
    EventKind::ClientGrantsEnded,
    EventKind::AccountGrantsEnded,
];

/// The metrics of events.
pub(super) struct EventMetrics {
    kinds: HashMap<(&'static str, &'static str), Counter>,
    refusals: HashMap<&'static str, Counter>,
    revocations: HashMap<&'static str, Counter>,
    code_refused: Counter,
    refresh_refused: Counter,
    refresh_repeated: Counter,
    pending: Mutex<Pending>,
    pending_gauge: Gauge,
    lifetime: Duration,
}

/// The consent pages that were shown and not answered.
#[derive(Default)]
struct Pending {
    /// The number of each page.
    pages: HashMap<GrantId, u64>,
    /// The pages in the order in which they were shown, also those that were answered since.
    shown: VecDeque<(u64, GrantId, Timestamp)>,
    next: u64,
}

impl EventMetrics {
    pub(super) fn new(register: &Register, lifetime: Duration) -> Self {
        let mut kinds = HashMap::new();
        for kind in EventKind::ALL.iter().map(|kind| kind.name()) {
            for class in EventClass::ALL.iter().map(|class| class.name()) {
                let labels = [("kind", kind), ("class", class)];
                let counter = register.counter("grantcore_events_total", &labels);
                kinds.insert((kind, class), counter);
            }
        }
        let refusal = |reason: &Reason| {
            let labels = [("reason", reason.name())];
            (reason.name(), register.counter("grantcore_refusals_total", &labels))
        };
        let revocation = |kind: EventKind| {
            let labels = [("kind", kind.name())];
            (kind.name(), register.counter("grantcore_revocations_total", &labels))
        };
        let replays = |credential, outcome| {
            let labels = [("credential", credential), ("outcome", outcome)];
            register.counter("grantcore_replays_total", &labels)
        };
        Self {
            kinds,
            refusals: Reason::ALL.iter().map(refusal).collect(),
            revocations: REVOCATIONS.map(revocation).into(),
            code_refused: replays("code", "refused"),
            refresh_refused: replays("refresh_token", "refused"),
            refresh_repeated: replays("refresh_token", "repeated"),
            pending: Mutex::default(),
            pending_gauge: register.gauge("grantcore_consents_pending", &[]),
            lifetime,
        }
    }

    pub(super) fn observe(&self, event: &Event) {
        let kind = event.kind.name();
        if let Some(counter) = self.kinds.get(&(kind, event.class().name())) {
            counter.increment(1);
        }
        if let Some(counter) = self.revocations.get(kind) {
            counter.increment(1);
        }
        match event.kind {
            EventKind::Refused => self.refused(event),
            EventKind::RefreshReplayedInWindow => self.refresh_repeated.increment(1),
            EventKind::ConsentShown => self.shown(event),
            EventKind::ConsentApproved => self.answered(event),
            _ => {}
        }
    }

    fn refused(&self, event: &Event) {
        let Some(reason) = event.reason else { return };
        if let Some(counter) = self.refusals.get(reason.name()) {
            counter.increment(1);
        }
        match reason {
            Reason::CodeReused => self.code_refused.increment(1),
            Reason::RefreshReused => self.refresh_refused.increment(1),
            Reason::AccessDenied => self.answered(event),
            _ => {}
        }
    }

    fn shown(&self, event: &Event) {
        let Some(flow) = event.flow else { return };
        let mut pending = self.lock();
        pending.add(flow, event.at);
        self.show(&pending);
    }

    fn answered(&self, event: &Event) {
        let Some(flow) = event.flow else { return };
        let mut pending = self.lock();
        pending.pages.remove(&flow);
        self.show(&pending);
    }

    /// Forgets the pages that are no longer valid.
    pub(super) fn expire(&self, now: Timestamp) {
        let mut pending = self.lock();
        pending.drop_before(now.unix_seconds().saturating_sub(self.lifetime.as_secs()));
        self.show(&pending);
    }

    fn show(&self, pending: &Pending) {
        self.pending_gauge.set(count(pending.pages.len()));
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn add(&mut self, page: GrantId, at: Timestamp) {
        if self.shown.len() >= PENDING_LIMIT {
            self.drop_oldest();
        }
        self.next += 1;
        self.pages.insert(page, self.next);
        self.shown.push_back((self.next, page, at));
    }

    fn drop_before(&mut self, seconds: u64) {
        while self.shown.front().is_some_and(|(.., at)| at.unix_seconds() <= seconds) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((number, page, _)) = self.shown.pop_front() else { return };
        // The page may have been shown again since.
        if self.pages.get(&page) == Some(&number) {
            self.pages.remove(&page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_pages_are_bounded_in_time_and_number() {
        let page = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            GrantId::from_bytes(id)
        };
        let mut pending = Pending::default();
        let at = Timestamp::from_unix_seconds;
        pending.add(page(1), at(10));
        pending.add(page(2), at(20));
        pending.add(page(1), at(30));
        pending.drop_before(10);
        assert_eq!(pending.pages.len(), 2, "the first was shown again");
        pending.pages.remove(&page(1));
        pending.drop_before(30);
        assert_eq!((pending.pages.len(), pending.shown.len()), (0, 0));
        for number in 0..=u32::try_from(PENDING_LIMIT).unwrap() {
            pending.add(page(number), at(40));
        }
        assert_eq!((pending.pages.len(), pending.shown.len()), (PENDING_LIMIT, PENDING_LIMIT));
        assert!(!pending.pages.contains_key(&page(0)), "the oldest is forgotten");
    }
}
