//! Tests of AUTHZ-06 to -10: which client an authorization request names, and where its response
//! may go.

use grantcore::{Client, Reason};

use crate::authz::allowed;
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused, wire};
use crate::support::{CALLBACK, World, app};

#[test]
fn authz_06_a_missing_or_repeated_client_id_is_shown_to_the_user() {
    let good = Params::authorize();
    for (params, reason) in [
        (good.clone().without("client_id"), Reason::ClientIdMissing),
        (good.clone().set("client_id", ""), Reason::ClientIdMissing),
        (good.clone().and("client_id", "app"), Reason::ClientIdRepeated),
        (good.and("client_id", "web"), Reason::ClientIdRepeated),
    ] {
        let world = World::new();
        assert_page(&world, &refused(&world, &params), 400, "invalid_request", reason);
        assert_eq!(world.store.commits(), 0);
    }
}

#[test]
fn authz_07_unknown_client_gets_a_page() {
    for unknown in ["ghost", "APP", "app ", " app", "app\n", "\u{430}pp", &"a".repeat(4096)] {
        let world = World::new();
        let refusal = refused(&world, &Params::authorize().set("client_id", unknown));
        assert_page(&world, &refusal, 400, "invalid_client", Reason::ClientUnknown);
        assert!(world.events().last().unwrap().claimed.is_some());
        assert_eq!(world.store.commits(), 0);
    }
}

/// The responses are equal byte for byte, so that nobody learns that the client existed.
#[test]
fn authz_08_a_deactivated_client_looks_unknown() {
    let world = World::new();
    world.put(app().deactivated());
    let deactivated = refused(&world, &Params::authorize());
    assert_page(&world, &deactivated, 400, "invalid_client", Reason::ClientDeactivated);
    let unknown = refused(&world, &Params::authorize().set("client_id", "ghost"));
    assert_page(&world, &unknown, 400, "invalid_client", Reason::ClientUnknown);
    let policy = world.server.policy();
    assert_eq!(wire(&deactivated.reply(policy)), wire(&unknown.reply(policy)));
    assert_eq!(deactivated.problem(policy), unknown.problem(policy));
}

#[test]
fn authz_09_a_bad_redirect_uri_is_shown_to_the_user() {
    let world = World::new();
    for bad in [
        "https://evil.example/cb",
        "https://app.example/",
        "nonsense",
        "//app.example/cb",
        "<script>alert(1)</script>",
        "\n",
    ] {
        let refusal = refused(&world, &Params::authorize().set("redirect_uri", bad));
        let problem =
            assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
        assert_eq!(
            problem.received.as_deref(),
            Some(if bad == "\n" { "\\n" } else { bad }),
            "as plain text"
        );
    }
    for second in [CALLBACK, "https://evil.example/cb"] {
        let refusal = refused(&world, &Params::authorize().and("redirect_uri", second));
        assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriRepeated);
    }
    assert_eq!(world.store.commits(), 0);
}

#[test]
fn authz_10_redirect_uri_may_be_omitted_if_one_is_registered() {
    let world = World::new();
    world.put(
        Client::public("two")
            .redirect_uri(CALLBACK)
            .redirect_uri("https://app.example/cb2")
            .build()
            .unwrap(),
    );
    world.put(Client::public("loopback").redirect_uri("http://127.0.0.1/cb").build().unwrap());
    world.put(Client::public("port").redirect_uri("http://127.0.0.1:8123/cb").build().unwrap());
    let omitted =
        |client: &str| Params::authorize().without("redirect_uri").set("client_id", client);
    assert!(allowed(&world, &omitted("app")).starts_with("https://app.example/cb?code="));
    assert!(allowed(&world, &omitted("port")).starts_with("http://127.0.0.1:8123/cb?code="));
    for client in ["two", "loopback"] {
        assert_page(
            &world,
            &refused(&world, &omitted(client)),
            400,
            "invalid_request",
            Reason::RedirectUriMissing,
        );
    }
}
