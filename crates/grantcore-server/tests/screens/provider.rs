//! The sign-in with an identity provider.

use grantcore_testing_clients::axe_core;
use grantcore_testing_provider::{Algorithm, Provider};

use super::support::provider::EVERYBODY;
use super::*;
use crate::chromium::Driver;
use crate::screen::SMALLEST;

/// From the application to the provider and back, with the provider's refusals on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_provider_walks_from_the_application_to_the_consent_page_and_out() {
    let Some(driver) = Driver::start() else { return };
    let axe = axe_core();
    let provider = Provider::start(Algorithm::P256).await;
    provider.require_approval();
    provider.set_claims(json!({ "email": "alice@example.com", "email_verified": true }));
    let server = support::provider::start(&provider, EVERYBODY).await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", false).await;
    let look = async |name: &str| {
        alice.resize(SMALLEST).await;
        alice.fits().await;
        alice.shot(name).await;
        if let Some(axe) = &axe {
            alice.is_accessible(axe).await;
        }
    };

    // The page names the application, and its button can be reached by the keyboard.
    let asks = request(issuer, &client, LOOPBACK, "notes");
    alice.client.goto(&format!("{issuer}{asks}")).await.unwrap();
    in_order(&alice.text().await, &["Sign in", "Note Taker", "asks", "Continue with Example ID"]);
    assert!(!alice.text().await.contains("Password"));
    look("provider-login").await;
    alice.tab_to("button.primary").await;
    alice.press("Continue with Example ID").await;
    alice.shows("The provider").await;
    alice.press("Cancel").await;
    alice.shows("You did not sign in at Example ID").await;
    look("provider-cancelled").await;
    alice.press("Continue with Example ID").await;
    alice.shows("Approve").await;
    alice.press("Approve").await;
    alice.shows("wants access").await;
    in_order(
        &alice.text().await,
        &["Note Taker", "Signed in as alice@example.com. Use another account"],
    );
    alice.press("Allow access").await;
    let tokens = redeem(issuer, &client, &sent(&alice).await).await;
    assert!(tokens["access_token"].is_string(), "{tokens}");

    // An answer that cannot be trusted is explained, and leads on.
    provider.set_fault(grantcore_testing_provider::Fault::WrongNonce);
    alice.client.goto(&format!("{issuer}{asks}&prompt=select_account")).await.unwrap();
    alice.shows("Continue as alice@example.com").await;
    look("provider-choice").await;
    alice.press("Continue with Example ID").await;
    alice.shows("Approve").await;
    alice.press("Approve").await;
    alice.shows("You are not signed in").await;
    look("provider-refused").await;
    provider.clear_faults();
    alice.press("Try again").await;
    alice.shows("Continue with Example ID").await;

    alice.client.goto(&format!("{issuer}/")).await.unwrap();
    alice.shows("You are signed in as alice@example.com").await;
    alice.press("Sign out").await;
    alice.shows("You may still be signed in at Example ID").await;
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
