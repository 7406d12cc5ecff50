//! Tests of KEYS-38: the keys in a client's document, which is read anew for a key that it lacks.

use std::sync::atomic::Ordering;

use grantcore::policy::{DocumentRules, KeyRules};
use grantcore::{Reason, Reply};
use serde_json::{Value, json};

use crate::keys_fetch::set;
use crate::support::assert_refused;
use crate::support::assertions::signer;
use crate::support::clients::{DOCUMENT, ask, document, with};
use crate::support::keyed::{Keyed, keyed_policy, prove};
use crate::support::params::Params;

/// Returns the document of a client whose keys have these names.
fn keyed(kids: &[&str]) -> Value {
    let jwks: Value = serde_json::from_str(&set(kids)).unwrap();
    let document = with(document(), "token_endpoint_auth_method", "private_key_jwt");
    with(document, "jwks", jwks)
}

/// Returns a world that has read the document with the key `1` at its beginning.
fn world() -> Keyed {
    let policy = keyed_policy().client_documents(DocumentRules::default());
    let world = Keyed::with(policy, KeyRules::default());
    world.world.page_with(&ask(DOCUMENT), &keyed(&["1"]));
    world
}

fn ask_with(world: &Keyed, kid: &str) -> Reply {
    world.ask(&world.signed(DOCUMENT, &signer("ed"), json!({"kid": kid}), json!({})))
}

#[track_caller]
fn assert_proved(world: &Keyed, reply: &Reply) {
    assert_refused(&world.world, reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

#[track_caller]
fn assert_unknown(world: &Keyed, reply: &Reply) {
    assert_refused(&world.world, reply, 401, "invalid_client", Reason::ClientAssertionKey);
}

fn keys_of(world: &Keyed) -> String {
    let client = world.world.client(DOCUMENT).unwrap();
    serde_json::to_string(client.keys().unwrap()).unwrap()
}

#[test]
fn keys_38_a_new_key_is_found_in_the_document_and_recorded() {
    let world = world();
    world.at(60);
    assert_proved(&world, &ask_with(&world, "1"));
    assert_eq!(world.web.fetches(), 0, "for a key that is on record");
    world.web.serve(DOCUMENT, Some(keyed(&["1", "next"]).to_string()));
    let assertion = world.signed(DOCUMENT, &signer("ed"), json!({"kid": "next"}), json!({}));
    assert_proved(&world, &world.ask(&assertion));
    assert!(world.web.fetches() == 1 && keys_of(&world).contains("next"));
    assert_eq!(world.ask(&assertion).status, 401, "it is used up");
    assert_proved(&world, &ask_with(&world, "next"));
    assert_eq!(world.web.fetches(), 1);
    // The same holds at the other endpoints.
    world.at(120);
    world.web.serve(DOCUMENT, Some(keyed(&["last"]).to_string()));
    let assertion = world.signed(DOCUMENT, &signer("ed"), json!({"kid": "last"}), json!({}));
    let revocation =
        Params::refresh("x").without("grant_type").without("client_id").set("token", "x");
    assert_eq!(world.revoke(&prove(revocation, &assertion)).status, 200);
    assert!(world.web.fetches() == 2 && !keys_of(&world).contains("next"));
}

#[test]
fn keys_38_unknown_keys_are_one_fetch_in_a_minute() {
    let readable = keyed(&["1", "other"]).to_string();
    // A document that cannot be read, or is none, is not asked for more often.
    for served in [Some(readable), Some("{}".to_owned()), None] {
        let world = world();
        world.web.serve(DOCUMENT, served);
        for (seconds, fetches) in [(0, 0), (59, 0), (60, 1), (119, 1), (120, 2)] {
            world.at(seconds);
            for n in 0..20 {
                assert_unknown(&world, &ask_with(&world, &format!("random-{n}")));
            }
            assert_eq!(world.web.fetches(), fetches, "after {seconds} s");
        }
        assert_proved(&world, &ask_with(&world, "1"));
    }
}

#[test]
fn keys_38_nothing_is_read_for_an_assertion_with_another_fault() {
    let world = world();
    world.at(60);
    world.web.serve(DOCUMENT, Some(keyed(&["next"]).to_string()));
    for claims in [json!({"aud": "https://other.example"}), json!({"exp": 1}), json!({"jti": ""})] {
        let key = signer("ed");
        let assertion = world.signed(DOCUMENT, &key, json!({"kid": "next"}), claims);
        assert_eq!(world.ask(&assertion).status, 401);
    }
    assert_eq!(world.web.fetches(), 0);
    // Without documents in the policy, and for a client of the operator, there is nothing to read.
    let job = world.signed("job", &signer("ed"), json!({"kid": "next"}), json!({}));
    assert_unknown(&world, &world.ask(&job));
    assert_eq!(world.web.fetches(), 0);
}

/// A host that is busy fetches later. Nothing is recorded, so that the next request asks again.
#[test]
fn keys_38_a_busy_host_is_asked_again() {
    let world = world();
    world.at(60);
    world.web.serve(DOCUMENT, Some(keyed(&["next"]).to_string()));
    world.web.is_busy.store(true, Ordering::SeqCst);
    let commits = world.world.store.commits();
    let reply = ask_with(&world, "next");
    assert_refused(&world.world, &reply, 503, "temporarily_unavailable", Reason::KeysUnreachable);
    assert_eq!(world.world.store.commits(), commits);
    world.web.is_busy.store(false, Ordering::SeqCst);
    assert_proved(&world, &ask_with(&world, "next"));
}

/// A fetch that a clock recorded which was ahead delays no other.
#[test]
fn keys_38_a_fetch_in_the_future_does_not_count() {
    let world = world();
    world.at(600);
    assert_unknown(&world, &ask_with(&world, "next"));
    assert_unknown(&world, &ask_with(&world, "next"));
    assert_eq!(world.web.fetches(), 1);
    world.at(300);
    assert_unknown(&world, &ask_with(&world, "next"));
    assert_eq!(world.web.fetches(), 2);
}
