//! Tests of the pages in a real browser, over real HTTP. For each way in which a connection can
//! stop working, a test causes it on a page, sees it as a client, finds it in the audit log by what
//! the user can quote, and repairs it.
//!
//! The tests need Chromium and its driver. Without them they are skipped with a message, unless
//! `GRANTCORE_REQUIRE_BROWSER` is set. Screenshots are saved in `browser/` under `tmp` of the
//! target directory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]
#![allow(clippy::print_stderr, reason = "a skipped test prints a message")]

#[path = "support/chromium.rs"]
mod chromium;
#[path = "support/screen.rs"]
mod screen;
#[path = "browser/step_up.rs"]
mod step_up;
mod support;

use std::time::Duration;

use chromium::{Application, Driver, Tokens};
use grantcore_server::Running;

/// Returns the current minute as users quote it to support.
fn minute() -> String {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now[..16].replace('T', " ")
}

async fn start(arguments: &[&str]) -> Running {
    Running::start(
        [&["test", "--listen", "127.0.0.1:0", "--database", "memory:"], arguments].concat(),
    )
    .await
    .unwrap()
}

#[expect(clippy::too_many_lines, reason = "one scenario from beginning to end")]
#[tokio::test(flavor = "multi_thread")]
async fn every_way_a_connection_stops_can_be_found_and_repaired_on_the_pages() {
    let Some(driver) = Driver::start() else { return };
    let server = start(&[]).await;
    let app = Application::start(server.issuer()).await;
    let alice = driver.browser(server.issuer(), "alice", false).await;
    let admin = driver.browser(server.issuer(), "admin", true).await;

    // The user ends the connection on the page. Support finds it. The user authorizes again.
    let tokens =
        app.redeem(&alice.allow(&app.request("/api", "profile"), Some("consent")).await).await;
    app.works(&tokens).await;
    alice.open("/settings/connected-apps").await.shot("connected").await;
    alice.unfold().await;
    alice.shows("Active").await;
    alice.press("Disconnect").await;
    alice.shows("Disconnect Demo application?").await;
    alice.shot("disconnect").await;
    alice.press("Disconnect").await;
    alice.shows("Demo application is disconnected, and no longer has access").await;
    alice.shows("No application is connected").await;
    alice.shot("ended").await;
    app.is_dead(&tokens).await;
    assert_eq!(app.refresh(&tokens).await.1["error"], "invalid_grant");
    assert_eq!(admin.find("invalid_token", "demo-public", &minute()).await, ["token_revoked"]);
    assert_eq!(admin.find("invalid_grant", "demo-public", &minute()).await, ["grant_revoked"]);
    admin.shot("log").await;
    admin.press("Whole flow").await;
    admin.arrives("the flow", |url| url.path().starts_with("/admin/flow/")).await;
    let flow = admin.text().await;
    let steps =
        ["consent_shown", "consent_approved", "code_redeemed", "grant_revoked", "token_revoked"];
    let mut rest = &*flow;
    for step in steps {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step} in order: {flow}")).1;
    }
    admin.shot("flow").await;

    // An administrator disconnects the applications, with a reason.
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    app.works(&tokens).await;
    admin.open("/admin/accounts/alice").await.shot("account").await;
    admin.decide("Disconnect all clients", "lost laptop", "Disconnect all").await;
    admin.shows("is disconnected from all clients").await;
    admin.shows("No client is connected").await;
    app.is_dead(&tokens).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .starts_with(&["token_revoked".to_owned()])
    );
    admin.open("/admin/log?subject=alice").await;
    admin.shows("account_grants_ended").await;
    admin.shows("by admin: lost laptop").await;

    // A client is suspended, and its suspension is lifted.
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    admin.open("/admin/clients").await.shot("clients").await;
    admin.press("Demo application").await;
    admin.decide("Suspend", "leaks its tokens", "Suspend").await;
    admin.shows("is suspended. It is refused").await;
    app.is_dead(&tokens).await;
    assert_eq!(app.refresh(&tokens).await.1["error"], "invalid_client");
    alice.open(&app.request("/api", "profile")).await.shot("unknown-client").await;
    alice.shows("unknown").await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .starts_with(&["client_deactivated".to_owned()])
    );
    admin.open("/admin/client?id=demo-public").await;
    admin.decide("Lift suspension", "", "Lift suspension").await;
    admin.shows("is not suspended any more").await;
    app.works(&tokens).await;

    // An account is suspended. After the suspension is lifted, the same token works again.
    admin.open("/admin/accounts").await.shot("accounts").await;
    admin.press("alice").await;
    admin.decide("Suspend", "asked for it", "Suspend").await;
    admin.shows("is suspended. Its connections").await;
    app.is_dead(&tokens).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .starts_with(&["account_suspended".to_owned()])
    );
    admin.open("/admin/accounts/alice").await;
    admin.decide("Lift suspension", "", "Lift suspension").await;
    admin.shows("is not suspended any more").await;
    app.works(&tokens).await;

    // A token for the other resource.
    let mcp = app.redeem(&alice.allow(&app.request("/mcp", "notes"), None).await).await;
    app.is_dead(&mcp).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .starts_with(&["audience_mismatch".to_owned()])
    );

    // A token without the scope, and the step-up authorization.
    let little = app.redeem(&alice.allow(&app.request("/api", "notes"), None).await).await;
    let called = app.call("/api", &little.access).await;
    assert_eq!((called.status, &*called.error), (403, "insufficient_scope"));
    assert!(called.challenge.contains("scope=\"profile\""), "{}", called.challenge);
    assert_eq!(
        admin.find("insufficient_scope", "demo-public", &minute()).await,
        ["scope_insufficient"]
    );
    let enough = app.redeem(&alice.allow(&app.request("/api", "notes profile"), None).await).await;
    app.works(&enough).await;

    for (path, name) in
        [("/", "home"), ("/admin", "admin"), ("/troubleshooting#pkce_missing", "troubleshooting")]
    {
        admin.open(path).await.shot(name).await;
    }
    alice.open("/admin").await.shot("not-for-alice").await;
    alice.shows("Not for you").await;
    alice
        .open("/oauth/authorize?client_id=demo-public&redirect_uri=https://x.example")
        .await
        .shot("problem")
        .await;
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refreshed_and_an_app_that_does_not_refresh_is_dormant() {
    let Some(driver) = Driver::start() else { return };
    let server = start(&["--access-lifetime", "2s"]).await;
    let app = Application::start(server.issuer()).await;
    let alice = driver.browser(server.issuer(), "alice", true).await;
    let admin = driver.browser(server.issuer(), "admin", false).await;
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    app.works(&tokens).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    app.is_dead(&tokens).await;
    assert_eq!(admin.find("invalid_token", "demo-public", &minute()).await, ["token_expired"]);
    admin.shot("log").await;
    alice.open("/settings/connected-apps").await.shot("dormant").await;
    alice.shows("Dormant").await;
    alice.open("/settings/connected-apps?active=1").await;
    alice.shows("No application is connected and in use").await;
    let (status, body) = app.refresh(&tokens).await;
    assert_eq!(status, 200, "{body}");
    let renewed = Tokens { access: body["access_token"].as_str().unwrap().into(), ..tokens };
    app.works(&renewed).await;
    alice.open("/settings/connected-apps?active=1").await;
    alice.unfold().await;
    alice.shows("Active").await;
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_top_up_the_same_token_works_again() {
    let Some(driver) = Driver::start() else { return };
    let server = start(&["--opening-balance", "2", "--low-balance", "2"]).await;
    let app = Application::start(server.issuer()).await;
    let alice = driver.browser(server.issuer(), "alice", false).await;
    let admin = driver.browser(server.issuer(), "admin", false).await;
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    for _ in 0..2 {
        app.works(&tokens).await;
    }
    let called = app.call("/api", &tokens.access).await;
    assert_eq!(
        (called.status, &*called.error, &*called.challenge),
        (402, "insufficient_balance", "")
    );
    assert_eq!(
        admin.find("insufficient_balance", "demo-public", &minute()).await,
        ["insufficient_balance"]
    );
    admin.open("/admin/accounts/alice").await.fill("by", "5").await;
    admin.press("Top up").await;
    admin.shows("the balance is topped up").await;
    admin.shot("topped-up").await;
    app.works(&tokens).await;
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}
