//! Decides whether the calls on one record have an order that agrees with the clock. Pure: a list
//! of calls goes in.
//!
//! A record is a register with compare-and-set whose versions only rise, and each write has a mark
//! of its own. So no search is needed: the write of version 5 happened after the write of version
//! 4, each within the time of its call, and a read of version 4 happened between the two. That is a
//! chain of intervals. The calls have an order if and only if no write's earliest time is later
//! than its latest time.

use std::collections::BTreeMap;

use super::{Law, Violation};

/// A call, from its start to its response, in ticks of a shared counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) began: u64,
    /// `None` if the call failed: it may have happened at any time after it began, or never.
    pub(super) ended: Option<u64>,
    pub(super) kind: CallKind,
}

/// The kind of a call, with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    /// Read this version with this mark.
    Read(u64, String),
    /// Wrote this mark over this version. The next version is then stored.
    Wrote(u64, String),
    /// A commit over this version conflicted.
    Conflict(u64),
    /// A commit of this mark over this version failed: its result is not known.
    Unknown(u64, String),
}

/// The earliest and the latest time at which a version was written, and its mark if it is known.
struct Point<'a> {
    mark: Option<&'a str>,
    earliest: u64,
    latest: u64,
}

/// Checks that there is an order. `first` is the version before all calls, and its mark.
pub(super) fn judge(first: (u64, &str), calls: &[Call]) -> Result<(), Violation> {
    let mut points =
        BTreeMap::from([(first.0, Point { mark: Some(first.1), earliest: 0, latest: u64::MAX })]);
    for call in calls {
        let CallKind::Wrote(over, mark) = &call.kind else { continue };
        let point = Point {
            mark: Some(mark),
            earliest: call.began,
            latest: call.ended.unwrap_or(u64::MAX),
        };
        if let Some(before) = points.insert(over + 1, point) {
            let other = before.mark.unwrap_or_default();
            return Err(Law::OneWinner.broken(format_args!(
                "both {other:?} and {mark:?} were written over version {over}"
            )));
        }
    }
    let last = points.keys().next_back().copied().unwrap_or(first.0).max(seen_last(calls));
    // A version may be read, written over or reported by a conflict although no write of it was
    // acknowledged. Then a call whose result is unknown must have written it.
    for version in first.0 + 1..=last {
        if points.contains_key(&version) {
            continue;
        }
        let marks = calls.iter().filter_map(|call| match &call.kind {
            CallKind::Read(read, mark) if *read == version => Some(mark.as_str()),
            _ => None,
        });
        let mark = marks.min();
        let candidates = calls.iter().filter(|call| {
            matches!(&call.kind, CallKind::Unknown(over, own)
                if over + 1 == version && mark.is_none_or(|mark| mark == own))
        });
        let Some(earliest) = candidates.map(|call| call.began).min() else {
            return Err(Law::Linearizable.broken(format_args!(
                "version {version}, marked {mark:?}, was observed, and no call wrote it"
            )));
        };
        points.insert(version, Point { mark, earliest, latest: u64::MAX });
    }
    for call in calls {
        bound(&mut points, call)?;
    }
    in_order(&points)
}

/// Returns the last version that must have been written.
fn seen_last(calls: &[Call]) -> u64 {
    let seen = calls.iter().map(|call| match call.kind {
        CallKind::Read(version, _) => version,
        CallKind::Conflict(over) => over + 1,
        CallKind::Wrote(..) | CallKind::Unknown(..) => 0,
    });
    seen.max().unwrap_or(0)
}

/// Narrows the possible times of the writes, using what this call observed.
fn bound(points: &mut BTreeMap<u64, Point<'_>>, call: &Call) -> Result<(), Violation> {
    let ended = call.ended.unwrap_or(u64::MAX);
    match &call.kind {
        CallKind::Read(version, mark) => {
            let Some(point) = points.get_mut(version) else {
                return Err(Law::Linearizable.broken(format_args!(
                    "a read returned version {version}, which is older than all others"
                )));
            };
            if point.mark.is_some_and(|written| written != mark) {
                return Err(Law::Faithful.broken(format_args!(
                    "version {version} is marked {:?}, and was read as {mark:?}",
                    point.mark
                )));
            }
            point.latest = point.latest.min(ended);
            if let Some(next) = points.get_mut(&(version + 1)) {
                next.earliest = next.earliest.max(call.began);
            }
        }
        CallKind::Conflict(over) => {
            if let Some(next) = points.get_mut(&(over + 1)) {
                next.latest = next.latest.min(ended);
            }
        }
        CallKind::Wrote(..) | CallKind::Unknown(..) => {}
    }
    Ok(())
}

/// Checks that each version can be written after the one before it.
fn in_order(points: &BTreeMap<u64, Point<'_>>) -> Result<(), Violation> {
    let mut before = 0;
    for (version, point) in points {
        before = point.earliest.max(before);
        // The latest time of a later version bounds this one as well.
        let latest =
            points.range(version..).map(|(_, later)| later.latest).min().unwrap_or(u64::MAX);
        if before > latest {
            let mark = point.mark.unwrap_or_default();
            return Err(Law::Linearizable.broken(format_args!(
                "version {version}, marked {mark:?}, was written at tick {before} or later, and \
                 was read or written over at tick {latest}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(began: u64, ended: u64, kind: CallKind) -> Call {
        Call { began, ended: Some(ended), kind }
    }

    fn read(began: u64, ended: u64, version: u64, mark: &str) -> Call {
        call(began, ended, CallKind::Read(version, mark.to_owned()))
    }

    fn wrote(began: u64, ended: u64, over: u64, mark: &str) -> Call {
        call(began, ended, CallKind::Wrote(over, mark.to_owned()))
    }

    fn unknown(began: u64, over: u64, mark: &str) -> Call {
        Call { began, ended: None, kind: CallKind::Unknown(over, mark.to_owned()) }
    }

    #[track_caller]
    fn breaks(law: Law, calls: &[Call]) {
        assert_eq!(judge((1, "a"), calls).map_err(|violation| violation.law()), Err(law));
    }

    #[track_caller]
    fn holds(calls: &[Call]) {
        judge((1, "a"), calls).unwrap();
    }

    #[test]
    fn calls_that_overlap_have_any_order_that_fits_them() {
        holds(&[wrote(1, 9, 1, "b"), read(2, 3, 1, "a"), read(4, 5, 2, "b"), read(6, 7, 2, "b")]);
        holds(&[wrote(5, 6, 2, "c"), wrote(1, 9, 1, "b"), read(3, 7, 3, "c")]);
        holds(&[wrote(1, 2, 1, "b"), call(1, 3, CallKind::Conflict(1))]);
        holds(&[]);
    }

    #[test]
    fn a_read_after_an_acknowledged_write_sees_it() {
        breaks(Law::Linearizable, &[wrote(1, 2, 1, "b"), read(3, 4, 1, "a")]);
    }

    #[test]
    fn reads_go_forward_only() {
        breaks(Law::Linearizable, &[wrote(1, 9, 1, "b"), read(2, 3, 2, "b"), read(4, 5, 1, "a")]);
    }

    #[test]
    fn nothing_is_read_before_it_is_written() {
        breaks(Law::Linearizable, &[read(1, 2, 2, "b"), wrote(3, 4, 1, "b")]);
    }

    #[test]
    fn a_conflict_is_after_the_write_that_made_it() {
        breaks(Law::Linearizable, &[call(1, 2, CallKind::Conflict(1)), wrote(3, 4, 1, "b")]);
        breaks(Law::Linearizable, &[call(1, 2, CallKind::Conflict(1))]);
    }

    #[test]
    fn a_version_is_written_once_and_read_as_written() {
        breaks(Law::OneWinner, &[wrote(1, 2, 1, "b"), wrote(1, 2, 1, "c")]);
        breaks(Law::Faithful, &[wrote(1, 2, 1, "b"), read(3, 4, 2, "c")]);
        breaks(Law::Linearizable, &[read(3, 4, 2, "c")]);
        breaks(Law::Linearizable, &[wrote(1, 2, 2, "c")]);
        breaks(Law::Linearizable, &[read(1, 2, 0, "z")]);
    }

    #[test]
    fn what_nobody_knows_may_have_happened_at_any_time_or_never() {
        holds(&[unknown(1, 1, "b"), read(5, 6, 1, "a"), read(7, 8, 2, "b")]);
        holds(&[unknown(1, 1, "b"), read(5, 6, 1, "a")]);
        holds(&[unknown(1, 1, "b"), wrote(3, 4, 2, "c"), call(5, 6, CallKind::Conflict(1))]);
        breaks(Law::Linearizable, &[unknown(5, 1, "b"), read(3, 4, 2, "b")]);
        breaks(Law::Linearizable, &[unknown(1, 1, "b"), read(3, 4, 2, "c")]);
        breaks(Law::Linearizable, &[unknown(1, 1, "b"), read(3, 4, 2, "b"), read(5, 6, 1, "a")]);
    }
}
