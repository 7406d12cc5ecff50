//! Tests that every row of the error table happens: each reason has a request that causes it. A new
//! reason needs a new line here. `reasons_faces.rs` has the other endpoints of each reason.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::reason::Endpoint;
use grantcore::value::{GrantTypes, Scope};
use grantcore::{Authorization, Choice, Client, Policy, Reason, Refusal, User};

use crate::reasons_assertions::ASSERTIONS;
use crate::reasons_clients::{CLIENTS, REGISTER};
use crate::reasons_logins::LOGINS;
use crate::reasons_machines::MACHINES;
use crate::reasons_running::RUNNING;
use crate::reasons_tokens::{REDEEM, REFRESH, TOKENS};
use crate::support::clients::metadata;
use crate::support::params::Params;
use crate::support::{
    ALICE, CALLBACK, Granted, ISSUER, MCP, Outcome, World, app, needs, policy, user,
};

/// A change of a valid request that adds one fault.
pub(crate) type Flaw = fn(Params) -> Params;
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

/// Authorization requests and decisions that need more than a changed parameter, each in its own
/// world.
const PAGES: &[(Reason, Provoke)] = &[
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
];

/// Calls of a protected resource, each in its own world.
const CALLS: &[(Reason, Provoke)] = &[
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
        .chain(PAGES)
        .chain(CALLS)
        .chain(TOKENS)
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
