//! Signed assertions and key sets as any bytes. The signatures are of a verifier of the test, so that
//! a fuzzer can sign: what is verified is exactly what the signer signed.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::jws::{Algorithms, FetchedKeys, Jws, KeySet, PublicKey, Verify};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::parts;

/// The key of RFC 7515, appendix A.3.
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Returns the signature of the test: of 64 bytes, as those of ES256.
fn sign(message: &[u8]) -> Vec<u8> {
    Sha256::digest(message).repeat(2)
}

/// Keeps every message whose signature was right.
#[derive(Default)]
struct Signer(Mutex<Vec<Vec<u8>>>);

impl Verify for Signer {
    fn verify(&self, _: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let is_right = sign(message) == signature;
        self.0.lock().unwrap().extend(is_right.then(|| message.to_vec()));
        is_right
    }
}

/// Verifies a text with the only key, and checks what was verified.
fn verified(text: &str) -> bool {
    let keys = KeySet::parse(KEYS, Algorithms::ALL, None).expect("a key set");
    let Ok(jws) = Jws::parse(text, Jws::MAX_BYTES) else { return false };
    // Three parts, each base64url without padding and in its one spelling; two of them objects.
    let words: Vec<_> = text.split('.').collect();
    let [header, payload, signature] = *words else { panic!("{text} has {} parts", words.len()) };
    let decoded = |word: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(word).unwrap_or_else(|error| panic!("{word}: {error}"));
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), word, "one spelling");
        bytes
    };
    decoded(signature);
    let object = |word| -> Value { serde_json::from_slice(&decoded(word)).expect("JSON") };
    let (header, claims) = (object(header), object(payload));
    assert!(header.is_object() && claims.is_object(), "{text}");
    // RFC 7515 §4.1.11: what must be understood and is not, is refused.
    assert!(header.get("crit").is_none() && header["alg"].is_string(), "{header}");
    let signer = Signer::default();
    let key = keys.select(jws.header(), Algorithms::ALL);
    let result = key.and_then(|key| {
        jws.verify(key, &signer).map(|claims| {
            (claims.iss().ok().map(str::to_owned), claims.sub().ok().map(str::to_owned))
        })
    });
    let verified = signer.0.lock().unwrap().clone();
    let Ok((iss, sub)) = result else { return false };
    let (input, _) = text.rsplit_once('.').expect("three parts");
    assert_eq!(verified, [input.as_bytes()], "verified once, and exactly what was received");
    assert_eq!(header["alg"], "ES256", "{header}");
    assert!(header.get("kid").is_none_or(|kid| kid == "1"), "{header}");
    // RFC 7519 §4: the claims are those of the text. An empty one counts as none.
    for (name, own) in [("iss", iss), ("sub", sub)] {
        assert!(own.is_none() || claims[name].as_str() == own.as_deref(), "{name} of {claims}");
    }
    true
}

/// A header and claims, divided by a zero byte, which are encoded and signed; or a whole text.
pub fn assertions(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        verified(text);
    }
    let [header, claims] = parts(data);
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(input.as_bytes());
    if verified(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(&signature))) {
        // Another signature, and another text under the same one, are refused.
        let mut other = signature.clone();
        other[usize::from(data[0]) % 64] ^= 1;
        assert!(!verified(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(other))));
        let more = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let same = URL_SAFE_NO_PAD.encode(signature);
        assert!(more == input || !verified(&format!("{more}.{same}")));
    }
}

/// The bytes are a key set, of a client's metadata and of its server.
pub fn keys(data: &[u8]) {
    let inline = KeySet::parse(data, Algorithms::ALL, None);
    let fetched = FetchedKeys::parse(data);
    if inline.is_err() && fetched.is_err() {
        return;
    }
    let sent: Value = serde_json::from_slice(data).expect("an accepted key set is JSON");
    let listed = sent["keys"].as_array().cloned().unwrap_or_default();
    // RFC 7517 §4.1: symmetric keys are no public ones.
    let public = |key: &&Value| matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP"));
    let count = listed.iter().filter(public).count();
    let is_private = listed.iter().filter(public).any(|key| key.get("d").is_some());
    if let Ok(keys) = inline {
        let found = keys.iter().count();
        assert!((1..=count).contains(&found), "{found} keys of {count}");
        assert!(!is_private, "a private key is accepted");
        let kids = listed.iter().filter_map(|key| key["kid"].as_str());
        let kids: Vec<_> = kids.collect();
        let own = |key: &PublicKey| key.kid().is_none_or(|kid| kids.contains(&kid));
        assert!(keys.iter().all(own), "a key has a name that was not sent");
    }
    if let Ok(keys) = fetched {
        assert!(keys.len() <= count, "{} keys of {count}", keys.len());
        assert!(!is_private || keys.is_empty(), "a private key is accepted");
    }
}
