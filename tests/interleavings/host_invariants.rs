//! The invariants of what a host takes away: by the user's wish, or by its decision at a refresh.

use grantcore::Reason;
use grantcore::grant::GrantState;

use crate::invariants::Judge;
use crate::judge::{Seen, Verdict, must};
use crate::request::{Ask, Flaw, Judgment, Kind};
use crate::state::{Answer, Basis, Record};
use crate::world::Question;

use Verdict::Silent;

pub const OF_HOST: [(&str, Judge); 2] = [("I52", i52), ("I53", i53)];

/// I52: what is left of a grant's scope never grows, and no token reaches beyond it.
fn i52(seen: &Seen<'_>) -> Verdict {
    if seen.changes_nothing() || !seen.after.history.iter().any(|entry| entry.narrows) {
        return Silent;
    }
    let left = |record: &Option<Record>| {
        let record = record.as_ref().filter(|record| record.state() == GrantState::Active)?;
        Some(record.0.record.remaining_scope().map(str::to_owned).collect::<Vec<_>>())
    };
    if let (Some(before), Some(after)) = (left(&seen.before.record), left(&seen.after.record)) {
        if !after.iter().all(|token| before.contains(token)) {
            return Verdict::Broken(format!("what is left grew from {before:?} to {after:?}"));
        }
    }
    let mut tokens = seen.after.disclosed(Kind::Access);
    must(!tokens.any(|token| seen.world.writes(seen.after, token)), || {
        "a token writes, and only read is left".to_owned()
    })
}

/// I53: a decision of the host changes a grant only by a request that would get tokens without it.
/// Every other request is judged as if there were none, so that it neither excuses nor hides a
/// replay. It is applied with a rotation; to an answer that is given again, only an end applies.
fn i53(seen: &Seen<'_>) -> Verdict {
    let judged = |basis: &Basis| basis.judgment != Judgment::Keep;
    let is_judged = |ask| matches!(ask, Ask::Refresh(..) | Ask::Redeem(_) | Ask::Check);
    let Some(decided) =
        seen.decided().filter(|decided| is_judged(decided.ask) && judged(&decided.basis))
    else {
        return Silent;
    };
    let question = |judgment| Question {
        ask: decided.ask,
        presented: decided.presented,
        by: decided.by,
        attempt: decided.attempt,
        basis: Basis { judgment, ..decided.basis.clone() },
        proof: decided.proof,
        marked: seen.before.actors[decided.by.actor].marked,
    };
    let judgment = decided.basis.judgment;
    let kept = seen.world.decide(question(Judgment::Keep));
    let made = seen.world.decide(question(judgment));
    let state = |decision: &crate::world::Decision| {
        decision.write.as_ref().map(|write| write.record().state())
    };
    let would_answer = matches!(kept.done, Answer::Yes(_));
    let holds = if !would_answer || !matches!(decided.ask, Ask::Refresh(..)) {
        made.done == kept.done && made.write == kept.write
    } else if judgment.ends() {
        decided.is_ended_by_host() && matches!(made.done, Answer::No(reason) if reason.revokes())
    } else if asks_to_write(decided.ask) && kept.write.is_some() {
        // Nothing of what is asked for would be left: no token, and no change either.
        made.done == Answer::No(Reason::ScopeBeyondGrant) && made.write.is_none()
    } else {
        made.done == kept.done && state(&made) == state(&kept)
    };
    must(holds, || {
        format!(
            "{judgment:?} made {:?} of {:?}, and wrote {:?}",
            made.done,
            kept.done,
            state(&made)
        )
    })
}

fn asks_to_write(ask: Ask) -> bool {
    matches!(ask, Ask::Refresh(_, Flaw::AsksToWrite))
}
