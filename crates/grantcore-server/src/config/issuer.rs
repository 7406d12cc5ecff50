//! The issuer: read from the command line, or derived from the listening address.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use url::{Host, Url};

use crate::site::Site;

/// The issuer: an origin with or without a path, in its canonical spelling. It is `https`, or
/// `http` on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    text: String,
    site: Site,
    url: Url,
}

impl Issuer {
    /// Returns the issuer as it is in metadata and in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host as it is in a `Host` header, without the port.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Returns the host and the port as clients have them in a `Host` header: without the port if
    /// it is the scheme's.
    pub(crate) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// Returns the scheme, the host and the port, without the path.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Returns whether the issuer is https, so that cookies can be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the path of the issuer, under which all routes are.
    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Sets the name of the server that pages have, which otherwise is the host.
    pub(crate) fn with_name(self, name: &str) -> Self {
        Self { site: self.site.named(name), ..self }
    }

    /// Marks the server as the demonstration on its pages.
    pub(crate) fn demo(self) -> Self {
        Self { site: self.site.demo(), ..self }
    }

    /// Returns whether the host is this machine's loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Parses an issuer and returns it in its canonical spelling. Refuses plain http to another
    /// machine.
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
        let authority = url.authority().to_owned();
        Ok(Self { text, site: Site::new(prefix, &authority), url })
    }
}

/// Returns whether a path segment has only one spelling. Proxies, browsers and clients, which
/// compare the issuer byte for byte, must agree on it.
pub(super) fn is_plain(segment: &str) -> bool {
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
    /// The value is not a URL.
    #[error("not a URL ({0}); write it like https://auth.example.com")]
    NoUrl(url::ParseError),
    /// Tokens would be sent in plain text.
    #[error("must be https; http is for this machine only (127.0.0.1, [::1], localhost)")]
    NotSafe,
    /// The URL has more than an origin and a path, or another spelling.
    #[error(
        "must be written in its canonical spelling, without user, query or slash at the end: {0}"
    )]
    Spelling(String),
    /// The path has characters with more than one spelling, or is reserved.
    #[error(
        "its path must have segments like /auth or /a/b, \
         of letters, digits, `-`, `_`, `.` and `~`, and no .well-known"
    )]
    Path,
    /// No issuer is configured, and none can be derived.
    #[error("--listen {0} can be reached from other machines: name its --issuer https://...")]
    Missing(SocketAddr),
}
