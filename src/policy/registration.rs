//! How clients register themselves (RFC 7591, RFC 7592).

use super::domains::HostPatterns;
use crate::value::overlap::Overlap;
use crate::value::redirect_uri::RegisteredRedirectUri;
use crate::value::secret::Digest;

/// The rules of dynamic client registration (RFC 7591) and its management (RFC 7592).
///
/// By default anybody can register, as clients that do not know a server need it. A client that
/// registers gets a `client_id` and nothing else: the user is still asked, and the consent page
/// says that the client is unverified. Each open registration costs a record, which can be dropped
/// after [`Lifetimes::with_unused_client`](super::Lifetimes::with_unused_client) unless a user
/// authorizes the client.
///
/// ```
/// use grantcore::value::Digest;
/// use grantcore::policy::RegistrationRules;
///
/// let invited = RegistrationRules::default()
///     .with_initial_access_tokens([Digest::of(b"8VIqcKrCBnoxnv2CpPaCmg")]);
/// assert!(invited.initial_access_tokens().is_some());
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct RegistrationRules {
    pub(crate) initial_access_tokens: Option<Vec<Digest>>,
    pub(crate) management: bool,
    pub(crate) strict_application_type: bool,
    pub(crate) redirect_hosts: Option<HostPatterns>,
    pub(crate) loopback_redirects: bool,
    pub(crate) private_use_redirects: bool,
    pub(crate) rotate_secret_on_update: Option<Overlap>,
}

impl Default for RegistrationRules {
    fn default() -> Self {
        Self {
            initial_access_tokens: None,
            management: true,
            strict_application_type: false,
            redirect_hosts: None,
            loopback_redirects: true,
            private_use_redirects: true,
            rotate_secret_on_update: None,
        }
    }
}

impl RegistrationRules {
    /// Requires an initial access token at each registration (RFC 7591 §3), one of those with these
    /// digests: [`Digest::of`] the token's text. Default: none is required.
    ///
    /// Wrong tokens are not counted, so each needs at least 128 random bits. The policy is refused
    /// if there are no digests.
    pub fn with_initial_access_tokens(self, tokens: impl IntoIterator<Item = Digest>) -> Self {
        Self { initial_access_tokens: Some(tokens.into_iter().collect()), ..self }
    }

    /// Sets whether a client can read, change and delete its registration with a token that is
    /// issued with it (RFC 7592). Default: `true`.
    ///
    /// Without it, a client that changes must register anew, and its users must agree again.
    pub fn with_management(self, allow: bool) -> Self {
        Self { management: allow, ..self }
    }

    /// Sets whether a client that registers as a `web` application is refused loopback redirect
    /// URIs. Default: `false`.
    ///
    /// Many clients that run on the user's own device register as `web`. With `true` they cannot
    /// use the loopback redirect URIs that they need (RFC 8252 §7.3).
    pub fn with_strict_application_type(self, strict: bool) -> Self {
        Self { strict_application_type: strict, ..self }
    }

    /// Sets the hosts that a client may redirect to: each a host, or `*.` and a host for every name
    /// below it. Default: every host.
    ///
    /// It counts for clients that have registered before, at their next authorization. Clients of
    /// hosts that nobody has listed cannot connect.
    pub fn with_redirect_hosts(
        self,
        patterns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self { redirect_hosts: Some(HostPatterns::parse(patterns)), ..self }
    }

    /// Sets whether a client may redirect to a loopback address. Default: `true`, because clients
    /// on the user's own device need it (RFC 8252 §7.3).
    ///
    /// With `true`, any program on the user's device can claim to be such a client.
    pub fn with_loopback_redirects(self, allow: bool) -> Self {
        Self { loopback_redirects: allow, ..self }
    }

    /// Sets whether a client may redirect to a private-use scheme that the
    /// [rules for redirect URIs](super::PolicyBuilder::redirect_rules) admit. Default: `true`.
    ///
    /// With `true`, any program on the user's device can claim the scheme.
    pub fn with_private_use_redirects(self, allow: bool) -> Self {
        Self { private_use_redirects: allow, ..self }
    }

    /// Sets whether a client with a secret gets a new one at each update of its registration (RFC
    /// 7592 §2.2), and how long the former secret is still accepted. Default: `None`, the secret
    /// stays.
    ///
    /// A client that does not read the response of its update is locked out when the overlap ends.
    pub fn with_rotate_secret_on_update(self, overlap: Option<Overlap>) -> Self {
        Self { rotate_secret_on_update: overlap, ..self }
    }

    /// Returns whether a client that registers itself may have this redirect URI.
    pub(crate) fn admits_redirect(&self, uri: &RegisteredRedirectUri) -> bool {
        if !uri.is_web() {
            return self.private_use_redirects;
        }
        if uri.is_loopback() {
            return self.loopback_redirects;
        }
        self.redirect_hosts.as_ref().is_none_or(|hosts| hosts.matches(uri.as_str()))
    }

    /// Returns the digests of the initial access tokens, or `None` if anybody can register.
    pub fn initial_access_tokens(&self) -> Option<&[Digest]> {
        self.initial_access_tokens.as_deref()
    }

    getters! {
        management: bool,
        strict_application_type: bool,
        loopback_redirects: bool,
        private_use_redirects: bool,
        rotate_secret_on_update: Option<Overlap>,
    }
}
