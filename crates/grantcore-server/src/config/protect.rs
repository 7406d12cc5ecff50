//! The settings of protected upstreams: the flag `--protect`, and the tables `[[protect]]` of the
//! file.
//!
//! Here: the keys and their values. Never here: what is forwarded and how (`protect.rs`).

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;
use url::{Host, Url};

use super::Issuer;

/// The upstreams that this server puts OAuth in front of.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Protected upstreams")]
pub(crate) struct Upstreams {
    /// Put OAuth in front of an HTTP server that has none, such as an MCP server: calls of /PATH
    /// that have a valid access token are forwarded to URL. Separate several by commas.
    ///
    /// `/notes=http://127.0.0.1:3000/mcp` forwards `/notes/x?y` to `/mcp/x?y`. The path is at the
    /// root of the host of the issuer, and its URL is the resource that access tokens are for. The
    /// upstream gets the user and the client in the headers `Grantcore-Subject`, `Grantcore-Client`
    /// and `Grantcore-Scope`, which callers cannot set. Nobody else may reach the upstream.
    ///
    /// Every call needs a scope with the name of the path: `notes` for `/notes`, `a.b` for `/a/b`.
    /// The server adds this scope if the file does not declare it. A table `[[protect]]` of the
    /// file can name other scopes, and has the time-outs and limits.
    #[arg(long, env = "GRANTCORE_PROTECT", value_name = "/PATH=URL,...", value_delimiter = ',')]
    pub(crate) protect: Vec<Protect>,

    /// How many calls may be under way at all protected upstreams together. Further ones are
    /// answered 503.
    ///
    /// An event stream is under way until it ends.
    #[arg(long, env = "GRANTCORE_MAX_UPSTREAM_CALLS", value_name = "COUNT")]
    #[arg(default_value = "1024")]
    pub(crate) max_upstream_calls: NonZeroUsize,
}

/// `[[protect]]`: an upstream that this server puts OAuth in front of. The flag has the path and
/// the upstream only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Protect {
    pub(crate) path: ProtectedPath,
    pub(crate) upstream: UpstreamUrl,
    /// The name for people, as the consent page has it in "wants access to *your notes*".
    pub(crate) name: Option<String>,
    /// The scopes that every call needs. Default: one with the name of the path.
    #[serde(default)]
    pub(crate) scopes: Vec<Spanned<String>>,
    /// Further scopes that access tokens can have. The upstream decides by them.
    #[serde(default)]
    pub(crate) optional_scopes: Vec<Spanned<String>>,
    /// The URL that callers use, if it is not the path at the host of the issuer.
    pub(crate) resource: Option<String>,
    /// Whether a request that names no resource is for this one.
    #[serde(default)]
    pub(crate) default: bool,
    /// Whether calls of clients without a user are forwarded too, without the header of a user.
    #[serde(default)]
    pub(crate) machines: bool,
    /// How long before a call the user may have signed in. An older sign-in is challenged, so that
    /// the client has the user sign in again (RFC 9470). Default: any time.
    #[serde(default, deserialize_with = "some_duration")]
    pub(crate) max_age: Option<Duration>,
    /// The certificate authorities (PEM) of an https upstream, in place of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// The largest body of a request, in bytes.
    #[serde(default = "max_body")]
    pub(crate) max_body: u64,
    /// How many calls may be under way at this upstream.
    #[serde(default = "max_calls")]
    pub(crate) max_calls: NonZeroUsize,
    #[serde(default = "connect_timeout", deserialize_with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// How long the upstream may take from the end of a request to the head of its response.
    #[serde(default = "response_timeout", deserialize_with = "duration")]
    pub(crate) response_timeout: Duration,
    /// How long the upstream may be silent within a response.
    #[serde(default = "idle_timeout", deserialize_with = "duration")]
    pub(crate) idle_timeout: Duration,
}

fn max_body() -> u64 {
    4 * 1024 * 1024
}

fn max_calls() -> NonZeroUsize {
    const { NonZeroUsize::new(256).unwrap() }
}

fn connect_timeout() -> Duration {
    Duration::from_secs(5)
}

fn response_timeout() -> Duration {
    Duration::from_secs(60)
}

fn idle_timeout() -> Duration {
    Duration::from_secs(5 * 60)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    super::some_seconds(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(own: D) -> Result<Option<Duration>, D::Error> {
    duration(own).map(Some)
}

impl Protect {
    /// Returns the URL that callers use, which access tokens are for.
    pub(crate) fn resource(&self, issuer: &Issuer) -> String {
        match &self.resource {
            Some(resource) => resource.clone(),
            None => format!("{}{}", issuer.origin(), self.path.as_str()),
        }
    }

    /// Returns the scope that every call needs.
    pub(crate) fn required_scope(&self) -> String {
        if self.scopes.is_empty() { self.path.scope() } else { joined(&self.scopes) }
    }

    /// Returns all scopes that access tokens can have.
    pub(crate) fn scope(&self) -> String {
        let optional = joined(&self.optional_scopes);
        format!("{} {optional}", self.required_scope()).trim_end().to_owned()
    }

    /// Returns the name for people.
    pub(crate) fn shown_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.path.as_str().to_owned())
    }
}

fn joined(names: &[Spanned<String>]) -> String {
    names.iter().map(|name| name.get_ref().as_str()).collect::<Vec<_>>().join(" ")
}

impl FromStr for Protect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, upstream) =
            text.split_once('=').ok_or("write it like /notes=http://127.0.0.1:3000/mcp")?;
        Ok(Self {
            path: path.trim().to_owned().try_into()?,
            upstream: upstream.trim().to_owned().try_into()?,
            name: None,
            scopes: Vec::new(),
            optional_scopes: Vec::new(),
            machines: false,
            max_age: None,
            resource: None,
            default: false,
            ca_file: None,
            max_body: max_body(),
            max_calls: max_calls(),
            connect_timeout: connect_timeout(),
            response_timeout: response_timeout(),
            idle_timeout: idle_timeout(),
        })
    }
}

/// A path that is protected with everything below it, such as `/notes`. It has one spelling only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ProtectedPath(String);

impl ProtectedPath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the scope that calls need by default: `a.b` for `/a/b`.
    fn scope(&self) -> String {
        self.0.trim_start_matches('/').replace('/', ".")
    }

    /// Returns whether one of the two paths is the other, or is below it.
    pub(crate) fn overlaps(&self, other: &str) -> bool {
        let is_below = |below: &str, above: &str| {
            below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        is_below(&self.0, other) || is_below(other, &self.0)
    }
}

impl TryFrom<String> for ProtectedPath {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_segment =
            |own: &str| super::issuer::is_plain(own) && !own.bytes().all(|byte| byte == b'.');
        match text.strip_prefix('/') {
            Some(rest) if rest.split('/').all(is_segment) => Ok(Self(text)),
            _ => Err("the path must have segments like /notes or /a/b, of letters, digits, `-`, \
                      `_`, `.` and `~`, and no .well-known"),
        }
    }
}

/// The URL of an upstream: `http` or `https`, a host, and a path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct UpstreamUrl(Url);

impl UpstreamUrl {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns whether calls of this upstream can be read on a network.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let is_local = match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        !self.is_https() && !is_local
    }
}

impl TryFrom<String> for UpstreamUrl {
    type Error = String;

    /// No error repeats the URL, which may have a password by mistake.
    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| {
            format!("the upstream is no URL ({error}); write it like http://127.0.0.1:3000/mcp")
        })?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("the upstream must be an http or https URL".to_owned());
        }
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err("the upstream must have no user, query and fragment".to_owned());
        }
        Ok(Self(url))
    }
}
