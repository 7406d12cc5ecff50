//! Tests of TOKEN-16 to -19: the responses of the token endpoint.

use grantcore::policy::Limits;
use grantcore::{Authorization, Reason, RequestParts};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property;
use crate::support::steps::form;
use crate::support::{Granted, World, json, policy};

use crate::token::send;

#[test]
fn token_16_a_success_has_these_members_and_no_others() {
    let world = World::new();
    let reply = world.token(&Params::redeem(&world.code(&Params::authorize())));
    let body = json(&reply);
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&"Bearer".into(), &3600.into(), &"read write".into())
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(world.tokens().scope, "read write");
    let narrowed = world.token(&Params::refresh(world.tokens().refresh()).set("scope", "write"));
    assert_eq!(json(&narrowed)["scope"], "write");
    let default = world.code(&Params::authorize().without("scope"));
    assert_eq!(
        Granted::of(&world.token(&Params::redeem(&default))).scope,
        "read",
        "the scope is named although it was not requested"
    );
}

#[test]
fn token_17_no_response_may_be_cached() {
    let world = World::new();
    let tokens = world.tokens();
    let refresh = Params::refresh(tokens.refresh());
    let body = refresh.encode();
    let mut replies = vec![
        world.token(&refresh),
        world.token(&Params::refresh("x")),
        world.token(&refresh.clone().set("client_id", "unknown")),
        send(&world, &RequestParts { method: "GET", ..form(&body) }),
        send(&world, &form(&"p=x&".repeat(100))),
    ];
    world.store.break_reads(true);
    replies.push(
        world.try_token(&refresh, Authorization::None).unwrap_err().reply(world.server.policy()),
    );
    world.store.break_reads(false);
    replies.extend((0..60).map(|_| world.token(&Params::refresh("x"))));
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses[..6], [200, 400, 401, 405, 413, 503]);
    assert_eq!(statuses.last(), Some(&429));
    for reply in &replies {
        let headers = (reply.header("cache-control"), reply.header("pragma"));
        assert_eq!(headers, (Some("no-store"), Some("no-cache")), "{}", reply.status);
    }
}

#[test]
fn token_18_whatever_is_sent_errors_keep_to_their_characters_and_echo_nothing() {
    let world = World::with(
        policy().limits(
            Limits::default()
                .with_token_requests_per_minute(u32::MAX)
                .with_failed_authentications_per_minute(u32::MAX),
        ),
    );
    let names = [
        "client_id",
        "client_secret",
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "scope",
        "resource",
    ];
    let values = prop_oneof![
        "authorization_code",
        "refresh_token",
        "app",
        "web",
        "\\PC{0,20}".prop_map(|text| format!("canary{text}"))
    ];
    let pairs = vec((proptest::sample::select(names.to_vec()), values), 0..10);
    let bodies = prop_oneof![
        3 => pairs.prop_map(|pairs| {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs).finish().into_bytes()
        }),
        1 => vec(any::<u8>(), 0..60),
    ];
    let headers =
        proptest::option::of(prop_oneof!["Basic [A-Za-z0-9+/]{0,24}={0,2}", "\\PC{0,20}"]);
    property::check(&(bodies, headers), |(body, header)| {
        let authorization = header
            .as_ref()
            .map_or(Authorization::None, |header| Authorization::One(header.as_bytes()));
        let reply = send(&world, &RequestParts { body: &body, authorization, ..form("") });
        let response = json(&reply);
        prop_assert!((400..=401).contains(&reply.status), "{} {}", reply.status, reply.body);
        for member in ["error", "error_description"] {
            let text = response[member].as_str().unwrap();
            prop_assert!(
                !text.is_empty()
                    && text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
                "{text}"
            );
        }
        prop_assert!(!reply.body.contains("canary") && response.as_object().unwrap().len() == 2);
        Ok(())
    });
}

#[test]
fn token_19_grant_errors_have_their_stable_sentences() {
    let sentences = [
        (Reason::CodeUnknown, "The authorization code is not valid. Restart the flow."),
        (Reason::CodeExpired, "The authorization code has expired. Restart the flow."),
        (
            Reason::CodeReused,
            "The authorization code was already redeemed. All tokens issued from it are revoked. \
             Restart the flow.",
        ),
        (Reason::CodeClientMismatch, "The authorization code was issued to another client."),
        (
            Reason::TokenRedirectUriMissing,
            "The redirect_uri of the authorization request must be sent again.",
        ),
        (
            Reason::TokenRedirectUriMismatch,
            "The redirect_uri does not match the one of the authorization request.",
        ),
        (Reason::VerifierMismatch, "The code_verifier does not match the code_challenge."),
        (Reason::RefreshUnknown, "The refresh token is not valid. Authorize again."),
        (
            Reason::RefreshReused,
            "The refresh token was already rotated. All tokens of this connection are revoked. \
             Authorize again.",
        ),
        (
            Reason::RefreshIdleExpired,
            "The refresh token was not used for too long. Authorize again.",
        ),
        (Reason::GrantRevoked, "The connection was revoked. Authorize again."),
    ];
    for (reason, sentence) in sentences {
        assert_eq!(reason.description(), sentence);
    }
}

#[test]
fn token_19_terse_errors_leave_the_description_out() {
    let world = World::with(policy().terse_errors(true));
    let reply = world.token(&Params::refresh("x"));
    assert_eq!(
        (reply.body.as_str(), world.reason()),
        (r#"{"error":"invalid_grant"}"#, Some(Reason::RefreshUnknown))
    );
}
