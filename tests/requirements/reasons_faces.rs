//! Tests that each row of the error table happens at exactly the endpoints that it names, and by
//! redirect exactly if it allows that. The rows of revocation and introspection are in
//! `reasons_forms.rs`.

use std::collections::BTreeSet;

use grantcore::client::ClientStatus;
use grantcore::policy::{DocumentRules, DomainRules, Limits, RegistrationRules};
use grantcore::reason::Endpoint;
use grantcore::value::{Scope, Subject};
use grantcore::{Authorization, Choice, Client, Reason, RequestParts, User};
use serde_json::{Value, json};

use crate::reasons_assertions::ASSERTIONS_ELSEWHERE;
use crate::reasons_clients::{REGISTER, managed};
use crate::reasons_forms::{dry, forms};
use crate::reasons_machines::MACHINES_ELSEWHERE;
use crate::reasons_reached::{Refused, called, decided, reached};
use crate::support::clients::{DOCUMENT, Own, ask, code_in, document, metadata, with};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{ALICE, Granted, Outcome, World, app, policy};

/// A refusal at an endpoint for which `reasons_reached.rs` has no request.
type Provocation = fn() -> (World, Refused);

const ELSEWHERE: &[(Reason, Provocation)] = &[
    (Reason::MethodNotAllowed, || asking(|incoming| RequestParts { method: "PUT", ..incoming })),
    (Reason::MethodNotAllowed, || {
        registering(|incoming| RequestParts { method: "GET", ..incoming })
    }),
    (Reason::MethodNotAllowed, || managing(|incoming| RequestParts { method: "POST", ..incoming })),
    (Reason::RequestTooLarge, || {
        sending(|incoming| RequestParts { body: &[b'x'; 20_000], ..incoming })
    }),
    (Reason::RequestTooLarge, || {
        registering(|incoming| RequestParts { body: &[b' '; 20_000], ..incoming })
    }),
    (Reason::RequestTooLarge, || {
        managed(|_, token| (token.into(), Value::String("x".repeat(20_000))))
    }),
    (Reason::RequestUndecodable, || asking(|incoming| RequestParts { query: b"%", ..incoming })),
    (Reason::ContentType, || asking(|incoming| RequestParts { method: "POST", ..incoming })),
    (Reason::ParameterRepeated, || {
        sending(|incoming| RequestParts { body: b"scope=a&scope=b", ..incoming })
    }),
    (Reason::ClientIdMissing, || sending(|incoming| RequestParts { body: b"", ..incoming })),
    (Reason::ClientUnknown, || {
        sending(|incoming| RequestParts { body: b"client_id=nobody", ..incoming })
    }),
    (Reason::ClientUnknown, || set_status(|_| {}, "nobody")),
    (Reason::ClientDeactivated, || decided(|world| world.put(app().deactivated()), allowed)),
    (Reason::ClientDeactivated, || called(|world| world.put(app().deactivated()))),
    (Reason::CimdDenied, || {
        let (world, tokens) = denied();
        drop(world.token(&Params::refresh(tokens.refresh()).set("client_id", DOCUMENT)));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::CimdDenied, || {
        let (world, tokens) = denied();
        let refusal = world.check(&tokens.access, &[]).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::RedirectHostDenied, || {
        let (world, own) = restricted();
        let refusal = world.authorize(&ask(&own.id)).unwrap_err();
        (world, Refused::By(refusal))
    }),
    (Reason::RedirectHostDenied, || {
        let (world, own) = restricted();
        drop(world.manage("PUT", &own.id, &own.token, &own.update(metadata())));
        (world, Refused::At(Endpoint::Management))
    }),
    (Reason::ScopeForbidden, || {
        let world = World::new();
        let tokens = world.tokens();
        let ceiling = Scope::parse("admin").unwrap();
        world.put(app().edit().scope(ceiling).build().unwrap());
        drop(world.token(&Params::refresh(tokens.refresh())));
        (world, Refused::At(Endpoint::Token))
    }),
    (Reason::AccountSuspended, || decided(|world| world.store.suspend("alice", true), allowed)),
    (Reason::AccountSuspended, || called(|world| world.store.suspend("alice", true))),
    (Reason::OwnerSuspended, || called(disown)),
    (Reason::OwnerSuspended, || {
        let world = World::new();
        let refresh = Params::refresh(world.tokens().refresh());
        disown(&world);
        drop(world.token(&refresh));
        (world, Refused::At(Endpoint::Token))
    }),
    // The store fails at the first read, and at the write.
    (Reason::StorageUnavailable, || decided(|world| world.store.break_reads(true), allowed)),
    (Reason::StorageUnavailable, || decided(|world| world.store.fail([Fault::Dropped]), allowed)),
    (Reason::StorageUnavailable, || called(|world| world.store.break_reads(true))),
    (Reason::StorageUnavailable, || registered(|world| world.store.fail([Fault::Dropped]))),
    (Reason::StorageUnavailable, || deleted([Fault::Dropped])),
    (Reason::StorageUnavailable, || set_status(|world| world.store.fail([Fault::Dropped]), "app")),
    (Reason::Contended, || decided(|world| world.store.fail([Fault::Conflict; 4]), allowed)),
    (Reason::Contended, || registered(|world| world.store.fail([Fault::Conflict; 4]))),
    (Reason::Contended, || deleted([Fault::Conflict; 4])),
    (Reason::Contended, || set_status(|world| world.store.fail([Fault::Conflict; 4]), "app")),
    (Reason::RegistrationOff, || {
        let world = World::new();
        drop(world.manage("GET", "app", "token", &Value::Null));
        (world, Refused::At(Endpoint::Management))
    }),
    (Reason::RegistrationLimited, || {
        let rules = policy().registration(RegistrationRules::default());
        let world =
            World::with(rules.limits(Limits::default().with_all_registrations_per_minute(1)));
        let own = world.own(&metadata());
        drop(world.manage("PUT", &own.id, &own.token, &own.update(metadata())));
        (world, Refused::At(Endpoint::Management))
    }),
    (Reason::MetadataNotJson, || managed(|_, token| (token.into(), json!([])))),
    (Reason::RegisteredUriLoopback, || {
        let rules = RegistrationRules::default().with_strict_application_type(true);
        let world = World::with(policy().registration(rules));
        let own = world.own(&metadata());
        let update = with(
            with(metadata(), "application_type", "web"),
            "redirect_uris",
            vec!["http://127.0.0.1/cb"],
        );
        drop(world.manage("PUT", &own.id, &own.token, &own.update(update)));
        (world, Refused::At(Endpoint::Management))
    }),
];

fn allowed(ticket: String) -> (String, User<'static>, Choice<'static>) {
    (ticket, ALICE, Choice::Allow)
}

/// Returns tokens of a client that is known by a document, and a world that denies its domain.
fn denied() -> (World, Granted) {
    let before = World::open();
    let code = {
        let ticket = before.page_with(&ask(DOCUMENT), &document()).ticket();
        code_in(&before.decide(&ticket, Choice::Allow).unwrap().into_location())
    };
    let tokens = Granted::of(&before.token(&Params::redeem(&code).set("client_id", DOCUMENT)));
    let rules = DomainRules::default().with_denied(["client.example"]);
    let policy = policy().client_documents(DocumentRules::default()).document_domains(rules);
    (before.beside(policy.build().unwrap(), 2), tokens)
}

/// Returns a client that registered before a rule that refuses its redirect URI.
fn restricted() -> (World, Own) {
    let before = World::open();
    let own = before.own(&metadata());
    let rules = RegistrationRules::default().with_redirect_hosts(["other.example"]);
    (before.beside(policy().registration(rules).build().unwrap(), 2), own)
}

/// Gives the client an owner whose account is suspended.
fn disown(world: &World) {
    // The tokens were issued for this epoch of the client.
    let owned = Client::clone(&app()).edit().owner(Subject::new("mallory")).build().unwrap();
    world.put(owned);
    world.store.suspend("mallory", true);
}

fn asking(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Refused) {
    let world = World::new();
    let query = Params::authorize().encode();
    let good = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let refusal = world.server.authorize(&change(good), Some(ALICE)).outcome().unwrap_err();
    (world, Refused::By(refusal))
}

fn sending(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Refused) {
    let world = World::new();
    drop(world.server.token(&change(form(""))));
    (world, Refused::At(Endpoint::Token))
}

fn registering(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Refused) {
    let world = World::open();
    let body = metadata().to_string();
    let good = crate::support::clients::posting(body.as_bytes());
    drop(world.server.register(&change(good)));
    (world, Refused::At(Endpoint::Registration))
}

fn managing(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Refused) {
    let world = World::open();
    drop(
        world
            .server
            .manage("app", &change(RequestParts { method: "GET", ..RequestParts::default() })),
    );
    (world, Refused::At(Endpoint::Management))
}

fn registered(happening: fn(&World)) -> (World, Refused) {
    let world = World::open();
    happening(&world);
    let body = metadata().to_string();
    let outcome = world.server.register(&crate::support::clients::posting(body.as_bytes()));
    let refusal = outcome.map_or_else(
        |failure| Refused::By(failure.into_refusal()),
        |_| Refused::At(Endpoint::Registration),
    );
    (world, refusal)
}

fn deleted<const N: usize>(faults: [Fault; N]) -> (World, Refused) {
    let world = World::open();
    let own = world.own(&metadata());
    world.store.fail(faults);
    let header = format!("Bearer {}", own.token);
    let incoming = RequestParts {
        method: "DELETE",
        authorization: Authorization::One(header.as_bytes()),
        ..RequestParts::default()
    };
    let outcome = world.server.manage(&own.id, &incoming);
    let refusal = outcome.map_or_else(
        |failure| Refused::By(failure.into_refusal()),
        |_| Refused::At(Endpoint::Management),
    );
    (world, refusal)
}

fn set_status(happening: fn(&World), client: &str) -> (World, Refused) {
    let world = World::new();
    happening(&world);
    let error = world.server.set_client_status(client, ClientStatus::Deactivated).unwrap_err();
    let refusal = error.into_refusal();
    (world, Refused::By(refusal))
}

/// Updates of a registration with each fault of a registration.
fn updates() -> Vec<(Reason, World, Refused)> {
    let update = |(reason, change): &(Reason, fn(Value) -> Value)| {
        let world = World::open();
        let own = world.own(&metadata());
        drop(world.manage("PUT", &own.id, &own.token, &own.update(change(metadata()))));
        (*reason, world, Refused::At(Endpoint::Management))
    };
    REGISTER.iter().map(update).collect()
}

fn elsewhere() -> Vec<(Reason, World, Refused)> {
    let provoke = |(reason, provoke): &(Reason, Provocation)| {
        let (world, refusal) = provoke();
        (*reason, world, refusal)
    };
    ELSEWHERE.iter().chain(MACHINES_ELSEWHERE).chain(ASSERTIONS_ELSEWHERE).map(provoke).collect()
}

#[test]
fn token_19_every_reason_happens_at_exactly_its_documented_endpoints() {
    let mut at = BTreeSet::new();
    let mut redirected = BTreeSet::new();
    let all = reached().into_iter().chain(updates()).chain(elsewhere()).chain(forms());
    let keyed = [Endpoint::Revocation, Endpoint::Introspection].into_iter();
    let keyed = keyed.flat_map(crate::reasons_keys::keyed);
    for (reason, world, refusal) in all.chain(dry()).chain(keyed) {
        assert_eq!(world.reason(), Some(reason), "at {:?}", refusal.endpoint());
        at.insert((reason.name(), format!("{:?}", refusal.endpoint())));
        if let Refused::By(refusal) = refusal {
            let policy = world.server.policy();
            if refusal.location(policy).or(refusal.problem(policy).continue_url).is_some() {
                redirected.insert(reason.name());
            }
        }
    }
    let documented = |reason: &'static Reason| {
        reason.endpoints().iter().map(|endpoint| (reason.name(), format!("{endpoint:?}")))
    };
    // AuditUnavailable is the response if an event is not recorded. It is in no event, and it can
    // happen at every endpoint (AUDIT-08).
    let expected = Reason::ALL.iter().filter(|reason| **reason != Reason::AuditUnavailable);
    assert_eq!(at, expected.flat_map(documented).collect());
    let redirectable = Reason::ALL.iter().filter(|reason| reason.is_redirectable());
    assert_eq!(redirected, redirectable.map(|reason| reason.name()).collect());
}
