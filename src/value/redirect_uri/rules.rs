//! The operator's rules for redirect URIs, and the schemes that no rule admits.

use serde::{Deserialize, Serialize};

use super::RedirectUriError;

/// The rules of registration and of the loopback exemption. The default is safe; each departure
/// says what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy or a client is built with them"]
pub struct RedirectRules {
    /// Whose port may differ between registration and request. Default: loopback IP literals and
    /// `localhost`.
    pub(crate) loopback_ports: LoopbackPorts,
    /// Which private-use schemes may be registered. Default: those shaped like a reversed domain
    /// name.
    pub(crate) private_use_schemes: PrivateUseSchemes,
    /// How many URIs one client may register. Default: 10.
    pub(crate) limit: usize,
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

/// The private-use schemes that widely used editors register in redirect URIs, none of which is a
/// reversed domain name (AMB-03). For [`PrivateUseSchemes::ReverseDomainAnd`].
///
/// ```
/// use grantcore::{EDITOR_SCHEMES, PrivateUseSchemes, RedirectRules};
///
/// let named = EDITOR_SCHEMES.map(str::to_owned).to_vec();
/// let rules = RedirectRules::default()
///     .with_private_use_schemes(PrivateUseSchemes::ReverseDomainAnd(named));
/// let editor = grantcore::Client::public("editor").redirect_uri("cursor://anysphere.cursor-mcp/cb");
/// assert!(editor.build_under(&rules).is_ok());
/// ```
pub const EDITOR_SCHEMES: [&str; 4] = ["cursor", "vscode", "vscode-insiders", "windsurf"];

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
            limit: 10,
        }
    }
}

impl RedirectRules {
    /// Sets for which loopback hosts the port may differ between registration and request. Default:
    /// the IP literals and `localhost` (RFC 8252 §7.3, §8.3).
    ///
    /// The wider the choice, the more programs of the user's own device can receive a code; PKCE makes
    /// it useless to them.
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

pub(super) fn judge_private(
    scheme: &str,
    rules: &PrivateUseSchemes,
) -> Result<(), RedirectUriError> {
    let admitted = match rules {
        PrivateUseSchemes::Deny => false,
        PrivateUseSchemes::ReverseDomain => scheme.contains('.'),
        PrivateUseSchemes::ReverseDomainAnd(named) => {
            scheme.contains('.') || named.iter().any(|name| name.eq_ignore_ascii_case(scheme))
        }
    };
    if admitted { Ok(()) } else { Err(RedirectUriError::PrivateUseScheme) }
}

pub(super) fn is_forbidden(scheme: &str) -> bool {
    FORBIDDEN_SCHEMES.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(scheme))
}
