//! The server's name: read from the command line, or derived from where it listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

/// The authorization server's name: an origin, `https` or on this machine, in its one canonical
/// spelling.
///
/// A path is not offered: this server answers at the root of its origin, and its cookies cover all
/// of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    origin: String,
    url: Url,
}

impl Issuer {
    /// As it stands in metadata and in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.origin
    }

    /// The host as it stands in a `Host` header, without the port.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether cookies can be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The origin that `text` is within, if tokens may travel there.
    pub(super) fn of(text: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(text).map_err(IssuerError::NoUrl)?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip == Ipv4Addr::LOCALHOST,
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if !matches!((url.scheme(), local), ("https", _) | ("http", true)) {
            return Err(IssuerError::NotSafe);
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { origin, url })
    }
}

impl FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        match Self::of(text)? {
            issuer if issuer.origin == text => Ok(issuer),
            issuer => Err(IssuerError::NotAnOrigin(issuer.origin)),
        }
    }
}

/// Why an issuer is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    /// It cannot be parsed.
    #[error("not a URL ({0}); write it like https://auth.example.com")]
    NoUrl(url::ParseError),
    /// Tokens would travel in the clear.
    #[error("must be https; http is for this machine only (127.0.0.1, [::1], localhost)")]
    NotSafe,
    /// It says more than an origin, or says it in another spelling.
    #[error("must be an origin in its one spelling, without path, query or slash at the end: {0}")]
    NotAnOrigin(String),
    /// There is none to derive.
    #[error("--listen {0} can be reached from other machines: name its --issuer https://...")]
    Missing(SocketAddr),
}
