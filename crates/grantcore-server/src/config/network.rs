//! The settings of connections and proxies.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use axum::http::uri::Authority;
use clap::Args;
use ipnet::IpNet;

/// Connections, the proxies in front, and the names the server answers to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// The reverse proxies whose `X-Forwarded-For` or `Forwarded` header is trusted: addresses or
    /// networks like 10.0.0.0/8, separated by commas.
    ///
    /// Limits, log lines and events use the source of a request: the last address of the header
    /// that is not one of these proxies. Without this flag, the source is the proxy, and all users
    /// share its limits. The source is also the proxy if the two headers disagree, or if their last
    /// addresses cannot be read.
    ///
    /// Each proxy must append the address that calls it, as nginx does with `proxy_set_header
    /// X-Forwarded-For $proxy_add_x_forwarded_for`, or replace the header. If a proxy passes the
    /// header of a caller through, callers can choose their source.
    #[arg(long, env = "GRANTCORE_TRUSTED_PROXIES", value_name = "CIDR,...")]
    #[arg(value_delimiter = ',', value_parser = network)]
    pub(crate) trusted_proxies: Vec<IpNet>,

    /// Further names that requests may have in `Host`, separated by commas, or `*` for any name.
    ///
    /// The names of the issuer, of this machine (localhost, 127.0.0.1, `[::1]`) and of the
    /// connected address are always allowed. If a proxy sends the name of its upstream, allow that
    /// name here, or let the proxy pass the original name on: in nginx, `proxy_set_header Host
    /// $host`. With `*`, a web page can make a browser inside your network call this server under a
    /// name of the page's choice (DNS rebinding).
    #[arg(long, env = "GRANTCORE_ALLOWED_HOSTS", value_name = "HOST,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) allowed_hosts: Vec<AllowedHost>,

    /// How long a client may take to send the head of a request.
    #[arg(long, env = "GRANTCORE_HEADER_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value = "10s", value_parser = super::some_seconds)]
    pub(crate) header_timeout: Duration,

    /// How long a request may take, including its body; after that it is answered 408.
    #[arg(long, env = "GRANTCORE_REQUEST_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value = "30s", value_parser = super::some_seconds)]
    pub(crate) request_timeout: Duration,

    /// How long a connection may be idle between two requests, or leave a response unread.
    #[arg(long, env = "GRANTCORE_IDLE_TIMEOUT", value_name = "DURATION")]
    #[arg(default_value = "75s", value_parser = super::some_seconds)]
    pub(crate) idle_timeout: Duration,

    /// How many connections may be open at once.
    ///
    /// If there are more, one is closed that waits for its client: for a request, for the rest of a
    /// head or body, or for the client to read. Of those, it is the one that has waited longest at
    /// the address with the most connections; a /48 of IPv6 counts as one address here. If none
    /// waits, the new connection is closed. The limit is at most three quarters of the files that
    /// the system lets this process open.
    #[arg(long, env = "GRANTCORE_MAX_CONNECTIONS", value_name = "COUNT")]
    #[arg(default_value = "4096")]
    pub(crate) max_connections: NonZeroUsize,

    /// How many connections may be open at once from one address, or from one /64 of IPv6.
    ///
    /// If there are more, one is closed as described for --max-connections. There is no such limit
    /// for --trusted-proxies.
    #[arg(long, env = "GRANTCORE_MAX_CONNECTIONS_PER_SOURCE", value_name = "COUNT")]
    #[arg(default_value = "128")]
    pub(crate) max_connections_per_source: NonZeroUsize,
}

/// A name that requests may have in `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedHost {
    /// Any name.
    Any,
    /// One name, in lowercase. Without a port it matches every port.
    Named(Authority),
}

impl FromStr for AllowedHost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "not a host name; write it like auth.internal, backend:8080 or *";
        match text.trim().to_ascii_lowercase() {
            any if any == "*" => Ok(Self::Any),
            name if name.contains(['@', '*']) => Err(refused),
            name => name.parse().map(Self::Named).map_err(|_| refused),
        }
    }
}

/// Parses a network, or one address as a network of its own.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let text = text.trim();
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| alone())
        .map_err(|_| "not an address or network; write it like 10.0.0.7 or 10.0.0.0/8")
}
