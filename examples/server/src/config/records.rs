//! What is kept of what happened, and what calls cost.

use std::time::Duration;

use clap::Args;

/// What is kept of what happened.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trail")]
pub(crate) struct Records {
    /// How long events are kept: each step of each flow, with what was answered, and never a
    /// secret.
    ///
    /// A case older than this cannot be traced. In `memory:` at most the latest 10,000 are kept,
    /// in Redis about 200,000.
    #[arg(long, env = "GRANTCORE_TRAIL_RETENTION", value_name = "DURATION")]
    #[arg(default_value = "90d", value_parser = super::some_seconds)]
    pub(crate) trail_retention: Duration,

    /// Answer 503 instead of what was decided if its event cannot be kept.
    ///
    /// Every answer then waits for its event to be on the disk. What was decided is on the disk
    /// too by then: give clients a --replay-window, or a refresh whose answer was withheld
    /// ends the grant.
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
