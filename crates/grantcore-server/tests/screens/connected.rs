//! The connected applications.

use super::*;
use crate::chromium::Driver;
use crate::screen::SMALLEST;

/// Renews the access of a public client.
async fn refresh(issuer: &str, client: &str, tokens: &Value) {
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    let answer = plain_client(false).post(format!("{issuer}/oauth/token")).form(&form).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_connections_of_one_app_have_different_names_and_are_disconnected_by_them() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    let apps = "/settings/connected-apps";

    // The empty list has the way on.
    alice.open(apps).await;
    alice.shows("No application is connected.").await;
    alice.shows("To connect one, give it the address of what it may use.").await;
    alice.shows(&format!("{issuer}/mcp")).await;

    let desktop = json!({ "client_name": "Note Taker", "redirect_uris": [LOOPBACK],
        "software_version": "2.1.3" });
    let desktop = register(issuer, desktop).await;
    let other = "http://127.0.0.1:6001/callback";
    let laptop = json!({ "client_name": "Note Taker", "redirect_uris": [other] });
    let laptop = register(issuer, laptop).await;
    connect(&alice, &desktop, "notes profile").await;
    alice.open(&request(issuer, &laptop, other, "notes")).await.press("Allow access").await;
    let tokens = redeem(issuer, &laptop, &sent(&alice).await).await;
    // The times of a record are whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    refresh(issuer, &laptop, &tokens).await;

    alice.resize(SMALLEST).await;
    alice.open(apps).await.fits().await;
    let page = alice.text().await;
    let does = "Read the notes on your note pad and add to them · See who you are on this server";
    for part in [
        "“Note Taker”",
        does,
        "Connected just now. It runs on a device of yours, at 127.0.0.1:51004. Version 2.1.3.",
        "It last renewed its access just now. It runs on a device of yours, at 127.0.0.1:6001.",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(&desktop) && !page.contains("Dormant"), "folded: {page}");
    alice.unfold().await;
    let details = alice.text().await;
    let resource = format!("your notes: {issuer}/mcp");
    for part in [&desktop, &laptop, &resource] {
        assert!(details.contains(part), "{part}: {details}");
    }

    // The buttons have names of their own, and the confirmation repeats which one it is.
    let names = "[...document.querySelectorAll('.entry .button')].map(own => own.ariaLabel)";
    let names = alice.value(names).await;
    let ours = |name: &Value| name.as_str().unwrap().contains("127.0.0.1:6001");
    assert_eq!(names.as_array().unwrap().iter().filter(|name| ours(name)).count(), 1, "{names}");
    let button = alice.client.find(fantoccini::Locator::Css("[aria-label*='6001']")).await;
    button.unwrap().click().await.unwrap();
    alice.shows("Disconnect “Note Taker”?").await;
    alice.shows("It runs on a device of yours, at 127.0.0.1:6001.").await;
    let title = alice.client.title().await.unwrap();
    assert!(title.starts_with("Disconnect “Note Taker”? – "), "{title}");
    alice.fits().await;
    let seen = [page, details, alice.text().await].concat();
    alice.press("Disconnect").await;
    alice.shows("“Note Taker” is disconnected, and no longer has access.").await;
    let left = alice.text().await;
    assert!(left.contains("51004") && !left.contains("6001"), "{left}");
    // The consent page names a live connection of the same client, and only of this user.
    for (client, redirect_uri, is_connected) in
        [(&desktop, LOOPBACK, true), (&laptop, other, false)]
    {
        alice.open(&request(issuer, client, redirect_uri, "notes")).await;
        let page = alice.text().await;
        assert_eq!(page.contains("where this application is listed since"), is_connected, "{page}");
    }
    let bob = driver.browser(issuer, "bob", false).await;
    bob.open(&request(issuer, &desktop, LOOPBACK, "notes")).await;
    let page = bob.text().await;
    assert!(
        page.contains("Signed in as bob.") && !page.contains("application is listed since"),
        "{page}"
    );
    bob.client.close().await.unwrap();
    for verb in ["Revoke", "revoke", "End "] {
        assert!(![&*seen, &*left].concat().contains(verb), "one verb: {verb} in {seen}");
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
