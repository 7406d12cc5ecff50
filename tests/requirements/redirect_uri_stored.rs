//! Tests of REDIR-05: a dangerous redirect URI in an older record is not used.

use std::sync::Arc;

use grantcore::grant::Grant;
use grantcore::operation::{Loaded, Operation};
use grantcore::request::ConsentDecision;
use grantcore::store::{Stored, Version};
use grantcore::value::{RedirectRules, RedirectUriError};
use grantcore::{Account, Choice, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;

use RedirectUriError as E;

use crate::redirect_uri_registered::{DANGEROUS, assert_not_registered, build_under, spellings};
use crate::support::params::Params;
use crate::support::refused::{assert_page, refused};
use crate::support::{ALICE, CALLBACK, World, app, entropy};

/// Returns the record with this text in place of another, as an older version or another program
/// might have stored it.
fn stored_as<R: Serialize + DeserializeOwned>(record: &R, from: &str, to: &str) -> R {
    let text = serde_json::to_string(record).unwrap();
    let from = serde_json::to_string(from).unwrap();
    let to = serde_json::to_string(to).unwrap();
    assert!(text.contains(&from), "{text}");
    serde_json::from_str(&text.replace(&from, &to)).unwrap()
}

#[test]
fn redir_05_a_stored_dangerous_uri_leads_to_a_page() {
    for scheme in DANGEROUS {
        for spelling in spellings(scheme) {
            let world = World::new();
            let uri = format!("{spelling}:alert(1)");
            world.put(stored_as(&app(), CALLBACK, &uri));
            let asks = [
                Params::authorize().set("redirect_uri", &uri),
                Params::authorize().without("redirect_uri"),
            ];
            for ask in
                asks.iter().flat_map(|ask| [ask.clone(), ask.clone().without("code_challenge")])
            {
                assert_page(
                    &world,
                    &refused(&world, &ask),
                    400,
                    "invalid_request",
                    Reason::RedirectUriForbidden,
                );
            }
            assert_eq!(world.store.commits(), 0);
        }
    }
}

/// workers-oauth-provider#97: the list of schemes could be bypassed by letter case, white space and
/// control characters.
#[test]
fn ghsa_workers_97_scheme_in_any_case_or_with_control_characters() {
    for uri in ["JaVaScRiPt:alert(1)", "JAVASCRIPT://a.example/%0aalert(1)"] {
        assert_not_registered(uri, E::ForbiddenScheme);
    }
    for uri in [
        "\tjavascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "javascript\r:alert(1)",
        "\0data:x",
    ] {
        assert_not_registered(uri, E::Character);
        let world = World::new();
        world.put(stored_as(&app(), CALLBACK, uri));
        for ask in [
            Params::authorize().set("redirect_uri", uri),
            Params::authorize().without("redirect_uri"),
        ] {
            assert_page(
                &world,
                &refused(&world, &ask),
                400,
                "invalid_request",
                Reason::RedirectUriForbidden,
            );
        }
    }
    for uri in ["javascript%3Aalert(1)", "&#106;avascript:alert(1)"] {
        assert!(build_under(uri, &RedirectRules::default()).is_err(), "{uri}");
    }
}

/// better-auth, CVE-2026-67333: a stored `javascript:` URI was opened in the origin of the consent
/// page.
#[test]
fn cve_2026_67333_the_consent_page_does_not_open_a_stored_script() {
    let world = World::new();
    let script = "javascript:alert(1)";
    let ticket = world.page(&Params::authorize()).ticket();
    let stored = world.grants().remove(0);
    let grant: Grant = stored_as(&*stored.record, CALLBACK, script);
    let loaded = Loaded {
        grant: Some(Stored { record: Arc::new(grant), ..stored }),
        client: Some(Stored {
            record: Arc::new(stored_as(&app(), CALLBACK, script)),
            version: Version::FIRST,
        }),
        account: Some(Account::ACTIVE),
        ..Loaded::default()
    };
    for choice in [Choice::Allow, Choice::Deny] {
        let operation = ConsentDecision::new(&ticket, ALICE, choice).unwrap();
        let decision = operation.decide(&loaded, world.server.policy(), &world.moment(entropy(9)));
        assert!(decision.write().is_none());
        let refusal = decision.settle(grantcore::store::Commit::Done).unwrap().outcome.unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.location(world.server.policy())),
            (Reason::RedirectUriForbidden, None)
        );
    }
}

/// What a registration refuses is not used either if a record has it.
#[test]
fn redir_05_a_stored_uri_that_is_insecure_or_in_disguise_leads_to_a_page() {
    for uri in [
        "http://app.example/cb",
        "HTTP://app.example/cb",
        "http://127.0.0.1.app.example/cb",
        "https://app.example@evil.example/cb",
        "https://app.example\\@evil.example/cb",
    ] {
        let world = World::new();
        world.put(stored_as(&app(), CALLBACK, uri));
        let refusal = refused(&world, &Params::authorize().set("redirect_uri", uri));
        let reason = Reason::RedirectUriForbidden;
        assert_page(&world, &refusal, 400, "invalid_request", reason);
    }
}
