//! Tests of REDIR-16 and -17: how response parameters are added to a redirect URI.

use std::cell::Cell;

use grantcore::{Choice, Client, Reason, Refusal};
use proptest::prelude::*;

use crate::redirect_uri::{ask, registered};
use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{added, refused};
use crate::support::{CALLBACK, ISSUER, World, param};

#[test]
fn redir_16_response_parameters_are_added_to_the_query() {
    for (uri, begins) in [
        ("https://app.example/cb?x=1", "https://app.example/cb?x=1&"),
        ("https://app.example/cb", "https://app.example/cb?"),
        ("https://app.example/cb?", "https://app.example/cb?"),
        ("https://app.example/cb?x=1&", "https://app.example/cb?x=1&"),
        ("https://app.example/cb?x=a%26b+c&y", "https://app.example/cb?x=a%26b+c&y&"),
        ("https://app.example", "https://app.example?"),
        ("com.example.app:/cb", "com.example.app:/cb?"),
    ] {
        let world = registered(uri);
        let ticket = world.page(&ask(uri)).ticket();
        let approved = world.decide(&ticket, Choice::Allow).unwrap().into_location();
        assert!(approved.starts_with(&format!("{begins}code=gac_")), "{approved}");
        let wrong: Refusal = refused(&world, &ask(uri).without("code_challenge"));
        let error = wrong.location(world.server.policy()).unwrap();
        assert!(error.starts_with(&format!("{begins}error=invalid_request&")), "{error}");
        for (location, name) in [(&approved, "code"), (&error, "error")] {
            assert!(param(location, name).is_some());
            assert_eq!(
                (param(location, "state").as_deref(), param(location, "iss").as_deref()),
                (Some("xyz"), Some(ISSUER))
            );
        }
    }
}

#[test]
fn redir_17_nothing_can_be_injected_into_the_location() {
    let uris = prop::sample::select(vec![
        (CALLBACK, CALLBACK),
        ("https://app.example/cb?x=1&y=%0d%0a", "https://app.example/cb?x=1&y=%0d%0a"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("com.example.app:/cb", "com.example.app:/cb"),
    ]);
    let state = prop_oneof![
        "[\\x00-\\x7f]{1,40}",
        "\\PC{1,40}",
        "[\r\n\0 &=#?%+;]{1,20}",
        prop::collection::vec(any::<char>(), 1..40)
            .prop_map(|chars| chars.into_iter().collect::<String>())
    ];
    let outcomes = prop::sample::select(vec!["allowed", "denied", "refused"]);
    let seen = Cell::new(0);
    check(&(uris, state, outcomes), |((own, requested), state, outcome)| {
        let world = World::new();
        world.put(Client::public("app").redirect_uri(own).build().unwrap());
        let params = ask(requested).set("state", &state);
        let policy = world.server.policy();
        let decide = |choice| world.decide(&world.page(&params).ticket(), choice);
        let (location, code) = match outcome {
            "allowed" => (decide(Choice::Allow).unwrap().into_location(), None),
            "denied" => (
                decide(Choice::Deny).unwrap_err().location(policy).unwrap(),
                Some(("access_denied", Reason::AccessDenied)),
            ),
            _ => {
                let refusal = refused(&world, &params.clone().set("scope", "x"));
                (refusal.location(policy).unwrap(), Some(("invalid_scope", Reason::ScopeUnknown)))
            }
        };
        prop_assert!(location.bytes().all(|b| b.is_ascii_graphic()), "{location:?}");
        let mut found = added(&location, requested);
        let mut wanted = vec![("iss".to_owned(), ISSUER.to_owned()), ("state".to_owned(), state)];
        match code {
            None => wanted.push(("code".to_owned(), param(&location, "code").unwrap_or_default())),
            Some((code, reason)) => {
                wanted.push(("error".to_owned(), code.to_owned()));
                wanted.push(("error_description".to_owned(), reason.description().to_owned()));
                // The received value may follow the stable description.
                for (_, text) in found.iter_mut().filter(|(name, _)| name == "error_description") {
                    prop_assert!(text.starts_with(reason.description()), "{}", text);
                    text.truncate(reason.description().len());
                }
            }
        }
        wanted.sort();
        prop_assert_eq!(found, wanted);
        seen.set(seen.get() + 1);
        Ok(())
    });
    assert_eq!(seen.get(), 256);
}

/// A record is checked like a request, because it may be older than the rule or of another program.
#[test]
fn redir_17_a_stored_line_break_does_not_reach_the_location() {
    for uri in [
        "https://app.example/cb\r\nset-cookie: a=b",
        "https://app.example/cb\n",
        "https://app.example/c b",
        "https://app.example/\0",
    ] {
        let world = World::new();
        let record =
            serde_json::to_string(&Client::public("app").redirect_uri(CALLBACK).build().unwrap())
                .unwrap();
        let from = serde_json::to_string(CALLBACK).unwrap();
        let to = serde_json::to_string(uri).unwrap();
        world.put(serde_json::from_str(&record.replace(&from, &to)).unwrap());
        for params in [
            ask(uri),
            ask(uri).without("code_challenge"),
            Params::authorize().without("redirect_uri"),
        ] {
            let refusal = world.authorize(&params).map(|step| panic!("{step:?}")).unwrap_err();
            assert_eq!(refusal.location(world.server.policy()), None, "{uri:?}");
        }
    }
}
