//! Tests of KEYS-46 to KEYS-53: the type and the claims of a client's assertion.

use grantcore::policy::{AssertionAudience, KeyRules};
use grantcore::{Client, Reason};
use serde_json::{Value, json};

use crate::keys_assertion::{assert_failed, assert_proved};
use crate::support::assertions::signer;
use crate::support::keyed::{Keyed, keyed_policy};
use crate::support::params::Params;
use crate::support::{ISSUER, assert_refused};

const TOKEN_ENDPOINT: &str = "https://auth.example/oauth/token";

#[test]
fn keys_46_the_type_is_that_of_client_authentication() {
    let keyed = Keyed::new();
    let key = signer("ed");
    let typed = |typ: &str| keyed.signed("job", &key, json!({"typ": typ}), json!({}));
    for typ in ["JWT", "jwt", "client-authentication+jwt", "application/oauth-client-auth+jwt"] {
        assert_proved(&keyed, &keyed.ask(&typed(typ)));
    }
    for typ in ["at+jwt", "oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", ""] {
        assert_failed(&keyed, &typed(typ), Reason::ClientAssertionTyp);
    }
    let strict = Keyed::with(keyed_policy(), KeyRules::default().with_require_typ(true));
    let typed = |typ: Value| strict.signed("job", &key, json!({"typ": typ}), json!({}));
    assert_failed(&strict, &typed(json!("JWT")), Reason::ClientAssertionTyp);
    assert_failed(&strict, &typed(Value::Null), Reason::ClientAssertionTyp);
    assert_proved(&strict, &strict.ask(&typed(json!("client-authentication+jwt"))));
}

#[test]
fn keys_47_iss_and_sub_are_the_client() {
    let keyed = Keyed::new();
    let ask = |changes: Value| {
        keyed.token(Params::refresh("x").set("client_id", "job"), &keyed.assertion(changes))
    };
    for (changes, reason) in [
        (json!({"iss": "ABSENT"}), Reason::ClientAssertionIssuer),
        (json!({"iss": 1}), Reason::ClientAssertionIssuer),
        (json!({"iss": "Job"}), Reason::ClientAssertionIssuer),
        (json!({"iss": "job/"}), Reason::ClientAssertionIssuer),
        (json!({"sub": "ABSENT"}), Reason::ClientAssertionSubject),
        (json!({"sub": ["job"]}), Reason::ClientAssertionSubject),
    ] {
        let reply = ask(changes);
        assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    }
}

#[test]
fn keys_48_the_audience_is_this_issuer_alone() {
    let keyed = Keyed::new();
    for aud in [json!(ISSUER), json!([ISSUER]), json!("https://auth.example/")] {
        assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({"aud": aud}))));
    }
    for aud in [
        json!([ISSUER, ISSUER]),
        json!([ISSUER, TOKEN_ENDPOINT]),
        json!([]),
        json!([[ISSUER]]),
        json!("https://other.example"),
        json!("https://auth.example//"),
        json!("HTTPS://auth.example"),
        json!("https://auth.example/oauth/revoke"),
        json!("ABSENT"),
        json!({"aud": ISSUER}),
    ] {
        let reason = Reason::ClientAssertionAudience;
        assert_failed(&keyed, &keyed.assertion(json!({"aud": aud})), reason);
    }
}

/// Audience injection: audience by type, kind of client and setting.
#[test]
fn keys_49_the_token_endpoint_is_an_audience_where_it_is_not_weaker() {
    let settings = [
        (AssertionAudience::Balanced, false),
        (AssertionAudience::Strict, false),
        (AssertionAudience::TokenEndpointToo, true),
    ];
    let key = signer("ed");
    for (setting, is_accepted) in settings {
        let keyed = Keyed::with(keyed_policy(), KeyRules::default().with_audience(setting));
        let vouched = grantcore::client::ClientKeys::inline(crate::support::keyed::set_of("ed"))
            .with_endpoint_audience(true);
        keyed.world.put(
            Client::with_keys("vouched", vouched)
                .redirect_uri(crate::support::CALLBACK)
                .build()
                .unwrap(),
        );
        for other in ["https://auth.example/oauth/revoke", "https://other.example/oauth/token"] {
            let aud = json!({"aud": other});
            let assertion = keyed.signed("vouched", &key, json!({}), aud);
            assert_failed(&keyed, &assertion, Reason::ClientAssertionAudience);
        }
        let is_balanced = setting == AssertionAudience::Balanced;
        for (client, accepted) in [("job", is_accepted), ("vouched", is_accepted || is_balanced)] {
            for (typ, is_typed) in [
                (Value::Null, false),
                (json!("JWT"), false),
                (json!("client-authentication+jwt"), true),
            ] {
                let aud = json!({"aud": TOKEN_ENDPOINT});
                let assertion = keyed.signed(client, &key, json!({"typ": typ}), aud);
                if accepted && !is_typed {
                    assert_proved(&keyed, &keyed.ask(&assertion));
                } else {
                    assert_failed(&keyed, &assertion, Reason::ClientAssertionAudience);
                    let events = keyed.world.events();
                    let detail = events[events.len() - 2].detail.clone().unwrap();
                    assert_eq!(detail, "The aud is the token endpoint.");
                }
            }
        }
    }
}

#[test]
fn keys_50_51_52_times_are_checked() {
    let keyed = Keyed::new();
    let at = |changes: Value| keyed.assertion(changes);
    let now = || i64::try_from(keyed.now()).unwrap();
    for good in [
        json!({"exp": now() - 9}),
        json!({"nbf": now() + 10, "iat": now() + 10}),
        json!({"exp": now() + 3610}),
        json!({"exp": 1_800_000_100.9, "iat": "ABSENT"}),
    ] {
        assert_proved(&keyed, &keyed.ask(&at(good)));
    }
    for (bad, reason) in [
        (json!({"exp": now() - 10}), Reason::ClientAssertionExpired),
        (json!({"exp": "ABSENT"}), Reason::ClientAssertionExpired),
        (json!({"exp": null}), Reason::ClientAssertionMalformed),
        (json!({"exp": "9999999999"}), Reason::ClientAssertionMalformed),
        (json!({"exp": -1}), Reason::ClientAssertionMalformed),
        (json!({"exp": {}}), Reason::ClientAssertionMalformed),
        (json!({"nbf": "0"}), Reason::ClientAssertionMalformed),
        (json!({"iat": []}), Reason::ClientAssertionMalformed),
    ] {
        assert_failed(&keyed, &at(bad), reason);
    }
    assert_failed(&keyed, &at(json!({"nbf": now() + 11})), Reason::ClientAssertionEarly);
    assert_failed(&keyed, &at(json!({"iat": now() + 11})), Reason::ClientAssertionEarly);
    let far = Reason::ClientAssertionLongLived;
    assert_failed(&keyed, &at(json!({"exp": now() + 3611})), far);
    assert_failed(&keyed, &at(json!({"exp": 9_223_372_036_854_775_808_u64})), far);
}

#[test]
fn keys_53_a_jti_is_required_and_used_once() {
    let keyed = Keyed::new();
    for jti in [json!("ABSENT"), json!(""), json!(null), json!(1), json!(["x"])] {
        assert_failed(&keyed, &keyed.assertion(json!({"jti": jti})), Reason::ClientAssertionJti);
    }
    let once = keyed.assertion(json!({}));
    assert_proved(&keyed, &keyed.ask(&once));
    assert_failed(&keyed, &once, Reason::ClientAssertionReplayed);
}
