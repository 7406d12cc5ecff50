//! Tests of CODE: authorization codes (OAuth 2.1 §4.1.2, §4.1.3).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::blocking::Store;
use grantcore::grant::GrantState;
use grantcore::moment::Entropy;
use grantcore::policy::{Lifetimes, LifetimesError, PolicyError, TokenRedirectUri};
use grantcore::request::{ConsentDecision, TokenRequest};
use grantcore::store::Commit;
use grantcore::value::Subject;
use grantcore::{Account, Choice, Reason};

use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::{
    ALICE, CALLBACK, CHALLENGE, Granted, MCP, VERIFIER, World, app, entropy, json, param, policy,
};

/// A valid verifier of another challenge.
const WRONG: &str = "0000000000000000000000000000000000000000000";

#[test]
fn code_01_a_code_is_256_random_bits_with_the_id_of_its_grant() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let code = |drawn: [u8; 128]| {
        let decision = ConsentDecision::new(&ticket, ALICE, Choice::Allow).unwrap();
        let decided = world.decision(&decision, &world.moment(Entropy::from_bytes(drawn)));
        let settled = decided.settle(Commit::Done).unwrap();
        param(&settled.outcome.unwrap().into_location(), "code").unwrap()
    };
    let drawn: [u8; 128] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let text = code(drawn);
    assert!(text.bytes().all(|b| (0x21..=0x7E).contains(&b)), "{text}");
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix("gac_").unwrap()).unwrap();
    let (id, secret) = bytes.split_at(16);
    assert_eq!(id, world.grants()[0].record.id().as_bytes());
    assert!(secret.len() == 32 && drawn.windows(32).any(|window| window == secret));
    assert_ne!(text, code(drawn.map(|byte| byte ^ 0xFF)));
}

#[test]
fn code_01_the_grant_id_alone_redeems_nothing() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let id = world.grants()[0].record.id();
    let guessed = URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &[0; 32]].concat());
    for text in [id.to_string(), format!("gac_{id}"), format!("gac_{guessed}")] {
        world.invalid_grant(&Params::redeem(&text), Reason::CodeUnknown);
    }
    assert!(world.works(&Granted::of(&world.token(&Params::redeem(&code))).access));
}

#[test]
fn code_02_the_tokens_have_exactly_the_consent() {
    let world = World::new();
    let ticket = world.page(&Params::authorize().set("scope", "write admin")).ticket();
    let location = world.decide(&ticket, Choice::AllowOnly("write")).unwrap().into_location();
    let tokens = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    assert_eq!(tokens.scope, "write");
    let access = world.access(&tokens.access);
    assert_eq!((access.subject().unwrap().as_str(), access.client_id().as_str()), ("alice", "app"));
    assert_eq!(access.scope().collect::<Vec<_>>(), ["write"]);
    assert_eq!(access.resources().collect::<Vec<_>>(), [MCP]);
}

#[test]
fn code_02_the_challenge_is_in_no_response() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    assert!(!location.contains(CHALLENGE) && location.contains("code="));
    let redeem = Params::redeem(&param(&location, "code").unwrap());
    for params in [
        redeem.clone().set("code_verifier", WRONG),
        redeem.clone().set("code_verifier", CHALLENGE),
        redeem,
    ] {
        assert!(!world.token(&params).body.contains(CHALLENGE));
    }
}

#[test]
fn code_03_a_code_lives_600_seconds() {
    for (age, lives) in [(599, true), (600, false), (601, false)] {
        let world = World::new();
        world.at(60);
        let code = world.code(&Params::authorize());
        world.at(60 + age);
        if lives {
            Granted::of(&world.token(&Params::redeem(&code)));
        } else {
            world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
        }
    }
}

#[test]
fn code_03_a_longer_lifetime_does_not_build() {
    let build = |seconds| {
        policy()
            .lifetimes(Lifetimes::default().with_code(Duration::from_secs(seconds)))
            .build()
            .map(|_| ())
    };
    let value = Duration::from_secs(601);
    assert_eq!(
        (build(600), build(601)),
        (Ok(()), Err(PolicyError::Lifetimes(LifetimesError::Code { value })))
    );
}

#[test]
fn code_04_a_code_yields_tokens_once() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    Granted::of(&world.token(&Params::redeem(&code)));
    world.invalid_grant(&Params::redeem(&code), Reason::CodeReused);
    world.invalid_grant(&Params::redeem(&code), Reason::GrantRevoked);
}

#[test]
fn code_05_a_valid_second_redemption_revokes_every_token_of_the_code() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let first = Granted::of(&world.token(&Params::redeem(&code)));
    let second = world.refreshed(first.refresh());
    world.invalid_grant(&Params::redeem(&code), Reason::CodeReused);
    world.dead(&first.access, Reason::TokenRevoked);
    world.dead(&second.access, Reason::TokenRevoked);
    world.invalid_grant(&Params::refresh(first.refresh()), Reason::GrantRevoked);
    world.invalid_grant(&Params::refresh(second.refresh()), Reason::GrantRevoked);
}

/// Returns redemptions by the client `app` with one fault each, and the reasons of their refusals.
fn wrong(code: &str) -> [(Params, Reason); 6] {
    let redeem = || Params::redeem(code);
    [
        (redeem().set("code_verifier", WRONG), Reason::VerifierMismatch),
        (redeem().set("code_verifier", "short"), Reason::VerifierMalformed),
        (redeem().set("code_verifier", CHALLENGE), Reason::VerifierIsChallenge),
        (redeem().by_web().set("redirect_uri", CALLBACK), Reason::CodeClientMismatch),
        (redeem().set("redirect_uri", "https://app.example/cb/"), Reason::TokenRedirectUriMismatch),
        (redeem().without("redirect_uri"), Reason::TokenRedirectUriMissing),
    ]
}

#[test]
fn code_06_a_replay_that_is_wrong_in_anything_else_revokes_nothing() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    for (params, reason) in wrong(&code) {
        world.invalid_grant(&params, reason);
        assert!(world.works(&tokens.access), "{reason:?}");
    }
    world.refreshed(tokens.refresh());
}

#[test]
fn code_07_concurrent_redemptions_give_one_token_set() {
    for window in [0, 30] {
        for _ in 0..10 {
            let world = World::with(policy().replay_window(Duration::from_secs(window)));
            let code = world.code(&Params::authorize());
            let replies = world.race(20, &Params::redeem(&code));
            let (won, lost): (Vec<_>, Vec<_>) =
                replies.iter().partition(|reply| reply.status == 200);
            assert_eq!((won.len(), lost.len()), (1, 19));
            assert!(
                lost.iter()
                    .all(|reply| reply.status == 400 && json(reply)["error"] == "invalid_grant")
            );
            let tokens = Granted::of(won[0]);
            world.dead(&tokens.access, Reason::TokenRevoked);
            world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
        }
    }
}

/// A look-up followed by a deletion let two requests through. Here a compare-and-set takes the
/// place of the deletion: of two requests that both read the unredeemed code, the second commit
/// conflicts and is decided again.
#[test]
fn ghsa_7w99_5wm4_3g79_a_code_read_twice_is_redeemed_once() {
    let world = World::new();
    let body = Params::redeem(&world.code(&Params::authorize())).encode();
    let request = TokenRequest::parse(&form(&body), world.server.policy()).unwrap();
    let decide = |seed| world.decision(&request, &world.moment(entropy(seed)));
    let one = decide(1);
    let other = decide(2);
    assert_eq!(world.store.commit(one.write().unwrap()), Ok(Commit::Done));
    assert_eq!(world.store.commit(other.write().unwrap()), Ok(Commit::Conflict));
    assert!(other.settle(Commit::Conflict).is_err(), "the tokens are not disclosed");
    assert!(decide(2).settle(Commit::Done).unwrap().outcome.is_err());
}

#[test]
fn code_08_a_code_of_one_client_is_refused_to_another() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    world.invalid_grant(&Params::redeem(&code).by_web(), Reason::CodeClientMismatch);
    world.invalid_grant(
        &Params::redeem(&code).by_web().set("redirect_uri", CALLBACK),
        Reason::CodeClientMismatch,
    );
    assert!(world.works(&Granted::of(&world.token(&Params::redeem(&code))).access));
}

#[test]
fn code_09_the_redirect_uri_of_the_request_must_be_repeated() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    let cases = [
        ("https://app.example/cb/", Reason::TokenRedirectUriMismatch),
        ("https://APP.example/cb", Reason::TokenRedirectUriMismatch),
        ("https://app.example/cb?", Reason::TokenRedirectUriMismatch),
        ("", Reason::TokenRedirectUriMissing),
    ];
    for (uri, reason) in cases {
        world.invalid_grant(&Params::redeem(&code).set("redirect_uri", uri), reason);
    }
    world.invalid_grant(
        &Params::redeem(&code).without("redirect_uri"),
        Reason::TokenRedirectUriMissing,
    );
    Granted::of(&world.token(&Params::redeem(&code)));
}

#[test]
fn code_09_the_port_of_a_loopback_uri_must_be_repeated() {
    let world = World::new();
    world
        .put(grantcore::Client::public("app").redirect_uri("http://127.0.0.1/cb").build().unwrap());
    let code = world.code(&Params::authorize().set("redirect_uri", "http://127.0.0.1:51004/cb"));
    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:51005/cb", "http://localhost:51004/cb"] {
        world.invalid_grant(
            &Params::redeem(&code).set("redirect_uri", uri),
            Reason::TokenRedirectUriMismatch,
        );
    }
    Granted::of(
        &world.token(&Params::redeem(&code).set("redirect_uri", "http://127.0.0.1:51004/cb")),
    );
}

#[test]
fn code_09_as_an_option_it_may_be_left_out_but_not_changed() {
    let world = World::with(policy().token_redirect_uri(TokenRedirectUri::MatchIfPresent));
    let code = world.code(&Params::authorize());
    let other = Params::redeem(&code).set("redirect_uri", "https://app.example/");
    world.invalid_grant(&other, Reason::TokenRedirectUriMismatch);
    Granted::of(&world.token(&Params::redeem(&code).without("redirect_uri")));
}

#[test]
fn code_10_a_redirect_uri_that_was_omitted_may_be_omitted_again() {
    let redeem = |change: fn(Params) -> Params| {
        let world = World::new();
        let code = world.code(&Params::authorize().without("redirect_uri"));
        (change(Params::redeem(&code)), world)
    };
    let (omitted, world) = redeem(|params| params.without("redirect_uri"));
    Granted::of(&world.token(&omitted));
    let (effective, world) = redeem(|params| params.set("redirect_uri", CALLBACK));
    Granted::of(&world.token(&effective));
    let (another, world) = redeem(|params| params.set("redirect_uri", "https://app.example/other"));
    world.invalid_grant(&another, Reason::TokenRedirectUriMismatch);
}

#[test]
fn code_11_no_failed_attempt_consumes_the_code_or_writes() {
    let world = World::new();
    let code = world.code(&Params::authorize());
    for _ in 0..3 {
        for (params, reason) in wrong(&code) {
            world.invalid_grant(&params, reason);
        }
        world.refused(
            &Params::redeem(&code).without("code_verifier"),
            400,
            "invalid_request",
            Reason::VerifierMissing,
        );
        let elsewhere = Params::redeem(&code).and("resource", "https://other.example");
        world.refused(&elsewhere, 400, "invalid_target", Reason::ResourceBeyondGrant);
    }
    assert!(world.works(
        &Granted::of(&world.token(&Params::redeem(&code).set("code_verifier", VERIFIER))).access
    ));
}

#[test]
fn code_12_every_invalid_code_has_the_same_error() {
    let world = World::new();
    let ticket = world.page(&Params::authorize()).ticket();
    let code = world.code(&Params::authorize());
    let tokens = world.tokens();
    let changed =
        format!("{}{}", &code[..code.len() - 1], if code.ends_with('A') { 'B' } else { 'A' });
    let unknown = format!("gac_{}", URL_SAFE_NO_PAD.encode([7; 48]));
    let long = format!("{code}A");
    let padded = format!("{code}=");
    let spaced = format!("{code} ");
    let plain = code.replace("gac_", "");
    let texts = [
        &changed,
        &unknown,
        &long,
        &padded,
        &spaced,
        &plain,
        &ticket,
        &tokens.access,
        tokens.refresh(),
        "x",
        "gac_",
        "é",
    ];
    for text in texts {
        world.invalid_grant(&Params::redeem(text), Reason::CodeUnknown);
    }
    for params in [Params::redeem("").without("code"), Params::redeem("")] {
        world.refused(&params, 400, "invalid_request", Reason::CodeMissing);
    }
    world.at(600);
    world.invalid_grant(&Params::redeem(&code), Reason::CodeExpired);
}

#[test]
fn code_13_a_late_replay_is_recognized() {
    for late in [700, 3 * DAY] {
        let world = World::new();
        let code = world.code(&Params::authorize());
        world.at(10);
        let tokens = Granted::of(&world.token(&Params::redeem(&code)));
        world.at(late);
        let tokens = world.refreshed(tokens.refresh());
        world.invalid_grant(
            &Params::redeem(&code).set("code_verifier", WRONG),
            Reason::VerifierMismatch,
        );
        world.invalid_grant(&Params::redeem(&code), Reason::CodeReused);
        world.dead(&tokens.access, Reason::TokenRevoked);
        world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
    }
}

/// Keycloak, CVE-2026-16103: the lock of an account was checked when a flow began, and not when its
/// tokens were fetched.
#[test]
fn code_14_a_client_account_or_grant_that_ends_invalidates_the_code() {
    type Case = (fn(&World), Reason);
    let ended = |end: fn(&World)| {
        let world = World::new();
        let code = world.code(&Params::authorize());
        end(&world);
        (Params::redeem(&code), world)
    };
    let (redeem, world) = ended(|world| world.put(app().deactivated()));
    world.refused(&redeem, 401, "invalid_client", Reason::ClientDeactivated);
    let cases: [Case; 3] = [
        (|world| world.store.suspend("alice", true), Reason::AccountSuspended),
        (|world| world.put(app().with_grants_ended()), Reason::GrantEnded),
        (
            |world| {
                world
                    .store
                    .inner
                    .put_account(Subject::new("alice"), Account { epoch: 1, ..Account::ACTIVE });
            },
            Reason::GrantEnded,
        ),
    ];
    for (end, reason) in cases {
        let (redeem, world) = ended(end);
        world.invalid_grant(&redeem, reason);
        assert_eq!(
            world.grants()[0].record.state(),
            GrantState::CodeIssued,
            "a refusal writes nothing"
        );
    }
}
