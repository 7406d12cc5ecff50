//! Requests of clients that prove themselves with keys, for `reasons_reached.rs` and
//! `reasons_faces.rs`.

use grantcore::reason::Endpoint;
use grantcore::{Reason, RequestParts};
use serde_json::json;

use crate::keys_proof::{EITHER, either, proof};
use crate::reasons_reached::Refused;
use crate::support::World;
use crate::support::assertions::signer;
use crate::support::keyed::{JWT_BEARER, Keyed, prove};
use crate::support::params::Params;
use crate::support::steps::form;

/// Makes the parameters of a request that is refused.
type Spoil = fn(&Keyed) -> Params;

/// Requests of the client `job` with one fault each, at every endpoint that authenticates clients.
const FAULTS: &[(Reason, Spoil)] = &[
    (Reason::ClientAssertionIncomplete, |_| by("job").and("client_assertion_type", JWT_BEARER)),
    (Reason::ClientAssertionClient, |keyed| {
        by("app")
            .and("client_assertion_type", JWT_BEARER)
            .and("client_assertion", &keyed.assertion(json!({})))
    }),
    (Reason::ClientAssertionMissing, |_| by("job")),
    (Reason::ClientAssertionType, |keyed| {
        by("job")
            .and("client_assertion_type", "x")
            .and("client_assertion", &keyed.assertion(json!({})))
    }),
    (Reason::ClientAssertionUnexpected, |keyed| {
        prove(by("app"), &keyed.signed("app", &signer("ed"), json!({}), json!({})))
    }),
    (Reason::ClientAssertionMalformed, |_| prove(by("job"), "x")),
    (Reason::ClientAssertionTyp, |keyed| {
        prove(by("job"), &keyed.signed("job", &signer("ed"), json!({"typ": "at+jwt"}), json!({})))
    }),
    (Reason::ClientAssertionAlgorithm, |keyed| {
        prove(by("job"), &keyed.signed("job", &signer("ed"), json!({"alg": "HS256"}), json!({})))
    }),
    (Reason::ClientAssertionKey, |keyed| {
        prove(by("job"), &keyed.signed("job", &signer("ed"), json!({"kid": "2"}), json!({})))
    }),
    (Reason::ClientAssertionSignature, |keyed| {
        prove(by("job"), &keyed.signed("job", &signer("other-ed"), json!({}), json!({})))
    }),
    (Reason::ClientAssertionIssuer, |keyed| claiming(keyed, json!({"iss": "x"}))),
    (Reason::ClientAssertionSubject, |keyed| claiming(keyed, json!({"sub": 1}))),
    (Reason::ClientAssertionAudience, |keyed| claiming(keyed, json!({"aud": "x"}))),
    (Reason::ClientAssertionExpired, |keyed| claiming(keyed, json!({"exp": 1}))),
    (Reason::ClientAssertionEarly, |keyed| claiming(keyed, json!({"nbf": keyed.now() + 100}))),
    (Reason::ClientAssertionLongLived, |keyed| {
        claiming(keyed, json!({"exp": keyed.now() + 100_000}))
    }),
    (Reason::ClientAssertionJti, |keyed| claiming(keyed, json!({"jti": 1}))),
    (Reason::ClientAssertionReplayed, |keyed| {
        let used = keyed.assertion(json!({}));
        drop(keyed.ask(&used));
        prove(by("job"), &used)
    }),
];

fn by(client: &str) -> Params {
    Params(vec![("client_id".into(), client.into())])
}

fn claiming(keyed: &Keyed, changes: serde_json::Value) -> Params {
    prove(by("job"), &keyed.assertion(changes))
}

/// Returns the refusals at this endpoint.
pub(crate) fn keyed(endpoint: Endpoint) -> Vec<(Reason, World, Refused)> {
    let mut all: Vec<_> = FAULTS
        .iter()
        .map(|(reason, spoil)| {
            let keyed = Keyed::new();
            let params = spoil(&keyed);
            (*reason, sent(keyed, params, endpoint), Refused::At(endpoint))
        })
        .collect();
    if endpoint != Endpoint::Token {
        let keyed = Keyed::new();
        let remote = keyed.signed("remote", &signer("ed"), json!({}), json!({}));
        let world = sent(keyed, prove(by("remote"), &remote), endpoint);
        all.push((Reason::KeysUnreachable, world, Refused::At(endpoint)));
    }
    if endpoint != Endpoint::Introspection {
        let keyed = either();
        let tokens = keyed.tokens(EITHER, Some(&proof(&keyed)));
        let params = by(EITHER).and("refresh_token", tokens.refresh());
        let params = params.and("token", tokens.refresh());
        let world = sent(keyed, params, endpoint);
        all.push((Reason::ClientProofDropped, world, Refused::At(endpoint)));
    }
    all
}

/// Sends the request, and returns its world.
fn sent(keyed: Keyed, params: Params, endpoint: Endpoint) -> World {
    let has = |name: &str| params.0.iter().any(|(own, _)| own == name);
    let params = match endpoint {
        Endpoint::Token if has("refresh_token") => params.and("grant_type", "refresh_token"),
        Endpoint::Token => params.and("grant_type", "refresh_token").and("refresh_token", "x"),
        _ if has("token") => params,
        _ => params.and("token", "x"),
    };
    let body = params.encode();
    let parts = RequestParts { ..form(&body) };
    let server = &keyed.world.server;
    let reply = match endpoint {
        Endpoint::Token => server.token(&parts),
        Endpoint::Revocation => server.revoke(&parts),
        _ => server.introspect(&parts),
    };
    assert!(reply.is_err());
    keyed.world
}
