//! Tests of REVOKE-01 to -05: a client revokes a token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantcore::event::EventKind;
use grantcore::grant::GrantState;
use grantcore::policy::{Lifetimes, RevocationRules};
use grantcore::{Authorization, ContentType, Reason, Reply, RequestParts};

use crate::support::params::Params;
use crate::support::refused::states;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{Answered, Granted, SECRET, World, assert_refused, json, policy, web};

fn world() -> World {
    World::with(policy().revocation(RevocationRules::default()))
}

/// Returns the revocation of a token by the client `app`.
fn revoking(token: &str) -> Params {
    Params::refresh(token).without("grant_type").without("refresh_token").and("token", token)
}

fn send(world: &World, params: &Params) -> Reply {
    let body = params.encode();
    world.server.revoke(&form(&body)).answered(world.server.policy())
}

/// Asserts a successful revocation: 200 with an empty body and without caching, and this event.
#[track_caller]
fn done(world: &World, params: &Params, kind: EventKind) {
    let reply = send(world, params);
    assert_eq!(
        (reply.status, &*reply.body, reply.header("cache-control")),
        (200, "", Some("no-store"))
    );
    assert_eq!(world.events().last().map(|event| event.kind), Some(kind));
}

#[track_caller]
fn refused(world: &World, params: &Params, status: u16, code: &str, reason: Reason) {
    let before = world.store.commits();
    let reply = send(world, params);
    assert_refused(world, &reply, status, code, reason);
    assert_eq!(world.store.commits(), before, "nothing is written");
}

/// Returns tokens of the confidential client.
fn tokens_of_web(world: &World) -> Granted {
    let code = world.code(&Params::authorize().by_web());
    Granted::of(&world.token(&Params::redeem(&code).by_web()))
}

#[test]
fn revoke_01_the_request_is_a_form_with_a_token_by_post() {
    let world = world();
    let tokens = world.tokens();
    refused(
        &world,
        &revoking("x").without("token"),
        400,
        "invalid_request",
        Reason::RevocationTokenMissing,
    );
    refused(
        &world,
        &revoking("x").set("token", ""),
        400,
        "invalid_request",
        Reason::RevocationTokenMissing,
    );
    refused(
        &world,
        &revoking(&tokens.access).and("token", "x"),
        400,
        "invalid_request",
        Reason::ParameterRepeated,
    );
    let hinted = revoking(&tokens.access).and("token_type_hint", "access_token");
    refused(
        &world,
        &hinted.and("token_type_hint", "access_token"),
        400,
        "invalid_request",
        Reason::ParameterRepeated,
    );
    let body = revoking(&tokens.access).encode();
    for (incoming, status, reason) in [
        (RequestParts { method: "GET", ..form(&body) }, 405, Reason::MethodNotAllowed),
        (RequestParts { content_type: ContentType::JSON, ..form(&body) }, 400, Reason::ContentType),
        (RequestParts { query: b"token=x", ..form(&body) }, 400, Reason::SecretInUrl),
    ] {
        let reply = world.server.revoke(&incoming).answered(world.server.policy());
        assert_eq!((reply.status, world.reason()), (status, Some(reason)));
    }
    assert!(world.works(&tokens.access));
}

#[test]
fn revoke_01_clients_authenticate_as_at_the_token_endpoint() {
    let world = world();
    let tokens = tokens_of_web(&world);
    let by_web = |secret: &str| {
        revoking(tokens.refresh()).set("client_id", "web").set("client_secret", secret)
    };
    refused(&world, &by_web("wrong"), 401, "invalid_client", Reason::ClientSecretWrong);
    refused(
        &world,
        &by_web("").without("client_secret"),
        401,
        "invalid_client",
        Reason::ClientSecretMissing,
    );
    refused(
        &world,
        &revoking(tokens.refresh()).without("client_id"),
        400,
        "invalid_request",
        Reason::ClientIdMissing,
    );
    refused(
        &world,
        &revoking(tokens.refresh()).set("client_id", "nobody"),
        401,
        "invalid_client",
        Reason::ClientUnknown,
    );
    let basic = format!("Basic {}", STANDARD.encode(format!("web:{SECRET}")));
    let body = revoking(tokens.refresh()).without("client_id").encode();
    let by_header =
        RequestParts { authorization: Authorization::One(basic.as_bytes()), ..form(&body) };
    assert_eq!(
        world.server.revoke(&by_header).answered(world.server.policy()).status,
        401,
        "registered for the body"
    );
    assert!(world.works(&tokens.access));
    done(&world, &by_web(SECRET), EventKind::GrantRevoked);
    assert!(!world.works(&tokens.access));
}

/// TOKEN-15 applies here too, because secrets could be guessed here.
#[test]
fn revoke_01_failed_authentications_are_throttled_with_those_of_the_token_endpoint() {
    let world = world();
    let tokens = tokens_of_web(&world);
    let guess = revoking(tokens.refresh()).set("client_id", "web").set("client_secret", "guess");
    for _ in 0..5 {
        assert_eq!(send(&world, &guess).status, 401);
        assert_eq!(
            world.token(&Params::refresh("x").by_web().set("client_secret", "guess")).status,
            401
        );
    }
    refused(
        &world,
        &guess.set("client_secret", SECRET),
        429,
        "too_many_requests",
        Reason::AuthenticationsThrottled,
    );
    world.at(60);
    done(
        &world,
        &revoking(tokens.refresh()).set("client_id", "web").set("client_secret", SECRET),
        EventKind::GrantRevoked,
    );
}

#[test]
fn revoke_02_an_ended_or_unknown_token_is_answered_with_success() {
    let world = world();
    let tokens = world.tokens();
    let id = world.grants()[0].record.id();
    let forged = |prefix: &str, secrets: usize| {
        format!(
            "{prefix}{}",
            URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &vec![7; secrets]].concat())
        )
    };
    let code = world.code(&Params::authorize());
    for token in
        ["garbage", &forged("gat_", 32), &forged("grt_", 64), &code, &format!("{}x", tokens.access)]
    {
        let before = world.store.commits();
        done(&world, &revoking(token), EventKind::NothingRevoked);
        assert_eq!(world.store.commits(), before);
    }
    assert!(world.works(&tokens.access));
    world.at(3600);
    done(&world, &revoking(&tokens.access), EventKind::NothingRevoked);
    done(&world, &revoking(tokens.refresh()), EventKind::GrantRevoked);
    done(&world, &revoking(tokens.refresh()), EventKind::NothingRevoked);
    done(&world, &revoking(&tokens.access), EventKind::NothingRevoked);
}

/// Neither the grant's own client nor another one learns more of it, and nothing is written.
#[test]
fn revoke_02_the_refresh_token_of_an_expired_grant_is_answered_with_success() {
    const DAY: u64 = 86_400;
    let absolute = Lifetimes::default().with_refresh_absolute(Some(Duration::from_secs(DAY)));
    for (lifetimes, end) in [(Lifetimes::default(), 30 * DAY), (absolute, DAY)] {
        let world =
            World::with(policy().revocation(RevocationRules::default()).lifetimes(lifetimes));
        let tokens = world.tokens();
        let other = world.tokens();
        let foreign = revoking(tokens.refresh()).by_web().set("client_secret", SECRET);
        world.at(end - 1);
        refused(&world, &foreign, 400, "invalid_grant", Reason::RevocationClientMismatch);
        done(&world, &revoking(other.refresh()), EventKind::GrantRevoked);
        world.at(end);
        let before = world.store.commits();
        done(&world, &revoking(tokens.refresh()), EventKind::NothingRevoked);
        done(&world, &foreign, EventKind::NothingRevoked);
        assert_eq!(world.store.commits(), before, "nothing is written");
    }
}

#[test]
fn revoke_02_the_hint_never_changes_the_result() {
    for hint in ["access_token", "refresh_token", "foo", ""] {
        let world = world();
        let tokens = world.tokens();
        done(
            &world,
            &revoking(tokens.refresh()).and("token_type_hint", hint),
            EventKind::GrantRevoked,
        );
        let other = world.tokens();
        done(
            &world,
            &revoking(&other.access).and("token_type_hint", hint),
            EventKind::TokenRevoked,
        );
        assert!(!world.works(&tokens.access) && !world.works(&other.access));
    }
}

#[test]
fn revoke_03_a_refresh_token_ends_its_grant() {
    let world = world();
    let first = world.tokens();
    let other = world.tokens();
    let second = world.refreshed(first.refresh());
    done(&world, &revoking(second.refresh()), EventKind::GrantRevoked);
    world.invalid_grant(&Params::refresh(second.refresh()), Reason::GrantRevoked);
    for token in [&first.access, &second.access] {
        world.dead(token, Reason::TokenRevoked);
    }
    assert!(world.works(&other.access), "another grant of the same client");
    world.refreshed(other.refresh());
}

/// A rotated token means its grant. It is no replay, because the request asks for no tokens.
#[test]
fn revoke_03_a_token_of_any_generation_ends_the_grant() {
    for window in [0, 30] {
        let world = World::with(
            policy()
                .revocation(RevocationRules::default())
                .replay_window(Duration::from_secs(window)),
        );
        let first = world.tokens();
        let second = world.refreshed(first.refresh());
        done(&world, &revoking(first.refresh()), EventKind::GrantRevoked);
        assert_eq!(
            states(&world),
            [GrantState::Revoked(grantcore::grant::RevocationCause::Client)]
        );
        world.dead(&second.access, Reason::TokenRevoked);
    }
}

#[test]
fn revoke_04_the_revocation_of_an_access_token_keeps_the_grant() {
    let world = world();
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    done(&world, &revoking(&first.access), EventKind::TokenRevoked);
    assert!(!world.works(&first.access) && world.works(&second.access));
    let third = world.refreshed(second.refresh());
    done(&world, &revoking(&third.access), EventKind::TokenRevoked);
    done(&world, &revoking(&second.access), EventKind::TokenRevoked);
    assert!(world.works(&world.refreshed(third.refresh()).access));
}

/// With a replay window, a repeated refresh returns the same tokens. Tokens that were revoked in
/// between stay revoked.
#[test]
fn revoke_04_a_replay_in_the_window_does_not_revive_a_revoked_token() {
    let world = World::with(
        policy().revocation(RevocationRules::default()).replay_window(Duration::from_secs(30)),
    );
    let first = world.tokens();
    let second = world.refreshed(first.refresh());
    done(&world, &revoking(&second.access), EventKind::TokenRevoked);
    let again = world.refreshed(first.refresh());
    assert_eq!((&again.access, again.refresh()), (&second.access, second.refresh()));
    assert!(!world.works(&again.access));
}

#[test]
fn revoke_04_as_an_option_it_ends_its_grant() {
    let rules = RevocationRules::default().with_cascade_from_access(true);
    let world = World::with(policy().revocation(rules));
    let tokens = world.tokens();
    done(&world, &revoking(&tokens.access), EventKind::GrantRevoked);
    world.invalid_grant(&Params::refresh(tokens.refresh()), Reason::GrantRevoked);
}

/// Doorkeeper, CVE-2016-6582: the revocation of a public client had no effect and answered 200. A
/// revocation of another client's token is refused, or has no effect.
#[test]
fn cve_2016_6582_a_public_client_revokes_only_its_own_tokens() {
    for silent in [false, true] {
        let rules = RevocationRules::default().with_silent(silent);
        let world = World::with(policy().revocation(rules));
        let own = world.tokens();
        let others = tokens_of_web(&world);
        for token in [others.refresh(), &others.access] {
            if silent {
                let before = world.store.commits();
                done(&world, &revoking(token), EventKind::NothingRevoked);
                assert_eq!(world.store.commits(), before);
            } else {
                refused(
                    &world,
                    &revoking(token),
                    400,
                    "invalid_grant",
                    Reason::RevocationClientMismatch,
                );
            }
        }
        assert!(world.works(&others.access));
        done(&world, &revoking(own.refresh()), EventKind::GrantRevoked);
        assert!(!world.works(&own.access));
    }
}

#[test]
fn revoke_05_a_token_of_another_client_works_on() {
    let world = world();
    let tokens = world.tokens();
    let by_web = revoking(tokens.refresh()).set("client_id", "web").set("client_secret", SECRET);
    refused(&world, &by_web, 400, "invalid_grant", Reason::RevocationClientMismatch);
    let rotated = world.refreshed(tokens.refresh());
    refused(&world, &by_web, 400, "invalid_grant", Reason::RevocationClientMismatch);
    assert!(world.works(&rotated.access));
    assert_eq!(web().id().as_str(), "web");
}

/// fosite, CVE-2020-15223: the failure of a store is not answered with 200.
#[test]
fn cve_2020_15223_a_failed_revocation_is_never_reported_as_done() {
    for fault in [Fault::Dropped, Fault::Unacknowledged] {
        let world = world();
        let tokens = world.tokens();
        let body = revoking(tokens.refresh()).encode();
        world.store.fail([fault]);
        let failure = world.server.revoke(&form(&body)).expect_err("the store fails");
        let reply = failure.reply(world.server.policy());
        assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
        assert_eq!(world.works(&tokens.access), fault == Fault::Dropped);
        done(
            &world,
            &revoking(tokens.refresh()),
            if fault == Fault::Dropped {
                EventKind::GrantRevoked
            } else {
                EventKind::NothingRevoked
            },
        );
    }
}

#[test]
fn revoke_01_without_the_endpoint_nothing_is_revoked_or_advertised() {
    let world = World::new();
    let tokens = world.tokens();
    refused(&world, &revoking(tokens.refresh()), 403, "access_denied", Reason::RevocationOff);
    let document = |world: &World| json(&world.server.policy().server_metadata());
    assert_eq!(document(&world).get("revocation_endpoint"), None);
    let on = document(&self::world());
    assert_eq!(on["revocation_endpoint"], "https://auth.example/oauth/revoke");
    assert_eq!(
        on["revocation_endpoint_auth_methods_supported"],
        on["token_endpoint_auth_methods_supported"]
    );
}
