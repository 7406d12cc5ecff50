//! Tests of REDIR-01 to -09 and -18 at the registration endpoint: it refuses what the builder
//! refuses, and writes nothing.

use grantcore::Reason;
use grantcore::policy::RegistrationRules;
use grantcore::value::{PrivateUseSchemes, RedirectRules, RedirectUriError};
use serde_json::json;

use crate::client_metadata::to;
use crate::redirect_uri_registered::{
    DANGEROUS, FRAGMENTS, INSECURE, LOOPBACK, RELATIVE, RESERVED, REVERSED, STRANGE, UNREVERSED,
    USERINFO, WILDCARDS, spellings,
};
use crate::support::clients::{ask, metadata, without};
use crate::support::refused::{assert_page, refused};
use crate::support::{CALLBACK, World, policy};
use RedirectUriError as E;

/// Asserts that this URI cannot be registered: alone it is refused; with valid ones it is dropped,
/// and the event names it. A dangerous scheme is refused in both cases.
#[track_caller]
fn assert_uri_refused(world: &World, uri: &str, error: RedirectUriError) {
    let reason = Reason::from(error);
    assert!(reason.description().contains("redirect_uris"), "{reason:?} names the member");
    world.not_registered(&to(&[uri]), "invalid_redirect_uri", reason);
    for (uris, left) in [
        (&[CALLBACK, "http://127.0.0.1/cb", uri][..], &[CALLBACK, "http://127.0.0.1/cb"][..]),
        (&[uri, CALLBACK], &[CALLBACK]),
        (&[uri, CALLBACK, uri], &[CALLBACK]),
    ] {
        if error == E::ForbiddenScheme {
            world.not_registered(&to(uris), "invalid_redirect_uri", reason);
            continue;
        }
        assert_eq!(world.registered(&to(uris))["redirect_uris"], json!(left), "{uri}");
        let dropped = world.events().pop().unwrap().dropped;
        assert!(dropped.iter().any(|part| part.starts_with("redirect_uris '")), "{dropped:?}");
    }
}

#[track_caller]
fn assert_uri_registers(world: &World, uri: &str) {
    assert_eq!(
        world.registered(&to(&[uri]))["redirect_uris"],
        json!([uri]),
        "the URI is returned unchanged"
    );
}

#[test]
fn redir_01_a_registration_names_at_least_one() {
    let world = World::open();
    for none in [without(metadata(), "redirect_uris"), to(&[])] {
        world.not_registered(&none, "invalid_redirect_uri", Reason::RedirectUrisMissing);
    }
}

#[test]
fn redir_02_a_registered_uri_is_absolute() {
    let world = World::open();
    for uri in RELATIVE {
        assert_uri_refused(&world, uri, E::NotAbsolute);
    }
}

#[test]
fn redir_03_a_registered_uri_has_no_fragment() {
    let world = World::open();
    for uri in FRAGMENTS {
        assert_uri_refused(&world, uri, E::Fragment);
    }
}

#[test]
fn redir_04_a_registered_uri_is_https_or_loopback() {
    let world = World::open();
    for uri in INSECURE {
        assert_uri_refused(&world, uri, E::InsecureHost);
    }
    for uri in LOOPBACK {
        assert_uri_registers(&world, uri);
    }
}

#[test]
fn redir_05_no_registered_uri_is_dangerous() {
    let lenient = PrivateUseSchemes::ReverseDomainAnd(
        DANGEROUS.iter().map(|scheme| (*scheme).to_owned()).collect(),
    );
    let rules = RedirectRules::default().with_private_use_schemes(lenient);
    let worlds = [
        World::open(),
        World::with(policy().registration(RegistrationRules::default()).redirect_rules(rules)),
    ];
    for (world, uri) in worlds.iter().flat_map(|world| {
        DANGEROUS.iter().flat_map(|own| spellings(own)).map(move |own| (world, own))
    }) {
        assert_uri_refused(world, &format!("{uri}:x"), E::ForbiddenScheme);
        assert_uri_refused(world, &format!("{uri}://a.example/cb"), E::ForbiddenScheme);
    }
}

/// workers-oauth-provider#97 and better-auth's CVE-2026-67333: the list of schemes could be
/// bypassed by letter case and control characters.
#[test]
fn ghsa_workers_97_no_script_is_registered_in_any_spelling() {
    let world = World::open();
    for uri in [
        "JaVaScRiPt:alert(1)",
        "JAVASCRIPT://a.example/%0aalert(1)",
        "javascript:alert(1)//https://app.example/cb",
    ] {
        assert_uri_refused(&world, uri, E::ForbiddenScheme);
    }
    for uri in [
        "\tjavascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "javascript\r:alert(1)",
        "\0data:x",
    ] {
        assert_uri_refused(&world, uri, E::Character);
    }
    for uri in ["javascript%3Aalert(1)", "&#106;avascript:alert(1)"] {
        assert_eq!(world.register(&to(&[uri])).status, 400, "{uri}");
    }
}

#[test]
fn redir_06_a_registered_scheme_is_a_reversed_domain_name() {
    let world = World::open();
    for uri in UNREVERSED {
        assert_uri_refused(&world, uri, E::PrivateUseScheme);
    }
    for uri in REVERSED {
        assert_uri_registers(&world, uri);
    }
    let named = PrivateUseSchemes::ReverseDomainAnd(vec!["cursor".to_owned()]);
    let rules = RedirectRules::default().with_private_use_schemes(named);
    let world =
        World::with(policy().registration(RegistrationRules::default()).redirect_rules(rules));
    assert_uri_registers(&world, "cursor://anysphere.cursor-deeplink/mcp/auth");
    assert_uri_refused(&world, "myapp:/cb", E::PrivateUseScheme);
}

#[test]
fn redir_07_a_registered_uri_has_no_misleading_part() {
    let world = World::open();
    for uri in USERINFO {
        assert_uri_refused(&world, uri, E::Userinfo);
    }
    for strange in STRANGE {
        for uri in [
            format!("https://a.example/{strange}cb"),
            format!("{strange}{CALLBACK}"),
            format!("{CALLBACK}{strange}"),
        ] {
            assert_uri_refused(&world, &uri, E::Character);
        }
    }
    let longest = format!("{CALLBACK}?{}", "x".repeat(2048 - CALLBACK.len() - 1));
    assert_uri_registers(&world, &longest);
    assert_uri_refused(&world, &format!("{longest}x"), E::TooLong);
}

#[test]
fn redir_08_a_registered_uri_is_not_a_pattern() {
    let world = World::open();
    for uri in WILDCARDS {
        let port = uri.contains(":*");
        assert_uri_refused(&world, uri, if port { E::Port } else { E::Wildcard });
    }
    let own = world.own(&to(&["https://a.example/*"]));
    let refusal = refused(&world, &ask(&own.id).set("redirect_uri", "https://a.example/x"));
    assert_page(&world, &refusal, 400, "invalid_request", Reason::RedirectUriMismatch);
}

#[test]
fn redir_09_a_registered_uri_has_no_parameter_of_the_response() {
    let world = World::open();
    for name in RESERVED {
        for query in [format!("{name}=1"), format!("x=1&{name}=1"), (*name).to_owned()] {
            assert_uri_refused(
                &world,
                &format!("https://a.example/cb?{query}"),
                E::ReservedParameter,
            );
        }
    }
    assert_uri_registers(&world, "https://a.example/cb?codes=1");
}

#[test]
fn redir_18_ten_uris_are_registered_and_each_once() {
    let world = World::open();
    let uris: Vec<_> = (0..11).map(|n| format!("https://a.example/{n}")).collect();
    let uris: Vec<_> = uris.iter().map(String::as_str).collect();
    world.not_registered(&to(&uris), "invalid_redirect_uri", Reason::RedirectUrisTooMany);
    let twice = [&uris[..10], &uris[..10]].concat();
    assert_eq!(world.registered(&to(&twice))["redirect_uris"], json!(&uris[..10]));
}

/// B2: if all URIs are unusable, the first one is named.
#[test]
fn redir_07_the_first_of_several_unusable_uris_is_named() {
    let world = World::open();
    for (uris, reason) in [
        (["http://a.example/cb", "/cb"], Reason::RegisteredUriInsecure),
        (["/cb", "http://a.example/cb"], Reason::RegisteredUriRelative),
        (["http://a.example/cb", "javascript:alert(1)"], Reason::RegisteredUriInsecure),
        (["javascript:alert(1)", "/cb"], Reason::RegisteredUriForbidden),
    ] {
        world.not_registered(&to(&uris), "invalid_redirect_uri", reason);
    }
}

/// A dropped URI does not count.
#[test]
fn redir_18_only_usable_uris_are_counted() {
    let world = World::open();
    let good: Vec<_> = (0..10).map(|n| format!("https://a.example/{n}")).collect();
    let bad: Vec<_> = (0..10).map(|n| format!("http://a.example/{n}")).collect();
    let all: Vec<_> = bad.iter().chain(&good).map(String::as_str).collect();
    assert_eq!(world.registered(&to(&all))["redirect_uris"], json!(good));
}
