//! The invariants. Each is a predicate over one move: the state before it, the event, and the state
//! after it.
//!
//! They judge by the model's history and by the responses that left. They read the record only
//! through the library: whether a token validates, and whether a token would advance the grant.

use grantcore::Reason;
use grantcore::grant::{GrantState, RevocationCause};

use crate::judge::{Place, Seen, Verdict, must, redeemers, was_revoked};
use crate::memory::{i54, i55};
use crate::moves::Move;
use crate::proof::{i38, is_dropped, strongest};
use crate::request::{Ask, Flaw, Kind};
use crate::state::{Actor, Answer};

use Verdict::Silent;

pub type Judge = fn(&Seen<'_>) -> Verdict;

pub const INVARIANTS: [(&str, Judge); 16] = [
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
    ("I38", i38),
    ("I54", i54),
    ("I55", i55),
];

/// I3: a pending consent becomes at most one of a code and a denial; there is at most one code; a
/// denial that left is in the record.
fn i3(seen: &Seen<'_>) -> Verdict {
    let Some((actor, _)) =
        seen.leaving().filter(|(actor, _)| matches!(actor.ask, Ask::Approve | Ask::Deny))
    else {
        return Silent;
    };
    let codes = seen.after.disclosed(Kind::Code).count();
    let was_denied = seen
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
    must(codes + usize::from(was_denied) <= 1 && (!was_denied || is_denied), || {
        format!("{:?}: {codes} codes left, and a denial: {was_denied}", actor.ask)
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
            Some(first)
                if first.by != decided.by
                    && !was_revoked(history)
                    && decided.proof >= strongest(history) =>
            {
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
    let answered = |is: fn(&Answer) -> bool| redeemers(seen.after).flat_map(Actor::answers).any(is);
    let answered_replay = answered(|answer| *answer == Answer::No(Reason::CodeReused));
    let granted = answered(|answer| matches!(answer, Answer::Yes(_)));
    // A code that had expired or ended when it was judged was not valid in all else.
    let refused = answered(|answer| match answer {
        Answer::No(reason) => {
            !answer.is_retryable()
                && !is_dropped(answer)
                && !matches!(reason, Reason::CodeExpired | Reason::GrantEnded)
        }
        Answer::Yes(_) => false,
    });
    if !(answered_replay || granted && refused) {
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
        format!("{:?} wrote {:?} and got {:?}", decided.ask, decided.wrote, decided.answer)
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

/// I11: each generation has at most one successor, however often it is requested.
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
        return must(dead, || "a replay was answered, and the grant is alive".to_owned());
    }
    let Some(decided) = seen.refresh() else { return Silent };
    let place = seen.place(decided);
    let fault = || {
        format!("a token that is {place:?} wrote {:?} and got {:?}", decided.wrote, decided.answer)
    };
    match place {
        Place::InWindow => {
            // An answer that records a stronger proof waits for its write.
            let is_answered = match &decided.answer {
                Some(Answer::Yes(_)) => decided.wrote.is_none() || decided.raises,
                Some(refused) => decided.raises && refused.is_retryable(),
                None => decided.raises,
            };
            must(is_answered || decided.is_ended_by_host(), fault)
        }
        Place::Crowded => {
            must(decided.wrote.is_none() && matches!(decided.answer, Some(Answer::No(_))), fault)
        }
        Place::Past if decided.is_retry && seen.world.window > 0 => Silent,
        Place::Past => must(decided.replays(), fault),
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

/// I14: once there are tokens, with W > 0, no thief, no requested revocation, and clients that
/// present a token only within W of its first use, the grant is never revoked.
fn i14(seen: &Seen<'_>) -> Verdict {
    let tokens = seen.before.history.iter().any(|entry| entry.wrote == GrantState::Active);
    // A client that has tokens does not present its code again.
    let thief =
        redeemers(seen.after).count() > 1 || redeemers(seen.after).any(|actor| actor.retried);
    let ends = |ask| matches!(ask, Ask::Judge(judgment) if judgment.ends());
    let revokes = seen.after.actors.iter().any(|actor| actor.ask == Ask::Revoke || ends(actor.ask));
    // Whoever cannot prove the client ends nothing, and is no thief that counts.
    let needed = strongest(&seen.before.history);
    let is_outside = |actor: &Actor| actor.began_outside && actor.proof >= needed;
    let honest = !thief && !revokes && !seen.after.actors.iter().any(is_outside);
    let wrote = seen.before.record != seen.after.record;
    if seen.world.window == 0 || !tokens || !honest || !wrote {
        return Silent;
    }
    must(!seen.after.is_revoked(), || "an honest user was logged out".to_owned())
}

/// I17: a request's own commit is not a replay. A record that holds what this very request mints is
/// answered as its success; with W > 0 a refresh decided again never writes a replay.
fn i17(seen: &Seen<'_>) -> Verdict {
    let Some(decided) = seen.decided().filter(|decided| decided.is_retry) else { return Silent };
    let history = seen.history(decided);
    let replays = decided.replays();
    let fault =
        || format!("{:?} wrote {:?} and got {:?}", decided.by, decided.wrote, decided.answer);
    if let Some(own) = history.iter().position(|entry| {
        let is_end = matches!(
            entry.wrote,
            GrantState::Revoked(RevocationCause::Replay | RevocationCause::Host)
        );
        entry.by == decided.by && !is_end
    }) {
        let succeeds = match decided.ask {
            Ask::Deny => decided.answer == Some(Answer::No(Reason::AccessDenied)),
            _ => matches!(decided.answer, Some(Answer::Yes(_))),
        };
        return must(
            !replays
                && (own + 1 < history.len()
                    || seen.has_ended(decided)
                    || decided.has_forgotten()
                    || decided.is_ended_by_host()
                    || decided.wrote.is_none() && succeeds),
            fault,
        );
    }
    match decided.ask {
        Ask::Refresh(..) if seen.world.window > 0 => must(!replays, fault),
        // Another request's page under the same grant id is not the response of this one.
        Ask::Authorize | Ask::AuthorizeAgain(_) if !history.is_empty() => {
            must(matches!(decided.answer, Some(Answer::No(_))), fault)
        }
        _ => Silent,
    }
}

/// I18: no transition leaves revoked, denied or expired, by record time.
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

/// I19: a check that begins after a revocation was acknowledged does not accept the token.
fn i19(seen: &Seen<'_>) -> Verdict {
    match seen.leaving() {
        Some((actor, answer)) if actor.ask == Ask::Check && actor.began_revoked => {
            must(matches!(answer, Answer::No(_)), || {
                "a check that began after the revocation accepted the token".to_owned()
            })
        }
        _ => Silent,
    }
}

/// I20: tokens whose response leaves after an acknowledged revocation of their grant do not
/// validate. The same holds for a revocation of their client or user, for grants whose consent page
/// was made before it. A request that has read a raised epoch does not advance such a grant.
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
