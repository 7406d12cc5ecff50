//! Tests of KEYS-40 to KEYS-60: the assertion of a client, byte by byte hostile, at each endpoint
//! that authenticates clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::event::ClientProof;
use grantcore::policy::{AssertionAudience, KeyRules, Limits};
use grantcore::{Client, Reason, Reply};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::assertions::{merged, signer};
use crate::support::keyed::{JWT_BEARER, Keyed, keyed_client, keyed_policy, prove, sign};
use crate::support::params::Params;
use crate::support::{ISSUER, SECRET, World, assert_refused, json as body, policy};

const TOKEN_ENDPOINT: &str = "https://auth.example/oauth/token";

/// Asserts that the client was authenticated: only its refresh token is unknown.
#[track_caller]
fn assert_proved(keyed: &Keyed, reply: &Reply) {
    assert_refused(&keyed.world, reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

/// Asserts that authentication failed for this reason, that the response is that of any other
/// failure, and that nothing was written.
#[track_caller]
fn assert_failed(keyed: &Keyed, assertion: &str, reason: Reason) {
    let commits = keyed.world.store.commits();
    let reply = keyed.ask(assertion);
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    // A replay is found by the mark that it cannot create.
    let tried = usize::from(reason == Reason::ClientAssertionReplayed);
    assert_eq!(keyed.world.store.commits(), commits + tried, "nothing is written");
    assert_eq!(keyed.world.events().last().unwrap().proof, None);
    let unknown = keyed.world.token(&Params::refresh("x").by_web().set("client_secret", "wrong"));
    assert_eq!(reply.body, unknown.body, "all failures look alike");
    assert_eq!(reply.header("www-authenticate"), unknown.header("www-authenticate"));
    // Ten of them would end the test's own authentications.
    keyed.at(keyed.now() - crate::support::T + 61);
}

#[test]
fn keys_40_both_parameters_are_needed_once() {
    let keyed = Keyed::new();
    let good = || keyed.assertion(json!({}));
    let ask = Params::refresh("x").set("client_id", "job");
    for alone in [
        ask.clone().and("client_assertion", &good()),
        ask.clone().and("client_assertion_type", JWT_BEARER),
        prove(ask.clone(), &good()).set("client_assertion_type", ""),
        prove(ask.clone(), &good()).set("client_assertion", ""),
    ] {
        let reply = keyed.world.token(&alone);
        let reason = Reason::ClientAssertionIncomplete;
        assert_refused(&keyed.world, &reply, 400, "invalid_request", reason);
    }
    for name in ["client_assertion", "client_assertion_type"] {
        let reply = keyed.world.token(&prove(ask.clone(), &good()).and(name, "x"));
        assert_refused(&keyed.world, &reply, 400, "invalid_request", Reason::ParameterRepeated);
    }
    assert_proved(&keyed, &keyed.ask(&good()));
}

#[test]
fn keys_41_another_type_is_a_failed_authentication() {
    let keyed = Keyed::new();
    for kind in [
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
        "foo",
        &JWT_BEARER.to_uppercase(),
    ] {
        let ask = Params::refresh("x").set("client_id", "job");
        let ask = prove(ask, &keyed.assertion(json!({}))).set("client_assertion_type", kind);
        let reply = keyed.world.token(&ask);
        assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionType);
    }
}

#[test]
fn keys_42_one_way_for_each_request() {
    let keyed = Keyed::new();
    keyed.world.put(crate::support::web());
    let commits = keyed.world.store.commits();
    let ask = || prove(Params::refresh("x"), &keyed.assertion(json!({})));
    let ask = || ask().set("client_id", "job");
    for header in ["Basic am9iOng=", "Bearer x", "x"] {
        let reply = keyed.world.token_with(&ask(), header.as_bytes());
        assert_refused(
            &keyed.world,
            &reply,
            400,
            "invalid_request",
            Reason::SeveralAuthentications,
        );
    }
    let right = ask().set("client_id", "web").set("client_secret", SECRET);
    for both in [ask().and("client_secret", "x"), right] {
        let reply = keyed.world.token(&both);
        assert_refused(
            &keyed.world,
            &reply,
            400,
            "invalid_request",
            Reason::SeveralAuthentications,
        );
    }
    assert_eq!((keyed.world.store.commits(), keyed.verified()), (commits, 0), "no mark");
    assert_proved(&keyed, &keyed.world.token(&ask().and("client_secret", "")));
}

#[test]
fn keys_43_the_sub_names_the_client() {
    let keyed = Keyed::new();
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    let ask = |id: &str, assertion: &str| {
        keyed.token(Params::refresh("x").set("client_id", id), assertion)
    };
    assert_proved(&keyed, &ask("job", &keyed.assertion(json!({}))));
    let reply = ask("app", &keyed.assertion(json!({})));
    assert_refused(&keyed.world, &reply, 400, "invalid_request", Reason::ClientAssertionClient);
    assert_eq!(keyed.world.events().last().unwrap().claimed, None);
    // Neither names a client.
    for nobody in ["x", "a.b.c", &keyed.assertion(json!({"sub": "ABSENT"}))] {
        let reply = keyed.ask(nobody);
        assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientUnknown);
    }
    let reply = ask("job", "x");
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionMalformed);
}

#[test]
fn keys_44_only_the_compact_form_is_read() {
    let keyed = Keyed::new();
    let good = keyed.assertion(json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let raw = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let ask = |text: &str| {
        let reply = keyed.token(Params::refresh("x").set("client_id", "job"), text);
        assert_eq!(
            (reply.status, keyed.world.reason()),
            (401, Some(Reason::ClientAssertionMalformed)),
            "{text}"
        );
    };
    ask(&format!("{header}.{payload}"));
    ask(&format!("{header}.{payload}.{signature}.{signature}"));
    ask(&format!("{header}.{payload}.{signature}.{signature}.{signature}"));
    ask(&format!("{header}.{payload}."));
    ask(&format!("{header}..{signature}"));
    ask(&format!("{header}=.{payload}.{signature}"));
    ask(&format!(" {good}"));
    ask(&format!("{good}\n"));
    ask(&good.replace('.', ". "));
    ask(&format!("{}.{payload}.{signature}", raw(r#"{"alg":"EdDSA","alg":"none","kid":"1"}"#)));
    ask(&format!("{}.{payload}.{signature}", raw(r#"{"alg":"EdDSA","kid":"1"} x"#)));
    ask(&format!("{}.{payload}.{signature}", raw(r#"["alg"]"#)));
    ask(
        &json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
            .to_string(),
    );
    let key = signer("ed");
    for member in [json!({"crit": ["exp"]}), json!({"b64": false}), json!({"enc": "A128GCM"})] {
        ask(&keyed.signed("job", &key, member, json!({})));
    }
}

#[test]
fn keys_45_an_assertion_is_bounded() {
    let keyed = Keyed::new();
    let padded = |bytes: usize| keyed.assertion(json!({"pad": "x".repeat(bytes)}));
    let short = padded(0).len();
    // base64 takes four characters for three bytes.
    let largest = padded((8 * 1024 - short) / 4 * 3 - 3);
    assert!(largest.len() > 8 * 1024 - 8 && largest.len() <= 8 * 1024, "{}", largest.len());
    assert_proved(&keyed, &keyed.ask(&largest));
    let reply = keyed.ask(&padded(8 * 1024));
    assert_eq!((reply.status, keyed.world.reason()), (413, Some(Reason::RequestTooLarge)));
    let long = "x".repeat(513);
    assert_failed(&keyed, &keyed.assertion(json!({"jti": long})), Reason::ClientAssertionJti);
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({"jti": &long[1..]}))));
}

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

#[test]
fn keys_54_the_signature_is_of_the_clients_key_and_its_algorithm() {
    let keyed = Keyed::new();
    for (client, kind) in [("rsa", "rsa"), ("ec", "ec")] {
        keyed.world.put(keyed_client(client, kind).build().unwrap());
    }
    for (client, kind) in [("job", "ed"), ("rsa", "rsa"), ("ec", "ec")] {
        let key = signer(kind);
        assert_proved(&keyed, &keyed.ask(&keyed.signed(client, &key, json!({}), json!({}))));
        let other = signer(&format!("other-{kind}"));
        let forged = keyed.signed(client, &other, json!({}), json!({}));
        assert_failed(&keyed, &forged, Reason::ClientAssertionSignature);
        let mut flipped = keyed.signed(client, &key, json!({}), json!({"x": 1}));
        let place = flipped.rfind('.').unwrap() + 5;
        let letter = if &flipped[place..=place] == "A" { "B" } else { "A" };
        flipped.replace_range(place..=place, letter);
        assert_failed(&keyed, &flipped, Reason::ClientAssertionSignature);
        // The claims of one assertion with the signature of another.
        let one = keyed.signed(client, &key, json!({}), json!({}));
        let two = keyed.signed(client, &key, json!({}), json!({}));
        let swapped =
            format!("{}.{}", &one[..one.rfind('.').unwrap()], &two[two.rfind('.').unwrap() + 1..]);
        assert_failed(&keyed, &swapped, Reason::ClientAssertionSignature);
    }
    // An algorithm swap: the header names what the key is not for.
    for alg in ["none", "HS256", "RS1", "ES256K", "RS384", "PS256", "RS256", "ES256", "eddsa", ""] {
        let assertion = keyed.signed("job", &signer("ed"), json!({"alg": alg}), json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionAlgorithm);
    }
    // An RSA key without alg serves RS256 alone (KEYS-22).
    let pss = keyed.signed("rsa", &signer("rsa").with(Algorithm::PS256), json!({}), json!({}));
    assert_failed(&keyed, &pss, Reason::ClientAssertionAlgorithm);
    // The key of another client.
    let ec = keyed.signed("job", &signer("ec"), json!({"alg": "EdDSA"}), json!({}));
    assert_failed(&keyed, &ec, Reason::ClientAssertionSignature);
    let unknown = keyed.signed("job", &signer("ed"), json!({"kid": "2"}), json!({}));
    assert_failed(&keyed, &unknown, Reason::ClientAssertionKey);
}

#[test]
fn keys_26_a_key_in_the_header_is_not_used() {
    let keyed = Keyed::new();
    let thief = signer("other-ed");
    for member in [
        json!({"jwk": thief.jwk()}),
        json!({"jku": "https://evil.example/jwks.json"}),
        json!({"x5u": "https://evil.example/x", "x5c": ["AA"], "x5t": "AA"}),
    ] {
        let assertion = keyed.signed("job", &thief, member, json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionSignature);
    }
    assert_eq!(keyed.web.fetches(), 0);
    let unnamed = keyed.signed("job", &signer("ed"), json!({"kid": null}), json!({}));
    assert_proved(&keyed, &keyed.ask(&unnamed));
}

#[test]
fn keys_27_a_signature_is_verified_once() {
    let keyed = Keyed::new();
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    assert_eq!(keyed.verified(), 1, "although the request is decided twice");
    let tokens = keyed.tokens("job", Some(&keyed.assertion(json!({}))));
    assert_eq!(keyed.verified(), 2);
    keyed.world.store.fail([crate::support::store::Fault::Conflict; 1]);
    let refresh = Params::refresh(tokens.refresh()).set("client_id", "job");
    assert_eq!(keyed.token(refresh, &keyed.assertion(json!({}))).status, 200);
    assert_eq!(keyed.verified(), 3);
}

/// The responses are equal byte for byte, whichever check failed. The event has the fault, and what
/// the assertion claims is in it bounded and escaped.
#[test]
fn keys_55_all_failures_look_alike() {
    let keyed = Keyed::new();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    let unknown = keyed.signed("nobody\n", &signer("ed"), json!({}), json!({}));
    let replies = [
        keyed.ask(&forged),
        keyed.ask(&keyed.assertion(json!({"aud": "https://evil.example"}))),
        keyed.ask(&unknown),
        keyed.world.token(&Params::refresh("x").set("client_id", "job")),
    ];
    let [first, others @ ..] = &replies;
    for reply in others {
        assert_eq!((reply.status, body(reply)["error"].clone()), (401, json!("invalid_client")));
        assert_eq!(reply.header("www-authenticate"), first.header("www-authenticate"));
    }
    assert_eq!((&replies[1].body, &replies[2].body), (&first.body, &first.body));
    let event = keyed.world.events().into_iter().rev().nth(1).unwrap();
    assert!(event.claimed.as_deref().is_some_and(|claimed| !claimed.contains('\n')));
}

/// An unknown client, and one that has no keys, cost the verification of a known one.
#[test]
fn keys_56_each_client_costs_one_verification() {
    let keyed = Keyed::new();
    for kind in ["ed", "rsa", "ec"] {
        let key = signer(kind);
        for client in ["nobody", "web", "app"] {
            let before = keyed.verified();
            let reply = keyed.ask(&keyed.signed(client, &key, json!({}), json!({})));
            assert_eq!((reply.status, keyed.verified() - before), (401, 1), "{client} {kind}");
            let expired = json!({"exp": keyed.now() - 100});
            assert_eq!(keyed.ask(&keyed.signed(client, &key, json!({}), expired)).status, 401);
            assert_eq!(keyed.verified() - before, 1, "as of a known client");
        }
    }
    let before = keyed.verified();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    assert_failed(&keyed, &forged, Reason::ClientAssertionSignature);
    assert_eq!(keyed.verified() - before, 1);
    keyed.world.put(keyed_client("job", "ed").build().unwrap().deactivated());
    let before = keyed.verified();
    assert_failed(&keyed, &keyed.assertion(json!({})), Reason::ClientDeactivated);
    assert_eq!(keyed.verified() - before, 1);
}

#[test]
fn keys_57_bad_assertions_lock_nobody_out() {
    let keyed = Keyed::new();
    let forged = keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    for _ in 0..1000 {
        assert_eq!(keyed.ask(&forged).status, 401);
    }
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    for _ in 0..10 {
        drop(keyed.world.token(&Params::refresh("x").by_web().set("client_secret", "wrong")));
    }
    assert_eq!(keyed.world.token(&Params::refresh("x").by_web()).status, 429, "a secret counts");
}

#[test]
fn keys_57_assertions_count_in_the_rate_of_requests() {
    let limits = Limits::default().with_token_requests_per_minute(3);
    let keyed = Keyed::with(policy().limits(limits), KeyRules::default());
    let forged = || keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    assert_eq!([401, 401, 401], [(); 3].map(|()| keyed.ask(&forged()).status));
    let before = keyed.verified();
    assert_eq!(keyed.ask(&keyed.assertion(json!({}))).status, 429);
    assert_eq!(keyed.verified(), before);
}

#[test]
fn keys_58_each_client_uses_its_own_method() {
    let keyed = Keyed::new();
    let secret = Params::refresh("x").set("client_id", "job").set("client_secret", SECRET);
    let reply = keyed.world.token(&secret);
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientSecretUnexpected);
    let reply = keyed.world.token(&Params::refresh("x").set("client_id", "job"));
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionMissing);
    for client in ["web", "app"] {
        let assertion = keyed.signed(client, &signer("ed"), json!({}), json!({}));
        assert_failed(&keyed, &assertion, Reason::ClientAssertionUnexpected);
    }
    let lenient = Keyed::with(keyed_policy().lenient_on_method(true), KeyRules::default());
    assert_eq!(lenient.world.token(&secret).status, 401, "leniency covers no keys");
}

#[test]
fn keys_59_assertions_in_a_query_are_refused() {
    let world = World::new();
    for name in ["client_assertion", "assertion", "subject_token", "actor_token"] {
        let query = format!("{name}=x");
        let body = Params::refresh("x").encode();
        let parts = grantcore::RequestParts {
            query: query.as_bytes(),
            ..crate::support::steps::form(&body)
        };
        let reply = world.reply(world.server.token(&parts));
        assert_refused(&world, &reply, 400, "invalid_request", Reason::SecretInUrl);
    }
}

#[test]
fn keys_60_a_deactivated_client_proves_nothing() {
    let keyed = Keyed::new();
    let job = keyed_client("job", "ed").build().unwrap();
    keyed.world.put(job.clone().deactivated());
    let good = keyed.assertion(json!({}));
    assert_failed(&keyed, &good, Reason::ClientDeactivated);
    keyed.world.put(job);
    let good = keyed.assertion(json!({}));
    assert_proved(&keyed, &keyed.ask(&good));
}

/// No assertion is in an event, a record, a refusal or the text of a request.
#[test]
fn keys_62_success_names_the_method_and_the_key() {
    let keyed = Keyed::new();
    let assertion = keyed.assertion(json!({"jti": "canary-jti"}));
    let tokens = keyed.tokens("job", Some(&assertion));
    let event = keyed.world.events().pop().unwrap();
    assert_eq!(event.proof, Some(ClientProof::Key { kid: Some("1".into()) }));
    let value = serde_json::to_value(&event).unwrap();
    assert_eq!(value["proof"], json!({"method": "private_key_jwt", "kid": "1"}));
    assert_eq!(event.proof.as_ref().unwrap().to_string(), "private_key_jwt (1)");
    let refused = keyed.ask(&assertion);
    let dump = serde_json::to_string(&keyed.world.grants()[0].record).unwrap();
    let shown = format!("{:?} {dump} {refused:?}", keyed.world.events());
    for part in assertion.split('.').chain(["canary-jti"]) {
        assert!(!shown.contains(part), "{part}");
    }
    drop(tokens);
    let ask = Params::refresh("x").without("client_id");
    let parsed = prove(ask, &keyed.assertion(json!({}))).encode();
    let parts = crate::support::steps::form(&parsed);
    let request =
        grantcore::request::TokenRequest::parse(&parts, keyed.world.server.policy()).unwrap();
    assert!(!format!("{request:?}").contains("eyJ"));
}

#[test]
fn keys_12_each_endpoint_authenticates_alike() {
    let keyed = Keyed::new();
    let forged = || keyed.signed("job", &signer("other-ed"), json!({}), json!({}));
    let send = |endpoint: &str, params: Params| match endpoint {
        "token" => {
            keyed.world.token(&params.and("grant_type", "refresh_token").and("refresh_token", "x"))
        }
        "revoke" => keyed.revoke(&params.and("token", "x")),
        _ => keyed.introspect(&params.and("token", "x")),
    };
    for (endpoint, proved) in [("token", 400), ("revoke", 200), ("introspect", 200)] {
        let plain = || Params(vec![("client_id".into(), "job".into())]);
        let reply = send(endpoint, plain());
        assert_eq!(
            (reply.status, keyed.world.reason()),
            (401, Some(Reason::ClientAssertionMissing))
        );
        let reply = send(endpoint, prove(plain(), &forged()));
        let wrong = Some(Reason::ClientAssertionSignature);
        assert_eq!((reply.status, keyed.world.reason()), (401, wrong), "{endpoint}");
        let good = keyed.assertion(json!({}));
        let reply = send(endpoint, prove(plain(), &good));
        assert_eq!(reply.status, proved, "{endpoint}: {}", reply.body);
        let proof = keyed.world.events().pop().unwrap().proof;
        assert_eq!(proof, Some(ClientProof::Key { kid: Some("1".into()) }), "{endpoint}");
        for other in ["token", "revoke", "introspect"] {
            let reply = send(other, prove(plain(), &good));
            let replayed = Some(Reason::ClientAssertionReplayed);
            assert_eq!((reply.status, keyed.world.reason()), (401, replayed), "{endpoint} {other}");
        }
    }
}

#[test]
fn keys_61_metadata_name_the_method_and_the_algorithms() {
    let metadata = |world: &World| body(&world.server.policy().server_metadata());
    let keyed = Keyed::new();
    let on = metadata(&keyed.world);
    let names = json!(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]);
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &on[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().unwrap().contains(&json!("private_key_jwt")), "{methods}");
        let algorithms = &on[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, names, "{endpoint}");
    }
    assert!(
        on["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!("none"))
    );
    let off = World::with(keyed_policy());
    let off = metadata(&off).to_string();
    assert!(!off.contains("private_key_jwt") && !off.contains("signing_alg"), "{off}");
    let es = grantcore::jws::Algorithms::of([grantcore::jws::Algorithm::Es256]).unwrap();
    let some = Keyed::with(policy(), KeyRules::default().with_algorithms(es));
    let some = metadata(&some.world);
    assert_eq!(some["token_endpoint_auth_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(some.get("revocation_endpoint_auth_signing_alg_values_supported"), None);
}

#[test]
fn keys_63_keys_need_a_verifier() {
    let error = policy().client_keys(KeyRules::default()).build().unwrap_err();
    assert!(error.to_string().contains("feature jws"), "{error}");
    let seconds = std::time::Duration::from_secs;
    for rules in [
        KeyRules::default().with_leeway(seconds(61)),
        KeyRules::default().with_longest(seconds(29)),
        KeyRules::default().with_longest(seconds(3601)),
        KeyRules::default().with_stale(seconds(3601)),
    ] {
        let built = policy().client_keys(rules).verifier(crate::support::keyed::verifier()).build();
        assert!(built.unwrap_err().to_string().contains("client_keys is refused"));
    }
}

/// With keys off, the parameters of an assertion are unknown ones.
#[test]
fn keys_58_assertions_are_ignored_where_keys_are_off() {
    let world = World::new();
    let claims = json!({"iss": "app", "sub": "app"});
    let assertion = sign(&signer("ed"), &json!({}), &claims);
    let reply = world.token(&prove(Params::refresh("x"), &assertion));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
    drop(merged(claims, json!({})));
}
