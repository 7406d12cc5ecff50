//! How applications may come to be known that the operator has never heard of.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use grantcore_fetch::{BuildError, DocumentFetcher};

/// How clients come to be known.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub(crate) struct Clients {
    /// Whether applications may register themselves (RFC 7591), as those must that have never
    /// heard of this server.
    ///
    /// Whoever registers gets a client id and nothing else: the user is asked, and told that
    /// nobody vouches for it.
    #[arg(long, env = "GRANTCORE_REGISTRATION", value_name = "ON|OFF")]
    #[arg(default_value = "on")]
    pub(crate) registration: Switch,

    /// A token without which nobody may register, at least 22 characters; none lets anybody.
    ///
    /// Wrong ones are not counted, so draw it: 22 random letters and digits are 128 bits. Give it
    /// by the variable: what is on a command line, every user of the machine can read.
    #[arg(
        long,
        env = "GRANTCORE_REGISTRATION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) registration_token: Option<RegistrationToken>,

    /// Whether a client id may be the https URL of a document about the client, which this server
    /// then fetches.
    ///
    /// It calls public addresses only, follows no redirect, and reads at most 5 KiB.
    #[arg(long, env = "GRANTCORE_CLIENT_DOCUMENTS", value_name = "ON|OFF")]
    #[arg(default_value = "on")]
    pub(crate) client_documents: Switch,

    /// DANGER, for trials on one machine only: fetch client documents from this very machine too,
    /// over http as well.
    ///
    /// Any stranger can then make this server call whatever listens on it.
    #[arg(long, env = "GRANTCORE_ALLOW_LOOPBACK_DOCUMENTS")]
    pub(crate) allow_loopback_documents: bool,

    /// A file with one more certificate authority (PEM) to trust when client documents are
    /// fetched.
    #[arg(long, env = "GRANTCORE_DOCUMENT_AUTHORITY", value_name = "FILE")]
    pub(crate) document_authority: Option<PathBuf>,

    /// Private-use schemes without a period that may be registered in redirect URIs; an empty list
    /// admits none.
    ///
    /// The default are those of well-known editors. Any program on a user's device can claim such a
    /// short name, so the consent page warns; those like com.example.app are always admitted.
    #[arg(
        long,
        env = "GRANTCORE_PRIVATE_USE_SCHEMES",
        value_name = "NAMES",
        value_delimiter = ',',
        default_values = grantcore::EDITOR_SCHEMES
    )]
    pub(crate) private_use_schemes: Vec<String>,

    /// How many redirect URIs one application may register.
    ///
    /// Each is one more place that a code may be sent to; few applications need more than three.
    #[arg(long, env = "GRANTCORE_REDIRECT_URI_LIMIT", value_name = "COUNT", default_value = "10")]
    pub(crate) redirect_uri_limit: NonZeroUsize,

    /// What an application may do that registers itself, or is known by a document, and does not
    /// say so.
    ///
    /// RFC 7591 has `authorization_code` alone; applications that forget to ask for the other then
    /// have to ask their users again whenever an access token ends.
    #[arg(
        long,
        env = "GRANTCORE_DEFAULT_GRANT_TYPES",
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "authorization_code,refresh_token"
    )]
    pub(crate) default_grant_types: Vec<GrantType>,

    /// The most that applications may ask for that you did not register, as scopes separated by
    /// spaces [default: all there are].
    #[arg(long, env = "GRANTCORE_UNVERIFIED_SCOPE", value_name = "SCOPES")]
    pub(crate) unverified_scope: Option<String>,

    /// Accept an application's secret in the header or the body, wherever it registered to send
    /// it.
    ///
    /// Otherwise a right secret by the other method is refused, and the answer names the
    /// registered one.
    #[arg(long, env = "GRANTCORE_LENIENT_ON_METHOD")]
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

/// Yes or no, said in full so that a variable can say no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// A secret of the operator's. It is not shown.
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

impl fmt::Debug for RegistrationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationToken(redacted)")
    }
}
