//! Tests of CLIENT-18 and -19: the freshness of a client's document, and the effect of its changes.

use std::time::Duration;

use grantcore::policy::{DocumentRules, Lifetimes};
use grantcore::request::FetchedDocument;
use grantcore::value::Subject;
use grantcore::{AuthorizationStep, Choice, Reason};
use serde_json::json;

use crate::client_document_contents::not_served;
use crate::support::clients::{DOCUMENT, ask, document, fetched, with, without};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::{CALLBACK, Granted, World, policy};

const HOUR: u64 = 3600;

/// Returns a world whose store has the client of [`document`], fetched at second 0.
fn world_with_document() -> World {
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &document());
    world
}

/// Returns whether the server asks for the document of this client.
fn is_needed(world: &World) -> bool {
    match world.authorize(&ask(DOCUMENT)) {
        Ok(AuthorizationStep::NeedsDocument(needed)) => needed.url == DOCUMENT,
        Ok(AuthorizationStep::NeedsConsent(_)) => false,
        other => panic!("{other:?}, {:?}", world.reason()),
    }
}

/// Returns whether the server asks for the document again after this time. `fresh_for` is the
/// freshness by the headers of the first response.
fn is_needed_after(rules: DocumentRules, fresh_for: Option<Duration>, seconds: u64) -> bool {
    let world = World::with(policy().client_documents(rules));
    let body = document().to_string();
    let step = world.authorize_with_document(
        &ask(DOCUMENT),
        Some(FetchedDocument { fresh_for, ..fetched(body.as_bytes()) }),
    );
    assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{step:?}");
    world.at(seconds);
    is_needed(&world)
}

#[test]
fn client_18_a_document_is_used_as_long_as_it_is_fresh() {
    for (seconds, needed) in [(0, false), (59, false), (60, true), (61, true), (DAY, true)] {
        let world = world_with_document();
        world.at(seconds);
        assert_eq!(is_needed(&world), needed, "after {seconds} s");
    }
    let world = world_with_document();
    world.at(60);
    world.page_with(&ask(DOCUMENT), &document());
    world.at(119);
    assert!(!is_needed(&world), "fetched again, fresh again");
    world.at(120);
    assert!(is_needed(&world));
}

#[test]
fn client_18_freshness_is_kept_within_bounds() {
    let seconds = |n: u64| Some(Duration::from_secs(n));
    let rules = DocumentRules::default();
    for (fresh_for, last) in [
        (None, 60),
        (seconds(0), 60),
        (seconds(59), 60),
        (seconds(61), 61),
        (Some(Duration::from_millis(90_999)), 90),
        (seconds(DAY), DAY),
        (seconds(DAY + 1), DAY),
        (Some(Duration::MAX), DAY),
    ] {
        let needed = [last - 1, last].map(|at| is_needed_after(rules, fresh_for, at));
        assert_eq!(needed, [false, true], "{fresh_for:?}");
    }
    let ten = Duration::from_secs(10);
    let rules = rules.with_fresh_at_least(ten).with_fresh_at_most(ten);
    for fresh_for in [None, seconds(1), seconds(1000)] {
        let needed = [9, 10].map(|at| is_needed_after(rules, fresh_for, at));
        assert_eq!(needed, [false, true], "{fresh_for:?}");
    }
}

/// The record of a client that nobody uses expires before its document is stale.
#[test]
fn client_18_the_document_of_an_expired_client_is_read_again_even_if_fresh() {
    let world = World::with(
        policy()
            .client_documents(DocumentRules::default())
            .lifetimes(Lifetimes::default().with_unused_client(Duration::from_secs(HOUR))),
    );
    let body = document().to_string();
    let fresh =
        FetchedDocument { fresh_for: Some(Duration::from_secs(DAY)), ..fetched(body.as_bytes()) };
    let _ = world.authorize_with_document(&ask(DOCUMENT), Some(fresh)).unwrap();
    world.at(HOUR - 1);
    assert!(!is_needed(&world));
    world.at(HOUR);
    assert!(is_needed(&world));
    let _ = world.authorize_with_document(&ask(DOCUMENT), Some(fresh)).unwrap();
    assert!(!is_needed(&world));
}

#[test]
fn client_18_a_refused_document_is_not_cached() {
    let world = World::open();
    let body = document().to_string();
    let bad = without(document(), "client_name").to_string();
    for failed in [
        None,
        Some(FetchedDocument { status: 500, ..fetched(body.as_bytes()) }),
        Some(fetched(bad.as_bytes())),
    ] {
        assert_eq!(
            world.authorize_with_document(&ask(DOCUMENT), failed).expect_err("it failed").status(),
            400
        );
        assert_eq!((world.client(DOCUMENT), world.store.commits()), (None, 0));
        assert!(is_needed(&world), "the document is needed again");
    }
    world.page_with(&ask(DOCUMENT), &document());
}

#[test]
fn client_18_a_failed_fetch_changes_neither_record_nor_grants() {
    let world = world_with_document();
    let tokens = world.tokens_of(DOCUMENT);
    let before = world.client(DOCUMENT);
    world.at(60);
    let body = document().to_string();
    let bad = with(document(), "redirect_uris", json!([])).to_string();
    for failed in [
        None,
        Some(FetchedDocument { status: 404, ..fetched(body.as_bytes()) }),
        Some(fetched(bad.as_bytes())),
    ] {
        let refusal = world.authorize_with_document(&ask(DOCUMENT), failed).expect_err("it failed");
        assert_eq!((refusal.status(), refusal.location(world.server.policy())), (400, None));
        assert_eq!(world.client(DOCUMENT), before);
    }
    assert!(world.works(&tokens.access));
    let next =
        Granted::of(&world.token(&Params::refresh(tokens.refresh()).set("client_id", DOCUMENT)));
    assert!(world.works(&next.access) && is_needed(&world));
}

#[test]
fn client_19_a_removed_redirect_uri_is_refused_at_once() {
    let world = World::open();
    let old = "https://app.example/old";
    let requested = ask(DOCUMENT).set("redirect_uri", old);
    let ticket = world
        .page_with(&requested, &with(document(), "redirect_uris", json!([CALLBACK, old])))
        .ticket();
    let code = world.code(&requested);
    world.at(60);
    let body = document().to_string();
    let refusal = world
        .authorize_with_document(&requested, Some(fetched(body.as_bytes())))
        .expect_err("it is no longer there");
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    assert_page(
        &world,
        &refused(&world, &requested),
        400,
        "invalid_request",
        Reason::RedirectUriMismatch,
    );
    for choice in [Choice::Allow, Choice::Deny] {
        let refusal = world.decide(&ticket, choice).expect_err("a page made before is refused too");
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
    }
    let redeem = Params::redeem(&code).set("client_id", DOCUMENT).set("redirect_uri", old);
    assert!(
        world.works(&Granted::of(&world.token(&redeem)).access),
        "an issued code can be redeemed"
    );
    world.page(&ask(DOCUMENT));
}

#[test]
fn client_19_changes_are_shown_and_need_a_new_consent() {
    let world = world_with_document();
    world.tokens_of(DOCUMENT);
    world.at(60);
    let added = "https://app.example/new";
    let next = with(with(document(), "client_name", "Renamed"), "redirect_uris", json!([added]));
    let page = world.page_with(&ask(DOCUMENT).set("redirect_uri", added), &next);
    assert_eq!((&*page.client_name(), page.redirect_host()), ("Renamed", "app.example"));
    assert_eq!(world.page(&ask(DOCUMENT).set("redirect_uri", added)).client_name(), "Renamed");
    world.at(120);
    let plain = without(without(next, "client_name"), "redirect_uris");
    not_served(&world, &plain, Reason::DocumentMetadata);
    let fewer = with(document(), "grant_types", json!(["authorization_code"]));
    world.page_with(&ask(DOCUMENT), &fewer);
    assert!(
        !world.client(DOCUMENT).unwrap().grant_types().refresh_token,
        "the consent page has the current members"
    );
}

/// The owner and the trust are the operator's settings: a client must not change them by its
/// document.
#[test]
fn client_19_a_document_read_again_does_not_change_the_operators_settings() {
    let world = world_with_document();
    let seen = world.client(DOCUMENT).unwrap();
    let owned = seen
        .clone()
        .edit()
        .owner(Subject::new("carol"))
        .trusted(true)
        .build()
        .unwrap()
        .with_grants_ended();
    world.put(owned.clone());
    world.at(60);
    world.page_with(&ask(DOCUMENT), &with(document(), "client_name", "Renamed"));
    let next = world.client(DOCUMENT).unwrap();
    assert_eq!(
        (next.owner(), next.is_trusted(), next.epoch()),
        (owned.owner(), true, owned.epoch())
    );
    assert_eq!(
        (next.created(), next.description().name.as_deref()),
        (seen.created(), Some("Renamed"))
    );
}
