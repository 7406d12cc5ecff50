//! The operator's rules for redirect URIs, and the schemes that are never accepted.

use serde::{Deserialize, Serialize};

use super::RedirectUriError;

/// The rules for redirect URIs at registration, and for the ports of loopback URIs. The defaults
/// are safe; each setter names the cost of a departure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy or a client is built with them"]
pub struct RedirectRules {
    /// The loopback hosts whose port may differ between registration and request.
    pub(crate) loopback_ports: LoopbackPorts,
    /// The private-use schemes that may be registered.
    pub(crate) private_use_schemes: PrivateUseSchemes,
    /// The most URIs that one client may register.
    pub(crate) limit: usize,
}

/// The `http` loopback URIs whose requested port may differ from the registered one (REDIR-12 to
/// -15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "RFC 8252 knows no further hosts")]
pub enum LoopbackPorts {
    /// No URI. Native clients that listen on a fresh port each time cannot connect.
    Off,
    /// The URIs of `127.0.0.1` and `[::1]`, as RFC 8252 §7.3 requires.
    IpLiterals,
    /// The URIs of `localhost` as well. RFC 8252 §8.3 advises against `localhost`, but most native
    /// clients register it.
    #[default]
    IpLiteralsAndLocalhost,
}

/// The private-use schemes that widely used editors register in redirect URIs. None is a reversed
/// domain name (AMB-03). Use them with [`PrivateUseSchemes::ReverseDomainAnd`].
///
/// ```
/// use grantcore::value::{EDITOR_SCHEMES, PrivateUseSchemes, RedirectRules};
///
/// let named = EDITOR_SCHEMES.map(str::to_owned).to_vec();
/// let rules = RedirectRules::default()
///     .with_private_use_schemes(PrivateUseSchemes::ReverseDomainAnd(named));
/// let uri = "cursor://anysphere.cursor-mcp/cb";
/// let editor = grantcore::Client::public("editor").redirect_uri(uri);
/// assert!(editor.build_under(&rules).is_ok());
/// ```
pub const EDITOR_SCHEMES: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "windsurf"];

/// The private-use URI schemes that may be registered (OAuth 2.1 §8.4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrivateUseSchemes {
    /// None. Only `https` and loopback `http` are accepted, as MCP requires.
    Deny,
    /// Schemes that contain a period, such as `com.example.app`.
    #[default]
    ReverseDomain,
    /// Schemes that contain a period, and these. Any application on the device can claim a short
    /// scheme.
    ReverseDomainAnd(Vec<String>),
}

impl Default for RedirectRules {
    fn default() -> Self {
        Self {
            loopback_ports: LoopbackPorts::default(),
            private_use_schemes: PrivateUseSchemes::default(),
            limit: 10,
        }
    }
}

impl RedirectRules {
    /// Sets for which loopback hosts the port may differ between registration and request. Default:
    /// the IP literals and `localhost` (RFC 8252 §7.3, §8.3).
    ///
    /// The wider the choice, the more programs of the user's own device can receive a code; PKCE
    /// makes it useless to them.
    pub fn with_loopback_ports(self, ports: LoopbackPorts) -> Self {
        Self { loopback_ports: ports, ..self }
    }

    /// Sets which private-use schemes can be registered. Default: those with the form of a reversed
    /// domain name (OAuth 2.1 §8.4.3).
    ///
    /// Any application on the user's device can claim a short name, and receive the code.
    pub fn with_private_use_schemes(self, schemes: PrivateUseSchemes) -> Self {
        Self { private_use_schemes: schemes, ..self }
    }

    /// Sets how many URIs one client can register. Default: 10.
    ///
    /// A higher limit makes records larger, and lets one leaking URI hide among many.
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Returns for which loopback hosts the port may differ.
    pub fn loopback_ports(&self) -> LoopbackPorts {
        self.loopback_ports
    }

    /// Returns which private-use schemes can be registered.
    pub fn private_use_schemes(&self) -> &PrivateUseSchemes {
        &self.private_use_schemes
    }

    /// Returns how many URIs one client can register.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

/// Schemes that run code, read files or leave the web. No rule admits them, neither at registration
/// nor at a request.
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

pub(super) fn check_private_use(
    scheme: &str,
    rules: &PrivateUseSchemes,
) -> Result<(), RedirectUriError> {
    let is_admitted = match rules {
        PrivateUseSchemes::Deny => false,
        PrivateUseSchemes::ReverseDomain => scheme.contains('.'),
        PrivateUseSchemes::ReverseDomainAnd(named) => {
            scheme.contains('.') || named.iter().any(|name| name.eq_ignore_ascii_case(scheme))
        }
    };
    if is_admitted { Ok(()) } else { Err(RedirectUriError::PrivateUseScheme) }
}

pub(super) fn is_forbidden(scheme: &str) -> bool {
    FORBIDDEN_SCHEMES.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(scheme))
}
