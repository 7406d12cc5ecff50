//! ASSERT-01 to -20: the checks of every assertion, and what no response says of an issuer.

use grantcore::policy::{ActorClaim, AssertionReuse, IdJag, TrustedIssuer, Workload, WorkloadRule};
use grantcore::{Policy, Reason};
use serde_json::{Value, json};

use crate::support::params::Params;
use crate::support::toy_issuers::{
    CLUSTER, FORGER, Federation, IDP, KEY, ToyVerifier, exchange, id_jag, id_jag_header, person,
    program, trusting, trusting_people, with, without,
};
use crate::support::{T, World, assert_refused, policy};

fn metadata(policy: &Policy) -> Value {
    serde_json::from_str(&policy.server_metadata().body).unwrap()
}

#[test]
fn assert_01_the_grant_type_is_on_if_an_issuer_is_trusted() {
    let off = World::new();
    let params = exchange(&id_jag(&person("1"))).by_web();
    off.refused(&params, 400, "unsupported_grant_type", Reason::GrantTypeUnsupported);
    // Without a client it is answered as every other request without one.
    let reply = off.token(&exchange("x"));
    assert_refused(&off, &reply, 400, "invalid_request", Reason::ClientIdMissing);
    let grant_types = |policy: &Policy| metadata(policy)["grant_types_supported"].clone();
    assert_eq!(grant_types(off.server.policy()), json!(["authorization_code", "refresh_token"]));
    let on = Federation::new();
    let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    assert_eq!(
        grant_types(on.world.server.policy()),
        json!(["authorization_code", "refresh_token", grant_type])
    );
    on.person(&person("1"));
    on.program(&program("1"));
}

#[test]
fn assert_04_an_untrusted_issuer_looks_like_a_bad_signature() {
    let federation = Federation::new();
    let body = |assertion: &str| {
        let mut reply = federation.world.token(&exchange(assertion).by_web());
        reply.headers.retain(|(name, _)| *name != "x-correlation-id");
        (reply.status, reply.headers, reply.body)
    };
    let bad_signature = body(&FORGER.sign(&id_jag_header(), &person("1")));
    assert_eq!(federation.world.reason(), Some(Reason::AssertionSignature));
    for other in ["https://other.example", "https://idp.example/", "https://IDP.example"] {
        assert_eq!(body(&id_jag(&with(person("1"), "iss", other))), bad_signature);
        assert_eq!(federation.world.reason(), Some(Reason::AssertionIssuer), "{other}");
    }
    assert_eq!(federation.verifier.count(), 1, "nothing is verified for an unknown issuer");
}

#[test]
fn assert_05_an_issuer_that_is_turned_off_is_refused_at_once() {
    let federation = Federation::new();
    let before = federation.person(&person("1"));
    let rule = WorkloadRule::new("bot").equals("sub", "b");
    let platform = Workload::default().with_rule(rule);
    let without = policy()
        .verifier(ToyVerifier::default())
        .trusted_issuer(TrustedIssuer::workload(CLUSTER, KEY.key_set(), platform))
        .build()
        .unwrap();
    let later = federation.world.beside(without, 2);
    let params = exchange(&id_jag(&person("2"))).by_web();
    later.invalid_grant(&params, Reason::AssertionIssuer);
    // A token that it brought lives to its end.
    assert!(later.works(&before.access));
    later.at(3599);
    assert!(later.works(&before.access));
    later.at(3600);
    assert!(!later.works(&before.access));
}

#[test]
fn assert_10_one_assertion_is_sent_once() {
    let federation = Federation::new();
    let missing = exchange("").by_web();
    federation.refused(&missing, 400, "invalid_request", Reason::AssertionMissing);
    let twice = exchange(&id_jag(&person("1"))).and("assertion", "x").by_web();
    federation.refused(&twice, 400, "invalid_request", Reason::ParameterRepeated);
    let one = id_jag(&person("1"));
    for malformed in [format!("{one} {one}"), "x".into(), "a.b".into(), format!("{one}.")] {
        let params = exchange(&malformed).by_web();
        federation.refused(&params, 400, "invalid_grant", Reason::AssertionMalformed);
    }
    // 8 KiB are read, and one byte more is not.
    let params = exchange(&"x".repeat(8193)).by_web();
    federation.refused(&params, 413, "invalid_request", Reason::RequestTooLarge);
    let params = exchange(&"x".repeat(8192)).by_web();
    federation.refused(&params, 400, "invalid_grant", Reason::AssertionMalformed);
    // In a query it is disclosed already.
    let body = exchange(&one).by_web().encode();
    let request =
        grantcore::RequestParts { query: b"assertion=x", ..crate::support::steps::form(&body) };
    let reply = federation.world.reply(federation.world.server.token(&request));
    assert_refused(&federation.world, &reply, 400, "invalid_request", Reason::SecretInUrl);
    assert_eq!(federation.marks(), 0);
}

#[test]
fn assert_13_times_are_bounded() {
    let federation = Federation::new();
    let (accepted, refused) = (
        |claims: &Value| federation.person(claims),
        |claims: &Value, reason| {
            federation.faulty(claims, reason);
        },
    );
    let times = |jti: &str, iat: u64, exp: u64| with(with(person(jti), "iat", iat), "exp", exp);
    accepted(&times("1", T, T + 310));
    refused(&times("2", T, T + 311), Reason::AssertionLongLived);
    accepted(&times("3", T - 200, T + 110));
    refused(&times("4", T - 3000, T + 100), Reason::AssertionLongLived);
    accepted(&times("5", T - 200, T - 9));
    refused(&times("6", T - 200, T - 10), Reason::AssertionExpired);
    accepted(&times("7", T + 10, T + 300));
    refused(&times("8", T + 11, T + 300), Reason::AssertionEarly);
    accepted(&with(person("9"), "nbf", T + 10));
    refused(&with(person("10"), "nbf", T + 11), Reason::AssertionEarly);
    refused(&without(person("11"), "exp"), Reason::AssertionExpired);
    for wrong in [json!("9999999999"), json!(null), json!(-1), json!({}), json!([T])] {
        for name in ["exp", "iat", "nbf"] {
            refused(&with(person("12"), name, wrong.clone()), Reason::AssertionMalformed);
        }
    }
    // An own bound of the issuer.
    let rules = IdJag::new("read write".parse().unwrap()).with_client("web");
    let hour = std::time::Duration::from_secs(3600);
    let long = TrustedIssuer::id_jag(IDP, KEY.key_set(), rules).with_longest(hour);
    let federation = Federation::with(policy().trusted_issuer(long));
    federation.person(&with(person("1"), "exp", T + 3610));
    federation.faulty(&with(person("2"), "exp", T + 3611), Reason::AssertionLongLived);
}

#[test]
fn assert_14_an_assertion_is_used_once() {
    let federation = Federation::new();
    federation.person(&person("1"));
    federation.faulty(&person("1"), Reason::AssertionReplayed);
    let first = federation.world.events()[0].correlation;
    assert_eq!(federation.world.events().last().unwrap().first, Some(first));
    federation.program(&program("1"));
    federation.faulty_program(&program("1"), Reason::AssertionReplayed);
    assert_eq!(federation.marks(), 2, "the same jti of two issuers is two assertions");
    for jti in [json!(null), json!(""), json!(1), json!("x".repeat(513))] {
        federation.faulty(&with(person("2"), "jti", jti.clone()), Reason::AssertionJti);
        federation.faulty_program(&with(program("2"), "jti", jti), Reason::AssertionJti);
    }
    federation.faulty(&without(person("2"), "jti"), Reason::AssertionJti);
    assert_eq!(federation.marks(), 2, "a fault leaves no mark");
}

#[test]
fn assert_14_a_platform_can_be_set_to_many_uses() {
    let rule = WorkloadRule::new("bot").equals("sub", "system:serviceaccount:prod:bot");
    let rules = Workload::default().with_rule(rule).with_reuse(AssertionReuse::UntilExpiry);
    let platform = TrustedIssuer::workload(CLUSTER, KEY.key_set(), rules);
    let federation = Federation::with(policy().trusted_issuer(platform));
    let claims = without(program("1"), "jti");
    let one = federation.program(&claims);
    let two = federation.program(&claims);
    assert_ne!(one.access, two.access);
    assert_eq!(federation.marks(), 0);
    federation.world.at(310);
    federation.faulty_program(&claims, Reason::AssertionExpired);
}

#[test]
fn assert_17_what_would_narrow_the_token_is_refused() {
    let federation = Federation::new();
    for name in ["cnf", "authorization_details", "act", "crit"] {
        for value in [json!(null), json!({}), json!("x")] {
            let detail =
                federation.faulty(&with(person("1"), name, value.clone()), Reason::AssertionClaim);
            assert_eq!(detail, format!("claim: '{name}'."));
            federation.faulty_program(&with(program("1"), name, value), Reason::AssertionClaim);
        }
    }
    let mut header = id_jag_header();
    header["crit"] = json!(["exp"]);
    let params = exchange(&KEY.sign(&header, &person("1"))).by_web();
    federation.refused(&params, 400, "invalid_grant", Reason::AssertionMalformed);
    assert_eq!(federation.marks(), 0);

    let rules = IdJag::new("read".parse().unwrap()).with_client("web");
    let ignoring = Federation::with(trusting_people(rules.with_actors(ActorClaim::Ignore)));
    ignoring.person(&with(person("1"), "act", json!({ "sub": "agent" })));
    let detail = ignoring.world.events().last().unwrap().detail.clone().unwrap();
    assert!(detail.contains("An actor was ignored."), "{detail}");
}

#[test]
fn assert_18_nothing_of_the_assertion_is_kept() {
    let federation = Federation::new();
    let canary = "canary-of-an-assertion";
    let claims = ["email", "groups", "name", "custom"]
        .into_iter()
        .fold(person("1"), |claims, name| with(claims, name, canary));
    let claims = with(claims, "jti", "canary-of-a-jti");
    let assertion = id_jag(&claims);
    let _ = federation.world.token(&exchange(&assertion).by_web());
    let _ = federation.world.token(&exchange(&assertion).by_web());
    let dump = format!("{:?}", federation.world.store.inner);
    let events = serde_json::to_string(&federation.world.events()).unwrap();
    for text in [dump, events, format!("{:?}", federation.world.server.policy())] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(assertion.rsplit('.').next().unwrap()), "{text}");
    }
}

#[test]
fn assert_20_metadata_name_no_issuer() {
    let none = policy().build().unwrap();
    let rules = IdJag::new("read".parse().unwrap());
    let trusting = (0..9).fold(policy().verifier(ToyVerifier::default()), |policy, n| {
        let issuer = format!("https://idp{n}.example");
        policy.trusted_issuer(TrustedIssuer::id_jag(issuer, KEY.key_set(), rules.clone()))
    });
    let mut document = metadata(&trusting.build().unwrap());
    assert!(!document.to_string().contains("idp"));
    let members = document.as_object_mut().unwrap();
    members.remove("authorization_grant_profiles_supported").unwrap();
    members["grant_types_supported"].as_array_mut().unwrap().pop();
    assert_eq!(document, metadata(&none));
}

#[test]
fn assert_45_the_profile_is_listed_if_an_identity_provider_is_trusted() {
    let listed =
        |policy: &Policy| metadata(policy).get("authorization_grant_profiles_supported").cloned();
    let on = trusting().verifier(ToyVerifier::default()).build().unwrap();
    assert_eq!(listed(&on), Some(json!(["urn:ietf:params:oauth:grant-profile:id-jag"])));
    let rules = Workload::default().with_rule(WorkloadRule::new("bot").equals("sub", "b"));
    let platform = TrustedIssuer::workload(CLUSTER, KEY.key_set(), rules);
    let only = policy().verifier(ToyVerifier::default()).trusted_issuer(platform).build().unwrap();
    assert_eq!(listed(&only), None);
}

#[test]
fn assert_12_a_description_does_not_tell_which_fault_it_was() {
    let faults = [
        Reason::AssertionMalformed,
        Reason::AssertionType,
        Reason::AssertionAlgorithm,
        Reason::AssertionKey,
        Reason::AssertionSignature,
        Reason::AssertionIssuer,
        Reason::AssertionSubject,
        Reason::AssertionAudience,
        Reason::AssertionExpired,
        Reason::AssertionEarly,
        Reason::AssertionLongLived,
        Reason::AssertionJti,
        Reason::AssertionClaim,
    ];
    let descriptions: std::collections::BTreeSet<_> =
        faults.iter().map(|reason| reason.description()).collect();
    assert_eq!(descriptions.len(), 1);
    // The detail is for the event alone.
    let federation = Federation::new();
    let params: Params = exchange(&id_jag(&with(person("1"), "cnf", json!({})))).by_web();
    let reply = federation.world.token(&params);
    let body = crate::support::json(&reply);
    assert_eq!(body["error_description"], *descriptions.first().unwrap());
}

#[test]
fn assert_41_only_an_actor_that_is_there_is_noted_as_ignored() {
    let ignoring = trusting_people(
        IdJag::new("read write".parse().unwrap())
            .with_client("web")
            .with_actors(ActorClaim::Ignore),
    );
    let federation = Federation::with(ignoring);
    federation.person(&person("1"));
    let is_noted = || {
        let detail = federation.world.events().pop().unwrap().detail;
        detail.is_some_and(|detail| detail.contains("An actor was ignored."))
    };
    assert!(!is_noted());
    federation.person(&with(person("2"), "act", json!({ "sub": "agent" })));
    assert!(is_noted());
}
