//! Tests of KEYS-44 to KEYS-46: the form of an assertion and its type. Nothing here needs a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::jws::{AcceptedTypes, Fault, Jws};
use proptest::prelude::*;
use serde_json::json;

use crate::support::assertions::signer;
use crate::support::property;

const HEADER: &str = r#"{"alg":"ES256"}"#;
const CLAIMS: &str = r#"{"iss":"a"}"#;

fn encoded(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Returns a token with this header and payload. Its signature is no signature.
fn token(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}.c2lnbmF0dXJl", encoded(header), encoded(claims))
}

fn parse(text: &str) -> Result<Jws<'_>, Fault> {
    Jws::parse(text, Jws::MAX_BYTES)
}

#[track_caller]
fn malformed(text: &str) {
    assert_eq!(parse(text).unwrap_err(), Fault::Malformed, "{text}");
}

#[test]
fn keys_44_the_compact_form_has_three_parts_of_base64url() {
    let good = token(HEADER, CLAIMS);
    assert_eq!(parse(&good).unwrap().claims().as_claimed().iss(), Ok("a"));
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };

    for text in [
        String::new(),
        "..".to_owned(),
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!(".{claims}.{signature}"),
        format!("{header}..{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{header}.{header}.{claims}.{claims}.{signature}"),
        format!("{good} {good}"),
        format!(" {good}"),
        format!("{good}\n"),
        good.replacen('.', ". ", 1),
        good.replace('.', "\n."),
        format!("{good}="),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.+w"),
        format!("{header}.{claims}._/8A"),
        format!("{header}.{claims}.é"),
        // One character is no byte, and `_x` has bits that are left over.
        format!("{header}.{claims}.A"),
        format!("{header}.{claims}._x"),
        json!({"payload": claims, "protected": header, "signature": signature}).to_string(),
    ] {
        malformed(&text);
    }
}

#[test]
fn keys_44_header_and_payload_are_one_json_object_without_repeated_members() {
    for bad in [
        "",
        " ",
        "x",
        "null",
        "1",
        "\"x\"",
        "[]",
        r#"["alg"]"#,
        "{",
        "{}{}",
        "{} x",
        "\u{feff}{}",
        r#"{"alg":"ES256",}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","x":{"a":1,"a":1}}"#,
        r#"{"alg":"ES256","x":[[{"a":1},{"b":1,"c":2,"b":1}]]}"#,
        r#"{"alg":"ES256","x":"\ud800"}"#,
        r#"{"alg":"ES256","x":NaN}"#,
        r#"{"alg":"ES256","x":1e400}"#,
    ] {
        malformed(&token(bad, CLAIMS));
        malformed(&token(HEADER, bad));
    }
    for bad in [&b"{\"alg\":\"ES256\",\"x\":\"\xff\"}"[..], b"\xff{\"alg\":\"ES256\"}"] {
        malformed(&token(bad, CLAIMS));
        malformed(&token(HEADER, bad));
    }
    let spaced = token(" {\n\"alg\" : \"ES256\" }\t", CLAIMS);
    assert!(parse(&spaced).is_ok(), "white space around JSON is JSON");
    let equal_names = token(r#"{"alg":"ES256","x":[{"a":1},{"a":2}],"a":3}"#, CLAIMS);
    assert!(parse(&equal_names).is_ok(), "members of different objects may have one name");
}

#[test]
fn keys_44_a_header_has_an_algorithm_and_no_extension() {
    for members in [
        r#""typ":"JWT""#,
        r#""alg":null"#,
        r#""alg":["ES256"]"#,
        r#""alg":"ES256","typ":1"#,
        r#""alg":"ES256","typ":null"#,
        r#""alg":"ES256","kid":1"#,
        r#""alg":"ES256","kid":null"#,
        r#""alg":"ES256","crit":["exp"],"exp":1"#,
        r#""alg":"ES256","crit":[]"#,
        r#""alg":"ES256","crit":null"#,
        r#""alg":"ES256","b64":false"#,
        r#""alg":"ES256","b64":true"#,
        r#""alg":"ES256","enc":"A256GCM""#,
    ] {
        malformed(&token(format!("{{{members}}}"), CLAIMS));
    }
    let rich =
        r#"{"alg":"ES256","typ":"JWT","kid":"1","jku":"https://a.example","cty":"x","x":[{}]}"#;
    assert_eq!(parse(&token(rich, CLAIMS)).unwrap().header().kid(), Some("1"));
}

#[test]
fn keys_45_an_assertion_is_bounded() {
    // Three bytes are four characters.
    let longest = |limit: usize| {
        let empty = token(HEADER, r#"{"x":""}"#);
        let claims = format!(r#"{{"x":"{}"}}"#, "y".repeat((limit - empty.len()) / 4 * 3));
        token(HEADER, claims)
    };
    let text = longest(Jws::MAX_BYTES);
    assert!(text.len() > Jws::MAX_BYTES - 4);
    assert!(Jws::parse(&text, text.len()).is_ok());
    assert_eq!(Jws::parse(&text, text.len() - 1).unwrap_err(), Fault::Malformed);

    let header = |length: usize| {
        let rest = length - r#"{"alg":"ES256","x":""}"#.len();
        format!(r#"{{"alg":"ES256","x":"{}"}}"#, "y".repeat(rest))
    };
    assert!(parse(&token(header(2048), CLAIMS)).is_ok());
    malformed(&token(header(2049), CLAIMS));

    let nested = |depth: usize| {
        format!(r#"{{"alg":"ES256","x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert!(parse(&token(nested(7), CLAIMS)).is_ok(), "the object is the first of eight levels");
    malformed(&token(nested(8), CLAIMS));
    assert!(parse(&token(HEADER, nested(7))).is_ok());
    malformed(&token(HEADER, nested(8)));
    let objects = |depth: usize| {
        format!(r#"{{"alg":"ES256","x":{}1{}}}"#, r#"{"y":"#.repeat(depth), "}".repeat(depth))
    };
    assert!(parse(&token(objects(7), CLAIMS)).is_ok());
    malformed(&token(objects(8), CLAIMS));
    malformed(&token(HEADER, format!(r#"{{"x":{}"#, "[".repeat(5000))));

    for name in ["iss", "sub", "aud"] {
        let claims = |length: usize| json!({ name: "x".repeat(length) }).to_string();
        assert!(parse(&token(HEADER, claims(2048))).is_ok(), "{name}");
        malformed(&token(HEADER, claims(2049)));
    }
    malformed(&token(HEADER, json!({"aud": ["a", "x".repeat(2049)]}).to_string()));
}

#[test]
fn keys_46_an_assertion_has_a_type_of_its_purpose() {
    const ACCEPTED: [AcceptedTypes; 4] = [
        AcceptedTypes::CLIENT,
        AcceptedTypes::CLIENT.typed_only(),
        AcceptedTypes::ID_JAG,
        AcceptedTypes::WORKLOAD,
    ];
    let check = |header: String| {
        let text = token(header, CLAIMS);
        let jws = parse(&text).unwrap();
        ACCEPTED.map(|types| match jws.header().check_type(types) {
            Ok(()) => true,
            Err(fault) => {
                assert_eq!(fault, Fault::Type);
                false
            }
        })
    };
    let typed = |typ: &str| check(json!({"alg": "ES256", "typ": typ}).to_string());

    assert_eq!(check(HEADER.to_owned()), [true, false, false, true], "absent");
    for typ in ["JWT", "jwt", "application/JWT", "APPLICATION/jwt"] {
        assert_eq!(typed(typ), [true, false, false, true], "{typ}");
    }
    for typ in [
        "client-authentication+jwt",
        "oauth-client-auth+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
    ] {
        assert_eq!(typed(typ), [true, true, false, false], "{typ}");
    }
    for typ in ["oauth-id-jag+jwt", "application/OAUTH-id-jag+jwt"] {
        assert_eq!(typed(typ), [false, false, true, false], "{typ}");
    }
    for typ in [
        "",
        "application/",
        "at+jwt",
        "logout+jwt",
        "dpop+jwt",
        "JWT ",
        "text/jwt",
        "application/application/jwt",
        "xoauth-id-jag+jwt",
    ] {
        assert_eq!(typed(typ), [false; 4], "{typ:?}");
    }
}

#[test]
fn keys_44_a_token_of_another_library_is_parsed() {
    let header = jsonwebtoken::Header {
        kid: Some("k".to_owned()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256)
    };
    let claims = json!({"iss": "app", "sub": "app", "exp": 1_800_000_000_u64});
    let signer = signer("ec");
    let text = jsonwebtoken::encode(&header, &claims, signer.key()).unwrap();
    let jws = parse(&text).unwrap();
    assert_eq!(jws.header().kid(), Some("k"));
    assert_eq!(jws.header().check_type(AcceptedTypes::CLIENT), Ok(()));
    assert_eq!(jws.claims().as_claimed().sub(), Ok("app"));
}

#[test]
fn i30_no_text_makes_the_parser_panic() {
    let json_like = "[\\[\\]{}\":,0-9a-eE.+\\\\u \\-]{0,80}";
    let parts = prop_oneof![
        Just(String::new()),
        any::<String>(),
        any::<Vec<u8>>().prop_map(encoded),
        json_like.prop_map(encoded),
        Just(encoded(HEADER)),
        Just(encoded(CLAIMS)),
    ];
    let texts = proptest::collection::vec(parts, 0..5).prop_map(|parts| parts.join("."));
    property::check(&texts, |text| {
        if let Ok(jws) = parse(&text) {
            // Each part has one spelling, so that the text is what was parsed.
            prop_assert_eq!(text.matches('.').count(), 2);
            let _ = jws.claims().as_claimed().sole_audience();
        }
        Ok(())
    });
}

/// Neither the claims nor the signature of an assertion are in what it prints.
#[test]
fn i25_an_assertion_is_not_printed() {
    let text = token(r#"{"alg":"ES256","kid":"a\nb"}"#, r#"{"sub":"canary","jti":"canary"}"#);
    let jws = parse(&text).unwrap();
    let printed = format!("{jws:?} {:?} {:#?}", jws.claims(), jws.header());
    assert!(!printed.contains("canary") && !printed.contains("c2lnbmF0dXJl"), "{printed}");
    assert!(printed.contains(r"a\nb"), "the kid is escaped: {printed}");
}
