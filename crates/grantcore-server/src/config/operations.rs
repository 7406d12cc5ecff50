//! The settings of those who operate the server: the metrics, the stop, and the protection of the
//! connection to the database.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

/// Metrics, and the stop of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Operation")]
pub(crate) struct Operation {
    /// The address and port of the metrics for Prometheus, at `/metrics`. Without it, nothing is
    /// measured.
    ///
    /// It is a listener of its own, and not a path of --listen: the metrics show how much the
    /// server is used and what fails, which helps an attacker, and a request for them takes longer
    /// than most. Keep it on this machine or in a private network. The table of the metrics is in
    /// docs/deploy.md.
    #[arg(long, env = "GRANTCORE_METRICS_LISTEN", value_name = "IP:PORT")]
    #[arg(value_parser = super::listen)]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// How long the server goes on accepting connections after SIGTERM.
    ///
    /// Meanwhile `/readyz` answers 503, so that a load balancer sends requests elsewhere. Then the
    /// port is closed. Open connections may send requests for one more second, and requests that
    /// have begun are answered within ten seconds. Ctrl-C skips this time, and a second signal ends
    /// the program at once.
    #[arg(long, env = "GRANTCORE_DRAIN", value_name = "DURATION")]
    #[arg(default_value = "5s", value_parser = super::seconds)]
    pub(crate) drain: Duration,
}

/// The protection of the connection to a database on another machine.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Place")]
pub(crate) struct DatabaseTls {
    /// A file with the certificate authorities (PEM) to trust when the database is called, in place
    /// of the system's.
    ///
    /// For PostgreSQL and Redis with TLS. The certificate must have the host name of the URL.
    #[arg(long, env = "GRANTCORE_DATABASE_AUTHORITY", value_name = "FILE")]
    pub(crate) database_authority: Option<PathBuf>,

    /// Connect to a Redis server on another machine without TLS (`redis://`).
    ///
    /// Anybody in the network between can then read and change grants. For PostgreSQL, write
    /// `sslmode=disable` in the URL instead.
    #[arg(long, env = "GRANTCORE_ALLOW_PLAINTEXT_REDIS", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) allow_plaintext_redis: bool,
}
