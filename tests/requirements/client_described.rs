//! Tests of CLIENT-07: the members that describe a client to people.

use grantcore::Reason;
use grantcore::event::EventKind;
use serde_json::{Value, json};

use crate::client_metadata::bad_pages;
use crate::support::World;
use crate::support::clients::{DOCUMENT, ask, document, managed, metadata, with, without};

/// Returns the descriptive members with values that refuse a registration.
fn refused_members() -> Vec<(&'static str, Vec<Value>)> {
    let not_text =
        || vec![json!(1), json!(2.1), json!(true), json!([]), json!(["x"]), json!({ "x": "y" })];
    let long = format!("https://a.example/{}", "x".repeat(2048));
    let pages = || bad_pages().into_iter().chain([&*long]).map(|page| json!(page));
    let no_page = || not_text().into_iter().chain(pages()).collect();
    let is_http = |page: &Value| page.as_str().is_some_and(|page| page.starts_with("http:"));
    vec![
        ("client_name", not_text()),
        ("client_uri", not_text().into_iter().chain(pages().filter(|own| !is_http(own))).collect()),
        ("logo_uri", not_text()),
        ("tos_uri", no_page()),
        ("policy_uri", no_page()),
        (
            "contacts",
            vec![json!("a@a.example"), json!(1), json!({}), json!([1]), json!(["x", null])],
        ),
        ("application_type", not_text()),
        ("software_id", not_text()),
        ("software_version", not_text()),
    ]
}

/// Returns the descriptive members with values that are dropped.
pub(crate) fn unfit_members() -> Vec<(&'static str, Vec<Value>)> {
    let pages = || bad_pages().into_iter().map(|page| json!(page));
    let types = ["desktop", "Web", "NATIVE", "web "].map(|kind| json!(kind));
    vec![
        ("client_uri", vec![json!("http://localhost:4200"), json!("http://a.example/")]),
        ("logo_uri", pages().collect()),
        ("application_type", types.into()),
    ]
}

#[test]
fn client_07_a_descriptive_member_of_another_type_is_refused() {
    let world = World::open();
    let reason = Reason::MetadataDescription;
    for (member, values) in refused_members() {
        assert!(reason.description().contains(member), "{member}");
        for value in values {
            let bad = with(metadata(), member, value.clone());
            world.not_registered(&bad, "invalid_client_metadata", reason);
            let (managed, own) = managed(&metadata());
            managed.not_managed("PUT", &own, &own.update(bad), "invalid_client_metadata", reason);
            // The author of a document does not hear of it.
            if member != "client_name" {
                let world = World::open();
                world.page_with(&ask(DOCUMENT), &with(document(), member, value));
                assert_eq!(world.events().pop().unwrap().dropped, [member.into()]);
            }
        }
    }
    assert_eq!(world.events().iter().filter(|event| event.reason.is_none()).count(), 0);
}

/// F15 and similar: an invalid logo does not cause a refusal. A dropped member is not returned and
/// not stored, and the event names it.
#[test]
fn client_07_an_invalid_descriptive_member_is_dropped() {
    for (member, values) in unfit_members() {
        for value in values {
            let world = World::open();
            let response = world.registered(&with(metadata(), member, value.clone()));
            let absent = World::open().registered(&without(metadata(), member));
            let members = |response: &Value| -> Vec<String> {
                response.as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(members(&response), members(&absent), "{member}: {value}");
            let event = world.events().pop().unwrap();
            assert_eq!(event.kind, EventKind::ClientRegistered);
            assert_eq!(event.dropped, [member.into()]);
        }
    }
}

#[test]
fn client_07_an_update_and_a_document_drop_it_too() {
    for (member, values) in unfit_members() {
        let (world, own) = managed(&metadata());
        let response = world.updated(&own, with(metadata(), member, values[0].clone()));
        assert_eq!(response.get(member), None);
        let event = world.events().pop().unwrap();
        assert_eq!((event.note, event.dropped), (None, vec![member.into()]));
        let world = World::open();
        world.page_with(&ask(DOCUMENT), &with(document(), member, values[0].clone()));
        assert_eq!(world.events().pop().unwrap().dropped, [member.into()]);
    }
}
