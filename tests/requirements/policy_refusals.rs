//! META-05, -07, -11 and -12: policies that would make the discovery documents lie, or that could
//! not work, do not build.

use std::time::Duration;

use grantcore::Policy;
use grantcore::policy::{
    AuthMethods, DocumentRules, IntrospectionRules, LifetimesError, PolicyBuilder, PolicyError,
    RegistrationRules, RevocationRules, ScopesError,
};
use grantcore::value::{Digest, GrantTypes, LoopbackPorts, RedirectRules};

use crate::metadata::{not_built, one_scope, undeclared};
use crate::support::{MCP, json as body, policy};

fn introspection() -> IntrospectionRules {
    IntrospectionRules::default().with_resource_server("web", MCP)
}

/// Clients compare issuers byte for byte, and their URL libraries write the canonical spelling.
#[test]
fn meta_11_an_issuer_in_another_spelling_does_not_build() {
    for (issuer, canonical) in [
        ("https://h/", "https://h"),
        ("https://H.example", "https://h.example"),
        ("HTTPS://h/t1", "https://h/t1"),
        ("https://h:443", "https://h"),
        ("https://h:443/t1/", "https://h/t1/"),
        ("https://h:0443", "https://h"),
        ("https://h/a/../t1", "https://h/t1"),
        ("https://h/./t1", "https://h/t1"),
        ("https://h/%2e%2E/t1", "https://h/t1"),
        ("https://h/.", "https://h"),
        ("https://127.1", "https://127.0.0.1"),
        ("https://[0:0::1]", "https://[::1]"),
    ] {
        let error =
            PolicyError::IssuerSpelling { issuer: issuer.into(), canonical: canonical.into() };
        not_built(one_scope(issuer), error);
        assert!(one_scope(canonical).build().is_ok(), "{canonical}");
    }
    let local = one_scope("http://LOCALHOST:80/").allow_loopback_http(true);
    let issuer = "http://LOCALHOST:80/".into();
    let canonical = "http://localhost".into();
    not_built(local, PolicyError::IssuerSpelling { issuer, canonical });
}

/// What cannot work is not advertised: it does not build (actionhero/keryx#533).
#[test]
fn meta_07_a_promise_that_could_not_be_kept_does_not_build() {
    let documents = || policy().client_documents(DocumentRules::default());
    let registration = || policy().registration(RegistrationRules::default());
    let off = RedirectRules::default().with_loopback_ports(LoopbackPorts::Off);
    let literals = RedirectRules::default().with_loopback_ports(LoopbackPorts::IpLiterals);
    not_built(documents().redirect_rules(off.clone()), PolicyError::DocumentsPorts);
    assert!(
        documents().redirect_rules(literals).build().is_ok()
            && policy().redirect_rules(off).build().is_ok()
    );
    let secrets_only = AuthMethods::default().with_public_clients(false);
    not_built(documents().auth_methods(secrets_only), PolicyError::DocumentsMethod);
    assert!(registration().auth_methods(secrets_only).build().is_ok());
    not_built(
        policy().auth_methods(
            AuthMethods::default()
                .with_public_clients(false)
                .with_client_secret_basic(false)
                .with_client_secret_post(false),
        ),
        PolicyError::AuthMethods,
    );
    let [second, minute] = [1, 60].map(Duration::from_secs);
    let rules = |least, most| {
        let rules = DocumentRules::default().with_fresh_at_least(least).with_fresh_at_most(most);
        policy().client_documents(rules)
    };
    let at_least = minute;
    let at_most = second;
    not_built(rules(at_least, at_most), PolicyError::DocumentsFreshness { at_least, at_most });
    for (lifetime, value) in
        [("fresh_at_least", Duration::ZERO), ("fresh_at_least", Duration::from_millis(1500))]
    {
        not_built(
            rules(value, minute),
            PolicyError::Lifetimes(LifetimesError::Value { lifetime, value }),
        );
    }
    let lifetime = "fresh_at_most";
    let value = Duration::MAX;
    not_built(
        rules(second, value),
        PolicyError::Lifetimes(LifetimesError::Value { lifetime, value }),
    );
    not_built(
        policy().registration(RegistrationRules::default().with_initial_access_tokens([])),
        PolicyError::InitialAccessTokens,
    );
    assert!(
        policy()
            .registration(
                RegistrationRules::default().with_initial_access_tokens([Digest::of(b"t")])
            )
            .build()
            .is_ok()
    );
}

/// A client that the operator did not register must be able to request some scope, and to use the
/// code flow.
#[test]
fn meta_07_clients_that_come_by_themselves_can_do_something() {
    let documents = || policy().client_documents(DocumentRules::default());
    let registration = || policy().registration(RegistrationRules::default());
    let nothing = GrantTypes { authorization_code: false, refresh_token: false };
    for (open, feature) in
        [(registration as fn() -> PolicyBuilder, "registration"), (documents, "client_documents")]
    {
        let error = PolicyError::Scopes(ScopesError::Unverified {
            feature,
            unverified_scope: "write".into(),
            default_scope: "read".into(),
        });
        not_built(open().unverified_scope("write"), error);
        let error = PolicyError::DefaultGrantTypes { feature };
        not_built(open().default_grant_types(nothing), error);
        assert!(open().unverified_scope("write read").build().is_ok());
    }
    assert!(
        policy().unverified_scope("write").default_grant_types(nothing).build().is_ok(),
        "where nobody comes"
    );
    let unheard_of = undeclared("unverified_scope", "unheard-of");
    not_built(registration().unverified_scope("unheard-of"), unheard_of);
}

/// modelcontextprotocol#1721: what a document names is this server's own, and read by nobody on the
/// way.
#[test]
fn meta_05_endpoints_are_of_the_issuers_origin() {
    type Set = fn(PolicyBuilder, &str) -> PolicyBuilder;
    let endpoints: [(&str, Set); 5] = [
        ("authorization_endpoint", |policy, url| policy.authorization_endpoint(url)),
        ("token_endpoint", |policy, url| policy.token_endpoint(url)),
        ("registration_endpoint", |policy, url| {
            policy.registration(RegistrationRules::default()).registration_endpoint(url)
        }),
        ("revocation_endpoint", |policy, url| {
            policy.revocation(RevocationRules::default()).revocation_endpoint(url)
        }),
        ("introspection_endpoint", |policy, url| {
            policy.introspection(introspection()).introspection_endpoint(url)
        }),
    ];
    for (endpoint, set) in endpoints {
        for url in [
            "https://other.example/x",
            "https://auth.example.evil.example/x",
            "https://auth.example:8443/x",
            "https://sub.auth.example/x",
            "http://auth.example/x",
            "https://auth.example/x#f",
            "https://u@auth.example/x",
            "https://auth.example@other.example/x",
            "javascript:alert(1)",
            "/x",
            "",
        ] {
            let error = || PolicyError::Endpoint { endpoint, url: url.into() };
            not_built(set(policy(), url), error());
            not_built(set(policy(), url).allow_loopback_http(true), error());
        }
        assert!(set(policy(), "https://auth.example/x").build().is_ok());
    }
    let endpoint = "registration_endpoint";
    let url = "https://auth.example/x?y";
    let with_query = policy().registration(RegistrationRules::default()).registration_endpoint(url);
    not_built(with_query, PolicyError::Endpoint { endpoint, url: url.into() });
}

/// Where nothing is served, no address is named: neither by the host nor in the metadata.
#[test]
fn meta_12_an_endpoint_of_a_feature_that_is_off_does_not_build() {
    type Set = fn(PolicyBuilder, &str) -> PolicyBuilder;
    type On = fn(PolicyBuilder) -> PolicyBuilder;
    type Get = fn(&Policy) -> Option<&str>;
    let cases: [(&'static str, &'static str, Set, On, Get); 3] = [
        (
            "registration_endpoint",
            "registration",
            |policy, url| policy.registration_endpoint(url),
            |policy| policy.registration(RegistrationRules::default()),
            |policy| policy.registration_endpoint(),
        ),
        (
            "revocation_endpoint",
            "revocation",
            |policy, url| policy.revocation_endpoint(url),
            |policy| policy.revocation(RevocationRules::default()),
            |policy| policy.revocation_endpoint(),
        ),
        (
            "introspection_endpoint",
            "introspection",
            |policy, url| policy.introspection_endpoint(url),
            |policy| policy.introspection(introspection()),
            |policy| policy.introspection_endpoint(),
        ),
    ];
    for (endpoint, feature, set, on, get) in cases {
        let url = "https://auth.example/own";
        let off = set(policy(), url);
        not_built(off, PolicyError::EndpointOff { endpoint, feature, url: url.into() });
        let off = policy().build().unwrap();
        assert_eq!((get(&off), body(&off.server_metadata()).get(endpoint)), (None, None));
        // In either order.
        for policy in [on(set(policy(), url)), set(on(policy()), url)] {
            let policy = policy.build().unwrap();
            assert_eq!(get(&policy), Some(url));
            assert_eq!(body(&policy.server_metadata())[endpoint], url);
        }
        let default = on(policy()).build().unwrap();
        assert_eq!(body(&default.server_metadata())[endpoint], get(&default).unwrap());
    }
}
