//! The endpoints where each row of the error table happens: exactly those that the row names, and by
//! redirect exactly if the row says so. Those of revocation and introspection are in
//! `reasons_forms.rs`.

use std::collections::BTreeSet;

use grantcore::{
    Authorization, Choice, Client, ClientStatus, Endpoint, Limits, Reason, RegistrationRules,
    RequestParts, Subject, User,
};
use serde_json::{Value, json};

use crate::reasons_clients::{REGISTER, managed};
use crate::reasons_forms::{dry, forms};
use crate::reasons_reached::{Told, called, decided, reached};
use crate::support::clients::{metadata, with};
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::store::Fault;
use crate::support::{ALICE, Outcome, World, app, policy};

/// A refusal where `reasons_reached.rs` has none of this reason.
type Elsewhere = fn() -> (World, Told);

const ELSEWHERE: &[(Reason, Elsewhere)] = &[
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
    (Reason::ClientUnknown, || standing(|_| {}, "nobody")),
    (Reason::ClientDeactivated, || decided(|world| world.put(app().deactivated()), allowed)),
    (Reason::ClientDeactivated, || called(|world| world.put(app().deactivated()))),
    (Reason::AccountSuspended, || decided(|world| world.store.suspend("alice", true), allowed)),
    (Reason::AccountSuspended, || called(|world| world.store.suspend("alice", true))),
    (Reason::OwnerSuspended, || called(disown)),
    (Reason::OwnerSuspended, || {
        let world = World::new();
        let refresh = Params::refresh(world.tokens().refresh());
        disown(&world);
        drop(world.token(&refresh));
        (world, Told::At(Endpoint::Token))
    }),
    // Before anything is known, and when all that was missing is the write.
    (Reason::StorageUnavailable, || decided(|world| world.store.break_reads(true), allowed)),
    (Reason::StorageUnavailable, || decided(|world| world.store.fail([Fault::Dropped]), allowed)),
    (Reason::StorageUnavailable, || called(|world| world.store.break_reads(true))),
    (Reason::StorageUnavailable, || registered(|world| world.store.fail([Fault::Dropped]))),
    (Reason::StorageUnavailable, || deleted([Fault::Dropped])),
    (Reason::StorageUnavailable, || standing(|world| world.store.fail([Fault::Dropped]), "app")),
    (Reason::Contended, || decided(|world| world.store.fail([Fault::Conflict; 4]), allowed)),
    (Reason::Contended, || registered(|world| world.store.fail([Fault::Conflict; 4]))),
    (Reason::Contended, || deleted([Fault::Conflict; 4])),
    (Reason::Contended, || standing(|world| world.store.fail([Fault::Conflict; 4]), "app")),
    (Reason::RegistrationOff, || {
        let world = World::new();
        drop(world.manage("GET", "app", "token", &Value::Null));
        (world, Told::At(Endpoint::Management))
    }),
    (Reason::RegistrationLimited, || {
        let rules = policy().registration(RegistrationRules::default());
        let world =
            World::with(rules.limits(Limits::default().with_all_registrations_per_minute(1)));
        let own = world.own(&metadata());
        drop(world.manage("PUT", &own.id, &own.token, &own.update(metadata())));
        (world, Told::At(Endpoint::Management))
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
        (world, Told::At(Endpoint::Management))
    }),
];

fn allowed(ticket: String) -> (String, User<'static>, Choice<'static>) {
    (ticket, ALICE, Choice::Allow)
}

/// Gives the client an owner who is suspended.
fn disown(world: &World) {
    // The epoch of the client that its tokens were issued to.
    let owned = Client::clone(&app()).edit().owner(Subject::new("mallory")).build().unwrap();
    world.put(owned);
    world.store.suspend("mallory", true);
}

fn asking(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Told) {
    let world = World::new();
    let query = Params::authorize().encode();
    let good = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let refusal = world.server.authorize(&change(good), Some(ALICE)).outcome().unwrap_err();
    (world, Told::By(refusal))
}

fn sending(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Told) {
    let world = World::new();
    drop(world.server.token(&change(form(""))));
    (world, Told::At(Endpoint::Token))
}

fn registering(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Told) {
    let world = World::open();
    let body = metadata().to_string();
    let good = crate::support::clients::posting(body.as_bytes());
    drop(world.server.register(&change(good)));
    (world, Told::At(Endpoint::Registration))
}

fn managing(change: fn(RequestParts<'_>) -> RequestParts<'_>) -> (World, Told) {
    let world = World::open();
    drop(
        world
            .server
            .manage("app", &change(RequestParts { method: "GET", ..RequestParts::default() })),
    );
    (world, Told::At(Endpoint::Management))
}

fn registered(happening: fn(&World)) -> (World, Told) {
    let world = World::open();
    happening(&world);
    let body = metadata().to_string();
    let outcome = world.server.register(&crate::support::clients::posting(body.as_bytes()));
    let told = outcome.map_or_else(
        |failure| Told::By(failure.into_refusal()),
        |_| Told::At(Endpoint::Registration),
    );
    (world, told)
}

fn deleted<const N: usize>(faults: [Fault; N]) -> (World, Told) {
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
    let told = outcome.map_or_else(
        |failure| Told::By(failure.into_refusal()),
        |_| Told::At(Endpoint::Management),
    );
    (world, told)
}

fn standing(happening: fn(&World), client: &str) -> (World, Told) {
    let world = World::new();
    happening(&world);
    let error = world.server.set_client_status(client, ClientStatus::Deactivated).unwrap_err();
    let refusal = error.into_refusal();
    (world, Told::By(refusal))
}

/// Every update of a registration with one thing wrong that a registration may have wrong as well.
fn updates() -> Vec<(Reason, World, Told)> {
    let update = |(reason, change): &(Reason, fn(Value) -> Value)| {
        let world = World::open();
        let own = world.own(&metadata());
        drop(world.manage("PUT", &own.id, &own.token, &own.update(change(metadata()))));
        (*reason, world, Told::At(Endpoint::Management))
    };
    REGISTER.iter().map(update).collect()
}

fn elsewhere() -> Vec<(Reason, World, Told)> {
    let provoke = |(reason, provoke): &(Reason, Elsewhere)| {
        let (world, told) = provoke();
        (*reason, world, told)
    };
    ELSEWHERE.iter().map(provoke).collect()
}

#[test]
fn token_19_every_reason_happens_at_the_faces_it_is_documented_for_and_no_others() {
    let (mut at, mut redirected) = (BTreeSet::new(), BTreeSet::new());
    let all = reached().into_iter().chain(updates()).chain(elsewhere()).chain(forms());
    for (reason, world, told) in all.chain(dry()) {
        assert_eq!(world.reason(), Some(reason), "at {:?}", told.endpoint());
        at.insert((reason.name(), format!("{:?}", told.endpoint())));
        if let Told::By(refusal) = told {
            let policy = world.server.policy();
            if refusal.location(policy).or(refusal.problem(policy).continue_url).is_some() {
                redirected.insert(reason.name());
            }
        }
    }
    let documented = |reason: &'static Reason| {
        reason.endpoints().iter().map(|endpoint| (reason.name(), format!("{endpoint:?}")))
    };
    // What is answered when an event is not kept is in none; it can be at every face (AUDIT-08).
    let told = Reason::ALL.iter().filter(|reason| **reason != Reason::AuditUnavailable);
    assert_eq!(at, told.flat_map(documented).collect());
    let redirectable = Reason::ALL.iter().filter(|reason| reason.is_redirectable());
    assert_eq!(redirected, redirectable.map(|reason| reason.name()).collect());
}
