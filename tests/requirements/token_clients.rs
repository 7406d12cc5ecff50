//! Tests of TOKEN: client authentication at the token endpoint (OAuth 2.1 §2.4), TOKEN-08 to -14,
//! and every grant type with every kind of client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantcore::client::StoredSecret;
use grantcore::policy::Limits;
use grantcore::value::{Digest, SecretMethod};
use grantcore::{Authorization, Client, Reason, Reply, RequestParts};

use crate::support::params::Params;
use crate::support::refused::wire;
use crate::support::steps::form;
use crate::support::{
    Answered, CALLBACK, Granted, ISSUER, SECRET, World, assert_refused, json, policy,
};

/// Returns the value of a Basic header: each half is form-encoded, then both are base64-encoded.
pub(crate) fn basic(id: &str, secret: &str) -> Vec<u8> {
    let half =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    pair(&format!("{}:{}", half(id), half(secret)))
}

fn pair(text: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(text)).into_bytes()
}

fn confidential(id: &str, method: SecretMethod, secret: &str) -> Client {
    Client::confidential(id, method, StoredSecret::Digest(Digest::of(secret.as_bytes())))
        .redirect_uri(CALLBACK)
        .build()
        .unwrap()
}

/// Returns a world with the further client `basic`, which registered `client_secret_basic`.
pub(crate) fn world() -> World {
    let world = World::new();
    world.put(confidential("basic", SecretMethod::Basic, SECRET));
    world
}

/// Returns a refresh that is refused for its token once its client is authenticated.
pub(crate) fn probe(client: &str) -> Params {
    Params::refresh("x").set("client_id", client)
}

#[track_caller]
pub(crate) fn authenticated(world: &World, reply: &Reply) {
    assert_refused(world, reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

#[track_caller]
pub(crate) fn unauthenticated(world: &World, reply: &Reply, reason: Reason) {
    assert_refused(world, reply, 401, "invalid_client", reason);
}

#[test]
fn token_08_confidential_clients_authenticate_as_registered() {
    let world = world();
    for client in ["web", "basic"] {
        unauthenticated(&world, &world.token(&probe(client)), Reason::ClientSecretMissing);
        unauthenticated(
            &world,
            &world.token(&probe(client).set("client_secret", "")),
            Reason::ClientSecretMissing,
        );
    }
    unauthenticated(
        &world,
        &world.token_with(&probe("web"), &basic("web", SECRET)),
        Reason::ClientMethodMismatch,
    );
    unauthenticated(
        &world,
        &world.token(&probe("basic").set("client_secret", SECRET)),
        Reason::ClientMethodMismatch,
    );
    let lenient = World::with(policy().lenient_on_method(true));
    authenticated(&lenient, &lenient.token_with(&probe("web"), &basic("web", SECRET)));
    unauthenticated(
        &lenient,
        &lenient.token_with(&probe("web"), &basic("web", "wrong")),
        Reason::ClientSecretWrong,
    );
}

#[test]
fn token_09_a_secret_in_the_body_authenticates() {
    let world = World::new();
    authenticated(&world, &world.token(&probe("web").set("client_secret", SECRET)));
    for wrong in [
        "wrong",
        "A-SECRET-OF-A-CONFIDENTIAL-CLIENT-0123456789",
        &SECRET[1..],
        &format!("{SECRET} "),
    ] {
        unauthenticated(
            &world,
            &world.token(&probe("web").set("client_secret", wrong)),
            Reason::ClientSecretWrong,
        );
    }
}

#[test]
fn token_10_both_halves_of_basic_are_form_encoded() {
    let world = World::new();
    let id = "a:b%c+d e";
    let secret = "s:e%c+r e/é=";
    world.put(confidential(id, SecretMethod::Basic, secret));
    let bare = Params::refresh("x").without("client_id");
    authenticated(&world, &world.token_with(&bare, &basic(id, secret)));
    // Some clients escape every character that is not a letter or digit, some encode a space as
    // %20. The first colon separates the halves.
    let all = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat();
    authenticated(&world, &world.token_with(&bare, &pair(&format!("{}:{}", all(id), all(secret)))));
    authenticated(&world, &world.token_with(&bare, &pair("a%3Ab%25c%2Bd%20e:s:e%25c%2Br+e/é=")));
    for scheme in ["basic", "BASIC", "bAsIc", "Basic "] {
        let header = String::from_utf8(basic(id, secret)).unwrap().replace("Basic", scheme);
        authenticated(&world, &world.token_with(&bare, header.as_bytes()));
    }
    unauthenticated(&world, &world.token_with(&bare, &basic("é", "x")), Reason::ClientUnknown);
    assert_eq!(
        world.events().last().unwrap().claimed.as_deref(),
        Some("\\u{e9}"),
        "decoded, and escaped for the log"
    );
}

#[test]
fn token_10_undecodable_credentials_fail_authentication() {
    let world = world();
    let text = |text: &str| text.as_bytes().to_vec();
    let raw = STANDARD.encode(b"basic:\xFF\xFE");
    let bad = [
        text("Basic !!!"),
        text("Basic"),
        text("Basic "),
        pair("no colon"),
        pair("a:%zz"),
        pair("%zz:a"),
        pair("a:%FF"),
    ];
    let others = [
        text(&format!("Basic {raw}")),
        text("Bearer x"),
        text("BasicYTpi"),
        text(""),
        text("Basic YTpi YTpi"),
    ];
    for header in bad.into_iter().chain(others) {
        let reply = world.token_with(&probe("basic"), &header);
        unauthenticated(&world, &reply, Reason::CredentialsMalformed);
        assert!(reply.header("www-authenticate").is_some());
    }
}

#[test]
fn token_11_one_mechanism_and_one_client() {
    let world = world();
    let header = basic("basic", SECRET);
    let mixed = |params: &Params| {
        let reply = world.token_with(params, &header);
        assert_refused(&world, &reply, 400, "invalid_request", Reason::SeveralAuthentications);
    };
    mixed(&probe("basic").set("client_secret", SECRET));
    mixed(&probe("web"));
    mixed(&probe("Basic"));
    // One client names itself in the body too, with the same id and without a second secret.
    authenticated(&world, &world.token_with(&probe("basic"), &header));
    authenticated(&world, &world.token_with(&probe("basic").without("client_id"), &header));
    let body = probe("basic").encode();
    let twice = RequestParts { authorization: Authorization::Several, ..form(&body) };
    assert_refused(
        &world,
        &world.server.token(&twice).answered(world.server.policy()),
        400,
        "invalid_request",
        Reason::SeveralAuthentications,
    );
}

/// What proves a client, and does not name it, authenticates nobody.
#[test]
fn token_11_a_secret_alone_names_no_client() {
    let world = world();
    let alone = Params::refresh("x").without("client_id").set("client_secret", SECRET);
    let reply = world.token(&alone);
    assert_eq!((reply.status, json(&reply)["error"].as_str()), (400, Some("invalid_request")));
}

#[test]
fn token_12_a_public_client_names_itself_and_has_no_secret() {
    let world = World::new();
    for params in
        [probe("app").without("client_id"), probe(""), probe("").and("client_secret", SECRET)]
    {
        world.refused(&params, 400, "invalid_request", Reason::ClientIdMissing);
    }
    unauthenticated(
        &world,
        &world.token(&probe("app").set("client_secret", SECRET)),
        Reason::ClientSecretUnexpected,
    );
    for secret in [SECRET, ""] {
        let reply = world.token_with(&probe("app"), &basic("app", secret));
        unauthenticated(&world, &reply, Reason::ClientSecretUnexpected);
    }
    authenticated(&world, &world.token(&probe("app")));
    // The id of a public client proves nothing: another client that claims it cannot redeem its own
    // code.
    let code = world.code(&Params::authorize().by_web());
    world.invalid_grant(&Params::redeem(&code), Reason::CodeClientMismatch);
}

#[test]
fn token_13_failed_authentication_carries_a_basic_challenge() {
    let world = world();
    let challenge = format!("Basic realm=\"{ISSUER}\"");
    let failed = [
        world.token_with(&probe("basic"), &basic("basic", "wrong")),
        world.token_with(&probe("basic"), b"Basic !!!"),
        world.token(&probe("web").set("client_secret", "wrong")),
        world.token(&probe("unknown")),
    ];
    for reply in failed {
        assert_eq!((reply.status, json(&reply)["error"].as_str()), (401, Some("invalid_client")));
        assert_eq!(reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").count(), 1);
        assert_eq!(reply.header("www-authenticate"), Some(challenge.as_str()));
    }
    assert_eq!(world.token(&probe("app")).header("www-authenticate"), None);
}

/// Returns the requests by which an attacker could probe whether a client exists, with and without
/// a secret, and the reason of each refusal. Each is sent thirteen times.
pub(crate) fn probes(world: &World) -> [Vec<(Params, Reason)>; 2] {
    let secret = |client: &str, secret: &str| probe(client).set("client_secret", secret);
    let public =
        |id: &str| Client::public(id).redirect_uri(CALLBACK).build().unwrap().deactivated();
    world.put(confidential("gone", SecretMethod::Post, SECRET).deactivated());
    world.put(confidential("gone without", SecretMethod::Post, SECRET).deactivated());
    world.put(public("public gone"));
    world.put(public("public gone with"));
    let with = vec![
        (secret("unknown", SECRET), Reason::ClientUnknown),
        (secret("web", "wrong"), Reason::ClientSecretWrong),
        (secret("gone", SECRET), Reason::ClientDeactivated),
    ];
    let without = vec![
        (probe("unknown without"), Reason::ClientUnknown),
        (probe("web"), Reason::ClientSecretMissing),
        (probe("gone without"), Reason::ClientDeactivated),
        (probe("public gone"), Reason::ClientDeactivated),
    ];
    [with, without]
}

#[test]
fn token_14_unknown_deactivated_and_wrong_have_equal_responses() {
    let world = World::new();
    for alike in probes(&world) {
        let answers = alike.into_iter().rev().map(|(params, reason)| {
            let first = world.token(&params);
            unauthenticated(&world, &first, reason);
            let rest = (0..12).map(|_| wire(&world.token(&params)));
            (reason, std::iter::once(wire(&first)).chain(rest).collect::<Vec<_>>())
        });
        let answers: Vec<_> = answers.collect();
        for (reason, answer) in &answers {
            assert_eq!(*answer, answers[0].1, "{reason:?}");
        }
    }
}

/// How a request authenticates, each with the right secret and a wrong one.
const PROOFS: [&str; 5] = ["nothing", "wrong post", "wrong basic", "right post", "right basic"];

/// For each kind of client, the outcome of each authentication: success, or this reason.
const KINDS: [(&str, [Option<Reason>; 5]); 4] = {
    use Reason::{
        ClientMethodMismatch as Method, ClientSecretMissing as Missing,
        ClientSecretUnexpected as Unexpected, ClientSecretWrong as Wrong,
    };
    [
        ("app", [None, Some(Unexpected), Some(Unexpected), Some(Unexpected), Some(Unexpected)]),
        ("post", [Some(Missing), Some(Wrong), Some(Wrong), None, Some(Method)]),
        ("basic", [Some(Missing), Some(Wrong), Some(Wrong), Some(Method), None]),
        ("slow", [Some(Missing), Some(Wrong), Some(Wrong), None, Some(Method)]),
    ]
};

/// Sends the request as this client, with this authentication.
fn proven(world: &World, params: Params, client: &str, proof: &str) -> Reply {
    let params = params.set("client_id", client);
    match proof.split_once(' ') {
        None => world.token(&params),
        Some((secret, method)) => {
            let secret = if secret == "right" { SECRET } else { "wrong" };
            if method == "post" {
                world.token(&params.set("client_secret", secret))
            } else {
                world.token_with(&params, &basic(client, secret))
            }
        }
    }
}

/// A provider checked the secret for codes and not for refresh tokens.
#[test]
fn ghsa_pw9m_5jxm_xr6h_refresh_needs_the_secret() {
    let policy = || {
        let limits =
            policy().slow_hash(|secret, hash| hash == "slow" && secret == SECRET.as_bytes(), "");
        limits.limits(Limits::default().with_failed_authentications_per_minute(60))
    };
    for (client, outcomes) in KINDS {
        let world = World::with(policy());
        world.put(confidential("post", SecretMethod::Post, SECRET));
        world.put(confidential("basic", SecretMethod::Basic, SECRET));
        let slow =
            Client::confidential("slow", SecretMethod::Post, StoredSecret::SlowHash("slow".into()));
        world.put(slow.redirect_uri(CALLBACK).build().unwrap());
        let right = PROOFS[outcomes.iter().position(Option::is_none).unwrap()];
        let code = || world.code(&Params::authorize().set("client_id", client));
        for (proof, outcome) in PROOFS.into_iter().zip(outcomes) {
            let redeem = Params::redeem(&code());
            let tokens = Granted::of(&proven(&world, Params::redeem(&code()), client, right));
            let refresh = Params::refresh(tokens.refresh());
            let unsupported = ["client_credentials", "password"]
                .map(|name| refresh.clone().set("grant_type", name));
            let commits = world.store.commits();
            match outcome {
                None => {
                    assert_eq!((proof, proven(&world, redeem, client, proof).status), (right, 200));
                    assert_eq!(proven(&world, refresh, client, proof).status, 200);
                    for params in unsupported {
                        let reply = proven(&world, params, client, proof);
                        assert_refused(
                            &world,
                            &reply,
                            400,
                            "unsupported_grant_type",
                            Reason::GrantTypeUnsupported,
                        );
                    }
                }
                Some(reason) => {
                    for params in [redeem.clone(), refresh.clone()].into_iter().chain(unsupported) {
                        unauthenticated(&world, &proven(&world, params, client, proof), reason);
                    }
                    assert_eq!(world.store.commits(), commits, "{client} with {proof}");
                    assert_eq!(proven(&world, redeem, client, right).status, 200);
                    assert_eq!(proven(&world, refresh, client, right).status, 200);
                }
            }
        }
    }
}

/// A provider accepted the verifier in place of the secret.
#[test]
fn ghsa_q9xg_f2v2_695g_a_verifier_does_not_replace_the_secret() {
    let world = World::new();
    let redeem = Params::redeem(&world.code(&Params::authorize().by_web())).by_web();
    world.refused(
        &redeem.clone().without("client_secret"),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
    // The id of another client is not accepted, because the code belongs to the client that must
    // authenticate.
    world.invalid_grant(
        &redeem.clone().set("client_id", "app").without("client_secret"),
        Reason::CodeClientMismatch,
    );
    Granted::of(&world.token(&redeem));
}
