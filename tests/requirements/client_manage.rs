//! Tests of CLIENT-11 and -13: a client reads and deletes its registration, and a caller without
//! its token learns nothing.

use grantcore::client::{ClientStatus, Registration, StoredSecret};
use grantcore::event::EventKind;
use grantcore::policy::RegistrationRules;
use grantcore::value::{Digest, SecretMethod};
use grantcore::{Authorization, Choice, Client, ContentType, Reason, Reply, RequestParts};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, Own, ask, document, fetched, metadata, with, without};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused, wire};
use crate::support::store::{Broken, Fault};
use crate::support::{
    Answered, CALLBACK, ISSUER, Outcome, SECRET, World, assert_refused, json as body, policy,
};

/// Returns a world with a confidential client that registered itself.
fn managed() -> (World, Own) {
    let world = World::open();
    let own = world.own(&with(metadata(), "token_endpoint_auth_method", "client_secret_post"));
    (world, own)
}

/// Sends a request with this header to the endpoint of this registration.
fn send(world: &World, method: &str, id: &str, authorization: Authorization<'_>) -> Reply {
    let sent = with(metadata(), "client_id", id).to_string();
    let content_type = ContentType::JSON;
    let incoming = RequestParts {
        method,
        content_type,
        authorization,
        body: sent.as_bytes(),
        ..RequestParts::default()
    };
    world.server.manage(id, &incoming).answered(world.server.policy())
}

fn delete(world: &World, own: &Own) -> Reply {
    world.manage("DELETE", &own.id, &own.token, &Value::Null)
}

#[test]
fn client_11_the_registration_is_read_with_its_token() {
    let (world, own) = managed();
    world.at(60);
    let commits = world.store.commits();
    let reply = world.manage("GET", &own.id, &own.token, &Value::Null);
    assert_eq!((reply.status, body(&reply)), (200, without(own.response.clone(), "client_secret")));
    let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache")
        ]
    );
    assert_eq!(body(&reply)["registration_access_token"], own.token);
    assert_eq!(
        body(&reply)["registration_client_uri"],
        format!("{ISSUER}/oauth/register/{}", own.id)
    );
    assert_eq!(world.store.commits(), commits, "reading writes nothing");
    let event = world.events().pop().unwrap();
    assert_eq!((event.kind, event.client.unwrap().as_str()), (EventKind::ClientRead, &*own.id));
    let bearer = format!("BEARER   {}  ", own.token);
    assert_eq!(
        wire(&send(&world, "GET", &own.id, Authorization::One(bearer.as_bytes()))),
        wire(&reply)
    );
}

#[test]
fn client_11_the_uri_is_below_the_registration_endpoint() {
    let rules = RegistrationRules::default();
    let world = World::with(
        policy().registration(rules).registration_endpoint(format!("{ISSUER}/clients")),
    );
    let own = world.own(&metadata());
    assert_eq!(own.response["registration_client_uri"], format!("{ISSUER}/clients/{}", own.id));
}

#[test]
fn client_11_only_get_put_and_delete_are_allowed() {
    let (world, own) = managed();
    let before = world.client(&own.id);
    for method in ["POST", "HEAD", "PATCH", "OPTIONS", "TRACE", "get", "Delete", ""] {
        for token in [&*own.token, "wrong"] {
            let reply = world.manage(method, &own.id, token, &own.update(metadata()));
            assert_refused(&world, &reply, 405, "invalid_request", Reason::MethodNotAllowed);
            assert_eq!(reply.header("allow"), Some("GET, PUT, DELETE"), "{method}");
        }
    }
    assert_eq!(world.client(&own.id), before);
}

#[test]
fn client_11_without_a_token_the_challenge_has_no_error() {
    let (world, own) = managed();
    let before = world.client(&own.id);
    let basic = format!("Basic {}", own.token);
    for method in ["GET", "PUT", "DELETE"] {
        for none in [
            Authorization::None,
            Authorization::Several,
            Authorization::One(b""),
            Authorization::One(b"Bearer"),
            Authorization::One(b"Bearer  "),
            Authorization::One(basic.as_bytes()),
            Authorization::One(own.token.as_bytes()),
        ] {
            let reply = send(&world, method, &own.id, none);
            assert_eq!(
                (reply.status, &*reply.body, world.reason()),
                (401, "", Some(Reason::ManagementTokenMissing))
            );
            assert_eq!(
                reply.header("www-authenticate"),
                Some(&*format!("Bearer realm=\"{ISSUER}\""))
            );
            assert_eq!(
                (reply.header("content-type"), reply.header("cache-control")),
                (None, Some("no-store"))
            );
        }
    }
    assert_eq!(world.client(&own.id), before);
}

/// Returns clients and tokens that do not belong together, each for another reason.
fn strangers(world: &World, own: &Own) -> Vec<(String, String)> {
    let other = world.own(&metadata());
    let deactivated = world.own(&metadata());
    world.server.set_client_status(&deactivated.id, ClientStatus::Deactivated).unwrap();
    let deleted = world.own(&metadata());
    assert_eq!(delete(world, &deleted).status, 204);
    let dropped = world.own(&metadata());
    assert_eq!(delete(world, &dropped).status, 204);
    world.store.inner.sweep(world.now(), 1);
    let long = "x".repeat(2049);
    let access = world.tokens_by(own).access;
    let known = serde_json::to_value(world.client(&own.id).unwrap()).unwrap();
    let digest = known["origin"]["dynamic"]["registration_access_token_digest"]
        .as_str()
        .expect("the digest of the token")
        .to_owned();
    let doc = document().to_string();
    drop(world.authorize_with_document(&ask(DOCUMENT), Some(fetched(doc.as_bytes()))).unwrap());
    let pairs = [
        (&*own.id, "wrong"),
        (&own.id, &other.token),
        (&own.id, &own.token[..own.token.len() - 1]),
        (&own.id, &format!("{}x", own.token)),
        (&own.id, &format!("{0} {0}", own.token)),
        (&own.id, &own.token.to_uppercase()),
        (&own.id, own.secret.as_deref().unwrap()),
        (&own.id, &own.id),
        (&own.id, &access),
        (&own.id, &digest),
        (&other.id, &own.token),
        (&deactivated.id, &deactivated.token),
        (&deleted.id, &deleted.token),
        (&dropped.id, &dropped.token),
        ("gcl_AAAAAAAAAAAAAAAAAAAAAA", &own.token),
        ("app", &own.token),
        ("web", SECRET),
        (DOCUMENT, &own.token),
        ("", &own.token),
        ("\u{e9}\n", &own.token),
        (&long, &own.token),
    ];
    pairs.map(|(id, token)| (id.to_owned(), token.to_owned())).into()
}

#[test]
fn client_11_a_wrong_token_reveals_nothing() {
    let (world, own) = managed();
    let pairs = strangers(&world, &own);
    let before = world.client(&own.id);
    let commits = world.store.commits();
    let response = wire(&world.manage("GET", "nobody", "wrong", &Value::Null));
    for (id, token) in &pairs {
        for (method, sent) in [
            ("GET", Value::Null),
            ("DELETE", Value::Null),
            ("PUT", with(metadata(), "client_id", &**id)),
            ("PUT", json!([])),
        ] {
            let reply = world.manage(method, id, token, &sent);
            assert_refused(&world, &reply, 401, "invalid_token", Reason::ManagementTokenWrong);
            assert_eq!(wire(&reply), response, "{method} of {id} with {token}");
        }
    }
    let challenge = format!("Bearer realm=\"{ISSUER}\", error=\"invalid_token\"");
    assert_eq!(
        world.manage("GET", &own.id, "wrong", &Value::Null).header("www-authenticate"),
        Some(&*challenge)
    );
    assert_eq!(
        (world.client(&own.id), world.store.commits()),
        (before, commits),
        "nothing is changed"
    );
    assert_eq!(world.manage("GET", &own.id, &own.token, &Value::Null).status, 200);
}

/// A text that cannot be a client id is not looked up, because a store need not support it.
#[test]
fn client_11_an_impossible_client_id_is_not_looked_up() {
    let (world, own) = managed();
    let read = || world.store.reads.load(std::sync::atomic::Ordering::SeqCst);
    let before = read();
    for id in ["", "\u{e9}", "a\0b", "a\nb", &"x".repeat(2049)] {
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(world.manage(method, id, &own.token, &Value::Null).status, 401);
        }
    }
    assert_eq!(read(), before);
    assert_eq!(
        (world.manage("GET", &"x".repeat(2048), &own.token, &Value::Null).status, read()),
        (401, before + 1)
    );
}

/// A reactivated client can be managed again with the same token.
#[test]
fn client_11_a_reactivated_client_can_be_managed_again() {
    let (world, own) = managed();
    for (client_status, status) in [(ClientStatus::Deactivated, 401), (ClientStatus::Active, 200)] {
        world.server.set_client_status(&own.id, client_status).unwrap();
        assert_eq!(world.manage("GET", &own.id, &own.token, &Value::Null).status, status);
    }
}

#[test]
fn client_11_management_may_be_off() {
    let rules = RegistrationRules::default().with_management(false);
    let on = World::open();
    let off = World::with(policy().registration(rules));
    let response = off.registered(&metadata());
    assert_eq!(
        (response.get("registration_access_token"), response.get("registration_client_uri")),
        (None, None)
    );
    let id = response["client_id"].as_str().unwrap();
    let record = serde_json::to_value(off.client(id).unwrap()).unwrap();
    assert_eq!(
        record["origin"],
        json!({ "dynamic": {
            "issuer": ISSUER,
            "registration_access_token_digest": null,
        } }),
        "no digest is stored"
    );
    let own = on.own(&metadata());
    off.put(on.client(&own.id).unwrap());
    for (world, id) in [(&off, id), (&off, &*own.id), (&World::new(), "app")] {
        for method in ["GET", "PUT", "DELETE"] {
            let reply = world.manage(method, id, &own.token, &metadata());
            assert_refused(world, &reply, 403, "access_denied", Reason::RegistrationOff);
        }
    }
    assert!(off.client(&own.id).is_some());
    // A client that was registered meanwhile has no token, so no token is accepted for it.
    on.put(off.client(id).unwrap());
    for token in ["x", "null", "gcm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_refused(
            &on,
            &on.manage("GET", id, token, &Value::Null),
            401,
            "invalid_token",
            Reason::ManagementTokenWrong,
        );
    }
}

#[test]
fn client_13_a_deletion_ends_everything_of_a_client() {
    let (world, own) = managed();
    let tokens = world.tokens_by(&own);
    let redeem = own.proven(Params::redeem(&world.code(&ask(&own.id))));
    let refresh = own.proven(Params::refresh(tokens.refresh()));
    let ticket = world.page(&ask(&own.id)).ticket();
    let reply = delete(&world, &own);
    assert_eq!((reply.status, &*reply.body, reply.header("content-type")), (204, "", None));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let event = world.events().pop().unwrap();
    assert_eq!((event.kind, event.client.unwrap().as_str()), (EventKind::ClientDeleted, &*own.id));
    let now = world.now().unix_seconds();
    // The clock may advance, stop or step back to the beginning, and the record may be dropped or
    // not.
    for (at, sweep) in [
        (now, false),
        (now + 60, false),
        (now - 86_400, false),
        (0, false),
        (now, true),
        (now - 86_400, true),
    ] {
        world.at_unix(at);
        if sweep {
            world.store.inner.sweep(world.now(), 1);
            assert!(world.client(&own.id).is_none(), "it may be dropped at once");
        }
        let refusal = refused(&world, &ask(&own.id));
        assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
        world.refused(&redeem, 401, "invalid_client", Reason::ClientUnknown);
        world.refused(&refresh, 401, "invalid_client", Reason::ClientUnknown);
        world.dead(&tokens.access, Reason::TokenRevoked);
        let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
        assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
        for method in ["GET", "PUT", "DELETE"] {
            let reply = world.manage(method, &own.id, &own.token, &own.update(metadata()));
            assert_refused(&world, &reply, 401, "invalid_token", Reason::ManagementTokenWrong);
        }
    }
}

/// A deleted client cannot be reactivated, and other clients are not affected.
#[test]
fn client_13_a_deleted_client_stays_deleted() {
    let (world, own) = managed();
    let other = world.own(&metadata());
    let tokens = world.tokens_by(&own);
    let others = world.tokens_by(&other);
    assert_eq!(delete(&world, &own).status, 204);
    for status in [ClientStatus::Active, ClientStatus::Deactivated, ClientStatus::Active] {
        let _ = world.server.set_client_status(&own.id, status).outcome();
        let gone = [Reason::ClientUnknown, Reason::ClientDeactivated];
        assert!(
            gone.contains(&refused(&world, &ask(&own.id)).reason()) && !world.works(&tokens.access),
            "{status:?}"
        );
        assert_eq!(world.manage("GET", &own.id, &own.token, &Value::Null).status, 401);
    }
    assert!(world.works(&others.access));
    assert_eq!(world.manage("GET", &other.id, &other.token, &Value::Null).status, 200);
}

#[test]
fn client_13_an_applied_deletion_without_acknowledgement_is_recognized() {
    let (world, own) = managed();
    world.store.fail([Fault::AppliedThenConflict]);
    assert_eq!(delete(&world, &own).status, 204);
    assert_eq!(world.events().pop().map(|event| event.kind), Some(EventKind::ClientDeleted));
    assert_eq!(delete(&world, &own).status, 401, "a second deletion is refused");
    let (world, own) = managed();
    world.store.fail([Fault::Conflict, Fault::Conflict]);
    assert_eq!(delete(&world, &own).status, 204);
    // A deactivation in between is not a deletion.
    let (world, own) = managed();
    let gone = world.client(&own.id).unwrap().deactivated();
    world.store.meanwhile(move |store| store.put_client(gone));
    assert_eq!(delete(&world, &own).status, 401);
}

#[test]
fn store_05_no_deletion_is_answered_before_it_is_durable() {
    for (fault, alive) in [(Fault::Dropped, true), (Fault::Unacknowledged, false)] {
        let (world, own) = managed();
        world.store.fail([fault]);
        let bearer = format!("Bearer {}", own.token);
        let authorization = Authorization::One(bearer.as_bytes());
        let incoming = RequestParts { method: "DELETE", authorization, ..RequestParts::default() };
        let failure = world.server.manage(&own.id, &incoming).expect_err("the store fails");
        assert_eq!(failure.failure().unwrap().store_error(), Some(&Broken));
        let reply = failure.reply(world.server.policy());
        assert_refused(&world, &reply, 503, "temporarily_unavailable", Reason::StorageUnavailable);
        assert_eq!(world.authorize(&ask(&own.id)).is_ok(), alive, "{fault:?}");
    }
}

/// The secret of an operator's client manages nothing, even if the operator marks the client as
/// registered.
#[test]
fn client_11_a_client_without_a_token_cannot_be_managed() {
    let world = World::open();
    let secret = StoredSecret::Digest(Digest::of(SECRET.as_bytes()));
    let client = Client::confidential("c", SecretMethod::Post, secret).redirect_uri(CALLBACK);
    world.put(client.registration(Registration::Dynamic).build().unwrap());
    for token in [SECRET, "", "c"] {
        assert_eq!(world.manage("GET", "c", token, &Value::Null).status, 401);
    }
}
