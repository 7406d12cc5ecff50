//! Which client authentication methods the server offers.

use crate::value::auth_method::{AuthMethod, SecretMethod};

/// The client authentication methods (`token_endpoint_auth_method`) that the metadata advertise and
/// that a registration can get. Default: all three. At least one is offered.
///
/// A client that the operator registers authenticates as it was built, whatever is offered.
///
/// ```
/// let secrets_only = grantcore::policy::AuthMethods::default().with_public_clients(false);
/// assert!(secrets_only.client_secret_basic() && !secrets_only.public_clients());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "methods do nothing until a policy is built with them"]
#[expect(clippy::struct_excessive_bools, reason = "each method is offered or not")]
pub struct AuthMethods {
    pub(crate) public_clients: bool,
    pub(crate) client_secret_basic: bool,
    pub(crate) client_secret_post: bool,
    /// Set by the rules of keys.
    pub(crate) private_key_jwt: bool,
}

impl Default for AuthMethods {
    fn default() -> Self {
        Self {
            public_clients: true,
            client_secret_basic: true,
            client_secret_post: true,
            private_key_jwt: false,
        }
    }
}

impl AuthMethods {
    /// Sets whether `none` is offered, the method of public clients. Default: `true`.
    ///
    /// Without it, a client that registers as a public one gets a secret (RFC 7591 §3.2.1), and
    /// [client documents](super::PolicyBuilder::client_documents) cannot be used.
    pub fn with_public_clients(self, offer: bool) -> Self {
        Self { public_clients: offer, ..self }
    }

    /// Sets whether `client_secret_basic` is offered, a secret in the `Authorization` header.
    /// Default: `true`.
    pub fn with_client_secret_basic(self, offer: bool) -> Self {
        Self { client_secret_basic: offer, ..self }
    }

    /// Sets whether `client_secret_post` is offered, a secret in the form body. Default: `true`.
    ///
    /// Bodies end up in logs more easily than the `Authorization` header.
    pub fn with_client_secret_post(self, offer: bool) -> Self {
        Self { client_secret_post: offer, ..self }
    }

    getters! {
        public_clients: bool,
        client_secret_basic: bool,
        client_secret_post: bool,
    }

    /// Returns whether `private_key_jwt` is offered: if the policy has
    /// [rules of keys](super::PolicyBuilder::client_keys).
    pub fn private_key_jwt(&self) -> bool {
        self.private_key_jwt
    }

    /// Returns the methods that are offered.
    pub(crate) fn offered(self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.into_iter().filter(move |method| self.offers(*method))
    }

    /// Returns whether the method is offered.
    pub(crate) fn offers(self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::None => self.public_clients,
            AuthMethod::Secret(SecretMethod::Basic) => self.client_secret_basic,
            AuthMethod::Secret(SecretMethod::Post) => self.client_secret_post,
            AuthMethod::PrivateKeyJwt => self.private_key_jwt,
        }
    }

    /// Returns the method of a client that asks for this one: the same if it is offered, else the
    /// nearest that is (RFC 7591 §3.2.1). Another way to send a secret is nearer than no secret.
    ///
    /// Returns `None` if there is none. Keys are near to nothing: a client that asks for them gets
    /// nothing weaker, and no other client has them (KEYS-06).
    pub(crate) fn nearest(self, asked: AuthMethod) -> Option<AuthMethod> {
        let is_keys = |method: AuthMethod| method == AuthMethod::PrivateKeyJwt;
        let is_near =
            |method: &AuthMethod| (*method == AuthMethod::None) == (asked == AuthMethod::None);
        self.offered()
            .filter(|method| is_keys(*method) == is_keys(asked))
            .min_by_key(|method| (*method != asked, !is_near(method)))
    }
}
