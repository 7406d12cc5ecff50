//! The settings of the audit log and of balances.

use std::time::Duration;

use clap::{ArgAction, Args};

/// How the audit log is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Audit log")]
#[expect(clippy::struct_field_names, reason = "they are named like their flags")]
pub(crate) struct Records {
    /// How long an event is kept in the audit log.
    ///
    /// Each step of each flow is an event, with the response that was sent and without any secret.
    /// An older case cannot be traced. `memory:` keeps at most the latest 10,000 events; Redis
    /// keeps about 200,000 of known clients, users and the operator, and 50,000 of others.
    #[arg(long, env = "GRANTCORE_AUDIT_RETENTION", value_name = "DURATION")]
    #[arg(default_value = "90d", value_parser = super::some_seconds)]
    pub(crate) audit_retention: Duration,

    /// How many events are kept in the audit log; a million takes about a gigabyte.
    ///
    /// If there are more, the oldest refusals that belong to no known client or user are dropped
    /// first. Such refusals can be many, so a minute has at most 20 of them for each reason, and
    /// 300 in all, as events of their own. The others are one event for each reason and minute,
    /// which counts them. `memory:` and Redis have other limits, which --audit-retention describes.
    #[arg(long, env = "GRANTCORE_AUDIT_EVENTS", value_name = "COUNT")]
    #[arg(default_value = "2000000", value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) audit_events: u64,

    /// Answer 503 if an event cannot be recorded.
    ///
    /// Each response then waits until its event is on the disk. A request without room for its
    /// event is refused before it takes effect, and can be sent again. If the database fails after
    /// the request took effect but before its event is stored, the response is withheld. Set a
    /// --replay-window then, or the next attempt of the client to refresh ends its connection.
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
    /// The balance of a new account: how many calls of the API and of tools it pays for. With an
    /// empty balance, a call is answered 402.
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
