//! ASSERT-12: only the first fault is reported, in the order of the table of decisions.

use grantcore::Reason;
use grantcore::outside::{Link, Linked};
use grantcore::policy::IdJag;
use serde_json::{Value, json};

use crate::support::params::Params;
use crate::support::toy_issuers::{
    FORGER, Federation, IDP, KEY, Signer, exchange, id_jag_header, person, trusting_people,
};
use crate::support::{ISSUER, T};

/// A request of the client `web` with an assertion, before it is signed.
struct Attempt {
    header: Value,
    claims: Value,
    params: Params,
    signer: Signer,
}

type Mutation = (Reason, fn(&mut Attempt));

/// Each fault, in the order in which it is found.
const FAULTS: &[Mutation] = &[
    (Reason::ClientSecretWrong, |own| own.params = own.params.clone().set("client_secret", "x")),
    (Reason::AssertionIssuer, |own| own.claims["iss"] = json!("https://other.example")),
    (Reason::AssertionType, |own| own.header["typ"] = json!("at+jwt")),
    (Reason::AssertionAlgorithm, |own| own.header["alg"] = json!("HS256")),
    (Reason::AssertionAudience, |own| own.claims["aud"] = json!([ISSUER, "https://b.example"])),
    (Reason::AssertionExpired, |own| own.claims["exp"] = json!(T - 100)),
    (Reason::AssertionSubject, |own| own.claims["sub"] = json!("")),
    (Reason::AssertionJti, |own| own.claims["jti"] = json!(7)),
    (Reason::AssertionClaim, |own| own.claims["cnf"] = json!({})),
    (Reason::AssertionKey, |own| own.header["kid"] = json!("unknown")),
    (Reason::AssertionSignature, |own| own.signer = FORGER),
    (Reason::AssertionClaim, |own| own.claims["client_id"] = json!("another")),
    (Reason::AssertionClaim, |own| own.claims["tenant"] = json!("another")),
    (Reason::AssertionAccountUnknown, |own| {
        if own.claims["sub"] == "u-1" {
            own.claims["sub"] = json!("u-2");
        }
    }),
    (Reason::AssertionClaim, |own| own.claims["resource"] = json!([])),
    (Reason::AssertionScope, |own| own.claims["scope"] = json!("admin")),
];

fn attempt(faults: &[Mutation]) -> (Federation, Option<Reason>) {
    let rules = IdJag::new("read write".parse().unwrap()).with_client("web").with_tenant("acme");
    let federation = Federation::with(trusting_people(rules));
    let mut link = Link::new(IDP, "u-1");
    link.tenant = Some("acme".into());
    federation.directory.link(link, Linked::Account("alice".parse().unwrap()));
    let mut claims = person("1");
    claims["tenant"] = json!("acme");
    let params = Params(Vec::new()).set("grant_type", "x").by_web();
    let mut own = Attempt { header: id_jag_header(), claims, params, signer: KEY };
    for (_, mutate) in faults {
        mutate(&mut own);
    }
    let assertion = own.signer.sign(&own.header, &own.claims);
    let Params(pairs) = exchange(&assertion);
    let params = pairs.iter().fold(own.params, |params, (name, value)| params.set(name, value));
    let _ = federation.world.token(&params);
    let reason = federation.world.reason();
    (federation, reason)
}

#[test]
fn assert_12_the_first_fault_of_each_pair_is_reported() {
    assert_eq!(attempt(&[]).1, None);
    for (at, first) in FAULTS.iter().enumerate() {
        assert_eq!(attempt(&[*first]).1, Some(first.0), "{at}");
        for second in &FAULTS[at + 1..] {
            let (_, reason) = attempt(&[*first, *second]);
            assert_eq!(reason, Some(first.0), "{:?} and {:?}", first.0, second.0);
        }
    }
}

#[test]
fn i33_a_fault_writes_nothing_and_a_refusal_marks() {
    for (at, fault) in FAULTS.iter().enumerate() {
        let (federation, _) = attempt(&[*fault]);
        // From the account on, the assertion has no fault of its own and is this client's.
        let is_used_up = at >= 13;
        assert_eq!(federation.marks(), usize::from(is_used_up), "{:?}", fault.0);
        assert_eq!(federation.world.grants().len(), 0);
        assert_eq!(federation.world.store.commits(), usize::from(is_used_up));
    }
}

#[test]
fn assert_12_the_row_of_an_issuer_is_disclosed_after_the_signature_only() {
    for (_, fault) in FAULTS.iter().take(11) {
        let (federation, _) = attempt(&[(Reason::AssertionIssuer, *fault)]);
        assert_eq!(federation.directory.asked.lock().unwrap().len(), 0, "nobody is asked");
    }
}
