//! Tests of PKCE: the challenge at the authorization endpoint and the verifier at the token
//! endpoint (RFC 7636).

use grantcore::grant::Grant;
use grantcore::value::Digest;
use grantcore::{Choice, Client, Reason};
use serde_json::Value;

use crate::support::params::Params;
use crate::support::refused::{self, assert_redir_to};
use crate::support::sources::sources;
use crate::support::store::Fault;
use crate::support::{
    CALLBACK, CHALLENGE, Granted, VERIFIER, World, assert_refused, json, param, policy, user,
};

/// Asserts that the request is refused by a redirect with `invalid_request` for this reason, and
/// that nothing is written.
#[track_caller]
fn refused(world: &World, params: &Params, reason: Reason) {
    let commits = world.store.commits();
    let refusal = refused::refused(world, params);
    let (_, uri) = params.0.iter().find(|(name, _)| name == "redirect_uri").unwrap();
    assert_redir_to(world, &refusal, uri, Some("xyz"), "invalid_request", reason);
    assert_eq!(world.store.commits(), commits);
}

/// Returns `BASE64URL(SHA-256(verifier))`, which is the text of a digest.
fn challenge_of(verifier: &str) -> String {
    match serde_json::to_value(Digest::of(verifier.as_bytes())) {
        Ok(Value::String(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Redeems a code of this challenge with this verifier, and returns the response.
fn redeemed(challenge: &str, verifier: &str) -> (World, grantcore::Reply) {
    let world = World::new();
    let code = world.code(&Params::authorize().set("code_challenge", challenge));
    let reply = world.token(&Params::redeem(&code).set("code_verifier", verifier));
    (world, reply)
}

#[track_caller]
fn mismatched(challenge: &str, verifier: &str, reason: Reason) {
    let (world, reply) = redeemed(challenge, verifier);
    assert_refused(&world, &reply, 400, "invalid_grant", reason);
}

#[test]
fn pkce_01_every_client_needs_a_challenge() {
    let world = World::new();
    for request in [Params::authorize(), Params::authorize().by_web()] {
        refused(&world, &request.clone().without("code_challenge"), Reason::PkceMissing);
        refused(&world, &request.clone().set("code_challenge", ""), Reason::PkceMissing);
        refused(
            &world,
            &request.without("code_challenge").without("code_challenge_method"),
            Reason::PkceMissing,
        );
    }
    let description = Reason::PkceMissing.description();
    assert!(
        description.contains("code challenge is required")
            && description.contains("code_challenge_method=S256"),
        "{description}"
    );
}

#[test]
fn pkce_02_only_s256_is_supported() {
    let world = World::new();
    for method in ["plain", "s256", "S512", "S256 ", "PLAIN", "none"] {
        refused(
            &world,
            &Params::authorize().set("code_challenge_method", method),
            Reason::PkceMethod,
        );
    }
}

#[test]
fn pkce_03_no_method_means_plain_and_is_refused() {
    let world = World::new();
    refused(
        &world,
        &Params::authorize().without("code_challenge_method"),
        Reason::PkceMethodMissing,
    );
    refused(
        &world,
        &Params::authorize().set("code_challenge_method", ""),
        Reason::PkceMethodMissing,
    );
    let description = Reason::PkceMethodMissing.description();
    assert!(
        description.contains("plain") && description.contains("code_challenge_method=S256"),
        "{description}"
    );
}

#[test]
fn pkce_04_a_challenge_is_43_base64url_characters() {
    let world = World::new();
    let with = |last: &str| format!("{}{last}", &CHALLENGE[..42]);
    let bad = [
        with(""),
        with("MA"),
        with("="),
        with("+"),
        with("/"),
        with("."),
        with("~"),
        with(" "),
        with("é"),
        with("M="),
    ];
    for challenge in bad {
        refused(
            &world,
            &Params::authorize().set("code_challenge", &challenge),
            Reason::PkceMalformed,
        );
    }
    world.code(&Params::authorize().set("code_challenge", CHALLENGE));
}

#[test]
fn pkce_05_a_method_in_the_token_request_is_ignored() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    for method in ["plain", "S256", "S512"] {
        let plain = Params::redeem(&code)
            .set("code_verifier", CHALLENGE)
            .and("code_challenge_method", method);
        world.invalid_grant(&plain.and("code_challenge", CHALLENGE), Reason::VerifierIsChallenge);
    }
    Granted::of(&world.token(&Params::redeem(&code).and("code_challenge_method", "plain")));
}

#[test]
fn pkce_06_the_verifiers_hash_is_the_challenge() {
    assert_eq!(challenge_of(VERIFIER), CHALLENGE, "RFC 7636, appendix B");
    Granted::of(&redeemed(CHALLENGE, VERIFIER).1);
    for position in 0..VERIFIER.len() {
        let mut changed = VERIFIER.to_owned();
        changed.replace_range(
            position..=position,
            if &changed[position..=position] == "A" { "B" } else { "A" },
        );
        mismatched(CHALLENGE, &changed, Reason::VerifierMismatch);
        let mut changed = CHALLENGE.to_owned();
        changed.replace_range(
            position..=position,
            if &changed[position..=position] == "A" { "B" } else { "A" },
        );
        mismatched(&changed, VERIFIER, Reason::VerifierMismatch);
    }
}

#[test]
fn pkce_07_a_malformed_verifier_never_verifies() {
    let of = |length| "aZ9-._~x".repeat(16)[..length].to_owned();
    for length in [43, 128] {
        Granted::of(&redeemed(&challenge_of(&of(length)), &of(length)).1);
    }
    let bad = [
        of(42),
        format!("{}x", of(128)),
        format!("{}=", of(43)),
        format!("{} x", of(43)),
        format!("{}%", of(43)),
        "é".repeat(30),
    ];
    for verifier in bad {
        mismatched(&challenge_of(&verifier), &verifier, Reason::VerifierMalformed);
    }
}

#[test]
fn pkce_08_a_verifier_is_required() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    for params in [
        Params::redeem(&code).without("code_verifier"),
        Params::redeem(&code).set("code_verifier", ""),
    ] {
        world.refused(&params, 400, "invalid_request", Reason::VerifierMissing);
    }
    Granted::of(&world.token(&Params::redeem(&code)));
}

/// Removes every member of this name from a record, and returns how many there were.
fn without(record: &mut Value, name: &str) -> usize {
    match record {
        Value::Object(members) => {
            let found = usize::from(members.remove(name).is_some());
            found + members.values_mut().map(|member| without(member, name)).sum::<usize>()
        }
        Value::Array(items) => items.iter_mut().map(|item| without(item, name)).sum(),
        _ => 0,
    }
}

/// Asserts that no stored record decodes without a challenge, or with one that is not S256.
#[track_caller]
fn decode_with_a_challenge_only(world: &World, records: usize) {
    let grants = world.grants();
    assert_eq!(grants.len(), records);
    for stored in grants {
        let whole = serde_json::to_value(&*stored.record).unwrap();
        assert_eq!(serde_json::from_value::<Grant>(whole.clone()).unwrap(), *stored.record);
        for other in [
            Value::Null,
            Value::from(""),
            Value::from("plain"),
            Value::from(VERIFIER.replace('-', "~")),
        ] {
            let text = whole.to_string().replace(&format!("\"{CHALLENGE}\""), &other.to_string());
            assert!(serde_json::from_str::<Grant>(&text).is_err(), "{text}");
        }
        let mut bare = whole;
        assert_eq!(without(&mut bare, "code_challenge"), 1);
        assert!(serde_json::from_value::<Grant>(bare).is_err());
    }
}

#[test]
fn pkce_09_no_record_of_a_code_lacks_a_challenge() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    decode_with_a_challenge_only(&world, 1);
    drop(world.decide(&ticket, Choice::Allow).unwrap());
    decode_with_a_challenge_only(&world, 1);
    world.tokens();
    decode_with_a_challenge_only(&world, 2);
}

/// A provider skipped PKCE at the token endpoint if no challenge was stored.
#[test]
fn ghsa_qgp8_v765_qxx9_no_code_exists_without_a_challenge() {
    let world = World::new();
    refused(&world, &Params::authorize().without("code_challenge"), Reason::PkceMissing);
    assert!(world.grants().is_empty());
}

/// A request of a confidential client without its challenge gets no code, although the client has a
/// secret.
#[test]
fn ghsa_x637_x8p3_5p22_a_secret_does_not_replace_the_verifier() {
    let world = World::new();
    let request = Params::authorize().by_web();
    refused(
        &world,
        &request.clone().without("code_challenge").without("code_challenge_method"),
        Reason::PkceMissing,
    );
    let redeem = Params::redeem(&world.code(&request)).by_web();
    world.refused(
        &redeem.clone().without("code_verifier"),
        400,
        "invalid_request",
        Reason::VerifierMissing,
    );
    Granted::of(&world.token(&redeem));
}

/// By default only S256 is offered and accepted.
#[test]
fn ghsa_9h47_pqcx_hjr4_plain_is_neither_offered_nor_accepted() {
    let world = World::new();
    let metadata = json(&world.server.policy().server_metadata());
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    let plain =
        Params::authorize().set("code_challenge", VERIFIER).set("code_challenge_method", "plain");
    refused(&world, &plain, Reason::PkceMethod);
}

#[test]
fn pkce_10_the_hash_in_place_of_the_verifier_is_explained() {
    mismatched(CHALLENGE, CHALLENGE, Reason::VerifierIsChallenge);
    assert!(
        Reason::VerifierIsChallenge
            .description()
            .contains("Send the original verifier, not its hash")
    );
}

#[test]
fn pkce_11_comparison_finds_every_difference() {
    let digest = Digest::of(VERIFIER.as_bytes());
    assert!(digest.matches(&Digest::of(VERIFIER.as_bytes())));
    let bytes = serde_json::to_string(&digest).unwrap();
    for position in 1..=43 {
        // The last character has two bits that must be zero.
        let other = if &bytes[position..=position] == "A" { "E" } else { "A" };
        let mut changed = bytes.clone();
        changed.replace_range(position..=position, other);
        assert!(!digest.matches(&serde_json::from_str(&changed).unwrap()), "{position}");
    }
}

#[test]
fn i27_secrets_are_compared_with_the_constant_time_primitive() {
    let values = sources("src/value");
    let source = |file: &str| &values.iter().find(|(path, _)| path.ends_with(file)).unwrap().1;
    for (file, function, end, call) in [
        ("pkce.rs", "fn verify(", "\n    }", "is_equal("),
        ("secret.rs", "pub fn matches(", "\n    }", "is_equal("),
        ("secret.rs", "fn is_equal<", "\n}", "difference.ct_eq(&0)"),
    ] {
        let body = source(file).split_once(function).unwrap().1.split(end).next().unwrap();
        assert!(body.contains(call) && !body.contains("=="), "{file}: {body}");
    }
    for (file, code) in sources("src/decide") {
        for line in code.lines().filter(|line| line.contains("digest") || line.contains("secret")) {
            assert!(!line.contains("==") && !line.contains("!="), "{file}: {line}");
        }
    }
}

/// Both limits occur in practice: one client sends 128 characters of the whole alphabet, others
/// send 43 to 64.
#[test]
fn pkce_07_every_client_type_has_its_verifier_checked() {
    let world = World::new();
    world.put(Client::public("cli").redirect_uri(CALLBACK).build().unwrap());
    let request = Params::authorize().set("client_id", "cli");
    let redeem = Params::redeem(&world.code(&request)).set("client_id", "cli");
    world.invalid_grant(
        &redeem.clone().set("code_verifier", &"0".repeat(43)),
        Reason::VerifierMismatch,
    );
    Granted::of(&world.token(&redeem));
    let redeem = Params::redeem(&world.code(&Params::authorize().by_web())).by_web();
    world.invalid_grant(
        &redeem.clone().set("code_verifier", &"0".repeat(43)),
        Reason::VerifierMismatch,
    );
    Granted::of(&world.token(&redeem));
}

#[test]
fn pkce_12_a_challenge_is_used_once_if_the_policy_requires_it() {
    let world = World::with(policy().refuse_reused_challenges(true));
    let other = Params::authorize().set("code_challenge", &"A".repeat(43));
    let first = world.page(&Params::authorize()).ticket();
    // A reload is not a second use: the newer page replaces the earlier one.
    let reloaded = world.page(&Params::authorize()).ticket();
    assert_eq!(world.decide(&first, Choice::Allow).unwrap_err().reason(), Reason::TicketUnknown);
    let stranger = world.authorize_as(&Params::authorize(), Some(user("bob", b"bob's browser")));
    assert_eq!(stranger.map(|_| ()).unwrap_err().reason(), Reason::PkceChallengeReused);
    let location = world.decide(&reloaded, Choice::Allow).unwrap().into_location();
    refused(&world, &Params::authorize(), Reason::PkceChallengeReused);
    let tokens = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    refused(&world, &Params::authorize(), Reason::PkceChallengeReused);
    assert!(world.works(&tokens.access), "a refusal changes nothing");
    world.code(&other);
    world.put(Client::public("cli").redirect_uri(CALLBACK).build().unwrap());
    world.code(&other.set("client_id", "cli"));
}

#[test]
fn pkce_12_is_off_by_default() {
    let world = World::new();
    let codes = [world.code(&Params::authorize()), world.code(&Params::authorize())];
    for code in codes {
        Granted::of(&world.token(&Params::redeem(&code)));
    }
}

#[test]
fn pkce_12_a_requests_own_commit_does_not_count_as_a_second_use() {
    for fault in [Fault::AppliedThenConflict, Fault::Conflict] {
        let world = World::with(policy().refuse_reused_challenges(true));
        world.store.fail([fault]);
        assert!(world.authorize(&Params::authorize()).is_ok(), "{fault:?}");
        assert_eq!(world.store.inner.counts().grants, 1);
    }
}
