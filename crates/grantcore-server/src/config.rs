//! The server's settings. Each is a flag, an environment variable and a key of the file that
//! `--config` names, and is parsed into a type that has valid values only.
//!
//! Here: names, defaults, units, and what each setting is for and costs. The doc comments of the
//! fields are the text of `--help`. Never here: rules between lifetimes, which the library's policy
//! checks, and the opening of files, databases or sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};

mod accounts;
mod authorization;
mod clients;
mod database;
mod declared;
mod file;
#[cfg(test)]
mod file_tests;
mod issuer;
mod limits;
mod load;
mod network;
mod operations;
mod problems;
mod protect;
mod provider;
mod records;
pub(crate) mod secrets;
#[cfg(test)]
mod tests;
mod trusted;

pub(crate) use self::accounts::{AccountsFile, At, Command, Method, StoreAt};
pub(crate) use self::authorization::Authorization;
pub(crate) use self::clients::{Clients, GrantType, RegisteredScope, Switch};
pub(crate) use self::database::{Address, Database};
pub(crate) use self::declared::{
    AuthMethod, Builtin, ConsentName, Declared, DeclaredClient, Entry, GrantTypeName,
    LoopbackPorts, Resource,
};
pub(crate) use self::issuer::{Issuer, IssuerError};
pub(crate) use self::limits::Limits;
pub(crate) use self::load::LoadError;
pub(crate) use self::network::{AllowedHost, Network};
pub(crate) use self::operations::{DatabaseTls, Operation};
pub(crate) use self::problems::{Invalid, Place, Problem, similar};
pub(crate) use self::protect::{Protect, UpstreamUrl, Upstreams};
pub(crate) use self::provider::{
    NameClaim, ProviderIssuer, ProviderSettings, RequiredClaim, is_safe,
};
pub(crate) use self::records::{Balances, Records};
pub(crate) use self::trusted::{Claim, Profile, TrustedIssuer as TrustedIssuerTable};
use crate::telemetry::LogFormat;

/// The longest name of a server, in characters.
const LONGEST_NAME: usize = 60;

const EXAMPLES: &str = "\
Durations are whole numbers with units, which are added up: 90s, 10m, 1h 30m, 30d.
A flag takes precedence over its environment variable, and both over the file of --config.

Examples:
  Try the server on this machine, as user alice (password alice) or bob (password bob), or as
  carol (password carol), who belongs to two organizations:
    grantcore-server

  The same on another port, with a database in memory that is lost at exit:
    grantcore-server --database memory: --listen 127.0.0.1:9000

  Behind a reverse proxy that terminates TLS for auth.example.com:
    grantcore-server hash-password     (for a line NAME:HASH of the accounts file)
    grantcore-server --issuer https://auth.example.com --accounts /etc/grantcore/accounts \\
        --trusted-proxies 127.0.0.1 --database sqlite:/var/lib/grantcore/grants.sqlite \\
        --log-format json

  Two or more servers behind one proxy, on one database:
    GRANTCORE_DATABASE=postgres://auth:PASSWORD@db.internal/auth \\
        grantcore-server --issuer https://auth.example.com --accounts /etc/grantcore/accounts \\
        --trusted-proxies 10.0.0.7 --listen 10.0.0.8:8080

  OAuth in front of an MCP server that has none:
    grantcore-server --protect /notes=http://127.0.0.1:3000/mcp

  Under a path of a host that serves other things too:
    grantcore-server --issuer https://example.com/auth --accounts /etc/grantcore/accounts \\
        --trusted-proxies 127.0.0.1

  Shorter-lived access tokens, and a replay window for clients whose responses get lost:
    GRANTCORE_ACCESS_LIFETIME=10m GRANTCORE_REPLAY_WINDOW=20s grantcore-server";

/// An OAuth 2.1 authorization server, with two protected resources to try it on.
#[derive(Debug, Clone, Parser)]
#[command(name = "grantcore-server", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Config {
    /// A file of settings in TOML.
    ///
    /// The key of a setting is its flag with `_` for `-`, like `access_lifetime = "10m"`. The file
    /// also declares the scopes, the resources and the operator's clients, in place of those of the
    /// demonstration. docs/deploy.md has an example, and `grantcore-server check-config` checks a
    /// file.
    #[arg(id = "config", long = "config", env = "GRANTCORE_CONFIG", value_name = "FILE")]
    #[arg(help_heading = "Place")]
    pub(crate) file: Option<PathBuf>,

    /// What the file of settings declares, or `None` without a file.
    #[arg(skip)]
    pub(crate) declared: Option<Declared>,

    /// The address and port to listen on, in plain HTTP. Port 0 takes a free port.
    ///
    /// Keep it on this machine, and let a reverse proxy terminate TLS.
    #[arg(long, env = "GRANTCORE_LISTEN", value_name = "IP:PORT")]
    #[arg(help_heading = "Place", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub(crate) listen: SocketAddr,

    /// The issuer: the URL that clients and browsers use [default: http:// and the --listen
    /// address].
    ///
    /// It identifies the server in all documents, token responses and redirects. Clients compare it
    /// byte for byte and store their registrations under it, so a change disconnects all of them.
    ///
    /// The issuer is an https origin, with a path if the server shares its host name, and without a
    /// slash at the end. http is for this machine only. A proxy in front must pass on the path
    /// unchanged, and also all paths below `/.well-known/oauth-authorization-server` and
    /// `/.well-known/oauth-protected-resource`.
    #[arg(long, env = "GRANTCORE_ISSUER", value_name = "URL")]
    #[arg(help_heading = "Place")]
    pub(crate) issuer: Option<Issuer>,

    /// The name of this server on its pages, as in "Sign in to Example" [default: the host of the
    /// --issuer].
    ///
    /// Choose the name by which your users know you.
    #[arg(long, env = "GRANTCORE_NAME", value_name = "NAME", help_heading = "Place")]
    #[arg(value_parser = name)]
    pub(crate) name: Option<String>,

    /// The database of clients, grants, accounts and the audit log.
    ///
    /// `sqlite:PATH`: one file, created if it is missing. Acknowledged writes survive a power loss.
    ///
    /// `memory:`: everything is lost at a restart.
    ///
    /// `postgres://USER:PASSWORD@HOST/NAME`: acknowledged writes survive a crash, and a failover if
    /// commits wait for the replica. A connection to another machine has TLS, and the certificate
    /// and name of the database server are verified; only `?sslmode=disable` allows plain text. A
    /// connection on this machine has TLS if the URL has `sslmode=verify-full`.
    ///
    /// `redis://HOST:PORT` on this machine, `rediss://HOST:PORT` with TLS,
    /// `redis-cluster://HOST:PORT,HOST:PORT`: acknowledged writes survive a restart with
    /// `appendonly yes`, and a power loss with `appendfsync always`. A failover can lose them. The
    /// audit log keeps about the latest 200,000 events.
    ///
    /// If the database is lost, every application is disconnected. It contains digests of tokens,
    /// and no token. Several servers of one --issuer may share any database except `memory:`, and a
    /// browser is signed in at all of them.
    ///
    /// Other users of this machine can read a command line, so pass a password in the variable or
    /// in a file. `env:NAME` is the value of the variable NAME.
    #[arg(long, env = "GRANTCORE_DATABASE", hide_env_values = true, value_name = "URL")]
    #[arg(help_heading = "Place", default_value = "sqlite:grantcore.sqlite")]
    #[arg(value_parser = database::Reader)]
    pub(crate) database: Database,

    /// A file with the URL of --database. Only its owner and group may read it.
    #[arg(long, env = "GRANTCORE_DATABASE_FILE", value_name = "FILE", help_heading = "Place")]
    pub(crate) database_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) database_tls: DatabaseTls,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) accounts: AccountsFile,

    #[command(flatten)]
    pub(crate) provider: ProviderSettings,

    #[command(flatten)]
    pub(crate) network: Network,

    #[command(flatten)]
    pub(crate) upstreams: Upstreams,

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

    #[command(flatten)]
    pub(crate) operation: Operation,

    /// The format of log lines: `text` for people, or `json` with one object per line.
    #[arg(long, env = "GRANTCORE_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(help_heading = "Log", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// The filter of the log: `LEVEL` or `TARGET=LEVEL`, separated by commas.
    ///
    /// The server itself logs no query, no header and no body. At `debug` and `trace`, libraries
    /// may log what users send to tools.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", help_heading = "Log")]
    #[arg(default_value = "info,rmcp=warn")]
    pub(crate) log: String,
}

/// Lifetimes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Lifetimes")]
pub(crate) struct Lifetimes {
    /// How long an access token is valid.
    ///
    /// This limits the use of a leaked token that nobody revokes. A shorter lifetime costs more
    /// refreshes.
    #[arg(long, env = "GRANTCORE_ACCESS_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "1h", value_parser = seconds)]
    pub(crate) access_lifetime: Duration,

    /// How long an authorization code is valid; at most 10m.
    ///
    /// Clients redeem a code within seconds. A longer lifetime mainly helps an attacker who finds a
    /// code in the history of a browser.
    #[arg(long, env = "GRANTCORE_CODE_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "10m", value_parser = code_seconds)]
    pub(crate) code_lifetime: Duration,

    /// How long a consent page is valid; after that the user must reload it.
    #[arg(long, env = "GRANTCORE_CONSENT_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "10m", value_parser = seconds)]
    pub(crate) consent_lifetime: Duration,

    /// How long a connection lasts without a refresh.
    ///
    /// Counted from the last refresh. Afterwards the application must ask the user again.
    #[arg(long, env = "GRANTCORE_REFRESH_IDLE", value_name = "DURATION")]
    #[arg(default_value = "30d", value_parser = seconds)]
    pub(crate) refresh_idle: Duration,

    /// How long a connection lasts in all; 0s is without end.
    ///
    /// Counted from the user's consent. No refresh extends it.
    #[arg(long, env = "GRANTCORE_REFRESH_ABSOLUTE", value_name = "DURATION")]
    #[arg(default_value = "180d", value_parser = seconds)]
    pub(crate) refresh_absolute: Duration,

    /// How long a used refresh token is answered with the same new tokens again; 0s turns this off.
    ///
    /// Otherwise the second use of a refresh token ends the connection, because the token may have
    /// been stolen. With a window, a client stays connected if it loses a response, or if two of
    /// its processes refresh at once. The cost: a thief who always refreshes within this time of
    /// the victim stays undetected.
    ///
    /// At most --access-lifetime, and shorter than --refresh-idle. A window shorter than the
    /// time-outs of clients, about 20s, has no use.
    #[arg(long, env = "GRANTCORE_REPLAY_WINDOW", value_name = "DURATION")]
    #[arg(default_value = "0s", value_parser = seconds)]
    pub(crate) replay_window: Duration,

    /// How long a client is kept that registered itself, or has a client document, and that nobody
    /// uses.
    ///
    /// A connected client is kept at least as long as its connection.
    #[arg(long, env = "GRANTCORE_UNUSED_CLIENT_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "24h", value_parser = seconds)]
    pub(crate) unused_client_lifetime: Duration,

    /// How long a user stays signed in to this server in one browser.
    ///
    /// The end of a session does not affect connected applications.
    #[arg(long, env = "GRANTCORE_SESSION_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "12h", value_parser = some_seconds)]
    pub(crate) session_lifetime: Duration,
}

impl Config {
    /// Returns the protected upstreams of the flag, and those of the file with their places.
    pub(crate) fn protected(&self) -> impl Iterator<Item = (Option<Place>, &Protect)> {
        let flags = self.upstreams.protect.iter().map(|own| (None, own));
        let tables = self.declared.iter().flat_map(|declared| &declared.protect);
        flags.chain(tables.map(|own| (Some(own.place), &own.value)))
    }

    /// Returns the configured issuer, or the address `bound` of the listening socket.
    ///
    /// Fails if no issuer is configured and other machines can reach `bound`: plain HTTP would
    /// expose every token.
    pub(crate) fn issuer_at(&self, bound: SocketAddr) -> Result<Issuer, IssuerError> {
        let issuer = match &self.issuer {
            Some(issuer) => issuer.clone(),
            None if bound.ip().is_loopback() => Issuer::of(&format!("http://{bound}"))?,
            None => return Err(IssuerError::Missing(bound)),
        };
        Ok(match &self.name {
            Some(name) => issuer.with_name(name),
            None => issuer,
        })
    }
}

/// Parses the name of the server: one line that fits a heading.
fn name(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let is_name = !text.is_empty() && text.chars().count() <= LONGEST_NAME;
    if is_name && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 60 characters in one line")
}

fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address and port; write it like 127.0.0.1:8080 or [::1]:8080")
}

/// Parses a duration of whole seconds, because `expires_in` counts whole seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 90s, 10m, 1h 30m or 30d"))?;
    if duration.subsec_nanos() != 0 {
        return Err("must be whole seconds".to_owned());
    }
    Ok(duration)
}

/// Parses the lifetime of a code (OAuth 2.1 §4.1.2).
fn code_seconds(text: &str) -> Result<Duration, String> {
    let duration = some_seconds(text)?;
    if duration > Duration::from_secs(600) {
        return Err("must be at most 10m (OAuth 2.1 §4.1.2)".to_owned());
    }
    Ok(duration)
}

/// Parses a duration of at least one second.
fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("must be at least 1s".to_owned()),
        duration => Ok(duration),
    }
}
