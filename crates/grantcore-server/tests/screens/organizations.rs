//! The choice of an organization, by a user who belongs to two.

use fantoccini::key::Key;
use grantcore_testing_clients::axe_core;

use super::*;
use crate::chromium::Driver;
use crate::screen::{SCREENS, SMALLEST};

/// A third scope, beside the two of the server.
const THIRD: &str = "(() => { const list = document.querySelector('.scopes'); \
    const own = list.lastElementChild.cloneNode(true); \
    own.querySelector('span').textContent = 'Delete notes from your note pad for ever'; \
    list.append(own); })()";
/// What a browser does that does not check forms by itself.
const UNCHECKED: &str =
    "document.querySelectorAll('[required]').forEach(own => own.required = false)";

#[tokio::test(flavor = "multi_thread")]
async fn host_01_the_organization_is_chosen_by_keyboard_and_shown_under_connected_apps() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let carol = driver.browser(issuer, "carol", false).await;
    let request = request(issuer, &client, LOOPBACK, "notes profile");
    carol.open(&request).await;
    let chosen = "document.querySelector('[name=organization]:checked')?.value ?? null";
    assert_eq!(carol.value(chosen).await, Value::Null, "nothing is preselected");

    // The browser says by itself that a choice is missing, and stays.
    carol.press("Allow access").await;
    let missing = "document.querySelector('[name=organization]').validity.valueMissing";
    assert_eq!(carol.value(missing).await, true);
    assert!(!carol.text().await.contains("Choose the organization"));
    // A browser that does not gets it from the server, in words. What was unticked stays so.
    carol.value("document.querySelector('[value=profile]').click()").await;
    carol.value(UNCHECKED).await;
    carol.press("Allow access").await;
    carol.shows("Choose the organization that the access is for.").await;
    assert_eq!(carol.value("document.activeElement.value").await, "acme", "the focus is there");
    if let Some(axe) = axe_core() {
        carol.is_accessible(&axe).await;
    }
    carol.shot("organization-missing").await;
    carol.key(Key::Down).await;
    assert_eq!(carol.value(chosen).await, "globex");
    carol.tab_to("[value=allow]").await;
    carol.key(Key::Enter).await;
    let tokens = redeem(issuer, &client, &sent(&carol).await).await;
    assert_eq!(tokens["scope"], "notes", "{tokens}");

    carol.open("/settings/connected-apps").await;
    carol.shows("For Globex. Connected just now").await;
    carol.resize(SMALLEST).await;
    carol.fits().await;
    carol.unfold().await;
    carol.fits().await;

    // Nobody has to choose to deny.
    carol.open(&request).await.press("Deny").await;
    let answer = sent(&carol).await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"), "{answer}");
    carol.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// With three scopes, both warnings and a live connection.
#[tokio::test(flavor = "multi_thread")]
async fn consent_12_both_buttons_are_in_sight_below_a_choice_of_organization() {
    let Some(driver) = Driver::start() else { return };
    let axe = axe_core();
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "The Name of an Application").await;
    let carol = driver.browser(issuer, "carol", false).await;
    let request = request(issuer, &client, LOOPBACK, "notes profile");
    carol.open(&request).await;
    carol.value("document.querySelector('[value=acme]').click()").await;
    carol.press("Allow access").await;
    redeem(issuer, &client, &sent(&carol).await).await;
    for dark in [false, true] {
        for screen in SCREENS.into_iter().chain([SMALLEST]) {
            carol.resize(screen).await;
            carol.media(dark, false).await;
            carol.open(&request).await;
            carol.value(THIRD).await;
            carol.shows("For which organization?").await;
            carol.shows("where this application is listed since").await;
            carol.fits().await;
            carol
                .shot(&format!("organization-{}-{}", screen.0, if dark { "d" } else { "l" }))
                .await;
            let bottom = carol.bottom(".actions button").await;
            if screen != SMALLEST {
                assert!(bottom <= f64::from(screen.1), "{screen:?}: the buttons end at {bottom}");
            }
            if let Some(axe) = &axe {
                carol.is_accessible(axe).await;
            }
        }
    }
    carol.client.close().await.unwrap();
    server.stop().await.unwrap();
}
