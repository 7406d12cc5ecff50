//! The invariants, each a predicate over one move: the state before it, what happened, and the
//! state after it.
//!
//! They judge by the model's history and by the answers that left. What the record says of itself
//! is asked only through the library: does this token validate, would that one advance the grant?

use grantcore::{GrantState, Reason, RevocationCause};

use crate::request::{Ask, Flaw, Kind};
use crate::state::{Actor, Answer, Entry, Record, State};
use crate::step::{Decided, Move};
use crate::world::World;

/// One move, to be judged.
pub struct Seen<'a> {
    pub world: &'a World,
    pub before: &'a State,
    pub taken: &'a Move,
    pub after: &'a State,
}

pub enum Verdict {
    /// The invariant does not speak of this move.
    Silent,
    Holds,
    Broken(String),
}

use Verdict::Silent;

/// The premise is met: does it hold?
fn must(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Broken(what()) }
}

type Judge = fn(&Seen<'_>) -> Verdict;

pub const INVARIANTS: [(&str, Judge); 13] = [
    ("I3", i3),
    ("I6", i6),
    ("I8", i8),
    ("I9", i9),
    ("I10", i10),
    ("I11", i11),
    ("I12", i12),
    ("I13", i13),
    ("I14", i14),
    ("I17", i17),
    ("I18", i18),
    ("I19", i19),
    ("I20", i20),
];

/// I3: a pending consent reaches at most one of code and denied; there is at most one code; a
/// denial that left is in the record.
fn i3(seen: &Seen<'_>) -> Verdict {
    let Some((actor, _)) =
        seen.leaving().filter(|(actor, _)| matches!(actor.ask, Ask::Approve | Ask::Deny))
    else {
        return Silent;
    };
    let codes = seen.after.disclosed(Kind::Code).count();
    let told_denied = seen
        .after
        .actors
        .iter()
        .flat_map(Actor::answers)
        .any(|answer| *answer == Answer::No(Reason::AccessDenied));
    let is_denied = seen
        .after
        .record
        .as_ref()
        .is_some_and(|record| record.state() == GrantState::Revoked(RevocationCause::Denied));
    must(codes + usize::from(told_denied) <= 1 && (!told_denied || is_denied), || {
        format!("{:?}: {codes} codes left, and a denial: {told_denied}", actor.ask)
    })
}

/// I6: at most one token pair is ever disclosed for one code.
fn i6(seen: &Seen<'_>) -> Verdict {
    let Some((_, Answer::Yes(pair))) = seen.leaving().filter(|(actor, _)| actor.redeems()) else {
        return Silent;
    };
    let mut answers = redeemers(seen.after).flat_map(Actor::answers);
    let other = answers.find(|answer| matches!(answer, Answer::Yes(other) if other != pair));
    must(other.is_none(), || format!("one code was good for {pair:?} and for {other:?}"))
}

/// I8: a second redemption that is valid in all else is refused, and the grant is revoked in the
/// store before any answer but the retryable one leaves.
fn i8(seen: &Seen<'_>) -> Verdict {
    if let Some(decided) = seen.decided().filter(|decided| decided.ask == Ask::Redeem(Flaw::None)) {
        let history = seen.history(decided);
        let redeemed = history.iter().find(|entry| entry.wrote == GrantState::Active);
        return match redeemed {
            Some(first) if first.by != decided.by && !was_revoked(history) => {
                must(decided.replays(), || {
                    format!("a redeemed code was presented, and {:?} was written", decided.wrote)
                })
            }
            _ => Silent,
        };
    }
    if !seen.leaving().is_some_and(|(actor, _)| actor.redeems()) {
        return Silent;
    }
    let told = |is: fn(&Answer) -> bool| redeemers(seen.after).flat_map(Actor::answers).any(is);
    let told_replay = told(|answer| *answer == Answer::No(Reason::CodeReused));
    let granted = told(|answer| matches!(answer, Answer::Yes(_)));
    // A code that had expired or ended when it was judged was not valid in all else.
    let refused = told(|answer| match answer {
        Answer::No(reason) => {
            !answer.is_retryable() && !matches!(reason, Reason::CodeExpired | Reason::GrantEnded)
        }
        Answer::Yes(_) => false,
    });
    if !(told_replay || granted && refused) {
        return Silent;
    }
    must(seen.after.is_revoked() && seen.world.is_dead(seen.after), || {
        "the code was used twice, and the grant lives".to_owned()
    })
}

/// I9: an invalid attempt (wrong verifier, client, redirect; a forged or foreign refresh token)
/// changes nothing.
fn i9(seen: &Seen<'_>) -> Verdict {
    let Some(decided) = seen.decided().filter(|decided| decided.ask.is_flawed()) else {
        return Silent;
    };
    let refused = matches!(&decided.answer, Some(Answer::No(reason)) if !reason.revokes());
    must(refused && decided.wrote.is_none() && seen.before.record == seen.after.record, || {
        format!("{:?} wrote {:?} and was told {:?}", decided.ask, decided.wrote, decided.answer)
    })
}

/// I10: at any instant at most one refresh token of a grant can advance it.
fn i10(seen: &Seen<'_>) -> Verdict {
    if seen.changes_nothing() {
        return Silent;
    }
    let advancing: Vec<_> = seen
        .after
        .disclosed(Kind::Refresh)
        .filter(|token| seen.world.advances(seen.after, *token))
        .collect();
    match advancing.len() {
        0 => Silent,
        number => must(number == 1, || format!("{advancing:?} can each advance the grant")),
    }
}

/// I11: each generation has at most one successor value, however often it is asked for.
fn i11(seen: &Seen<'_>) -> Verdict {
    let Some((actor, Answer::Yes(_))) = seen.leaving().filter(|(actor, _)| actor.refreshes())
    else {
        return Silent;
    };
    let same = seen
        .after
        .actors
        .iter()
        .filter(|other| other.refreshes() && other.presented == actor.presented);
    let successors: Vec<_> =
        same.flat_map(Actor::answers).filter(|answer| matches!(answer, Answer::Yes(_))).collect();
    match successors.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => {
            must(rest.iter().all(|other| other == first), || {
                format!("{:?} became each of {successors:?}", actor.presented)
            })
        }
        _ => Silent,
    }
}

/// I12: a refresh token of the family that is not current, presented outside the window, is
/// refused, and the grant is revoked in the store before any answer but the retryable one leaves;
/// no token of it ever validates again. Inside the window the direct predecessor gets its
/// successor; an older one, while two rotations lie within it, is refused and writes nothing.
fn i12(seen: &Seen<'_>) -> Verdict {
    if let Some((_, Answer::No(Reason::RefreshReused))) = seen.leaving() {
        let dead = seen.after.is_revoked() && seen.world.is_dead(seen.after);
        return must(dead, || "a replay was told, and the grant lives".to_owned());
    }
    let Some(decided) = seen.refresh() else { return Silent };
    let place = seen.place(decided);
    let told = || {
        format!(
            "a token that is {place:?} wrote {:?} and was told {:?}",
            decided.wrote, decided.answer
        )
    };
    match place {
        Place::InWindow => {
            must(decided.wrote.is_none() && matches!(decided.answer, Some(Answer::Yes(_))), told)
        }
        Place::Crowded => {
            must(decided.wrote.is_none() && matches!(decided.answer, Some(Answer::No(_))), told)
        }
        Place::Past if decided.again && seen.world.window > 0 => Silent,
        Place::Past => must(decided.replays(), told),
        Place::Current | Place::Own => Silent,
    }
}

/// I13: the window is bounded: only the direct predecessor, only before first use + W on record
/// time. W = 0 is strict.
fn i13(seen: &Seen<'_>) -> Verdict {
    let Some(decided) = seen.refresh() else { return Silent };
    let answered_again = decided.wrote.is_none() && matches!(decided.answer, Some(Answer::Yes(_)));
    match seen.place(decided) {
        Place::InWindow => must(seen.world.window > 0, || "there is a window".to_owned()),
        place @ (Place::Crowded | Place::Past) => {
            must(!answered_again, || format!("a token that is {place:?} got {:?}", decided.answer))
        }
        Place::Current | Place::Own => Silent,
    }
}

/// I14: once there are tokens, with W > 0, no thief, nobody who asks for it, and clients that
/// present a token only within W of its first use, the grant is never revoked.
fn i14(seen: &Seen<'_>) -> Verdict {
    let tokens = seen.before.history.iter().any(|entry| entry.wrote == GrantState::Active);
    // A client that has tokens does not present its code again.
    let thief =
        redeemers(seen.after).count() > 1 || redeemers(seen.after).any(|actor| actor.retried);
    let asked = seen.after.actors.iter().any(|actor| actor.ask == Ask::Revoke);
    let honest = !thief && !asked && !seen.after.actors.iter().any(|actor| actor.began_outside);
    let wrote = seen.before.record != seen.after.record;
    if seen.world.window == 0 || !tokens || !honest || !wrote {
        return Silent;
    }
    must(!seen.after.is_revoked(), || "an honest user was logged out".to_owned())
}

/// I17: a request's own commit is not a replay. A record that holds what this very request mints is
/// answered as its success; with W > 0 a refresh decided again never writes a replay.
fn i17(seen: &Seen<'_>) -> Verdict {
    let Some(decided) = seen.decided().filter(|decided| decided.again) else { return Silent };
    let (history, replays) = (seen.history(decided), decided.replays());
    let told =
        || format!("{:?} wrote {:?} and was told {:?}", decided.by, decided.wrote, decided.answer);
    if let Some(own) = history.iter().position(|entry| {
        entry.by == decided.by && entry.wrote != GrantState::Revoked(RevocationCause::Replay)
    }) {
        let succeeds = match decided.ask {
            Ask::Deny => decided.answer == Some(Answer::No(Reason::AccessDenied)),
            _ => matches!(decided.answer, Some(Answer::Yes(_))),
        };
        return must(
            !replays
                && (own + 1 < history.len()
                    || seen.has_ended(decided)
                    || decided.wrote.is_none() && succeeds),
            told,
        );
    }
    match decided.ask {
        Ask::Refresh(..) if seen.world.window > 0 => must(!replays, told),
        // Another request's page under the same grant id is no answer of this one's.
        Ask::Authorize if !history.is_empty() => {
            must(matches!(decided.answer, Some(Answer::No(_))), told)
        }
        _ => Silent,
    }
}

/// I18: no transition leaves Revoked, denied or expired, on record time.
fn i18(seen: &Seen<'_>) -> Verdict {
    match seen.taken {
        Move::Decide(decided)
            if was_revoked(seen.history(decided)) || seen.has_expired(decided) =>
        {
            must(decided.wrote.is_none(), || {
                format!("{:?} was written over a record that was over", decided.wrote)
            })
        }
        Move::Decide(_) | Move::Land { .. } if seen.before.is_revoked() => {
            must(seen.before.record == seen.after.record, || {
                "a revoked record was changed".to_owned()
            })
        }
        _ => Silent,
    }
}

/// I19: a check that starts after a revocation was acknowledged says inactive.
fn i19(seen: &Seen<'_>) -> Verdict {
    match seen.leaving() {
        Some((actor, answer)) if actor.ask == Ask::Check && actor.began_revoked => {
            must(matches!(answer, Answer::No(_)), || {
                "a check that began after the revocation was told active".to_owned()
            })
        }
        _ => Silent,
    }
}

/// I20: tokens whose answer leaves after an acknowledged revocation of their grant do not validate;
/// likewise of their app or user, for grants whose consent page was built before it. Nor does a
/// request that has read a raised epoch move such a grant on.
fn i20(seen: &Seen<'_>) -> Verdict {
    if let Some(decided) = seen.decided().filter(|decided| seen.has_ended(decided)) {
        let moves_on = matches!(decided.wrote, Some(GrantState::CodeIssued | GrantState::Active));
        return must(!moves_on, || {
            format!("{:?} was written for a grant that had ended", decided.wrote)
        });
    }
    if seen.changes_nothing()
        || !seen.after.is_revocation_acknowledged()
        || seen.after.disclosed(Kind::Access).next().is_none()
    {
        return Silent;
    }
    must(seen.world.is_dead(seen.after), || "a token of a revoked grant is good".to_owned())
}

/// How long a consent page and a code live, in seconds.
const LIFETIME: i64 = 600;

/// Where a refresh token stood in the record that a decision was made on, by the history of that
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Never rotated.
    Current,
    /// Rotated last, by this very request.
    Own,
    /// Rotated last, and less than W ago.
    InWindow,
    /// Rotated longer ago, but the rotation before the last was less than W ago.
    Crowded,
    /// None of these: a replay.
    Past,
}

impl Seen<'_> {
    /// The answer that just left, and whose.
    fn leaving(&self) -> Option<(&Actor, &Answer)> {
        match self.taken {
            Move::Leave { by, answer, .. } => Some((&self.before.actors[by.actor], answer)),
            _ => None,
        }
    }

    /// Whether nothing has changed that a credential is judged by, and none has left.
    fn changes_nothing(&self) -> bool {
        match self.taken {
            Move::ReadGrant { .. } | Move::ReadStanding { .. } => true,
            Move::Decide(_) => self.before.record == self.after.record,
            Move::Leave { .. } | Move::Land { .. } | Move::Tick(_) | Move::Raise(_) => false,
        }
    }

    fn decided(&self) -> Option<&Decided> {
        match self.taken {
            Move::Decide(decided) => Some(decided),
            _ => None,
        }
    }

    /// A refresh with nothing wrong in it, decided on a grant that was alive.
    fn refresh(&self) -> Option<&Decided> {
        let decided = self.decided().filter(|decided| {
            matches!(decided.ask, Ask::Refresh(..)) && !decided.ask.is_flawed()
        })?;
        (!self.has_ended(decided) && !was_revoked(self.history(decided))).then_some(decided)
    }

    /// The writes that made the record a decision was made on.
    fn history(&self, decided: &Decided) -> &[Entry] {
        self.before.history_of(decided.basis.grant.as_ref().map(Record::version))
    }

    /// Whether the decision was made on a grant, and on other epochs than its consent page was
    /// built with.
    fn has_ended(&self, decided: &Decided) -> bool {
        self.history(decided).first().is_some_and(|page| page.epochs != decided.basis.epochs)
    }

    /// The clock's reading, or the latest time that the record had seen.
    fn record_time(&self, decided: &Decided) -> i64 {
        self.history(decided)
            .last()
            .map_or(decided.basis.now, |last| last.at.max(decided.basis.now))
    }

    /// Whether the record was a consent page or a code that nobody had used in time.
    fn has_expired(&self, decided: &Decided) -> bool {
        let waits = |entry: &&Entry| {
            matches!(entry.wrote, GrantState::ConsentPending | GrantState::CodeIssued)
        };
        let last = self.history(decided).last().filter(waits);
        last.is_some_and(|last| self.record_time(decided) >= last.at + LIFETIME)
    }

    fn place(&self, decided: &Decided) -> Place {
        let (history, now) = (self.history(decided), self.record_time(decided));
        let within = |entry: &Entry| now < entry.at + self.world.window;
        let mut rotations = history.iter().rev().filter(|entry| entry.wrote == GrantState::Active);
        let (last, before) = (rotations.next(), rotations.next());
        let is_ours = |entry: &&Entry| entry.rotated == decided.presented;
        match (last.filter(is_ours), before) {
            _ if !history.iter().any(|entry| entry.rotated == decided.presented) => Place::Current,
            (Some(last), _) if last.by == decided.by => Place::Own,
            (Some(last), _) if within(last) => Place::InWindow,
            (_, Some(before)) if within(before) => Place::Crowded,
            _ => Place::Past,
        }
    }
}

fn redeemers(state: &State) -> impl Iterator<Item = &Actor> {
    state.actors.iter().filter(|actor| actor.redeems())
}

fn was_revoked(history: &[Entry]) -> bool {
    history.iter().any(|entry| matches!(entry.wrote, GrantState::Revoked(_)))
}
