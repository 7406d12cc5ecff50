//! Tests of CLIENT-08 and CLIENT-18: the bounds of writes by updates of registrations and by
//! documents.

use grantcore::policy::{DocumentRules, Limits, RegistrationRules};
use grantcore::{Authorization, Reason, Reply, RequestParts};
use serde_json::Value;

use crate::support::clients::{Own, ask, document, fetched, metadata, posting, with};
use crate::support::refused::assert_page;
use crate::support::{Answered, World, assert_refused, policy};

/// An update is a write like a registration. It counts for its source and for all sources together.
#[test]
fn client_08_updates_count_as_registrations_do() {
    let world = |limits: Limits| {
        World::with(policy().registration(RegistrationRules::default()).limits(limits))
    };
    let put = |world: &World, own: &Own, source: &str, token: &str| {
        let header = format!("Bearer {token}");
        let body = own.update(metadata()).to_string();
        let authorization = Authorization::One(header.as_bytes());
        let incoming = RequestParts { method: "PUT", authorization, ..posting(body.as_bytes()) };
        world
            .server
            .manage(&own.id, &RequestParts { source, ..incoming })
            .answered(world.server.policy())
    };
    let limited = |world: &World, reply: &Reply| {
        assert_refused(world, reply, 429, "too_many_requests", Reason::RegistrationLimited);
        assert_eq!(reply.header("retry-after"), Some("60"));
    };

    let by_source = world(Limits::default().with_registrations_per_minute(3));
    let own = by_source.own(&metadata());
    for _ in 0..9 {
        assert_eq!(
            put(&by_source, &own, "192.0.2.2", "guess").status,
            401,
            "a request with a wrong token does not count"
        );
    }
    for _ in 0..3 {
        assert_eq!(put(&by_source, &own, "192.0.2.2", &own.token).status, 200);
    }
    let before = (by_source.client(&own.id), by_source.store.commits());
    limited(&by_source, &put(&by_source, &own, "192.0.2.2", &own.token));
    assert_eq!((by_source.client(&own.id), by_source.store.commits()), before);
    assert_eq!(by_source.manage("GET", &own.id, &own.token, &Value::Null).status, 200);
    assert_eq!(put(&by_source, &own, "192.0.2.3", &own.token).status, 200);
    by_source.at(60);
    assert_eq!(put(&by_source, &own, "192.0.2.2", &own.token).status, 200);

    let in_all = world(Limits::default().with_all_registrations_per_minute(5));
    let own = in_all.own(&metadata());
    for number in 0..4 {
        assert_eq!(put(&in_all, &own, &format!("192.0.2.{number}"), &own.token).status, 200);
    }
    limited(&in_all, &put(&in_all, &own, "192.0.2.99", &own.token));
    assert_eq!(in_all.register(&metadata()).status, 429);
    assert_eq!(in_all.manage("DELETE", &own.id, &own.token, &Value::Null).status, 204);
}

/// Anybody can publish any number of documents, and each one that is read becomes a record.
#[test]
fn client_18_new_documents_of_all_sources_together_have_a_limit() {
    let rules = policy().client_documents(DocumentRules::default());
    let world = World::with(rules.limits(Limits::default().with_all_documents_per_minute(3)));
    let read = |number: usize, name: &str| {
        let url = format!("https://{number}.example/client.json");
        let body = with(with(document(), "client_id", &*url), "client_name", name).to_string();
        world.authorize_with_document(&ask(&url), Some(fetched(body.as_bytes())))
    };
    let busy = |number| {
        let before = (world.store.inner.counts().clients, world.store.commits());
        let refusal = read(number, "New").unwrap_err();
        assert_page(&world, &refusal, 503, "temporarily_unavailable", Reason::DocumentsBusy);
        assert_eq!((world.store.inner.counts().clients, world.store.commits()), before);
        refusal.reply(world.server.policy()).header("retry-after").map(str::to_owned)
    };
    for number in 0..3 {
        // An invalid document and a stored document do not count.
        assert!(read(number, "").is_err());
        assert!(read(number, "New").is_ok() && read(number, "Newer").is_ok());
    }
    for number in 3..20 {
        assert_eq!(busy(number), Some("60".to_owned()));
    }
    // Stored documents are read again only when they are no longer fresh.
    let name = |number: usize| {
        let client = world.client(&format!("https://{number}.example/client.json")).unwrap();
        client.display_name()
    };
    assert_eq!(name(0), "New");
    world.at(59);
    assert!(read(3, "New").is_err());
    world.at(60);
    for number in 0..3 {
        assert!(read(number, "Newer").is_ok());
        assert_eq!(name(number), "Newer");
    }
    for number in 3..6 {
        assert!(read(number, "New").is_ok(), "updates did not count");
    }
    assert_eq!(busy(6), Some("60".to_owned()));
    let zero = policy().limits(Limits::default().with_all_documents_per_minute(0));
    let limit = "all_documents_per_minute";
    assert_eq!(zero.build().unwrap_err(), grantcore::policy::PolicyError::Limit { limit });
}
