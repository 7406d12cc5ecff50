//! The library's own races, end to end on the store: what comes of requests that cannot all win.

use std::collections::BTreeSet;

use super::harness::{Harness, at_once};
use super::host::{Answer, Host, client_on, code_in};
use super::records::new_subject;
use super::{Law, Violation};
use crate::request::consent::Choice;

const ROUNDS: usize = 12;

/// Checks that one of several simultaneous redemptions of one code yields tokens, and that the
/// others revoke them (I6, I8).
///
/// # Errors
/// The first [`Violation`].
pub fn a_code_is_redeemed_once<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    let hosts = Host::open_many(harness, 4, 0)?;
    let witness = Host::open(harness, 0)?;
    for _ in 0..ROUNDS {
        let code = witness.code(&client, new_subject()?.as_str())?;
        let answers = at_once(&hosts, |host| host.redeem(&client, &code))?;
        let tokens = Answer::pairs(&answers);
        Law::OneRedemption.holds(tokens.len() == 1, || {
            format!("{} redemptions of one code were answered {answers:?}", hosts.len())
        })?;
        // Without a refusal there was no replay.
        if answers.iter().any(|answer| matches!(answer, Answer::Refused(_))) {
            witness.all_dead(Law::OneRedemption, &client, &tokens, "a code was replayed")?;
        }
    }
    Ok(())
}

/// Checks what several simultaneous refreshes with one token yield: without a replay window one
/// successor, and the replays revoke the family; within it the same successor for all, and the
/// family lives on (I10, I11, I14).
///
/// # Errors
/// The first [`Violation`].
pub fn a_refresh_token_has_one_successor<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    for window in [0, 600] {
        let hosts = Host::open_many(harness, 4, window)?;
        let witness = Host::open(harness, window)?;
        for _ in 0..ROUNDS {
            let first = witness.first_pair(&client, new_subject()?.as_str())?;
            let answers = at_once(&hosts, |host| host.refresh(&client, &first.refresh))?;
            let observed =
                || format!("replay window {window}: refreshes with one token returned {answers:?}");
            let tokens = Answer::pairs(&answers);
            let distinct: BTreeSet<_> = tokens.iter().copied().collect();
            Law::OneSuccessor.holds(distinct.len() == 1, observed)?;
            if window == 0 {
                Law::OneSuccessor.holds(tokens.len() == 1, observed)?;
                let all: Vec<_> = tokens.into_iter().chain([&first]).collect();
                witness.all_dead(Law::Revoked, &client, &all, "a refresh token was replayed")?;
            } else {
                let are_retries = answers
                    .iter()
                    .all(|answer| matches!(answer, Answer::Tokens(_) | Answer::Unavailable));
                Law::OneSuccessor.holds(are_retries, observed)?;
                witness.all_alive(&client, &distinct)?;
            }
        }
    }
    Ok(())
}

/// Checks that no token of a grant works at any handle once its revocation is acknowledged, those
/// included that were issued at the same moment: for the revocation endpoint and for
/// [`revoke_user`](crate::Server::revoke_user) (I12, I19).
///
/// # Errors
/// The first [`Violation`].
pub fn revoked_grants_stay_revoked<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    for window in [0, 600] {
        let hosts = Host::open_many(harness, 5, window)?;
        let witness = Host::open(harness, window)?;
        for round in 0..ROUNDS {
            revoke_one(&hosts, &witness, &client, round % 3 < 2)?;
        }
    }
    Ok(())
}

/// Revokes one grant, by its client or with all grants of its user, while it is refreshed.
fn revoke_one<H: Harness>(
    hosts: &[Host<'_, H>],
    witness: &Host<'_, H>,
    client: &str,
    by_client: bool,
) -> Result<(), Violation> {
    let subject = new_subject()?;
    let subject = subject.as_str();
    let first = witness.first_pair(client, subject)?;
    // Each handle reads it before, so that a cache has it.
    for host in hosts {
        Law::Fresh.holds(host.works(&first.access)?, || {
            "an access token does not work right after it was issued".to_owned()
        })?;
    }
    let revoke = |host: &Host<'_, H>| {
        if by_client { host.revoke(client, &first.refresh) } else { host.revoke_user(subject) }
    };
    let answers = at_once(hosts.iter().enumerate(), |(at, host)| match at {
        0 => revoke(host).map(|is_done| if is_done { None } else { Some(Answer::Unavailable) }),
        _ => host.refresh(client, &first.refresh).map(Some),
    })?;
    if answers.first().is_some_and(Option::is_some) {
        // It was refused as contended. Now nobody else writes.
        Law::Progress.holds(revoke(witness)?, || {
            "a revocation was refused as contended although nobody else wrote".to_owned()
        })?;
    }
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    let all: Vec<_> = Answer::pairs(&answers).into_iter().chain([&first]).collect();
    for host in hosts.iter().chain([witness]) {
        host.all_dead(Law::Revoked, client, &all, "a revocation was acknowledged")?;
    }
    Ok(())
}

/// Checks that of simultaneous `Allow` and `Deny` one counts, and that a denial yields no code
/// (I3).
///
/// # Errors
/// The first [`Violation`].
pub fn a_consent_page_is_answered_once<H: Harness>(harness: &H) -> Result<(), Violation> {
    let client = client_on(harness)?;
    let hosts = Host::open_many(harness, 4, 0)?;
    let witness = Host::open(harness, 0)?;
    for _ in 0..ROUNDS {
        let subject = new_subject()?;
        let subject = subject.as_str();
        let ticket = witness.page(&client, subject)?;
        let locations = at_once(hosts.iter().enumerate(), |(at, host)| {
            let choice = if at % 2 == 0 { Choice::Allow } else { Choice::Deny };
            host.consent(&ticket, subject, choice)
        })?;
        let locations: Vec<_> = locations.into_iter().flatten().collect();
        let codes: BTreeSet<_> =
            locations.iter().filter_map(|location| code_in(location)).collect();
        let is_denied = locations.iter().any(|location| location.contains("error=access_denied"));
        Law::OneAnswer.holds(codes.len() <= 1 && codes.is_empty() == is_denied, || {
            format!("Allow and Deny at once: {} codes, denied: {is_denied}", codes.len())
        })?;
        for code in &codes {
            let answer = witness.redeem(&client, code)?;
            Law::OneAnswer.holds(matches!(answer, Answer::Tokens(_)), || {
                format!("the code of an approval was answered {answer:?}")
            })?;
        }
    }
    Ok(())
}
