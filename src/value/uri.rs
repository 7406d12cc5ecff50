//! URIs. No other file takes one apart.
//!
//! A URI is seen in two ways. [`Uri`] is the text as it is written, split by RFC 3986 §3: nothing
//! is decoded and nothing is normalized, because URIs are compared as strings. [`BrowserUrl`] is
//! the same text as a browser reads it (the URL Standard, by the crate `url`). The two differ on
//! purpose: `http://2130706433/` is a valid URI, and a browser goes to `127.0.0.1`. The consent
//! page shows the host as written, so a URI is refused whose host a browser would change.
//!
//! A strict RFC 3986 parser such as `fluent-uri` cannot replace `url`, because it does not know
//! where a browser goes. Beside `url` it would replace [`Uri::split`] and [`Uri::is_well_formed`]
//! only.

use std::ops::RangeInclusive;

use memchr::{memchr, memrchr};
use url::form_urlencoded::byte_serialize;
use url::{Host, ParseError, Url};

use super::credential::Issued;

/// The longest URI that is accepted from a client, in bytes.
pub(crate) const MAX_BYTES: usize = 2048;

/// The hosts for which plain `http` is accepted, in the only spelling that is accepted (OAuth 2.1
/// §8.4.2).
const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// A URI as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uri<'a> {
    text: &'a str,
    scheme: &'a str,
    authority: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Splits a text that begins with a scheme and a colon (RFC 3986 §3.1). Returns `None` for any
    /// other text. The rest of the text is not checked.
    pub(crate) fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next());
        is_scheme.then_some(Self { text, scheme, authority })
    }

    pub(crate) fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Returns whether the scheme is `https` or `http`, in any letter case.
    pub(crate) fn is_web(&self) -> bool {
        ["https", "http"].iter().any(|own| own.eq_ignore_ascii_case(self.scheme))
    }

    /// Returns the text between `//` and the path, or `None` if the URI has no `//` after its
    /// scheme.
    pub(crate) fn authority(&self) -> Option<&'a str> {
        self.authority
    }

    pub(crate) fn has_userinfo(&self) -> bool {
        self.authority.is_some_and(|authority| authority.contains('@'))
    }

    /// Returns the host without userinfo and port, empty if there is none.
    pub(crate) fn host(&self) -> &'a str {
        let host_and_port = self.after_userinfo();
        // The colons of an IPv6 address are within its brackets.
        let end = match memrchr(b']', host_and_port.as_bytes()) {
            Some(bracket) => bracket + 1,
            None => memchr(b':', host_and_port.as_bytes()).unwrap_or(host_and_port.len()),
        };
        host_and_port.get(..end).unwrap_or(host_and_port)
    }

    /// Returns the port as it is written, or `None` if no colon follows the host.
    pub(crate) fn port(&self) -> Option<&'a str> {
        self.after_userinfo().strip_prefix(self.host())?.strip_prefix(':')
    }

    /// Returns host and port. `memrchr` takes a third of what `str::rsplit_once` takes.
    fn after_userinfo(&self) -> &'a str {
        let authority = self.authority.unwrap_or_default();
        let start = memrchr(b'@', authority.as_bytes()).map_or(0, |at| at + 1);
        authority.get(start..).unwrap_or_default()
    }

    /// Returns scheme and authority, or the whole text if the URI has no authority.
    pub(crate) fn origin(&self) -> &'a str {
        let end = self.authority.map(|authority| self.scheme.len() + "://".len() + authority.len());
        end.and_then(|end| self.text.get(..end)).unwrap_or(self.text)
    }

    /// Returns what follows the authority: path, query and fragment. It is empty if the URI has no
    /// authority.
    pub(crate) fn path_and_query(&self) -> &'a str {
        self.text.get(self.origin().len()..).unwrap_or_default()
    }

    /// Returns the text with its scheme in lower case.
    pub(crate) fn with_lower_scheme(&self) -> String {
        let rest = self.text.get(self.scheme.len()..).unwrap_or_default();
        [&*self.scheme.to_ascii_lowercase(), rest].concat()
    }

    /// Returns whether the text after the scheme has the characters of a URI, each at a place where
    /// RFC 3986 §3 allows it: a percent sign begins an escape of two hexadecimal digits, and
    /// brackets enclose the address of a host. A fragment is not allowed.
    pub(crate) fn is_well_formed(&self) -> bool {
        let after_scheme = self.text.get(self.scheme.len() + 1..).unwrap_or_default();
        let Some(authority) = self.authority else { return is_of_uri_characters(after_scheme) };
        let host = self.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let rest = authority.strip_suffix(host).or_else(|| {
            let port = self.port()?;
            authority.strip_suffix(port)?.strip_suffix(':')?.strip_suffix(host)
        });
        // An at sign ends the userinfo.
        let userinfo = rest.unwrap_or(authority);
        is_of_uri_characters(self.path_and_query())
            && is_of_uri_characters(address.unwrap_or(host))
            && is_of_uri_characters(userinfo)
    }

    /// Returns whether the host is a name with an empty label, as in `a..example`. A DNS name has
    /// an empty label only at its end (RFC 3986 §3.2.2; RFC 1034 §3.5).
    pub(crate) fn has_empty_label(&self) -> bool {
        let host = self.host();
        let name = host.strip_suffix('.').unwrap_or(host);
        name.split('.').any(str::is_empty)
    }

    /// Returns whether this is a URI that plain `http` is accepted for: the scheme in lower case, a
    /// loopback host, no userinfo and no fragment.
    pub(crate) fn is_loopback_http(&self) -> bool {
        self.scheme == "http"
            && LOOPBACK_HOSTS.contains(&self.host())
            && !self.has_userinfo()
            && !self.path_and_query().starts_with('#')
    }
}

/// Returns whether the text consists of characters of a path or query (RFC 3986 §3.3, §3.4) and of
/// complete escapes.
fn is_of_uri_characters(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| rest.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' | b'"' | b'<' | b'>' | b'\\' | b'#' => {
                false
            }
            other => other.is_ascii_graphic(),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

/// Removes the port from the text that follows a host. Returns `None` if the port is malformed
/// (REDIR-15).
pub(crate) fn strip_port(after_host: &str) -> Option<&str> {
    let Some(after_colon) = after_host.strip_prefix(':') else { return Some(after_host) };
    let digits = after_colon.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = after_colon.split_at_checked(digits)?;
    is_port(port).then_some(rest)
}

/// Returns whether this is a decimal number from 1 to 65535 without sign or leading zero.
pub(crate) fn is_port(text: &str) -> bool {
    const PORTS: RangeInclusive<u32> = 1..=65535;
    !text.starts_with('0')
        && text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse().is_ok_and(|port| PORTS.contains(&port))
}

/// The value of a parameter that is added to a URI.
pub(crate) enum Value<'a> {
    /// A text to be form-encoded.
    Text(&'a str),
    /// A text that is form-encoded, or that form-encoding leaves as it is.
    Encoded(&'a str),
    /// A code, whose characters form-encoding leaves as they are.
    Code(&'a Issued),
}

/// Returns the text, form-encoded.
pub(crate) fn form_encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Returns the URI with these parameters added to its query, form-encoded (OAuth 2.1 §2.3, §4.1.2).
/// `extra` is the number of bytes to reserve for them.
#[expect(clippy::expect_used, reason = "every part is UTF-8")]
pub(crate) fn with_parameters(
    uri: &str,
    parameters: &[Option<(&'static str, Value<'_>)>],
    extra: usize,
) -> String {
    let mut extended = Vec::with_capacity(uri.len() + extra);
    extended.extend_from_slice(uri.as_bytes());
    // Parameter injection: the first question mark begins the query, and a later one is part of a
    // value. A parameter that is appended to that value would be lost.
    let query = memchr(b'?', uri.as_bytes()).and_then(|place| uri.get(place + 1..));
    match query {
        None => extended.push(b'?'),
        Some(query) if query.is_empty() || query.ends_with('&') => {}
        Some(_) => extended.push(b'&'),
    }
    for (name, value) in parameters.iter().flatten() {
        extended.extend_from_slice(name.as_bytes());
        extended.push(b'=');
        match value {
            Value::Text(text) => byte_serialize(text.as_bytes())
                .for_each(|part| extended.extend_from_slice(part.as_bytes())),
            Value::Encoded(text) => extended.extend_from_slice(text.as_bytes()),
            Value::Code(code) => code.push_to(&mut extended),
        }
        extended.push(b'&');
    }
    // No parameter follows the last one.
    extended.pop();
    String::from_utf8(extended).expect("texts and ASCII are UTF-8")
}

/// The reason why a browser does not go to a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrowserError {
    /// The port is not a number up to 65535.
    Port,
    /// The host is no name and no address.
    Host,
    /// The text is no absolute URL.
    NotAbsolute,
}

/// A URI as a browser reads it.
#[derive(Clone, Debug)]
pub(crate) struct BrowserUrl(Url);

impl BrowserUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, BrowserError> {
        Url::parse(text).map(Self).map_err(|error| match error {
            ParseError::InvalidPort => BrowserError::Port,
            ParseError::IdnaError
            | ParseError::InvalidIpv4Address
            | ParseError::InvalidIpv6Address
            | ParseError::InvalidDomainCharacter => BrowserError::Host,
            _ => BrowserError::NotAbsolute,
        })
    }

    /// Returns the scheme in lower case.
    pub(crate) fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// Returns the host: a name in lower case and punycode, or an address in its one notation.
    pub(crate) fn host(&self) -> Option<&str> {
        self.0.host_str()
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    pub(crate) fn has_userinfo(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    pub(crate) fn has_fragment(&self) -> bool {
        self.0.fragment().is_some()
    }

    /// Returns whether a browser serializes the URL as this text. If not, the text is a second
    /// spelling: the parser removes dot segments, default ports, upper case in hosts and the like.
    pub(crate) fn is_written(&self, text: &str) -> bool {
        self.0.as_str() == text
    }

    /// Returns whether the host is written as a browser serializes it, in any letter case.
    pub(crate) fn has_host(&self, written: &str) -> bool {
        self.host().is_some_and(|host| host.eq_ignore_ascii_case(written))
    }

    /// Returns whether the query has a parameter of one of these names, which are compared decoded.
    pub(crate) fn has_parameter(&self, names: &[&str]) -> bool {
        self.0.query_pairs().any(|(name, _)| names.contains(&&*name))
    }

    /// Returns whether the host is an IP address, in any of its spellings.
    pub(crate) fn has_address(&self) -> bool {
        matches!(self.0.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)))
    }

    /// Returns whether a browser stays on the user's own device with this URL. On most systems the
    /// unspecified addresses lead there too, and in every browser the names below `localhost`.
    ///
    /// A connection to such a host reaches whatever program listens there: neither a certificate
    /// nor a registration identifies it (RFC 8252 §8.3; MCP, Localhost Redirect URI Risks).
    pub(crate) fn is_loopback(&self) -> bool {
        self.0.host().is_some_and(|host| is_loopback_host(&host))
    }
}

fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => {
            let mapped = address.to_ipv4_mapped();
            address.is_loopback()
                || address.is_unspecified()
                || mapped.is_some_and(|address| is_loopback_host(&Host::Ipv4(address)))
        }
    }
}

/// Returns whether this is a web URL with which a browser stays on the user's own device.
pub(crate) fn leads_to_loopback(uri: &str) -> bool {
    BrowserUrl::parse(uri)
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.is_loopback())
}

/// Returns whether this can be the URL of a server of the operator: `https`, or `http` on a
/// loopback host if that is allowed; a host, no userinfo and no fragment; printable ASCII without
/// the characters that end a quoted string.
pub(crate) fn is_server_url(text: &str, allow_loopback_http: bool) -> bool {
    let Ok(url) = BrowserUrl::parse(text) else { return false };
    let Some(uri) = Uri::split(text) else { return false };
    let has_scheme = match url.scheme() {
        "https" => true,
        "http" => {
            allow_loopback_http && url.host().is_some_and(|host| LOOPBACK_HOSTS.contains(&host))
        }
        _ => false,
    };
    // The browser's parser accepts `https:/host`, `https:///host` and `HTTPS://host`. The text is
    // published, and other parsers refuse it or read it otherwise.
    let is_exact = matches!(uri.scheme(), "https" | "http")
        && uri.authority().is_some_and(|authority| !authority.is_empty());
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    has_scheme && is_exact && is_plain && !url.has_userinfo() && !url.has_fragment()
}

/// Returns the canonical spelling of an issuer: lower-case scheme and host, no default port, no dot
/// segments, and no slash in place of an empty path. The slash at the end of a longer path is part
/// of it: `https://h/t1/` and `https://h/t1` are two issuers.
pub(crate) fn canonical_issuer(text: &str) -> Option<String> {
    let url = BrowserUrl::parse(text).ok()?;
    let spelled = url.0.as_str();
    let is_root = url.path() == "/";
    let spelled = spelled.strip_suffix('/').filter(|_| is_root).unwrap_or(spelled);
    Some(spelled.to_owned())
}

/// Returns whether a browser takes both URLs for the same origin.
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    origin(one) == origin(other)
}

/// Returns whether this can be shown as a page of a client: an `https` URL of at most 2,048 URI
/// characters, with a host. It is checked again at each page, because a record can be older than
/// the rule.
pub(crate) fn is_page(uri: &str) -> bool {
    let is_plain = uri.len() <= MAX_BYTES
        && uri.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    let authority = Uri::split(uri)
        .filter(|uri| uri.scheme() == "https" && !uri.has_userinfo())
        .and_then(|uri| uri.authority());
    // Userinfo is refused because a reader takes what stands before an at sign for the host.
    is_plain
        && authority.is_some_and(|authority| {
            authority.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        })
}

/// Returns the host of this URI as a browser writes it, or `None` if it is written so or there is
/// no host. Browsers rewrite international names to punycode and addresses to one notation.
pub(crate) fn rewritten_host(uri: &str) -> Option<String> {
    let url = BrowserUrl::parse(uri).ok()?;
    let host = url.host()?;
    let written = Uri::split(uri).filter(|uri| uri.authority().is_some())?.host();
    // For a browser, a backslash ends the host as a slash does.
    let written = written.split('\\').next()?;
    (!url.has_host(written)).then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
