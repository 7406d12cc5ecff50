//! Key sets that a server must accept, narrow or refuse: the same table for each place where keys
//! arrive (KEYS-15, KEYS-20 to KEYS-25).

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::assertions::{key_set, merged, signer};

/// A key set with its verdicts.
pub struct Case {
    pub name: &'static str,
    /// The JSON text.
    pub set: String,
    /// The number of keys that a client has with this set, or `None` if the set is refused.
    pub inline: Option<usize>,
    /// The number of usable keys if the set is fetched, or `None` if the response is no answer.
    pub fetched: Option<usize>,
}

/// Returns an RSA key of this many bits.
pub fn rsa_of(bits: usize) -> Value {
    let mut modulus = vec![0xFF; bits.div_ceil(8)];
    modulus[0] = 0xFF >> (modulus.len() * 8 - bits);
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
}

/// Returns distinct keys with these numbers as their names.
pub fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|n| merged(signer("ed").jwk(), json!({"kid": n.to_string()}))).collect()
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    let parts = [usable_keys, skipped_keys, malformed_keys, private_keys, whole_sets, no_sets];
    parts.iter().flat_map(|part| part()).collect()
}

fn rsa() -> Value {
    signer("rsa").jwk()
}

fn ec() -> Value {
    signer("ec").jwk()
}

fn ed() -> Value {
    signer("ed").jwk()
}

/// Returns the modulus of the RSA key.
fn n() -> String {
    rsa()["n"].as_str().unwrap().to_owned()
}

/// Returns a coordinate of the key of P-256.
fn x() -> String {
    ec()["x"].as_str().unwrap().to_owned()
}

fn with(key: &Value, members: Value) -> Value {
    merged(key.clone(), members)
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Makes a set of a good key, named `good`, and this one.
fn beside(name: &'static str, key: Value, inline: Option<usize>, fetched: Option<usize>) -> Case {
    let good = with(&ec(), json!({"kid": "good"}));
    Case { name, set: key_set(&[good, key]), inline, fetched }
}

fn usable_keys() -> Vec<Case> {
    let usable = |name, key| beside(name, key, Some(2), Some(2));
    vec![
        usable("RSA", rsa()),
        usable("P-256", ec()),
        usable("Ed25519", ed()),
        usable("RSA with RS256", with(&rsa(), json!({"alg": "RS256", "use": "sig"}))),
        usable("RSA with PS256", with(&rsa(), json!({"alg": "PS256", "key_ops": ["verify"]}))),
        usable("P-256 with ES256", with(&ec(), json!({"alg": "ES256", "kid": "x"}))),
        usable("Ed25519 with EdDSA", with(&ed(), json!({"alg": "EdDSA"}))),
        usable("Ed25519 with Ed25519", with(&ed(), json!({"alg": "Ed25519"}))),
        usable("unknown members", with(&ed(), json!({"x5c": ["x"], "exp": 1, "ext": {"a": [1]}}))),
        usable("several operations", with(&ed(), json!({"key_ops": ["sign", "verify"]}))),
        usable("2,048 bits", rsa_of(2048)),
        usable("8,192 bits", rsa_of(8192)),
        usable("exponent 3", with(&rsa(), json!({"e": encoded(&[3])}))),
        usable("exponent of 33 bits", with(&rsa(), json!({"e": encoded(&[1, 0, 0, 0, 1])}))),
        usable("kid of 512 bytes", with(&ed(), json!({"kid": "x".repeat(512)}))),
        usable("kid with a path", with(&ed(), json!({"kid": "../../x' or 1=1\n"}))),
    ]
}

fn skipped_keys() -> Vec<Case> {
    let skipped = |name, key| beside(name, key, Some(1), Some(1));
    vec![
        skipped("unknown kty", json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"})),
        skipped("for encryption", with(&rsa(), json!({"use": "enc"}))),
        skipped("unknown use", with(&rsa(), json!({"use": "SIG"}))),
        skipped("without verify", with(&rsa(), json!({"key_ops": ["encrypt"]}))),
        skipped("no operation", with(&rsa(), json!({"key_ops": []}))),
        skipped("P-384", json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"})),
        skipped("secp256k1", json!({"kty": "EC", "crv": "secp256k1", "x": x(), "y": x()})),
        skipped("Ed448", json!({"kty": "OKP", "crv": "Ed448", "x": "AA"})),
        skipped("X25519", json!({"kty": "OKP", "crv": "X25519", "x": ed()["x"]})),
        skipped("RS384", with(&rsa(), json!({"alg": "RS384"}))),
        skipped("RS1", with(&rsa(), json!({"alg": "RS1"}))),
        skipped("RSA-OAEP", with(&rsa(), json!({"alg": "RSA-OAEP"}))),
        skipped("none", with(&rsa(), json!({"alg": "none"}))),
        skipped("HS256 on an RSA key", with(&rsa(), json!({"alg": "HS256"}))),
    ]
}

fn malformed_keys() -> Vec<Case> {
    let malformed = |name, key| beside(name, key, None, Some(1));
    vec![
        malformed("no kty", json!({"n": n(), "e": "AQAB"})),
        malformed("kty is a number", json!({"kty": 1})),
        malformed("use is null", with(&rsa(), json!({"use": null}))),
        malformed("alg is a list", with(&rsa(), json!({"alg": ["RS256"]}))),
        malformed("key_ops is a string", with(&rsa(), json!({"key_ops": "verify"}))),
        malformed("key_ops has a number", with(&rsa(), json!({"key_ops": ["verify", 1]}))),
        malformed("kid is empty", with(&ed(), json!({"kid": ""}))),
        malformed("kid is a number", with(&ed(), json!({"kid": 1}))),
        malformed("kid of 513 bytes", with(&ed(), json!({"kid": "x".repeat(513)}))),
        malformed("EC with RS256", with(&ec(), json!({"alg": "RS256"}))),
        malformed("EC with EdDSA", with(&ec(), json!({"alg": "EdDSA"}))),
        malformed("OKP with ES256", with(&ed(), json!({"alg": "ES256"}))),
        malformed("RSA with ES256", with(&rsa(), json!({"alg": "ES256"}))),
        malformed("no crv", json!({"kty": "EC", "x": x(), "y": x()})),
        malformed("no y", json!({"kty": "EC", "crv": "P-256", "x": x()})),
        malformed("x of 31 bytes", with(&ec(), json!({"x": encoded(&[1; 31])}))),
        malformed("y of 33 bytes", with(&ec(), json!({"y": encoded(&[1; 33])}))),
        malformed("Ed25519 of 31 bytes", with(&ed(), json!({"x": encoded(&[1; 31])}))),
        malformed("x with padding", with(&ec(), json!({"x": format!("{}=", x())}))),
        malformed("x with other bits at its end", with(&ec(), json!({"x": second_spelling(&x())}))),
        malformed("x in base64", with(&ec(), json!({"x": "+".repeat(43)}))),
        malformed("x is a number", with(&ec(), json!({"x": 1}))),
        malformed("no modulus", json!({"kty": "RSA", "e": "AQAB"})),
        malformed("empty modulus", with(&rsa(), json!({"n": ""}))),
        malformed("2,047 bits", rsa_of(2047)),
        malformed("8,193 bits", rsa_of(8193)),
        malformed(
            "zero before 2,040 bits",
            with(&rsa(), json!({"n": encoded(&[&[0; 1][..], &[255; 255]].concat())})),
        ),
        malformed(
            "zero before 2,048 bits",
            with(&rsa(), json!({"n": encoded(&[&[0; 1][..], &[255; 256]].concat())})),
        ),
        malformed("even modulus", with(&rsa(), json!({"n": encoded(&[254; 256])}))),
        malformed("exponent 1", with(&rsa(), json!({"e": encoded(&[1])}))),
        malformed("even exponent", with(&rsa(), json!({"e": encoded(&[1, 0, 0])}))),
        malformed("zero before the exponent", with(&rsa(), json!({"e": encoded(&[0, 1, 0, 1])}))),
        malformed("exponent of 34 bits", with(&rsa(), json!({"e": encoded(&[2, 0, 0, 0, 1])}))),
        malformed(
            "exponent of 65 bits",
            with(&rsa(), json!({"e": encoded(&[1, 0, 0, 0, 0, 0, 0, 0, 1])})),
        ),
        malformed("no exponent", json!({"kty": "RSA", "n": n()})),
    ]
}

fn private_keys() -> Vec<Case> {
    let private = |name, key| beside(name, key, None, Some(0));
    vec![
        private("d of RSA", with(&rsa(), json!({"d": "AQAB"}))),
        private("d of EC", with(&ec(), json!({"d": x()}))),
        private("d of Ed25519", with(&ed(), json!({"d": x()}))),
        private("p", with(&rsa(), json!({"p": "AQAB"}))),
        private("q", with(&rsa(), json!({"q": "AQAB"}))),
        private("dp", with(&rsa(), json!({"dp": "AQAB"}))),
        private("dq", with(&rsa(), json!({"dq": "AQAB"}))),
        private("qi", with(&rsa(), json!({"qi": "AQAB"}))),
        private("oth", with(&rsa(), json!({"oth": []}))),
        private("d is null", with(&ed(), json!({"d": null}))),
        private("k", json!({"kty": "unknown", "k": "AQAB"})),
        private("oct", json!({"kty": "oct"})),
        private("d of a key that is skipped", with(&rsa(), json!({"use": "enc", "d": "AQAB"}))),
        private("d of a key that is malformed", json!({"kid": "", "d": "AQAB"})),
    ]
}

fn whole_sets() -> Vec<Case> {
    let keys = |name, keys: Vec<Value>, inline, fetched| Case {
        name,
        set: key_set(&keys),
        inline,
        fetched,
    };
    vec![
        keys("no key", vec![], None, Some(0)),
        keys("no usable key", vec![with(&rsa(), json!({"use": "enc"}))], None, Some(0)),
        keys("16 keys", numbered(16), Some(16), Some(16)),
        keys("17 keys", numbered(17), None, Some(17)),
        keys("32 keys", numbered(32), None, Some(32)),
        keys("33 keys", numbered(33), None, None),
        keys(
            "equal names",
            vec![with(&ed(), json!({"kid": "a"})), with(&ec(), json!({"kid": "a"}))],
            None,
            Some(2),
        ),
        keys("without names", vec![ed(), ed(), ec()], Some(3), Some(3)),
    ]
}

fn no_sets() -> Vec<Case> {
    let refused = |name, set: &str| Case { name, set: set.to_owned(), inline: None, fetched: None };
    vec![
        refused("empty text", ""),
        refused("no JSON", "keys"),
        refused("an array", "[]"),
        refused("a string", "\"keys\""),
        refused("null", "null"),
        refused("no keys", "{}"),
        refused("keys is an object", r#"{"keys": {}}"#),
        refused("keys is null", r#"{"keys": null}"#),
        refused("a key is a string", r#"{"keys": ["x"]}"#),
        refused("bytes after it", &format!("{} x", key_set(&[ed()]))),
        refused("two sets", &key_set(&[ed()]).repeat(2)),
        refused("keys twice", &key_set(&[ed()]).replacen('{', r#"{"keys":[],"#, 1)),
        refused(
            "a member twice",
            &key_set(&[ed()]).replacen(r#""crv""#, r#""kty":"oct","crv""#, 1),
        ),
        refused(
            "a member twice, escaped",
            &key_set(&[ed()]).replacen(r#""crv""#, r#""k\u0074y":"OKP","crv""#, 1),
        ),
        refused("nine levels", r#"{"keys": [], "a": [[[[[[[[1]]]]]]]]}"#),
    ]
}

/// Returns another text of base64url that a lax decoder reads as the same 32 bytes.
pub fn second_spelling(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = text.split_at(text.len() - 1);
    let position = ALPHABET.find(last).unwrap();
    let other = &ALPHABET[position + 1..position + 2];
    format!("{head}{other}")
}
