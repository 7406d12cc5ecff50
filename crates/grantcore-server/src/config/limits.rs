//! The limits of requests.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

/// Limits of requests.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// How many token requests are allowed per minute for each client id and network address, or as
    /// --rate-key sets it. Further requests are answered 429 with `Retry-After`.
    ///
    /// The users of one product may share a client id and an address: allow for all of them, or
    /// choose another key.
    #[arg(long, env = "GRANTCORE_RATE_LIMIT", value_name = "COUNT")]
    #[arg(default_value = "60")]
    pub(crate) rate_limit: NonZeroU32,

    /// Which token requests are counted together for --rate-limit.
    ///
    /// `client-and-source`: those of one client id from one network address. Behind a reverse proxy
    /// that --trusted-proxies does not name, the address is the proxy's.
    ///
    /// `client`: those of one client id. Anybody can use up the limit of a client without a secret.
    ///
    /// `client-and-grant`: those of one connection. Use it if all users of a product share a client
    /// id, as they do with a client document. Requests with invented tokens are not limited.
    #[arg(long, env = "GRANTCORE_RATE_KEY", value_name = "KEY")]
    #[arg(default_value = "client-and-source")]
    pub(crate) rate_key: RateKey,

    /// How many times per minute the authentication of a client id may fail. Then even the right
    /// secret is answered 429.
    ///
    /// A lower limit stops guessing sooner, but anybody can lock a client out with fewer requests.
    #[arg(long, env = "GRANTCORE_AUTH_FAILURES", value_name = "COUNT")]
    #[arg(default_value = "10")]
    pub(crate) auth_failures: NonZeroU32,

    /// How many registrations and updates of registrations are allowed per minute for each network
    /// address. Further ones are answered 429 with `Retry-After`.
    ///
    /// Many users may share an address. Behind a reverse proxy that --trusted-proxies does not
    /// name, all users do.
    #[arg(long, env = "GRANTCORE_REGISTRATION_RATE", value_name = "COUNT")]
    #[arg(default_value = "300")]
    pub(crate) registration_rate: NonZeroU32,

    /// How many consent pages are allowed per minute for each user. Further requests are answered
    /// with an error page and 429.
    ///
    /// Any web site can make a signed-in browser open consent pages, and each is stored for an
    /// hour. With a limit above 450, a flood of them can hide the user's connected apps.
    #[arg(long, env = "GRANTCORE_CONSENT_RATE", value_name = "COUNT")]
    #[arg(default_value = "450")]
    pub(crate) consent_rate: NonZeroU32,
}

/// Which token requests share a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateKey {
    Client,
    ClientAndGrant,
    ClientAndSource,
}

impl From<RateKey> for grantcore::policy::RateKey {
    fn from(key: RateKey) -> Self {
        match key {
            RateKey::Client => Self::Client,
            RateKey::ClientAndGrant => Self::ClientAndGrant,
            RateKey::ClientAndSource => Self::ClientAndSource,
        }
    }
}
