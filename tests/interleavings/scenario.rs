//! Who races whom: the table of explorations.

use crate::request::Ask::{self, Approve, Authorize, Check, Deny, RaiseAccount, RaiseClient};
use crate::request::{Flaw, Which};

/// One row: what has happened, who then races, and what else may go wrong.
pub struct Scenario {
    pub name: &'static str,
    /// Done one after the other, without a fault.
    pub before: &'static [Ask],
    /// Begin whenever they like, once the clients hold what they present.
    pub racers: &'static [Ask],
    /// How the clock may move, in seconds, and how often.
    pub ticks: &'static [i64],
    pub moves_of_clock: u8,
    /// How many faults one run may have.
    pub faults: u8,
    /// States that are there at least, without and with a replay window.
    pub floors: [usize; 2],
}

/// The replay windows, in seconds: none, and one.
pub const WINDOWS: [u64; 2] = [0, 30];

const REDEEM: Ask = Ask::Redeem(Flaw::None);
const FIRST: Ask = Ask::Refresh(Which::First, Flaw::None);
const NEWEST: Ask = Ask::Refresh(Which::Newest, Flaw::None);

const PAGE: &[Ask] = &[Authorize];
const CODE: &[Ask] = &[Authorize, Approve];
const TOKENS: &[Ask] = &[Authorize, Approve, REDEEM];
const ROTATED: &[Ask] = &[Authorize, Approve, REDEEM, FIRST];

/// To and back from the end of a consent page or code.
const EXPIRY: &[i64] = &[600, -5];
/// To the end of the window, a little on, a little back.
const WINDOW: &[i64] = &[30, 5, -5];

const fn race(name: &'static str, before: &'static [Ask], racers: &'static [Ask]) -> Scenario {
    Scenario { name, before, racers, ticks: &[], moves_of_clock: 0, faults: 2, floors: [1, 1] }
}

impl Scenario {
    const fn clock(self, ticks: &'static [i64], moves_of_clock: u8) -> Self {
        Self { ticks, moves_of_clock, ..self }
    }

    const fn faults(self, faults: u8) -> Self {
        Self { faults, ..self }
    }

    const fn states(self, floors: [usize; 2]) -> Self {
        Self { floors, ..self }
    }
}

pub static SCENARIOS: &[Scenario] = &[
    // One consent page. All pages of the model are drawn the same grant id.
    race("authorize || authorize", &[], &[Authorize, Authorize]).clock(EXPIRY, 1).states([1, 1]),
    race("approve || approve", PAGE, &[Approve, Approve]).clock(EXPIRY, 2).states([1, 1]),
    race("approve || deny", PAGE, &[Approve, Deny]).clock(EXPIRY, 2).states([1, 1]),
    race("deny || deny", PAGE, &[Deny, Deny]).clock(EXPIRY, 2).states([1, 1]),
    race("approve || deny, then redeem", PAGE, &[Approve, Deny, REDEEM]).faults(1).states([1, 1]),
    // One code.
    race("redeem || redeem", CODE, &[REDEEM, REDEEM]).clock(EXPIRY, 2).states([1, 1]),
    race("redeem || redeem || check", CODE, &[REDEEM, REDEEM, Check]).faults(1).states([1, 1]),
    race("redeem || wrong verifier", CODE, &[REDEEM, Ask::Redeem(Flaw::Verifier)]).states([1, 1]),
    race("redeem || wrong client", CODE, &[REDEEM, Ask::Redeem(Flaw::Client)]).states([1, 1]),
    race("redeem || wrong redirect", CODE, &[REDEEM, Ask::Redeem(Flaw::Redirect)]).states([1, 1]),
    // One family of refresh tokens.
    race("refresh || same refresh", TOKENS, &[FIRST, FIRST]).clock(WINDOW, 2).states([1, 1]),
    race("refresh || refresh with the old token", ROTATED, &[NEWEST, FIRST]).clock(WINDOW, 2).states([1, 1]),
    race("three tabs, one goes on", TOKENS, &[FIRST, FIRST, NEWEST]).clock(WINDOW, 1).faults(1).states([1, 1]),
    race("refresh || check", TOKENS, &[FIRST, Check]).clock(WINDOW, 1).states([1, 1]),
    race("refresh || forged refresh", TOKENS, &[FIRST, Ask::Refresh(Which::First, Flaw::Family)]).states([1, 1]),
    race("refresh || another client's", ROTATED, &[NEWEST, Ask::Refresh(Which::First, Flaw::Client)]).states([1, 1]),
    // Revocation.
    race("refresh || code again", TOKENS, &[FIRST, REDEEM]).clock(WINDOW, 1).states([1, 1]),
    race("refresh || code again || check", TOKENS, &[FIRST, REDEEM, Check]).faults(1).states([1, 1]),
    race("old refresh || check", ROTATED, &[FIRST, NEWEST, Check]).clock(&[30], 1).faults(1).states([1, 1]),
    race("refresh || client ended || check", TOKENS, &[FIRST, RaiseClient, Check]).faults(1).states([1, 1]),
    race("refresh || account ended || check", TOKENS, &[FIRST, RaiseAccount, Check]).faults(1).states([1, 1]),
    race("redeem || client ended || check", CODE, &[REDEEM, RaiseClient, Check]).faults(1).states([1, 1]),
    race("redeem || account ended || check", CODE, &[REDEEM, RaiseAccount, Check]).faults(1).states([1, 1]),
    race("approve || client ended, then redeem", PAGE, &[Approve, RaiseClient, REDEEM]).faults(1).states([1, 1]),
    race("authorize || account ended, to tokens", &[], &[Authorize, RaiseAccount, Approve, REDEEM]).faults(1).states([1, 1]),
];
