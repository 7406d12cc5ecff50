//! Requests that cause the reasons of the revocation and introspection endpoints, and those of a
//! failing entropy source at every endpoint where they happen.

use grantcore::blocking::drive;
use grantcore::client::ClientStatus;
use grantcore::operation::Operation;
use grantcore::policy::{DomainRules, IntrospectionRules, RevocationRules};
use grantcore::reason::Endpoint;
use grantcore::request::{IntrospectionRequest, RevocationRequest};
use grantcore::value::Overlap;
use grantcore::{Authorization, Client, ContentType, FromStore, Reason, Refusal, RequestParts};
use serde_json::Value;

use crate::reasons_reached::{Refused, called, decided};
use crate::support::clients::{known_by_document, metadata, posting};
use crate::support::machines::rights;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{ALICE, MCP, Outcome, SECRET, World, app, entropy, policy};

/// The credentials of `web` with [`SECRET`], for `client_secret_basic`.
const BASIC: &[u8] = b"Basic d2ViOmEtc2VjcmV0LW9mLWEtY29uZmlkZW50aWFsLWNsaWVudC0wMTIzNDU2Nzg5";
const RIGHT: &[u8] =
    b"client_id=web&client_secret=a-secret-of-a-confidential-client-0123456789&token=x";
const WRONG: &[u8] = b"client_id=web&client_secret=wrong&token=x";

const DENIED: &[u8] = b"client_id=https%3A%2F%2Fclient.example%2Foauth%2Fmeta.json&token=x";

/// An action before the request is sent.
type Before = fn(&World);
/// A change of a valid form that adds one fault.
type Flaw = fn(RequestParts<'static>) -> RequestParts<'static>;

/// The faults of a form that names a token.
const FORMS: &[(Reason, Before, Flaw)] = &[
    (Reason::MethodNotAllowed, |_| {}, |parts| RequestParts { method: "GET", ..parts }),
    (Reason::RequestTooLarge, |_| {}, |parts| RequestParts { body: &[b'x'; 20_000], ..parts }),
    (
        Reason::ContentType,
        |_| {},
        |parts| RequestParts { content_type: ContentType::None, ..parts },
    ),
    (Reason::RequestUndecodable, |_| {}, |parts| RequestParts { body: b"%", ..parts }),
    (Reason::ParameterRepeated, |_| {}, |parts| RequestParts { body: b"token=a&token=b", ..parts }),
    (Reason::ClientIdMissing, |_| {}, |parts| RequestParts { body: b"token=x", ..parts }),
    (
        Reason::ClientUnknown,
        |_| {},
        |parts| RequestParts { body: b"client_id=nobody&token=x", ..parts },
    ),
    (Reason::ClientDeactivated, |world| world.put(app().deactivated()), |parts| parts),
    (
        Reason::CimdDenied,
        |world| world.put(known_by_document()),
        |parts| RequestParts { body: DENIED, ..parts },
    ),
    (Reason::SecretInUrl, |_| {}, |parts| RequestParts { query: b"token=x", ..parts }),
    (
        Reason::SeveralAuthentications,
        |_| {},
        |parts| RequestParts { authorization: Authorization::Several, ..parts },
    ),
    (
        Reason::CredentialsMalformed,
        |_| {},
        |parts| RequestParts { authorization: Authorization::One(b"Basic !"), ..parts },
    ),
    (
        Reason::ClientSecretMissing,
        |_| {},
        |parts| RequestParts { body: b"client_id=web&token=x", ..parts },
    ),
    (Reason::ClientSecretWrong, |_| {}, |parts| RequestParts { body: WRONG, ..parts }),
    (
        Reason::ClientSecretRetired,
        |world| drop(world.server.rotate_secret("web", Overlap::NONE).outcome().unwrap()),
        |parts| RequestParts { body: RIGHT, ..parts },
    ),
    (
        Reason::ClientSecretUnexpected,
        |_| {},
        |parts| RequestParts { body: b"client_id=app&client_secret=x&token=x", ..parts },
    ),
    (
        Reason::ClientFederated,
        |world| world.put(Client::federated("workload", rights()).build().unwrap()),
        |parts| RequestParts { body: b"client_id=workload&token=x", ..parts },
    ),
    (
        Reason::ClientMethodMismatch,
        |_| {},
        |parts| {
            let authorization = Authorization::One(BASIC);
            RequestParts { authorization, body: b"token=x", ..parts }
        },
    ),
    (
        Reason::AuthenticationsThrottled,
        |world| {
            for _ in 0..10 {
                let wrong = Params::refresh("x").by_web().set("client_secret", "wrong");
                assert_eq!(world.token(&wrong).status, 401);
            }
        },
        |parts| RequestParts { body: WRONG, ..parts },
    ),
    (Reason::StorageUnavailable, |world| world.store.break_reads(true), |parts| parts),
    (Reason::EntropyUnavailable, World::dry_up, |parts| parts),
];

fn world() -> World {
    let rules = IntrospectionRules::default().with_resource_server("web", MCP);
    let denied = DomainRules::default().with_denied(["client.example"]);
    let policy = policy().document_domains(denied);
    World::with(policy.revocation(RevocationRules::default()).introspection(rules))
}

/// Sends a form to this endpoint.
fn send(world: &World, endpoint: Endpoint, parts: &RequestParts<'_>) {
    let reply = match endpoint {
        Endpoint::Revocation => world.server.revoke(parts),
        _ => world.server.introspect(parts),
    };
    let refusal = reply.map_or_else(|failure| failure.refusal().status(), |reply| reply.status);
    assert!(refusal >= 400, "not refused at {endpoint:?}");
}

/// Returns the refusal of a form in a world without limits and with entropy.
fn refusal(world: &World, endpoint: Endpoint, parts: &RequestParts<'_>) -> Option<Refusal> {
    fn decide<O: Operation>(world: &World, parsed: Result<O, Refusal>) -> Option<Refusal> {
        let (operation, now) = match parsed {
            Ok(operation) => (operation, world.now()),
            Err(refusal) => return Some(refusal),
        };
        let policy = world.server.policy();
        match drive(&operation, &*world.store, FromStore, policy, &move || now, entropy(7)) {
            Ok(settled) => settled.outcome.err(),
            Err(failure) => Some(failure.refusal),
        }
    }
    let policy = world.server.policy();
    match endpoint {
        Endpoint::Revocation => decide(world, RevocationRequest::parse(parts, policy)),
        _ => decide(world, IntrospectionRequest::parse(parts, policy)),
    }
}

/// Returns the reason at this endpoint: who names no client at introspection has not authenticated
/// (INTROSPECT-01).
fn at(reason: Reason, endpoint: Endpoint) -> Reason {
    match (reason, endpoint) {
        (Reason::ClientIdMissing, Endpoint::Introspection) => Reason::IntrospectionCallerMissing,
        _ => reason,
    }
}

/// Returns every shared reason at both endpoints.
pub(crate) fn forms() -> Vec<(Reason, World, Refused)> {
    let mut all = Vec::new();
    for endpoint in [Endpoint::Revocation, Endpoint::Introspection] {
        for (reason, before, spoil) in FORMS {
            let world = world();
            before(&world);
            let parts = spoil(form("client_id=app&token=x"));
            send(&world, endpoint, &parts);
            all.push((at(*reason, endpoint), world, Refused::At(endpoint)));
        }
    }
    let world = world();
    let revoke = Params::refresh("x").without("grant_type").without("refresh_token");
    let body = revoke.and("token", world.tokens().refresh()).encode();
    world.store.fail([Fault::Conflict; 4]);
    send(&world, Endpoint::Revocation, &form(&body));
    all.push((Reason::Contended, world, Refused::At(Endpoint::Revocation)));
    all
}

/// Returns a refusal for missing entropy at every other endpoint.
pub(crate) fn dry() -> Vec<(Reason, World, Refused)> {
    let at = |endpoint, happening: fn(&World)| {
        let world = World::open();
        world.dry_up();
        happening(&world);
        (Reason::EntropyUnavailable, world, Refused::At(endpoint))
    };
    let by = |(world, refusal): (World, Refused)| (Reason::EntropyUnavailable, world, refusal);
    vec![
        at(Endpoint::Authorization, |world| {
            let refusal = world.authorize(&Params::authorize()).unwrap_err();
            assert_eq!(refusal.location(world.server.policy()), None);
        }),
        at(Endpoint::Token, |world| drop(world.token(&Params::refresh("x")))),
        at(Endpoint::Registration, |world| {
            drop(world.server.register(&posting(metadata().to_string().as_bytes())));
        }),
        at(Endpoint::Management, |world| drop(world.manage("GET", "app", "x", &Value::Null))),
        by(decided(World::dry_up, |ticket| (ticket, ALICE, grantcore::Choice::Allow))),
        by(called(World::dry_up)),
        at(Endpoint::Operator, |world| {
            let status = ClientStatus::Deactivated;
            drop(world.server.set_client_status("app", status).outcome().unwrap_err());
        }),
    ]
}

#[test]
fn token_19_a_refusal_names_its_endpoint() {
    for endpoint in [Endpoint::Revocation, Endpoint::Introspection] {
        for (reason, before, spoil) in FORMS {
            let world = world();
            before(&world);
            let parts = spoil(form("client_id=app&token=x"));
            let reason = &at(*reason, endpoint);
            let refusal = refusal(&world, endpoint, &parts).filter(|own| own.reason() == *reason);
            let is_servers = [Reason::AuthenticationsThrottled, Reason::EntropyUnavailable];
            assert!(refusal.is_some() || is_servers.contains(reason), "{reason:?}");
            let Some(refusal) = refusal else { continue };
            assert_eq!(refusal.endpoint(), endpoint, "{reason:?}");
            let basic = refusal.reply(world.server.policy());
            let basic = basic.header("www-authenticate").is_some_and(|text| text.contains("Basic"));
            assert_eq!(basic, refusal.status() == 401, "{reason:?}: RFC 6749 §5.2");
        }
    }
}

/// OAuth 2.1 §7.5: without entropy nothing is minted, and no other failure is reported.
#[test]
fn store_05_a_failing_entropy_source_has_its_own_reason() {
    for (reason, world, _) in dry() {
        let event = world.events().pop().unwrap();
        assert_eq!((event.reason, reason), (Some(reason), Reason::EntropyUnavailable));
        let sent = event.sent.unwrap();
        assert_eq!((sent.status, sent.error), (503, Some("temporarily_unavailable")));
    }
    let world = World::new();
    let tokens = world.tokens();
    let before = world.store.commits();
    world.dry_up();
    let reply = world.token(&Params::refresh(tokens.refresh()).and("client_secret", SECRET));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(world.store.commits(), before);
}

/// An audit log keeps one event for each id and kind: without randomness the ids differ too.
#[test]
fn audit_02_without_randomness_each_request_still_has_its_own_id() {
    let world = World::new();
    world.dry_up();
    for _ in 0..3 {
        drop(world.token(&Params::refresh("x")));
    }
    let mut ids: Vec<_> =
        world.events().iter().map(|event| event.correlation.to_string()).collect();
    assert_eq!(ids.len(), 3);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
}
