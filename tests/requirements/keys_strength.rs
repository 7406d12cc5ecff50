//! Tests of KEYS-11, KEYS-49 and I38: a proof by an assertion for the token endpoint is weaker than one
//! for the issuer, because another server that the client calls may have passed it on.

use grantcore::client::{Authentication, ClientKeys};
use grantcore::grant::GrantState;
use grantcore::policy::{
    AssertionAudience, IdJag, IntrospectionRules, KeyRules, MachineRules, PolicyBuilder,
    TrustedIssuer,
};
use grantcore::{Reason, Reply};
use serde_json::{Value, json};

use crate::keys_proof::{EITHER, either_client, proof, with_either};
use crate::support::assertions::signer;
use crate::support::keyed::{Keyed, keyed_policy, prove, set_of, sign};
use crate::support::params::Params;
use crate::support::store::Fault;
use crate::support::{Granted, ISSUER, MCP, assert_refused};

const TOKEN_ENDPOINT: &str = "https://auth.example/oauth/token";

/// What a request is sent with, in ascending order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    None,
    Weak,
    Strong,
}

use Proof::{None as Unproved, Strong, Weak};

const ALL: [Proof; 3] = [Unproved, Weak, Strong];

fn keyed(policy: PolicyBuilder) -> Keyed {
    with_either(Keyed::with(policy, KeyRules::default()))
}

fn weak(keyed: &Keyed) -> String {
    keyed.signed(EITHER, &signer("ed"), json!({}), json!({"aud": TOKEN_ENDPOINT}))
}

fn with(keyed: &Keyed, params: Params, proved: Proof) -> Params {
    match proved {
        Unproved => params,
        Weak => prove(params, &weak(keyed)),
        Strong => prove(params, &proof(keyed)),
    }
}

fn refresh(keyed: &Keyed, token: &str, proved: Proof) -> Reply {
    let params = Params::refresh(token).set("client_id", EITHER);
    keyed.world.token(&with(keyed, params, proved))
}

fn redeem(keyed: &Keyed, code: &str, proved: Proof) -> Params {
    with(keyed, Params::redeem(code).set("client_id", EITHER), proved)
}

/// Redeems a code with this proof.
fn redeemed(keyed: &Keyed, proved: Proof) -> (Granted, String) {
    let code = keyed.world.code(&Params::authorize().set("client_id", EITHER));
    (Granted::of(&keyed.world.token(&redeem(keyed, &code, proved))), code)
}

/// Asserts that the request was refused for its proof, and that the grant is as it was.
#[track_caller]
fn assert_dropped(keyed: &Keyed, reply: &Reply, alive: &Granted) {
    assert_refused(&keyed.world, reply, 400, "invalid_grant", Reason::ClientProofDropped);
    assert_eq!(keyed.world.grants()[0].record.state(), GrantState::Active);
    assert!(keyed.world.works(&alive.access));
}

#[test]
fn keys_11_i38_a_grant_asks_for_the_strongest_proof_that_it_was_given() {
    for first in ALL {
        for second in ALL {
            let keyed = keyed(keyed_policy());
            let (mut tokens, _) = redeemed(&keyed, first);
            let reply = refresh(&keyed, tokens.refresh(), second);
            if second < first {
                assert_dropped(&keyed, &reply, &tokens);
            } else {
                tokens = Granted::of(&reply);
            }
            let kept = first.max(second);
            for later in ALL.into_iter().filter(|later| *later < kept) {
                let reply = refresh(&keyed, tokens.refresh(), later);
                assert_dropped(&keyed, &reply, &tokens);
            }
            let reply = refresh(&keyed, tokens.refresh(), kept);
            assert_eq!(reply.status, 200, "{first:?}, {second:?}");
        }
    }
}

/// A server that was handed an assertion for this token endpoint ends nothing with it.
#[test]
fn i38_a_weak_proof_ends_no_grant_with_a_strong_one() {
    let keyed = keyed(keyed_policy());
    let (tokens, code) = redeemed(&keyed, Strong);
    let next = Granted::of(&refresh(&keyed, tokens.refresh(), Strong));
    // A replay, of the refresh token and of the code.
    assert_dropped(&keyed, &refresh(&keyed, tokens.refresh(), Weak), &next);
    let again = keyed.world.token(&redeem(&keyed, &code, Weak));
    assert_dropped(&keyed, &again, &next);
    for token in [next.access.clone(), next.refresh().to_owned()] {
        let revoke = Params(vec![("client_id".into(), EITHER.into()), ("token".into(), token)]);
        let reply = keyed.revoke(&with(&keyed, revoke, Weak));
        assert_dropped(&keyed, &reply, &next);
    }
    let reply = keyed.world.token(&redeem(&keyed, &code, Strong));
    assert_refused(&keyed.world, &reply, 400, "invalid_grant", Reason::CodeReused);
}

/// The assertion of a refused request is used up like any other one (SEEN-06).
#[test]
fn i38_seen_06_a_weak_proof_that_is_refused_is_used_up() {
    let keyed = keyed(keyed_policy());
    let (tokens, _) = redeemed(&keyed, Strong);
    let params = Params::refresh(tokens.refresh()).set("client_id", EITHER);
    let params = with(&keyed, params, Weak);
    assert_dropped(&keyed, &keyed.world.token(&params), &tokens);
    let reply = keyed.world.token(&params);
    let reason = Reason::ClientAssertionReplayed;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
}

/// Within a replay window, each stronger proof of a repeated refresh counts from then on.
#[test]
fn keys_11_a_stronger_proof_within_the_replay_window_counts() {
    let window = std::time::Duration::from_secs(30);
    let keyed = keyed(keyed_policy().replay_window(window));
    let (tokens, _) = redeemed(&keyed, Unproved);
    let next = Granted::of(&refresh(&keyed, tokens.refresh(), Unproved));
    for proved in [Weak, Strong] {
        let again = Granted::of(&refresh(&keyed, tokens.refresh(), proved));
        assert_eq!(next.refresh(), again.refresh());
        for weaker in ALL.into_iter().filter(|weaker| *weaker < proved) {
            assert_dropped(&keyed, &refresh(&keyed, tokens.refresh(), weaker), &next);
            assert_dropped(&keyed, &refresh(&keyed, next.refresh(), weaker), &next);
        }
    }
    assert_eq!(refresh(&keyed, next.refresh(), Strong).status, 200);
}

/// The strength is that of the first attempt when a request is decided again.
#[test]
fn i38_i17_a_repeated_decision_has_the_same_strength() {
    for proved in [Weak, Strong] {
        let keyed = keyed(keyed_policy());
        let code = keyed.world.code(&Params::authorize().set("client_id", EITHER));
        keyed.world.store.fail_at(1, Fault::Conflict);
        let tokens = Granted::of(&keyed.world.token(&redeem(&keyed, &code, proved)));
        for weaker in ALL.into_iter().filter(|weaker| *weaker < proved) {
            assert_dropped(&keyed, &refresh(&keyed, tokens.refresh(), weaker), &tokens);
        }
        keyed.world.store.fail_at(1, Fault::AppliedThenConflict);
        assert_eq!(refresh(&keyed, tokens.refresh(), proved).status, 200, "{proved:?}");
    }
}

/// What the operator has allowed, in the policy or in the record of the client, is a strong proof.
#[test]
fn keys_49_the_word_of_the_operator_makes_the_token_endpoint_a_strong_audience() {
    let too = KeyRules::default().with_audience(AssertionAudience::TokenEndpointToo);
    for (rules, is_vouched) in [(too, false), (KeyRules::default(), true)] {
        let keyed = with_either(Keyed::with(keyed_policy(), rules));
        if is_vouched {
            let keys = ClientKeys::inline(set_of("ed")).with_endpoint_audience(true);
            let client = either_client().edit().authentication(Authentication::KeysOrNone(keys));
            keyed.world.put(client.build().unwrap());
        }
        let (tokens, _) = redeemed(&keyed, Strong);
        let tokens = Granted::of(&refresh(&keyed, tokens.refresh(), Weak));
        assert_dropped(&keyed, &refresh(&keyed, tokens.refresh(), Unproved), &tokens);
    }
    let strict = KeyRules::default().with_audience(AssertionAudience::Strict);
    let keyed = with_either(Keyed::with(keyed_policy(), strict));
    let (tokens, _) = redeemed(&keyed, Unproved);
    let reply = refresh(&keyed, tokens.refresh(), Weak);
    let reason = Reason::ClientAssertionAudience;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
}

/// What only a proved client may do needs a strong proof.
#[test]
fn keys_09_49_a_weak_proof_counts_only_where_none_is_needed() {
    let introspection = IntrospectionRules::default().with_resource_server(EITHER, MCP);
    let policy = keyed_policy().introspection(introspection).machines(MachineRules::default());
    let keyed = keyed(policy);
    let token = Params(vec![("client_id".into(), EITHER.into()), ("token".into(), "x".into())]);
    let reply = keyed.introspect(&with(&keyed, token.clone(), Weak));
    let reason = Some(Reason::IntrospectionUnauthenticated);
    assert_eq!((reply.status, keyed.world.reason()), (401, reason));
    assert_eq!(keyed.introspect(&with(&keyed, token, Strong)).status, 200);

    let machine = || Params::machine().set("client_id", EITHER);
    let reply = keyed.world.token(&with(&keyed, machine(), Weak));
    let reason = Reason::ClientAssertionAudience;
    assert_refused(&keyed.world, &reply, 401, "invalid_client", reason);
    let event = keyed.world.events().pop().unwrap();
    assert_eq!(event.detail.as_deref(), Some("The aud is the token endpoint."));
    let reply = keyed.world.token(&with(&keyed, machine(), Strong));
    let reason = Reason::GrantTypeUnauthorized;
    assert_refused(&keyed.world, &reply, 400, "unauthorized_client", reason);
}

/// A client that need not prove itself counts as a public one with a weak proof (ASSERT-33).
#[test]
fn assert_33_keys_49_an_identity_assertion_needs_a_strong_proof_of_its_client() {
    const IDP: &str = "https://idp.example";
    let rules = || IdJag::new("read".parse().unwrap());
    for (rules, is_public) in
        [(rules().with_client(EITHER), false), (rules().with_public_client(EITHER), true)]
    {
        let issuer = TrustedIssuer::id_jag(IDP, set_of("ec"), rules);
        let keyed = keyed(keyed_policy().trusted_issuer(issuer));
        let claims = |jti: &str| -> Value {
            let (now, end) = (keyed.now(), keyed.now() + 60);
            json!({
                "iss": IDP, "sub": "u-1", "aud": ISSUER, "client_id": EITHER, "jti": jti,
                "iat": now, "exp": end,
            })
        };
        for proved in ALL {
            let header = json!({"typ": "oauth-id-jag+jwt"});
            let assertion = sign(&signer("ec"), &header, &claims(&format!("{proved:?}")));
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let params = Params(Vec::new()).set("grant_type", grant_type);
            let params = params.set("client_id", EITHER).set("assertion", &assertion);
            let reply = keyed.world.token(&with(&keyed, params, proved));
            // This host finds no accounts: whoever may ask gets this far.
            let (status, code, reason) = if is_public || proved == Strong {
                (503, "temporarily_unavailable", Reason::AccountLinkUnavailable)
            } else {
                (400, "unauthorized_client", Reason::GrantTypeUnauthorized)
            };
            assert_refused(&keyed.world, &reply, status, code, reason);
        }
    }
}
