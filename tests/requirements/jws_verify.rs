//! Tests of KEYS-22 to KEYS-27, KEYS-54 and KEYS-56: which key verifies an assertion, and what a
//! signature must be.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::jws::{
    Algorithm, Algorithms, Fault, FetchedKeys, Jws, KeySet, PublicKey, RingVerifier, Verify,
};
use jsonwebtoken::Algorithm as Alg;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::assertions::{Signer, key_set, merged, signer};
use crate::support::property;

/// Counts what it verifies.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Counting {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Verify for Counting {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        RingVerifier.verify(key, message, signature)
    }
}

fn keys(keys: &[Value]) -> KeySet {
    KeySet::parse(key_set(keys).as_bytes(), Algorithms::ALL, None).unwrap()
}

/// Selects the key and verifies. Returns the subject, and the number of verifications.
fn check_with(text: &str, keys: &KeySet) -> (Result<&'static str, Fault>, usize) {
    let counting = Counting::default();
    let jws = Jws::parse(text, Jws::MAX_BYTES).unwrap();
    let key = keys.select(jws.header(), Algorithms::ALL);
    let verified = key.and_then(|key| jws.verify(key, &counting));
    let subject = verified.map(|claims| if claims.sub() == Ok("app") { "app" } else { "another" });
    (subject, counting.count())
}

fn check(text: &str, keys: &KeySet) -> Result<&'static str, Fault> {
    check_with(text, keys).0
}

fn named(signer: &Signer, kid: &str) -> Value {
    merged(signer.jwk(), json!({ "kid": kid }))
}

fn claims() -> Value {
    json!({"sub": "app"})
}

/// What `check` returns for an assertion of `claims`.
const ACCEPTED: Result<&str, Fault> = Ok("app");

#[test]
fn keys_54_signatures_of_each_algorithm_are_verified() {
    for (signer, alg) in [
        (signer("rsa"), "RS256"),
        (signer("rsa").with(Alg::PS256), "PS256"),
        (signer("ec"), "ES256"),
        (signer("ed"), "EdDSA"),
    ] {
        let own = keys(&[merged(signer.jwk(), json!({"kid": "1", "alg": alg}))]);
        let text = signer.sign(&json!({"alg": signer.alg(), "kid": "1"}), &claims());
        assert_eq!(check_with(&text, &own), (ACCEPTED, 1), "{alg}");
        let owned = Jws::parse(&text.clone(), Jws::MAX_BYTES).unwrap().into_owned();
        assert!(owned.verify(own.iter().next().unwrap(), &RingVerifier).is_ok(), "{alg}");

        // A bit of the payload or of the signature is another one.
        let (input, signature) = text.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for position in [0, bytes.len() / 2, bytes.len() - 1] {
            bytes[position] ^= 1;
            let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            assert_eq!(check_with(&forged, &own), (Err(Fault::Signature), 1), "{alg}");
            bytes[position] ^= 1;
        }
        for wrong in [&bytes[1..], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), &[0]] {
            let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(wrong));
            assert_eq!(check(&forged, &own), Err(Fault::Signature), "{alg}");
        }
        let header = json!({"alg": signer.alg(), "kid": "1"});
        let other = signer.sign(&header, &json!({"sub": "eve"}));
        let (other, _) = other.rsplit_once('.').unwrap();
        assert_eq!(check(&format!("{other}.{signature}"), &own), Err(Fault::Signature), "{alg}");
    }
}

/// The examples of RFC 7515 A.2 and A.3.
#[test]
fn keys_54_the_examples_of_the_specification_are_verified() {
    const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb\
        S9pc19yb290Ijp0cnVlfQ";
    let rsa = json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji\
        9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b326\
        90r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg66\
        5xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs9\
        1kzk2PAcDTW9gb54h4FRWyuXpoQ"});
    let ec = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let own = keys(&[rsa, ec]);
    for (header, signature) in [
        (
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7A\
            AuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTy\
            WzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsq\
            tFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN\
            _IoypGlUPQGe77Rw",
        ),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSAp\
            mWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let text = format!("{header}.{PAYLOAD}.{signature}");
        let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
        let key = own.select(jws.header(), Algorithms::ALL).unwrap();
        assert_eq!(jws.verify(key, &RingVerifier).unwrap().iss(), Ok("joe"), "{header}");
    }
}

#[test]
fn keys_54_the_key_of_another_party_verifies_nothing() {
    for (name, other) in [("rsa", "other-rsa"), ("ec", "other-ec"), ("ed", "other-ed")] {
        let theirs = signer(other);
        let text = theirs.sign(&json!({"alg": theirs.alg(), "kid": "1"}), &claims());
        assert_eq!(check(&text, &keys(&[named(&signer(name), "1")])), Err(Fault::Signature));
        assert_eq!(check(&text, &keys(&[named(&theirs, "1")])), ACCEPTED);
    }
}

#[test]
fn keys_54_an_elliptic_signature_has_64_bytes() {
    let own = keys(&[signer("ec").jwk()]);
    let text = signer("ec").sign(&json!({"alg": "ES256"}), &claims());
    let (input, signature) = text.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let pair = [integer(&bytes[..32]), integer(&bytes[32..])].concat();
    let der = [&[0x30, u8::try_from(pair.len()).unwrap()], &pair[..]].concat();
    for wrong in [der, vec![0; 64], vec![0; 1], [&[0; 32][..], &bytes[32..]].concat()] {
        let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(wrong));
        assert_eq!(check(&forged, &own), Err(Fault::Signature));
    }
}

/// HMAC with the bytes of the public key, as PEM, DER and JWK: the confusion of algorithms.
#[test]
fn keys_54_a_public_key_is_no_secret_of_an_hmac() {
    let own = keys(&[named(&signer("rsa"), "1")]);
    let jwk = signer("rsa").jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [jwk.to_string().into_bytes(), modulus] {
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        let header = jsonwebtoken::Header {
            kid: Some("1".to_owned()),
            ..jsonwebtoken::Header::new(Alg::HS256)
        };
        let text = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert_eq!(check_with(&text, &own), (Err(Fault::Algorithm), 0));
    }
}

#[test]
fn keys_23_assertions_of_other_algorithms_find_no_key() {
    let all = ["rsa", "ec", "ed"].map(|name| signer(name).jwk());
    let own = keys(&all);
    let ed = signer("ed");
    for alg in ["none", "None", "NONE", "", "HS256", "HS512", "RS1", "RS512", "ES256K", "Ed448"] {
        let text = ed.sign(&json!({ "alg": alg }), &claims());
        assert_eq!(check_with(&text, &own), (Err(Fault::Algorithm), 0), "{alg}");
    }
    for alg in ["EdDSA", "Ed25519"] {
        let text = ed.sign(&json!({ "alg": alg }), &claims());
        assert_eq!(check(&text, &own), ACCEPTED, "{alg}");
        let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
        let others = Algorithms::of([Algorithm::Rs256, Algorithm::Es256]).unwrap();
        assert_eq!(own.select(jws.header(), others), Err(Fault::Algorithm), "{alg} is not allowed");
    }
}

#[test]
fn keys_22_a_key_serves_its_own_algorithm_alone() {
    let (rs, ps) = (signer("rsa"), signer("rsa").with(Alg::PS256));
    for kid in [json!({"kid": "1"}), json!({})] {
        let own = keys(&[named(&rs, "1")]);
        let rs_text = rs.sign(&merged(json!({"alg": "RS256"}), kid.clone()), &claims());
        let ps_text = ps.sign(&merged(json!({"alg": "PS256"}), kid.clone()), &claims());
        assert_eq!(check(&rs_text, &own), ACCEPTED);
        assert_eq!(check_with(&ps_text, &own), (Err(Fault::Algorithm), 0));

        // A fetched set serves clients that prefer one or the other.
        let fetched = FetchedKeys::parse(key_set(&[named(&rs, "1")]).as_bytes()).unwrap();
        for (text, preferred, fits) in [
            (&rs_text, None, true),
            (&rs_text, Some(Algorithm::Ps256), false),
            (&ps_text, Some(Algorithm::Ps256), true),
            (&ps_text, Some(Algorithm::Es256), false),
        ] {
            let jws = Jws::parse(text, Jws::MAX_BYTES).unwrap();
            let key = fetched.select(jws.header(), Algorithms::ALL, preferred);
            let verified = key.and_then(|key| jws.verify(&key, &RingVerifier).map(|_| ()));
            assert_eq!(verified, if fits { Ok(()) } else { Err(Fault::Algorithm) });
        }
    }
    // A header cannot choose: the key is asked again where it is used.
    let text = ps.sign(&json!({"alg": "PS256"}), &claims());
    let own = keys(&[rs.jwk()]);
    let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
    let counting = Counting::default();
    let verified = jws.verify(own.iter().next().unwrap(), &counting);
    assert_eq!((verified.map(|_| ()), counting.count()), (Err(Fault::Algorithm), 0));
}

#[test]
fn keys_24_a_point_off_the_curve_verifies_nothing() {
    let ec = signer("ec");
    let text = ec.sign(&json!({"alg": "ES256"}), &claims());
    let off = merged(ec.jwk(), json!({"y": ec.jwk()["x"]}));
    assert_eq!(check_with(&text, &keys(&[off])), (Err(Fault::Signature), 1));
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let infinite = merged(ec.jwk(), json!({"x": zero, "y": zero}));
    assert_eq!(check(&text, &keys(&[infinite])), Err(Fault::Signature));
    let ed = signer("ed");
    let text = ed.sign(&json!({"alg": "EdDSA"}), &claims());
    let off = merged(ed.jwk(), json!({"x": URL_SAFE_NO_PAD.encode([2; 32])}));
    assert_eq!(check(&text, &keys(&[off])), Err(Fault::Signature));
}

#[test]
fn keys_25_a_name_that_two_fetched_keys_have_is_no_name() {
    let (ec, other, ed) = (signer("ec"), signer("other-ec"), signer("ed"));
    let fetched = FetchedKeys::parse(
        key_set(&[named(&ec, "a"), named(&other, "a"), named(&ed, "b")]).as_bytes(),
    )
    .unwrap();
    let select = |header: Value| {
        let text = ed.sign(&header, &claims());
        let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
        fetched.select(jws.header(), Algorithms::ALL, None).map(|key| key.kid().map(str::to_owned))
    };
    assert_eq!(select(json!({"alg": "ES256", "kid": "a"})), Err(Fault::Key));
    assert_eq!(select(json!({"alg": "ES256"})), Err(Fault::Key), "two keys");
    assert_eq!(select(json!({"alg": "EdDSA", "kid": "b"})), Ok(Some("b".to_owned())));
    for kid in ["", "A", "../../x", "' or 1=1", "a\n", &"x".repeat(513)] {
        assert_eq!(select(json!({"alg": "ES256", "kid": kid})), Err(Fault::Key), "{kid:?}");
    }
}

#[test]
fn keys_26_a_key_is_chosen_by_name_and_algorithm() {
    let (rsa, other, ec) = (signer("rsa"), signer("other-rsa"), signer("ec"));
    let own = keys(&[named(&rsa, "1"), named(&other, "2"), named(&ec, "3")]);
    let signed = |signer: &Signer, header: Value| signer.sign(&header, &claims());

    assert_eq!(check(&signed(&rsa, json!({"alg": "RS256", "kid": "1"})), &own), ACCEPTED);
    assert_eq!(check(&signed(&other, json!({"alg": "RS256", "kid": "2"})), &own), ACCEPTED);
    assert_eq!(check(&signed(&ec, json!({"alg": "ES256"})), &own), ACCEPTED, "the only one");
    for (signer, header, fault) in [
        (&rsa, json!({"alg": "RS256"}), Fault::Key),
        (&rsa, json!({"alg": "RS256", "kid": "4"}), Fault::Key),
        (&rsa, json!({"alg": "RS256", "kid": "3"}), Fault::Algorithm),
        (&ec, json!({"alg": "EdDSA"}), Fault::Algorithm),
    ] {
        let found = check_with(&signed(signer, header.clone()), &own);
        assert_eq!(found, (Err(fault), 0), "{header}");
    }
    let wrong_name = signed(&rsa, json!({"alg": "RS256", "kid": "2"}));
    assert_eq!(check_with(&wrong_name, &own), (Err(Fault::Signature), 1));
}

#[test]
fn keys_26_a_key_in_the_header_is_not_used() {
    let (ed, thief) = (signer("ed"), signer("other-ed"));
    let own = keys(&[ed.jwk()]);
    for member in [
        json!({"jwk": thief.jwk()}),
        json!({"jku": "https://thief.example/jwks.json"}),
        json!({"x5u": "https://thief.example/cert.pem"}),
        json!({"x5c": ["AAAA"], "x5t": "AAAA", "x5t#S256": "AAAA"}),
    ] {
        let header = merged(json!({"alg": "EdDSA"}), member);
        assert_eq!(check(&thief.sign(&header, &claims()), &own), Err(Fault::Signature), "{header}");
        assert_eq!(check(&ed.sign(&header, &claims()), &own), ACCEPTED, "{header}");
    }
}

#[test]
fn keys_27_one_key_is_tried() {
    let thief = signer("other-ed").sign(&json!({"alg": "EdDSA"}), &claims());
    let many: Vec<_> = (0..16).map(|n| named(&signer("ed"), &n.to_string())).collect();
    assert_eq!(check_with(&thief, &keys(&many)), (Err(Fault::Key), 0));
    assert_eq!(check_with(&thief, &keys(&many[..1])), (Err(Fault::Signature), 1));
}

#[test]
fn keys_56_a_refusal_without_a_key_costs_one_verification() {
    let text = signer("ed").sign(&json!({"alg": "EdDSA"}), &claims());
    let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
    for algorithm in Algorithm::ALL {
        struct Expects(Algorithm, AtomicUsize);
        impl Verify for Expects {
            fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
                assert_eq!(key.algorithm(), self.0);
                assert!(message.starts_with(b"ey") && signature.len() == 64);
                self.1.fetch_add(1, Ordering::Relaxed);
                !RingVerifier.verify(key, message, signature)
            }
        }
        let verifier = Expects(algorithm, AtomicUsize::new(0));
        jws.equalize_timing(algorithm, &verifier);
        assert_eq!(verifier.1.into_inner(), 1);
    }
}

/// Whatever is changed in a signed token, it is verified only if header, payload and signature are
/// the signed ones.
#[test]
fn i36_a_changed_assertion_is_not_verified() {
    let texts = ["ec", "ed"].map(|name| {
        let signer = signer(name);
        let payload = json!({"sub": "app", "exp": 1_800_000_000_u64, "x": [1.5, {"y": null}]});
        signer.sign(&json!({"alg": signer.alg(), "typ": "JWT"}), &payload)
    });
    let own = keys(&["ec", "ed"].map(|name| signer(name).jwk()));
    let alphabet =
        prop_oneof![any::<char>(), "[A-Za-z0-9_.=-]".prop_map(|s| s.chars().next().unwrap())];
    let edit = (0..2_usize, 0..10_000_usize, 0..3_usize, alphabet);
    let edits = proptest::collection::vec(edit, 0..3);
    property::check(&edits, |edits| {
        let Some((which, ..)) = edits.first() else { return Ok(()) };
        let original: &str = &texts[*which];
        let mut letters: Vec<char> = original.chars().collect();
        for (_, position, act, c) in &edits {
            let position = position % letters.len();
            match act {
                0 => letters[position] = *c,
                1 => letters.insert(position, *c),
                _ => drop(letters.remove(position)),
            }
        }
        let changed: String = letters.into_iter().collect();
        let Ok(jws) = Jws::parse(&changed, Jws::MAX_BYTES) else { return Ok(()) };
        let key = own.select(jws.header(), Algorithms::ALL);
        let is_verified = key.is_ok_and(|key| jws.verify(key, &RingVerifier).is_ok());
        prop_assert_eq!(is_verified, changed == original);
        Ok(())
    });
    // The last characters of a part have bits that are no bits of a byte.
    for text in &texts {
        assert_eq!(check(text, &own), ACCEPTED);
        let ends = text.match_indices('.').map(|(end, _)| end).chain([text.len()]);
        for last in ends.map(|end| end - 1) {
            for c in ('0'..='9').chain('A'..='Z').chain('a'..='z').chain(['-', '_']) {
                let changed = format!("{}{c}{}", &text[..last], &text[last + 1..]);
                let verified = Jws::parse(&changed, Jws::MAX_BYTES).and_then(|jws| {
                    let key = own.select(jws.header(), Algorithms::ALL)?;
                    jws.verify(key, &RingVerifier).map(|_| ())
                });
                assert_eq!(verified.is_ok(), changed == *text, "{changed}");
            }
        }
    }
}
