//! How clients may come to be known without the operator: by registering themselves, or by a
//! document about them.

use std::time::Duration;

use crate::value::auth_method::{AuthMethod, SecretMethod};
use crate::value::secret::Digest;

/// The rules of dynamic client registration (RFC 7591) and its management (RFC 7592).
///
/// Whoever registers gets a `client_id` and nothing else: the user is still asked, and told that
/// the client is unverified. What open registration costs is a record for each request; those that
/// are never used are forgotten after
/// [`Lifetimes::unused_client`](super::Lifetimes::unused_client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrationRules {
    /// The digests of the initial access tokens, one of which a registration must come with (RFC
    /// 7591 §3); nothing if anybody may register.
    pub initial_access_tokens: Option<Vec<Digest>>,
    /// Whether a client may read, change and delete its registration, with a token that is issued
    /// with it (RFC 7592). Default: yes.
    pub management: bool,
    /// Whether a client that says it is a `web` application is refused loopback redirect URIs.
    /// Default: no, for many that run on the user's own device say so, or nothing.
    pub strict_application_type: bool,
}

impl RegistrationRules {
    /// Anybody may register, as clients that have never heard of a server need it.
    pub fn open() -> Self {
        Self { initial_access_tokens: None, management: true, strict_application_type: false }
    }

    /// Only who presents a token of one of these digests, [`Digest::of`] its text, may register.
    /// Wrong ones are not counted, so give each at least 128 random bits.
    pub fn with_tokens(tokens: impl IntoIterator<Item = Digest>) -> Self {
        Self { initial_access_tokens: Some(tokens.into_iter().collect()), ..Self::open() }
    }
}

/// The rules of Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document): a
/// `client_id` that is the URL of a document about the client. The core says what to fetch and
/// judges what came back; the host fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRules {
    /// A document is used at least this long, whatever its HTTP headers say, and if they say
    /// nothing. Default 60 s.
    pub fresh_at_least: Duration,
    /// It is fetched again after this at the latest. Default 24 h.
    pub fresh_at_most: Duration,
    /// Whether documents may come from this machine, over `http` too. For trials only: whoever can
    /// name such a document makes the server call its own neighbours.
    pub allow_loopback: bool,
}

impl Default for DocumentRules {
    fn default() -> Self {
        let (fresh_at_least, fresh_at_most) =
            (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
        Self { fresh_at_least, fresh_at_most, allow_loopback: false }
    }
}

/// How clients may authenticate (`token_endpoint_auth_method`): what is advertised, and what a
/// registration can get. Default: all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthMethods {
    /// `none`: public clients.
    pub none: bool,
    /// `client_secret_basic`.
    pub basic: bool,
    /// `client_secret_post`.
    pub post: bool,
}

impl Default for AuthMethods {
    fn default() -> Self {
        Self { none: true, basic: true, post: true }
    }
}

impl AuthMethods {
    /// Those that are offered.
    pub(crate) fn offered(self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.into_iter().filter(move |method| self.offers(*method))
    }

    pub(crate) fn offers(self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::None => self.none,
            AuthMethod::Secret(SecretMethod::Basic) => self.basic,
            AuthMethod::Secret(SecretMethod::Post) => self.post,
        }
    }

    /// What a client gets that asks for this: itself, or else the nearest that is offered (RFC 7591
    /// §3.2.1). A secret that goes another way is nearer than none.
    pub(crate) fn nearest(self, asked: AuthMethod) -> AuthMethod {
        let is_near =
            |method: &AuthMethod| (*method == AuthMethod::None) == (asked == AuthMethod::None);
        self.offered()
            .min_by_key(|method| (*method != asked, !is_near(method)))
            .unwrap_or(AuthMethod::None)
    }
}
