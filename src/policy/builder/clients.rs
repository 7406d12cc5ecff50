//! Settings of clients: how they authenticate, and what those may do that the operator did not
//! register.

use super::PolicyBuilder;
use crate::policy::slow_hash::SlowHash;
use crate::policy::{AuthMethods, KeyRules, RegisteredScope};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::RedirectRules;

/// # Clients
///
/// How clients authenticate, and what those may do that the operator did not register.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::RegistrationRules;
/// use grantcore::value::{EDITOR_SCHEMES, PrivateUseSchemes, RedirectRules};
///
/// let editors = EDITOR_SCHEMES.map(str::to_owned).to_vec();
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes:read", "Read your notes")
///     .scope("notes:write", "Change and delete your notes")
///     .resource("https://mcp.example/mcp", "notes:read notes:write")
///     .registration(RegistrationRules::default())
///     // Clients that registered themselves can read.
///     .unverified_scope("notes:read")
///     // Cursor and others register redirect URIs such as `cursor://…`.
///     .redirect_rules(RedirectRules::default()
///         .with_private_use_schemes(PrivateUseSchemes::ReverseDomainAnd(editors)))
///     .build()?;
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets the client authentication methods that are advertised, and that a client that registers
    /// itself can get. Default: all. A client of the operator authenticates as it was built.
    pub fn auth_methods(mut self, methods: AuthMethods) -> Self {
        self.policy.auth_methods = methods;
        self
    }

    /// Sets whether a client's secret is accepted in the header and in the body, wherever the
    /// client registered to send it. Default: `false` (RFC 7591 §2).
    ///
    /// With `true`, a client that registered for the header can send its secret in bodies, which
    /// end up in logs more easily.
    pub fn lenient_on_method(mut self, lenient: bool) -> Self {
        self.policy.lenient_on_method = lenient;
        self
    }

    /// Turns client authentication by keys on (`private_key_jwt`, RFC 7523 §2.2). Default: off.
    ///
    /// It needs a [`verifier`](Self::verifier). If clients have key sets at URLs, the server needs
    /// an [`Outside`](crate::Outside) that fetches them.
    ///
    /// ```
    /// # #[cfg(feature = "jws")] {
    /// use grantcore::Policy;
    /// use grantcore::jws::RingVerifier;
    /// use grantcore::policy::KeyRules;
    ///
    /// let policy = Policy::builder("https://auth.example")
    ///     .resource("https://mcp.example/mcp", "")
    ///     .client_keys(KeyRules::default())
    ///     .verifier(RingVerifier)
    ///     .build()
    ///     .unwrap();
    /// assert!(policy.client_keys().is_some());
    /// # }
    /// ```
    pub fn client_keys(mut self, rules: KeyRules) -> Self {
        self.policy.keys = Some(rules);
        self
    }

    /// Verifies client secrets that people chose: `verify` receives the secret and the stored hash,
    /// and returns whether they match, for example by Argon2. Default: a
    /// [`StoredSecret::SlowHash`](crate::client::StoredSecret::SlowHash) never matches.
    ///
    /// `dummy` is a hash of the same cost that no client has. It is verified, and the result
    /// ignored, where a client is unknown or has no slow hash, so that the time of the response
    /// does not disclose which clients exist. The work is done on the thread that calls the server.
    ///
    /// ```
    /// # fn keyed_hash(_: &[u8], _: &[u8]) -> String { String::new() }
    /// # let policy = grantcore::Policy::builder("https://auth.example");
    /// let pepper = vec![0x5f; 32];
    /// let dummy = keyed_hash(&pepper, b"the secret of no client");
    /// let policy =
    ///     policy.slow_hash(move |secret, stored| keyed_hash(&pepper, secret) == stored, dummy);
    /// ```
    pub fn slow_hash(
        mut self,
        verify: impl Fn(&[u8], &str) -> bool + Send + Sync + 'static,
        dummy: impl Into<String>,
    ) -> Self {
        self.policy.slow_hash = Some(SlowHash::new(verify, dummy.into()));
        self
    }

    /// Sets the widest scope that a client can ask for that the operator did not register, as
    /// tokens separated by spaces. Default: every scope of the policy.
    pub fn unverified_scope(mut self, tokens: impl Into<String>) -> Self {
        self.unverified_scope = Some(tokens.into());
        self
    }

    /// Sets what the scope of a registration or of a client's document means. Default:
    /// [`RegisteredScope::Limit`].
    ///
    /// The setting holds for every request from then on, whenever the client registered.
    pub fn registered_scope(mut self, meaning: RegisteredScope) -> Self {
        self.policy.registered_scope = meaning;
        self
    }

    /// Sets the grant types of a client that registers itself, or is known by a document, and names
    /// none. Default: `authorization_code` alone (RFC 7591 §2).
    ///
    /// With `refresh_token`, a client that forgot to ask for refresh tokens gets them all the same.
    pub fn default_grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.policy.default_grant_types = grant_types;
        self
    }

    /// Sets the rules for redirect URIs: which can be registered, and for which the port may
    /// differ. Default: `https` URIs, loopback `http` URIs with any port, and private-use schemes
    /// with the form of a reversed domain name; at most 10 of one client.
    pub fn redirect_rules(mut self, rules: RedirectRules) -> Self {
        self.policy.redirect_rules = rules;
        self
    }
}
