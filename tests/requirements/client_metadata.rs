//! CLIENT-05, -07 and -10: what cannot be registered, and which rule it breaks.

use grantcore::{DocumentRules, Reason, RegistrationRules};
use serde_json::{Value, json};

use crate::redir_register::LOOPBACK;
use crate::support::clients::{DOCUMENT, ask, document, metadata, with, without};
use crate::support::refused::refused;
use crate::support::{CALLBACK, World, policy};

/// The members, what cannot stand there, and the rule that says so. The description names the
/// member.
pub(crate) fn bad_members() -> Vec<(&'static str, Vec<Value>, Reason)> {
    let not_text =
        || vec![json!(1), json!(true), json!([]), json!(["x"]), json!({}), json!({ "x": "y" })];
    let not_texts = || {
        vec![
            json!("x"),
            json!(""),
            json!(1),
            json!(false),
            json!({}),
            json!([1]),
            json!(["x", null]),
            json!([["x"]]),
        ]
    };
    let or = |mut more: Vec<Value>, texts: &[&str]| {
        more.extend(texts.iter().map(|text| json!(text)));
        more
    };
    let long = format!("https://a.example/{}", "x".repeat(2048));
    let pages = [
        "http://a.example/",
        "HTTPS://a.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//a.example/",
        "a.example",
        "https://",
        "https:///x",
        "https://bank.example@evil.example/",
        "https://user:pw@a.example/",
        "https:a.example",
        " https://a.example/",
        "https://a.example/\n",
        "https://a.example/\u{202e}",
        "https://a.example/\"><script>",
        &long,
    ];
    let page = || or(not_text(), &pages);
    vec![
        ("redirect_uris", not_texts(), Reason::MetadataRedirectUris),
        ("token_endpoint_auth_method", or(not_text(), &METHODS), Reason::MetadataAuthMethod),
        (
            "grant_types",
            not_texts().into_iter().chain(GRANTS.map(|list| json!(list))).collect(),
            Reason::MetadataGrantTypes,
        ),
        (
            "response_types",
            not_texts().into_iter().chain(RESPONSES.map(|list| json!(list))).collect(),
            Reason::MetadataResponseTypes,
        ),
        (
            "scope",
            or(not_text(), &["a\"b", "a\\b", "read\twrite", "é", &many_tokens(65)]),
            Reason::MetadataScope,
        ),
        ("client_name", not_text(), Reason::MetadataName),
        ("client_uri", page(), Reason::MetadataPage),
        ("logo_uri", page(), Reason::MetadataPage),
        ("tos_uri", page(), Reason::MetadataPage),
        ("policy_uri", page(), Reason::MetadataPage),
        ("contacts", not_texts(), Reason::MetadataContacts),
        (
            "jwks_uri",
            or(page(), &["http://169.254.169.254/latest/meta-data", "http://127.0.0.1/keys"]),
            Reason::MetadataKeys,
        ),
        (
            "jwks",
            vec![json!("{}"), json!(1), json!([]), json!([{}]), json!(true)],
            Reason::MetadataKeys,
        ),
        (
            "application_type",
            or(not_text(), &["desktop", "Web", "NATIVE", "web "]),
            Reason::MetadataApplicationType,
        ),
        ("software_id", not_text(), Reason::MetadataSoftware),
        ("software_version", not_text(), Reason::MetadataSoftware),
    ]
}

/// Methods that exist elsewhere, or in another spelling.
const METHODS: [&str; 7] = [
    "private_key_jwt",
    "client_secret_jwt",
    "tls_client_auth",
    "None",
    "CLIENT_SECRET_BASIC",
    "client_secret_basic ",
    "x",
];

/// Grant types that do not fit the code flow, or each other (RFC 7591 §2.1).
const GRANTS: [&[&str]; 9] = [
    &[],
    &["refresh_token"],
    &["password"],
    &["implicit"],
    &["authorization_code", "client_credentials"],
    &["authorization_code", "refresh_token", "password"],
    &["authorization_code", ""],
    &["Authorization_Code"],
    &["urn:ietf:params:oauth:grant-type:device_code"],
];

const RESPONSES: [&[&str]; 7] = [
    &[],
    &["token"],
    &["code", "token"],
    &["code token"],
    &["id_token"],
    &["Code"],
    &["code", "none"],
];

fn many_tokens(n: usize) -> String {
    (0..n).map(|token| format!("t{token}")).collect::<Vec<_>>().join(" ")
}

pub(crate) fn to(uris: &[&str]) -> Value {
    with(metadata(), "redirect_uris", uris.to_vec())
}

#[test]
fn client_05_grant_types_and_response_types_agree() {
    let world = World::open();
    for grants in GRANTS {
        world.not_registered(
            &with(metadata(), "grant_types", grants),
            "invalid_client_metadata",
            Reason::MetadataGrantTypes,
        );
    }
    for responses in RESPONSES {
        let bad = with(metadata(), "response_types", responses);
        world.not_registered(&bad, "invalid_client_metadata", Reason::MetadataResponseTypes);
    }
    let bad = with(
        with(metadata(), "grant_types", vec!["refresh_token"]),
        "response_types",
        vec!["code"],
    );
    world.not_registered(&bad, "invalid_client_metadata", Reason::MetadataGrantTypes);
    for (grants, told) in [
        (&["authorization_code"][..], &["authorization_code"][..]),
        (&["authorization_code", "authorization_code"], &["authorization_code"]),
        (&["refresh_token", "authorization_code"], &["authorization_code", "refresh_token"]),
    ] {
        let answer = world.registered(&with(
            with(metadata(), "grant_types", grants),
            "response_types",
            vec!["code", "code"],
        ));
        assert_eq!(
            (&answer["grant_types"], &answer["response_types"]),
            (&json!(told), &json!(["code"]))
        );
    }
}

#[test]
fn client_05_a_method_that_does_not_exist_is_refused() {
    let world = World::open();
    for method in METHODS {
        let bad = with(metadata(), "token_endpoint_auth_method", method);
        world.not_registered(&bad, "invalid_client_metadata", Reason::MetadataAuthMethod);
    }
}

#[test]
fn client_07_each_bad_member_is_named() {
    let world = World::open();
    for (member, values, reason) in bad_members() {
        assert!(reason.description().contains(member), "{reason:?} names {member}");
        for value in values {
            world.not_registered(
                &with(metadata(), member, value),
                "invalid_client_metadata",
                reason,
            );
        }
    }
    assert_eq!(world.events().iter().filter(|event| event.reason.is_none()).count(), 0);
}

/// What is right next to what is wrong.
#[test]
fn client_07_the_same_members_with_good_values() {
    let world = World::open();
    let longest = format!("https://a.example/{}", "x".repeat(2048 - 18));
    for page in
        ["https://a.example", "https://a.example/x?y#z", "https://[2001:db8::1]:8443/", &longest]
    {
        for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri"] {
            assert_eq!(world.registered(&with(metadata(), member, page))[member], page);
        }
    }
    assert_eq!(
        world.registered(&with(metadata(), "scope", many_tokens(64)))["scope"],
        "read write admin"
    );
    assert_eq!(
        world.registered(&with(metadata(), "client_name", "Größe 学习"))["client_name"],
        "Größe 学习"
    );
}

#[test]
fn client_07_keys_are_here_or_there_and_are_not_kept() {
    let world = World::open();
    let (keys, uri) = (json!({ "keys": [] }), json!("https://a.example/keys"));
    for both in [(&keys, &uri), (&json!({}), &uri)] {
        let bad = with(with(metadata(), "jwks", both.0.clone()), "jwks_uri", both.1.clone());
        world.not_registered(&bad, "invalid_client_metadata", Reason::MetadataKeys);
    }
    for (jwks, jwks_uri) in [
        (&keys, &Value::Null),
        (&Value::Null, &uri),
        (&keys, &json!("")),
        (&Value::Null, &json!("")),
    ] {
        let told = world.registered(&with(
            with(metadata(), "jwks", jwks.clone()),
            "jwks_uri",
            jwks_uri.clone(),
        ));
        assert_eq!((told.get("jwks"), told.get("jwks_uri")), (None, None));
        assert!(
            !serde_json::to_string(&world.client(told["client_id"].as_str().unwrap()))
                .unwrap()
                .contains("a.example/keys")
        );
    }
}

#[test]
fn client_07_null_is_as_good_as_absent() {
    let world = World::open();
    for (member, ..) in bad_members() {
        let null = with(metadata(), member, Value::Null);
        if member == "redirect_uris" {
            world.not_registered(&null, "invalid_redirect_uri", Reason::RedirectUrisMissing);
            continue;
        }
        let (told, absent) =
            (world.registered(&null), world.registered(&without(metadata(), member)));
        let settled = |told: &Value| told.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(settled(&told), settled(&absent), "{member}");
        for same in ["token_endpoint_auth_method", "grant_types", "response_types", "scope"] {
            assert_eq!(told[same], absent[same], "{member}");
        }
    }
}

#[test]
fn client_07_an_empty_text_is_as_good_as_absent() {
    let world = World::open();
    let texts = [
        "client_name",
        "client_uri",
        "logo_uri",
        "tos_uri",
        "policy_uri",
        "jwks_uri",
        "software_id",
        "software_version",
    ];
    for member in texts.into_iter().chain(["application_type"]) {
        assert_eq!(world.registered(&with(metadata(), member, "")).get(member), None, "{member}");
    }
    for scope in ["", " ", "   "] {
        assert_eq!(
            world.registered(&with(metadata(), "scope", scope))["scope"],
            "read write admin"
        );
    }
    let told = world.registered(&with(metadata(), "token_endpoint_auth_method", ""));
    assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
}

/// Spring Authorization Server, CVE-2026-22752: scripts in URLs, internal addresses in `jwks_uri`,
/// and any scope were registered.
#[test]
fn cve_2026_22752_metadata_bring_in_no_script_no_address_and_no_scope() {
    let world =
        World::with(policy().registration(RegistrationRules::open()).unverified_scope("read"));
    for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri"] {
        for script in
            ["javascript:alert(1)", "JavaScript://a.example/%0aalert(1)", "data:text/html,<script>"]
        {
            world.not_registered(
                &with(metadata(), member, script),
                "invalid_client_metadata",
                Reason::MetadataPage,
            );
        }
    }
    for address in [
        "http://169.254.169.254/",
        "http://localhost/keys",
        "file:///etc/passwd",
        "gopher://10.0.0.1/",
    ] {
        world.not_registered(
            &with(metadata(), "jwks_uri", address),
            "invalid_client_metadata",
            Reason::MetadataKeys,
        );
    }
    world.not_registered(
        &to(&["javascript:alert(1)"]),
        "invalid_redirect_uri",
        Reason::RegisteredUriForbidden,
    );
    let own = world.own(&with(metadata(), "scope", "read admin"));
    assert_eq!(own.told["scope"], "read");
    assert_eq!(
        refused(&world, &ask(&own.id).set("scope", "admin")).reason(),
        Reason::ScopeForbidden
    );
}

#[test]
fn client_10_the_application_type_is_told_and_forbids_nothing() {
    let world = World::open();
    for kind in [Some("native"), Some("web"), None] {
        let asked = with(to(LOOPBACK), "application_type", kind);
        let own = world.own(&asked);
        assert_eq!(own.told.get("application_type"), kind.map(|kind| json!(kind)).as_ref());
        assert_eq!(own.told["redirect_uris"], json!(LOOPBACK));
        world.page(&ask(&own.id).set("redirect_uri", "http://127.0.0.1:51004/cb"));
    }
}

#[test]
fn client_10_a_strict_server_has_no_web_application_on_loopback() {
    let mut rules = RegistrationRules::open();
    rules.strict_application_type = true;
    let world = World::with(policy().registration(rules));
    let web = |uris: &[&str]| with(to(uris), "application_type", "web");
    for uri in LOOPBACK {
        for uris in [&[*uri][..], &[CALLBACK, uri]] {
            world.not_registered(&web(uris), "invalid_redirect_uri", Reason::RegisteredUriLoopback);
            for kind in [json!("native"), Value::Null] {
                assert_eq!(
                    world.registered(&with(to(uris), "application_type", kind))["redirect_uris"],
                    json!(uris)
                );
            }
        }
    }
    world.not_registered(
        &web(&["https://127.0.0.1/cb"]),
        "invalid_redirect_uri",
        Reason::RegisteredUriLoopback,
    );
    assert_eq!(world.registered(&web(&[CALLBACK]))["application_type"], "web");
}

/// A document is written for every server, and for clients that listen on a user's device whatever
/// they call themselves.
#[test]
fn client_10_strictness_is_for_those_who_register() {
    let mut rules = RegistrationRules::open();
    rules.strict_application_type = true;
    let world =
        World::with(policy().registration(rules).client_documents(DocumentRules::default()));
    let web = with(
        with(document(), "application_type", "web"),
        "redirect_uris",
        vec![CALLBACK, "http://127.0.0.1/cb"],
    );
    assert!(!world.page_with(&ask(DOCUMENT), &web).loopback_only());
}
