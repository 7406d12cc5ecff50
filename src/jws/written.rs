//! A key set in the form of RFC 7517, for the response of a registration.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::key::{Material, PublicKey};
use super::key_set::KeySet;

/// A key set as JSON. Reading it gives the same set again: each key names its algorithm.
#[derive(Serialize)]
pub(crate) struct Jwks<'k> {
    keys: Vec<Jwk<'k>>,
}

/// The members that a key of its type has (RFC 7518 §6; RFC 8037 §2).
#[derive(Default, Serialize)]
struct Jwk<'k> {
    kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'k str>,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl KeySet {
    /// Returns the set in the form in which clients register one.
    pub(crate) fn to_jwks(&self) -> Jwks<'_> {
        Jwks { keys: self.iter().map(Jwk::of).collect() }
    }
}

impl<'k> Jwk<'k> {
    fn of(key: &'k PublicKey) -> Self {
        let encoded = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let numbers = match key.material() {
            Material::Rs256(rsa) | Material::Ps256(rsa) => {
                let exponent = rsa.exponent().to_be_bytes();
                let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
                let e = exponent.get(zeros..).and_then(encoded);
                Self { kty: "RSA", n: encoded(rsa.modulus()), e, ..Self::default() }
            }
            Material::Es256(point) => {
                let (x, y) = point.coordinates().split_at(32);
                let crv = Some("P-256");
                Self { kty: "EC", crv, x: encoded(x), y: encoded(y), ..Self::default() }
            }
            Material::EdDsa(point) => {
                let x = encoded(point.as_bytes());
                Self { kty: "OKP", crv: Some("Ed25519"), x, ..Self::default() }
            }
        };
        Self { kid: key.kid(), alg: key.algorithm().as_str(), ..numbers }
    }
}
