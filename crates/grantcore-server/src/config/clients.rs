//! The settings of clients that the operator did not register.

use std::ffi::OsStr;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Args, Command, ValueEnum};
use grantcore_fetch::{BuildError, DocumentFetcher};

use super::secrets;

/// How the server comes to know clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Whether applications may register themselves (RFC 7591).
    ///
    /// Applications whose developers do not know this server need it. A registration gives a client
    /// id and no access: each user is asked, and the consent page states that the name is not
    /// verified.
    #[arg(long, env = "GRANTCORE_REGISTRATION", value_name = "ON|OFF")]
    #[arg(default_value = "on")]
    pub(crate) registration: Switch,

    /// The token that a registration requires, at least 22 characters. Without one, anybody may
    /// register.
    ///
    /// Wrong tokens are not counted, so generate it at random: 22 random letters and digits have
    /// 128 bits. Other users of this machine can read a command line, so pass the token in the
    /// variable or in a file. `env:NAME` is the value of the variable NAME.
    #[arg(
        long,
        env = "GRANTCORE_REGISTRATION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = TokenReader
    )]
    pub(crate) registration_token: Option<RegistrationToken>,

    /// A file with the token of --registration-token. Only its owner and group may read it.
    #[arg(long, env = "GRANTCORE_REGISTRATION_TOKEN_FILE", value_name = "FILE")]
    pub(crate) registration_token_file: Option<PathBuf>,

    /// Whether a client id may be the https URL of a client metadata document, which this server
    /// fetches.
    ///
    /// The server calls public addresses only, follows no redirect, and reads at most 5 KiB.
    #[arg(long, env = "GRANTCORE_CLIENT_DOCUMENTS", value_name = "ON|OFF")]
    #[arg(default_value = "on")]
    pub(crate) client_documents: Switch,

    /// DANGER, for trials only: fetch client documents from this machine too, also over http.
    ///
    /// Anybody can then make this server call what listens on this machine.
    #[arg(long, env = "GRANTCORE_ALLOW_LOOPBACK_DOCUMENTS", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) allow_loopback_documents: bool,

    /// Hosts whose client documents are refused without being fetched, separated by commas.
    /// `*.example.com` is every name below it.
    #[arg(long, env = "GRANTCORE_DENIED_DOCUMENT_DOMAINS", value_name = "HOSTS")]
    #[arg(value_delimiter = ',')]
    pub(crate) denied_document_domains: Vec<String>,

    /// Hosts whose client documents are accepted, separated by commas [default: all].
    ///
    /// An application with a document at another host cannot connect, even if its users want it to.
    #[arg(long, env = "GRANTCORE_ALLOWED_DOCUMENT_DOMAINS", value_name = "HOSTS")]
    #[arg(value_delimiter = ',')]
    pub(crate) allowed_document_domains: Vec<String>,

    /// Hosts of client documents, separated by commas, that errors are sent to by redirect. Their
    /// users are still asked for consent.
    #[arg(long, env = "GRANTCORE_TRUSTED_DOCUMENT_DOMAINS", value_name = "HOSTS")]
    #[arg(value_delimiter = ',')]
    pub(crate) trusted_document_domains: Vec<String>,

    /// Hosts of the redirect URIs that applications may register themselves with, separated by
    /// commas [default: all]. Loopback addresses and private-use schemes are not affected.
    #[arg(long, env = "GRANTCORE_REDIRECT_HOSTS", value_name = "HOSTS", value_delimiter = ',')]
    pub(crate) redirect_hosts: Vec<String>,

    /// A file with one more certificate authority (PEM) to trust when client documents are fetched.
    #[arg(long, env = "GRANTCORE_DOCUMENT_AUTHORITY", value_name = "FILE")]
    pub(crate) document_authority: Option<PathBuf>,

    /// Private-use schemes without a period that redirect URIs may have; an empty list admits none.
    ///
    /// The defaults are those of well-known editors. Any program on a user's device can claim such
    /// a short name, so the consent page warns. Schemes like com.example.app are always admitted.
    #[arg(
        long,
        env = "GRANTCORE_PRIVATE_USE_SCHEMES",
        value_name = "NAMES",
        value_delimiter = ',',
        default_values = grantcore::value::EDITOR_SCHEMES
    )]
    pub(crate) private_use_schemes: Vec<String>,

    /// How many redirect URIs one application may register.
    ///
    /// Each is one more address that codes can be sent to. Few applications need more than three.
    #[arg(long, env = "GRANTCORE_REDIRECT_URI_LIMIT", value_name = "COUNT", default_value = "10")]
    pub(crate) redirect_uri_limit: NonZeroUsize,

    /// The grant types of an application whose registration or document names none.
    ///
    /// The default of RFC 7591 is `authorization_code` alone. With it, an application that forgets
    /// to name `refresh_token` must ask its users again whenever an access token expires.
    #[arg(
        long,
        env = "GRANTCORE_DEFAULT_GRANT_TYPES",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "authorization_code,refresh_token"
    )]
    pub(crate) default_grant_types: Vec<GrantType>,

    /// The scopes that applications may request if the operator did not register them, separated by
    /// spaces [default: all scopes].
    #[arg(long, env = "GRANTCORE_UNVERIFIED_SCOPE", value_name = "SCOPES")]
    pub(crate) unverified_scope: Option<String>,

    /// What `scope` means in the registration or the document of an application.
    ///
    /// `limit`: the application can request this scope and what it includes, and must register
    /// again for more.
    ///
    /// `default`: a request without scope is for this scope. The application can request more,
    /// within --unverified-scope and the consent of the user. Choose it for applications that
    /// register with the scope of their first challenge and ask for more later.
    #[arg(long, env = "GRANTCORE_REGISTERED_SCOPE", value_name = "MEANING")]
    #[arg(default_value = "limit")]
    pub(crate) registered_scope: RegisteredScope,

    /// Accept the secret of an application in the header and in the body, whichever the application
    /// registered.
    ///
    /// Otherwise only the registered method is accepted, and the error names it.
    #[arg(long, env = "GRANTCORE_LENIENT_ON_METHOD", value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, action = ArgAction::Set)]
    #[arg(default_value = "false", default_missing_value = "true")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) lenient_on_method: bool,
}

impl Clients {
    /// Returns the fetcher of client documents that these settings ask for.
    pub(crate) fn fetcher(&self) -> Result<DocumentFetcher, BuildError> {
        let mut builder = DocumentFetcher::builder().allow_loopback(self.allow_loopback_documents);
        if let Some(path) = &self.document_authority {
            builder = builder.additional_roots(path);
        }
        builder.build()
    }
}

/// A grant type that this server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum GrantType {
    AuthorizationCode,
    RefreshToken,
}

/// What the scope of a registration means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegisteredScope {
    /// The application can request this scope and no other.
    Limit,
    /// A request without scope gets this scope.
    Default,
}

/// A switch with two words, so that an environment variable can turn it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// The registration token of the operator. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct RegistrationToken(String);

impl RegistrationToken {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for RegistrationToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_token = text.len() >= 22
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        is_token
            .then(|| Self(text.to_owned()))
            .ok_or("must be 22 characters or more, of letters, digits and -._~+/=")
    }
}

/// Parses the token. Unlike clap's own parsers, it does not repeat a wrong value.
#[derive(Clone, Copy)]
struct TokenReader;

impl TypedValueParser for TokenReader {
    type Value = RegistrationToken;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<RegistrationToken, clap::Error> {
        let text = value.to_str().ok_or_else(|| "must be ASCII".to_owned());
        let token = text.and_then(secrets::resolve).and_then(|text| Ok(text.parse()?));
        token.map_err(|why| {
            let message = format!("invalid value for '--registration-token <TOKEN>': {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

impl fmt::Debug for RegistrationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationToken(redacted)")
    }
}
