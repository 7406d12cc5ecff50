//! Tests that every row of the error table happens: each reason has a request that causes it. A new
//! reason needs a new line here. `reasons_faces.rs` has the other endpoints of each reason.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use grantcore::account::RefreshDecision;
use grantcore::reason::Endpoint;
use grantcore::value::{GrantTypes, Overlap, Scope};
use grantcore::{
    Authorization, Choice, Client, ContentType, Policy, Reason, Refusal, RequestParts, User,
};

use crate::reasons_assertions::ASSERTIONS;
use crate::reasons_clients::{CLIENTS, REGISTER};
use crate::reasons_logins::LOGINS;
use crate::reasons_machines::MACHINES;
use crate::reasons_running::RUNNING;
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::store::Fault;
use crate::support::{
    ALICE, CALLBACK, CHALLENGE, Granted, ISSUER, MCP, Outcome, SECRET, World, app, needs, policy,
    user,
};

/// A change of a valid request that adds one fault.
type Flaw = fn(Params) -> Params;
/// A change of a valid request, or an action before it is sent.
type Interference = fn(&World, Params) -> Params;
/// Causes a refusal, and returns its world and the refusal.
pub(crate) type Provoke = fn() -> (World, Refused);

/// A refusal, or the endpoint whose response was refused.
pub(crate) enum Refused {
    By(Refusal),
    At(Endpoint),
}

impl Refused {
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::By(refusal) => refusal.endpoint(),
            Self::At(endpoint) => *endpoint,
        }
    }
}

/// Authorization requests with one fault each.
const AUTHORIZE: &[(Reason, Flaw)] = &[
    (Reason::RequestTooLarge, |request| request.set("state", &"x".repeat(5000))),
    (Reason::ClientIdMissing, |request| request.without("client_id")),
    (Reason::ClientIdRepeated, |request| request.and("client_id", "app")),
    (Reason::ClientUnknown, |request| request.set("client_id", "nobody")),
    (Reason::RedirectUriRepeated, |request| request.and("redirect_uri", CALLBACK)),
    (Reason::RedirectUriMismatch, |request| request.set("redirect_uri", "https://app.example/cb/")),
    (Reason::ParameterRepeated, |request| request.and("scope", "read")),
    (Reason::RequestObject, |request| request.and("request", "x")),
    (Reason::RequestUri, |request| request.and("request_uri", "x")),
    (Reason::ResponseTypeMissing, |request| request.without("response_type")),
    (Reason::ResponseTypeUnsupported, |request| request.set("response_type", "token")),
    (Reason::ResponseModeUnsupported, |request| request.and("response_mode", "fragment")),
    (Reason::PkceMissing, |request| request.without("code_challenge")),
    (Reason::PkceMethodMissing, |request| request.without("code_challenge_method")),
    (Reason::PkceMethod, |request| request.set("code_challenge_method", "plain")),
    (Reason::PkceMalformed, |request| request.set("code_challenge", "short")),
    (Reason::ScopeMalformed, |request| request.set("scope", "a\"b")),
    (Reason::ScopeUnknown, |request| request.set("scope", "x")),
    (Reason::ResourceMalformed, |request| request.and("resource", "mcp.example")),
    (Reason::ResourceUnknown, |request| request.and("resource", "https://x.example")),
];

/// Redemptions of a valid code with one fault each.
const REDEEM: &[(Reason, Flaw)] = &[
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
const REFRESH: &[(Reason, Interference)] = &[
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
const OTHERS: &[(Reason, Provoke)] = &[
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
    (Reason::RedirectUriMissing, || {
        requested(
            policy(),
            Some(
                Client::public("app").redirect_uri(CALLBACK).redirect_uri("https://app.example/2"),
            ),
            &["redirect_uri"],
        )
    }),
    (Reason::RedirectUriForbidden, || {
        // The record is older than the rule.
        let world = World::new();
        let old = serde_json::to_string(&app()).unwrap().replace(CALLBACK, "javascript:alert(1)");
        world.put(serde_json::from_str(&old).unwrap());
        let refusal = world
            .authorize(&Params::authorize().set("redirect_uri", "javascript:alert(1)"))
            .unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::CodeFlowUnauthorized, || {
        let none = GrantTypes { authorization_code: false, refresh_token: false };
        requested(
            policy(),
            Some(Client::public("app").redirect_uri(CALLBACK).grant_types(none)),
            &[],
        )
    }),
    (Reason::ScopeForbidden, || {
        requested(
            policy(),
            Some(Client::public("app").redirect_uri(CALLBACK).scope(Scope::parse("read").unwrap())),
            &[],
        )
    }),
    (Reason::ResourceForbidden, || {
        let world = World::of_machines(
            crate::support::machines::machines().resource("https://files.example/", "read"),
        );
        world.put(crate::support::machines::job_with(crate::support::machines::rights().at(MCP)));
        drop(world.machine(&Params::machine().and("resource", "https://files.example/")));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::MetadataKeysAtUrl, || {
        let world = crate::keys_entrances::world();
        world.not_registered(
            &crate::keys_entrances::keyed_at_url(),
            "invalid_client_metadata",
            Reason::MetadataKeysAtUrl,
        );
        (world, Refused::At(Endpoint::Registration))
    }),
    (Reason::ScopeMissing, || {
        requested(
            Policy::builder(ISSUER).scope("read", "Read").resource(MCP, "read"),
            None,
            &["scope"],
        )
    }),
    (Reason::PromptContradiction, || {
        let world = World::new();
        let params = Params::authorize().set("prompt", "none login");
        let refusal = world.authorize(&params).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::LoginRequired, || {
        let world = World::new();
        let refusal =
            world.authorize_as(&Params::authorize().set("prompt", "none"), None).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ConsentRequired, || {
        let world = World::new();
        let refusal = world.authorize(&Params::authorize().set("prompt", "none")).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::ResourceMissing, || requested(policy().require_resource(true), None, &[])),
    (Reason::PkceChallengeReused, || {
        let world = World::with(policy().refuse_reused_challenges(true));
        drop([
            world.code(&Params::authorize()),
            world.code(&Params::authorize().set("code_challenge", &"A".repeat(43))),
        ]);
        let refusal = world.authorize(&Params::authorize()).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::AccessDenied, || decided(|_| {}, |ticket| (ticket, ALICE, Choice::Deny))),
    (Reason::TicketMissing, || decided(|_| {}, |_| (String::new(), ALICE, Choice::Allow))),
    (Reason::TicketUnknown, || {
        decided(
            |_| {},
            |_| (format!("gct_{}", URL_SAFE_NO_PAD.encode([7; 48])), ALICE, Choice::Allow),
        )
    }),
    (Reason::ConsentSessionMismatch, || {
        decided(|_| {}, |ticket| (ticket, user(ALICE.subject(), b"another browser"), Choice::Allow))
    }),
    (Reason::ConsentExpired, || {
        decided(|world| world.at(600), |ticket| (ticket, ALICE, Choice::Allow))
    }),
    (Reason::ConsentScope, || {
        decided(|_| {}, |ticket| (ticket, ALICE, Choice::AllowOnly("admin")))
    }),
    (Reason::ConsentUsed, || {
        let world = World::new();
        let ticket = world.page(&Params::authorize()).ticket();
        drop(world.decide(&ticket, Choice::Allow));
        let refusal = world.decide(&ticket, Choice::Deny).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::TokenMissing, || checked(|_| Authorization::None, &[])),
    (Reason::BearerMalformed, || checked(|_| Authorization::Several, &[])),
    (Reason::TokenUnknown, || checked(|_| Authorization::One(b"Bearer x"), &[])),
    (Reason::ScopeInsufficient, || checked(|header| Authorization::One(header), &["admin"])),
    (Reason::TokenExpired, || called(|world| world.at(3600))),
    (Reason::TokenRevoked, || called(|world| world.put(app().with_grants_ended()))),
    (Reason::AudienceMismatch, || {
        let world = World::with(policy().resource("https://files.example", "read"));
        let code = world.code(&Params::authorize().and("resource", "https://files.example"));
        let refusal = world
            .check(&Granted::of(&world.token(&Params::redeem(&code))).access, &[])
            .unwrap_err();
        (world, Refused::By(refusal))
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

fn requested(
    policy: grantcore::policy::PolicyBuilder,
    client: Option<grantcore::client::ClientBuilder>,
    without: &[&str],
) -> (World, Refused) {
    let world = World::with(policy);
    if let Some(client) = client {
        world.put(client.build().unwrap());
    }
    let request = without.iter().fold(Params::authorize(), |request, name| request.without(name));
    let refusal = world.authorize(&request).unwrap_err();
    (world, Refused::By(refusal))
}

pub(crate) fn decided(
    happening: fn(&World),
    decision: fn(String) -> (String, User<'static>, Choice<'static>),
) -> (World, Refused) {
    let world = World::new();
    let (ticket, user, choice) = decision(world.page(&Params::authorize()).ticket());
    happening(&world);
    let refusal = world.server.consent(&ticket, user, choice).unwrap_err().into_refusal();
    (world, Refused::By(refusal))
}

fn checked(authorization: fn(&[u8]) -> Authorization<'_>, scopes: &[&str]) -> (World, Refused) {
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    let needs = needs(world.server.policy(), 0, &scopes.join(" "));
    let refusal =
        world.server.check(&authorization(header.as_bytes()), &needs).outcome().unwrap_err();
    (world, Refused::By(refusal))
}

pub(crate) fn called(happening: fn(&World)) -> (World, Refused) {
    let world = World::new();
    let header = format!("Bearer {}", world.tokens().access);
    happening(&world);
    let needs = needs(world.server.policy(), 0, "");
    let checked = world.server.check(&Authorization::One(header.as_bytes()), &needs);
    let refusal = checked.unwrap_err().into_refusal();
    (world, Refused::By(refusal))
}

/// Causes every reason once.
pub(crate) fn reached() -> Vec<(Reason, World, Refused)> {
    let authorize = AUTHORIZE.iter().map(|(reason, change)| {
        let world = World::new();
        let refusal = world.authorize(&change(Params::authorize())).unwrap_err();
        assert_eq!(refusal.reason(), *reason);
        (*reason, world, Refused::By(refusal))
    });
    let redeem = REDEEM.iter().map(|(reason, change)| {
        let world = World::new();
        drop(world.token(&change(Params::redeem(&world.code(&Params::authorize())))));
        (*reason, world, Refused::At(Endpoint::Token))
    });
    let refresh = REFRESH.iter().map(|(reason, change)| {
        let world = World::new();
        let refresh = Params::refresh(world.tokens().refresh());
        drop(world.token(&change(&world, refresh)));
        (*reason, world, Refused::At(Endpoint::Token))
    });
    let register = REGISTER.iter().map(|(reason, change)| {
        let world = World::open();
        world.not_registered(
            &change(metadata()),
            reason.code(Endpoint::Registration).unwrap().as_str(),
            *reason,
        );
        (*reason, world, Refused::At(Endpoint::Registration))
    });
    let others = CLIENTS
        .iter()
        .chain(OTHERS)
        .chain(RUNNING)
        .chain(LOGINS)
        .chain(MACHINES)
        .chain(ASSERTIONS)
        .map(|(reason, provoke)| {
            let (world, refusal) = provoke();
            (*reason, world, refusal)
        });
    let keyed = crate::reasons_keys::keyed(Endpoint::Token);
    authorize.chain(redeem).chain(refresh).chain(register).chain(others).chain(keyed).collect()
}

#[test]
fn token_19_every_reason_is_reached_and_recorded() {
    let mut seen = BTreeSet::new();
    for (expected, world, _) in reached() {
        let event = world.events().pop().unwrap();
        assert_eq!(
            (event.reason, event.kind),
            (Some(expected), grantcore::event::EventKind::Refused)
        );
        assert!(event.sent.is_some(), "{expected:?}");
        assert!(seen.insert(expected.name()), "{expected:?} is provoked twice");
    }
    // AuditUnavailable is in no event, because it is the response if no event is recorded
    // (AUDIT-08).
    assert!(seen.insert(Reason::AuditUnavailable.name()));
    assert_eq!(
        seen,
        Reason::ALL.iter().map(|reason| reason.name()).collect(),
        "every reason has a line above"
    );
}
