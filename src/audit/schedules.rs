//! Tests of events that are recorded concurrently, in every schedule.

use super::{AuditQuery, MemoryAuditLog};
use crate::event::{Event, EventKind};
use crate::moment::{CorrelationId, Entropy, Moment, Timestamp};
use crate::sync::Mutex;
use crate::sync::schedules::explore;

fn event(request: u8) -> Event {
    let moment = Moment::new(Timestamp::from_unix_seconds(1), Entropy::from_bytes([request; 128]));
    Event::new(EventKind::CodeRedeemed, None, moment.stamp())
}

fn kept(log: &MemoryAuditLog) -> Vec<CorrelationId> {
    log.find(&AuditQuery::default(), 10).iter().map(|event| event.correlation).collect()
}

/// A driver records a step, and the guard of its cancelled caller records it as well.
#[test]
fn i45_every_schedule_keeps_an_event_once() {
    let keep = |log: &MemoryAuditLog| log.keep(event(1));
    let other = |log: &MemoryAuditLog| log.keep(event(2));
    let threads: Vec<fn(&MemoryAuditLog)> = vec![keep, keep, other];
    let found = explore(
        || MemoryAuditLog::new(10),
        threads,
        |log, _| {
            let kept = kept(log);
            kept.len() == 2 && kept[0] != kept[1]
        },
    );
    found.assert_none_wrong();
}

#[test]
fn i45_no_schedule_keeps_more_events_than_there_is_room_for() {
    let keep = |log: &MemoryAuditLog| log.keep(event(1));
    let other = |log: &MemoryAuditLog| log.keep(event(2));
    let find = |log: &MemoryAuditLog| assert!(kept(log).len() <= 1);
    let threads: Vec<fn(&MemoryAuditLog)> = vec![keep, find, other];
    explore(|| MemoryAuditLog::new(1), threads, |log, _| kept(log).len() == 1).assert_none_wrong();
}

/// The planted race: an event is looked up under one lock, and inserted under another.
#[test]
fn i45_a_look_apart_from_the_keeping_is_found() {
    type Naive = Mutex<Vec<Event>>;
    let keep = |log: &Naive| {
        let is_new = !log.lock().unwrap().contains(&event(1));
        if is_new {
            log.lock().unwrap().push(event(1));
        }
    };
    let found = explore(Naive::default, vec![keep; 2], |log, _| log.lock().unwrap().len() == 1);
    found.assert_found();
}
