//! The explorations of clients that have keys.
//!
//! A thief holds the refresh tokens of the client, and not its key. It has at most an assertion that
//! the client made for another server, which names this token endpoint as its own (a weak proof).

use crate::proof::Proof::{self, None, Strong, Weak};
use crate::proof::Registered::{Either, Keys};
use crate::request::Ask::{Check, Revoke};
use crate::scenario::{CODE, FIRST, NEWEST, REDEEM, ROTATED, Scenario, TOKENS, WINDOW, race};

/// The proofs of the requests before the race: a redemption with a strong proof.
const PROVED: [Proof; 3] = [None, None, Strong];
/// The same, and a refresh.
const REFRESHED: [Proof; 4] = [None, None, Strong, Strong];

/// Returns the proofs of all requests: those of the preparation, then those of the race.
const fn then<const N: usize, const M: usize, const K: usize>(
    before: [Proof; N],
    racers: [Proof; M],
) -> [Proof; K] {
    let mut all = [None; K];
    let mut at = 0;
    while at < K {
        all[at] = if at < N { before[at] } else { racers[at - N] };
        at += 1;
    }
    all
}

pub static KEYED: &[Scenario] = &[
    race(
        "proved refresh || without proof || check",
        TOKENS,
        &[FIRST, FIRST, Check],
        &[(0, 1_100), (30, 900)],
    )
    .proved(Either, &then::<3, 3, 6>(PROVED, [Strong, None, None]))
    .faults(1),
    race(
        "proved refresh || weak proof || check",
        TOKENS,
        &[FIRST, FIRST, Check],
        &[(0, 1_500), (30, 1_250)],
    )
    .proved(Either, &then::<3, 3, 6>(PROVED, [Strong, Weak, None]))
    .faults(1),
    race(
        "proved refresh || old token without proof",
        ROTATED,
        &[NEWEST, FIRST],
        &[(0, 1_600), (30, 1_800)],
    )
    .proved(Either, &then::<4, 2, 6>(REFRESHED, [Strong, None]))
    .clock(WINDOW, 1)
    .faults(1),
    race(
        "proved refresh || old token with weak proof",
        ROTATED,
        &[NEWEST, FIRST],
        &[(0, 3_100), (30, 3_300)],
    )
    .proved(Either, &then::<4, 2, 6>(REFRESHED, [Strong, Weak]))
    .clock(WINDOW, 1)
    .faults(1),
    race(
        "proved refresh || revoke without proof",
        TOKENS,
        &[FIRST, Revoke, Check],
        &[(0, 1_100), (30, 900)],
    )
    .proved(Either, &then::<3, 3, 6>(PROVED, [Strong, None, None]))
    .faults(1),
    race(
        "proved refresh || revoke with weak proof",
        TOKENS,
        &[FIRST, Revoke, Check],
        &[(0, 1_500), (30, 1_250)],
    )
    .proved(Either, &then::<3, 3, 6>(PROVED, [Strong, Weak, None]))
    .faults(1),
    race("redeem with proof || without", CODE, &[REDEEM, REDEEM, Check], &[(0, 1_000)])
        .proved(Either, &[None, None, Strong])
        .faults(1),
    race("redeem with proof, then without", CODE, &[REDEEM, NEWEST], &[(0, 150), (30, 150)])
        .proved(Either, &[None, None, Strong]),
    race(
        "two tabs, one with proof, then without",
        TOKENS,
        &[FIRST, FIRST, NEWEST],
        &[(0, 12_000), (30, 8_500)],
    )
    .proved(Either, &[None, None, None, None, Strong])
    .faults(1),
    race(
        "three tabs, each with another proof",
        TOKENS,
        &[FIRST, FIRST, FIRST],
        &[(0, 11_500), (30, 10_000)],
    )
    .proved(Either, &[None, None, None, None, Weak, Strong])
    .faults(1),
    // A client that always proves itself.
    race("two tabs of a client with keys", TOKENS, &[FIRST, FIRST], &[(30, 8_700)])
        .proved(Keys, &then::<3, 2, 5>(PROVED, [Strong, Strong]))
        .clock(WINDOW, 1)
        .faults(1),
    race(
        "old token of a client with keys || check",
        ROTATED,
        &[FIRST, NEWEST, Check],
        &[(30, 31_000)],
    )
    .proved(Keys, &then::<4, 3, 7>(REFRESHED, [Strong, Strong, None]))
    .clock(&[30], 1)
    .faults(1),
    race(
        "refresh of a client with keys || without proof",
        ROTATED,
        &[NEWEST, FIRST, Check],
        &[(0, 6_300), (30, 7_300)],
    )
    .proved(Keys, &then::<4, 3, 7>(REFRESHED, [Strong, None, None]))
    .clock(&[30], 1)
    .faults(1),
];
