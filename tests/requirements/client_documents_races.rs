//! Tests of client documents with a failing store, with parallel writes, and with clients that an
//! operator deactivated (zeroid#241).

use std::cell::Cell;
use std::sync::Arc;

use grantcore::blocking::drive;
use grantcore::client::ClientStatus;
use grantcore::request::{AuthorizationRequest, Fetch};
use grantcore::value::RegisteredRedirectUri;
use grantcore::{
    AuthorizationStep, Choice, Client, FromStore, Reason, RequestParts, RevokedBy, Timestamp,
};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, code_in, document, fetched, with};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::store::Fault;
use crate::support::{ALICE, CALLBACK, Granted, Outcome, T, World, entropy};

const OLD: &str = "https://app.example/old";

/// Returns the earlier document, with one redirect URI more.
fn earlier() -> Value {
    with(document(), "redirect_uris", json!([CALLBACK, OLD]))
}

fn status(world: &World) -> ClientStatus {
    world.client(DOCUMENT).unwrap().status()
}

/// Asserts that the client is refused as an unknown one, without a fetch and without a write.
#[track_caller]
fn refused_for_good(world: &World) {
    let before = (world.store.commits(), world.client(DOCUMENT));
    assert_page(
        world,
        &refused(world, &ask(DOCUMENT)),
        400,
        "invalid_client",
        Reason::ClientDeactivated,
    );
    let body = document().to_string();
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())))
        .expect_err("whatever is fetched");
    assert_page(world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
    assert_eq!((world.store.commits(), world.client(DOCUMENT)), before);
}

#[test]
fn client_15_no_request_proceeds_before_the_document_is_stored() {
    for (fault, kept) in [(Fault::Dropped, false), (Fault::Unacknowledged, true)] {
        let world = World::open();
        let query = ask(DOCUMENT).encode();
        let body = document().to_string();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        world.store.fail([fault]);
        let failure = world
            .server
            .authorize_with_document(
                &incoming,
                Some(ALICE),
                Fetch::Document(fetched(body.as_bytes())),
            )
            .expect_err("it fails");
        assert_page(
            &world,
            failure.refusal(),
            503,
            "temporarily_unavailable",
            Reason::StorageUnavailable,
        );
        assert_eq!(failure.reply(world.server.policy()).header("retry-after"), Some("1"));
        assert_eq!(
            (world.client(DOCUMENT).is_some(), world.grants().len()),
            (kept, 0),
            "{fault:?}"
        );
        world.page_with(&ask(DOCUMENT), &document());
    }
}

#[test]
fn client_15_a_conflict_is_decided_again() {
    for faults in [
        vec![Fault::Conflict],
        vec![Fault::Conflict; 2],
        vec![Fault::AppliedThenConflict],
        vec![Fault::AppliedThenConflict; 2],
    ] {
        let world = World::open();
        world.store.fail(faults.iter().copied());
        let ticket = world.page_with(&ask(DOCUMENT), &document()).ticket();
        assert!(world.decide(&ticket, Choice::Allow).is_ok(), "{faults:?}");
        assert_eq!(
            (world.store.inner.counts().clients, world.grants().len()),
            (3, 1),
            "{faults:?}"
        );
    }
    let world = World::open();
    world.store.fail([Fault::Conflict; 4]);
    let body = document().to_string();
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())))
        .expect_err("contended");
    assert_page(&world, &refusal, 503, "temporarily_unavailable", Reason::Contended);
}

#[test]
fn client_15_two_parallel_requests_create_one_client() {
    let world = World::open();
    world.meanwhile(|other| {
        let query = ask(DOCUMENT).encode();
        let body = document().to_string();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let step = other
            .authorize_with_document(
                &incoming,
                Some(ALICE),
                Fetch::Document(fetched(body.as_bytes())),
            )
            .unwrap();
        assert!(matches!(step, AuthorizationStep::NeedsConsent(_)), "{step:?}");
    });
    let ticket = world.page_with(&ask(DOCUMENT), &document()).ticket();
    let code = code_in(&world.decide(&ticket, Choice::Allow).unwrap().into_location());
    let tokens = Granted::of(&world.token(&Params::redeem(&code).set("client_id", DOCUMENT)));
    assert!(world.works(&tokens.access));
    assert_eq!((world.store.inner.counts().clients, world.grants().len()), (3, 2));
}

/// The administrator's write wins while the client is not renewed yet, and its description is that
/// of the document.
#[test]
fn client_18_an_expired_client_whose_write_conflicts_is_written_again() {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(2 * DAY);
    world.meanwhile(|other| {
        let by = RevokedBy::Administrator("ticket 4711");
        other.revoke_client(DOCUMENT, by).unwrap();
    });
    let ticket = world.page_with(&ask(DOCUMENT), &document()).ticket();
    assert!(world.decide(&ticket, Choice::Allow).is_ok());
    assert!(world.client(DOCUMENT).unwrap().expires() > Timestamp::from_unix_seconds(T + 2 * DAY));
}

/// The clock is read once per attempt, and advances by this time at each reading.
#[test]
fn client_18_a_document_just_read_is_used_after_a_slow_write() {
    for step in [1, 60, 3600] {
        let world = World::open();
        let query = ask(DOCUMENT).encode();
        let body = document().to_string();
        let incoming =
            RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
        let request =
            AuthorizationRequest::parse(&incoming, Some(ALICE), world.server.policy()).unwrap();
        let request = request.with_document(Fetch::Document(fetched(body.as_bytes())));
        let readings = Cell::new(0);
        let clock = || {
            readings.set(readings.get() + 1);
            Timestamp::from_unix_seconds(T + step * readings.get())
        };
        let settled =
            drive(&request, &*world.store, FromStore, world.server.policy(), &clock, entropy(3))
                .unwrap();
        assert!(
            matches!(settled.outcome, Ok(AuthorizationStep::NeedsConsent(_))),
            "{:?}",
            settled.outcome
        );
        assert_eq!((readings.get(), world.store.commits()), (2, 2));
    }
}

/// While the document is being stored, another user's approval renews the old client record. That
/// record does not have the new document.
#[test]
fn client_19_a_removed_redirect_uri_is_refused_after_a_parallel_renewal() {
    let world = World::open();
    let requested = ask(DOCUMENT).set("redirect_uri", OLD);
    let ticket = world.page_with(&ask(DOCUMENT), &earlier()).ticket();
    world.at(60);
    let before = world.client(DOCUMENT).unwrap().expires();
    world.meanwhile(move |other| {
        assert!(other.consent(&ticket, ALICE, Choice::Allow).outcome().is_ok());
    });
    let body = document().to_string();
    let step = world.authorize_with_document(&requested, Some(fetched(body.as_bytes())));
    let client = world.client(DOCUMENT).unwrap();
    assert!(client.expires() > before, "the client was renewed");
    let refusal = step.expect_err("the URI is not in the document that was read");
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    assert_eq!(
        client.redirect_uris().iter().map(RegisteredRedirectUri::as_str).collect::<Vec<_>>(),
        [CALLBACK]
    );
}

#[test]
fn zeroid_241_the_document_of_a_deactivated_client_is_not_read_again() {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    let tokens = world.tokens_of(DOCUMENT);
    world.server.set_client_status(DOCUMENT, ClientStatus::Deactivated).unwrap();
    // The record is fresh, stale, expired, and long expired.
    for at in [0, 59, 60, DAY, 33 * DAY, 400 * DAY] {
        world.at(at);
        refused_for_good(&world);
        world.store.inner.sweep(world.now(), usize::MAX);
        assert_eq!(status(&world), ClientStatus::Deactivated, "after {at} s");
        let refresh = Params::refresh(tokens.refresh()).set("client_id", DOCUMENT);
        assert_eq!(world.token(&refresh).status, 401);
    }
    world.server.set_client_status(DOCUMENT, ClientStatus::Active).unwrap();
    assert_eq!(
        world.needed(&ask(DOCUMENT)).url,
        DOCUMENT,
        "the operator's reactivation restores it"
    );
}

#[test]
fn zeroid_241_an_operators_deactivated_record_blocks_the_url() {
    let world = World::open();
    let barred = Client::public(DOCUMENT).redirect_uri(CALLBACK).build().unwrap().deactivated();
    world.put(barred);
    for at in [0, 60, DAY, 400 * DAY] {
        world.at(at);
        refused_for_good(&world);
    }
}

#[test]
fn zeroid_241_a_client_deactivated_during_the_fetch_stays_deactivated() {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(60);
    world.needed(&ask(DOCUMENT));
    world.server.set_client_status(DOCUMENT, ClientStatus::Deactivated).unwrap();
    refused_for_good(&world);
}

#[test]
fn zeroid_241_a_client_deactivated_during_the_write_stays_deactivated() {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world.at(60);
    world.meanwhile(|admin| {
        admin.set_client_status(DOCUMENT, ClientStatus::Deactivated).unwrap();
    });
    let body = document().to_string();
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())))
        .expect_err("deactivated meanwhile");
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientDeactivated);
    refused_for_good(&world);
}

#[test]
fn zeroid_241_an_operators_own_client_is_never_fetched() {
    for id in [DOCUMENT, "https://client.example", "http://localhost/c"] {
        let world = World::open();
        world.put(Client::public(id).name("Ours").redirect_uri(CALLBACK).build().unwrap());
        let before = world.client(id);
        for at in [0, 60, DAY, 400 * DAY] {
            world.at(at);
            assert_eq!(world.page(&ask(id)).client_name(), "Ours");
            let page = world.page_with(&ask(id), &with(document(), "client_id", id));
            assert_eq!((&*page.client_name(), world.client(id)), ("Ours", before.clone()));
        }
    }
}

/// A client whose record was dropped gets a new epoch, so the grants of the old record are invalid.
#[test]
fn i28_a_client_whose_record_was_dropped_returns_without_its_grants() {
    for dropped in [false, true] {
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &document());
        let tokens = world.tokens_of(DOCUMENT);
        let code = world.code(&ask(DOCUMENT));
        let ticket = world.page(&ask(DOCUMENT)).ticket();
        world.put(world.client(DOCUMENT).unwrap().deleted());
        if dropped {
            world.store.inner.sweep(world.now(), usize::MAX);
        }
        assert_eq!(world.client(DOCUMENT).is_none(), dropped);
        world.dead(&tokens.access, Reason::TokenRevoked);
        world.page_with(&ask(DOCUMENT), &document());
        world.dead(&tokens.access, Reason::TokenRevoked);
        world.invalid_grant(
            &Params::refresh(tokens.refresh()).set("client_id", DOCUMENT),
            Reason::GrantEnded,
        );
        world.invalid_grant(&Params::redeem(&code).set("client_id", DOCUMENT), Reason::GrantEnded);
        assert_eq!(
            world.decide(&ticket, Choice::Allow).unwrap_err().reason(),
            Reason::ConsentExpired
        );
        assert!(world.works(&world.tokens_of(DOCUMENT).access));
    }
}

/// The document is recorded, and then the records cannot be read: the event says that it was
/// recorded.
#[test]
fn audit_08_a_recorded_document_is_in_the_event_of_a_request_that_fails() {
    let world = World::open();
    let store = Arc::clone(&world.store);
    world.store.meanwhile(move |_| store.break_reads(true));
    let query = ask(DOCUMENT).encode();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let body = document().to_string();
    let document = Fetch::Document(fetched(body.as_bytes()));
    let error = world.server.authorize_with_document(&incoming, Some(ALICE), document).unwrap_err();
    assert_eq!(error.into_refusal().reason(), Reason::StorageUnavailable);
    let event = world.events().pop().unwrap();
    assert!(event.prepared.is_some() && event.written.is_none(), "{event:?}");
    world.store.break_reads(false);
    assert!(world.client(DOCUMENT).is_some());
    drop(world.page(&ask(DOCUMENT)));
}
