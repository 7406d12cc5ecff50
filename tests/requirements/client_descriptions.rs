//! Tests of CLIENT-07 and AUDIT: a refused registration names the received and the right value, and
//! its event names the sender. No response repeats input unbounded, unescaped or with a credential.

use grantcore::Reason;
use grantcore::event::EventKind;
use grantcore::policy::{Limits, RegistrationRules};
use grantcore::value::{EDITOR_SCHEMES, PrivateUseSchemes, RedirectRules};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client_metadata::to;
use crate::support::clients::{
    DOCUMENT, ask, document, fetched, managed, metadata, posting, with, without,
};
use crate::support::property::check;
use crate::support::{CALLBACK, World, json as body, policy};

/// Returns the description of the refusal of this registration.
#[track_caller]
fn described(world: &World, metadata: &Value) -> String {
    let reply = world.register(metadata);
    assert_eq!(reply.status, 400, "{}", reply.body);
    body(&reply)["error_description"].as_str().unwrap().to_owned()
}

fn many(n: usize, one: impl Fn(usize) -> String) -> Vec<String> {
    (0..n).map(one).collect()
}

#[test]
fn client_07_a_refusal_names_the_received_and_the_right_value() {
    let tokens = |n: usize| many(n, |n| format!("res{n}:read")).join(" ");
    let redirects = |n: usize| json!(many(n, |n| format!("https://app{n}.example/cb")));
    let list = "token_endpoint_auth_methods_supported";
    for (metadata, named) in [
        // Findings F12, F16 and F13.
        (with(metadata(), "scope", tokens(65)), &["65 scope tokens", "At most 64"][..]),
        (with(metadata(), "redirect_uris", redirects(11)), &["Received: 11.", "At most 10"]),
        (
            to(&["cursor://anysphere.cursor-mcp/oauth/callback"]),
            &["cursor://anysphere.cursor-mcp/oauth/callback", "private_use_schemes", "'cursor'"],
        ),
        (to(&["https://bücher.example/cb"]), &["'xn--bcher-kva.example'"]),
        (to(&["https://2130706433/cb"]), &["https://2130706433/cb", "'127.0.0.1'"]),
        (to(&["https://[0:0:0:0:0:0:0:1]/cb"]), &["'[::1]'"]),
        (to(&["http://127.1:3000/cb"]), &["http://127.1:3000/cb", "'127.0.0.1'"]),
        (to(&["http://app.example/cb", "/cb"]), &["http://app.example/cb"]),
        (to(&[&format!("{CALLBACK}?{}", "x".repeat(2048))]), &["bytes"]),
        (with(metadata(), "scope", "a\"b read"), &["'a%22b'"]),
        (with(metadata(), "scope", json!(["read"])), &["Received: an array"]),
        (with(metadata(), "redirect_uris", CALLBACK), &["Received: a string"]),
        (with(metadata(), "redirect_uris", json!([1])), &["Received: a number"]),
        (with(metadata(), "grant_types", vec!["password", "x"]), &["'password', 'x'"]),
        (with(metadata(), "response_types", vec!["token"]), &["'token'"]),
        (
            with(metadata(), "token_endpoint_auth_method", "private_key_jwt"),
            &["'private_key_jwt'", "'none', 'client_secret_basic', 'client_secret_post'"],
        ),
        (
            with(metadata(), list, json!(many(17, |n| format!("m{n}")))),
            &["17 methods", "At most 16"],
        ),
        (with(metadata(), list, json!([])), &["empty list"]),
        (
            with(with(metadata(), list, json!(["x"])), "token_endpoint_auth_method", "none"),
            &["'none'", "is not in token_endpoint_auth_methods_supported"],
        ),
        (with(metadata(), "jwks_uri", "http://10.0.0.1/keys"), &["http://10.0.0.1/keys"]),
        (with(with(metadata(), "jwks", json!({})), "jwks_uri", "https://a.example/k"), &["both"]),
    ] {
        let world = World::open();
        let description = described(&world, &metadata);
        let reason = world.reason().unwrap();
        assert!(description.starts_with(reason.description()), "{description}");
        for part in named {
            assert!(description.contains(part), "{part} is not in {description}");
        }
    }
}

#[test]
fn client_07_an_update_names_the_member_that_only_the_server_sets() {
    let (world, own) = managed(&metadata());
    let sent = with(own.update(metadata()), "client_id_issued_at", 1);
    let reply = world.manage("PUT", &own.id, &own.token, &sent);
    let description = body(&reply)["error_description"].as_str().unwrap().to_owned();
    assert!(description.ends_with("Received: client_id_issued_at."), "{description}");
}

/// The refusal of a document names the rule of metadata and the received value.
#[test]
fn client_17_the_refusal_of_a_document_names_the_received_and_the_right_value() {
    let redirects = json!(many(11, |n| format!("https://app{n}.example/cb")));
    for (document, named) in [
        (with(document(), "redirect_uris", redirects), &["Received: 11.", "At most 10"][..]),
        (
            with(document(), "redirect_uris", json!(["http://a.example/cb"])),
            &["http://a.example/cb"],
        ),
        (
            with(document(), "token_endpoint_auth_method", "client_secret_post"),
            &["client_secret_post"],
        ),
        (with(document(), "client_name", 1), &["client_name"]),
        (with(document(), "grant_types", vec!["password"]), &["'password'"]),
    ] {
        let world = World::open();
        let body = document.to_string();
        let refusal = world.authorize_with_document(&ask(DOCUMENT), Some(fetched(body.as_bytes())));
        let refusal = refusal.expect_err("it is not served");
        assert_eq!(refusal.reason(), Reason::DocumentMetadata);
        let problem = refusal.problem(world.server.policy());
        for part in named {
            assert!(problem.description.contains(part), "{part} is not in {}", problem.description);
        }
        let detail = world.events().pop().unwrap().detail.unwrap();
        assert_eq!(Some(&*detail), problem.detail.as_deref());
    }
}

/// The registered URIs depend on the operator's setting. The crate lists the editors' schemes.
#[test]
fn redir_06_the_editors_schemes_are_listed_and_admitted_by_name() {
    let cursor = to(&[
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ]);
    let all = cursor["redirect_uris"].clone();
    let world = World::open();
    let response = world.registered(&cursor);
    assert_eq!(
        response["redirect_uris"],
        json!(all.as_array().unwrap()[1..]),
        "the other URIs are registered"
    );
    let event = world.events().pop().unwrap();
    assert_eq!(
        event.dropped,
        ["redirect_uris 'cursor://anysphere.cursor-mcp/oauth/callback'".into()]
    );
    let rules = RedirectRules::default().with_private_use_schemes(
        PrivateUseSchemes::ReverseDomainAnd(EDITOR_SCHEMES.map(str::to_owned).to_vec()),
    );
    let world =
        World::with(policy().registration(RegistrationRules::default()).redirect_rules(rules));
    assert_eq!(world.registered(&cursor)["redirect_uris"], all);
    for scheme in EDITOR_SCHEMES {
        let own = world.own(&to(&[&format!("{scheme}://host/cb")]));
        let uri = format!("{scheme}://host/cb");
        let page = world.page(&ask(&own.id).set("redirect_uri", &uri));
        assert_eq!((page.redirect_host(), page.redirects_to_own_device()), (scheme, true));
    }
}

/// The event has the claimed name and the source of the refused registration.
#[test]
fn audit_01_the_event_of_a_refused_registration_has_name_and_source() {
    let world = World::open();
    for bad in [
        with(metadata(), "scope", "a\"b"),
        with(metadata(), "redirect_uris", json!([])),
        with(metadata(), "token_endpoint_auth_method", "private_key_jwt"),
    ] {
        assert_eq!(world.register(&bad).status, 400);
        let event = world.events().pop().unwrap();
        assert_eq!(event.kind, EventKind::Refused);
        let sender = (event.note.as_deref(), event.source.as_deref());
        assert_eq!(sender, (Some("client_name 'Notes Helper'"), Some("192.0.2.1")), "{bad}");
    }
    let reply = world.post_registration(&posting(b"[]"));
    assert_eq!(reply.status, 400);
    let event = world.events().pop().unwrap();
    assert_eq!((event.note, event.source.as_deref()), (None, Some("192.0.2.1")), "no name");
    world.registered(&metadata());
    let event = world.events().pop().unwrap();
    assert_eq!(event.kind, EventKind::ClientRegistered);
    assert_eq!(event.note.as_deref(), Some("client_name 'Notes Helper'"));
    assert_eq!(event.source.as_deref(), Some("192.0.2.1"));
}

/// The escapes are those of every note, so that a page can show the name as it was sent.
#[test]
fn audit_01_a_claimed_name_is_noted_in_its_own_letters() {
    let world = World::open();
    let note = |name: &str| {
        world.registered(&with(metadata(), "client_name", name));
        world.events().pop().unwrap().note.unwrap()
    };
    assert_eq!(&*note("Notizb\u{fc}cher"), "client_name 'Notizb\\u{fc}cher'");
    assert_eq!(note(&"\u{5d9}".repeat(40)).matches("\\u{5d9}").count(), 32, "64 bytes");
    assert!(note(&"a".repeat(80)).ends_with("aaa...'"));
}

#[test]
fn audit_01_the_event_of_a_limited_registration_has_name_and_source() {
    let limited = policy()
        .registration(RegistrationRules::default())
        .limits(Limits::default().with_registrations_per_minute(1));
    let world = World::with(limited);
    world.registered(&metadata());
    assert_eq!(world.register(&metadata()).status, 429);
    let event = world.events().pop().unwrap();
    assert_eq!(event.note.as_deref(), Some("client_name 'Notes Helper'"));
    assert_eq!(event.source.as_deref(), Some("192.0.2.1"));
}

/// CLIENTPOLICY-13 for registrations: the four habitual scopes are dropped unless they are
/// declared.
#[test]
fn clientpolicy_13_a_registration_response_lacks_the_habitual_scopes() {
    let habit = "openid profile email offline_access";
    let world = World::open();
    for (requested, response) in [
        (habit, "read write admin"),
        ("openid profile email offline_access read", "read write admin"),
        ("read write", "read write"),
    ] {
        assert_eq!(
            world.registered(&with(metadata(), "scope", requested))["scope"],
            response,
            "{requested}"
        );
        let event = world.events().pop().unwrap();
        let dropped = requested.contains("openid");
        let detail = "scope_dropped: 'email', 'offline_access', 'openid', 'profile'.";
        assert_eq!(event.detail.as_deref(), dropped.then_some(detail));
    }
    let declared = World::with(
        policy().scope("email", "See your address").registration(RegistrationRules::default()),
    );
    let response = declared.registered(&with(metadata(), "scope", "email read"));
    assert_eq!(response["scope"], "email read");
    assert_eq!(declared.events().pop().unwrap().detail, None);
}

/// F03: a client that registered a partly unknown scope is not limited to the rest.
#[test]
fn client_09_a_scope_with_a_dropped_token_does_not_limit_the_client() {
    let world = World::with(
        policy().scope("profile", "See who you are").registration(RegistrationRules::default()),
    );
    let own = world.own(&with(metadata(), "scope", "openid profile email"));
    assert_eq!(own.response["scope"], "read write admin profile");
    world.page(&ask(&own.id).set("scope", "read"));
    let exact = world.own(&with(metadata(), "scope", "profile"));
    assert!(
        world.authorize(&ask(&exact.id).set("scope", "read")).is_err(),
        "a scope without dropped tokens is a cap"
    );
}

/// Generates hostile texts, each with the part that no response may repeat.
fn hostile() -> impl Strategy<Value = String> {
    let credential = prop::sample::select(vec![
        "gac_SecretSecretSecret",
        "gat_SecretSecretSecret",
        "grt_SecretSecretSecret",
        "gct_SecretSecretSecret",
        "GAC_SecretSecretSecret",
        "g%61c_SecretSecretSecret",
    ]);
    let around = prop_oneof!["[ -~]{0,12}", "\\PC{0,12}", "[\"\\\\<>\r\n\0\u{202e}]{0,6}"];
    (around.clone(), prop::option::of(credential), around, 1..200_usize).prop_map(
        |(before, credential, after, times)| {
            let one = format!("{before}{}{after}", credential.unwrap_or_default());
            one.repeat(times)
        },
    )
}

/// RFC 6749 §5.2 bounds the characters, this crate bounds the length, and AUDIT-06 excludes
/// secrets.
#[test]
fn client_07_no_description_and_no_event_repeats_hostile_text() {
    let members = [
        "client_name",
        "client_uri",
        "scope",
        "grant_types",
        "response_types",
        "redirect_uris",
        "token_endpoint_auth_method",
        "token_endpoint_auth_methods_supported",
        "jwks_uri",
        "software_version",
    ];
    let lists =
        ["grant_types", "response_types", "redirect_uris", "token_endpoint_auth_methods_supported"];
    let refused = std::cell::Cell::new(0);
    check(
        &(prop::sample::select(members.to_vec()), hostile(), any::<bool>()),
        |(member, text, name)| {
            let world = World::open();
            let value = if lists.contains(&member) { json!([text]) } else { json!(text) };
            let requested = with(metadata(), member, value);
            let requested = if name {
                with(requested, "client_name", &*text)
            } else {
                without(requested, "tos_uri")
            };
            let reply = world.register(&requested);
            let event = world.events().pop().unwrap();
            let response = serde_json::to_string(&event).unwrap();
            prop_assert!(!response.contains("SecretSecret"), "{}", response);
            for text in event.note.iter().chain(&event.dropped) {
                prop_assert!(text.len() <= 260 && !text.contains(char::is_control), "{}", text);
            }
            if reply.status != 201 {
                refused.set(refused.get() + 1);
                prop_assert!(!reply.body.contains("SecretSecret"), "{}", reply.body);
                let described = body(&reply)["error_description"].as_str().unwrap().to_owned();
                prop_assert!(described.len() <= 1100, "{} bytes", described.len());
                prop_assert!(
                    described.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
                    "{}",
                    described
                );
            }
            Ok(())
        },
    );
    assert!(refused.get() > 50, "{} were refused", refused.get());
}
