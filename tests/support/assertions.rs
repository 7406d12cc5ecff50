//! Assertions and their keys. The signatures are those of the crates `rsa`, `p256` and
//! `ed25519-dalek`: another implementation than the one that verifies them.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use rsa::rand_core::{CryptoRng, Error, RngCore};
use rsa::sha2::{Digest as _, Sha256};
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};

/// A key pair of `tests/fixtures/signing-keys.json`. The keys are of these tests only.
pub struct Signer {
    /// The name of the algorithm.
    pub alg: &'static str,
    private: Value,
}

/// Returns the key pair of this name: `rsa`, `ec`, `ed`, or another one of its kind, such as
/// `other-ec`.
pub fn signer(name: &str) -> Signer {
    let pairs: Value = serde_json::from_str(include_str!("../fixtures/signing-keys.json")).unwrap();
    let private = pairs[name].clone();
    let alg = match private["kty"].as_str().unwrap() {
        "RSA" => "RS256",
        "EC" => "ES256",
        _ => "EdDSA",
    };
    Signer { alg, private }
}

impl Signer {
    /// Returns the same key, which signs with another algorithm.
    pub fn with(self, alg: &'static str) -> Self {
        Self { alg, ..self }
    }

    /// Returns the public key as a JWK, without `kid` and `alg`.
    pub fn jwk(&self) -> Value {
        let mut public = self.private.clone();
        public.as_object_mut().unwrap().retain(|name, _| !matches!(&**name, "d" | "p" | "q"));
        public
    }

    fn number(&self, name: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(self.private[name].as_str().unwrap()).unwrap()
    }

    fn rsa(&self) -> RsaPrivateKey {
        let number = |name| BigUint::from_bytes_be(&self.number(name));
        let primes = vec![number("p"), number("q")];
        RsaPrivateKey::from_components(number("n"), number("e"), number("d"), primes).unwrap()
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let hash = Sha256::digest(message);
        match self.alg {
            "RS256" => self.rsa().sign(Pkcs1v15Sign::new::<Sha256>(), &hash).unwrap(),
            "PS256" => self.rsa().sign_with_rng(&mut Salt, Pss::new::<Sha256>(), &hash).unwrap(),
            "ES256" => {
                let key = p256::ecdsa::SigningKey::from_slice(&self.number("d")).unwrap();
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            _ => {
                let seed = self.number("d").try_into().unwrap();
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                ed25519_dalek::Signer::sign(&key, message).to_bytes().to_vec()
            }
        }
    }

    /// Signs the JSON of a header and a payload.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// Signs these texts, which need not be JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

/// The salt of a PSS signature and the blinding of the private key: the same bytes in each run.
struct Salt;

impl RngCore for Salt {
    fn next_u32(&mut self) -> u32 {
        7
    }

    fn next_u64(&mut self) -> u64 {
        7
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Salt {}

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
