//! Tests of the seed's section on `invalid_grant`, one for each sentence: the error state, the
//! texts for client and operator, and that the named fix works. Each test quotes its sentence.

use grantcore::value::Digest;
use grantcore::{Reason, Reply};

use crate::support::params::Params;
use crate::support::steps::DAY;
use crate::support::{CALLBACK, CHALLENGE, Granted, VERIFIER, World, assert_refused, json};

/// Asserts the response to the client: 400, `invalid_grant` and this description, which is also in
/// the event.
#[track_caller]
fn client_reads(world: &World, reply: &Reply, sentence: &str) {
    let reason = world.reason().unwrap();
    assert_refused(world, reply, 400, "invalid_grant", reason);
    assert_eq!(json(reply)["error_description"], sentence);
}

/// Asserts the operator's texts of the latest event: the reason, its cause and its fix.
#[track_caller]
fn operator_reads(world: &World, reason: &str, cause: &str, fix: &str) {
    let event = world.events().pop().unwrap();
    let seen = event.reason.unwrap();
    assert_eq!((seen.name(), seen.cause(), seen.fix()), (reason, cause, fix));
    assert_eq!(event.client.as_ref().map(grantcore::value::ClientId::as_str), Some("app"));
}

/// Asserts the fix of most states: a whole new flow works, under a new grant.
#[track_caller]
fn restart_works(world: &World) -> Granted {
    let before = world.grants().len();
    let tokens = world.tokens();
    assert!(world.works(&tokens.access) && world.grants().len() == before + 1);
    tokens
}

// "Symptom: after consent, your client posts to /oauth/token and gets back
// {"error":"invalid_grant"}."
#[test]
fn seed_s18_after_consent_the_token_endpoint_answers_invalid_grant() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let reply = world.token(&Params::redeem(&code.to_lowercase()));
    client_reads(&world, &reply, "The authorization code is not valid. Restart the flow.");
    assert!(reply.body.starts_with(r#"{"error":"invalid_grant""#), "{}", reply.body);
    operator_reads(
        &world,
        "code_unknown",
        "The code was never issued by this server, is malformed, or its grant no longer exists.",
        "Restart the flow. Check that the code reaches the token request unchanged.",
    );
    assert!(
        world.works(&Granted::of(&world.token(&Params::redeem(&code))).access),
        "unchanged, it works"
    );
}

// "Authorization code expired or already redeemed."
#[test]
fn seed_s19_code_expired_or_redeemed() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    world.at(660);
    let reply = world.token(&Params::redeem(&code));
    client_reads(&world, &reply, "The authorization code has expired. Restart the flow.");
    operator_reads(
        &world,
        "code_expired",
        "The code was redeemed too late.",
        "Restart the flow, and redeem the code at once.",
    );
    restart_works(&world);

    let code = world.code(&Params::authorize());
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    let reply = world.token(&Params::redeem(&code));
    client_reads(
        &world,
        &reply,
        "The authorization code was already redeemed. All tokens issued from it are revoked. \
         Restart the flow.",
    );
    operator_reads(
        &world,
        "code_reused",
        "The code was redeemed a second time, by a request that was valid in all else: the client \
         retried, or the code leaked. The grant is revoked.",
        "Restart the flow. If the client does not retry, find out where the code leaked.",
    );
    world.dead(&tokens.access, Reason::TokenRevoked);
    restart_works(&world);
}

// "Codes are single-use and live for 10 minutes."
#[test]
fn seed_s20_codes_are_single_use_and_live_ten_minutes() {
    for (age, status) in [(9 * 60, 200), (10 * 60 - 1, 200), (10 * 60, 400)] {
        let world = World::new();
        let code = world.code(&Params::authorize());
        world.at(age);
        assert_eq!(world.token(&Params::redeem(&code)).status, status, "after {age} s");
        assert_eq!(world.token(&Params::redeem(&code)).status, 400, "a second time");
    }
}

// "Restart the flow." An ended code stays ended, and a new one works at once.
#[test]
fn seed_s21_restarting_the_flow_is_the_cure() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    world.at(600);
    for _ in 0..2 {
        world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
        restart_works(&world);
    }
}

// "Wrong PKCE verifier."
#[test]
fn seed_s22_wrong_verifier() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let reply =
        world.token(&Params::redeem(&code).set("code_verifier", &VERIFIER.replace('k', "K")));
    client_reads(&world, &reply, "The code_verifier does not match the code_challenge.");
    operator_reads(
        &world,
        "pkce_mismatch",
        "The hash of the verifier is not the challenge of the authorization request.",
        "Send the verifier of the same authorization request. A client that runs two flows at \
         once may mix them up.",
    );
    Granted::of(&world.token(&Params::redeem(&code)));
}

// "The code_verifier you POST must match the code_challenge you sent at /oauth/authorize." Two
// parallel flows are mixed up.
#[test]
fn seed_s23_the_verifier_belongs_to_the_challenge_of_its_own_request() {
    let world = World::new();
    let other = "another-verifier-of-another-tab-0123456789-abcdef";
    let challenge = serde_json::to_value(Digest::of(other.as_bytes())).unwrap();
    let one = world.code(&Params::authorize());
    let two = world.code(&Params::authorize().set("code_challenge", challenge.as_str().unwrap()));
    world
        .invalid_grant(&Params::redeem(&one).set("code_verifier", other), Reason::VerifierMismatch);
    world.invalid_grant(&Params::redeem(&two), Reason::VerifierMismatch);
    Granted::of(&world.token(&Params::redeem(&one)));
    Granted::of(&world.token(&Params::redeem(&two).set("code_verifier", other)));
}

// "… double-check that your verifier is the original random string (43–128 URL-safe characters) and
// not the base64 hash of it."
#[test]
fn seed_s24_the_original_random_string_and_not_its_hash() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let fix = "Send the original random string of 43 to 128 URL-safe characters.";
    let reply = world.token(&Params::redeem(&code).set("code_verifier", CHALLENGE));
    client_reads(
        &world,
        &reply,
        "The code_verifier is the code_challenge itself. Send the original verifier, not its hash.",
    );
    let cause = "The client posted the hash in place of the original random string.";
    operator_reads(&world, "pkce_verifier_is_challenge", cause, fix);
    for malformed in [&VERIFIER[..42], &"x".repeat(129), &format!("{VERIFIER}=")] {
        let reply = world.token(&Params::redeem(&code).set("code_verifier", malformed));
        client_reads(&world, &reply, "The code_verifier is not 43 to 128 unreserved characters.");
        let cause = "The verifier is too short, too long, or has a character that is not allowed.";
        operator_reads(&world, "pkce_verifier_malformed", cause, fix);
    }
    Granted::of(&world.token(&Params::redeem(&code).set("code_verifier", VERIFIER)));
}

// "redirect_uri does not match."
#[test]
fn seed_s25_the_redirect_uri_does_not_match() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let reply = world.token(&Params::redeem(&code).set("redirect_uri", "https://app.example/cb/"));
    client_reads(
        &world,
        &reply,
        "The redirect_uri does not match the one of the authorization request.",
    );
    operator_reads(
        &world,
        "token_redirect_uri_mismatch",
        "The redirect URI of the token request is not the one of the authorization request. The \
         port of a loopback URI counts.",
        "Send the same redirect_uri in both requests.",
    );
    Granted::of(&world.token(&Params::redeem(&code).set("redirect_uri", CALLBACK)));
}

// "The same redirect_uri used at the authorize step must be sent again on the token exchange."
#[test]
fn seed_s26_the_same_redirect_uri_must_be_sent_again() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let reply = world.token(&Params::redeem(&code).without("redirect_uri"));
    client_reads(
        &world,
        &reply,
        "The redirect_uri of the authorization request must be sent again.",
    );
    operator_reads(
        &world,
        "token_redirect_uri_missing",
        "redirect_uri was sent to the authorization endpoint but left out of the token request.",
        "Send the same redirect_uri in both requests.",
    );
    Granted::of(&world.token(&Params::redeem(&code).set("redirect_uri", CALLBACK)));
}

const REUSED: &str = "The refresh token was already rotated. All tokens of this connection are \
    revoked. Authorize again.";
const REVOKED: &str = "The connection was revoked. Authorize again.";

// "Refresh-token reuse."
#[test]
fn seed_s27_refresh_token_reuse() {
    let world = World::new();
    let first = world.tokens();
    world.refreshed(first.refresh());
    let reply = world.token(&Params::refresh(first.refresh()));
    client_reads(&world, &reply, REUSED);
    operator_reads(
        &world,
        "refresh_reused",
        "A refresh token was presented after its rotation: it leaked, a response was lost, or two \
         processes share the token. The grant is revoked.",
        "Authorize again. For clients that retry or share tokens, set a replay window in the \
         policy.",
    );
    restart_works(&world);
}

// "If you submit a refresh token that has already been rotated, OAuth 2.1 requires us to revoke the
// entire grant family."
#[test]
fn seed_s28_a_rotated_token_revokes_the_entire_family() {
    let world = World::new();
    let mut family = vec![world.tokens()];
    for day in 1..=3 {
        world.at(day * DAY);
        family.push(world.refreshed(family.last().unwrap().refresh()));
    }
    let other = world.tokens();
    let reply = world.token(&Params::refresh(family[1].refresh()));
    client_reads(&world, &reply, REUSED);
    for tokens in &family {
        let reply = world.token(&Params::refresh(tokens.refresh()));
        client_reads(&world, &reply, REVOKED);
        world.dead(&tokens.access, Reason::TokenRevoked);
    }
    assert!(
        world.works(&other.access),
        "another connection of the same user and client is another family"
    );
    world.refreshed(other.refresh());
}

// "Re-authorise from the consent screen — your previous tokens are gone for good."
#[test]
fn seed_s29_previous_tokens_are_gone_for_good() {
    let world = World::new();
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    let reply = world.token(&Params::refresh(first.refresh()));
    client_reads(&world, &reply, REUSED);
    let fresh = restart_works(&world);
    for at in [0, 1, DAY, 0] {
        world.at(at);
        for tokens in [&first, &second] {
            let reply = world.token(&Params::refresh(tokens.refresh()));
            client_reads(&world, &reply, REVOKED);
            operator_reads(
                &world,
                "grant_revoked",
                "The grant was revoked: by its user, an administrator, or because a code or \
                 refresh token was used twice.",
                "Authorize again from the consent screen. The audit log of this grant names what \
                 revoked it.",
            );
            assert!(!world.works(&tokens.access));
        }
    }
    assert!(world.works(&fresh.access) && world.works(&world.refreshed(fresh.refresh()).access));
}
