//! Tests of KEYS-30 to KEYS-37, I37 and L5: the keys of a client at a URL, which the host fetches.

use grantcore::client::ClientKeys;
use grantcore::jws::{FetchedKeys, KeysUrl};
use grantcore::policy::{KeyRules, Limits};
use grantcore::{Client, Reason, Reply};
use serde_json::{Value, json};

use crate::support::assertions::{key_set, merged, signer};
use crate::support::keyed::{JWKS, Keyed, keyed_policy, prove};
use crate::support::params::Params;
use crate::support::{CALLBACK, assert_refused, policy};

/// Returns a set with the Ed25519 key under each of these names.
pub(crate) fn set(kids: &[&str]) -> String {
    let named = |kid: &&str| merged(signer("ed").jwk(), json!({"kid": kid}));
    key_set(&kids.iter().map(named).collect::<Vec<_>>())
}

fn serving() -> Keyed {
    let keyed = Keyed::new();
    keyed.web.serve(JWKS, Some(set(&["1"])));
    keyed
}

fn ask_with(keyed: &Keyed, kid: &str) -> Reply {
    keyed.ask(&keyed.signed("remote", &signer("ed"), json!({"kid": kid}), json!({})))
}

#[track_caller]
fn assert_proved(keyed: &Keyed, reply: &Reply) {
    assert_refused(&keyed.world, reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

#[track_caller]
fn assert_unreachable(keyed: &Keyed, reply: &Reply) {
    let reason = Reason::KeysUnreachable;
    assert_refused(&keyed.world, reply, 503, "temporarily_unavailable", reason);
    assert!(reply.header("retry-after").is_some());
}

#[test]
fn keys_30_a_key_set_is_fetched_once_and_used_by_all_clients_of_its_url() {
    let keyed = serving();
    let url = KeysUrl::parse(JWKS, false).unwrap();
    let twin = Client::with_keys("twin", ClientKeys::at(url)).redirect_uri(CALLBACK);
    keyed.world.put(twin.build().unwrap());
    for client in ["remote", "twin", "remote"] {
        let assertion = keyed.signed(client, &signer("ed"), json!({}), json!({}));
        assert_proved(&keyed, &keyed.ask(&assertion));
    }
    assert_eq!(keyed.web.fetches(), 1);
}

#[test]
fn keys_32_only_a_200_with_a_key_set_is_an_answer() {
    let padded = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(FetchedKeys::MAX_BYTES));
    for (status, body) in [
        (301, set(&["1"])),
        (204, String::new()),
        (404, set(&["1"])),
        (200, "<html>".into()),
        (200, r#"{"keys":[],"keys":[]}"#.into()),
        (200, padded),
    ] {
        let keyed = Keyed::new();
        keyed.web.respond(JWKS, status, Some(body), None);
        assert_unreachable(&keyed, &ask_with(&keyed, "1"));
        assert_unreachable(&keyed, &ask_with(&keyed, "1"));
        assert_eq!(keyed.web.fetches(), 1, "not within the cool-down");
        keyed.web.serve(JWKS, Some(set(&["1"])));
        keyed.at(61);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
    }
}

#[test]
fn keys_33_a_set_is_fresh_for_its_max_age_within_bounds() {
    for (max_age, fresh) in [(None, 300), (Some(5), 60), (Some(86400), 3600)] {
        let keyed = Keyed::new();
        keyed.web.respond(JWKS, 200, Some(set(&["1"])), max_age);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
        keyed.at(fresh - 1);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
        assert_eq!(keyed.web.fetches(), 1);
        keyed.at(fresh);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
        assert_eq!(keyed.web.fetches(), 2);
    }
}

#[test]
fn keys_34_a_new_key_is_found_by_one_more_fetch() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.serve(JWKS, Some(set(&["1", "2"])));
    keyed.at(60);
    assert_proved(&keyed, &ask_with(&keyed, "2"));
    assert_eq!(keyed.web.fetches(), 2);
}

#[test]
fn keys_34_a_flood_of_unknown_kids_is_one_fetch_in_a_minute() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.at(60);
    for n in 0..1000 {
        let reply = ask_with(&keyed, &format!("random-{n}"));
        let reason = Reason::ClientAssertionKey;
        assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    }
    assert_eq!(keyed.web.fetches(), 2);
    keyed.at(120);
    assert_eq!(ask_with(&keyed, "random").status, 401);
    assert_eq!(keyed.web.fetches(), 3);
    assert_proved(&keyed, &ask_with(&keyed, "1"));
}

/// Revocation and introspection fetch under the same limits as the token endpoint.
#[test]
fn keys_34_35_each_endpoint_has_the_same_limits_of_fetches() {
    let keyed = serving();
    let send = |kid: &str, claims: Value| {
        let sign = || {
            let header = json!({"kid": kid});
            let assertion = keyed.signed("remote", &signer("ed"), header, claims.clone());
            let form = Params(vec![("token".into(), "x".into())]);
            prove(form, &assertion)
        };
        let replies = [keyed.revoke(&sign()), keyed.introspect(&sign())];
        replies.map(|reply| reply.status)
    };
    assert_eq!(send("1", json!({"exp": 1})), [401, 401]);
    assert_eq!(send("1", json!({"aud": "https://other.example"})), [401, 401]);
    assert_eq!(keyed.web.fetches(), 0, "the cheap checks come first");
    assert_eq!(send("1", json!({})), [200, 200]);
    assert_eq!(keyed.web.fetches(), 1);
    keyed.at(60);
    for n in 0..200 {
        assert_eq!(send(&format!("random-{n}"), json!({})), [401, 401]);
        assert_eq!(ask_with(&keyed, &format!("random-{n}")).status, 401);
    }
    assert_eq!(keyed.web.fetches(), 2, "one for all endpoints");
    assert_eq!(send("1", json!({})), [200, 200], "nobody else is locked out");
}

#[test]
fn keys_34_a_request_with_an_unknown_kid_fetches_once() {
    let keyed = serving();
    let reply = ask_with(&keyed, "2");
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionKey);
    assert_eq!(keyed.web.fetches(), 1, "the set is younger than the request");
}

/// A key that its owner has withdrawn is refused from the next fetch on.
#[test]
fn i37_a_withdrawn_key_ends_with_the_freshness() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.serve(JWKS, Some(set(&["2"])));
    keyed.at(299);
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.at(300);
    let reply = ask_with(&keyed, "1");
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionKey);
}

#[test]
fn keys_35_nothing_is_fetched_before_the_cheap_checks() {
    let keyed = serving();
    let key = signer("ed");
    let now = keyed.now();
    let faults: Vec<(Value, Value)> = vec![
        (json!({"typ": "at+jwt"}), json!({})),
        (json!({"alg": "HS256"}), json!({})),
        (json!({"alg": "none"}), json!({})),
        (json!({"crit": ["x"]}), json!({})),
        (json!({}), json!({"iss": "other"})),
        (json!({}), json!({"aud": "https://other.example"})),
        (json!({}), json!({"exp": now - 100})),
        (json!({}), json!({"nbf": now + 100})),
        (json!({}), json!({"exp": now + 10_000})),
        (json!({}), json!({"jti": ""})),
    ];
    for (header, claims) in faults {
        let reply = keyed.ask(&keyed.signed("remote", &key, header, claims));
        assert_eq!(reply.status, 401);
    }
    assert_eq!(keyed.ask(&keyed.signed("nobody", &key, json!({}), json!({}))).status, 401);
    let url = KeysUrl::parse(JWKS, false).unwrap();
    let gone = Client::with_keys("gone", ClientKeys::at(url)).redirect_uri(CALLBACK);
    keyed.world.put(gone.build().unwrap().deactivated());
    assert_eq!(keyed.ask(&keyed.signed("gone", &key, json!({}), json!({}))).status, 401);
    assert_eq!(keyed.web.fetches(), 0);
    let limits = Limits::default().with_token_requests_per_minute(1);
    let busy = Keyed::with(policy().limits(limits), KeyRules::default());
    drop(ask_with(&busy, "1"));
    assert_eq!((ask_with(&busy, "1").status, busy.web.fetches()), (429, 1));
}

#[test]
fn keys_36_a_stale_set_is_used_for_an_hour_while_fetches_fail() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.serve(JWKS, None);
    for seconds in [300, 301, 1000, 3899] {
        keyed.at(seconds);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
    }
    keyed.at(3960);
    assert_unreachable(&keyed, &ask_with(&keyed, "1"));
}

#[test]
fn keys_36_without_a_stale_time_the_answer_is_503_at_once() {
    let rules = KeyRules::default().with_stale(std::time::Duration::ZERO);
    let keyed = Keyed::with(keyed_policy(), rules);
    keyed.web.serve(JWKS, Some(set(&["1"])));
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.serve(JWKS, None);
    keyed.at(300);
    assert_unreachable(&keyed, &ask_with(&keyed, "1"));
}

#[test]
fn keys_36_a_stale_set_is_used_while_the_host_is_busy() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.is_busy.store(true, std::sync::atomic::Ordering::SeqCst);
    for seconds in [300, 1000, 3899] {
        keyed.at(seconds);
        assert_proved(&keyed, &ask_with(&keyed, "1"));
        // The key may be a new one: nobody knows, and the client must not forget who it is.
        assert_unreachable(&keyed, &ask_with(&keyed, "2"));
    }
    keyed.at(3900);
    assert_unreachable(&keyed, &ask_with(&keyed, "1"));
    keyed.web.is_busy.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_proved(&keyed, &ask_with(&keyed, "1"));
}

#[test]
fn keys_36_a_key_that_may_be_new_is_not_refused_while_fetches_fail() {
    let keyed = serving();
    assert_proved(&keyed, &ask_with(&keyed, "1"));
    keyed.web.serve(JWKS, None);
    keyed.at(60);
    for _ in 0..3 {
        assert_unreachable(&keyed, &ask_with(&keyed, "2"));
        assert_proved(&keyed, &ask_with(&keyed, "1"));
    }
    assert_eq!(keyed.web.fetches(), 2);
}

#[test]
fn l5_inline_keys_are_served_while_every_fetch_fails() {
    let keyed = Keyed::new();
    assert_unreachable(&keyed, &ask_with(&keyed, "1"));
    assert_proved(&keyed, &keyed.ask(&keyed.assertion(json!({}))));
    assert_eq!(keyed.web.fetches(), 1);
}

#[test]
fn keys_21_a_set_that_shows_a_private_key_has_no_key() {
    let keyed = Keyed::new();
    let shown = merged(signer("ed").jwk(), json!({"kid": "x", "d": "canary"}));
    let good = merged(signer("ed").jwk(), json!({"kid": "1"}));
    keyed.web.serve(JWKS, Some(key_set(&[good, shown])));
    let reply = ask_with(&keyed, "1");
    assert_refused(&keyed.world, &reply, 401, "invalid_client", Reason::ClientAssertionKey);
    let event = keyed.world.events().pop().unwrap();
    assert_eq!(event.detail.as_deref(), Some("The key set shows a private key."));
    assert!(!format!("{event:?}").contains("canary"));
}

/// The algorithm of a fetched RSA key that names none is that of its client (KEYS-22).
#[test]
fn keys_14_a_client_is_held_to_the_algorithms_that_it_names() {
    use grantcore::jws::{Algorithm, Algorithms};
    let keyed = Keyed::new();
    let rsa = merged(signer("rsa").jwk(), json!({"kid": "1"}));
    keyed.web.serve(JWKS, Some(key_set(&[rsa])));
    let pss = Algorithms::of([Algorithm::Ps256]).unwrap();
    let keys = ClientKeys::at(KeysUrl::parse(JWKS, false).unwrap()).with_algorithms(pss);
    let client = Client::with_keys("pss", keys).redirect_uri(CALLBACK);
    keyed.world.put(client.build().unwrap());
    let sign =
        |algorithm| keyed.signed("pss", &signer("rsa").with(algorithm), json!({}), json!({}));
    assert_proved(&keyed, &keyed.ask(&sign(jsonwebtoken::Algorithm::PS256)));
    let reply = keyed.ask(&sign(jsonwebtoken::Algorithm::RS256));
    let reason = Reason::ClientAssertionAlgorithm;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
}
