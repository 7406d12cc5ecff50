//! Every page is checked with axe-core, in both themes, on the smallest and on a usual screen. In
//! forced colours it must fit: axe-core sees the same elements there, and no colours of ours.

use grantcore_testing_clients::axe_core;

use super::*;
use crate::chromium::Driver;
use crate::screen::SMALLEST;

/// What a page is called in a screenshot, and its address.
type Named<'a> = (&'a str, &'a str);

async fn check(browser: &Browser, axe: &str, pages: &[Named<'_>]) {
    for (name, path) in pages {
        browser.client.goto(&format!("{}{path}", browser.issuer)).await.unwrap();
        browser.unfold().await;
        browser.client.execute(axe, Vec::new()).await.unwrap();
        for (screen, dark, forced) in
            [((1280, 800), false, false), (SMALLEST, true, false), (SMALLEST, false, true)]
        {
            browser.resize(screen).await;
            browser.media(dark, forced).await;
            browser.fits().await;
            let kind = if forced { "forced" } else { "axe" };
            browser.shot(&format!("{kind}-{name}-{}", screen.0)).await;
            if !forced {
                browser.has_no_violation().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_an_axe_violation_and_each_fits_320_pixels() {
    let Some(axe) = axe_core() else { return };
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, &"Long names of applications ".repeat(4)).await;
    let asks = request(issuer, &client, LOOPBACK, "notes profile");
    let alice = driver.browser(issuer, "alice", false).await;
    let apps = "/settings/connected-apps";

    let strange = [
        ("home", "/"),
        ("login", "/login"),
        ("login-for", &*asks),
        ("mcp", "/mcp"),
        ("api", "/api"),
        ("missing", "/nothing"),
        ("gone", "/oauth/continue?request=x"),
        ("no-decision", "/oauth/consent"),
        ("troubleshooting", "/troubleshooting"),
    ];
    check(&alice, &axe, &strange).await;
    alice.open("/login").await;
    alice.open(apps).await;
    check(&alice, &axe, &[("empty", apps)]).await;
    connect(&alice, &client, "notes profile").await;
    connect(&alice, "demo-public", "notes").await;
    alice.open(apps).await;
    let confirm = alice.value("document.querySelector('.entry .button').pathname").await;
    let refused = request(issuer, &client, LOOPBACK, "notes").replace("S256", "plain");
    let signed_in = [
        ("home", "/"),
        ("consent", &*asks),
        ("consent-verified", &request(issuer, "demo-public", LOOPBACK, "notes")),
        ("connected", apps),
        ("disconnected", "/settings/connected-apps?ended=1&active=1"),
        ("confirm", confirm.as_str().unwrap()),
        ("confirm-all", "/settings/connected-apps/disconnect-all?client_id=demo-public"),
        ("unknown-connection", "/settings/connected-apps/x/disconnect"),
        ("problem", &*refused),
        ("problem-client", "/oauth/authorize?client_id=nobody"),
        ("not-for-you", "/admin"),
    ];
    check(&alice, &axe, &signed_in).await;

    // After a failed sign-in, and the choice of an account.
    let bob = driver.browser(issuer, "bob", true).await;
    bob.client.goto(&format!("{issuer}{asks}")).await.unwrap();
    bob.fill("username", "bob").await;
    bob.fill("password", "wrong").await;
    bob.press("Sign in").await;
    bob.shows("do not match").await;
    bob.is_accessible(&axe).await;
    bob.fill("password", "bob").await;
    bob.press("Sign in").await;
    bob.shows("wants access").await;
    bob.press("Use another account").await;
    bob.shows("Continue as bob").await;
    bob.is_accessible(&axe).await;

    for browser in [alice, bob] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_the_administration_has_an_axe_violation_and_each_fits_320_pixels() {
    let Some(axe) = axe_core() else { return };
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, &"Long names of applications ".repeat(4)).await;
    let alice = driver.browser(issuer, "alice", false).await;
    connect(&alice, &client, "notes profile").await;
    connect(&alice, "demo-public", "notes").await;
    let refused = request(issuer, &client, LOOPBACK, "notes").replace("S256", "plain");
    alice.open(&refused).await;
    alice.client.close().await.unwrap();

    let admin = driver.browser(issuer, "admin", false).await;
    admin.open("/admin").await;
    admin.open("/admin/log?subject=alice").await;
    let flow = admin.value("document.querySelector('.cards .last a').pathname").await;
    let pages = [
        ("admin", "/admin"),
        ("admin-clients", "/admin/clients"),
        ("admin-no-client", "/admin/clients?q=nothing"),
        ("admin-client", &*format!("/admin/client?id={client}&done=lift-client")),
        ("admin-client-own", "/admin/client?id=demo-confidential"),
        ("admin-gone", "/admin/client?id=nobody"),
        ("admin-new", "/admin/clients/new"),
        ("admin-accounts", "/admin/accounts"),
        ("admin-account", "/admin/accounts/alice?done=top-up"),
        ("admin-account-empty", "/admin/accounts/bob"),
        ("admin-ask", "/admin/confirm?act=disconnect-account&subject=alice"),
        ("admin-lift", "/admin/confirm?act=rotate-secret&client_id=demo-confidential"),
        ("admin-oneself", "/admin/confirm?act=suspend-account&subject=admin"),
        ("admin-log", "/admin/log?subject=alice"),
        ("admin-refusals", "/admin/log?refusals=1"),
        ("admin-bad-time", "/admin/log?at=noon"),
        ("admin-nothing", "/admin/log?subject=nobody"),
        ("admin-flow", flow.as_str().unwrap()),
        ("admin-no-flow", "/admin/flow/x"),
        ("troubleshooting-found", "/troubleshooting?q=pkce"),
        ("troubleshooting-nothing", "/troubleshooting?q=nothing+at+all"),
    ];
    check(&admin, &axe, &pages).await;
    // What only a form shows: a wrong field, a missing reason, a secret.
    admin.open("/admin/clients/new").await.press("Add client").await;
    admin.shows("Write an ID.").await;
    admin.is_accessible(&axe).await;
    admin.fill("id", "wiki").await;
    admin.fill("redirect_uris", "https://wiki.example/cb").await;
    admin.value("document.querySelector('[value=client_secret_post]').checked = true").await;
    admin.press("Add client").await;
    admin.shows("Copy the secret now.").await;
    admin.is_accessible(&axe).await;
    admin.press("Go to the client").await;
    admin.shows("Suspend").await;
    admin.press("Suspend").await;
    admin.shows("It is kept in the audit log").await;
    admin.press("Suspend").await;
    admin.shows("Write a reason.").await;
    admin.is_accessible(&axe).await;
    admin.client.close().await.unwrap();
    server.stop().await.unwrap();
}
