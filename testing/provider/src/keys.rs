//! The provider's keys, by `ring`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use ring::{digest, hmac as mac};
use serde_json::{Value, json};

/// A key of 2048 bits, because making one takes seconds. It is of no use outside of tests.
const RSA: &[u8] = include_bytes!("rsa.pk8");

/// An algorithm of ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests name each algorithm")]
pub enum Algorithm {
    Ed25519,
    P256,
    Rsa,
}

impl Algorithm {
    /// Returns the name in `alg`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::P256 => "ES256",
            Self::Rsa => "RS256",
        }
    }
}

pub(crate) enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
}

impl Key {
    /// Makes a new key. That of RSA is always the same.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::Ed25519 => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Self::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
            }
            Algorithm::P256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                Self::P256(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
            }
            Algorithm::Rsa => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap())),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::P256,
            Self::Rsa(_) => Algorithm::Rsa,
        }
    }

    pub(crate) fn sign(&self, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(key) => key.sign(text.as_bytes()).as_ref().to_vec(),
            Self::P256(key) => key.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
        }
    }

    /// Returns the public key as a JWK.
    pub(crate) fn public(&self, kid: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = match self {
            Self::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": text(key.public_key().as_ref()) })
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "n": text(&parts.n), "e": text(&parts.e) })
            }
        };
        key["kid"] = kid.into();
        key["use"] = "sig".into();
        key["alg"] = self.algorithm().name().into();
        key
    }
}

/// Returns the MAC of HS256.
pub(crate) fn hmac(secret: &str, text: &str) -> Vec<u8> {
    let key = mac::Key::new(mac::HMAC_SHA256, secret.as_bytes());
    mac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// Returns the code challenge of a verifier.
pub(crate) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}
