//! Tests of CLIENT-01: the form of a registration.

use grantcore::{Authorization, ContentType, Reason, RequestParts};

use crate::support::clients::{metadata, posting};
use crate::support::{CALLBACK, World};

#[test]
fn client_01_only_post_is_allowed() {
    let world = World::open();
    let sent = metadata().to_string();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "POST ", ""] {
        let incoming = RequestParts { method, ..posting(sent.as_bytes()) };
        world.registration_refused(&incoming, 405, "invalid_request", Reason::MethodNotAllowed);
        assert_eq!(world.post_registration(&incoming).header("allow"), Some("POST"), "{method}");
    }
}

#[test]
fn client_01_the_body_is_one_json_object() {
    let world = World::open();
    let sent = metadata().to_string();
    let bodies = [
        "",
        "{",
        "null",
        "true",
        "1",
        "\"redirect_uris\"",
        "[]",
        "[[\"https://app.example/cb\"]]",
        "[{\"redirect_uris\":[\"https://app.example/cb\"]}]",
        "redirect_uris=https%3A%2F%2Fapp.example%2Fcb",
        "{redirect_uris:[\"https://app.example/cb\"]}",
        "{'redirect_uris':['https://app.example/cb']}",
        "{\"redirect_uris\":[\"https://app.example/cb\"],}",
        "{\"redirect_uris\":[\"https://app.example/cb\"]} {}",
        "\u{feff}{\"redirect_uris\":[\"https://app.example/cb\"]}",
        "{\"redirect_uris\":[\"https://app.example/cb\"],\"client_name\":\"\\ud800\"}",
    ];
    let not_text = b"{\"redirect_uris\":[\"https://app.example/cb\"],\"client_name\":\"\xFF\"}";
    let deep = format!("{{\"jwks\":{}", "[".repeat(8000));
    // An array with a value for each known member, by position.
    let in_order = format!("[[\"{CALLBACK}\"]{}]", ",null".repeat(21));
    let cut = [&sent[..sent.len() - 1], &deep, &in_order];
    for bytes in bodies.iter().chain(&cut).map(|body| body.as_bytes()).chain([not_text.as_slice()])
    {
        world.registration_refused(
            &posting(bytes),
            400,
            "invalid_client_metadata",
            Reason::MetadataNotJson,
        );
    }
    assert_eq!(
        world.register_bytes(format!(" \r\n\t{sent}\n").as_bytes(), Authorization::None).status,
        201
    );
}

/// With repeated members, two parsers could differ on the registered value.
#[test]
fn client_01_a_repeated_member_is_refused() {
    let world = World::open();
    for twice in [
        r#""redirect_uris":["https://app.example/cb"]"#,
        r#""redirect_uris":null"#,
        r#""redirect_\u0075ris":["https://evil.example/cb"]"#,
        r#""scope":"read","scope":"admin""#,
        r#""client_name":null,"client_name":"x""#,
        r#""token_endpoint_auth_method":"none","token_endpoint_auth_method":"none""#,
        r#""client_id":"a","client_id":"b""#,
    ] {
        let sent = format!(r#"{{"redirect_uris":["https://app.example/cb"],{twice}}}"#);
        world.registration_refused(
            &posting(sent.as_bytes()),
            400,
            "invalid_client_metadata",
            Reason::MetadataNotJson,
        );
    }
}

#[test]
fn client_01_the_content_type_is_json() {
    let world = World::open();
    let sent = metadata().to_string();
    let types: [Option<&[u8]>; 9] = [
        None,
        Some(b""),
        Some(b"text/plain"),
        Some(b"text/json"),
        Some(b"application/x-www-form-urlencoded"),
        Some(b"application/jsonp"),
        Some(b"application/jwk+json"),
        Some(b"application/json, text/plain"),
        Some(b"charset=utf-8; application/json"),
    ];
    for content_type in types {
        let content_type = content_type.into_iter().collect();
        let incoming = RequestParts { content_type, ..posting(sent.as_bytes()) };
        world.registration_refused(
            &incoming,
            400,
            "invalid_client_metadata",
            Reason::MetadataNotJson,
        );
    }
    for content_type in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json;charset=UTF-8",
        " application/json ",
    ] {
        let incoming = RequestParts {
            content_type: ContentType::One(content_type.as_bytes()),
            ..posting(sent.as_bytes())
        };
        assert_eq!(world.post_registration(&incoming).status, 201, "{content_type}");
    }
}
