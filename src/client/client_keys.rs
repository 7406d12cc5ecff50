//! The keys of a client that proves itself by `private_key_jwt` (RFC 7523 §2.2).

use serde::{Deserialize, Serialize};

use super::{Authentication, Client, ClientBuilder};
use crate::jws::{Algorithm, Algorithms, KeySet, KeysUrl};

/// The keys of a client: its own set or the URL of one, and the algorithms that it signs with.
///
/// ```
/// use grantcore::Client;
/// use grantcore::client::ClientKeys;
/// use grantcore::jws::{Algorithms, KeySet};
///
/// let json = br#"{"keys": [{
///     "kty": "OKP", "crv": "Ed25519", "kid": "1",
///     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }]}"#;
/// let keys = KeySet::parse(json, Algorithms::ALL, None)?;
/// let job = Client::with_keys("job", ClientKeys::inline(keys))
///     .redirect_uri("https://job.example/cb")
///     .build()?;
/// assert!(job.keys().is_some() && job.secrets().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKeys {
    source: KeySource,
    algorithms: Algorithms,
    endpoint_audience: bool,
}

/// Where the keys of a client are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "RFC 7591 §2 defines these two")]
pub enum KeySource {
    /// In the record (`jwks`).
    Inline(KeySet),
    /// At a URL (`jwks_uri`), which the host fetches.
    At(KeysUrl),
}

impl ClientKeys {
    /// Makes the keys of this set.
    pub fn inline(keys: KeySet) -> Self {
        Self::from(KeySource::Inline(keys))
    }

    /// Makes the keys at this URL. They are fetched when the client first proves itself.
    pub fn at(url: KeysUrl) -> Self {
        Self::from(KeySource::At(url))
    }

    /// Sets the algorithms that the client signs with. Default: all. An assertion that is signed by
    /// another one is refused.
    #[must_use]
    pub fn with_algorithms(self, algorithms: Algorithms) -> Self {
        Self { algorithms, ..self }
    }

    /// Sets whether an assertion of the client may name the token endpoint as its audience in place
    /// of the issuer. Default: `false`.
    ///
    /// With `true`, a server that the client confuses with this one can get an assertion that is
    /// good here (audience injection). The operator accepts that risk for this client, and the
    /// proof is as strong as one for the issuer.
    #[must_use]
    pub fn with_endpoint_audience(self, allow: bool) -> Self {
        Self { endpoint_audience: allow, ..self }
    }

    /// Returns where the keys are.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Returns the algorithms that the client signs with.
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Returns whether an assertion may name the token endpoint as its audience.
    pub fn endpoint_audience(&self) -> bool {
        self.endpoint_audience
    }

    /// Returns the algorithm of an RSA key that names none (KEYS-22): PS256 if the client signs
    /// with it and not with RS256.
    pub(crate) fn preferred(&self) -> Option<Algorithm> {
        preferred(self.algorithms)
    }
}

/// Returns the algorithm of an RSA key that names none, for a client that signs with these.
pub(crate) fn preferred(algorithms: Algorithms) -> Option<Algorithm> {
    let is_pss = algorithms.contains(Algorithm::Ps256) && !algorithms.contains(Algorithm::Rs256);
    is_pss.then_some(Algorithm::Ps256)
}

impl From<KeySource> for ClientKeys {
    fn from(source: KeySource) -> Self {
        Self { source, algorithms: Algorithms::ALL, endpoint_audience: false }
    }
}

impl Client {
    /// Starts a client that proves itself with a key (`private_key_jwt`, RFC 7523 §2.2). The policy
    /// must have it on: [`PolicyBuilder::client_keys`](crate::policy::PolicyBuilder::client_keys).
    pub fn with_keys(id: impl Into<String>, keys: ClientKeys) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::Keys(keys))
    }

    /// Returns the keys that the client may prove itself with.
    pub fn keys(&self) -> Option<&ClientKeys> {
        self.0.kind.keys()
    }
}
