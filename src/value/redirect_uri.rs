//! Redirect URIs: which may be registered, which requested one matches, and how response parameters
//! are added to it.
//!
//! A URI is parsed once, when it is registered. A request is matched byte by byte, never parsed and
//! never normalized (OAuth 2.1 §2.3.1, §4.1.1); the port of an `http` loopback URI alone may differ
//! (OAuth 2.1 §8.4.2, RFC 8252 §7.3).

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use url::Url;
use url::form_urlencoded::byte_serialize;

/// The rules of registration and of the loopback exemption. The default is safe; each departure
/// says what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectRules {
    /// Whose port may differ between registration and request. Default: loopback IP literals and
    /// `localhost`.
    pub loopback_ports: LoopbackPorts,
    /// Which private-use schemes may be registered. Default: those shaped like a reversed domain
    /// name.
    pub private_use_schemes: PrivateUseSchemes,
    /// How many URIs one client may register. Default: 10.
    pub most: usize,
}

/// For which `http` loopback URIs the requested port may differ from the registered one (REDIR-12
/// to -15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopbackPorts {
    /// None: byte equality only. Native clients that listen on a fresh port each time then cannot
    /// connect.
    Off,
    /// `127.0.0.1` and `[::1]`, as RFC 8252 §7.3 demands.
    IpLiterals,
    /// `localhost` as well, which most native clients register (RFC 8252 §8.3 advises against, the
    /// field ignores it).
    #[default]
    IpLiteralsAndLocalhost,
}

/// Which private-use URI schemes may be registered (OAuth 2.1 §8.4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PrivateUseSchemes {
    /// None: `https` and loopback `http` only, as MCP demands.
    Deny,
    /// `com.example.app:` and the like: a scheme with a period in it.
    #[default]
    ReverseDomain,
    /// As above, and these by name. A short name can be claimed by any application on the device.
    ReverseDomainAnd(Vec<String>),
}

impl Default for RedirectRules {
    fn default() -> Self {
        Self {
            loopback_ports: LoopbackPorts::default(),
            private_use_schemes: PrivateUseSchemes::default(),
            most: 10,
        }
    }
}

/// Why a URI cannot be registered (`invalid_redirect_uri`, RFC 7591 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectUriError {
    /// The client uses the code flow and registers none (OAuth 2.1 §2.3.1).
    #[error("a client that uses the code flow registers at least one redirect URI")]
    Missing,
    /// More than [`RedirectRules::most`].
    #[error("too many redirect URIs")]
    TooMany,
    /// Over 2,048 bytes.
    #[error("a redirect URI has at most 2048 bytes")]
    TooLong,
    /// A space, control character, backslash, quote, angle bracket or anything outside ASCII.
    #[error("a redirect URI is made of URI characters only")]
    Character,
    /// No scheme, or one without what must follow it (OAuth 2.1 §2.3).
    #[error("a redirect URI is absolute")]
    NotAbsolute,
    /// A fragment, even an empty one (OAuth 2.1 §2.3).
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// A user or password before the host.
    #[error("a redirect URI has no userinfo")]
    Userinfo,
    /// `javascript:`, `data:`, `file:` and their like.
    #[error("this scheme is never a redirect URI")]
    ForbiddenScheme,
    /// A private-use scheme the rules do not admit.
    #[error("a private-use scheme is a reversed domain name, as com.example.app")]
    PrivateUseScheme,
    /// `http` to a host that is not `127.0.0.1`, `[::1]` or `localhost`.
    #[error("http is for loopback hosts only, use https")]
    InsecureHost,
    /// `*` in the host: there are no patterns.
    #[error("a redirect URI has no wildcard in its host")]
    Wildcard,
    /// `code`, `state`, `iss` or an `error` parameter in the query already.
    #[error("a redirect URI's query holds no parameter of the response")]
    ReservedParameter,
    /// A port that is not a number from 1 to 65535 without a leading zero.
    #[error("a redirect URI's port is a number from 1 to 65535")]
    Port,
}

/// Schemes that run code, read files or leave the web. Refused whatever the rules say, at
/// registration and again at each request.
const FORBIDDEN_SCHEMES: [&str; 20] = [
    "about",
    "blob",
    "chrome",
    "content",
    "data",
    "feed",
    "file",
    "filesystem",
    "ftp",
    "gopher",
    "intent",
    "jar",
    "javascript",
    "livescript",
    "mailto",
    "mhtml",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The loopback hosts, spelled as they must be. `127.1`, `127.0.0.2` and other spellings are just
/// insecure hosts.
const LOOPBACK: [&str; 3] = ["http://127.0.0.1", "http://[::1]", "http://localhost"];

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
            url::ParseError::InvalidPort => E::Port,
            _ => E::NotAbsolute,
        })?;
        let authority = authority(text).unwrap_or_default();
        if authority.contains('@') {
            return Err(E::Userinfo);
        }
        match url.scheme() {
            "https" | "http" => judge_network(text, scheme, authority)?,
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

    /// Whether this is an `http` loopback URI, where any program on the user's computer may listen.
    pub fn is_loopback(&self) -> bool {
        split_loopback(&self.0).is_some()
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
            LoopbackPorts::IpLiterals => !host.ends_with("localhost"),
            LoopbackPorts::IpLiteralsAndLocalhost => true,
        };
        let rest = requested.strip_prefix(host).and_then(without_port);
        exempt && rest.is_some() && rest == without_port(registered)
    }
}

/// Whether a registered URI breaks a rule that no configuration lifts: a record can be older than
/// the rule.
pub(crate) fn is_dangerous(uri: &str) -> bool {
    let insecure =
        |scheme: &str| scheme.eq_ignore_ascii_case("http") && split_loopback(uri).is_none();
    scheme(uri).is_none_or(|scheme| is_forbidden(scheme) || insecure(scheme))
        || !uri.bytes().all(|b| b.is_ascii_graphic())
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

    /// Whether any program on the user's own computer may be listening there.
    pub fn is_loopback(&self) -> bool {
        split_loopback(&self.0).is_some()
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
        for (name, value) in parameters {
            match location.find('?') {
                None => location.push('?'),
                Some(_) if location.ends_with(['?', '&']) => {}
                Some(_) => location.push('&'),
            }
            location.push_str(name);
            location.push('=');
            location.extend(byte_serialize(value.as_bytes()));
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

/// The fields of records: the only way back in. Kept off the public types, so that no text becomes
/// a registered or a verified URI by deserializing it.
pub(crate) mod record {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{RegisteredRedirectUri, VerifiedRedirectUri};

    pub(crate) mod list {
        use super::{Deserialize, Deserializer, RegisteredRedirectUri, Serializer};

        pub(crate) fn serialize<S: Serializer>(
            uris: &[RegisteredRedirectUri],
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(uris.iter().map(RegisteredRedirectUri::as_str))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<RegisteredRedirectUri>, D::Error> {
            Ok(Vec::<Box<str>>::deserialize(deserializer)?
                .into_iter()
                .map(RegisteredRedirectUri)
                .collect())
        }
    }

    pub(crate) fn serialize<S: Serializer>(
        uri: &VerifiedRedirectUri,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&uri.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<VerifiedRedirectUri, D::Error> {
        Ok(VerifiedRedirectUri(Box::<str>::deserialize(deserializer)?))
    }
}

fn judge_network(text: &str, scheme: &str, authority: &str) -> Result<(), RedirectUriError> {
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
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    if let Some((_, port)) = authority.get(host_end..).unwrap_or_default().split_once(':') {
        if !is_port(port) {
            return Err(RedirectUriError::Port);
        }
    }
    if scheme.eq_ignore_ascii_case("http") && split_loopback(text).is_none() {
        return Err(RedirectUriError::InsecureHost);
    }
    Ok(())
}

fn judge_private(scheme: &str, rules: &PrivateUseSchemes) -> Result<(), RedirectUriError> {
    let admitted = match rules {
        PrivateUseSchemes::Deny => false,
        PrivateUseSchemes::ReverseDomain => scheme.contains('.'),
        PrivateUseSchemes::ReverseDomainAnd(named) => {
            scheme.contains('.') || named.iter().any(|name| name.eq_ignore_ascii_case(scheme))
        }
    };
    if admitted { Ok(()) } else { Err(RedirectUriError::PrivateUseScheme) }
}

/// `scheme ":"` at the start (RFC 3986 §3.1).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

fn is_forbidden(scheme: &str) -> bool {
    FORBIDDEN_SCHEMES.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(scheme))
}

/// What stands between `//` and the path, if the URI has an authority.
fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    rest.split(['/', '?', '#']).next()
}

/// An `http` loopback URI in two: scheme and host, and the rest from the port on.
fn split_loopback(uri: &str) -> Option<(&'static str, &str)> {
    let (host, rest) = LOOPBACK.iter().find_map(|host| Some((*host, uri.strip_prefix(host)?)))?;
    // What follows the host must end it: `http://127.0.0.1.example` is another one.
    (rest.is_empty() || rest.starts_with([':', '/', '?'])).then_some((host, rest))
}

/// The rest without its port: as it is if it has none, nothing if the port is malformed (REDIR-15).
fn without_port(rest: &str) -> Option<&str> {
    let Some(after) = rest.strip_prefix(':') else { return Some(rest) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (port, rest) = after.split_at_checked(digits)?;
    is_port(port).then_some(rest)
}

/// A decimal number from 1 to 65535 without sign or leading zero.
fn is_port(text: &str) -> bool {
    const PORTS: RangeInclusive<u32> = 1..=65535;
    !text.starts_with('0')
        && text.len() <= 5
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse().is_ok_and(|port| PORTS.contains(&port))
}
