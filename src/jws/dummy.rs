//! Keys whose private halves were not kept. They make a refusal take as long as a verification
//! (KEYS-56).

use std::sync::LazyLock;

use super::algorithm::{Algorithm, Algorithms};
use super::key::PublicKey;
use super::key_set::KeySet;

const RSA_MODULUS: &str = concat!(
    "oIIy1OYymZ6fOJeTFylAoyC10SVjsmmjRp8xQXmdK2g0AW2EWi_cAaa2gOzfixTddL3vwQCj5La2n_AJ",
    "KHlAp0KgMryx0YMuJKIM5A3vcmhN3WUpwGjMgtXNPU_fnW7BERwH_gO8tJmjW3fV3ggrAAhKpgJqSk7d",
    "0ing7EZMTSB9bdK-NutGa1rSl4N2Pvwc5CwAw3e0-W_PuIiJUCoy1cdri0yFKzxlmNxCKACcHq7sTXiu",
    "XVyJZ96nzRTLBLHXlIM0zw53lk8-olnwxnFZnm-2Klh1hdQ4VqqYKl4gHD_flToKEVlZ9ffcvNAYuryh",
    "zERkoRhwegmy-iRwixm6RQ",
);

static KEYS: LazyLock<KeySet> = LazyLock::new(read);

#[expect(clippy::expect_used, reason = "the keys are constants, and a test reads each of them")]
fn read() -> KeySet {
    let json = format!(
        r#"{{"keys": [
            {{"kty": "RSA", "alg": "RS256", "e": "AQAB", "n": "{RSA_MODULUS}"}},
            {{"kty": "RSA", "alg": "PS256", "e": "AQAB", "n": "{RSA_MODULUS}"}},
            {{"kty": "EC", "crv": "P-256",
              "x": "rjmKY8L8VxdMZGiaUGQ7DadQSne8Ymf65rguH_EkxYE",
              "y": "-krhx52UCYT6WIYeIe4GIWJIrUAlW96OmJ_UiF4t6_o"}},
            {{"kty": "OKP", "crv": "Ed25519", "x": "_qPCx6ros2F6sYLxI61jre5PeWAuNB3_wAIblSHE4yE"}}
        ]}}"#
    );
    KeySet::parse(json.as_bytes(), Algorithms::ALL, None).expect("a key set")
}

/// Returns a key of this algorithm that verifies nothing. It is a valid key, so that a library does
/// all of its work with it.
#[expect(
    clippy::expect_used,
    reason = "the set has a key of each algorithm, and a test asks for each"
)]
pub(super) fn dummy_key(algorithm: Algorithm) -> &'static PublicKey {
    KEYS.iter().find(|key| key.algorithm() == algorithm).expect("a key of each algorithm")
}
