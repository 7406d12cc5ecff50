//! Tests of KEYS-20 to KEYS-25 and KEYS-31: key sets, inline and fetched, and their URLs. The sets
//! are those of `tests/support/key_sets.rs`.

use grantcore::jws::{Algorithm, Algorithms, FetchedKeys, KeySet, KeySetError, KeysUrl};
use serde_json::{Value, json};

use crate::key_sets::{cases, numbered};
use crate::support::assertions::{key_set, merged, signer};

fn inline(set: &str) -> Result<KeySet, KeySetError> {
    KeySet::parse(set.as_bytes(), Algorithms::ALL, None)
}

fn algorithms_of(keys: &KeySet) -> Vec<&'static str> {
    keys.iter().map(|key| key.algorithm().as_str()).collect()
}

#[test]
fn keys_20_an_inline_set_keeps_what_it_understands_and_refuses_what_is_malformed() {
    let cases = cases();
    assert!(cases.len() > 90);
    for case in &cases {
        let verdict = inline(&case.set);
        assert_eq!(
            verdict.as_ref().ok().map(|keys| keys.iter().count()),
            case.inline,
            "{}",
            case.name
        );
    }
    let error = |name: &str| inline(&cases.iter().find(|case| case.name == name).unwrap().set);
    assert_eq!(error("no key"), Err(KeySetError::NoUsableKey));
    assert_eq!(error("no usable key"), Err(KeySetError::NoUsableKey));
    assert_eq!(error("17 keys"), Err(KeySetError::TooMany { limit: 16 }));
    assert_eq!(error("equal names"), Err(KeySetError::RepeatedKid));
    assert_eq!(error("a key is a string"), Err(KeySetError::NotAKeySet));
    let no_kty = KeySetError::Key { index: 1, what: "kty is missing" };
    assert_eq!(error("no kty"), Err(no_kty));
    assert_eq!(no_kty.to_string(), "the key at index 1 of the key set: kty is missing");
}

#[test]
fn keys_20_a_fetched_set_skips_what_it_does_not_understand() {
    for case in cases() {
        let verdict = FetchedKeys::parse(case.set.as_bytes());
        assert_eq!(verdict.as_ref().ok().map(FetchedKeys::len), case.fetched, "{}", case.name);
    }
    // White space is part of the size.
    let set = key_set(&numbered(1));
    let padded = |length: usize| format!("{set}{}", " ".repeat(length - set.len()));
    assert_eq!(FetchedKeys::parse(padded(65_536).as_bytes()).unwrap().len(), 1);
    let too_long = FetchedKeys::parse(padded(65_537).as_bytes());
    assert_eq!(too_long.unwrap_err(), KeySetError::TooLong);
    assert_eq!(inline(&padded(65_537)), Err(KeySetError::TooLong));
}

#[test]
fn keys_20_keys_of_other_algorithms_than_the_servers_are_left_out() {
    let all = key_set(&["rsa", "ec", "ed"].map(|name| signer(name).jwk()));
    let elliptic = Algorithms::of([Algorithm::Es256, Algorithm::EdDsa]).unwrap();
    let keys = KeySet::parse(all.as_bytes(), elliptic, None).unwrap();
    assert_eq!(algorithms_of(&keys), ["ES256", "EdDSA"]);
    let ps = Algorithms::of([Algorithm::Ps256]).unwrap();
    assert_eq!(KeySet::parse(all.as_bytes(), ps, None), Err(KeySetError::NoUsableKey));
    let keys = KeySet::parse(all.as_bytes(), ps, Some(Algorithm::Ps256)).unwrap();
    assert_eq!(algorithms_of(&keys), ["PS256"]);
}

#[test]
fn keys_21_a_set_with_a_private_or_symmetric_key_has_no_key() {
    let shown: Vec<_> = cases().into_iter().filter(|case| case.fetched == Some(0)).collect();
    let private: Vec<_> = shown.iter().filter(|case| case.set.contains("good")).collect();
    assert_eq!(private.len(), 14);
    for case in private {
        let error = inline(&case.set).unwrap_err();
        assert_eq!(error, KeySetError::Private, "{}", case.name);
        assert!(!error.to_string().contains("AQAB"));
        let fetched = FetchedKeys::parse(case.set.as_bytes()).unwrap();
        assert!(fetched.is_private() && fetched.is_empty(), "{}", case.name);
    }
    let empty = FetchedKeys::parse(br#"{"keys":[]}"#).unwrap();
    assert!(empty.is_empty() && !empty.is_private());
}

#[test]
fn keys_22_a_key_has_one_algorithm() {
    let of = |key: Value, preferred| {
        let set = key_set(&[key]);
        let keys = KeySet::parse(set.as_bytes(), Algorithms::ALL, preferred).unwrap();
        keys.iter().next().unwrap().algorithm()
    };
    let with = |name: &str, alg: &str| merged(signer(name).jwk(), json!({ "alg": alg }));
    for preferred in [None, Some(Algorithm::Rs256), Some(Algorithm::Es256)] {
        assert_eq!(of(signer("rsa").jwk(), preferred), Algorithm::Rs256);
        assert_eq!(of(with("rsa", "PS256"), preferred), Algorithm::Ps256);
        assert_eq!(of(signer("ec").jwk(), preferred), Algorithm::Es256);
        assert_eq!(of(signer("ed").jwk(), preferred), Algorithm::EdDsa);
    }
    assert_eq!(of(signer("rsa").jwk(), Some(Algorithm::Ps256)), Algorithm::Ps256);
    assert_eq!(of(with("rsa", "RS256"), Some(Algorithm::Ps256)), Algorithm::Rs256);
    assert_eq!(of(with("ed", "Ed25519"), None), of(with("ed", "EdDSA"), None));
}

#[test]
fn keys_23_no_other_algorithm_can_be_named() {
    for name in ["RS256", "PS256", "ES256", "EdDSA"] {
        assert_eq!(name.parse::<Algorithm>().unwrap().to_string(), name);
    }
    assert_eq!("Ed25519".parse(), Ok(Algorithm::EdDsa));
    for name in [
        "none", "None", "", "HS256", "HS384", "HS512", "RS1", "RS384", "RS512", "PS384", "PS512",
        "ES256K", "ES384", "ES512", "Ed448", "RSA1_5", "RSA-OAEP", "rs256", "RS256 ", "eddsa",
    ] {
        assert!(name.parse::<Algorithm>().is_err(), "{name}");
        assert!(serde_json::from_value::<Algorithm>(json!(name)).is_err(), "{name}");
        assert!(serde_json::from_value::<Algorithms>(json!([name])).is_err(), "{name}");
    }
    assert_eq!(Algorithms::default(), Algorithms::ALL);
    assert!(Algorithms::ALL.names().eq(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]));
    let one = Algorithms::of([Algorithm::Ps256, Algorithm::Ps256]).unwrap();
    assert_eq!((one.common(Algorithms::ALL), format!("{one:?}").as_str()), (Some(one), "{Ps256}"));
    assert_eq!(one.common(Algorithms::of([Algorithm::Rs256]).unwrap()), None);
    let written = serde_json::to_value(Algorithms::ALL).unwrap();
    assert_eq!(written, json!(["RS256", "PS256", "ES256", "EdDSA"]));
    assert_eq!(serde_json::from_value::<Algorithms>(written).unwrap(), Algorithms::ALL);
    for wrong in [json!([]), json!(["RS256", "RS256"]), json!(["ES256", "RS256"]), json!("RS256")] {
        assert!(serde_json::from_value::<Algorithms>(wrong.clone()).is_err(), "{wrong}");
    }
}

/// A record has a set that `parse` could have made, in text and in bytes, and no other one.
#[test]
fn keys_15_a_record_holds_usable_keys_only() {
    for case in cases() {
        let Ok(keys) = inline(&case.set) else { continue };
        let text = serde_json::to_string(&keys).unwrap();
        assert_eq!(serde_json::from_str::<KeySet>(&text).unwrap(), keys, "{}", case.name);
        let bytes = postcard::to_allocvec(&keys).unwrap();
        assert_eq!(postcard::from_bytes::<KeySet>(&bytes).unwrap(), keys, "{}", case.name);
    }
    let rsa = inline(&key_set(&[merged(signer("rsa").jwk(), json!({"kid": "1"}))])).unwrap();
    let rsa = serde_json::to_value(&rsa).unwrap();
    assert_eq!(rsa[0]["material"]["rs256"]["exponent"], 65_537);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut set = rsa.clone();
        change(&mut set[0]);
        serde_json::from_value::<KeySet>(set)
    };
    assert!(changed(&|_| {}).is_ok());
    let numbers = |key: &mut Value, members: Value| {
        let material = key["material"]["rs256"].take();
        key["material"]["rs256"] = merged(material, members);
    };
    let short = signer("ec").jwk()["x"].clone();
    assert!(changed(&|key| numbers(key, json!({"exponent": 1}))).is_err());
    assert!(changed(&|key| numbers(key, json!({"exponent": 65_538}))).is_err());
    assert!(changed(&|key| numbers(key, json!({"exponent": 8_589_934_593_u64}))).is_err());
    assert!(changed(&|key| numbers(key, json!({ "modulus": short }))).is_err());
    assert!(changed(&|key| numbers(key, json!({"modulus": ""}))).is_err());
    assert!(changed(&|key| numbers(key, json!({"d": 1}))).is_err());
    assert!(changed(&|key| key["kid"] = json!("")).is_err());
    assert!(changed(&|key| key["kid"] = json!("x".repeat(513))).is_err());
    assert!(changed(&|key| key["other"] = json!(1)).is_err());
    assert!(changed(&|key| key["material"] = json!({ "es256": short })).is_err());
    assert!(changed(&|key| key["material"] = json!({ "hs256": short })).is_err());

    let key = rsa[0].clone();
    assert!(serde_json::from_value::<KeySet>(json!([])).is_err());
    assert!(serde_json::from_value::<KeySet>(json!([key, key])).is_err(), "equal names");
    let nameless = merged(key, json!({"kid": null}));
    let list = |count| serde_json::from_value::<KeySet>(json!(vec![nameless.clone(); count]));
    assert!(list(16).is_ok());
    assert!(list(17).is_err());
}

#[test]
fn keys_31_a_key_set_is_at_an_https_url_of_a_named_host() {
    let parse = |text: &str| KeysUrl::parse(text, false);
    for text in [
        "https://client.example/jwks.json",
        "https://client.example:8443/a?b=c%20d",
        "https://client.example",
        "https://10.0.0.1.example/k",
    ] {
        assert_eq!(parse(text).unwrap().as_str(), text);
    }
    let long = |length: usize| format!("https://h.example/{}", "x".repeat(length - 18));
    assert!(parse(&long(2048)).is_ok());
    assert!(parse(&long(2049)).is_err());

    for text in [
        "",
        "client.example/k",
        "//client.example/k",
        "http://client.example/k",
        "HTTPS://client.example/k",
        "file:///etc/passwd",
        "ftp://client.example/k",
        "data:application/json,{}",
        "https:client.example/k",
        "https:/client.example/k",
        "https:///client.example/k",
        "https://",
        "https://u@client.example/k",
        "https://u:p@client.example/k",
        "https://@client.example/k",
        "https://client.example/k#f",
        "https://client.example/k#",
        "https://client.example:99999/k",
        "https://client.example/a b",
        "https://client.example/\n",
        "https://client.example\\@10.0.0.1/k",
        "https://clïent.example/k",
        "https://127.0.0.1/k",
        "https://10.0.0.1/k",
        "https://169.254.169.254/",
        "https://8.8.8.8/k",
        "https://127.1/k",
        "https://0x7f000001/k",
        "https://2130706433/k",
        "https://%31%32%37.0.0.1/k",
        "https://[::1]/k",
        "https://[2001:db8::1]/k",
        "https://[::ffff:10.0.0.1]/k",
        "https://localhost/k",
        "https://LOCALHOST/k",
        "https://localhost./k",
        "https://a.localhost/k",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn keys_31_loopback_urls_are_for_development() {
    for text in [
        "http://127.0.0.1:4000/k",
        "http://localhost:4000/k",
        "http://[::1]/k",
        "https://localhost/k",
    ] {
        assert!(KeysUrl::parse(text, false).is_err(), "{text}");
        let url = KeysUrl::parse(text, true).unwrap();
        assert!(url.is_loopback(), "{text}");
        // A record keeps it, whatever the policy says by then.
        let written = serde_json::to_string(&url).unwrap();
        assert_eq!(serde_json::from_str::<KeysUrl>(&written).unwrap(), url);
    }
    for text in ["http://client.example/k", "https://10.0.0.1/k", "http://10.0.0.1/k"] {
        assert!(KeysUrl::parse(text, true).is_err(), "{text}");
        assert!(serde_json::from_value::<KeysUrl>(json!(text)).is_err(), "{text}");
    }
    assert!(!KeysUrl::parse("https://client.example/k", true).unwrap().is_loopback());
}
