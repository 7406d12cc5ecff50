//! Tests of KEYS-48 to KEYS-53 on the claims of an assertion: their types, times and audience.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::Timestamp;
use grantcore::jws::{Claims, Fault, Jws, TimeRules};
use serde_json::{Value, json};

use crate::support::{ISSUER, T};

const RULES: TimeRules = TimeRules::new(Duration::from_secs(10), Duration::from_secs(3600));

/// Parses a payload, and returns what `read` makes of its claims.
fn read<R>(payload: &str, read: impl FnOnce(&Claims) -> R) -> R {
    let encoded = URL_SAFE_NO_PAD.encode(payload);
    let text = format!("{}.{encoded}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
    let jws = Jws::parse(&text, Jws::MAX_BYTES).unwrap();
    read(jws.claims().as_claimed())
}

fn of<R>(claims: &Value, then: impl FnOnce(&Claims) -> R) -> R {
    read(&claims.to_string(), then)
}

#[expect(clippy::needless_pass_by_value, reason = "each caller writes the claims")]
fn times(claims: Value) -> Result<u64, Fault> {
    let now = Timestamp::from_unix_seconds(T);
    of(&claims, |claims| claims.check_times(RULES, now)).map(Timestamp::unix_seconds)
}

#[test]
fn keys_52_issuer_and_subject_are_strings() {
    of(&json!({"iss": "a", "sub": "b"}), |claims| {
        assert_eq!((claims.iss(), claims.sub()), (Ok("a"), Ok("b")));
    });
    for wrong in [json!(null), json!(1), json!(""), json!(["a"]), json!({"a": "a"}), json!(true)] {
        of(&json!({"iss": wrong, "sub": wrong}), |claims| {
            assert_eq!(claims.iss(), Err(Fault::Issuer), "{wrong}");
            assert_eq!(claims.sub(), Err(Fault::Subject), "{wrong}");
        });
    }
    of(&json!({}), |claims| {
        assert_eq!((claims.iss(), claims.sub()), (Err(Fault::Issuer), Err(Fault::Subject)));
    });
}

#[test]
fn keys_48_the_audience_is_the_issuer_alone() {
    let check = |aud: Value, issuer: &str| of(&json!({ "aud": aud }), |c| c.check_audience(issuer));
    for aud in [json!(ISSUER), json!([ISSUER]), json!(format!("{ISSUER}/"))] {
        assert_eq!(check(aud.clone(), ISSUER), Ok(()), "{aud}");
        assert_eq!(check(aud.clone(), &format!("{ISSUER}/")), Ok(()), "{aud}");
    }
    let tenant = "https://auth.example/t";
    assert_eq!(check(json!(tenant), tenant), Ok(()));
    for (aud, issuer) in [
        (json!([ISSUER, ISSUER]), ISSUER),
        (json!([ISSUER, format!("{ISSUER}/")]), ISSUER),
        (json!([ISSUER, "https://other.example"]), ISSUER),
        (json!([]), ISSUER),
        (json!([[ISSUER]]), ISSUER),
        (json!([1]), ISSUER),
        (json!({"aud": ISSUER}), ISSUER),
        (json!(null), ISSUER),
        (json!(1), ISSUER),
        (json!(""), ISSUER),
        (json!("https://other.example"), ISSUER),
        (json!("https://AUTH.example"), ISSUER),
        (json!("https://auth.example//"), ISSUER),
        (json!("https://auth.example/token"), ISSUER),
        (json!("https://auth.example/t/"), tenant),
        (json!("https://auth.example/"), tenant),
        (json!("https://auth.example/t"), "https://auth.example/t/"),
    ] {
        assert_eq!(check(aud.clone(), issuer), Err(Fault::Audience), "{aud} for {issuer}");
    }
    assert_eq!(of(&json!({}), |c| c.check_audience(ISSUER)), Err(Fault::Audience));
}

#[test]
fn keys_50_an_assertion_is_judged_by_its_dates_with_a_leeway() {
    assert_eq!(times(json!({"exp": T + 300})), Ok(T + 310), "the end has the leeway");
    assert_eq!(times(json!({"exp": T - 9})), Ok(T + 1));
    assert_eq!(times(json!({"exp": T - 10})), Err(Fault::Expired));
    assert_eq!(times(json!({"iat": T})), Err(Fault::Expired), "no exp");
    for start in ["nbf", "iat"] {
        assert_eq!(times(json!({"exp": T + 60, start: T + 10})), Ok(T + 70), "{start}");
        assert_eq!(times(json!({"exp": T + 60, start: T + 11})), Err(Fault::Early), "{start}");
        assert_eq!(times(json!({"exp": T + 60, start: 0})), Ok(T + 70), "{start}");
    }
    assert_eq!(times(json!({"exp": T - 10, "nbf": T + 11})), Err(Fault::Expired), "the first");

    let strict = TimeRules::new(Duration::ZERO, Duration::from_secs(3600));
    let now = Timestamp::from_unix_seconds(T);
    let check =
        |claims: Value| of(&claims, |c| c.check_times(strict, now).map(Timestamp::unix_seconds));
    assert_eq!(check(json!({"exp": T})), Err(Fault::Expired));
    assert_eq!(check(json!({"exp": T + 1, "nbf": T})), Ok(T + 1));
    assert_eq!(check(json!({"exp": T + 1, "nbf": T + 1})), Err(Fault::Early));
}

#[test]
fn keys_51_the_end_of_an_assertion_is_near() {
    assert_eq!(times(json!({"exp": T + 3610})), Ok(T + 3620));
    assert_eq!(times(json!({"exp": T + 3611})), Err(Fault::LongLived));

    // An issuer that signs for longer is refused at the end of that time too, where this is asked.
    let now = Timestamp::from_unix_seconds(T);
    let rules = TimeRules::new(Duration::from_secs(10), Duration::from_secs(300));
    let old = json!({"iat": T - 3000, "exp": T + 100});
    let check = |claims: &Value, rules| {
        of(claims, |c| c.check_times(rules, now)).map(Timestamp::unix_seconds)
    };
    assert_eq!(check(&old, rules), Ok(T + 110));
    assert_eq!(check(&old, rules.counted_from_issue()), Err(Fault::LongLived));
    let young = json!({"iat": T - 200, "exp": T + 110});
    assert_eq!(check(&young, rules.counted_from_issue()), Ok(T + 120));
    assert_eq!(check(&json!({"exp": T + 310}), rules.counted_from_issue()), Ok(T + 320));
}

#[test]
fn keys_52_dates_are_numbers() {
    for name in ["exp", "nbf", "iat"] {
        for wrong in [
            r#""1800000000""#,
            "null",
            "-1",
            "-0.5",
            "{}",
            "[1800000000]",
            "true",
            "\"\"",
            "-1e300",
        ] {
            let payload = if name == "exp" {
                format!(r#"{{"exp":{wrong}}}"#)
            } else {
                format!(r#"{{"exp":{},"{name}":{wrong}}}"#, T + 60)
            };
            let now = Timestamp::from_unix_seconds(T);
            let verdict = read(&payload, |claims| claims.check_times(RULES, now));
            assert_eq!(verdict, Err(Fault::Malformed), "{payload}");
        }
    }
    let exp = |number: &str| {
        read(&format!(r#"{{"exp":{number}}}"#), Claims::exp).map(|exp| exp.unwrap().unix_seconds())
    };
    assert_eq!(exp("1700000000.9"), Ok(1_700_000_000));
    assert_eq!(exp("1.8e9"), Ok(T));
    assert_eq!(exp("0"), Ok(0));
    assert_eq!(exp("0.0"), Ok(0));
    assert_eq!(exp("9223372036854775808"), Ok(1 << 63));
    assert_eq!(exp("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(exp("18446744073709551616"), Ok(u64::MAX), "beyond, and not wrapped");
    assert_eq!(exp("1e300"), Ok(u64::MAX));
    for far in ["9223372036854775808", "18446744073709551615", "1e300"] {
        let now = Timestamp::from_unix_seconds(T);
        let check = |claims: &Claims| claims.check_times(RULES, now);
        assert_eq!(read(&format!(r#"{{"exp":{far}}}"#), check), Err(Fault::LongLived), "{far}");
        let early = format!(r#"{{"exp":{},"nbf":{far}}}"#, T + 60);
        assert_eq!(read(&early, check), Err(Fault::Early), "{far}");
    }
    assert_eq!(of(&json!({}), Claims::nbf), Ok(None));
}

#[test]
fn keys_53_the_jti_is_a_string() {
    let jti = |value: Value| of(&json!({ "jti": value }), |c| c.jti().map(str::len));
    assert_eq!(jti(json!("x")), Ok(1));
    assert_eq!(jti(json!("x".repeat(512))), Ok(512));
    for wrong in [json!(""), json!(null), json!(1), json!(["x"]), json!("x".repeat(513))] {
        assert_eq!(jti(wrong.clone()), Err(Fault::Jti), "{wrong}");
    }
    assert_eq!(of(&json!({}), |c| c.jti().map(str::len)), Err(Fault::Jti));
}

/// A member of a wrong type is a fault and never an absence, for every claim that a profile reads.
#[test]
fn keys_52_other_claims_are_read_with_their_types() {
    let claims = json!({
        "client_id": "app", "resource": ["a", "b"], "scope": "x y", "none": [], "cnf": null,
        "number": 1, "mixed": ["a", 1], "kubernetes.io": {"namespace": "prod", "pod": {}},
    });
    of(&claims, |claims| {
        assert_eq!(claims.text("client_id"), Ok(Some("app")));
        assert_eq!(claims.text("absent"), Ok(None));
        assert_eq!(claims.text("number"), Err(Fault::Claim));
        assert_eq!(claims.text("cnf"), Err(Fault::Claim));
        assert!(claims.has("cnf") && !claims.has("act"));
        assert_eq!(claims.texts("resource"), Ok(Some(vec!["a", "b"])));
        assert_eq!(claims.texts("scope"), Ok(Some(vec!["x y"])));
        assert_eq!(claims.texts("none"), Ok(Some(vec![])));
        assert_eq!(claims.texts("absent"), Ok(None));
        for wrong in ["mixed", "number", "cnf", "kubernetes.io"] {
            assert_eq!(claims.texts(wrong), Err(Fault::Claim), "{wrong}");
        }
        assert_eq!(claims.inner_text("kubernetes.io", "namespace"), Ok(Some("prod")));
        assert_eq!(claims.inner_text("kubernetes.io", "absent"), Ok(None));
        assert_eq!(claims.inner_text("absent", "namespace"), Ok(None));
        assert_eq!(claims.inner_text("kubernetes.io", "pod"), Err(Fault::Claim));
        assert_eq!(claims.inner_text("client_id", "x"), Err(Fault::Claim));
    });
}

#[test]
fn faults_have_distinct_names() {
    let names: std::collections::BTreeSet<_> = Fault::ALL.iter().map(AsRef::as_ref).collect();
    assert_eq!((names.len(), Fault::ALL.len()), (14, 14));
    assert_eq!(Fault::LongLived.as_str(), "long_lived");
    let sentence = "the assertion is refused because its `exp` is missing or past";
    assert_eq!(Fault::Expired.to_string(), sentence);
}
