//! Requests with an assertion as the grant, for `reasons_reached.rs` and `reasons_faces.rs`.

use grantcore::Reason;
use grantcore::jws::KeysUrl;
use grantcore::outside::{Link, Linked};
use grantcore::policy::{DocumentRules, IdJag, TrustedIssuer};
use grantcore::reason::Endpoint;
use serde_json::{Value, json};

use crate::reasons_reached::{Provoke, Refused};
use crate::support::params::Params;
use crate::support::toy_issuers::{
    FORGER, Federation, IDP, KEY, exchange, id_jag, id_jag_header, person, program,
    trusting_people, with, workload,
};
use crate::support::{T, World, policy};

/// Reasons that nobody else causes.
pub(crate) const ASSERTIONS: &[(Reason, Provoke)] = &[
    (Reason::AssertionMissing, || send(&exchange("").by_web())),
    (Reason::AssertionMalformed, || send(&exchange("x").by_web())),
    (Reason::AssertionType, || headed("typ", json!("JWT"))),
    (Reason::AssertionAlgorithm, || headed("alg", json!("none"))),
    (Reason::AssertionKey, || headed("kid", json!("2"))),
    (Reason::AssertionSignature, || {
        send(&exchange(&FORGER.sign(&id_jag_header(), &person("1"))).by_web())
    }),
    (Reason::AssertionIssuer, || claiming("iss", json!("https://other.example"))),
    (Reason::AssertionSubject, || claiming("sub", json!(1))),
    (Reason::AssertionAudience, || claiming("aud", json!("https://other.example"))),
    (Reason::AssertionExpired, || claiming("exp", json!(T - 60))),
    (Reason::AssertionEarly, || claiming("nbf", json!(T + 60))),
    (Reason::AssertionLongLived, || claiming("exp", json!(T + 600))),
    (Reason::AssertionJti, || claiming("jti", json!(""))),
    (Reason::AssertionClaim, || claiming("cnf", json!({}))),
    (Reason::AssertionScope, || claiming("scope", json!("admin"))),
    (Reason::AssertionReplayed, || {
        let federation = Federation::new();
        federation.person(&person("1"));
        sent(federation, &exchange(&id_jag(&person("1"))).by_web())
    }),
    (Reason::AssertionAccountUnknown, || claiming("sub", json!("u-2"))),
    (Reason::AssertionUnmapped, || send(&exchange(&workload(&with(program("1"), "sub", "other"))))),
    (Reason::AccountLinkUnavailable, || {
        let federation = Federation::new();
        federation.directory.link(Link::new(IDP, "u-1"), Linked::Unavailable);
        sent(federation, &exchange(&id_jag(&person("1"))).by_web())
    }),
    (Reason::KeysUnreachable, || {
        let url = KeysUrl::parse("https://keys.example/jwks.json", false).unwrap();
        let rules = IdJag::new("read".parse().unwrap()).with_client("web");
        let issuer = TrustedIssuer::id_jag(IDP, url, rules);
        let federation = Federation::with(policy().trusted_issuer(issuer));
        sent(federation, &exchange(&id_jag(&person("1"))).by_web())
    }),
];

/// Reasons that an authorization request causes too.
pub(crate) const ASSERTIONS_ELSEWHERE: &[(Reason, Provoke)] = &[(Reason::DocumentsBusy, || {
    let url = crate::support::clients::DOCUMENT;
    let rules = IdJag::new("read".parse().unwrap()).with_public_client(url);
    let federation =
        Federation::with(trusting_people(rules).client_documents(DocumentRules::default()));
    federation.directory.busy();
    let claims = with(person("1"), "client_id", url);
    sent(federation, &exchange(&id_jag(&claims)).set("client_id", url))
})];

fn headed(name: &str, value: Value) -> (World, Refused) {
    let mut header = id_jag_header();
    header[name] = value;
    send(&exchange(&KEY.sign(&header, &person("1"))).by_web())
}

fn claiming(name: &str, value: Value) -> (World, Refused) {
    send(&exchange(&id_jag(&with(person("1"), name, value))).by_web())
}

fn send(params: &Params) -> (World, Refused) {
    sent(Federation::new(), params)
}

fn sent(federation: Federation, params: &Params) -> (World, Refused) {
    drop(federation.world.token(params));
    (federation.world, Refused::At(Endpoint::Token))
}
