//! Requests of the token endpoint that cause each of their reasons once, for `reasons_reached.rs`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantcore::account::RefreshDecision;
use grantcore::reason::Endpoint;
use grantcore::value::{GrantTypes, Overlap};
use grantcore::{Authorization, Client, ContentType, Reason, RequestParts};

use crate::reasons_reached::{Flaw, Provoke, Refused};
use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::store::Fault;
use crate::support::{CALLBACK, CHALLENGE, MCP, Outcome, SECRET, World, app, policy};

/// A change of a valid request, or an action before it is sent.
pub(crate) type Interference = fn(&World, Params) -> Params;

/// Redemptions of a valid code with one fault each.
pub(crate) const REDEEM: &[(Reason, Flaw)] = &[
    (Reason::ClientSecretWrong, |redeem| redeem.by_web().set("client_secret", "x")),
    (Reason::ClientSecretMissing, |redeem| redeem.by_web().without("client_secret")),
    (Reason::ClientSecretUnexpected, |redeem| redeem.and("client_secret", "x")),
    (Reason::GrantTypeMissing, |redeem| redeem.without("grant_type")),
    (Reason::GrantTypeUnsupported, |redeem| redeem.set("grant_type", "password")),
    (Reason::CodeMissing, |redeem| redeem.without("code")),
    (Reason::CodeUnknown, |redeem| redeem.set("code", "x")),
    (Reason::CodeClientMismatch, Params::by_web),
    (Reason::TokenRedirectUriMissing, |redeem| redeem.without("redirect_uri")),
    (Reason::TokenRedirectUriMismatch, |redeem| redeem.set("redirect_uri", "https://app.example/")),
    (Reason::VerifierMissing, |redeem| redeem.without("code_verifier")),
    (Reason::VerifierMalformed, |redeem| redeem.set("code_verifier", "short")),
    (Reason::VerifierMismatch, |redeem| {
        redeem.set("code_verifier", "0000000000000000000000000000000000000000000")
    }),
    (Reason::VerifierIsChallenge, |redeem| redeem.set("code_verifier", CHALLENGE)),
    (Reason::ResourceBeyondGrant, |redeem| redeem.and("resource", "https://x.example")),
];

/// Actions between the first tokens and a refresh, and faults of the refresh.
pub(crate) const REFRESH: &[(Reason, Interference)] = &[
    (Reason::RefreshMissing, |_, refresh| refresh.without("refresh_token")),
    (Reason::RefreshUnknown, |_, refresh| refresh.set("refresh_token", "x")),
    (Reason::RefreshForged, |world, refresh| {
        let id = world.grants()[0].record.id();
        refresh.set(
            "refresh_token",
            &format!(
                "grt_{}",
                URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &[0; 64]].concat())
            ),
        )
    }),
    (Reason::RefreshClientMismatch, |_, refresh| refresh.by_web()),
    (Reason::ScopeBeyondGrant, |_, refresh| refresh.and("scope", "admin")),
    (Reason::RefreshIdleExpired, |world, refresh| after(|| world.at(30 * DAY), refresh)),
    (Reason::RefreshAbsoluteExpired, |world, refresh| after(|| world.at(180 * DAY), refresh)),
    (Reason::RefreshReused, |world, refresh| {
        after(|| drop(world.token(&refresh)), refresh.clone())
    }),
    (Reason::GrantRevoked, |world, refresh| {
        after(|| drop([world.token(&refresh), world.token(&refresh)]), refresh.clone())
    }),
    (Reason::GrantEndedByHost, |world, refresh| {
        after(|| world.store.judge(RefreshDecision::End("gone".into())), refresh)
    }),
    (Reason::ClientSecretRetired, |world, refresh| {
        let rotated = world.server.rotate_secret("web", Overlap::NONE);
        after(|| drop(rotated.outcome().unwrap()), refresh.by_web())
    }),
    (Reason::GrantEnded, |world, refresh| after(|| world.put(app().with_grants_ended()), refresh)),
    (Reason::ClientDeactivated, |world, refresh| after(|| world.put(app().deactivated()), refresh)),
    (Reason::AccountSuspended, |world, refresh| {
        after(|| world.store.suspend("alice", true), refresh)
    }),
    (Reason::Contended, |world, refresh| after(|| world.store.fail([Fault::Conflict; 4]), refresh)),
    (Reason::RateLimited, |world, refresh| {
        after(|| (0..60).for_each(|_| drop(world.token(&Params::refresh("x")))), refresh)
    }),
    (Reason::GrantTypeUnauthorized, |world, refresh| {
        let only_codes = GrantTypes { authorization_code: true, refresh_token: false };
        world.put(
            Client::public("app").redirect_uri(CALLBACK).grant_types(only_codes).build().unwrap(),
        );
        refresh
    }),
    (Reason::AuthenticationsThrottled, |world, _| {
        let wrong = Params::refresh("x").by_web().set("client_secret", "x");
        after(|| (0..10).for_each(|_| drop(world.token(&wrong))), Params::refresh("x").by_web())
    }),
];

fn after(happening: impl FnOnce(), refresh: Params) -> Params {
    happening();
    refresh
}

/// Requests that need more than a changed parameter, each in its own world.
pub(crate) const TOKENS: &[(Reason, Provoke)] = &[
    (Reason::MethodNotAllowed, || sent(|incoming| RequestParts { method: "GET", ..incoming })),
    (Reason::ContentType, || {
        sent(|incoming| RequestParts { content_type: ContentType::None, ..incoming })
    }),
    (Reason::RequestUndecodable, || sent(|incoming| RequestParts { body: b"%", ..incoming })),
    (Reason::SecretInUrl, || sent(|incoming| RequestParts { query: b"code=x", ..incoming })),
    (Reason::SeveralAuthentications, || {
        sent(|incoming| RequestParts { authorization: Authorization::Several, ..incoming })
    }),
    (Reason::CredentialsMalformed, || {
        sent(|incoming| RequestParts { authorization: Authorization::One(b"Basic !"), ..incoming })
    }),
    (Reason::ClientMethodMismatch, || {
        let header = format!("Basic {}", STANDARD.encode(format!("web:{SECRET}")));
        let world = World::new();
        drop(world.token_with(&Params::refresh("x").set("client_id", "web"), header.as_bytes()));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::CodeExpired, || redeemed(|world, _| world.at(600))),
    (Reason::CodeReused, || redeemed(|world, redeem| drop(world.token(redeem)))),
    (Reason::StorageUnavailable, || {
        let world = World::new();
        world.store.break_reads(true);
        let failure = world.try_token(&Params::refresh("x"), Authorization::None).unwrap_err();
        (world, Refused::By(failure.into_refusal()))
    }),
    (Reason::EntropyUnavailable, || {
        let world = World::new();
        world.dry_up();
        drop(world.token(&Params::refresh("x")));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::RefreshSuperseded, || {
        let world = World::with(policy().replay_window(Duration::from_secs(30)));
        let first = world.tokens();
        world.refreshed(world.refreshed(first.refresh()).refresh());
        drop(world.token(&Params::refresh(first.refresh())));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::ResourceForbidden, || {
        let world = World::of_machines(
            crate::support::machines::machines().resource("https://files.example/", "read"),
        );
        world.put(crate::support::machines::job_with(crate::support::machines::rights().at(MCP)));
        drop(world.machine(&Params::machine().and("resource", "https://files.example/")));
        (world, Refused::At(Endpoint::Token))
    }),
];

fn sent(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Refused) {
    let world = World::new();
    let body = Params::refresh("x").encode();
    drop(world.server.token(&change(form(&body))));
    (world, Refused::At(Endpoint::Token))
}

fn redeemed(happening: fn(&World, &Params)) -> (World, Refused) {
    let world = World::new();
    let redeem = Params::redeem(&world.code(&Params::authorize()));
    happening(&world, &redeem);
    drop(world.token(&redeem));
    (world, Refused::At(Endpoint::Token))
}
