//! Tests of RATE-03 and RATE-07 for the window alone: a pure function of its state and of the time,
//! with any steps of the clock.

use std::cell::Cell;

use grantcore::Timestamp;
use grantcore::rate::RateWindow;
use proptest::prelude::*;

use crate::support::T;
use crate::support::property::check;

/// Generates a limit and requests, each with the seconds since the previous one.
fn traffic() -> impl Strategy<Value = (u32, Vec<(u64, u8)>)> {
    (1..8u32, prop::collection::vec((0..40u64, 1..6u8), 1..40))
}

#[test]
fn rate_03_after_the_returned_wait_the_next_request_is_admitted() {
    check(&traffic(), |(limit, traffic)| {
        let mut window = RateWindow::default();
        let mut now = T;
        for (pause, count) in traffic {
            now += pause;
            for _ in 0..count {
                if let Err(wait) = window.admit(limit, Timestamp::from_unix_seconds(now)) {
                    prop_assert!((1..=60).contains(&wait));
                    let until = now + u64::from(wait);
                    let before = Timestamp::from_unix_seconds(until - 1);
                    prop_assert!(
                        window.clone().admit(limit, before).is_err(),
                        "the wait is not too long"
                    );
                    prop_assert_eq!(
                        window.clone().admit(limit, Timestamp::from_unix_seconds(until)),
                        Ok(())
                    );
                }
            }
        }
        Ok(())
    });
}

/// Compares the window with a list of all admitted requests.
#[test]
fn rate_03_exactly_the_limit_is_admitted() {
    check(&traffic(), |(limit, traffic)| {
        let mut window = RateWindow::default();
        let mut now = T;
        let mut through = Vec::new();
        for (pause, count) in traffic {
            now += pause;
            for _ in 0..count {
                let recent = through.iter().filter(|at| now < **at + 60).count();
                let admitted = window.admit(limit, Timestamp::from_unix_seconds(now)).is_ok();
                prop_assert_eq!(admitted, recent < limit as usize);
                through.extend(admitted.then_some(now));
            }
        }
        Ok(())
    });
}

#[test]
fn rate_07_equal_inputs_give_equal_outputs_and_the_state_is_plain_data() {
    check(&traffic(), |(limit, traffic)| {
        let replay = || {
            let mut window = RateWindow::default();
            let mut now = T;
            let mut verdicts = Vec::new();
            for (pause, count) in &traffic {
                now += pause;
                for _ in 0..*count {
                    verdicts.push(window.admit(limit, Timestamp::from_unix_seconds(now)));
                    // The window is serialized and parsed at every step.
                    window =
                        serde_json::from_str(&serde_json::to_string(&window).unwrap()).unwrap();
                }
            }
            (verdicts, window)
        };
        prop_assert_eq!(replay(), replay());
        prop_assert!(
            serde_json::to_string(&replay().1).unwrap().len() < 60 * 20,
            "the state is bounded"
        );
        Ok(())
    });
}

#[test]
fn rate_07_a_clock_step_back_neither_panics_nor_extends_a_wait() {
    let refused = Cell::new(0);
    let property = |(limit, times): (u32, Vec<u64>)| {
        let mut window = RateWindow::default();
        for now in times {
            if let Err(wait) = window.admit(limit, Timestamp::from_unix_seconds(now)) {
                prop_assert!((1..=60).contains(&wait));
                refused.set(refused.get() + 1);
            }
            window.give_back(Timestamp::from_unix_seconds(now));
            window.count(Timestamp::from_unix_seconds(now));
        }
        Ok(())
    };
    check(&(1..4u32, readings()), property);
    check(&(1..4u32, prop::collection::vec(any::<u64>(), 1..60)), property);
    assert!(refused.get() > 500, "{} requests met a full window", refused.get());
}

/// Readings of a clock that mostly moves by less than two windows in either direction, and sometimes
/// to any time.
fn readings() -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        6 => (-130..130_i64).prop_map(Ok),
        2 => Just(Ok(0)),
        1 => any::<u32>().prop_map(|time| Err(u64::from(time))),
    ];
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let mut now = T;
        steps
            .into_iter()
            .map(|step| {
                now = match step {
                    Ok(seconds) => now.saturating_add_signed(seconds),
                    Err(time) => time,
                };
                now
            })
            .collect()
    })
}

/// After clock steps of any size in either direction, a caller that waits for the returned time is
/// admitted.
#[test]
fn rate_07_after_any_clock_step_the_returned_wait_suffices() {
    let early = Cell::new(0);
    check(&(1..4u32, readings()), |(limit, times)| {
        let mut window = RateWindow::default();
        let at = |seconds: u64| Timestamp::from_unix_seconds(seconds);
        let mut before = 0;
        for now in times {
            early.set(early.get() + usize::from(now < before && before < now + 60));
            before = now;
            for _ in 0..=limit {
                if let Err(wait) = window.admit(limit, at(now)) {
                    prop_assert_eq!(window.wait(limit, at(now)), Some(wait));
                    prop_assert_eq!(window.clone().admit(limit, at(now + u64::from(wait))), Ok(()));
                }
            }
            prop_assert!(window.admit(limit, at(now)).is_err(), "the limit is not exceeded");
        }
        Ok(())
    });
    assert!(early.get() > 500, "{} steps back were within the window", early.get());
}

#[test]
fn rate_07_at_the_end_of_time_the_limit_holds() {
    let mut window = RateWindow::default();
    let end = Timestamp::NEVER;
    assert_eq!([(); 3].map(|()| window.admit(2, end)), [Ok(()), Ok(()), Err(60)]);
}

#[test]
fn rate_07_giving_a_place_back_frees_the_place_that_was_taken() {
    let at = |seconds| Timestamp::from_unix_seconds(T + seconds);
    let mut window = RateWindow::default();
    assert_eq!((window.admit(2, at(0)), window.admit(2, at(10))), (Ok(()), Ok(())));
    window.give_back(at(0));
    assert_eq!((window.wait(1, at(20)), window.wait(2, at(20))), (Some(50), None));
    // A place whose minute has passed is gone, and giving it back does not free another one.
    assert_eq!(window.admit(2, at(69)), Ok(()));
    assert_eq!(window.admit(2, at(70)), Ok(()));
    window.give_back(at(10));
    assert_eq!(window.wait(2, at(70)), Some(59));
}

#[test]
fn rate_07_an_impossible_window_is_not_decoded() {
    let read = |text: &str| serde_json::from_str::<RateWindow>(text);
    assert_eq!(read("[]").unwrap(), RateWindow::default());
    assert!(read("[[100,1],[159,7]]").is_ok());
    let long =
        serde_json::to_string(&(0..100).map(|second| (second, 1)).collect::<Vec<_>>()).unwrap();
    for bad in [
        "[[100,1],[160,1]]",
        "[[100,1],[99,1]]",
        "[[100,1],[100,1]]",
        "[[100,-1]]",
        "{}",
        "null",
        &long,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn rate_07_a_limit_of_zero_admits_nothing() {
    let mut window = RateWindow::default();
    for second in [0, 60, 1000] {
        assert_eq!(window.admit(0, Timestamp::from_unix_seconds(T + second)), Err(60));
    }
    assert_eq!(window, RateWindow::default());
}
