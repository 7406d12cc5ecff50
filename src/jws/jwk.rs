//! One key of a key set (JWK, RFC 7517 §4).

use serde_json::Value;

use super::algorithm::Algorithm;
use super::base64url::{decode, decode_exact};
use super::json::Object;
use super::key::{Ed25519, Kid, Material, P256, PublicKey, Rsa};

/// Members of private keys (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2) and of symmetric ones (§6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A usable key. An RSA key that names no algorithm gets it from the client that owns it, so that
/// one fetched set serves clients with different ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Jwk {
    kid: Option<Kid>,
    numbers: KeyNumbers,
}

#[derive(Debug, PartialEq, Eq)]
enum KeyNumbers {
    Rsa(Rsa),
    Fixed(Material),
}

/// An entry of `keys`.
pub(super) enum Read {
    Usable(Jwk),
    /// A key for another purpose, or of a kind that this crate does not know.
    Skipped,
    /// A key that would be usable if it were not malformed. The text names what is wrong.
    Malformed(&'static str),
}

/// Returns whether the key has private or symmetric material, which only its owner may know.
pub(super) fn is_private(members: &Object) -> bool {
    PRIVATE.iter().any(|name| members.contains_key(*name))
        || members.get("kty").and_then(Value::as_str) == Some("oct")
}

impl Jwk {
    pub(super) fn read(members: &Object) -> Read {
        match Self::try_read(members) {
            Ok(Some(key)) => Read::Usable(key),
            Ok(None) => Read::Skipped,
            Err(what) => Read::Malformed(what),
        }
    }

    fn try_read(members: &Object) -> Result<Option<Self>, &'static str> {
        let Some(kty) = text(members, "kty", "kty is no string")? else {
            return Err("kty is missing");
        };
        let usage = text(members, "use", "use is no string")?;
        let alg = text(members, "alg", "alg is no string")?;
        if usage.is_some_and(|usage| usage != "sig") || !verifies(members)? {
            return Ok(None);
        }
        // An unknown algorithm is for another purpose, such as encryption.
        let alg = match alg.map(str::parse::<Algorithm>) {
            None => None,
            Some(Ok(alg)) => Some(alg),
            Some(Err(_)) => return Ok(None),
        };
        let numbers = match (kty, text(members, "crv", "crv is no string")?) {
            ("RSA", _) => Some(KeyNumbers::rsa(members, alg)?),
            ("EC", Some("P-256")) => {
                fits(alg, Algorithm::Es256)?;
                let x = coordinate(members, "x", "x is not 32 bytes of base64url")?;
                let y = coordinate(members, "y", "y is not 32 bytes of base64url")?;
                Some(KeyNumbers::Fixed(Material::Es256(P256::new(x, y))))
            }
            ("OKP", Some("Ed25519")) => {
                fits(alg, Algorithm::EdDsa)?;
                let x = coordinate(members, "x", "x is not 32 bytes of base64url")?;
                Some(KeyNumbers::Fixed(Material::EdDsa(Ed25519::new(x))))
            }
            ("EC" | "OKP", None) => return Err("crv is missing"),
            _ => None,
        };
        let Some(numbers) = numbers else { return Ok(None) };
        let kid = text(members, "kid", "kid is no string")?;
        let named = kid.map(|kid| Kid::new(kid).ok_or("kid is empty or over 512 bytes"));
        Ok(Some(Self { kid: named.transpose()?, numbers }))
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_ref().map(Kid::as_str)
    }

    /// Returns the algorithm that the key has for a client that prefers this one (KEYS-22).
    pub(super) fn algorithm(&self, preferred: Option<Algorithm>) -> Algorithm {
        match &self.numbers {
            KeyNumbers::Rsa(_) if preferred == Some(Algorithm::Ps256) => Algorithm::Ps256,
            KeyNumbers::Rsa(_) | KeyNumbers::Fixed(Material::Rs256(_)) => Algorithm::Rs256,
            KeyNumbers::Fixed(Material::Ps256(_)) => Algorithm::Ps256,
            KeyNumbers::Fixed(Material::Es256(_)) => Algorithm::Es256,
            KeyNumbers::Fixed(Material::EdDsa(_)) => Algorithm::EdDsa,
        }
    }

    /// Returns the key with its one algorithm.
    pub(super) fn key(&self, preferred: Option<Algorithm>) -> PublicKey {
        let material = match &self.numbers {
            KeyNumbers::Rsa(key) if preferred == Some(Algorithm::Ps256) => {
                Material::Ps256(key.clone())
            }
            KeyNumbers::Rsa(key) => Material::Rs256(key.clone()),
            KeyNumbers::Fixed(material) => material.clone(),
        };
        PublicKey::new(self.kid.clone(), material)
    }
}

impl KeyNumbers {
    fn rsa(members: &Object, alg: Option<Algorithm>) -> Result<Self, &'static str> {
        let part = |name| members.get(name).and_then(Value::as_str).and_then(decode);
        let modulus = part("n").ok_or("n is not base64url")?;
        let exponent = part("e").as_deref().and_then(Rsa::read_exponent);
        let exponent = exponent.ok_or("e is not base64url of at most 33 bits")?;
        let key = Rsa::new(modulus, exponent)
            .ok_or("n is odd and has 2,048 to 8,192 bits; e is odd and has at most 33")?;
        match alg {
            None => Ok(Self::Rsa(key)),
            Some(Algorithm::Rs256) => Ok(Self::Fixed(Material::Rs256(key))),
            Some(Algorithm::Ps256) => Ok(Self::Fixed(Material::Ps256(key))),
            Some(Algorithm::Es256 | Algorithm::EdDsa) => Err(UNFIT),
        }
    }
}

const UNFIT: &str = "alg does not fit kty and crv";

fn fits(alg: Option<Algorithm>, own: Algorithm) -> Result<(), &'static str> {
    if alg.is_none_or(|alg| alg == own) { Ok(()) } else { Err(UNFIT) }
}

/// Reads a string. Any other type is an error.
fn text<'m>(
    members: &'m Object,
    name: &str,
    wrong: &'static str,
) -> Result<Option<&'m str>, &'static str> {
    members.get(name).map(|value| value.as_str().ok_or(wrong)).transpose()
}

/// Returns whether the key may verify, by its `key_ops` (RFC 7517 §4.3).
fn verifies(members: &Object) -> Result<bool, &'static str> {
    match members.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(operations)) if operations.iter().all(Value::is_string) => {
            Ok(operations.iter().any(|operation| operation.as_str() == Some("verify")))
        }
        Some(_) => Err("key_ops is no array of strings"),
    }
}

fn coordinate(members: &Object, name: &str, wrong: &'static str) -> Result<[u8; 32], &'static str> {
    members.get(name).and_then(Value::as_str).and_then(decode_exact).ok_or(wrong)
}
