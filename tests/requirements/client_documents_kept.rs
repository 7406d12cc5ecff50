//! Tests of CLIENT-17 to -19: the client that a metadata document describes, the freshness of the
//! document, and the effect of its changes.

use std::time::Duration;

use grantcore::client::{Authentication, Registration};
use grantcore::policy::{DocumentRules, Lifetimes};
use grantcore::request::FetchedDocument;
use grantcore::value::{GrantTypes, Subject};
use grantcore::{AuthorizationStep, Choice, Reason};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, document, fetched, with, without};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::steps::DAY;
use crate::support::{CALLBACK, Granted, World, param, policy};

const HOUR: u64 = 3600;

/// Asserts that a client with this document is refused with `invalid_client`.
#[track_caller]
fn not_served(world: &World, document: &Value, reason: Reason) {
    not_served_as(world, document, "invalid_client", reason);
}

/// Asserts that a client with this document is refused on the error page, and that nothing is
/// stored.
#[track_caller]
pub(crate) fn not_served_as(world: &World, document: &Value, code: &str, reason: Reason) {
    let commits = world.store.commits();
    let before = world.client(DOCUMENT);
    let body = document.to_string();
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())))
        .expect_err("it is not served");
    assert_page(world, &refusal, 400, code, reason);
    assert_eq!((world.store.commits(), world.client(DOCUMENT)), (commits, before), "{document}");
}

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
fn client_17_a_document_needs_a_name_and_redirect_uris() {
    let world = World::open();
    for name in [json!(null), json!(""), json!(1), json!(["Notes"])] {
        not_served(&world, &with(document(), "client_name", name), Reason::DocumentMetadata);
    }
    for uris in [
        json!(null),
        json!([]),
        json!(CALLBACK),
        json!([1]),
        json!([""]),
        json!(["http://client.example/cb"]),
    ] {
        not_served(&world, &with(document(), "redirect_uris", uris), Reason::DocumentMetadata);
    }
    let many: Vec<_> = (0..11).map(|n| format!("{CALLBACK}/{n}")).collect();
    for uris in [json!([CALLBACK, "javascript:alert(1)"]), json!(many)] {
        not_served(&world, &with(document(), "redirect_uris", uris), Reason::DocumentMetadata);
    }
    for member in ["client_name", "redirect_uris"] {
        not_served(&world, &without(document(), member), Reason::DocumentMetadata);
    }
}

#[test]
fn client_17_a_document_must_not_have_a_secret() {
    let world = World::open();
    for method in ["client_secret_basic", "client_secret_post", "client_secret_jwt"] {
        not_served(
            &world,
            &with(document(), "token_endpoint_auth_method", method),
            Reason::DocumentMetadata,
        );
    }
    for secret in [json!("s"), json!(""), json!(1), json!({})] {
        not_served(&world, &with(document(), "client_secret", secret), Reason::DocumentMetadata);
    }
    not_served(&world, &with(document(), "client_secret_expires_at", 0), Reason::DocumentMetadata);
}

#[test]
fn client_17_none_or_no_method_is_a_public_client() {
    for method in [json!("none"), json!(null), json!("")] {
        let world = World::open();
        let document = with(document(), "token_endpoint_auth_method", method);
        world.page_with(&ask(DOCUMENT), &document);
        let client = world.client(DOCUMENT).unwrap();
        assert_eq!(
            (client.authentication(), client.registration()),
            (Authentication::Public, Registration::MetadataDocument)
        );
        assert!(!client.is_trusted(), "its errors are not redirected");
        assert_eq!(client.description().name.as_deref(), Some("Notes Helper"));
    }
    let world = World::open();
    world.page_with(&ask(DOCUMENT), &without(document(), "token_endpoint_auth_method"));
    assert!(world.works(&world.tokens_of(DOCUMENT).access));
    let with_secret = Params::refresh(world.tokens_of(DOCUMENT).refresh())
        .set("client_id", DOCUMENT)
        .set("client_secret", "x");
    world.refused(&with_secret, 401, "invalid_client", Reason::ClientSecretUnexpected);
}

#[test]
fn client_17_entries_for_other_servers_are_ignored() {
    let kept = |grant_types: Value| {
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &with(document(), "grant_types", grant_types));
        world.client(DOCUMENT).unwrap().grant_types()
    };
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let both = GrantTypes { authorization_code: true, refresh_token: true };
    assert_eq!(
        kept(json!(["authorization_code", "refresh_token", device, "client_credentials"])),
        both
    );
    assert_eq!(
        kept(json!([device, "authorization_code"])),
        GrantTypes { refresh_token: false, ..both }
    );
    assert_eq!(
        kept(json!(null)),
        GrantTypes { refresh_token: false, ..both },
        "the default of RFC 7591"
    );
    let world = World::open();
    for types in [json!([device]), json!([]), json!(["refresh_token"]), json!("authorization_code")]
    {
        not_served(&world, &with(document(), "grant_types", types), Reason::DocumentMetadata);
    }
    not_served(
        &world,
        &with(document(), "response_types", json!(["token"])),
        Reason::DocumentMetadata,
    );
    world.page_with(&ask(DOCUMENT), &with(document(), "response_types", json!(["code", "token"])));
}

/// The published documents of two real clients, with their redirect URIs.
#[test]
fn client_17_the_documents_of_real_clients() {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let claude = json!({
        "client_id": "https://claude.ai/oauth/claude-code-client-metadata",
        "client_name": "Claude Code",
        "client_uri": "https://claude.ai",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let code = json!({
        "client_id": "https://vscode.dev/oauth/client-metadata.json",
        "client_name": "Visual Studio Code",
        "client_uri": "https://vscode.dev/product",
        "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        "grant_types": ["authorization_code", "refresh_token", device],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    for (document, uri, loopback) in [
        (&claude, "http://localhost:51004/callback", true),
        (&claude, "http://127.0.0.1:3118/callback", true),
        (&code, "http://127.0.0.1:33418/", false),
        (&code, "http://127.0.0.1:51004/", false),
        (&code, "https://vscode.dev/redirect", false),
    ] {
        let world = World::open();
        let id = document["client_id"].as_str().unwrap();
        let page = world.page_with(&ask(id).set("redirect_uri", uri), document);
        assert_eq!(
            (page.loopback_only(), page.redirects_to_loopback()),
            (loopback, uri.starts_with("http:"))
        );
        let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
        assert!(location.starts_with(uri), "{location}");
        let redeem = Params::redeem(&param(&location, "code").unwrap())
            .set("client_id", id)
            .set("redirect_uri", uri);
        let tokens = Granted::of(&world.token(&redeem));
        Granted::of(&world.token(&Params::refresh(tokens.refresh()).set("client_id", id)));
    }
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
