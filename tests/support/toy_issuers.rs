//! Signed assertions, with a signature that needs no cryptography: the digest of the public key and
//! the message. The tests of the module `jws` have real ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::jws::{Algorithms, KeySet, Material, PublicKey, Verify};
use grantcore::value::Digest;
use serde_json::{Value, json};

/// Verifies the signatures of [`sign`], and counts what it verifies.
#[derive(Clone, Debug, Default)]
pub struct ToyVerifier(Arc<AtomicUsize>);

impl ToyVerifier {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Verify for ToyVerifier {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst);
        let Material::EdDsa(key) = key.material() else { return false };
        URL_SAFE_NO_PAD.encode(signature) == signature_of(key.as_bytes(), message)
    }
}

fn signature_of(key: &[u8], message: &[u8]) -> String {
    let digest = serde_json::to_value(Digest::of(&[key, message].concat())).unwrap();
    digest.as_str().unwrap().to_owned()
}

/// A key of an issuer.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    pub kid: &'static str,
    /// The public key. No two signers have the same.
    pub key: [u8; 32],
}

impl Signer {
    pub const fn new(kid: &'static str, seed: u8) -> Self {
        Self { kid, key: [seed; 32] }
    }

    pub fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key);
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    /// Returns a key set with this key alone.
    pub fn key_set(&self) -> KeySet {
        let set = json!({ "keys": [self.jwk()] }).to_string();
        KeySet::parse(set.as_bytes(), Algorithms::ALL, None).unwrap()
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let input = format!("{}.{}", part(header), part(claims));
        let signature = signature_of(&self.key, input.as_bytes());
        format!("{input}.{signature}")
    }
}
