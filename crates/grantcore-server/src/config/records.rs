//! The settings of the audit log and of balances.

use std::time::Duration;

use clap::{ArgAction, Args};

/// How the audit log is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Audit log")]
#[expect(clippy::struct_field_names, reason = "they are named like their flags")]
pub(crate) struct Records {
    /// How long the events of the audit log are kept.
    ///
    /// Each step of each flow is an event, with the response that was sent, and never with a
    /// secret. A case that is older cannot be traced. `memory:` keeps at most the latest 10,000
    /// events; Redis keeps about 200,000 of known clients, users and the operator, and 50,000 of
    /// others.
    #[arg(long, env = "GRANTCORE_AUDIT_RETENTION", value_name = "DURATION")]
    #[arg(default_value = "90d", value_parser = super::some_seconds)]
    pub(crate) audit_retention: Duration,

    /// The largest number of events that are kept; a million takes about a gigabyte.
    ///
    /// Beyond it, the oldest refusals that belong to no known client or user are dropped first. Of
    /// such refusals, the first 20 of each reason and minute are kept one by one, and at most 300
    /// of all reasons; the others are counted in one row for each reason and minute. For `memory:`
    /// and Redis, --audit-retention names the bound.
    #[arg(long, env = "GRANTCORE_AUDIT_EVENTS", value_name = "COUNT")]
    #[arg(default_value = "2000000", value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) audit_events: u64,

    /// Answer 503 if an event cannot be recorded.
    ///
    /// Every response then waits until its event is on the disk. Nothing is written without a place
    /// in the audit log, so a request that is refused for this reason can be sent again. If the
    /// database fails between the two writes, the response is withheld although the request took
    /// effect. Set a --replay-window, or the repeated refresh ends the grant.
    #[arg(long, env = "GRANTCORE_AUDIT_FAIL_CLOSED", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) audit_fail_closed: bool,
}

/// What calls cost: one unit each of the user's balance, which all applications share.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Balance")]
pub(crate) struct Balances {
    /// The balance of a new account. A call of the API or of a tool costs one unit; with an empty
    /// balance it is answered 402.
    ///
    /// Existing accounts keep their balance.
    #[arg(long, env = "GRANTCORE_OPENING_BALANCE", value_name = "COUNT")]
    #[arg(default_value = "1000")]
    pub(crate) opening_balance: u64,

    /// The balance below which responses carry a warning; 0 turns the warning off.
    #[arg(long, env = "GRANTCORE_LOW_BALANCE", value_name = "COUNT")]
    #[arg(default_value = "10")]
    pub(crate) low_balance: u64,
}
