//! Tests of CLIENT-14 and -15: which URLs name a client, and what is fetched.

use grantcore::client::Registration;
use grantcore::event::EventKind;
use grantcore::policy::DocumentRules;
use grantcore::{AuthorizationStep, Choice, Reason, RequestParts};

use crate::support::clients::{DOCUMENT, ask, document, fetched, with};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{Granted, World, param, policy};

/// Asserts that this `client_id` is refused on a page, without a fetch and without a write.
#[track_caller]
fn no_client(world: &World, client_id: &str, reason: Reason) {
    let before = (world.store.commits(), world.store.inner.counts().clients);
    let problem =
        assert_page(world, &refused(world, &ask(client_id)), 400, "invalid_client", reason);
    assert_eq!(problem.received.is_some(), reason == Reason::DocumentUrl, "{client_id}");
    assert_eq!((world.store.commits(), world.store.inner.counts().clients), before, "{client_id}");
}

/// Asserts that the client is refused on a page because of its document, and that nothing is
/// stored.
fn on_this_machine() -> World {
    let rules = DocumentRules::default().with_allow_loopback(true);
    World::with(policy().client_documents(rules))
}

#[test]
fn client_14_a_client_id_is_an_https_url_with_a_path_in_canonical_spelling() {
    let world = World::open();
    for url in [
        "http://client.example/meta.json",
        "http://localhost/meta.json",
        "http://127.0.0.1/meta.json",
        "https://client.example",
        "https://client.example/",
        "https://client.example?v=1",
        "https://client.example/?v=1",
        "https://client.example/meta.json#f",
        "https://client.example/meta.json#",
        "https://u@client.example/meta.json",
        "https://u:p@client.example/meta.json",
        "https://:p@client.example/meta.json",
        "https://@client.example/meta.json",
        "https://bank.example@client.example/meta.json",
        "https://client.example/a/../meta.json",
        "https://client.example/./meta.json",
        "https://client.example/a/..",
        "https://client.example/a/%2e%2e/meta.json",
        "https://client.example/a/.%2E/meta.json",
        "https://client.example/%2e/meta.json",
    ] {
        no_client(&world, url, Reason::DocumentUrl);
    }
    for url in [
        "HTTPS://client.example/meta.json",
        "Https://client.example/meta.json",
        "HTTP://client.example/meta.json",
        "https://CLIENT.example/meta.json",
        "https://client.example:443/meta.json",
        "https://client.example:/meta.json",
        "https://client.example:08443/meta.json",
        "https://client.example:65536/meta.json",
        "https://client.example./meta.json",
        "https://client.example\\meta.json",
        "https://client.example/a\\..\\meta.json",
        "https://client.example/meta json",
        "https://client.example/meta.json ",
        "https://client.example/meta\t.json",
        "https://client.example/\u{fc}.json",
        "https://b\u{fc}cher.example/meta.json",
        "https://client%2eexample/meta.json",
        "https:///client.example/meta.json",
        "https:////client.example/meta.json",
        "https:///meta.json",
        "https://",
        "https://2130706433/meta.json",
        "https://0x7f.1/meta.json",
        "https://[0:0:0:0:0:0:0:1]/meta.json",
    ] {
        no_client(&world, url, Reason::DocumentUrl);
    }
}

#[test]
fn client_14_another_text_is_an_unknown_client_id() {
    let world = World::open();
    for name in [
        "https:/client.example/meta.json",
        "https:client.example/meta.json",
        " https://client.example/meta.json",
    ] {
        no_client(&world, name, Reason::ClientUnknown);
    }
    for name in [
        "ftp://client.example/meta.json",
        "file:///etc/passwd",
        "data:application/json,{}",
        "//client.example/meta.json",
    ] {
        no_client(&world, name, Reason::ClientUnknown);
    }
}

/// No record can hold a longer id, so fetching such a document would be useless work for anybody
/// who asks.
#[test]
fn client_14_a_url_that_is_too_long_for_a_client_id_is_not_fetched() {
    let world = World::open();
    let longest = format!("{DOCUMENT}?{}", "x".repeat(2048 - DOCUMENT.len() - 1));
    world.page_with(&ask(&longest), &with(document(), "client_id", &*longest));
    no_client(&world, &format!("{longest}x"), Reason::DocumentUrl);
}

#[test]
fn client_14_other_urls_are_fetched_unchanged() {
    let world = World::open();
    for url in [
        "https://client.example/c",
        "https://client.example/c/",
        "https://client.example//c",
        "https://client.example/c?v=1&w=%2F",
        "https://client.example:8443/c",
        "https://client.example/C/~me/a%20b/..c/...",
        "https://xn--bcher-kva.example/c",
    ] {
        assert_eq!(world.needed(&ask(url)).url, url);
        world.page_with(&ask(url), &with(document(), "client_id", url));
    }
}

#[test]
fn client_14_http_is_for_trials_on_this_machine() {
    let world = on_this_machine();
    for url in [
        "http://localhost:8080/c",
        "http://127.0.0.1/c",
        "http://[::1]:8080/c",
        "https://localhost/c",
    ] {
        let needed = world.needed(&ask(url));
        assert_eq!((&*needed.url, needed.allow_loopback), (url, true));
    }
    for url in [
        "http://client.example/c",
        "http://localhost.evil.example/c",
        "http://10.0.0.1/c",
        "http://127.0.0.1.nip.example/c",
    ] {
        no_client(&world, url, Reason::DocumentUrl);
    }
    for url in [
        "http://localhost:8080/",
        "http://u@localhost/c",
        "http://LOCALHOST/c",
        "http://localhost:80/c",
        "http://127.1/c",
    ] {
        no_client(&world, url, Reason::DocumentUrl);
    }
}

#[test]
fn client_15_the_host_gets_the_url_and_the_limits_of_the_fetch() {
    let world = World::open();
    let needed = world.needed(&ask(DOCUMENT));
    assert_eq!((&*needed.url, needed.max_bytes), (DOCUMENT, 5_120));
    assert_eq!(
        (needed.no_redirects, needed.forbid_special_ips, needed.allow_loopback),
        (true, true, false)
    );
    let trials = on_this_machine().needed(&ask(DOCUMENT));
    assert_eq!(
        (trials.no_redirects, trials.forbid_special_ips, trials.allow_loopback),
        (true, true, true)
    );
    let event = world.events().pop().unwrap();
    assert_eq!(
        (event.kind, event.reason, event.claimed.as_deref()),
        (EventKind::DocumentNeeded, None, Some(DOCUMENT))
    );
    assert_eq!(
        (world.store.commits(), world.grants().len()),
        (0, 0),
        "the request for a document writes nothing"
    );
}

#[test]
fn client_15_the_same_request_is_decided_with_the_result() {
    let world = World::open();
    let params = ask(DOCUMENT).set("scope", "write").set("state", "of this request");
    world.needed(&params);
    let page = world.page_with(&params, &document());
    assert_eq!(
        (&*page.client_name(), page.client_id(), page.client_id_host()),
        ("Notes Helper", DOCUMENT, Some("client.example"))
    );
    assert_eq!(
        (page.registration(), page.redirect_host()),
        (Registration::MetadataDocument, "app.example")
    );
    assert_eq!(
        page.scopes(world.server.policy()).map(|(token, _)| token).collect::<Vec<_>>(),
        ["write"]
    );
    let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
    assert_eq!(param(&location, "state").as_deref(), Some("of this request"));
    let redeem = Params::redeem(&param(&location, "code").unwrap()).set("client_id", DOCUMENT);
    let tokens = Granted::of(&world.token(&redeem));
    assert_eq!((world.works(&tokens.access), &*tokens.scope), (true, "write"));
    let kinds: Vec<_> = world.events().iter().map(|event| event.kind).collect();
    let [needed, shown] = [EventKind::DocumentNeeded, EventKind::ConsentShown];
    assert_eq!(kinds[..3], [needed, shown, EventKind::ConsentApproved], "one event of each step");
}

#[test]
fn client_15_a_visitor_signs_in_after_the_fetch() {
    let world = World::open();
    let params = ask(DOCUMENT);
    let step = world.authorize_as(&params, None);
    assert!(matches!(step, Ok(AuthorizationStep::NeedsDocument(_))), "{step:?}");
    let query = params.encode();
    let body = document().to_string();
    let incoming =
        RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let step = world
        .server
        .authorize_with_document(
            &incoming,
            None,
            grantcore::request::Fetch::Document(fetched(body.as_bytes())),
        )
        .unwrap();
    let AuthorizationStep::NeedsLogin(page) = step else { panic!("{step:?}") };
    assert_eq!((&*page.client_name(), world.grants().len()), ("Notes Helper", 0));
    world.page(&params);
}

#[test]
fn client_15_without_documents_in_the_policy_no_url_is_a_client() {
    let world = World::new();
    for url in
        [DOCUMENT, "http://localhost/c", "https://client.example", "https://u@client.example/c"]
    {
        no_client(&world, url, Reason::ClientUnknown);
    }
    let body = document().to_string();
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())))
        .expect_err("an unrequested document");
    assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
    assert_eq!(world.client(DOCUMENT), None);
}

#[test]
fn client_15_an_unrequested_document_changes_nothing() {
    let world = World::open();
    let params = Params::authorize();
    let before = world.client("app");
    let page = world.page_with(&params, &with(document(), "client_id", "app"));
    assert_eq!((&*page.client_name(), world.client("app")), ("The App", before));
    world.page_with(&ask(DOCUMENT), &document());
    let page = world.page_with(&ask(DOCUMENT), &with(document(), "client_name", "Another"));
    assert_eq!(page.client_name(), "Notes Helper", "the stored document is fresh");
}
