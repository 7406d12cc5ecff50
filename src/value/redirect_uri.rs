//! Redirect URIs: the rules of registration, the match of a requested URI, and the response
//! parameters.
//!
//! A URI is parsed once, when it is registered. A requested URI is compared byte by byte, and is
//! neither parsed nor normalized (OAuth 2.1 §2.3.1, §4.1.1). Only the port of an `http` loopback
//! URI may differ (OAuth 2.1 §8.4.2, RFC 8252 §7.3).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::uri::{self, BrowserError, BrowserUrl, Uri};

mod error;
pub(crate) mod record;
mod rules;

pub use self::error::RedirectUriError;
pub use self::rules::{EDITOR_SCHEMES, LoopbackPorts, PrivateUseSchemes, RedirectRules};
use self::rules::{check_private_use, is_forbidden};

/// The parameters of the response. A redirect URI that has one could forge or hide the server's
/// own.
const RESERVED: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// A redirect URI that a client registered, as the bytes that it sent.
#[derive(Clone)]
pub struct RegisteredRedirectUri {
    text: Arc<str>,
    /// The reading of the text by a browser, once it was needed. Parsing it at each request took
    /// 8,600 instructions of an authorization.
    reading: OnceLock<Reading>,
}

/// The reading of a redirect URI by a browser.
#[derive(Clone, Copy, Debug)]
struct Reading {
    is_dangerous: bool,
    is_loopback: bool,
}

impl RegisteredRedirectUri {
    /// Checks a URI for registration (REDIR-02 to -09).
    ///
    /// # Errors
    /// [`RedirectUriError`], the first rule that the URI breaks.
    pub fn parse(text: &str, rules: &RedirectRules) -> Result<Self, RedirectUriError> {
        use RedirectUriError as E;
        if text.len() > uri::MAX_BYTES {
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
        let written = Uri::split(text).ok_or(E::NotAbsolute)?;
        if is_forbidden(written.scheme()) {
            return Err(E::ForbiddenScheme);
        }
        let url = BrowserUrl::parse(text).map_err(|error| match error {
            BrowserError::Port => E::Port,
            BrowserError::Host => E::HostSpelling,
            BrowserError::NotAbsolute => E::NotAbsolute,
        })?;
        if written.has_userinfo() {
            return Err(E::Userinfo);
        }
        if !written.is_well_formed() {
            return Err(E::Character);
        }
        if written.is_web() {
            check_web(&written, &url)?;
        } else {
            check_private_use(written.scheme(), &rules.private_use_schemes)?;
        }
        if url.has_parameter(&RESERVED) {
            return Err(E::ReservedParameter);
        }
        Ok(Self::recorded(text))
    }

    /// Makes the URI of this text of a record.
    fn recorded(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), reading: OnceLock::new() }
    }

    /// Returns the URI as it was registered.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether this is an `https` or `http` URI that leads to the user's own device, where
    /// any program may listen.
    pub fn is_loopback(&self) -> bool {
        self.reading().is_loopback
    }

    /// Returns whether the URI breaks a rule that no configuration lifts. It is checked at each
    /// request, because a record can be older than the rule.
    pub(crate) fn is_dangerous(&self) -> bool {
        self.reading().is_dangerous
    }

    /// Returns whether the scheme is `https` or `http`.
    pub(crate) fn is_web(&self) -> bool {
        Uri::split(&self.text).is_some_and(|uri| uri.is_web())
    }

    /// Returns whether this is an `https` URI that does not lead to the user's own device.
    pub(crate) fn is_https_host(&self) -> bool {
        is_https_host(&self.text)
    }

    fn reading(&self) -> &Reading {
        self.reading.get_or_init(|| Reading {
            is_dangerous: is_dangerous(&self.text),
            is_loopback: uri::leads_to_loopback(&self.text),
        })
    }

    /// Returns the requested URI as verified if it equals this one. It shares its text.
    pub(crate) fn verify(&self, requested: &str) -> Option<VerifiedRedirectUri> {
        (&*self.text == requested).then(|| VerifiedRedirectUri(Arc::clone(&self.text)))
    }

    /// Returns the requested URI as verified if this is a loopback URI that it equals but for the
    /// port. What is [dangerous](Self::is_dangerous) or [loopback](Self::is_loopback) about one of
    /// the two is so about the other: they differ in the digits of a valid port only.
    pub(crate) fn verify_except_port(
        &self,
        requested: &str,
        ports: LoopbackPorts,
    ) -> Option<VerifiedRedirectUri> {
        self.matches_except_port(requested, ports).then(|| VerifiedRedirectUri(requested.into()))
    }

    /// Returns this URI as verified, for a request that names none. Returns `None` for a loopback
    /// URI without a port, because no client listens there (AUTHZ-10).
    pub(crate) fn verified_as_registered(&self) -> Option<VerifiedRedirectUri> {
        let is_portless = Uri::split(&self.text)
            .is_some_and(|written| written.is_loopback_http() && written.port().is_none());
        (!is_portless).then(|| VerifiedRedirectUri(Arc::clone(&self.text)))
    }

    fn matches_except_port(&self, requested: &str, ports: LoopbackPorts) -> bool {
        let Some(after_scheme) = requested.strip_prefix("http://") else { return false };
        let is_varying =
            |uri: &Uri<'_>| uri.is_loopback_http() && uri.port().is_none_or(uri::is_port);
        let Some(written) = Uri::split(&self.text).filter(is_varying) else { return false };
        let is_exempt = match ports {
            LoopbackPorts::Off => false,
            LoopbackPorts::IpLiterals => written.host() != "localhost",
            LoopbackPorts::IpLiteralsAndLocalhost => true,
        };
        let after_host = after_scheme.strip_prefix(written.host()).and_then(uri::strip_port);
        is_exempt && after_host == Some(written.path_and_query())
    }
}

/// Returns whether this is an `https` URI that does not lead to the user's own device.
fn is_https_host(text: &str) -> bool {
    let is_https = |uri: Uri<'_>| uri.scheme().eq_ignore_ascii_case("https");
    Uri::split(text).is_some_and(is_https) && !uri::leads_to_loopback(text)
}

fn is_dangerous(text: &str) -> bool {
    let Some(written) = Uri::split(text) else { return true };
    let is_insecure = written.scheme().eq_ignore_ascii_case("http") && !written.is_loopback_http();
    is_forbidden(written.scheme())
        || is_insecure
        || !text.bytes().all(|b| b.is_ascii_graphic())
        || is_disguised(&written, text)
}

/// Returns whether a browser would go to another host than the written one, which the consent page
/// shows.
fn is_disguised(written: &Uri<'_>, text: &str) -> bool {
    match BrowserUrl::parse(text) {
        Ok(url) => written.is_web() && (written.has_userinfo() || !url.has_host(written.host())),
        Err(_) => true,
    }
}

/// A redirect URI that was matched with the registered URIs of the client. Nothing else makes one,
/// and only with one can a redirect be built, so that an open redirector does not compile (LAW 3).
/// Records keep its text. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifiedRedirectUri(Arc<str>);

impl VerifiedRedirectUri {
    /// Returns the URI as it was requested, with its port.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what the consent page names: host and port, or the scheme of a private-use URI.
    pub fn host(&self) -> &str {
        // What a private-use URI has in place of a host is a claim of the client.
        match Uri::split(&self.0) {
            Some(uri) => uri
                .authority()
                .filter(|authority| uri.is_web() && !authority.is_empty())
                .unwrap_or(uri.scheme()),
            None => "",
        }
    }

    /// Returns whether this is an `https` or `http` URI that leads to the user's own device, where
    /// any program may listen.
    pub fn is_loopback(&self) -> bool {
        uri::leads_to_loopback(&self.0)
    }

    /// Returns whether the response goes to an `https` URI of a host that is not the user's own
    /// device. Only such a URI proves who the client is (OAuth 2.1 §7.3.1).
    pub(crate) fn is_https_host(&self) -> bool {
        is_https_host(&self.0)
    }

    /// Returns whether this URI has a private-use scheme, which any application on the user's
    /// device may claim (OAuth 2.1 §8.4.3).
    pub fn is_private_use(&self) -> bool {
        !Uri::split(&self.0).is_some_and(|uri| uri.is_web())
    }

    /// Returns the URI with these parameters added, form-encoded (OAuth 2.1 §2.3, §4.1.2). `extra`
    /// is the number of bytes to reserve for them.
    pub(crate) fn with(
        &self,
        parameters: &[Option<(&'static str, uri::Value<'_>)>],
        extra: usize,
    ) -> String {
        uri::with_parameters(&self.0, parameters, extra)
    }
}

macro_rules! uri_text {
    ($name:ident) => {
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

/// Compares the texts. The reading is derived from them.
impl PartialEq for RegisteredRedirectUri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RegisteredRedirectUri {}

impl Hash for RegisteredRedirectUri {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

uri_text!(RegisteredRedirectUri);
uri_text!(VerifiedRedirectUri);

/// Checks the host and port of an `https` or `http` URI.
fn check_web(written: &Uri<'_>, url: &BrowserUrl) -> Result<(), RedirectUriError> {
    let authority = written.authority().unwrap_or_default();
    if authority.is_empty() {
        return Err(RedirectUriError::NotAbsolute);
    }
    if authority.contains('*') {
        return Err(RedirectUriError::Wildcard);
    }
    if authority.contains('%') {
        // A browser decodes it, and would go to another host than the consent page names.
        return Err(RedirectUriError::Character);
    }
    if written.port().is_some_and(|port| !uri::is_port(port)) {
        return Err(RedirectUriError::Port);
    }
    if written.scheme().eq_ignore_ascii_case("http") && !written.is_loopback_http() {
        return Err(RedirectUriError::InsecureHost);
    }
    if !url.has_host(written.host()) || written.has_empty_label() {
        return Err(RedirectUriError::HostSpelling);
    }
    Ok(())
}
