//! Tests of KEYS-70 to KEYS-74: a current and a retiring secret of one client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grantcore::client::{ClientError, StoredSecret, UsedSecret};
use grantcore::event::{ClientProof, EventKind};
use grantcore::policy::{Limits, RegistrationRules, RevocationRules};
use grantcore::value::{Digest, Overlap, SecretMethod};
use grantcore::{Client, Reason, Reply, Timestamp};
use serde_json::json;

use crate::support::clients::{Own, confidential, with};
use crate::support::params::Params;
use crate::support::steps::{DAY, form};
use crate::support::store::Fault;
use crate::support::{
    Answered as _, Granted, Outcome as _, SECRET, T, World, assert_refused, json as body, policy,
};

fn overlap(seconds: u64) -> Overlap {
    Overlap::new(Duration::from_secs(seconds)).unwrap()
}

/// Gives the client `web` a new secret and returns it.
fn rotate(world: &World, seconds: u64) -> String {
    world.server.rotate_secret("web", overlap(seconds)).outcome().unwrap().reveal().to_string()
}

/// Sends a token request of the client `web` with this secret. Its refresh token is unknown.
fn ask(world: &World, secret: &str) -> Reply {
    world.token(&Params::refresh("x").set("client_id", "web").set("client_secret", secret))
}

#[track_caller]
fn assert_accepted(world: &World, secret: &str, used: UsedSecret) {
    assert_refused(world, &ask(world, secret), 400, "invalid_grant", Reason::RefreshUnknown);
    let proof = ClientProof::Secret { method: SecretMethod::Post, secret: used };
    assert_eq!(world.events().last().unwrap().proof, Some(proof));
}

#[track_caller]
fn assert_rejected(world: &World, secret: &str, reason: Reason) {
    let reply = ask(world, secret);
    assert_refused(world, &reply, 401, "invalid_client", reason);
    assert_eq!(reply.body, ask(world, "wrong").body, "all failures look alike");
    let events = world.events();
    assert_eq!(events[events.len() - 2].proof, None);
}

fn patient() -> World {
    World::with(policy().limits(Limits::default().with_failed_authentications_per_minute(1000)))
}

#[test]
fn keys_70_two_secrets_are_accepted_until_the_overlap_is_over() {
    let world = patient();
    let new = rotate(&world, 3600);
    assert_ne!(new, SECRET);
    assert_accepted(&world, &new, UsedSecret::Current);
    assert_accepted(&world, SECRET, UsedSecret::Retiring);
    world.at(3599);
    assert_accepted(&world, SECRET, UsedSecret::Retiring);
    assert_rejected(&world, "wrong", Reason::ClientSecretWrong);
    world.at(3600);
    assert_rejected(&world, SECRET, Reason::ClientSecretRetired);
    assert_accepted(&world, &new, UsedSecret::Current);
    assert_rejected(&world, "wrong", Reason::ClientSecretWrong);
}

#[test]
fn keys_70_the_rotation_shows_the_secret_once() {
    let world = World::new();
    let rotated =
        world.server.rotate_secret_noted("web", Overlap::default(), "yearly").outcome().unwrap();
    let secret = rotated.reveal();
    let event = world.events().pop().unwrap();
    assert_eq!((event.kind, event.note.as_deref()), (EventKind::SecretRotated, Some("yearly")));
    assert!(event.written.is_some());
    let stored = serde_json::to_string(&world.client("web").unwrap()).unwrap();
    for shown in [format!("{rotated:?}"), format!("{event:?}"), stored] {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
    let retiring = rotated.client().secrets().unwrap().retiring().unwrap();
    assert_eq!(retiring.until(), Timestamp::from_unix_seconds(T + DAY));
}

#[test]
fn keys_70_a_retired_secret_does_not_lock_out_the_new_one() {
    let world = World::new();
    let new = rotate(&world, 0);
    for _ in 0..50 {
        let reply = ask(&world, SECRET);
        assert_refused(&world, &reply, 401, "invalid_client", Reason::ClientSecretRetired);
    }
    assert_accepted(&world, &new, UsedSecret::Current);
}

#[test]
fn keys_71_a_second_rotation_drops_the_older_secret_at_once() {
    let world = patient();
    let second = rotate(&world, 3600);
    let third = rotate(&world, 3600);
    assert_rejected(&world, SECRET, Reason::ClientSecretWrong);
    assert_accepted(&world, &second, UsedSecret::Retiring);
    assert_accepted(&world, &third, UsedSecret::Current);
    let fourth = rotate(&world, 0);
    assert_rejected(&world, &third, Reason::ClientSecretRetired);
    assert_accepted(&world, &fourth, UsedSecret::Current);
}

#[test]
fn keys_71_an_overlap_is_at_most_thirty_days() {
    assert_eq!(Overlap::new(Duration::from_secs(30 * DAY)), Some(Overlap::LONGEST));
    assert_eq!(Overlap::new(Duration::from_secs(30 * DAY + 1)), None);
    assert_eq!(Overlap::new(Duration::from_millis(1500)), None);
    assert_eq!(Overlap::new(Duration::ZERO), Some(Overlap::NONE));
    assert_eq!(Overlap::default().duration(), Duration::from_secs(DAY));
}

#[test]
fn keys_71_a_lost_response_of_the_store_gives_the_secret_that_was_written() {
    let world = patient();
    world.store.fail([Fault::AppliedThenConflict]);
    let new = rotate(&world, 3600);
    assert_accepted(&world, &new, UsedSecret::Current);
    assert_accepted(&world, SECRET, UsedSecret::Retiring);
}

#[test]
fn keys_71_the_later_of_two_rotations_follows_the_earlier() {
    let world = patient();
    let other = world.beside(policy().build().unwrap(), 99);
    let earlier = Arc::new(std::sync::Mutex::new(String::new()));
    let found = Arc::clone(&earlier);
    world.store.meanwhile(move |_| *found.lock().unwrap() = rotate(&other, 3600));
    let later = rotate(&world, 3600);
    let earlier = earlier.lock().unwrap().clone();
    assert_ne!(later, earlier);
    assert_accepted(&world, &later, UsedSecret::Current);
    assert_accepted(&world, &earlier, UsedSecret::Retiring);
    assert_rejected(&world, SECRET, Reason::ClientSecretWrong);
}

#[test]
fn keys_71_only_a_client_with_a_secret_gets_a_new_one() {
    let world = World::new();
    let refused = |id: &str| world.server.rotate_secret(id, Overlap::NONE).outcome().unwrap_err();
    assert_eq!(refused("app").reason(), Reason::ClientSecretNone);
    assert_eq!(refused("nobody").reason(), Reason::ClientUnknown);
}

#[test]
fn keys_72_the_event_names_the_secret_at_each_endpoint() {
    let rules = grantcore::policy::IntrospectionRules::default()
        .with_resource_server("web", crate::support::MCP);
    let world = World::with(policy().revocation(RevocationRules::default()).introspection(rules));
    let new = rotate(&world, 3600);
    for (secret, name) in [(SECRET, "retiring"), (&*new, "current")] {
        let sent = format!("client_id=web&client_secret={secret}&token=x");
        let policy = world.server.policy();
        assert_eq!(world.server.revoke(&form(&sent)).answered(policy).status, 200);
        let event = serde_json::to_value(world.events().pop().unwrap()).unwrap();
        let proof = json!({"method": "client_secret_post", "secret": name});
        assert_eq!(event["proof"], proof);
        assert_eq!(world.server.introspect(&form(&sent)).answered(policy).status, 200);
        let event = serde_json::to_value(world.events().pop().unwrap()).unwrap();
        assert_eq!(event["proof"], proof);
    }
    let event = serde_json::to_value({
        drop(world.token(&Params::refresh("x")));
        world.events().pop().unwrap()
    });
    assert_eq!(event.unwrap().get("proof"), None, "a public client proves nothing");
}

#[test]
fn keys_73_each_request_costs_one_slow_hash() {
    let hashed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hashed);
    let verify = move |secret: &[u8], hash: &str| {
        counter.fetch_add(1, Ordering::SeqCst);
        secret == hash.as_bytes()
    };
    let limits = Limits::default().with_failed_authentications_per_minute(1000);
    let world = World::with(policy().slow_hash(verify, "dummy").limits(limits));
    let chosen = Client::confidential(
        "web",
        SecretMethod::Post,
        StoredSecret::SlowHash("chosen by a person".into()),
    );
    world.put(chosen.redirect_uri("https://web.example/cb").build().unwrap());
    let cost = |client: &str, secret: &str| {
        let before = hashed.load(Ordering::SeqCst);
        let sent = Params::refresh("x").set("client_id", client).set("client_secret", secret);
        drop(world.token(&sent));
        (hashed.load(Ordering::SeqCst) - before, world.reason().unwrap())
    };
    let new = rotate(&world, 3600);
    assert_eq!(cost("web", &new), (1, Reason::RefreshUnknown));
    assert_eq!(cost("web", "chosen by a person"), (1, Reason::RefreshUnknown));
    assert_eq!(cost("web", "wrong"), (1, Reason::ClientSecretWrong));
    assert_eq!(cost("nobody", "wrong"), (1, Reason::ClientUnknown));
    world.at(3600);
    assert_eq!(cost("web", "chosen by a person"), (1, Reason::ClientSecretRetired));
}

#[test]
fn keys_73_two_secrets_with_a_slow_hash_are_refused() {
    let slow = |text: &str| StoredSecret::SlowHash(text.into());
    let client = Client::confidential("web", SecretMethod::Post, slow("one"))
        .redirect_uri("https://web.example/cb")
        .build()
        .unwrap();
    let now = Timestamp::from_unix_seconds(T);
    let refused = client.clone().with_new_secret(slow("two"), overlap(1), now).unwrap_err();
    assert_eq!(refused, ClientError::SlowSecrets);
    let replaced = client.with_new_secret(slow("two"), Overlap::NONE, now).unwrap();
    let secrets = replaced.secrets().unwrap();
    assert_eq!((secrets.current(), secrets.retiring()), (&slow("two"), None));
    let public = crate::support::app().with_new_secret(slow("two"), Overlap::NONE, now);
    assert_eq!(public.unwrap_err(), ClientError::SecretMissing);
}

#[test]
fn keys_74_a_rotation_changes_no_grant() {
    let world = World::new();
    let code = world.code(&Params::authorize().by_web());
    let tokens = Granted::of(&world.token(&Params::redeem(&code).by_web()));
    let new = rotate(&world, 3600);
    let refresh = Params::refresh(tokens.refresh()).by_web();
    let tokens = Granted::of(&world.token(&refresh.set("client_secret", &new)));
    assert!(world.works(&tokens.access));
}

fn rotating(seconds: u64) -> World {
    let rules = RegistrationRules::default().with_rotate_secret_on_update(Some(overlap(seconds)));
    World::with(policy().registration(rules))
}

/// Updates the registration, with this secret in the update, and returns the response.
fn updated(world: &World, own: &Own, secret: Option<&str>) -> Reply {
    let update = own.update(confidential());
    let update = secret.map_or(update.clone(), |secret| with(update, "client_secret", secret));
    world.manage("PUT", &own.id, &own.token, &update)
}

#[test]
fn keys_74_an_update_rotates_the_secret_under_its_option_only() {
    let world = World::open();
    let own = world.own(&confidential());
    assert_eq!(body(&updated(&world, &own, None)).get("client_secret"), None);

    let world = rotating(3600);
    let own = world.own(&confidential());
    let first = own.secret.clone().unwrap();
    let reply = body(&updated(&world, &own, Some(&first)));
    let second = reply["client_secret"].as_str().unwrap().to_owned();
    assert_ne!(second, first);
    assert_eq!(reply["client_secret_expires_at"], 0);
    let asks = |secret: &str| {
        let sent = Params::refresh("x").set("client_id", &own.id).set("client_secret", secret);
        drop(world.token(&sent));
        world.reason().unwrap()
    };
    assert_eq!([asks(&first), asks(&second)], [Reason::RefreshUnknown; 2]);
    world.at(3600);
    assert_eq!(asks(&first), Reason::ClientSecretRetired);
    assert_eq!(asks(&second), Reason::RefreshUnknown);
}

#[test]
fn keys_74_an_update_may_name_a_secret_while_it_is_retiring() {
    let world = World::open();
    let own = world.own(&confidential());
    let old = own.secret.clone().unwrap();
    drop(world.server.rotate_secret(&own.id, overlap(60)).outcome().unwrap());
    assert_eq!(updated(&world, &own, Some(&old)).status, 200);
    let refused = |secret: &str| {
        let reply = updated(&world, &own, Some(secret));
        assert_eq!((reply.status, world.reason()), (400, Some(Reason::MetadataSecret)));
    };
    refused("neither of the two");
    world.at(60);
    refused(&old);
}

#[test]
fn keys_74_a_lost_response_of_an_update_gives_the_secret_that_was_written() {
    for seconds in [0, 3600] {
        let world = rotating(seconds);
        let own = world.own(&confidential());
        world.store.fail([Fault::AppliedThenConflict]);
        let reply = body(&updated(&world, &own, own.secret.as_deref()));
        let new = reply["client_secret"].as_str().unwrap();
        let secrets = world.client(&own.id).unwrap().secrets().unwrap().clone();
        assert_eq!(secrets.current(), &StoredSecret::Digest(Digest::of(new.as_bytes())));
        let first = own.secret.unwrap();
        let retiring = StoredSecret::Digest(Digest::of(first.as_bytes()));
        assert_eq!(secrets.retiring().unwrap().secret(), &retiring);
    }
}

#[test]
fn keys_74_a_client_without_a_secret_gets_none_by_an_update() {
    let world = rotating(3600);
    let own = world.own(&crate::support::clients::metadata());
    let update = own.update(crate::support::clients::metadata());
    let reply = world.manage("PUT", &own.id, &own.token, &update);
    assert_eq!((reply.status, body(&reply).get("client_secret")), (200, None));
}
