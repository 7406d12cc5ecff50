//! The table of explorations: which requests race.

use crate::memory::Hint;
use crate::proof::{Proof, Proofs, Registered};
use crate::request::Ask::{
    self, Approve, Authorize, Check, CheckWrite, Deny, EndMemory, Judge, Narrow, RaiseAccount,
    RaiseClient, Revoke,
};
use crate::request::{Flaw, Judgment, Which};

/// One row: the preparation, the racing requests, and the faults.
pub struct Scenario {
    pub name: &'static str,
    /// The requests before the race, one after the other and without a fault.
    pub before: &'static [Ask],
    /// The racing requests. Each begins at any time once the clients hold its credential.
    pub racers: &'static [Ask],
    /// The client, and the proofs of all requests in their order.
    pub proofs: Proofs,
    /// The possible moves of the clock in seconds, and their largest number.
    pub clock: (&'static [i64], u8),
    /// The largest number of faults in one run.
    pub faults: u8,
    /// The replay windows in seconds, each with the smallest number of states that is expected.
    pub floors: &'static [(u64, usize)],
}

pub const REDEEM: Ask = Ask::Redeem(Flaw::None);
const AGAIN: Ask = Ask::AuthorizeAgain(Hint::Asked);
const CHAINED: Ask = Ask::AuthorizeAgain(Hint::Silent);
pub const FIRST: Ask = Ask::Refresh(Which::First, Flaw::None);
pub const NEWEST: Ask = Ask::Refresh(Which::Newest, Flaw::None);

/// A refresh with the first token that asks for the scope token `write` alone.
const WRITE: Ask = Ask::Refresh(Which::First, Flaw::AsksToWrite);

const PAGE: &[Ask] = &[Authorize];
pub const CODE: &[Ask] = &[Authorize, Approve];
pub const TOKENS: &[Ask] = &[Authorize, Approve, REDEEM];
pub const ROTATED: &[Ask] = &[Authorize, Approve, REDEEM, FIRST];

/// Moves to the expiry of a consent page or code, a bit back, and both.
const EXPIRY: &[i64] = &[600, -5];
/// Moves to the end of a remembered consent, a bit back, and both.
const FORGOTTEN: &[i64] = &[300, -5];
/// Moves to the end of a window, a bit back, and both.
pub const WINDOW: &[i64] = &[30, -5];

pub const fn race(
    name: &'static str,
    before: &'static [Ask],
    racers: &'static [Ask],
    floors: &'static [(u64, usize)],
) -> Scenario {
    Scenario { name, before, racers, proofs: Proofs::NONE, clock: (&[], 0), faults: 2, floors }
}

impl Scenario {
    pub const fn clock(self, moves: &'static [i64], times: u8) -> Self {
        Self { clock: (moves, times), ..self }
    }

    pub const fn faults(self, faults: u8) -> Self {
        Self { faults, ..self }
    }

    /// Has this client, and these proofs of its requests.
    pub const fn proved(self, client: Registered, of: &'static [Proof]) -> Self {
        Self { proofs: Proofs { client, of }, ..self }
    }
}

pub static SCENARIOS: &[Scenario] = &[
    // One consent page, which has no window. All pages of the model get the same grant id.
    race("authorize || authorize", &[], &[Authorize, Authorize], &[(0, 1_900)]),
    race("approve || approve", PAGE, &[Approve, Approve], &[(0, 9_200)]).clock(EXPIRY, 1),
    race("approve || deny", PAGE, &[Approve, Deny], &[(0, 9_200)]).clock(EXPIRY, 1),
    race("deny || deny", PAGE, &[Deny, Deny], &[(0, 9_100)]).clock(EXPIRY, 1),
    race(
        "approve || deny, then redeem",
        PAGE,
        &[Approve, Deny, REDEEM],
        &[(0, 3_400), (30, 3_400)],
    ),
    // One code.
    race("redeem || redeem", CODE, &[REDEEM, REDEEM], &[(0, 24_000), (30, 24_000)])
        .clock(EXPIRY, 1),
    race("redeem || redeem || check", CODE, &[REDEEM, REDEEM, Check], &[(0, 5_900), (30, 5_900)]),
    race(
        "redeem || redeem, then refresh",
        CODE,
        &[REDEEM, REDEEM, NEWEST],
        &[(0, 12_000), (30, 11_000)],
    ),
    race(
        "redeem || wrong verifier",
        CODE,
        &[REDEEM, Ask::Redeem(Flaw::Verifier)],
        &[(0, 760), (30, 760)],
    ),
    race(
        "redeem || wrong client",
        CODE,
        &[REDEEM, Ask::Redeem(Flaw::Client)],
        &[(0, 760), (30, 760)],
    ),
    race(
        "redeem || wrong redirect URI",
        CODE,
        &[REDEEM, Ask::Redeem(Flaw::Redirect)],
        &[(0, 760), (30, 760)],
    ),
    // One family of refresh tokens.
    race("refresh || the same refresh", TOKENS, &[FIRST, FIRST], &[(0, 26_000), (30, 17_000)])
        .clock(WINDOW, 1),
    race(
        "refresh || refresh with the old token",
        ROTATED,
        &[NEWEST, FIRST],
        &[(0, 78_000), (30, 66_000)],
    )
    .clock(WINDOW, 2),
    race("three tabs, one goes on", TOKENS, &[FIRST, FIRST, NEWEST], &[(0, 65_000), (30, 85_000)])
        .clock(&[30], 1)
        .faults(1),
    race("refresh || check", TOKENS, &[FIRST, Check], &[(0, 3_700), (30, 2_500)]).clock(WINDOW, 1),
    race(
        "refresh || a forged one",
        TOKENS,
        &[FIRST, Ask::Refresh(Which::First, Flaw::Family)],
        &[(0, 760), (30, 520)],
    ),
    race(
        "refresh || another client's",
        ROTATED,
        &[NEWEST, Ask::Refresh(Which::First, Flaw::Client)],
        &[(0, 760), (30, 520)],
    ),
    // Revocation: by a replay, or of the client or the account.
    race("refresh || the code again", TOKENS, &[FIRST, REDEEM], &[(0, 18_000), (30, 17_000)])
        .clock(WINDOW, 1),
    race(
        "refresh || the code again || check",
        TOKENS,
        &[FIRST, REDEEM, Check],
        &[(0, 22_000), (30, 19_000)],
    ),
    race(
        "refresh || old token || check",
        ROTATED,
        &[FIRST, NEWEST, Check],
        &[(0, 17_000), (30, 14_000)],
    )
    .clock(&[30], 1)
    .faults(1),
    race(
        "refresh || revoke with the old token",
        ROTATED,
        &[NEWEST, Revoke],
        &[(0, 17_000), (30, 18_000)],
    )
    .clock(WINDOW, 1),
    race(
        "refresh || revoke || check",
        TOKENS,
        &[FIRST, Revoke, Check],
        &[(0, 20_000), (30, 17_000)],
    ),
    race(
        "the code again || revoke || check",
        TOKENS,
        &[REDEEM, Revoke, Check],
        &[(0, 12_000), (30, 12_000)],
    ),
    race(
        "refresh || client ended || check",
        TOKENS,
        &[FIRST, RaiseClient, Check],
        &[(0, 4_700), (30, 3_300)],
    ),
    race(
        "refresh || account ended || check",
        TOKENS,
        &[FIRST, RaiseAccount, Check],
        &[(0, 4_700), (30, 3_300)],
    ),
    race(
        "redeem || client ended || check",
        CODE,
        &[REDEEM, RaiseClient, Check],
        &[(0, 480), (30, 480)],
    ),
    race(
        "redeem || account ended || check",
        CODE,
        &[REDEEM, RaiseAccount, Check],
        &[(0, 480), (30, 480)],
    ),
    race(
        "approve || client ended, then redeem",
        PAGE,
        &[Approve, RaiseClient, REDEEM],
        &[(0, 840), (30, 840)],
    ),
    race(
        "authorize || account ended, to tokens",
        &[],
        &[Authorize, RaiseAccount, Approve, REDEEM],
        &[(0, 1_800), (30, 1_800)],
    ),
    // The user narrows the grant, and the host decides about it when it is refreshed.
    race(
        "refresh || narrow || check",
        TOKENS,
        &[FIRST, Narrow, CheckWrite],
        &[(0, 3_400), (30, 3_100)],
    )
    .faults(1),
    race(
        "refresh || the same refresh || narrow",
        TOKENS,
        &[FIRST, FIRST, Narrow],
        &[(0, 11_000), (30, 6_900)],
    )
    .faults(1),
    race(
        "refresh to write || the same refresh || narrow",
        TOKENS,
        &[WRITE, WRITE, Narrow],
        &[(0, 9_000), (30, 5_300)],
    )
    .faults(1),
    race(
        "refresh to write || the same refresh || the host narrows",
        TOKENS,
        &[WRITE, WRITE, Judge(Judgment::Read)],
        &[(0, 2_800), (30, 2_200)],
    )
    .faults(1),
    race("redeem || narrow", CODE, &[REDEEM, Narrow, CheckWrite], &[(0, 490), (30, 490)]).faults(1),
    race(
        "refresh || the host narrows || narrow",
        TOKENS,
        &[FIRST, Judge(Judgment::Read), Narrow],
        &[(0, 2_700), (30, 2_600)],
    )
    .faults(1),
    race(
        "refresh || the host narrows || check",
        TOKENS,
        &[FIRST, Judge(Judgment::Read), CheckWrite],
        &[(0, 4_200), (30, 2_600)],
    ),
    race(
        "refresh || the host ends || check",
        TOKENS,
        &[FIRST, Judge(Judgment::End), Check],
        &[(0, 4_500), (30, 4_000)],
    ),
    race(
        "refresh || the same refresh || the host ends",
        TOKENS,
        &[FIRST, FIRST, Judge(Judgment::End)],
        &[(0, 15_000), (30, 17_000)],
    )
    .clock(&[30], 1)
    .faults(1),
    race(
        "refresh || old token || the host ends",
        ROTATED,
        &[FIRST, NEWEST, Judge(Judgment::End)],
        &[(0, 11_000), (30, 13_000)],
    )
    .clock(&[30], 1)
    .faults(1),
    race(
        "refresh || the host leaves nothing",
        TOKENS,
        &[FIRST, Judge(Judgment::Nothing)],
        &[(0, 480), (30, 440)],
    ),
    race(
        "refresh || the host names a past end",
        TOKENS,
        &[FIRST, Judge(Judgment::Past)],
        &[(0, 480), (30, 440)],
    ),
    race(
        "a forged refresh || the host ends",
        TOKENS,
        &[Ask::Refresh(Which::First, Flaw::Family), Judge(Judgment::End)],
        &[(0, 21), (30, 21)],
    ),
    race(
        "a refresh beyond the grant || the host ends",
        TOKENS,
        &[Ask::Refresh(Which::First, Flaw::Scope), Judge(Judgment::End)],
        &[(0, 21), (30, 21)],
    ),
    race(
        "another client's refresh || the host ends",
        TOKENS,
        &[Ask::Refresh(Which::First, Flaw::Client), Judge(Judgment::End)],
        &[(0, 21), (30, 21)],
    ),
    // No consent page, because an earlier grant is remembered.
    race("authorize again || authorize again", &[], &[AGAIN, AGAIN], &[(0, 16_000)])
        .clock(FORGOTTEN, 1),
    race("authorize || authorize again", &[], &[Authorize, AGAIN], &[(0, 2_200)]),
    race("authorize again, then redeem", &[], &[AGAIN, REDEEM], &[(0, 5_600)]).clock(FORGOTTEN, 2),
    race(
        "authorize again || memory ended",
        &[],
        &[AGAIN, EndMemory, REDEEM],
        &[(0, 1_170), (30, 1_170)],
    ),
    race(
        "the silent code twice || memory ended",
        &[AGAIN],
        &[REDEEM, REDEEM, EndMemory],
        &[(0, 33_000)],
    ),
    race(
        "authorize again || account ended, then redeem",
        &[],
        &[AGAIN, RaiseAccount, REDEEM],
        &[(0, 1_300)],
    ),
    race(
        "authorize again || client ended, then redeem",
        &[],
        &[AGAIN, RaiseClient, REDEEM],
        &[(0, 1_300)],
    ),
    race("memory of memory, approved, to tokens", &[], &[CHAINED, Approve, REDEEM], &[(0, 420)]),
];
