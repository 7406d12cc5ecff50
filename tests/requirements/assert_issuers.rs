//! The table of trusted issuers (ASSERT): what it has by default, and what a policy refuses.

use std::time::Duration;

use grantcore::jws::{Algorithm, Algorithms, KeysUrl};
use grantcore::policy::{
    ActorClaim, AssertionProfile, AssertionReuse, ClaimName, IdJag, IssuerKeys, PolicyBuilder,
    PolicyError, TrustedIssuer, TrustedIssuerError, Workload, WorkloadRule,
};
use grantcore::value::Scope;

use crate::support::toy_issuers::{Signer, ToyVerifier};
use crate::support::{ISSUER, policy};

const IDP: &str = "https://idp.example";
const KEY: Signer = Signer::new("1", 7);

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

fn people(issuer: &str) -> TrustedIssuer {
    TrustedIssuer::id_jag(issuer, KEY.key_set(), IdJag::new(scope("read write")))
}

fn programs(issuer: &str) -> TrustedIssuer {
    TrustedIssuer::workload(
        issuer,
        KEY.key_set(),
        rule(WorkloadRule::new("bot").equals("sub", "b")),
    )
}

fn rule(rule: WorkloadRule) -> Workload {
    Workload::default().with_rule(rule)
}

fn trusting(issuer: TrustedIssuer) -> PolicyBuilder {
    policy().verifier(ToyVerifier::default()).trusted_issuer(issuer)
}

#[track_caller]
fn refused(policy: PolicyBuilder) -> TrustedIssuerError {
    match policy.build() {
        Err(PolicyError::TrustedIssuer { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn accepted(issuer: TrustedIssuer) {
    trusting(issuer).build().unwrap();
}

#[test]
fn assert_02_an_issuer_has_safe_defaults() {
    let policy = trusting(people(IDP)).build().unwrap();
    let [issuer] = policy.trusted_issuers() else { panic!("one issuer") };
    assert_eq!(issuer.issuer(), IDP);
    assert_eq!(issuer.profile(), AssertionProfile::IdJag);
    assert_eq!(issuer.longest(), Duration::from_secs(300));
    assert_eq!(issuer.leeway(), Duration::from_secs(10));
    assert_eq!(issuer.tokens(), Duration::from_secs(3600));
    assert_eq!(issuer.algorithms(), Algorithms::ALL);
    assert!(matches!(issuer.keys(), IssuerKeys::Inline(_)));
    assert_eq!(super::support::policy().build().unwrap().trusted_issuers().len(), 0);
}

#[test]
fn assert_02_an_issuer_is_named_exactly_and_is_another_server() {
    assert_eq!(refused(trusting(people(ISSUER))), TrustedIssuerError::Own);
    assert_eq!(refused(trusting(people(&format!("{ISSUER}/")))), TrustedIssuerError::Own);
    assert_eq!(refused(trusting(programs(ISSUER))), TrustedIssuerError::Own);
    for url in
        ["http://idp.example", "idp.example", "https://idp.example?x", "https://u@idp.example", ""]
    {
        assert_eq!(refused(trusting(people(url))), TrustedIssuerError::Url, "{url}");
    }
    for pattern in ["https://*.idp.example", "https://idp.example/*"] {
        assert_eq!(refused(trusting(people(pattern))), TrustedIssuerError::Pattern);
        assert_eq!(refused(trusting(programs(pattern))), TrustedIssuerError::Pattern);
    }
    // A cluster has odd names, though not one that anybody on the way can serve keys for.
    for text in ["kubernetes/serviceaccount", "urn:cluster:1", "https://10.0.0.1/a?b"] {
        accepted(programs(text));
    }
    for text in ["http://cluster.example", "", "two words", &"x".repeat(2049)] {
        assert_eq!(refused(trusting(programs(text))), TrustedIssuerError::Text, "{text}");
    }
    // An identity provider's own slash is a part of its name.
    accepted(people("https://idp.example/"));
    let twice = trusting(people(IDP)).trusted_issuer(programs(IDP));
    assert_eq!(refused(twice), TrustedIssuerError::Repeated);
    let many = (0..65).fold(policy().verifier(ToyVerifier::default()), |policy, n| {
        policy.trusted_issuer(people(&format!("{IDP}/{n}")))
    });
    assert_eq!(refused(many), TrustedIssuerError::TooMany);
    assert_eq!(refused(policy().trusted_issuer(people(IDP))), TrustedIssuerError::Verifier);
}

#[test]
fn assert_02_no_tenant_of_the_server_is_a_trusted_issuer() {
    let own = trusting(people(&format!("{ISSUER}/acme"))).build().unwrap();
    let error = own.at(format!("{ISSUER}/acme")).unwrap_err();
    assert!(
        matches!(&error, PolicyError::TrustedIssuer { error: TrustedIssuerError::Own, .. }),
        "{error:?}"
    );
    assert!(own.at(format!("{ISSUER}/other")).is_ok());
}

#[test]
fn assert_02_times_and_algorithms_have_bounds() {
    let seconds = Duration::from_secs;
    for bad in [Duration::ZERO, seconds(3601), Duration::from_millis(1500)] {
        for issuer in [people(IDP).with_longest(bad), people(IDP).with_tokens(bad)] {
            assert!(matches!(refused(trusting(issuer)), TrustedIssuerError::Time { .. }));
        }
    }
    for good in [seconds(1), seconds(3600)] {
        accepted(people(IDP).with_longest(good).with_tokens(good));
    }
    accepted(people(IDP).with_leeway(seconds(60)));
    accepted(people(IDP).with_leeway(Duration::ZERO));
    assert_eq!(
        refused(trusting(people(IDP).with_leeway(seconds(61)))).to_string(),
        "with_leeway is 61s: it is a whole number of seconds, from 0 to 60"
    );
    // An empty list of algorithms cannot be written down.
    assert_eq!(Algorithms::of([]), None);
    let only = Algorithms::of([Algorithm::Es256]).unwrap();
    let policy = trusting(people(IDP).with_algorithms(only)).build().unwrap();
    assert_eq!(policy.trusted_issuers()[0].algorithms(), only);
}

#[test]
fn assert_03_keys_are_the_issuers_own() {
    let url = KeysUrl::parse("http://127.0.0.1:8000/jwks", true).unwrap();
    let local = TrustedIssuer::id_jag(IDP, url, IdJag::new(scope("read")));
    let refused = refused(trusting(local.clone()));
    assert!(matches!(refused, TrustedIssuerError::KeysUrl { .. }), "{refused:?}");
    trusting(local).allow_loopback_http(true).build().unwrap();
    let url = KeysUrl::parse("https://idp.example/jwks", false).unwrap();
    accepted(TrustedIssuer::id_jag(IDP, url, IdJag::new(scope("read"))));
}

#[test]
fn assert_14_only_a_platform_can_be_set_to_many_uses() {
    let rules = rule(WorkloadRule::new("bot").equals("sub", "b"));
    assert_eq!(rules.reuse(), AssertionReuse::Once);
    let many = rules.with_reuse(AssertionReuse::UntilExpiry);
    assert_eq!(many.reuse(), AssertionReuse::UntilExpiry);
    // `IdJag` has no such setting.
    accepted(TrustedIssuer::workload(IDP, KEY.key_set(), many));
}

#[test]
fn assert_33_and_34_clients_are_named_by_their_id() {
    let rules = IdJag::new(scope("read"));
    assert_eq!((rules.clients().count(), rules.public_clients().count()), (0, 0));
    assert!(!rules.registered_clients());
    for bad in ["", "é"] {
        for rules in [rules.clone().with_client(bad), rules.clone().with_public_client(bad)] {
            let error = refused(trusting(TrustedIssuer::id_jag(IDP, KEY.key_set(), rules)));
            assert_eq!(error, TrustedIssuerError::Client { client_id: bad.into() });
        }
    }
}

#[test]
fn assert_40_a_tenant_has_a_name() {
    let rules = IdJag::new(scope("read"));
    assert_eq!(rules.actors(), ActorClaim::Refuse);
    for rules in [rules.clone().with_tenant(""), rules.clone().with_own_tenant("")] {
        let error = refused(trusting(TrustedIssuer::id_jag(IDP, KEY.key_set(), rules)));
        assert_eq!(error, TrustedIssuerError::Tenant);
    }
    accepted(TrustedIssuer::id_jag(
        IDP,
        KEY.key_set(),
        rules.with_tenant("a").with_own_tenant("b"),
    ));
}

#[test]
fn assert_42_the_ceiling_is_a_scope_of_the_policy() {
    let ceiling = |text| TrustedIssuer::id_jag(IDP, KEY.key_set(), IdJag::new(scope(text)));
    accepted(ceiling("read write admin"));
    let error = refused(trusting(ceiling("read other")));
    assert_eq!(error, TrustedIssuerError::Ceiling { scope: "other".into() });
}

#[test]
fn assert_51_a_fixed_audience_is_a_text() {
    let rules = rule(WorkloadRule::new("bot").equals("sub", "b"));
    assert_eq!(rules.audience(), None);
    let fixed =
        |text| TrustedIssuer::workload(IDP, KEY.key_set(), rules.clone().with_audience(text));
    accepted(fixed("sts.example"));
    assert_eq!(refused(trusting(fixed(""))), TrustedIssuerError::Audience);
}

#[test]
fn assert_52_a_rule_names_one_program_or_one_owner() {
    let of = |rules| TrustedIssuer::workload(IDP, KEY.key_set(), rules);
    let bot = || WorkloadRule::new("bot");
    for good in [
        bot().equals("sub", "system:serviceaccount:prod:bot"),
        bot().starts_with("sub", "repo:acme/"),
        bot().one_of("repository_id", ["1", "2"]).equals("aud", "x"),
        bot().equals(ClaimName::within("kubernetes.io", "namespace"), "prod"),
    ] {
        accepted(of(rule(good)));
    }
    for bad in [
        bot(),
        bot().equals("aud", "x"),
        bot().equals("iss", IDP).equals("jti", "1"),
        bot().starts_with("sub", "repo:acme"),
        bot().starts_with("sub", ""),
        bot().starts_with("sub", ":"),
        bot().equals("sub", ""),
        bot().one_of("sub", Vec::<String>::new()),
        bot().one_of("sub", ["a", ""]),
        bot().equals("", "x"),
        bot().equals(ClaimName::within("kubernetes.io", ""), "x"),
    ] {
        let error = refused(trusting(of(rule(bad.clone()))));
        assert!(matches!(error, TrustedIssuerError::Rule { .. }), "{bad:?}: {error:?}");
    }
    assert_eq!(refused(trusting(of(Workload::default()))), TrustedIssuerError::RulesMissing);
    let many = |count| {
        (0..count).fold(Workload::default(), |rules, n| {
            rules.with_rule(bot().equals("sub", n.to_string()))
        })
    };
    accepted(of(many(256)));
    assert_eq!(refused(trusting(of(many(257)))), TrustedIssuerError::RulesTooMany { count: 257 });
    let nobody = rule(WorkloadRule::new("").equals("sub", "b"));
    assert!(matches!(refused(trusting(of(nobody))), TrustedIssuerError::Client { .. }));
}
