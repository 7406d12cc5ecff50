//! Tests of CLIENT-16 and -17: which responses are accepted as a client document, and the client
//! that the document describes.

use grantcore::client::{Authentication, Registration};
use grantcore::policy::DocumentRules;
use grantcore::request::FetchedDocument;
use grantcore::value::GrantTypes;
use grantcore::{AuthorizationStep, Choice, Reason};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, document, fetched, with, without};
use crate::support::params::Params;
use crate::support::refused::assert_page;
use crate::support::{CALLBACK, Granted, World, param, policy};

/// Asserts that a client with this document is refused with `invalid_client`.
#[track_caller]
pub(crate) fn not_served(world: &World, document: &Value, reason: Reason) {
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

#[track_caller]
fn not_believed(fetched: FetchedDocument<'_>, reason: Reason) {
    let world = World::open();
    let before = (world.store.commits(), world.store.inner.counts().clients);
    let refusal = world
        .authorize_with_document(&ask(DOCUMENT), Some(fetched))
        .expect_err("it is not believed");
    let problem = assert_page(&world, &refusal, 400, "invalid_client", reason);
    assert!(problem.detail.is_some_and(|part| !part.is_empty()), "the event names the part");
    assert_eq!((world.store.commits(), world.store.inner.counts().clients), before);
}

#[track_caller]
fn not_believed_json(document: &Value, reason: Reason) {
    not_believed(fetched(document.to_string().as_bytes()), reason);
}

/// Returns a world with the rules for trials on one machine.

#[test]
fn client_16_only_a_200_is_a_document() {
    let body = document().to_string();
    for status in [0, 100, 199, 201, 203, 204, 206, 301, 302, 304, 307, 400, 404, 410, 500, 503] {
        not_believed(
            FetchedDocument { status, ..fetched(body.as_bytes()) },
            Reason::DocumentInvalid,
        );
    }
    let world = World::open();
    let refusal =
        world.authorize_with_document(&ask(DOCUMENT), None).expect_err("nothing was fetched");
    assert_page(&world, &refusal, 400, "invalid_client", Reason::DocumentUnreachable);
    assert_eq!((world.store.commits(), world.client(DOCUMENT)), (0, None));
}

#[test]
fn client_16_only_a_json_content_type_is_accepted() {
    let body = document().to_string();
    for content_type in [
        "",
        "text/html",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json5",
        "text/x+json",
        "application/xml",
        "json",
        // Two headers, joined as a host joins them (RFC 9110 §5.3).
        "application/json, application/json",
        "application/json, text/html",
        "application/json;charset=utf-8, text/html",
        "application/json; x=\"\\\"\", text/html",
        "text/html, application/json",
    ] {
        let fetched = FetchedDocument {
            content_type: Some(content_type.as_bytes()),
            ..fetched(body.as_bytes())
        };
        not_believed(fetched, Reason::DocumentInvalid);
    }
    not_believed(
        FetchedDocument { content_type: None, ..fetched(body.as_bytes()) },
        Reason::DocumentInvalid,
    );
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        " application/json ; x=1",
        "application/foo+json; charset=utf-8",
        "application/json; profile=\"a, b\"",
        "application/json; profile=\"a\\\", b\"",
    ] {
        let fetched = FetchedDocument {
            content_type: Some(content_type.as_bytes()),
            ..fetched(body.as_bytes())
        };
        let step = World::open().authorize_with_document(&ask(DOCUMENT), Some(fetched));
        assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{content_type}: {step:?}");
    }
}

#[test]
fn client_16_one_object_with_each_member_once() {
    let good = document().to_string();
    for body in ["", " ", "null", "[]", "\"x\"", "1", "{", "{}x", "{'client_id':1}", "\u{feff}{}"] {
        not_believed(fetched(body.as_bytes()), Reason::DocumentInvalid);
    }
    // An array that a parser by position would accept.
    let mut array = vec![json!(null); 22];
    (array[0], array[5], array[16]) = (json!([CALLBACK]), json!("Notes Helper"), json!(DOCUMENT));
    let array = json!(array).to_string();
    for body in [
        array,
        format!("[{good}]"),
        format!("{good}{good}"),
        good.replace('}', ",}"),
        good.replace('{', "{//\n"),
    ] {
        not_believed(fetched(body.as_bytes()), Reason::DocumentInvalid);
    }
    for twice in [
        "\"client_id\":\"https://client.example/oauth/meta.json\"",
        "\"client_name\":null",
        "\"redirect\\u005furis\":[]",
    ] {
        not_believed(
            fetched(good.replacen('{', &format!("{{{twice},"), 1).as_bytes()),
            Reason::DocumentInvalid,
        );
    }
    not_believed(
        fetched(&[good.replace("Notes", "N").as_bytes(), b"\xff"].concat()),
        Reason::DocumentInvalid,
    );
}

#[test]
fn client_16_the_client_id_is_the_url_byte_for_byte() {
    for id in [
        "https://client.example/oauth/META.json",
        "https://Client.example/oauth/meta.json",
        "HTTPS://client.example/oauth/meta.json",
        "https://client.example/oauth/meta.json/",
        "https://client.example/oauth/meta.json?",
        "https://client.example:443/oauth/meta.json",
        "https://client.example/oauth/./meta.json",
        "https://client.example/oauth/met%61.json",
        "https://other.example/oauth/meta.json",
        " https://client.example/oauth/meta.json",
        "",
    ] {
        not_believed_json(&with(document(), "client_id", id), Reason::DocumentInvalid);
    }
    for id in [json!(null), json!([DOCUMENT]), json!(1), json!({ "id": DOCUMENT })] {
        not_believed_json(&with(document(), "client_id", id), Reason::DocumentInvalid);
    }
    not_believed_json(&without(document(), "client_id"), Reason::DocumentInvalid);
}

#[test]
fn client_16_at_most_5120_bytes() {
    let padded = |bytes: usize| {
        let body = document().to_string();
        let padding = " ".repeat(bytes - body.len());
        [body, padding].concat()
    };
    let world = World::open();
    let step =
        world.authorize_with_document(&ask(DOCUMENT), Some(fetched(padded(5_120).as_bytes())));
    assert!(matches!(step, Ok(AuthorizationStep::NeedsConsent(_))), "{step:?}");
    not_believed(fetched(padded(5_121).as_bytes()), Reason::DocumentInvalid);
    // A host reads no more than one byte beyond the limit. What is left of a larger document may be
    // no JSON, and is refused for its size.
    let larger = [" ".repeat(5_000), document().to_string()].concat();
    assert!(larger.len() > 5_121);
    for cut in [&larger.as_bytes()[..5_121], padded(5_121).as_bytes()] {
        let world = World::open();
        let refusal = world.authorize_with_document(&ask(DOCUMENT), Some(fetched(cut)));
        let detail = refusal.unwrap_err().problem(world.server.policy()).detail;
        assert_eq!(detail.as_deref(), Some("The document is over 5120 bytes."));
    }
    not_believed(fetched(&larger.as_bytes()[..5_121]), Reason::DocumentInvalid);
}

/// A comma behind an escaped backslash separates two media types.
#[test]
fn client_16_two_media_types_are_not_one() {
    let text = document().to_string();
    for (content_type, is_one) in [
        (r#"application/json; x="a,b""#, true),
        (r#"application/json; x="a\",b""#, true),
        (r#"application/json; x="a\\", text/html"#, false),
        (r#"application/json; x="a\\""#, true),
    ] {
        let rules = DocumentRules::default();
        let world = World::with(policy().client_documents(rules));
        let mut found = fetched(text.as_bytes());
        found.content_type = Some(content_type.as_bytes());
        let step = world.authorize_with_document(&ask(DOCUMENT), Some(found));
        assert_eq!(step.is_ok(), is_one, "{content_type}");
    }
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
