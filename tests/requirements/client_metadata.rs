//! Tests of CLIENT-07 and -10: metadata that cannot be registered, and the rule that they
//! break.

use grantcore::Reason;
use grantcore::policy::{DocumentRules, RegistrationRules};
use serde_json::{Value, json};

use crate::client_described::unfit_members;
use crate::redirect_uri_registered::LOOPBACK;
use crate::support::clients::{DOCUMENT, ask, document, metadata, with, without};
use crate::support::refused::refused;
use crate::support::{CALLBACK, World, policy};

/// Returns each member with invalid values and the reason. The description names the member.
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
    vec![
        ("redirect_uris", not_texts(), Reason::MetadataRedirectUris),
        (
            "token_endpoint_auth_method",
            or(not_text(), &["private_key_jwt"]),
            Reason::MetadataAuthMethod,
        ),
        ("token_endpoint_auth_methods_supported", not_texts(), Reason::MetadataAuthMethod),
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
        (
            "jwks_uri",
            or(
                or(not_text(), &bad_pages()),
                &["http://169.254.169.254/latest/meta-data", "http://127.0.0.1/keys"],
            ),
            Reason::MetadataKeys,
        ),
        (
            "jwks",
            vec![json!("{}"), json!(1), json!([]), json!([{}]), json!(true)],
            Reason::MetadataKeys,
        ),
    ]
}

/// Values that are not the `https` URL of a page.
pub(crate) fn bad_pages() -> Vec<&'static str> {
    vec![
        "http://a.example/",
        "http://localhost:4200",
        "HTTPS://a.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "data:image/svg+xml;base64,PHN2Zz4=",
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
    ]
}

/// Methods that exist elsewhere, or in another spelling.
pub(crate) const METHODS: [&str; 6] = [
    "client_secret_jwt",
    "tls_client_auth",
    "None",
    "CLIENT_SECRET_BASIC",
    "client_secret_basic ",
    "x",
];

/// Grant types without the code flow (RFC 7591 §2.1).
pub(crate) const GRANTS: [&[&str]; 7] = [
    &[],
    &["refresh_token"],
    &["password"],
    &["implicit", "refresh_token"],
    &["Authorization_Code"],
    &["authorization_code "],
    &["urn:ietf:params:oauth:grant-type:device_code"],
];

/// Response types without `code`.
pub(crate) const RESPONSES: [&[&str]; 5] =
    [&["token"], &["code token"], &["id_token", "none"], &["Code"], &[""]];

fn many_tokens(n: usize) -> String {
    (0..n).map(|token| format!("t{token}")).collect::<Vec<_>>().join(" ")
}

pub(crate) fn to(uris: &[&str]) -> Value {
    with(metadata(), "redirect_uris", uris.to_vec())
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

/// Valid values close to the invalid ones.
#[test]
fn client_07_the_same_members_with_valid_values() {
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
fn client_07_keys_are_given_once_and_are_not_stored() {
    let world = World::open();
    let keys = json!({ "keys": [] });
    let uri = json!("https://a.example/keys");
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
        let response = world.registered(&with(
            with(metadata(), "jwks", jwks.clone()),
            "jwks_uri",
            jwks_uri.clone(),
        ));
        assert_eq!((response.get("jwks"), response.get("jwks_uri")), (None, None));
        assert!(
            !serde_json::to_string(&world.client(response["client_id"].as_str().unwrap()))
                .unwrap()
                .contains("a.example/keys")
        );
    }
}

#[test]
fn client_07_null_counts_as_absent() {
    let world = World::open();
    let unfit = unfit_members().into_iter().map(|(member, _)| member);
    for member in bad_members().into_iter().map(|(member, ..)| member).chain(unfit) {
        let null = with(metadata(), member, Value::Null);
        if member == "redirect_uris" {
            world.not_registered(&null, "invalid_redirect_uri", Reason::RedirectUrisMissing);
            continue;
        }
        let response = world.registered(&null);
        let absent = world.registered(&without(metadata(), member));
        let settled =
            |response: &Value| response.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(settled(&response), settled(&absent), "{member}");
        for same in ["token_endpoint_auth_method", "grant_types", "response_types", "scope"] {
            assert_eq!(response[same], absent[same], "{member}");
        }
    }
}

#[test]
fn client_07_an_empty_text_counts_as_absent() {
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
    let response = world.registered(&with(metadata(), "token_endpoint_auth_method", ""));
    assert_eq!(response["token_endpoint_auth_method"], "client_secret_basic");
}

/// Spring Authorization Server, CVE-2026-22752: scripts in URLs, internal addresses in `jwks_uri`
/// and any scope could be registered.
#[test]
fn cve_2026_22752_metadata_inject_no_script_no_address_and_no_scope() {
    let world =
        World::with(policy().registration(RegistrationRules::default()).unverified_scope("read"));
    for member in ["client_uri", "logo_uri", "tos_uri", "policy_uri"] {
        for script in
            ["javascript:alert(1)", "JavaScript://a.example/%0aalert(1)", "data:text/html,<script>"]
        {
            if member != "logo_uri" {
                let reason = Reason::MetadataDescription;
                let bad = with(metadata(), member, script);
                world.not_registered(&bad, "invalid_client_metadata", reason);
                continue;
            }
            let response = world.registered(&with(metadata(), member, script));
            let client = world.client(response["client_id"].as_str().unwrap());
            let kept = serde_json::to_string(&client).unwrap();
            assert!(response.get(member).is_none() && !kept.contains(script), "{kept}");
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
    assert_eq!(own.response["scope"], "read");
    assert_eq!(
        refused(&world, &ask(&own.id).set("scope", "admin")).reason(),
        Reason::ScopeForbidden
    );
}

#[test]
fn client_10_the_application_type_is_returned_and_restricts_nothing() {
    let world = World::open();
    for kind in [Some("native"), Some("web"), None] {
        let requested = with(to(LOOPBACK), "application_type", kind);
        let own = world.own(&requested);
        assert_eq!(own.response.get("application_type"), kind.map(|kind| json!(kind)).as_ref());
        assert_eq!(own.response["redirect_uris"], json!(LOOPBACK));
        world.page(&ask(&own.id).set("redirect_uri", "http://127.0.0.1:51004/cb"));
    }
}

#[test]
fn client_10_a_strict_server_has_no_web_application_on_loopback() {
    let rules = RegistrationRules::default().with_strict_application_type(true);
    let world = World::with(policy().registration(rules));
    let web = |uris: &[&str]| with(to(uris), "application_type", "web");
    for uri in LOOPBACK {
        world.not_registered(&web(&[uri]), "invalid_redirect_uri", Reason::RegisteredUriLoopback);
        let left = world.registered(&web(&[CALLBACK, uri]));
        assert_eq!(left["redirect_uris"], json!([CALLBACK]), "the other URI is registered");
        for uris in [&[*uri][..], &[CALLBACK, uri]] {
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

/// A document is written for every server, and may have loopback URIs whatever its application
/// type.
#[test]
fn client_10_strictness_is_for_those_who_register() {
    let rules = RegistrationRules::default().with_strict_application_type(true);
    let world =
        World::with(policy().registration(rules).client_documents(DocumentRules::default()));
    let web = with(
        with(document(), "application_type", "web"),
        "redirect_uris",
        vec![CALLBACK, "http://127.0.0.1/cb"],
    );
    assert!(!world.page_with(&ask(DOCUMENT), &web).loopback_only());
}
