//! The server's name: read from the command line, or derived from where it listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

use crate::site::Site;

/// The authorization server's name: an origin, `https` or on this machine, with or without a path,
/// in its one canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    text: String,
    site: Site,
    url: Url,
}

impl Issuer {
    /// As it stands in metadata and in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The host as it stands in a `Host` header, without the port.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether cookies can be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Its path, under which everything is.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Whether only this machine can mean it.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The issuer that `text` means, in its canonical spelling, if tokens may travel there.
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
        let prefix = url.path().trim_end_matches('/');
        if !prefix.split('/').skip(1).all(is_plain) {
            return Err(IssuerError::Path);
        }
        let text = format!("{}{prefix}", url.origin().ascii_serialization());
        Ok(Self { text, site: Site::new(prefix), url })
    }
}

/// Whether a segment of a path has one spelling everywhere: in proxies' settings, in browsers and
/// in clients that compare the issuer byte for byte.
fn is_plain(segment: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !segment.is_empty() && segment != ".well-known" && segment.bytes().all(plain)
}

impl FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        match Self::of(text)? {
            issuer if issuer.text == text => Ok(issuer),
            issuer => Err(IssuerError::Spelling(issuer.text)),
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
    /// It says more than an origin and a path, or says it in another spelling.
    #[error("must be written in its one spelling, without user, query or slash at the end: {0}")]
    Spelling(String),
    /// Its path could be spelled in two ways, or is taken.
    #[error(
        "its path must be of segments like /auth or /a/b: letters, digits, `-`, `_`, `.` and `~`, and no .well-known"
    )]
    Path,
    /// There is none to derive.
    #[error("--listen {0} can be reached from other machines: name its --issuer https://...")]
    Missing(SocketAddr),
}
