//! Assertions and their keys. The signatures are those of `jsonwebtoken`, another implementation
//! than the one that verifies them.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// A key pair of `tests/fixtures/signing-keys.json`. The keys are of these tests only.
pub struct Signer {
    pub algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

/// Returns the key pair of this name: `rsa`, `ec`, `ed`, or another one of its kind, such as
/// `other-ec`.
pub fn signer(name: &str) -> Signer {
    let pairs: Value = serde_json::from_str(include_str!("../fixtures/signing-keys.json")).unwrap();
    let pair = &pairs[name];
    let pem = pair["pkcs8"].as_str().unwrap().as_bytes();
    let (algorithm, key) = match pair["jwk"]["kty"].as_str() {
        Some("RSA") => (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
        Some("EC") => (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
        _ => (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem)),
    };
    Signer { algorithm, key: key.unwrap(), jwk: pair["jwk"].clone() }
}

impl Signer {
    /// Returns the same key, which signs with another algorithm.
    pub fn with(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Returns the name that the header has for the algorithm.
    pub fn alg(&self) -> Value {
        json!(self.algorithm)
    }

    /// Returns the private key.
    pub fn key(&self) -> &EncodingKey {
        &self.key
    }

    /// Returns the public key as a JWK, without `kid` and `alg`.
    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// Signs the JSON of a header and a payload.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs these texts, which need not be JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signed = jsonwebtoken::crypto::sign(input.as_bytes(), &self.key, self.algorithm);
        format!("{input}.{}", signed.unwrap())
    }
}

/// Returns the JSON text of a key set.
pub fn key_set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Returns the JSON object with these members added or replaced.
pub fn merged(mut object: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members are an object") };
    object.as_object_mut().unwrap().extend(members);
    object
}
