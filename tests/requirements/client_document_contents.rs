//! Tests of CLIENT-16: which responses are accepted as a client document.

use grantcore::request::FetchedDocument;
use grantcore::{AuthorizationStep, Reason};
use serde_json::{Value, json};

use crate::support::clients::{DOCUMENT, ask, document, fetched, with, without};
use crate::support::refused::assert_page;
use crate::support::{CALLBACK, World};

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
