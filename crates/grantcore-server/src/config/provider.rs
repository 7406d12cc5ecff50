//! The settings of an identity provider that signs users in.
//!
//! Here: the flags, and the form of each value. Never here: the rules between them, and the
//! provider itself (`provider.rs`).

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, Command, ValueEnum};
use url::{Host, Url};

use super::secrets;

/// The identity provider.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Identity provider")]
#[expect(clippy::struct_field_names, reason = "a field has the name of its flag")]
pub(crate) struct ProviderSettings {
    /// The issuer of an OpenID Connect provider that signs users in.
    ///
    /// Users sign in there, beside or instead of --accounts. This server stays the authorization
    /// server of its applications: its consent page is shown for each of them. Register the
    /// redirect URI `ISSUER/login/callback` of this server with the provider.
    ///
    /// An account is the pair of this issuer and the provider's `sub`. If this issuer changes, its
    /// users get new accounts.
    #[arg(long, env = "GRANTCORE_PROVIDER_ISSUER", value_name = "URL")]
    pub(crate) provider_issuer: Option<ProviderIssuer>,

    /// The name of the provider on the sign-in page, as in "Continue with Example" [default: its
    /// host].
    #[arg(long, env = "GRANTCORE_PROVIDER_NAME", value_name = "NAME")]
    pub(crate) provider_name: Option<String>,

    /// The `client_id` of this server at the provider.
    #[arg(long, env = "GRANTCORE_PROVIDER_CLIENT_ID", value_name = "ID")]
    pub(crate) provider_client_id: Option<String>,

    /// The secret of this server at the provider.
    ///
    /// Other users of this machine can read a command line, so pass the secret in the variable or
    /// in a file. `env:NAME` is the value of the variable NAME.
    #[arg(
        long,
        env = "GRANTCORE_PROVIDER_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        value_parser = SecretReader
    )]
    pub(crate) provider_client_secret: Option<ProviderSecret>,

    /// A file with the secret of --provider-client-secret. Only its owner and group may read it.
    #[arg(long, env = "GRANTCORE_PROVIDER_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(crate) provider_client_secret_file: Option<PathBuf>,

    /// The scopes to ask the provider for, besides `openid`, separated by commas.
    #[arg(long, env = "GRANTCORE_PROVIDER_SCOPES", value_name = "SCOPE,...")]
    #[arg(value_delimiter = ',', default_value = "email,profile")]
    pub(crate) provider_scopes: Vec<String>,

    /// The claim of the ID token that pages show as the name of an account.
    ///
    /// An e-mail address is shown only if the provider has verified it. If the claim is missing,
    /// another of the three is shown.
    #[arg(long, env = "GRANTCORE_PROVIDER_ACCOUNT_NAME", value_name = "CLAIM")]
    #[arg(default_value = "email")]
    pub(crate) provider_account_name: NameClaim,

    /// Let every user of the provider sign in.
    ///
    /// Otherwise --provider-domains, --provider-claims or --provider-subjects name who may. Anybody
    /// can be a user of a public provider such as Google.
    #[arg(long, env = "GRANTCORE_PROVIDER_EVERYBODY", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) provider_everybody: bool,

    /// Let users sign in if their verified e-mail address is in one of these domains, separated by
    /// commas.
    ///
    /// A subdomain is another domain. If --provider-claims or --provider-subjects is set too, users
    /// must meet all of them.
    #[arg(long, env = "GRANTCORE_PROVIDER_DOMAINS", value_name = "DOMAIN,...")]
    #[arg(value_delimiter = ',', value_parser = domain)]
    pub(crate) provider_domains: Vec<String>,

    /// Let users sign in if their ID token has all of these claims, separated by commas.
    ///
    /// `NAME=VALUE` is a claim with this value, or a list that contains it: `groups=staff`,
    /// `hd=example.com`. The standard claims of a profile, such as `email`, cannot be named.
    #[arg(long, env = "GRANTCORE_PROVIDER_CLAIMS", value_name = "NAME=VALUE,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) provider_claims: Vec<RequiredClaim>,

    /// Let these users sign in: values of `sub` at the provider, separated by commas.
    #[arg(long, env = "GRANTCORE_PROVIDER_SUBJECTS", value_name = "SUB,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) provider_subjects: Vec<String>,

    /// The administrators, by their `sub` at the provider, separated by commas.
    #[arg(long, env = "GRANTCORE_PROVIDER_ADMIN_SUBJECTS", value_name = "SUB,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) provider_admin_subjects: Vec<String>,

    /// The administrators, by their verified e-mail addresses at the provider, separated by commas.
    ///
    /// If the provider gives such an address to somebody else later, that person is an
    /// administrator too: prefer --provider-admin-subjects.
    #[arg(long, env = "GRANTCORE_PROVIDER_ADMIN_EMAILS", value_name = "EMAIL,...")]
    #[arg(value_delimiter = ',', value_parser = email)]
    pub(crate) provider_admin_emails: Vec<String>,

    /// A file with one more certificate authority (PEM) to trust when the provider is called.
    #[arg(long, env = "GRANTCORE_PROVIDER_AUTHORITY", value_name = "FILE")]
    pub(crate) provider_authority: Option<PathBuf>,
}

impl ProviderSettings {
    /// Returns whether rules say who of the provider's users may sign in.
    pub(crate) fn has_rules(&self) -> bool {
        let names = |list: &[String]| list.iter().any(|own| !own.is_empty());
        names(&self.provider_domains)
            || names(&self.provider_subjects)
            || !self.provider_claims.is_empty()
    }
}

/// A claim that a page can show as the name of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum NameClaim {
    Email,
    PreferredUsername,
    Name,
}

/// The issuer of a provider, in the spelling of its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderIssuer {
    text: String,
    url: Url,
}

impl ProviderIssuer {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the host, with the port if the URL has one.
    pub(crate) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Returns whether the provider is on this machine, without TLS, as in a trial.
    pub(crate) fn is_local(&self) -> bool {
        self.url.scheme() == "http"
    }
}

impl FromStr for ProviderIssuer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let form = "must be the `issuer` of the provider's document, like https://idp.example.com";
        let url = Url::parse(text).map_err(|_| form)?;
        if !is_safe(&url) {
            return Err(
                "must be https; http is for this machine only (127.0.0.1, [::1], localhost)",
            );
        }
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if is_plain { Ok(Self { text: text.to_owned(), url }) } else { Err(form) }
    }
}

/// Returns whether a URL is https, or http on this machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    matches!((url.scheme(), is_local), ("https", _) | ("http", true))
}

/// A claim that an ID token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequiredClaim {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for RequiredClaim {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("must be NAME=VALUE, like groups=staff"),
        }
    }
}

/// Parses a domain, and returns it in lowercase.
fn domain(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    let is_domain = !text.is_empty() && !text.contains(['@', '*', '/', ' ']);
    is_domain.then_some(text).ok_or("not a domain; write it like example.com")
}

/// Parses an e-mail address, and returns it in lowercase.
fn email(text: &str) -> Result<String, &'static str> {
    let text = text.trim().to_ascii_lowercase();
    let is_email = text.rsplit_once('@').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    is_email.then_some(text).ok_or("not an e-mail address; write it like ops@example.com")
}

/// The secret of this server at the provider. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct ProviderSecret(String);

impl ProviderSecret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProviderSecret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ProviderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderSecret(redacted)")
    }
}

/// Parses the secret. Unlike clap's own parsers, it does not repeat a wrong value.
#[derive(Clone, Copy)]
struct SecretReader;

impl TypedValueParser for SecretReader {
    type Value = ProviderSecret;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<ProviderSecret, clap::Error> {
        let text = value.to_str().ok_or_else(|| "must be UTF-8".to_owned());
        let secret = text.and_then(secrets::resolve).and_then(|text| {
            if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
        });
        secret.map(ProviderSecret).map_err(|why| {
            let message = format!("invalid value for '--provider-client-secret <SECRET>': {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}
