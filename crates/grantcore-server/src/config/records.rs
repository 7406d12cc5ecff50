//! What is kept of what happened, and what calls cost.

use std::time::Duration;

use clap::Args;

/// What is kept of what happened.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trail")]
#[expect(clippy::struct_field_names, reason = "they are named like their flags")]
pub(crate) struct Records {
    /// How long events are kept: each step of each flow, with what was answered, and never a
    /// secret.
    ///
    /// A case older than this cannot be traced. In `memory:` at most the latest 10,000 are kept,
    /// in Redis about 200,000 and 50,000 of strangers.
    #[arg(long, env = "GRANTCORE_TRAIL_RETENTION", value_name = "DURATION")]
    #[arg(default_value = "90d", value_parser = super::some_seconds)]
    pub(crate) trail_retention: Duration,

    /// How many events are kept at most, a gigabyte or so for each million.
    ///
    /// Where there are more, refusals that cannot be told whose they are go first, the oldest
    /// before the others. Of these, the first 20 of each reason and minute are kept one by one, and
    /// at most 300 of all; the rest is counted in one row for each reason and minute. In `memory:`
    /// and in Redis the bound is what --trail-retention says.
    #[arg(long, env = "GRANTCORE_TRAIL_EVENTS", value_name = "COUNT")]
    #[arg(default_value = "2000000", value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) trail_events: u64,

    /// Answer 503 if an event cannot be kept.
    ///
    /// Every answer then waits for its event to be on the disk, and nothing is written that has no
    /// place in the trail: a request that is refused for that can be sent again. If the database
    /// fails just between the two writes, the answer is withheld after the fact: give clients a
    /// --replay-window, or a refresh whose answer was withheld ends the grant.
    #[arg(long, env = "GRANTCORE_TRAIL_FAIL_CLOSED")]
    pub(crate) trail_fail_closed: bool,
}

/// What calls cost: one unit each of the user's one balance, whichever application makes them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Balance")]
pub(crate) struct Balances {
    /// What a new account has to spend. A call of the API or of a tool costs one, and without any
    /// is answered 402.
    ///
    /// Accounts that are there already keep what they have.
    #[arg(long, env = "GRANTCORE_OPENING_BALANCE", value_name = "COUNT")]
    #[arg(default_value = "1000")]
    pub(crate) opening_balance: u64,

    /// Below how many units calls are answered with a warning as well; 0 is never.
    #[arg(long, env = "GRANTCORE_LOW_BALANCE", value_name = "COUNT")]
    #[arg(default_value = "10")]
    pub(crate) low_balance: u64,
}
