//! Tests of HOST-18, HOST-19 and I72: what a request says of the login is handed over and no more.

use grantcore::value::RequestDigest;
use grantcore::{AuthorizationStep, ConsentPage, LoginPage, Reason};
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_redir, refused};
use crate::support::{ALICE, Granted, World};

/// The hints of a page.
type Seen = (Option<String>, Vec<String>, Vec<String>, Option<u64>);

fn on_login(world: &World, params: &Params) -> Seen {
    let Ok(AuthorizationStep::NeedsLogin(page)) = world.authorize_as(params, None) else {
        panic!("no login page")
    };
    of_login(&page)
}

fn of_login(page: &LoginPage) -> Seen {
    let texts = |values: &mut dyn Iterator<Item = &str>| values.map(str::to_owned).collect();
    (
        page.login_hint().map(str::to_owned),
        texts(&mut page.ui_locales()),
        texts(&mut page.acr_values()),
        page.max_age(),
    )
}

fn of_consent(page: &ConsentPage) -> Seen {
    let texts = |values: &mut dyn Iterator<Item = &str>| values.map(str::to_owned).collect();
    (
        page.login_hint().map(str::to_owned),
        texts(&mut page.ui_locales()),
        texts(&mut page.acr_values()),
        page.max_age(),
    )
}

#[test]
fn host_18_hints_are_handed_over_on_both_pages() {
    let world = World::new();
    let none: Seen = (None, vec![], vec![], None);
    assert_eq!(on_login(&world, &Params::authorize()), none);
    assert_eq!(of_consent(&world.page(&Params::authorize())), none);
    let params = Params::authorize()
        .set("login_hint", "alice@example.com")
        .set("ui_locales", "de-CH en")
        .set("acr_values", "urn:mace:incommon:iap:silver mfa");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let mut all: Seen = (
        Some("alice@example.com".to_owned()),
        texts(&["de-CH", "en"]),
        texts(&["urn:mace:incommon:iap:silver", "mfa"]),
        None,
    );
    assert_eq!(of_consent(&world.page(&params)), all);
    all.3 = Some(60);
    assert_eq!(on_login(&world, &params.set("max_age", "60")), all);
}

#[test]
fn host_18_what_breaks_a_bound_is_left_out() {
    let world = World::new();
    let hint = |value: &str| on_login(&world, &Params::authorize().set("login_hint", value)).0;
    assert_eq!(hint(&"é".repeat(128)), Some("é".repeat(128)));
    assert_eq!(hint(&"x".repeat(257)), None);
    for control in ["a\nb", "a\0", "\u{7f}", "a\u{85}b"] {
        assert_eq!(hint(control), None, "{control:?}");
    }
    let locales = |value: &str| on_login(&world, &Params::authorize().set("ui_locales", value)).1;
    assert_eq!(locales("de de_CH  fr-CA x\"y"), ["de", "fr-CA"]);
    let nine: Vec<String> = (0..9).map(|number| format!("l{number}")).collect();
    assert_eq!(locales(&nine.join(" ")), nine[..8]);
    assert_eq!(locales(&format!("{} {}", "a".repeat(35), "b".repeat(36))), ["a".repeat(35)]);
    let acr = |value: &str| on_login(&world, &Params::authorize().set("acr_values", value)).2;
    assert_eq!(acr("a \"b c\\d é e"), ["a", "e"]);
    assert_eq!(acr(&nine.join(" ")), nine[..8]);
    assert_eq!(acr(&format!("{} {}", "a".repeat(128), "b".repeat(129))), ["a".repeat(128)]);
}

#[test]
fn host_18_hints_are_in_no_event_and_no_debug_text() {
    let world = World::new();
    let params = Params::authorize()
        .set("login_hint", "canary-hint")
        .set("ui_locales", "canary-locale")
        .set("acr_values", "canary-acr");
    let login = format!("{:?}", world.authorize_as(&params, None).unwrap());
    let page = world.page(&params);
    let consent = format!("{page:?}");
    let code = crate::support::clients::code_in(
        &world.decide(&page.ticket(), grantcore::Choice::Allow).unwrap().into_location(),
    );
    Granted::of(&world.token(&Params::redeem(&code)));
    drop(refused(&world, &params.set("scope", "x")));
    let events = serde_json::to_string(&world.events()).unwrap();
    for text in [login, consent, events, format!("{:?}", world.events())] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn host_19_each_comes_once() {
    let world = World::new();
    for name in ["prompt", "login_hint", "max_age", "acr_values", "ui_locales"] {
        for (first, second) in [("1", "1"), ("1", "2")] {
            let params = Params::authorize().set(name, first).and(name, second);
            let refusal = refused(&world, &params);
            assert_redir(&world, &refusal, "invalid_request", Reason::ParameterRepeated);
            assert!(refusal.detail().is_some_and(|detail| detail.contains(name)), "{name}");
        }
        // An empty one counts as absent.
        let params = Params::authorize().set(name, "").and(name, "");
        assert!(matches!(world.authorize(&params), Ok(AuthorizationStep::NeedsConsent(_))));
    }
    assert!(world.reason().is_none());
}

/// The digest that a sign-in is for depends on them as on all other parameters.
#[test]
fn host_24_the_digest_depends_on_the_hints() {
    let world = World::new();
    let digest = |params: &Params| -> RequestDigest {
        match world.authorize_as(params, None) {
            Ok(AuthorizationStep::NeedsLogin(page)) => page.request(),
            other => panic!("{other:?}"),
        }
    };
    let plain = Params::authorize();
    let mut seen = vec![digest(&plain)];
    for name in ["login_hint", "max_age", "acr_values", "ui_locales"] {
        let own = digest(&plain.clone().set(name, "1"));
        assert!(!seen.contains(&own), "{name}");
        seen.push(own);
    }
}

/// Hints and prompts change neither client, redirect URI, scope, resource nor challenge, and a
/// record keeps none of them.
#[test]
fn i72_hints_change_nothing_of_the_grant() {
    const HINTS: [&str; 5] = ["prompt", "login_hint", "acr_values", "ui_locales", "max_age"];
    let values =
        proptest::collection::vec((proptest::sample::select(&HINTS[..]), ".{0,300}"), 0..4);
    let grant = |world: &World| {
        let record = serde_json::to_value(&*world.grants()[0].record).unwrap();
        let page = record["phase"]["consent_pending"].clone();
        (record["terms"].clone(), page["code_challenge"].clone(), record.to_string().len())
    };
    let plain = World::new();
    plain.page(&Params::authorize());
    let expected = grant(&plain);
    check(&values, |values| {
        let world = World::new();
        let params = values
            .iter()
            .fold(Params::authorize(), |params, (name, value)| params.set(name, value));
        match world.authorize_as(&params, Some(ALICE)) {
            Ok(AuthorizationStep::NeedsConsent(_)) => prop_assert_eq!(&grant(&world), &expected),
            Ok(AuthorizationStep::NeedsLogin(page)) => {
                let (hint, locales, acr, _) = of_login(&page);
                prop_assert!(hint.is_none_or(|hint| hint.len() <= 256));
                prop_assert!(locales.len() <= 8 && acr.len() <= 8);
                prop_assert_eq!(page.client_id(), "app");
                prop_assert_eq!(page.redirect_host(), "app.example");
            }
            Ok(step) => prop_assert!(false, "{:?}", step),
            Err(refusal) => prop_assert!(refusal.reply(world.server.policy()).status < 500),
        }
        Ok(())
    });
}
