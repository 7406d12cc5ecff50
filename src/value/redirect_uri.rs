//! Redirect URIs: which may be registered, which requested one matches, and how response parameters
//! are added to it.
//!
//! A URI is parsed once, when it is registered. A request is matched byte by byte, never parsed and
//! never normalized (OAuth 2.1 §2.3.1, §4.1.1); the port of an `http` loopback URI alone may differ
//! (OAuth 2.1 §8.4.2, RFC 8252 §7.3).

use std::fmt;

use url::form_urlencoded::byte_serialize;
use url::{ParseError, Url};

mod error;
mod parts;
pub(crate) mod record;
mod rules;

pub use self::error::RedirectUriError;
pub(crate) use self::parts::scheme;
use self::parts::{authority, is_port, split_loopback, without_port, written_host};
pub use self::rules::{EDITOR_SCHEMES, LoopbackPorts, PrivateUseSchemes, RedirectRules};
use self::rules::{is_forbidden, judge_private};
use super::loopback;

/// The parameters that only the server adds.
const RESERVED: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// A redirect URI a client registered, kept as the bytes it sent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RegisteredRedirectUri(Box<str>);

impl RegisteredRedirectUri {
    /// Judges a URI for registration (REDIR-02 to -09).
    ///
    /// # Errors
    /// [`RedirectUriError`], the first rule it breaks.
    pub fn parse(text: &str, rules: &RedirectRules) -> Result<Self, RedirectUriError> {
        use RedirectUriError as E;
        if text.len() > 2048 {
            return Err(E::TooLong);
        }
        if text.bytes().any(|b| {
            !b.is_ascii_graphic()
                || matches!(b, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}')
        }) {
            return Err(E::Character);
        }
        if text.contains('#') {
            return Err(E::Fragment);
        }
        let scheme = scheme(text).ok_or(E::NotAbsolute)?;
        if is_forbidden(scheme) {
            return Err(E::ForbiddenScheme);
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => E::Port,
            ParseError::IdnaError
            | ParseError::InvalidIpv4Address
            | ParseError::InvalidIpv6Address
            | ParseError::InvalidDomainCharacter => E::HostSpelling,
            _ => E::NotAbsolute,
        })?;
        let authority = authority(text).unwrap_or_default();
        if authority.contains('@') {
            return Err(E::Userinfo);
        }
        match url.scheme() {
            "https" | "http" => judge_network(text, scheme, authority, &url)?,
            private => judge_private(private, &rules.private_use_schemes)?,
        }
        if url.query_pairs().any(|(name, _)| RESERVED.contains(&&*name)) {
            return Err(E::ReservedParameter);
        }
        Ok(Self(text.into()))
    }

    /// The URI as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this URI, `http` or `https`, leads to the user's own device, where any
    /// program may listen.
    pub fn is_loopback(&self) -> bool {
        loopback::leads_to_loopback(&self.0)
    }

    /// The requested URI, verified, if it is this one: equal bytes, or equal but for a loopback
    /// port.
    pub(crate) fn verify(
        &self,
        requested: &str,
        ports: LoopbackPorts,
    ) -> Option<VerifiedRedirectUri> {
        (&*self.0 == requested || self.matches_but_for_port(requested, ports))
            .then(|| VerifiedRedirectUri(requested.into()))
    }

    /// This URI as the effective one of a request that names none; a loopback URI without a port
    /// leads nowhere (AUTHZ-10).
    pub(crate) fn verified_as_registered(&self) -> Option<VerifiedRedirectUri> {
        let portless = split_loopback(&self.0).is_some_and(|(_, rest)| !rest.starts_with(':'));
        (!portless).then(|| VerifiedRedirectUri(self.0.clone()))
    }

    fn matches_but_for_port(&self, requested: &str, ports: LoopbackPorts) -> bool {
        let Some((host, registered)) = split_loopback(&self.0) else { return false };
        let exempt = match ports {
            LoopbackPorts::Off => false,
            LoopbackPorts::IpLiterals => host != "localhost",
            LoopbackPorts::IpLiteralsAndLocalhost => true,
        };
        let after_scheme = requested.strip_prefix("http://");
        let rest = after_scheme.and_then(|rest| rest.strip_prefix(host)).and_then(without_port);
        exempt && rest.is_some() && rest == without_port(registered)
    }
}

/// Returns whether a registered URI breaks a rule that no configuration lifts. It is asked at each
/// request, because a record can be older than the rule.
pub(crate) fn is_dangerous(uri: &str) -> bool {
    let insecure =
        |scheme: &str| scheme.eq_ignore_ascii_case("http") && split_loopback(uri).is_none();
    scheme(uri).is_none_or(|scheme| is_forbidden(scheme) || insecure(scheme))
        || !uri.bytes().all(|b| b.is_ascii_graphic())
        || is_disguised(uri)
}

/// Returns whether a browser would go to another host than the one written, which is what the
/// consent page shows.
fn is_disguised(uri: &str) -> bool {
    let authority = authority(uri).unwrap_or_default();
    match Url::parse(uri) {
        Ok(url) => {
            matches!(url.scheme(), "https" | "http") && !is_host_of(written_host(authority), &url)
        }
        Err(_) => true,
    }
}

/// Returns whether the host is written as a browser serializes it. Letter case makes no other host.
fn is_host_of(written: &str, url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(written))
}

/// A redirect URI that was matched against the client's registered ones. Only that makes one; only
/// with one can a redirect be built, so that an open redirector does not compile (LAW 3). Records
/// keep its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifiedRedirectUri(Box<str>);

impl VerifiedRedirectUri {
    /// The URI as requested, its port included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host for the consent page to name, or the scheme of a private-use URI.
    pub fn host(&self) -> &str {
        let scheme = scheme(&self.0).unwrap_or_default();
        let network = ["https", "http"].iter().any(|own| own.eq_ignore_ascii_case(scheme));
        // What a private-use URI has in the host's place is the client's own claim.
        authority(&self.0).filter(|authority| network && !authority.is_empty()).unwrap_or(scheme)
    }

    /// Returns whether this URI, `http` or `https`, leads to the user's own device, where any
    /// program may listen.
    pub fn is_loopback(&self) -> bool {
        loopback::leads_to_loopback(&self.0)
    }

    /// Returns whether this URI has a private-use scheme, which any application on the user's device
    /// may claim (OAuth 2.1 §8.4.3).
    pub fn is_private_use(&self) -> bool {
        let scheme = scheme(&self.0).unwrap_or_default();
        !["https", "http"].iter().any(|own| own.eq_ignore_ascii_case(scheme))
    }

    /// The URI with these parameters added, form-encoded (OAuth 2.1 §2.3, §4.1.2). `extra` bytes
    /// are set aside for them.
    pub(crate) fn with<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'static str, &'a str)>,
        extra: usize,
    ) -> String {
        let mut location = String::with_capacity(self.0.len() + extra);
        location.push_str(&self.0);
        // Only the first question mark begins the query. A later one is part of a value, which the
        // code must not become part of.
        let mut separator = match self.0.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        for (name, value) in parameters {
            location.push_str(separator);
            location.push_str(name);
            location.push('=');
            location.extend(byte_serialize(value.as_bytes()));
            separator = "&";
        }
        location
    }
}

impl fmt::Debug for RegisteredRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for VerifiedRedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn judge_network(
    text: &str,
    scheme: &str,
    authority: &str,
    url: &Url,
) -> Result<(), RedirectUriError> {
    let after_scheme = text.get(scheme.len()..).unwrap_or_default();
    if !after_scheme.starts_with("://") || authority.is_empty() {
        return Err(RedirectUriError::NotAbsolute);
    }
    if authority.contains('*') {
        return Err(RedirectUriError::Wildcard);
    }
    if authority.contains('%') {
        // A browser decodes it, and would go to another host than the consent page names.
        return Err(RedirectUriError::Character);
    }
    let host = written_host(authority);
    let after_host = authority.get(host.len()..).unwrap_or_default();
    if after_host.strip_prefix(':').is_some_and(|port| !is_port(port)) {
        return Err(RedirectUriError::Port);
    }
    if scheme.eq_ignore_ascii_case("http") && split_loopback(text).is_none() {
        return Err(RedirectUriError::InsecureHost);
    }
    if !is_host_of(host, url) {
        return Err(RedirectUriError::HostSpelling);
    }
    Ok(())
}
