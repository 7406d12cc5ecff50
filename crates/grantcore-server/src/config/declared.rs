//! The scopes, resources and clients of the file of settings, as they are written there.
//!
//! Here: the keys, and the checks between them. Never here: the rules of a policy or a client,
//! which the library checks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::Protect;
use super::problems::{Place, Problems, similar};
use super::trusted::TrustedIssuer;

/// Everything that the file declares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub(crate) scopes: Vec<Entry<Scope>>,
    pub(crate) resources: Vec<Entry<Resource>>,
    pub(crate) clients: Vec<Entry<DeclaredClient>>,
    pub(crate) protect: Vec<Entry<Protect>>,
    pub(crate) organizations: Vec<Entry<DeclaredOrganization>>,
    pub(crate) trusted: Vec<Entry<TrustedIssuer>>,
}

/// A table of the file, with the place of its header.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

/// `[[scopes]]`: what access tokens can allow.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    pub(crate) name: String,
    /// What the scope lets a client do, in the words of the consent page.
    pub(crate) description: String,
    /// The scopes that this one includes.
    #[serde(default)]
    pub(crate) includes: Vec<Spanned<String>>,
    /// Whether a request that names no scope asks for this one.
    #[serde(default)]
    pub(crate) default: bool,
}

/// `[[organizations]]`: what accounts are members of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredOrganization {
    /// What grants and resources name it by.
    pub(crate) id: String,
    /// The name for people. Default: the id.
    pub(crate) name: Option<String>,
    /// The accounts that belong to it.
    pub(crate) members: Vec<String>,
}

/// `[[resources]]`: what access tokens are for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    pub(crate) url: String,
    /// The name for people, as the consent page has it in "wants access to *your notes*".
    pub(crate) name: Option<String>,
    /// `resource_documentation`, `resource_policy_uri` and `resource_tos_uri` of its metadata.
    pub(crate) documentation: Option<String>,
    pub(crate) policy_uri: Option<String>,
    pub(crate) tos_uri: Option<String>,
    /// Other authorization servers whose tokens the resource accepts.
    #[serde(default)]
    pub(crate) also_issued_by: Vec<String>,
    /// More members of its metadata.
    #[serde(default)]
    pub(crate) members: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(crate) scopes: Vec<Spanned<String>>,
    /// Whether a request that names no resource is for this one.
    #[serde(default)]
    pub(crate) default: bool,
    /// The resource of the demonstration that this server itself serves at the URL.
    pub(crate) builtin: Option<Builtin>,
}

/// A protected resource that this server serves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Builtin {
    /// The MCP endpoint, at `ISSUER/mcp`.
    Mcp,
    /// The JSON API, at `ISSUER/api`.
    Api,
}

impl Builtin {
    /// Returns the path below the issuer.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Mcp => "/mcp",
            Self::Api => "/api",
        }
    }
}

/// `[[clients]]`: a client that the operator registers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredClient {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) uri: Option<String>,
    #[serde(default)]
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) auth_method: Option<AuthMethod>,
    /// `env:NAME`: the variable that has the secret.
    pub(crate) secret: Option<SecretText>,
    /// The file that has the secret.
    pub(crate) secret_file: Option<PathBuf>,
    /// `sha256:` and the SHA-256 of the secret, in hexadecimal.
    pub(crate) secret_digest: Option<SecretText>,
    /// The file that has the key set of the client, for `private_key_jwt`.
    pub(crate) keys_file: Option<PathBuf>,
    /// The URL of the key set of the client, for `private_key_jwt`.
    pub(crate) keys_uri: Option<String>,
    /// The grant types that the client may use. Default: both.
    pub(crate) grant_types: Option<Vec<GrantTypeName>>,
    /// The scopes that the client may ask for. Default: all.
    pub(crate) scopes: Option<Vec<Spanned<String>>>,
    /// The scopes that the client has on its own behalf, without a user. Default: none.
    pub(crate) machine_scopes: Option<Vec<Spanned<String>>>,
    /// The resources that the client may call on its own behalf. Default: all.
    #[serde(default)]
    pub(crate) machine_resources: Vec<Spanned<String>>,
    /// Whether errors are sent to the client by redirect without an action of the user.
    pub(crate) trusted: Option<bool>,
    /// Whether its users are asked at each request. Default: as `remember_consent` says.
    pub(crate) consent: Option<ConsentName>,
    pub(crate) loopback_ports: Option<LoopbackPorts>,
    /// The account that is responsible for the client.
    pub(crate) owner: Option<String>,
    /// The resources whose tokens the client may introspect.
    #[serde(default)]
    pub(crate) introspects: Vec<Spanned<String>>,
    /// Token requests per minute, instead of `rate_limit`.
    pub(crate) rate_limit: Option<std::num::NonZeroU32>,
    /// Shorter lifetimes than the server's.
    pub(crate) code_lifetime: Option<Lifetime>,
    pub(crate) access_lifetime: Option<Lifetime>,
    pub(crate) refresh_idle: Option<Lifetime>,
    pub(crate) refresh_absolute: Option<Lifetime>,
}

/// A duration as text, such as `10m`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Lifetime(pub(crate) Duration);

impl TryFrom<String> for Lifetime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        humantime::parse_duration(&text).map(Self).map_err(|error| error.to_string())
    }
}

/// How a client authenticates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    /// The client signs with a key of its own.
    PrivateKeyJwt,
    /// No credential of its own: a rule of a trusted issuer names the client.
    Federated,
}

/// A grant type of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantTypeName {
    AuthorizationCode,
    RefreshToken,
}

/// Whether the users of a client are asked at each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsentName {
    Ask,
    Remember,
    Skip,
}

/// For which loopback redirect URIs the port may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LoopbackPorts {
    Off,
    IpLiterals,
    IpLiteralsAndLocalhost,
}

/// A text that may be a secret by mistake. Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub(crate) struct SecretText(String);

impl SecretText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        /// The error of serde itself would repeat the value.
        fn refused<T, E: de::Error>() -> Result<T, E> {
            Err(E::custom("must be a string"))
        }

        impl Visitor<'_> for Text {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretText, E> {
                refused()
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretText, E> {
                refused()
            }

            fn visit_i128<E: de::Error>(self, _: i128) -> Result<SecretText, E> {
                refused()
            }

            fn visit_u128<E: de::Error>(self, _: u128) -> Result<SecretText, E> {
                refused()
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretText, E> {
                refused()
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretText, E> {
                refused()
            }
        }

        deserializer.deserialize_any(Text)
    }
}

impl Declared {
    /// Finds what is declared twice, and names of scopes and resources that are not declared.
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        // The scope of a path without scopes is added with the path.
        let of_paths =
            self.protect.iter().map(|own| &own.value).filter(|own| own.scopes.is_empty());
        let of_paths: Vec<String> = of_paths.map(Protect::required_scope).collect();
        let scopes = self.scopes.iter().map(|own| own.value.name.as_str());
        let scopes: Vec<&str> = scopes.chain(of_paths.iter().map(String::as_str)).collect();
        let resources: Vec<&str> =
            self.resources.iter().map(|own| own.value.url.as_str()).collect();
        let mut names = BTreeSet::new();
        for (place, name) in self.scopes.iter().map(|own| (own.place, &own.value.name)) {
            if !names.insert(name.as_str()) {
                problems.at(place, format!("the scope `{name}` is declared twice"));
            }
        }
        let mut ids = BTreeSet::new();
        for (place, id) in self.clients.iter().map(|own| (own.place, &own.value.id)) {
            if !ids.insert(id.as_str()) {
                problems.at(place, format!("the client `{id}` is declared twice"));
            }
        }
        let mut organizations = BTreeSet::new();
        for (place, id) in self.organizations.iter().map(|own| (own.place, &own.value.id)) {
            if !is_label(id) {
                let form = "1 to 63 letters, digits and inner hyphens in lower case";
                problems.at(place, format!("the id of an organization is {form}: `{id}`"));
            } else if !organizations.insert(id.as_str()) {
                problems.at(place, format!("the organization `{id}` is declared twice"));
            }
        }
        let skips = |own: &&Entry<DeclaredClient>| own.value.consent == Some(ConsentName::Skip);
        if !self.organizations.is_empty()
            && let Some(entry) = self.clients.iter().find(skips)
        {
            let text = "consent = \"skip\" cannot be combined with [[organizations]]: users choose the \
                        organization on the consent page";
            problems.at(entry.place, format!("client `{}`: {text}", entry.value.id));
        }
        let defaults = self.resources.iter().map(|own| (own.place, own.value.default));
        let defaults =
            defaults.chain(self.protect.iter().map(|own| (own.place, own.value.default)));
        if let Some((second, _)) = defaults.filter(|(_, is_default)| *is_default).nth(1) {
            problems.at(second, "another resource is the default already".to_owned());
        }
        let used = self.scopes.iter().flat_map(|own| &own.value.includes);
        let used = used.chain(self.resources.iter().flat_map(|own| &own.value.scopes));
        let used =
            used.chain(self.clients.iter().flat_map(|own| own.value.scopes.iter().flatten()));
        let clients = self.clients.iter().map(|own| &own.value);
        let used = used.chain(clients.flat_map(|own| own.machine_scopes.iter().flatten()));
        let protect = self.protect.iter().map(|own| &own.value);
        let used =
            used.chain(protect.flat_map(|own| own.scopes.iter().chain(&own.optional_scopes)));
        let trusted = self.trusted.iter().flat_map(|own| &own.value.scopes);
        for name in used.chain(trusted) {
            check_name("scope", name, &scopes, problems);
        }
        // The resource of a protected upstream without one of its own is its path, at a host that
        // is not known yet. The policy refuses what is none of its resources.
        let is_protected = |url: &str| {
            self.protect.iter().any(|own| match &own.value.resource {
                Some(resource) => resource == url,
                None => url.ends_with(own.value.path.as_str()),
            })
        };
        for url in self.clients.iter().flat_map(|own| &own.value.introspects) {
            if !is_protected(url.get_ref()) {
                check_name("resource", url, &resources, problems);
            }
        }
    }
}

/// Returns whether the text can be a variable in the host of a template of resources.
fn is_label(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&id.len())
        && id.bytes().all(is_plain)
        && !id.starts_with('-')
        && !id.ends_with('-')
}

fn check_name(what: &str, name: &Spanned<String>, declared: &[&str], problems: &mut Problems<'_>) {
    if declared.contains(&name.get_ref().as_str()) {
        return;
    }
    let hint = similar(name.get_ref(), declared.iter().copied());
    let text = format!("the {what} `{}` is not declared{hint}", name.get_ref());
    problems.over(name.span(), text);
}
