//! Tests of CLIENT-08: the bounds of registration and its token; and of a failing store. CLIENT-09
//! is in `client_ceiling.rs`.

use std::sync::Arc;

use grantcore::blocking::{Server, Store};
use grantcore::moment::EntropyError;
use grantcore::policy::{Limits, PolicyBuilder, PolicyError, RegistrationRules};
use grantcore::request::RegistrationRequest;
use grantcore::store::Commit;
use grantcore::value::Digest;
use grantcore::{
    Authorization, Client, FromStore, MemoryStore, Reason, Reply, RequestParts, Timestamp,
};
use serde_json::json;

use crate::client_metadata::{bad_members, to};
use crate::support::clients::{Own, metadata, posting, with, without};
use crate::support::refused::wire;
use crate::support::store::{Broken, Fault};
use crate::support::{Answered, ISSUER, T, World, assert_refused, entropy, json as body, policy};

pub(crate) fn open() -> PolicyBuilder {
    policy().registration(RegistrationRules::default())
}

/// Registers from this source.
fn from(world: &World, source: &str) -> Reply {
    world
        .server
        .register(&RequestParts { source, ..posting(metadata().to_string().as_bytes()) })
        .answered(world.server.policy())
}

#[track_caller]
fn assert_later(world: &World, source: &str, wait: &str) {
    let clients = world.store.inner.counts().clients;
    let reply = from(world, source);
    assert_refused(world, &reply, 429, "too_many_requests", Reason::RegistrationLimited);
    assert_eq!(
        (reply.header("retry-after"), world.store.inner.counts().clients),
        (Some(wait), clients)
    );
}

/// Returns metadata of exactly this many bytes.
fn sized(bytes: usize) -> Vec<u8> {
    let empty = with(metadata(), "software_id", "").to_string().len();
    let sent = with(metadata(), "software_id", "x".repeat(bytes - empty)).to_string().into_bytes();
    assert_eq!(sent.len(), bytes);
    sent
}

#[test]
fn client_08_a_body_is_at_most_16_kib() {
    for (world, limit) in [
        (World::open(), 16 * 1024),
        (World::with(open().limits(Limits::default().with_registration_bytes(1000))), 1000),
        (World::with(open().limits(Limits::default().with_request_bytes(100))), 16 * 1024),
    ] {
        assert_eq!(world.register_bytes(&sized(limit), Authorization::None).status, 201);
        world.registration_refused(
            &posting(&sized(limit + 1)),
            413,
            "invalid_request",
            Reason::RequestTooLarge,
        );
        world.registration_refused(
            &posting(&vec![b'['; 1 << 20]),
            413,
            "invalid_request",
            Reason::RequestTooLarge,
        );
    }
}

#[test]
fn client_08_over_the_rate_a_source_waits() {
    let world = World::with(open().limits(Limits::default().with_registrations_per_minute(3)));
    for second in [0, 0, 10] {
        world.at(second);
        assert_eq!(from(&world, "192.0.2.1").status, 201);
    }
    for (second, wait) in [(10, "50"), (20, "40"), (59, "1")] {
        world.at(second);
        assert_later(&world, "192.0.2.1", wait);
    }
    for other in ["192.0.2.2", "2001:db8::1", ""] {
        assert_eq!(from(&world, other).status, 201, "each source has its own limit");
    }
    world.at(60);
    for _ in 0..2 {
        assert_eq!(from(&world, "192.0.2.1").status, 201, "a refused registration did not count");
    }
    assert_later(&world, "192.0.2.1", "10");
}

#[test]
fn client_08_one_source_registers_three_hundred_in_a_minute() {
    let world = World::open();
    for n in 0..300 {
        assert_eq!(from(&world, "192.0.2.1").status, 201, "{n}");
    }
    assert_later(&world, "192.0.2.1", "60");
}

#[test]
fn client_08_a_refused_registration_does_not_count() {
    let world = World::with(
        policy()
            .registration(
                RegistrationRules::default().with_initial_access_tokens([Digest::of(b"right")]),
            )
            .limits(Limits::default().with_registrations_per_minute(1)),
    );
    let good = metadata().to_string();
    let right =
        |body: &[u8]| world.register_bytes(body, Authorization::One(b"Bearer right")).status;
    let many: Vec<_> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    let bad = [
        "[]".to_owned(),
        to(&["javascript:alert(1)"]).to_string(),
        to(&many.iter().map(String::as_str).collect::<Vec<_>>()).to_string(),
        without(metadata(), "redirect_uris").to_string(),
        with(metadata(), "scope", "a\"b").to_string(),
        with(metadata(), "grant_types", vec!["refresh_token"]).to_string(),
        with(metadata(), "software_id", "x".repeat(16 * 1024)).to_string(),
    ];
    let members = bad_members()
        .into_iter()
        .flat_map(|(member, values, _)| values.into_iter().map(move |value| (member, value)));
    let members = members.map(|(member, value)| with(metadata(), member, value).to_string());
    for body in bad.into_iter().chain(members) {
        assert!((400..=413).contains(&right(body.as_bytes())), "{body}");
    }
    for authorization in [Authorization::None, Authorization::One(b"Bearer wrong")] {
        assert_eq!(world.register_bytes(good.as_bytes(), authorization).status, 401);
    }
    let reply = world
        .server
        .register(&RequestParts { method: "GET", source: "192.0.2.1", ..RequestParts::default() })
        .answered(world.server.policy());
    assert_eq!((reply.status, right(good.as_bytes()), right(good.as_bytes())), (405, 201, 429));
}

#[test]
fn client_08_closed_registration_requires_a_token() {
    let tokens = ["first", "second-token_~+/=", "third"];
    let world = World::with(
        policy().registration(
            RegistrationRules::default()
                .with_initial_access_tokens(tokens.map(|token| Digest::of(token.as_bytes()))),
        ),
    );
    let requested = metadata().to_string();
    let clients = world.store.inner.counts().clients;
    let send = |authorization| world.register_bytes(requested.as_bytes(), authorization);
    for none in [
        Authorization::None,
        Authorization::Several,
        Authorization::One(b""),
        Authorization::One(b"Bearer"),
        Authorization::One(b"Bearer "),
        Authorization::One(b"Basic Zmlyc3Q6"),
        Authorization::One(b"first"),
        Authorization::One(b"Bearerfirst"),
    ] {
        let reply = send(none);
        assert_eq!(
            (reply.status, &*reply.body, world.reason()),
            (401, "", Some(Reason::InitialTokenMissing))
        );
        assert_eq!(reply.header("www-authenticate"), Some(&*format!("Bearer realm=\"{ISSUER}\"")));
        assert_eq!(
            (reply.header("content-type"), reply.header("cache-control")),
            (None, Some("no-store"))
        );
    }
    for wrong in [
        "Bearer wrong",
        "Bearer First",
        "Bearer first2",
        "Bearer firs",
        "Bearer first second-token_~+/=",
        "Bearer gcm_x",
    ] {
        let reply = send(Authorization::One(wrong.as_bytes()));
        assert_refused(&world, &reply, 401, "invalid_token", Reason::InitialTokenWrong);
        let challenge = format!("Bearer realm=\"{ISSUER}\", error=\"invalid_token\"");
        assert_eq!(reply.header("www-authenticate"), Some(&*challenge));
    }
    assert_eq!(world.store.inner.counts().clients, clients, "nothing is created");
    for token in tokens {
        for scheme in ["Bearer", "bearer", "BEARER "] {
            let header = format!("{scheme} {token}");
            assert_eq!(
                world
                    .register_bytes(requested.as_bytes(), Authorization::One(header.as_bytes()))
                    .status,
                201,
                "{header}"
            );
        }
    }
}

/// Without the token, the response does not show what is wrong with the metadata.
#[test]
fn client_08_the_token_is_looked_at_before_the_body() {
    let world = World::with(policy().registration(
        RegistrationRules::default().with_initial_access_tokens([Digest::of(b"right")]),
    ));
    let send = |body: &[u8]| wire(&world.register_bytes(body, Authorization::One(b"Bearer wrong")));
    let good = send(metadata().to_string().as_bytes());
    for body in [&b"{"[..], b"", &sized(20_000), to(&["javascript:x"]).to_string().as_bytes()] {
        assert_eq!(send(body), good);
    }
    let open = World::open();
    let requested = metadata().to_string();
    assert_eq!(
        open.register_bytes(requested.as_bytes(), Authorization::One(b"Bearer whatever")).status,
        201,
        "no token is required"
    );
    let management = Own::of(body(
        &world.register_bytes(requested.as_bytes(), Authorization::One(b"Bearer right")),
    ))
    .token;
    let reply = world.register_bytes(
        requested.as_bytes(),
        Authorization::One(format!("Bearer {management}").as_bytes()),
    );
    assert_refused(&world, &reply, 401, "invalid_token", Reason::InitialTokenWrong);
}

#[test]
fn client_08_a_policy_that_admits_no_client_does_not_build() {
    assert_eq!(
        policy()
            .registration(RegistrationRules::default().with_initial_access_tokens([]))
            .build()
            .err(),
        Some(PolicyError::InitialAccessTokens)
    );
    assert!(
        policy()
            .registration(
                RegistrationRules::default().with_initial_access_tokens([Digest::of(b"x")])
            )
            .build()
            .is_ok()
    );
    for (limit, limits) in [
        ("registration_bytes", Limits::default().with_registration_bytes(0)),
        ("registrations_per_minute", Limits::default().with_registrations_per_minute(0)),
    ] {
        let error = PolicyError::Limit { limit };
        assert_eq!(open().limits(limits).build().err(), Some(error));
    }
    let world = World::new();
    let sent = metadata().to_string();
    world.registration_refused(
        &posting(sent.as_bytes()),
        403,
        "access_denied",
        Reason::RegistrationOff,
    );
}

/// Registers while the store fails.
#[track_caller]
fn assert_unavailable(world: &World) {
    let failure = world
        .server
        .register(&posting(metadata().to_string().as_bytes()))
        .expect_err("the store fails");
    assert_eq!(failure.failure().unwrap().store_error(), Some(&Broken));
    let reply = failure.reply(world.server.policy());
    assert_refused(world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[test]
fn store_05_no_registration_is_answered_before_it_is_durable() {
    let world = World::open();
    let clients = world.store.inner.counts().clients;
    for (fault, created) in [(Fault::Dropped, 0), (Fault::Unacknowledged, 1)] {
        world.store.fail([fault]);
        assert_unavailable(&world);
        assert_eq!(world.store.inner.counts().clients, clients + created, "{fault:?}");
    }
    world.registered(&metadata());
}

#[test]
fn store_06_an_applied_registration_without_acknowledgement_is_recognized() {
    let world = World::open();
    let clients = world.store.inner.counts().clients;
    let requested = with(metadata(), "token_endpoint_auth_method", "client_secret_post");
    world.store.fail([Fault::AppliedThenConflict]);
    let own = world.own(&requested);
    assert_eq!(
        (world.store.inner.counts().clients, world.store.commits()),
        (clients + 1, 1),
        "one client, written once"
    );
    assert!(world.works(&world.tokens_by(&own).access));
    assert_eq!(world.manage("GET", &own.id, &own.token, &json!({})).status, 200);
    world.store.fail([Fault::Conflict, Fault::Conflict, Fault::AppliedThenConflict]);
    assert!(world.client(&world.own(&requested).id).is_some());
    world.store.fail([Fault::Conflict; 4]);
    let sent = requested.to_string();
    let reply = world.post_registration(&posting(sent.as_bytes()));
    assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::Contended);
    assert_eq!(world.store.inner.counts().clients, clients + 2);
}

/// The response has the stored time, which is that of the first attempt.
#[test]
fn store_06_an_applied_registration_is_answered_as_it_is_stored() {
    let world = World::open();
    let requested = metadata().to_string();
    let request =
        RegistrationRequest::parse(&posting(requested.as_bytes()), world.server.policy()).unwrap();
    let moment = world.moment(entropy(50));
    let decision = world.decision(&request, &moment);
    world.store.commit(decision.write().unwrap()).unwrap();
    let again = world.decision(&request, &moment.retry(Timestamp::from_unix_seconds(T + 5)));
    assert_eq!(again.write(), None);
    let response =
        body(&again.settle(Commit::Done).unwrap().outcome.unwrap().reply(world.server.policy()));
    let client = world.client(response["client_id"].as_str().unwrap()).unwrap();
    assert_eq!((&response["client_id_issued_at"], client.created().unix_seconds()), (&json!(T), T));
}

/// A record with the id of a new registration is not overwritten, even if the same id is drawn
/// again.
#[test]
fn store_06_an_existing_client_id_is_not_overwritten() {
    let first = World::open();
    let second = World::open();
    let own = first.own(&metadata());
    let taken = Client::public(&own.id).redirect_uri("https://other.example/cb").build().unwrap();
    second.put(taken.clone());
    let sent = metadata().to_string();
    let reply = second.post_registration(&posting(sent.as_bytes()));
    assert_refused(&second, &reply, 503, "temporarily_unavailable", Reason::Contended);
    assert_eq!(second.client(&own.id), Some(taken));
}

#[test]
fn client_08_without_randomness_nothing_is_registered() {
    let store = Arc::new(MemoryStore::new());
    let clock = || Timestamp::from_unix_seconds(T);
    let server =
        Server::with_sources(open().build().unwrap(), Arc::clone(&store), FromStore, clock, || {
            Err(EntropyError)
        });
    let reply =
        server.register(&posting(metadata().to_string().as_bytes())).answered(server.policy());
    assert_eq!(
        (reply.status, body(&reply)["error"].as_str(), store.counts().clients),
        (503, Some("temporarily_unavailable"), 0)
    );
}
