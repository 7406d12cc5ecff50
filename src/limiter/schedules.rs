//! Tests of requests that are counted concurrently, in every schedule.

use super::Limiter;
use crate::moment::Timestamp;
use crate::sync::schedules::explore;

const NOW: Timestamp = Timestamp::from_unix_seconds(1);

fn admitted(results: &[bool]) -> usize {
    results.iter().filter(|is_admitted| **is_admitted).count()
}

#[test]
fn rate_01_no_schedule_admits_more_than_the_limit() {
    let admit = |limiter: &Limiter| limiter.admit("name", 2, NOW).is_ok();
    let found = explore(Limiter::default, vec![admit; 3], |_, all| admitted(&all) == 2);
    found.assert_none_wrong();
}

/// A name moves to the table of known names while its requests are counted.
#[test]
fn i48_no_schedule_forgets_what_a_proven_name_was_counted() {
    let admit = |limiter: &Limiter| limiter.admit("name", 2, NOW).is_ok();
    let prove = |limiter: &Limiter| {
        let is_admitted = limiter.admit("name", 2, NOW).is_ok();
        limiter.prove("name", NOW);
        is_admitted
    };
    let threads: Vec<fn(&Limiter) -> bool> = vec![admit, prove, admit];
    let found = explore(Limiter::default, threads, |limiter, all| {
        admitted(&all) == 2 && limiter.wait("name", 2, NOW).is_some()
    });
    found.assert_none_wrong();
}

/// The planted race: the limit is checked under one lock, and the request counted under another.
#[test]
fn rate_01_a_count_apart_from_its_check_is_found() {
    let admit = |limiter: &Limiter| {
        let has_room = limiter.wait("name", 1, NOW).is_none();
        if has_room {
            limiter.count("name", NOW);
        }
        has_room
    };
    explore(Limiter::default, vec![admit; 2], |_, all| admitted(&all) == 1).assert_found();
}
