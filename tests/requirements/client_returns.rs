//! Tests that a dropped or deleted client does not return: CLIENT-13, -18, -19 and -21 for an id
//! that is used again, by a document or by the operator, and for delayed writes and clocks that
//! step.

use grantcore::blocking::Store;
use grantcore::client::ClientStatus;
use grantcore::store::{Commit, Write};
use grantcore::{Client, Reason};
use serde_json::Value;

use crate::support::clients::{DOCUMENT, ask, document, fetched, metadata, with};
use crate::support::refused::refused;
use crate::support::steps::DAY;
use crate::support::{CALLBACK, Outcome, World, app};

/// Returns the stored client, and a write that was decided on it and is not applied yet.
fn stored(world: &World, id: &str) -> (Client, Write) {
    let seen = world.store.inner.client(id).unwrap().unwrap();
    let client = Client::clone(&seen.record);
    (client.clone(), Write::client(Some(&seen), client))
}

fn commit(world: &World, write: &Write) -> Commit {
    world.store.inner.commit(write).unwrap()
}

/// A delayed renewal arrives after the client was deleted, dropped, and created again from its
/// document.
#[test]
fn client_13_a_delayed_write_from_before_the_deletion_is_not_applied() {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    let old = world.tokens_of(DOCUMENT);
    let (client, delayed) = stored(&world, DOCUMENT);
    let seen = world.store.inner.client(DOCUMENT).unwrap().unwrap();
    assert_eq!(commit(&world, &Write::client(Some(&seen), client.deleted())), Commit::Done);
    assert!(!world.works(&old.access));
    assert_eq!(world.store.inner.sweep(world.now(), 10), 1);
    world.page_with(&ask(DOCUMENT), &document());
    // Makes as many writes as the old record had.
    let new = world.tokens_of(DOCUMENT);
    assert_eq!(commit(&world, &delayed), Commit::Conflict);
    assert!(!world.works(&old.access) && world.works(&new.access));
}

/// The reference server adds its clients at each start. If the deleted record was dropped, its grants
/// would become valid again.
#[test]
fn client_13_a_deleted_client_of_the_operator_is_kept() {
    let world = World::new();
    let tokens = world.tokens();
    let seen = world.store.inner.client("app").unwrap().unwrap();
    assert_eq!(commit(&world, &Write::client(Some(&seen), app().deleted())), Commit::Done);
    assert_eq!((world.works(&tokens.access), world.store.inner.sweep(world.now(), 10)), (false, 0));
    assert_eq!(commit(&world, &Write::client(None, app())), Commit::Conflict);
    assert_eq!(refused(&world, &ask("app")).reason(), Reason::ClientUnknown);
}

#[test]
fn client_21_a_deleted_client_has_no_status() {
    let world = World::open();
    let own = world.own(&metadata());
    assert_eq!(world.manage("DELETE", &own.id, &own.token, &Value::Null).status, 204);
    for status in [ClientStatus::Active, ClientStatus::Deactivated] {
        let refusal = world.server.set_client_status(&own.id, status).outcome().unwrap_err();
        assert_eq!(refusal.reason(), Reason::ClientUnknown);
    }
    assert_eq!(world.store.inner.sweep(world.now(), 10), 1, "the record may be dropped");
}

/// Trust in a client includes its redirect URIs.
#[test]
fn client_19_a_document_with_other_redirect_uris_ends_trust() {
    const ELSEWHERE: &str = "https://evil.example/cb";
    for (uri, trusted) in [(CALLBACK, true), (ELSEWHERE, false)] {
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &document());
        world.put(world.client(DOCUMENT).unwrap().edit().trusted(true).build().unwrap());
        world.at(DAY / 2);
        let moved = with(document(), "redirect_uris", vec![uri]).to_string();
        let bad = ask(DOCUMENT).set("redirect_uri", uri).set("scope", "nope");
        let refusal =
            world.authorize_with_document(&bad, Some(fetched(moved.as_bytes()))).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.location(world.server.policy()).is_some()),
            (Reason::ScopeUnknown, trusted),
            "{uri}"
        );
    }
}

/// The document was read while the clock was years ahead.
#[test]
fn client_18_a_wrong_clock_does_not_extend_freshness_beyond_the_bound() {
    let world = World::open();
    world.at(3_650 * DAY);
    world.page_with(&ask(DOCUMENT), &document());
    world.at(30 * DAY);
    assert_eq!(world.needed(&ask(DOCUMENT)).url, DOCUMENT);
    world.page_with(&ask(DOCUMENT), &document());
    world.page(&ask(DOCUMENT));
}
