//! Errors and dead ends.

use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};

use super::*;
use crate::chromium::Driver;
use crate::screen::SMALLEST;

#[tokio::test(flavor = "multi_thread")]
async fn authz_22_an_error_is_explained_to_the_user_first_and_then_to_the_developer() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", false).await;
    let good = request(issuer, &client, LOOPBACK, "notes");
    let server_does_not_know = "This server does not know the application";
    for (bad, heading, block, onward) in [
        (
            request(issuer, &client, "https://evil.example/cb", "notes"),
            "This is a mistake of the application, not yours",
            vec!["invalid_request (HTTP 400)", "'https://evil.example/cb'", &*client],
            None,
        ),
        (
            good.replace("S256", "plain"),
            "This is a mistake of the application, not yours",
            vec!["invalid_request (HTTP 400)", "S256", "plain", &*client],
            Some("Return to 127.0.0.1:51004 with this error"),
        ),
        (
            request(issuer, "nobody", LOOPBACK, "notes"),
            server_does_not_know,
            vec!["invalid_client (HTTP 400)", "Client ID: nobody"],
            None,
        ),
    ] {
        alice.open(&bad).await;
        in_order(&alice.text().await, &[heading, "Nothing was shared", "For the developer"]);
        // One block, selected as a whole by a click.
        let copied = alice.text_of("pre").await;
        for part in block.iter().chain(&["Why: ", "What is right: ", "Reference: ", "Time: 20"]) {
            assert!(copied.contains(part), "{part}: {copied}");
        }
        let select = "getComputedStyle(document.querySelector('pre')).userSelect";
        assert_eq!(alice.value(select).await, "all");
        alice.resize(SMALLEST).await;
        alice.fits().await;
        match onward {
            None => assert!(!alice.text().await.contains("Return to"), "{bad}"),
            Some(button) => {
                alice.press(button).await;
                let answer = sent(&alice).await;
                assert_eq!(param(&answer, "error").as_deref(), Some("invalid_request"));
            }
        }
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// A page that was decided in another tab, and one that was opened as another user.
#[tokio::test(flavor = "multi_thread")]
async fn consent_05_a_stale_page_blames_nobody_and_has_the_way_on() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", true).await;
    alice.open(&request(issuer, &client, LOOPBACK, "notes")).await;
    let form = alice.value("document.querySelector('form').outerHTML").await;
    alice.press("Allow access").await;
    sent(&alice).await;
    alice.open("/").await;
    let again = format!("(document.querySelector('main').innerHTML = {form}, 0)");
    alice.value(&again).await;
    alice.press("Allow access").await;
    alice.shows("You have decided this already").await;
    let page = alice.text().await;
    assert!(!page.contains("mistake") && !page.contains("Nothing was shared"), "{page}");
    assert!(page.contains("consent_used") && page.contains(&client), "{page}");
    alice.press("Open the request again").await;
    alice.shows("wants access to your notes").await;
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rs_02_a_browser_gets_a_page_about_a_resource_and_a_program_is_challenged_as_before() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    let http = plain_client(false);
    for (path, what) in [("/mcp", "an MCP endpoint"), ("/api", "an API"), ("/mcp/", "an MCP")] {
        alice.client.goto(&format!("{issuer}{path}")).await.unwrap();
        let page = alice.text().await;
        let address = format!("{issuer}{}", path.trim_end_matches('/'));
        for part in ["This is an address for applications", what, &*address, "Home"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let ask = async |accept: &str| {
            let answer =
                http.get(format!("{issuer}{path}")).header(ACCEPT, accept).send().await.unwrap();
            let challenge = answer.headers()[WWW_AUTHENTICATE].clone();
            (answer.status().as_u16(), challenge, answer.text().await.unwrap())
        };
        let (status, challenge, body) = ask("application/json, text/event-stream").await;
        assert_eq!(status, 401);
        assert!(!body.contains('<'), "{body}");
        let (opened, same, page) = ask("text/html").await;
        assert_eq!((opened, same), (status, challenge));
        assert!(page.starts_with("<!doctype html>"), "{page}");
        // A token in the request is a program's, whatever it accepts.
        let answer = http
            .get(format!("{issuer}{path}"))
            .header(ACCEPT, "text/html")
            .bearer_auth("x")
            .send()
            .await
            .unwrap();
        assert!(!answer.text().await.unwrap().contains("<!doctype"));
    }
    let form = http.get(format!("{issuer}/oauth/consent")).send().await.unwrap();
    assert_eq!((form.status().as_u16(), &form.headers()["allow"]), (405, &"POST".parse().unwrap()));
    // An unknown address, and the address of the consent form.
    for (path, title) in
        [("/nothing", "There is no such page"), ("/oauth/consent", "There is nothing to decide")]
    {
        alice.client.goto(&format!("{issuer}{path}")).await.unwrap();
        alice.shows(title).await;
        alice.press("Connected apps").await;
        alice.arrives("the login", |url| url.path() == "/login").await;
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
