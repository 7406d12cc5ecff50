//! The way to a decision: the login page and the consent page.

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;

use super::*;
use crate::chromium::Driver;
use crate::screen::{SCREENS, SMALLEST};
use crate::support::commands::{settings, with_file};

/// A third scope, beside the two of the server.
const THIRD: &str = "(() => { const list = document.querySelector('.scopes'); \
    const own = list.lastElementChild.cloneNode(true); \
    own.querySelector('span').textContent = 'Delete notes from your note pad for ever'; \
    list.append(own); })()";

#[tokio::test(flavor = "multi_thread")]
async fn consent_12_the_page_is_in_the_order_in_which_people_read() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let metadata = json!({
        "client_name": "Note Taker",
        "redirect_uris": [LOOPBACK],
        "client_uri": "https://notes.example/home",
        "policy_uri": "https://notes.example/privacy",
    });
    let client = register(issuer, metadata).await;
    let alice = driver.browser(issuer, "alice", false).await;
    alice.open(&request(issuer, &client, LOOPBACK, "notes profile")).await;
    let folded = alice.text().await;
    let host = issuer.strip_prefix("http://").unwrap();
    in_order(
        &folded,
        &[
            host,
            "“Note Taker” wants access to your notes",
            "Signed in as alice. Use another account",
            "Unverified: registered itself just now, nobody has checked its name.",
            "Runs on this device: any program on it could use this name.",
            "Read the notes on your note pad and add to them",
            "See who you are on this server",
            "Nothing ticked means Deny.",
            "You will be sent to 127.0.0.1:51004, on this device.",
            "The access lasts until ",
            ", or until it is unused for 30 days.",
            "Connected apps",
            "Deny",
            "Allow access",
            "Details of this request",
        ],
    );
    assert!(!folded.contains("application is listed since"), "{folded}");
    let title = alice.client.title().await.unwrap();
    assert!(title.starts_with("“Note Taker” wants access – "), "{title}");
    // Both warnings have one colour and one size.
    let styles = "[...document.querySelectorAll('.warning strong')].map(own => { \
        const style = getComputedStyle(own); return style.color + style.fontSize; })";
    let styles = alice.value(styles).await;
    assert!(styles[0].is_string() && styles[0] == styles[1], "{styles}");

    let resource = format!("your notes: {issuer}/mcp");
    let rest =
        [&*client, "https://notes.example/home", "https://notes.example/privacy", &*resource];
    for part in rest.iter().chain(&["1 hour", "This page is valid until"]) {
        assert!(!folded.contains(part), "{part} is folded: {folded}");
    }
    alice.tab_to("summary").await;
    alice.key(Key::Enter).await;
    for part in rest.iter().chain(&["1 hour", "This page is valid until", "Registered itself 20"]) {
        alice.shows(part).await;
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// With three scopes, both warnings, a live connection and the longest name.
#[tokio::test(flavor = "multi_thread")]
async fn consent_12_both_buttons_are_in_sight_on_a_telephone_and_on_a_laptop() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, &"The Longest Name of an Application ".repeat(3)).await;
    let alice = driver.browser(issuer, "alice", false).await;
    connect(&alice, &client, "notes").await;
    for dark in [false, true] {
        for screen in SCREENS.into_iter().chain([(360, 740), SMALLEST]) {
            alice.resize(screen).await;
            alice.media(dark, false).await;
            alice.open(&request(issuer, &client, LOOPBACK, "notes profile")).await;
            alice.value(THIRD).await;
            alice.shows("where this application is listed since").await;
            alice.fits().await;
            alice.shot(&format!("consent-{}-{}", screen.0, if dark { "d" } else { "l" })).await;
            let height = "Math.max(...[...document.querySelectorAll('.actions button')]\
                .map(own => own.getBoundingClientRect().height))";
            let height = alice.value(height).await.as_f64().unwrap();
            assert!(height < 56.0, "{screen:?}: a label is broken into lines: {height}");
            let bottom = alice.bottom(".actions button").await;
            if SCREENS.contains(&screen) {
                assert!(bottom <= f64::from(screen.1), "{screen:?}: the buttons end at {bottom}");
            }
        }
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// The whole flow with the keyboard alone: sign in, untick a scope, allow.
#[tokio::test(flavor = "multi_thread")]
async fn consent_11_a_tick_grants_and_the_keyboard_is_enough() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", true).await;
    let request = request(issuer, &client, LOOPBACK, "notes profile");

    // The login page names the application. After a failure the focus is on the password.
    alice.client.goto(&format!("{issuer}{request}")).await.unwrap();
    alice.shows("“Note Taker” asks for access. Sign in to decide.").await;
    let typed = async |text: &str| {
        alice.client.active_element().await.unwrap().send_keys(text).await.unwrap();
    };
    let focus = async || alice.value("document.activeElement.name").await;
    assert_eq!(focus().await, "username");
    typed("alice").await;
    alice.key(Key::Tab).await;
    typed("wrong").await;
    alice.key(Key::Enter).await;
    alice.shows("do not match").await;
    alice.shows("“Note Taker” asks for access.").await;
    assert_eq!(focus().await, "password");
    typed("alice").await;
    alice.key(Key::Enter).await;
    alice.shows("wants access to your notes").await;

    alice.tab_to("[value=profile]").await;
    typed(" ").await;
    alice.tab_to("[value=allow]").await;
    alice.key(Key::Enter).await;
    let tokens = redeem(issuer, &client, &sent(&alice).await).await;
    assert_eq!(tokens["scope"], "notes", "{tokens}");

    // All ticked, and nothing else done.
    alice.open(&request).await.press("Allow access").await;
    let tokens = redeem(issuer, &client, &sent(&alice).await).await;
    assert_eq!(tokens["scope"], "notes profile", "{tokens}");
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_11_nothing_ticked_means_deny() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", false).await;
    alice.open(&request(issuer, &client, LOOPBACK, "notes profile")).await;
    let weight = "getComputedStyle(document.querySelector('.none')).fontWeight";
    assert_eq!(alice.value(weight).await, "400");
    for ticked in alice.client.find_all(Locator::Css("[name=scope]")).await.unwrap() {
        ticked.click().await.unwrap();
    }
    alice.shows("Nothing ticked means Deny.").await;
    assert_eq!(alice.value(weight).await, "600", "the sentence stands out once it applies");
    alice.press("Allow access").await;
    let answer = sent(&alice).await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"), "{answer}");

    // Enter in a box never grants.
    alice.open(&request(issuer, &client, LOOPBACK, "notes profile")).await;
    alice.tab_to("[name=scope]").await;
    alice.key(Key::Enter).await;
    let answer = sent(&alice).await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"), "{answer}");
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_14_long_missing_and_right_to_left_names_are_shown_well() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    alice.resize(SMALLEST).await;
    let long = "Ten chars ".repeat(9);
    let hebrew = "תוכנת הפתקים של דוד ורות";
    let unbroken = "W".repeat(100);
    let names = [
        (&*long, "“Ten chars Ten chars Ten chars Ten chars Ten chars…” wants"),
        (hebrew, "“תוכנת הפתקים של דוד ורות” wants"),
        (&*unbroken, "W…” wants"),
        ("", "An application without a name wants"),
        ("\u{200b}\u{3164}", "An application without a name wants"),
    ];
    for (name, shown) in names {
        let client = named(issuer, name).await;
        alice.open(&request(issuer, &client, LOOPBACK, "notes")).await;
        let heading = alice.text_of("h1").await.replace('\n', " ");
        assert!(heading.contains(shown), "{name}: {heading}");
        alice.fits().await;
        assert!(!alice.text().await.contains(long.trim()));
        alice.unfold().await;
        assert_eq!(alice.text().await.contains(long.trim()), name == long, "the name in full");
        alice.fits().await;
    }
    let direction = "getComputedStyle(document.querySelector('h1')).direction";
    assert_eq!(alice.value(direction).await, "ltr");
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_12_no_renewal_is_promised_to_a_client_without_a_refresh_token() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let metadata = json!({ "redirect_uris": [LOOPBACK], "grant_types": ["authorization_code"] });
    let client = register(issuer, metadata).await;
    let alice = driver.browser(issuer, "alice", false).await;
    alice.open(&request(issuer, &client, LOOPBACK, "notes")).await;
    let page = alice.text().await;
    assert!(page.contains("The access lasts 1 hour. End it"), "{page}");
    assert!(!page.contains("unused"), "{page}");
    alice.press("Allow access").await;
    let tokens = redeem(issuer, &client, &sent(&alice).await).await;
    assert_eq!(tokens["refresh_token"], Value::Null);
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_12_no_client_is_promised_a_longer_access_than_it_gets() {
    let Some(driver) = Driver::start() else { return };
    let own = "access_lifetime = '5m'\nrefresh_idle = '2d'\nrefresh_absolute = '7d'";
    let directory = with_file(&settings(grantcore_testing_servers::free_port(), own));
    let file = directory.path().join("c.toml");
    let arguments = ["test", "--config", file.to_str().unwrap(), "--database", "memory:"];
    let server = Running::start(arguments).await.unwrap();
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    let request = request(issuer, "app", LOOPBACK, "reports").replace("%2Fmcp", "%2Freports");
    alice.open(&request).await;
    let last = "new Date(Date.now() + 7 * 24 * 3600 * 1000).toLocaleDateString('en-GB', \
        { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' })";
    let last = alice.value(last).await;
    let last = last.as_str().unwrap();
    alice.shows(&format!("The access lasts until {last}, or until it is unused for 2 days.")).await;
    alice.unfold().await;
    in_order(&alice.text().await, &["Each token lasts", "5 minutes"]);
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// A request for all scopes, or for none by name, is for those that its resource understands.
#[tokio::test(flavor = "multi_thread")]
async fn authz_19_only_what_the_resource_understands_is_asked() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", false).await;
    let unnamed = request(issuer, &client, LOOPBACK, "").replace("scope=&", "");
    let all = unnamed.replace("&resource=", "&scope=profile+notes&resource=");
    for (path, wanted, asked) in [
        ("%2Fmcp", "your notes", "Read the notes on your note pad and add to them"),
        ("%2Fapi", "your profile", "See who you are on this server"),
    ] {
        for request in [&unnamed, &all] {
            alice.open(&request.replace("%2Fmcp", path)).await;
            alice.shows(&format!("“Note Taker” wants access to {wanted}")).await;
            assert_eq!(alice.text_of(".scopes").await, asked);
        }
    }
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_13_the_page_says_where_the_user_is_sent() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    for (redirect_uri, sentence, warned) in [
        ("https://app.example/cb", "You will be sent to app.example.", false),
        (LOOPBACK, "You will be sent to 127.0.0.1:51004, on this device.", true),
        (
            "com.example.notes:/cb",
            "You will be sent to the application on this device for com.example.notes: addresses.",
            true,
        ),
    ] {
        let client = register(issuer, json!({ "redirect_uris": [redirect_uri] })).await;
        alice.open(&request(issuer, &client, redirect_uri, "notes")).await;
        let page = alice.text().await;
        assert!(page.contains(sentence), "{page}");
        assert_eq!(page.contains("Runs on this device"), warned, "{page}");
        assert!(page.contains("Unverified:"), "{page}");
    }
    // A host that fits into a line is in one line.
    let dashed = "https://a-host-of-many-words.example/cb";
    let client = register(issuer, json!({ "redirect_uris": [dashed] })).await;
    alice.resize(SMALLEST).await;
    alice.open(&request(issuer, &client, dashed, "notes")).await;
    let lines = "[...document.querySelectorAll('.facts strong')].map(own => { \
        const range = document.createRange(); range.selectNodeContents(own); \
        return new Set([...range.getClientRects()].map(box => box.top)).size; })";
    assert_eq!(alice.value(lines).await, json!([1]));
    // The operator registered this one.
    alice.open(&request(issuer, "demo-public", LOOPBACK, "notes")).await;
    let page = alice.text().await;
    assert!(page.contains("Demo application wants access to your notes"), "{page}");
    assert!(page.contains("Runs on this device") && !page.contains("Unverified"), "{page}");
    alice.unfold().await;
    alice.shows("Registered by the operator of this server").await;
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
