//! Tests of concurrent failed authentications, in every schedule.

use super::Failures;
use crate::moment::Timestamp;
use crate::sync::schedules::explore;

const NOW: Timestamp = Timestamp::from_unix_seconds(1);

fn counted(results: &[bool]) -> usize {
    results.iter().filter(|is_counted| **is_counted).count()
}

/// The client is created meanwhile, so that one request finds it and the other does not: its
/// failures are in two limiters.
#[test]
fn i48_no_schedule_counts_more_failures_than_the_limit() {
    let known = |failures: &Failures| failures.count("app", true, 1, NOW).is_ok();
    let unknown = |failures: &Failures| failures.count("app", false, 1, NOW).is_ok();
    for other in [known, unknown] {
        let threads: Vec<fn(&Failures) -> bool> = vec![known, other];
        let found = explore(Failures::default, threads, |_, all| counted(&all) == 1);
        found.assert_none_wrong();
    }
}

/// The planted race: no turn is held between the check and the count.
#[test]
fn i48_a_failure_that_is_counted_without_its_turn_is_found() {
    let count = |failures: &Failures| {
        let has_room = failures.wait("app", 1, NOW).is_none();
        if has_room {
            failures.known.count("app", NOW);
        }
        has_room
    };
    explore(Failures::default, vec![count; 2], |_, all| counted(&all) == 1).assert_found();
}
