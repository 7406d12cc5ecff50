//! Tests of REFRESH: rotation, and the end of a family (OAuth 2.1 §4.3).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::policy::{Lifetimes, LifetimesError, Limits, PolicyError};
use grantcore::reason::ErrorCode;
use grantcore::value::{GrantTypes, Subject};
use grantcore::{Account, Choice, Client, Reason};

use crate::support::params::Params;
use crate::support::steps::DAY;
use crate::support::store::Fault;
use crate::support::{CALLBACK, Granted, MCP, World, app, json, param, policy, user};

/// Returns a world with a replay window of 30 seconds.
pub(crate) fn windowed() -> World {
    World::with(policy().replay_window(Duration::from_secs(30)))
}

#[test]
fn refresh_01_without_the_grant_type_there_is_no_refresh_token() {
    let world = World::new();
    let token = world.tokens().refresh().to_owned();
    let only_codes = GrantTypes { authorization_code: true, refresh_token: false };
    world
        .put(Client::public("app").redirect_uri(CALLBACK).grant_types(only_codes).build().unwrap());
    let reply = world.token(&Params::redeem(&world.code(&Params::authorize())));
    assert!(
        reply.status == 200
            && json(&reply).get("refresh_token").is_none()
            && !reply.body.contains("null"),
        "{}",
        reply.body
    );
    world.refused(
        &Params::refresh(&token),
        400,
        "unauthorized_client",
        Reason::GrantTypeUnauthorized,
    );
}

#[test]
fn refresh_02_every_refresh_retires_the_token_for_every_client() {
    for by in [|params: Params| params, Params::by_web] {
        let world = World::new();
        let first =
            Granted::of(&world.token(&by(Params::redeem(&world.code(&by(Params::authorize()))))));
        let second = Granted::of(&world.token(&by(Params::refresh(first.refresh()))));
        assert!(second.refresh() != first.refresh() && second.access != first.access);
        assert!(world.works(&second.access));
        world.invalid_grant(&by(Params::refresh(first.refresh())), Reason::RefreshReused);
    }
}

#[test]
fn refresh_06_a_token_works_for_its_client_only() {
    for world in [World::new(), windowed()] {
        let first = world.tokens();
        world.invalid_grant(
            &Params::refresh(first.refresh()).by_web(),
            Reason::RefreshClientMismatch,
        );
        let second = world.refreshed(first.refresh());
        world.invalid_grant(
            &Params::refresh(first.refresh()).by_web(),
            Reason::RefreshClientMismatch,
        );
        world.at(60);
        world.invalid_grant(
            &Params::refresh(first.refresh()).by_web(),
            Reason::RefreshClientMismatch,
        );
        assert!(world.works(&first.access) && world.works(&second.access));
        world.refreshed(second.refresh());
    }
}

#[test]
fn refresh_07_scope_may_be_narrowed_and_never_widened() {
    let world = World::new();
    let token = world.tokens();
    for scope in ["admin", "read admin", "READ", "offline", "read\u{7}"] {
        let wider = Params::refresh(token.refresh()).set("scope", scope);
        world.refused(&wider, 400, "invalid_scope", Reason::ScopeBeyondGrant);
    }
    let narrowed =
        Granted::of(&world.token(&Params::refresh(token.refresh()).set("scope", "read")));
    assert_eq!(narrowed.scope, "read");
    assert!(world.check(&narrowed.access, &["read"]).is_ok());
    assert_eq!(
        world.check(&narrowed.access, &["write"]).unwrap_err().reason(),
        Reason::ScopeInsufficient
    );
    let equal =
        Granted::of(&world.token(&Params::refresh(narrowed.refresh()).set("scope", "write read")));
    assert_eq!(equal.scope, "read write", "the same scope in another order is accepted");
}

#[test]
fn refresh_08_a_narrowed_access_token_does_not_narrow_the_family() {
    let world = World::new();
    let narrowed =
        Granted::of(&world.token(&Params::refresh(world.tokens().refresh()).set("scope", "read")));
    let full = world.refreshed(narrowed.refresh());
    assert_eq!((narrowed.scope.as_str(), full.scope.as_str()), ("read", "read write"));
    assert!(world.check(&full.access, &["write"]).is_ok());
}

#[test]
fn refresh_09_the_resources_are_within_the_consent() {
    const FILES: &str = "https://files.example/";
    let world =
        World::with(policy().resource(FILES, "read").resource("https://third.example/", "read"));
    let request = Params::authorize().and("resource", MCP).and("resource", FILES);
    let first = Granted::of(&world.token(&Params::redeem(&world.code(&request))));
    for resource in [
        "https://third.example/",
        "https://unknown.example/",
        "files.example",
        "https://mcp.example/mcp/",
    ] {
        let elsewhere = Params::refresh(first.refresh()).and("resource", resource);
        world.refused(&elsewhere, 400, "invalid_target", Reason::ResourceBeyondGrant);
        world.refused(
            &elsewhere.and("resource", MCP),
            400,
            "invalid_target",
            Reason::ResourceBeyondGrant,
        );
    }
    let files = Granted::of(&world.token(&Params::refresh(first.refresh()).and("resource", FILES)));
    world.dead(&files.access, Reason::AudienceMismatch);
    let both = world.refreshed(files.refresh());
    assert_eq!(world.access(&both.access).resources().collect::<Vec<_>>(), [MCP, FILES]);
}

#[test]
fn refresh_10_an_unused_token_expires_after_thirty_days() {
    for (unused, lives) in [(30 * DAY - 1, true), (30 * DAY, false), (30 * DAY + 1, false)] {
        for rotations in [0, 2] {
            let world = World::new();
            let mut token = world.tokens();
            for rotation in 1..=rotations {
                world.at(rotation * 20 * DAY);
                token = world.refreshed(token.refresh());
            }
            world.at(rotations * 20 * DAY + unused);
            if lives {
                world.refreshed(token.refresh());
            } else {
                world.invalid_grant(&Params::refresh(token.refresh()), Reason::RefreshIdleExpired);
            }
        }
    }
}

/// Refreshes every twenty days. The consent is given 300 s after the page was made.
fn rotated_until(world: &World, days: u64) -> Granted {
    let ticket = world.page(&Params::authorize()).ticket();
    world.at(300);
    let location = world.decide(&ticket, Choice::Allow).unwrap().into_location();
    world.at(400);
    let mut token = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    for day in (20..=days).step_by(20) {
        world.at(day * DAY);
        token = world.refreshed(token.refresh());
    }
    token
}

#[test]
fn refresh_11_a_family_ends_180_days_after_its_consent() {
    let world = World::new();
    let token = rotated_until(&world, 160);
    world.at(300 + 180 * DAY - 2);
    let last = world.refreshed(token.refresh());
    assert_eq!(last.expires_in, 2, "no token outlives the family");
    world.at(300 + 180 * DAY - 1);
    let last = world.refreshed(last.refresh());
    assert!(last.expires_in == 1 && world.works(&last.access));
    world.at(300 + 180 * DAY);
    world.invalid_grant(&Params::refresh(last.refresh()), Reason::RefreshAbsoluteExpired);
    world.invalid_grant(&Params::refresh(token.refresh()), Reason::RefreshAbsoluteExpired);
    world.dead(&last.access, Reason::TokenExpired);
}

#[test]
fn refresh_11_no_absolute_lifetime_is_set_explicitly() {
    let world = World::with(policy().lifetimes(Lifetimes::default().with_refresh_absolute(None)));
    let token = rotated_until(&world, 2000);
    assert_eq!(token.expires_in, 3600);
    let none = policy()
        .lifetimes(Lifetimes::default().with_refresh_absolute(Some(Duration::ZERO)))
        .build();
    let error = PolicyError::Lifetimes(LifetimesError::Value {
        lifetime: "refresh_absolute",
        value: Duration::ZERO,
    });
    assert_eq!(none.map(|_| ()), Err(error));
}

#[test]
fn refresh_12_grant_client_and_account_must_be_active() {
    let world = World::new();
    let token = world.tokens();
    world.put(app().deactivated());
    world.refused(
        &Params::refresh(token.refresh()),
        401,
        "invalid_client",
        Reason::ClientDeactivated,
    );
    world.put(app());
    world.store.suspend("alice", true);
    world.invalid_grant(&Params::refresh(token.refresh()), Reason::AccountSuspended);
    world.store.suspend("alice", false);
    let token = world.refreshed(token.refresh());
    world.put(app().with_grants_ended());
    world.invalid_grant(&Params::refresh(token.refresh()), Reason::GrantEnded);
}

#[test]
fn refresh_13_a_failed_request_leaves_the_token_unchanged() {
    let world = World::new();
    let request = Params::authorize().by_web();
    let mut token = Granted::of(&world.token(&Params::redeem(&world.code(&request)).by_web()));
    let refresh = |token: &Granted| Params::refresh(token.refresh()).by_web();
    world.refused(
        &refresh(&token).set("scope", "admin"),
        400,
        "invalid_scope",
        Reason::ScopeBeyondGrant,
    );
    world.refused(
        &refresh(&token).set("client_secret", "wrong"),
        401,
        "invalid_client",
        Reason::ClientSecretWrong,
    );
    world.refused(
        &refresh(&token).and("scope", "read").and("scope", "read"),
        400,
        "invalid_request",
        Reason::ParameterRepeated,
    );
    token = Granted::of(&world.token(&refresh(&token)));
    world.unavailable(&refresh(&token), Fault::Dropped);
    token = Granted::of(&world.token(&refresh(&token)));
    world.store.fail([Fault::Conflict; 4]);
    let busy = world.token(&refresh(&token));
    crate::support::assert_refused(
        &world,
        &busy,
        503,
        "temporarily_unavailable",
        Reason::Contended,
    );
    let throttled =
        (0..60).find(|_| world.token(&refresh(&token).set("scope", "admin")).status == 429);
    assert!(throttled.is_some() && world.reason() == Some(Reason::RateLimited));
    world.at(60);
    assert!(world.works(&Granted::of(&world.token(&refresh(&token))).access));
}

/// Sends each of these credentials, unchanged and with the prefix of each other kind, to the wrong
/// places.
fn mix_up(world: &World, credentials: &[&str]) {
    for text in credentials {
        for prefix in ["gct_", "gac_", "gat_", "grt_"] {
            let dressed = format!("{prefix}{}", &text[4..]);
            if dressed != *text || prefix != "gat_" {
                assert_eq!(
                    world.check(&dressed, &[]).unwrap_err().code(),
                    Some(ErrorCode::InvalidToken),
                    "{dressed}"
                );
            }
            if dressed != *text || prefix != "grt_" {
                world.invalid_grant(&Params::refresh(&dressed), Reason::RefreshUnknown);
            }
            if dressed != *text || prefix != "gac_" {
                world.invalid_grant(&Params::redeem(&dressed), Reason::CodeUnknown);
            }
            if dressed != *text || prefix != "gct_" {
                assert!(world.decide(&dressed, Choice::Allow).is_err(), "{dressed}");
            }
        }
    }
}

#[test]
fn refresh_15_the_kinds_of_credential_are_never_mixed_up() {
    let world =
        World::with(policy().limits(Limits::default().with_token_requests_per_minute(1000)));
    let ticket = world.page(&Params::authorize()).ticket();
    // The token has the right length and grant, but the grant has no refresh token yet.
    let unissued = format!(
        "grt_{}",
        URL_SAFE_NO_PAD
            .encode([world.grants()[0].record.id().as_bytes().as_slice(), &[7; 64]].concat())
    );
    mix_up(&world, &[&ticket]);
    world.invalid_grant(&Params::refresh(&unissued), Reason::RefreshUnknown);
    let code =
        param(&world.decide(&ticket, Choice::Allow).unwrap().into_location(), "code").unwrap();
    mix_up(&world, &[&ticket, &code]);
    world.invalid_grant(&Params::refresh(&unissued), Reason::RefreshUnknown);
    let tokens = Granted::of(&world.token(&Params::redeem(&code)));
    assert_eq!(world.decide(&ticket, Choice::Allow).unwrap_err().reason(), Reason::ConsentUsed);
    mix_up(&world, &[&code, &tokens.access, tokens.refresh()]);
    assert!(world.works(&tokens.access) && world.works(&world.refreshed(tokens.refresh()).access));
}

/// A forged family secret changes nothing, so that knowing the id of a grant is not enough to end
/// it.
#[test]
fn refresh_15_both_secrets_have_256_bits_and_a_forgery_changes_nothing() {
    let world = World::new();
    let token = world.tokens();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.strip_prefix("grt_").unwrap()).unwrap();
    let bytes = decode(token.refresh());
    let (id, secrets) = bytes.split_at(16);
    assert_eq!((id, secrets.len()), (world.grants()[0].record.id().as_bytes().as_slice(), 64));
    assert_ne!(secrets[..32], secrets[32..]);
    for bit in [0, 7, 100, 255] {
        let mut forged = bytes.clone();
        forged[16 + bit / 8] ^= 1 << (bit % 8);
        let forged = format!("grt_{}", URL_SAFE_NO_PAD.encode(&forged));
        world.invalid_grant(&Params::refresh(&forged), Reason::RefreshForged);
    }
    let next = world.refreshed(token.refresh());
    assert_eq!(
        decode(next.refresh())[..48],
        bytes[..48],
        "id and family stay, the current secret does not"
    );
    let access =
        |tokens: &Granted| URL_SAFE_NO_PAD.decode(&tokens.access[4..]).unwrap().split_off(16);
    let drawn =
        [&token, &next].map(|tokens| [access(tokens), decode(tokens.refresh()).split_off(48)]);
    let different: std::collections::BTreeSet<_> =
        drawn.into_iter().flatten().chain([secrets[..32].to_vec()]).collect();
    assert_eq!(different.len(), 5, "all secrets of a grant differ");
}

#[test]
fn refresh_16_a_refresh_before_or_after_expiry_keeps_the_earlier_token() {
    let world = World::new();
    let first = world.tokens();
    world.at(10);
    let second = world.refreshed(first.refresh());
    world.at(3599);
    assert!(world.works(&first.access));
    world.at(3600);
    world.dead(&first.access, Reason::TokenExpired);
    assert!(world.works(&second.access));
    world.at(3700);
    assert!(world.works(&world.refreshed(second.refresh()).access));
}

#[test]
fn refresh_16_as_an_option_the_earlier_token_ends() {
    let world = World::with(policy().revoke_previous_access(true));
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    assert!(!world.works(&first.access) && world.works(&second.access));
}

/// The host reports a security event by raising the epoch of the account, which ends all earlier
/// grants.
#[test]
fn refresh_17_a_security_event_ends_every_family_of_the_user() {
    let world = World::new();
    let bob = user("bob", b"bob's browser");
    let page = match world.authorize_as(&Params::authorize(), Some(bob)).unwrap() {
        grantcore::AuthorizationStep::NeedsConsent(page) => page.ticket(),
        other => panic!("{other:?}"),
    };
    let location = world.server.consent(&page, bob, Choice::Allow).unwrap().into_location();
    let bobs = Granted::of(&world.token(&Params::redeem(&param(&location, "code").unwrap())));
    let one = world.tokens();
    let two = world.tokens();
    world.store.inner.put_account(Subject::new("alice"), Account { epoch: 1, ..Account::ACTIVE });
    for tokens in [&one, &two] {
        world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantEnded);
        world.dead(&tokens.access, Reason::TokenRevoked);
    }
    assert!(world.works(&bobs.access) && world.works(&world.tokens().access));
    world.refreshed(bobs.refresh());
}
