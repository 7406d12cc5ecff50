//! The server's settings: each a flag and an environment variable, each parsed into a type that
//! cannot hold nonsense.
//!
//! What lives here: names, defaults, units, what each setting is for and what it costs; the doc
//! comments of the fields are the text of `--help`. What never does: the laws between lifetimes,
//! which the library's policy knows and checks, and the opening of anything that is named here.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

mod accounts;
mod authorization;
mod clients;
mod database;
mod issuer;
mod network;
mod records;
#[cfg(test)]
mod tests;

pub(crate) use self::accounts::{AccountsFile, Command};
pub(crate) use self::authorization::Authorization;
pub(crate) use self::clients::{Clients, GrantType, Switch};
pub(crate) use self::database::{Address, Database};
pub(crate) use self::issuer::{Issuer, IssuerError};
pub(crate) use self::network::{AllowedHost, Network};
pub(crate) use self::records::{Balances, Records};
use crate::telemetry::LogFormat;

const EXAMPLES: &str = "\
Durations are whole numbers with units, added up: 90s, 10m, 1h 30m, 30d.
A flag wins over its environment variable.

Examples:
  Try it on this machine, as user alice (password alice) or bob (password bob):
    grantcore-server

  The same, forgetting everything at exit, on a port of its own:
    grantcore-server --database memory: --listen 127.0.0.1:9000

  Behind a reverse proxy that ends TLS for auth.example.com:
    grantcore-server hash-password     (for a line NAME:HASH of the accounts' file)
    grantcore-server --issuer https://auth.example.com --accounts /etc/grantcore/accounts \\
        --trusted-proxies 127.0.0.1 --database sqlite:/var/lib/grantcore/grants.sqlite \\
        --log-format json

  Two or more of them behind it, on one database:
    GRANTCORE_DATABASE=postgres://auth:PASSWORD@db.internal/auth \\
        grantcore-server --issuer https://auth.example.com --accounts /etc/grantcore/accounts \\
        --trusted-proxies 10.0.0.7 --listen 10.0.0.8:8080

  Under a path of a host that has other things too:
    grantcore-server --issuer https://example.com/auth --accounts /etc/grantcore/accounts \\
        --trusted-proxies 127.0.0.1

  Shorter-lived access, and a second chance for clients whose answers get lost:
    GRANTCORE_ACCESS_LIFETIME=10m GRANTCORE_REPLAY_WINDOW=20s grantcore-server";

/// An OAuth 2.1 authorization server, with two protected resources to try it on.
#[derive(Debug, Clone, Parser)]
#[command(name = "grantcore-server", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Config {
    /// The address and port to answer on, in plain HTTP; port 0 takes a free one.
    ///
    /// Keep it on this machine and let a reverse proxy speak TLS to the world.
    #[arg(long, env = "GRANTCORE_LISTEN", value_name = "IP:PORT")]
    #[arg(help_heading = "Place", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub(crate) listen: SocketAddr,

    /// The address that clients and browsers use [default: http:// and what --listen says].
    ///
    /// The server's name in every document, token answer and redirect; clients compare it byte for
    /// byte and file their registrations under it, so changing it disconnects them all. An
    /// https origin, with a path if the server has no host name of its own, without a slash at
    /// the end; http only for this machine. A proxy in front passes the path through, and
    /// `/.well-known/oauth-authorization-server` and `/.well-known/oauth-protected-resource` with
    /// all that is below them.
    #[arg(long, env = "GRANTCORE_ISSUER", value_name = "URL")]
    #[arg(help_heading = "Place")]
    pub(crate) issuer: Option<Issuer>,

    /// Where clients, grants, accounts and the trail are kept.
    ///
    /// `sqlite:PATH`: one file, made if missing. Keeps what it acknowledged, over a power loss
    /// too.
    ///
    /// `memory:`: nothing is there after a restart.
    ///
    /// `postgres://USER:PASSWORD@HOST/NAME`: keeps what it acknowledged; over a failover too, if
    /// commits wait for the replica. It speaks no TLS: keep the way to it private.
    ///
    /// `redis://HOST:PORT`, `rediss://HOST:PORT` with TLS, `redis-cluster://HOST:PORT,HOST:PORT`:
    /// keeps what it acknowledged with `appendonly yes`, over a power loss with `appendfsync
    /// always`, and never surely over a failover. Of the trail it keeps about the latest
    /// 200,000 events.
    ///
    /// Losing it disconnects every application. It holds digests of tokens, never tokens. Several
    /// servers of one --issuer may share any but `memory:`; a browser is logged in at one of
    /// them only. Others on this machine can see a command line: give a password by the
    /// variable.
    #[arg(long, env = "GRANTCORE_DATABASE", hide_env_values = true, value_name = "URL")]
    #[arg(help_heading = "Place", default_value = "sqlite:grantcore.sqlite", value_parser = database::Reader)]
    pub(crate) database: Database,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) accounts: AccountsFile,

    #[command(flatten)]
    pub(crate) network: Network,

    #[command(flatten)]
    pub(crate) clients: Clients,

    #[command(flatten)]
    pub(crate) authorization: Authorization,

    #[command(flatten)]
    pub(crate) lifetimes: Lifetimes,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) balances: Balances,

    #[command(flatten)]
    pub(crate) records: Records,

    /// How log lines look: `text` for people, `json` for machines, one object per line.
    #[arg(long, env = "GRANTCORE_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(help_heading = "Log", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// What is logged: `LEVEL` or `TARGET=LEVEL`, separated by commas.
    ///
    /// No line of this server's own holds a query, a header or a body. At `debug` and below, lines
    /// of the libraries under it may show what users send to tools.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", help_heading = "Log")]
    #[arg(default_value = "info,rmcp=warn")]
    pub(crate) log: String,
}

/// How long things live.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Lifetimes")]
pub(crate) struct Lifetimes {
    /// How long an access token works.
    ///
    /// Revoking ends it at once; this bounds the use of one that leaks unnoticed. Shorter costs
    /// more refreshes.
    #[arg(long, env = "GRANTCORE_ACCESS_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "1h", value_parser = seconds)]
    pub(crate) access_lifetime: Duration,

    /// How long an authorization code waits to be redeemed; at most 10m.
    ///
    /// Clients redeem within seconds. Longer only serves whoever finds a code in a browser's
    /// history.
    #[arg(long, env = "GRANTCORE_CODE_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "10m", value_parser = seconds)]
    pub(crate) code_lifetime: Duration,

    /// How long the consent page waits for its answer; after that it must be reloaded.
    #[arg(long, env = "GRANTCORE_CONSENT_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "10m", value_parser = seconds)]
    pub(crate) consent_lifetime: Duration,

    /// How long an application may stay away before it has to ask the user again.
    ///
    /// Counted from its last refresh.
    #[arg(long, env = "GRANTCORE_REFRESH_IDLE", value_name = "DURATION")]
    #[arg(default_value = "30d", value_parser = seconds)]
    pub(crate) refresh_idle: Duration,

    /// How long a grant lives at most, however busy the application is.
    ///
    /// Counted from the user's consent; no refresh extends it.
    #[arg(long, env = "GRANTCORE_REFRESH_ABSOLUTE", value_name = "DURATION")]
    #[arg(default_value = "180d", value_parser = seconds)]
    pub(crate) refresh_absolute: Duration,

    /// How long a used refresh token yields its own successor again, instead of ending the grant;
    /// 0s is never.
    ///
    /// Saves users a new authorization when an answer is lost or two processes refresh at once.
    /// Costs: a thief who refreshes within this time of the victim, every time, stays unseen.
    /// At most --access-lifetime, and shorter than --refresh-idle; below the clients'
    /// time-outs, some 20s, it is of no use.
    #[arg(long, env = "GRANTCORE_REPLAY_WINDOW", value_name = "DURATION")]
    #[arg(default_value = "0s", value_parser = seconds)]
    pub(crate) replay_window: Duration,

    /// How long a client that registered itself, or is known by a document, is remembered without
    /// being used.
    ///
    /// One that a user has connected is kept at least as long as the connection.
    #[arg(long, env = "GRANTCORE_UNUSED_CLIENT_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "24h", value_parser = seconds)]
    pub(crate) unused_client_lifetime: Duration,

    /// How long a user stays logged in to this server in one browser.
    ///
    /// Applications that are connected already do not notice its end.
    #[arg(long, env = "GRANTCORE_SESSION_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "12h", value_parser = some_seconds)]
    pub(crate) session_lifetime: Duration,
}

/// How much anyone may ask for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Token requests per minute, client id and network address, or what --rate-key says; more are
    /// answered 429 with `Retry-After`.
    ///
    /// Users of one product may share a client id, and an address: allow for all of them, or choose
    /// another key.
    #[arg(long, env = "GRANTCORE_RATE_LIMIT", value_name = "COUNT")]
    #[arg(default_value = "60")]
    pub(crate) rate_limit: NonZeroU32,

    /// What token requests share the limit of --rate-limit.
    ///
    /// `client-and-source` goes by the network address, which behind a reverse proxy is the proxy's,
    /// unless --trusted-proxies names it. With `client`, anybody can use up the limit of a client
    /// that has no secret. A client id is often shared by all users of a product, always where it
    /// is known by a document: `client-and-grant` gives each of their connections a limit, and
    /// whoever makes tokens up has none.
    #[arg(long, env = "GRANTCORE_RATE_KEY", value_name = "KEY")]
    #[arg(default_value = "client-and-source")]
    pub(crate) rate_key: RateKey,

    /// Failed client authentications per minute and client id, before even a right secret is
    /// answered 429.
    ///
    /// Lower stops guessing sooner, and lets strangers lock a client out more cheaply.
    #[arg(long, env = "GRANTCORE_AUTH_FAILURES", value_name = "COUNT")]
    #[arg(default_value = "10")]
    pub(crate) auth_failures: NonZeroU32,

    /// Registrations and their updates per minute and network address; more are answered 429 with
    /// `Retry-After`.
    ///
    /// Many users share an address, and behind a reverse proxy all of them do.
    #[arg(long, env = "GRANTCORE_REGISTRATION_RATE", value_name = "COUNT")]
    #[arg(default_value = "300")]
    pub(crate) registration_rate: NonZeroU32,

    /// Consent pages per minute and user; more are a page with 429.
    ///
    /// Any site can have a signed-in browser open them, and each is kept for an hour. Above 450, a
    /// flood of them can hide a user's connected apps.
    #[arg(long, env = "GRANTCORE_CONSENT_RATE", value_name = "COUNT")]
    #[arg(default_value = "450")]
    pub(crate) consent_rate: NonZeroU32,
}

/// What token requests share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateKey {
    Client,
    ClientAndGrant,
    ClientAndSource,
}

impl From<RateKey> for grantcore::RateKey {
    fn from(key: RateKey) -> Self {
        match key {
            RateKey::Client => Self::Client,
            RateKey::ClientAndGrant => Self::ClientAndGrant,
            RateKey::ClientAndSource => Self::ClientAndSource,
        }
    }
}

impl Config {
    /// The issuer: the one given, or else the address that `bound`, the listening socket, has.
    ///
    /// Fails if none was given and `bound` can be reached from other machines, where plain HTTP
    /// would show every token.
    pub(crate) fn issuer_at(&self, bound: SocketAddr) -> Result<Issuer, IssuerError> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None if bound.ip().is_loopback() => Issuer::of(&format!("http://{bound}")),
            None => Err(IssuerError::Missing(bound)),
        }
    }
}

fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address and port; write it like 127.0.0.1:8080 or [::1]:8080")
}

/// Seconds are what the protocol counts in: `expires_in` is a whole number of them.
fn seconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 90s, 10m, 1h 30m or 30d"))?;
    if duration.subsec_nanos() != 0 {
        return Err("must be whole seconds".to_owned());
    }
    Ok(duration)
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("must be at least 1s".to_owned()),
        duration => Ok(duration),
    }
}
