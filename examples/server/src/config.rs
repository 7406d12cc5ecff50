//! The server's settings: each a flag and an environment variable, each parsed into a type that cannot hold nonsense.
//!
//! What lives here: names, defaults, units, what each setting is for and what it costs; the doc comments of the fields
//! are the text of `--help`. What never does: the laws between lifetimes, which the library's policy knows and checks,
//! and the opening of anything that is named here.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

mod clients;
mod issuer;

pub(crate) use self::clients::{Clients, Switch};
pub(crate) use self::issuer::{Issuer, IssuerError};
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
    grantcore-server --issuer https://auth.example.com \\
        --database sqlite:/var/lib/grantcore/grants.sqlite --log-format json

  Shorter-lived access, and a second chance for clients whose answers get lost:
    GRANTCORE_ACCESS_LIFETIME=10m GRANTCORE_REPLAY_WINDOW=20s grantcore-server";

/// An OAuth 2.1 authorization server, with two protected resources to try it on.
#[derive(Debug, Clone, Parser)]
#[command(name = "grantcore-server", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Config {
    /// The address and port to answer on, in plain HTTP; port 0 takes a free one.
    ///
    /// Keep it on this machine and let a reverse proxy speak TLS to the world.
    #[arg(long, env = "GRANTCORE_LISTEN", value_name = "IP:PORT")]
    #[arg(help_heading = "Place", default_value = "127.0.0.1:8080", value_parser = listen)]
    pub(crate) listen: SocketAddr,

    /// The address that clients and browsers use [default: http:// and what --listen says].
    ///
    /// The server's name in every document, token answer and redirect; clients compare it byte for byte and file their
    /// registrations under it, so changing it disconnects them all. An https origin, without a path or a slash at the
    /// end; http only for this machine.
    #[arg(long, env = "GRANTCORE_ISSUER", value_name = "URL")]
    #[arg(help_heading = "Place")]
    pub(crate) issuer: Option<Issuer>,

    /// Where clients and grants are kept: `sqlite:PATH`, created if missing, or `memory:`, gone at exit.
    ///
    /// Losing it disconnects every application. It holds digests of tokens, never tokens.
    #[arg(long, env = "GRANTCORE_DATABASE", value_name = "URL")]
    #[arg(help_heading = "Place", default_value = "sqlite:grantcore.sqlite")]
    pub(crate) database: Database,

    #[command(flatten)]
    pub(crate) clients: Clients,

    #[command(flatten)]
    pub(crate) lifetimes: Lifetimes,

    #[command(flatten)]
    pub(crate) limits: Limits,

    /// How log lines look: `text` for people, `json` for machines, one object per line.
    #[arg(long, env = "GRANTCORE_LOG_FORMAT", value_name = "FORMAT")]
    #[arg(help_heading = "Log", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// What is logged: `LEVEL` or `TARGET=LEVEL`, separated by commas.
    ///
    /// No line of this server's own holds a query, a header or a body. At `debug` and below, lines of the libraries
    /// under it may show what users send to tools.
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
    /// Revoking ends it at once; this bounds the use of one that leaks unnoticed. Shorter costs more refreshes.
    #[arg(long, env = "GRANTCORE_ACCESS_LIFETIME", value_name = "DURATION")]
    #[arg(default_value = "1h", value_parser = seconds)]
    pub(crate) access_lifetime: Duration,

    /// How long an authorization code waits to be redeemed; at most 10m.
    ///
    /// Clients redeem within seconds. Longer only serves whoever finds a code in a browser's history.
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

    /// How long a used refresh token yields its own successor again, instead of ending the grant; 0s is never.
    ///
    /// Saves users a new authorization when an answer is lost or two processes refresh at once. Costs: a thief who
    /// refreshes within this time of the victim, every time, stays unseen. At most --access-lifetime, and shorter than
    /// --refresh-idle; below the clients' time-outs, some 20s, it is of no use.
    #[arg(long, env = "GRANTCORE_REPLAY_WINDOW", value_name = "DURATION")]
    #[arg(default_value = "0s", value_parser = seconds)]
    pub(crate) replay_window: Duration,

    /// How long a client that registered itself, or is known by a document, is remembered without being used.
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
    /// Token requests per minute and client id, or what --rate-key says; more are answered 429 with `Retry-After`.
    ///
    /// Users of one product may share a client id: allow for all of them, or choose another key.
    #[arg(long, env = "GRANTCORE_RATE_LIMIT", value_name = "COUNT")]
    #[arg(default_value = "60")]
    pub(crate) rate_limit: NonZeroU32,

    /// What token requests share the limit of --rate-limit.
    ///
    /// A client id is often shared by all users of a product, always where it is known by a document: `client-and-grant` gives each
    /// of their connections a limit, and whoever makes tokens up has none. `client-and-source` goes by the network address, which
    /// behind a reverse proxy is the proxy's.
    #[arg(long, env = "GRANTCORE_RATE_KEY", value_name = "KEY")]
    #[arg(default_value = "client")]
    pub(crate) rate_key: RateKey,

    /// Failed client authentications per minute and client id, before even a right secret is answered 429.
    ///
    /// Lower stops guessing sooner, and lets strangers lock a client out more cheaply.
    #[arg(long, env = "GRANTCORE_AUTH_FAILURES", value_name = "COUNT")]
    #[arg(default_value = "10")]
    pub(crate) auth_failures: NonZeroU32,

    /// Registrations per minute and network address; more are answered 429 with `Retry-After`.
    ///
    /// Many users share an address, and behind a reverse proxy all of them do.
    #[arg(long, env = "GRANTCORE_REGISTRATION_RATE", value_name = "COUNT")]
    #[arg(default_value = "300")]
    pub(crate) registration_rate: NonZeroU32,
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
    /// Fails if none was given and `bound` can be reached from other machines, where plain HTTP would show every token.
    pub(crate) fn issuer_at(&self, bound: SocketAddr) -> Result<Issuer, IssuerError> {
        match &self.issuer {
            Some(issuer) => Ok(issuer.clone()),
            None if bound.ip().is_loopback() => Issuer::of(&format!("http://{bound}")),
            None => Err(IssuerError::Missing(bound)),
        }
    }
}

/// Where clients and grants are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// Nowhere: gone at exit.
    Memory,
}

const DATABASES: &str = "possible are `sqlite:PATH` (like sqlite:/var/lib/grantcore/grants.sqlite) and `memory:`; \
    for any other database, implement the library's store trait";

impl FromStr for Database {
    type Err = &'static str;

    /// `sqlite://PATH` is read too, as other programs write it.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let path = text.strip_prefix("sqlite:").ok_or(DATABASES)?;
        match path.strip_prefix("//").unwrap_or(path) {
            // SQLite would take these for private databases that are gone at exit.
            "" | ":memory:" => Err(DATABASES),
            path => Ok(Self::Sqlite(path.into())),
        }
    }
}

fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address and port; write it like 127.0.0.1:8080 or [::1]:8080")
}

/// Seconds are what the protocol counts in: `expires_in` is a whole number of them.
fn seconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 10m, 1h 30m or 30d"))?;
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn parse(arguments: &[&str]) -> Result<Config, clap::Error> {
        Config::try_parse_from([&["grantcore-server"], arguments].concat())
    }

    #[test]
    fn nothing_has_to_be_said() {
        let config = parse(&[]).unwrap();
        let issuer = config.issuer_at(config.listen).unwrap();
        assert_eq!(issuer.as_str(), "http://127.0.0.1:8080");
        assert_eq!(config.database, Database::Sqlite("grantcore.sqlite".into()));
        assert_eq!(config.log_format, LogFormat::Text);
        let lifetimes = config.lifetimes;
        assert_eq!(lifetimes.access_lifetime, HOUR);
        assert_eq!(lifetimes.code_lifetime, HOUR / 6);
        assert_eq!(lifetimes.consent_lifetime, HOUR / 6);
        assert_eq!(lifetimes.refresh_idle, 30 * 24 * HOUR);
        assert_eq!(lifetimes.refresh_absolute, 180 * 24 * HOUR);
        assert_eq!(lifetimes.replay_window, Duration::ZERO);
        assert_eq!(lifetimes.session_lifetime, 12 * HOUR);
        assert_eq!(config.limits.rate_limit.get(), 60);
        assert_eq!(config.limits.rate_key, RateKey::Client);
        assert_eq!(config.limits.auth_failures.get(), 10);
    }

    #[test]
    fn every_setting_has_a_variable_a_heading_and_an_explanation() {
        let mut command = Config::command();
        for argument in command.get_arguments() {
            let flag = argument.get_long().unwrap();
            let variable = argument.get_env().unwrap().to_str().unwrap();
            let expected = format!("GRANTCORE_{}", flag.to_uppercase().replace('-', "_"));
            assert!(variable == expected || variable == "RUST_LOG", "{flag}");
            assert!(argument.get_help_heading().is_some(), "{flag}");
            assert!(argument.get_help().is_some(), "{flag}");
        }
        let help = command.render_long_help().to_string();
        assert!(help.starts_with("An OAuth 2.1 authorization server"), "{help}");
        for heading in ["Place:", "Clients:", "Lifetimes:", "Limits:", "Log:", "Examples:"] {
            assert!(help.lines().any(|line| line == heading), "{heading}");
        }
    }

    #[test]
    fn an_issuer_is_the_one_given_or_a_derived_one_on_this_machine() {
        let at = |config: &Config, bound: &str| config.issuer_at(bound.parse().unwrap());
        for given in ["https://auth.example.com:8443", "http://[::1]:8080"] {
            let config = parse(&["--issuer", given]).unwrap();
            let issuer = at(&config, "0.0.0.0:8080").unwrap();
            assert_eq!(issuer.as_str(), given);
            assert_eq!(issuer.is_https(), given.starts_with("https"));
        }
        let config = parse(&[]).unwrap();
        assert_eq!(at(&config, "127.0.0.1:80").unwrap().as_str(), "http://127.0.0.1");
        assert_eq!(at(&config, "[::1]:9000").unwrap().host(), "[::1]");
        let refusal = at(&config, "0.0.0.0:8080").unwrap_err().to_string();
        assert!(refusal.contains("--issuer https://"), "{refusal}");
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        for (text, path) in [("sqlite:/b/a.db", "/b/a.db"), ("sqlite://a.db", "a.db")] {
            let config = parse(&["--database", text]).unwrap();
            assert_eq!(config.database, Database::Sqlite(path.into()));
        }
        let config = parse(&["--database", "memory:", "--replay-window", "1m 30s"]).unwrap();
        assert_eq!(config.database, Database::Memory);
        assert_eq!(config.lifetimes.replay_window.as_secs(), 90);
        let keys = ["client", "client-and-grant", "client-and-source"];
        let keys = keys.map(|key| grantcore::RateKey::from(parse(&["--rate-key", key]).unwrap().limits.rate_key));
        assert_eq!(keys, [grantcore::RateKey::Client, grantcore::RateKey::ClientAndGrant, grantcore::RateKey::ClientAndSource]);
    }

    #[test]
    fn bad_values_are_refused_with_what_to_write_instead() {
        for (flag, bad, why) in [
            ("--listen", "localhost:8080", "like 127.0.0.1:8080"),
            ("--issuer", "auth.example.com", "like https://"),
            ("--issuer", "http://auth.example.com", "be https"),
            ("--issuer", "http://127.0.0.1.example.com", "be https"),
            ("--issuer", "https://a.example/", "end: https://a.example\n"),
            ("--issuer", "https://a.example/x", ": https://a.example\n"),
            ("--issuer", "https://u@a.example", ": https://a.example\n"),
            ("--issuer", "https://A.example:443", ": https://a.example\n"),
            ("--database", "grants.db", "`memory:`"),
            ("--database", "postgres://db", "store trait"),
            ("--database", "sqlite:", "`sqlite:PATH`"),
            ("--database", "sqlite::memory:", "`memory:`"),
            ("--access-lifetime", "3600", "like 90s"),
            ("--access-lifetime", "1500ms", "whole seconds"),
            ("--access-lifetime", "99999999999999y", "too large"),
            ("--session-lifetime", "0s", "at least 1s"),
            ("--rate-limit", "0", "zero"),
            ("--rate-key", "source", "[possible values: client, client-and-grant, client-and-source]"),
            ("--log-format", "xml", "[possible values: text, json]"),
        ] {
            let refusal = parse(&[flag, bad]).unwrap_err().to_string();
            assert!(refusal.contains(flag) && refusal.contains(why), "{refusal}");
        }
    }
}
