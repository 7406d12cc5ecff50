//! The pages of an administrator, with long, short and right-to-left names.

use fantoccini::key::Key;
use serde_json::json;

use super::*;
use crate::chromium::{Driver, keeps_shots};
use crate::screen::{SCREENS, SMALLEST};
use crate::support::accounts::file_of;

/// Names as long as the rules allow, right to left, and short.
const LONG: &str =
    "eine-sehr-lange-benutzerin-mit-einem-langen-namen@abteilung.unternehmen.example";
const HEBREW: &str = "שרה.לוי@דוגמה.ישראל";

async fn names() -> (tempfile::NamedTempFile, Running) {
    let people = ["a", "alice", "bob", HEBREW, LONG].map(|name| (name, name, ""));
    let accounts = file_of(&[&people[..], &[("admin", "admin", ":admin")]].concat());
    let path = accounts.path().to_str().unwrap();
    let arguments =
        ["test", "--listen", "127.0.0.1:0", "--database", "memory:", "--accounts", path];
    let server = Running::start(arguments).await.unwrap();
    (accounts, server)
}

/// Checks that a page fits on a telephone and on a laptop. Pictures of it are in both themes, which
/// have one layout.
async fn look(browser: &Browser, name: &str, path: &str) {
    let themes: &[bool] = if keeps_shots() { &[false, true] } else { &[false] };
    for &dark in themes {
        for screen in SCREENS.into_iter().chain([SMALLEST]) {
            browser.resize(screen).await;
            browser.media(dark, false).await;
            browser.open(path).await;
            browser.fits().await;
            if screen != SMALLEST {
                let theme = if dark { "d" } else { "l" };
                // The whole page, as far as it is of interest.
                let height = browser.value("document.documentElement.scrollHeight").await;
                let height = u32::try_from(height.as_u64().unwrap()).unwrap().clamp(screen.1, 2000);
                browser.resize((screen.0, height)).await;
                browser.shot(&format!("look-{name}-{}-{theme}", screen.0)).await;
            }
        }
    }
    browser.media(false, false).await;
}

/// Returns the accessible names of these elements. No two are equal.
async fn names_of(browser: &Browser, selector: &str) -> Vec<String> {
    let names = format!(
        "[...document.querySelectorAll('{selector}')].map(own => own.ariaLabel || own.innerText)"
    );
    let names = browser.value(&names).await;
    let names: Vec<String> =
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "two have one name: {names:?}");
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_has_buttons_of_its_own_and_becomes_a_card_on_a_telephone() {
    let Some(driver) = Driver::start() else { return };
    let (_accounts, server) = names().await;
    let issuer = server.issuer();
    let alice = driver.browser(issuer, "alice", false).await;
    let long = named(issuer, &"The Longest Name of an Application ".repeat(4)).await;
    let short = named(issuer, "X").await;
    let hebrew = named(issuer, "יומן הערות של מחלקה").await;
    for client in [&long, &short, &hebrew] {
        connect(&alice, client, "notes profile").await;
    }
    connect(&alice, &short, "notes").await;
    let admin = driver.browser(issuer, "admin", false).await;
    for (name, path) in [
        ("home", "/admin"),
        ("clients", "/admin/clients"),
        ("client", &*format!("/admin/client?id={long}")),
        ("client-he", &*format!("/admin/client?id={hebrew}")),
        ("new-client", "/admin/clients/new"),
        ("accounts", "/admin/accounts"),
        ("accounts-none", "/admin/accounts?q=nobody"),
        ("account", "/admin/accounts/alice"),
        ("account-a", "/admin/accounts/a"),
        ("ask", &*format!("/admin/confirm?act=suspend-account&subject={HEBREW}")),
        ("ask-long", &*format!("/admin/confirm?act=suspend-client&client_id={long}")),
        ("log", "/admin/log"),
        ("log-none", "/admin/log?subject=nobody"),
        ("trouble", "/troubleshooting"),
        ("trouble-target", "/troubleshooting#pkce_missing"),
        ("trouble-found", "/troubleshooting?q=redirect_uri"),
    ] {
        look(&admin, name, path).await;
    }
    admin.resize(SCREENS[1]).await;
    for (path, selector, one) in [
        ("/admin/clients", ".cards .button", short.as_str()),
        ("/admin/accounts", ".cards .button", HEBREW),
        ("/admin/accounts/alice", ".entry a", "“X”"),
        ("/admin/log", ".cards .last a", "consent_shown"),
    ] {
        admin.open(path).await;
        let names = names_of(&admin, selector).await;
        assert!(names.iter().any(|name| name.contains(one)), "{path}: {names:?}");
    }
    // The time of a step is in one line, and a row is a card where the screen is narrow.
    let tops = "[...document.querySelectorAll('tbody th')].map(own => own.getClientRects().length \
        * Math.round(own.getBoundingClientRect().height / parseFloat(getComputedStyle(own).lineHeight)))";
    for (screen, shown) in [(SCREENS[0], "block"), (SCREENS[1], "table-row")] {
        admin.resize(screen).await;
        admin.open("/admin/log").await;
        let display = "getComputedStyle(document.querySelector('tbody tr')).display";
        assert_eq!(admin.value(display).await, shown, "{screen:?}");
        let wrap = "getComputedStyle(document.querySelector('tbody th')).whiteSpace";
        assert_eq!(admin.value(wrap).await, "nowrap", "{}", admin.value(tops).await);
    }
    let flow = admin.value("document.querySelector('.cards .last a').pathname").await;
    look(&admin, "flow", flow.as_str().unwrap()).await;
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}

/// The page of all errors: contents, a search without scripts, and the entry of an address marked.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_found_by_symptom_by_search_and_by_address() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let alice = driver.browser(server.issuer(), "alice", false).await;
    alice.open("/troubleshooting").await;
    alice.press("A connected app keeps disappearing").await;
    alice.arrives("the chapter", |url| url.fragment() == Some("disappearing-app")).await;
    let outline = async |selector: &str| {
        let style = format!("getComputedStyle(document.querySelector('{selector}')).outlineStyle");
        alice.value(&style).await
    };
    assert_eq!(outline("#disappearing-app").await, json!("solid"));
    alice.open("/troubleshooting#refresh_reused").await;
    assert_eq!(outline("#refresh_reused").await, json!("solid"));
    assert_eq!(outline("#pkce_missing").await, json!("none"));
    alice.open("/troubleshooting").await.tab_to("#q").await;
    let pasted =
        "invalid_request: Only code_challenge_method=S256 is supported. Update your client.";
    alice.client.active_element().await.unwrap().send_keys(pasted).await.unwrap();
    alice.key(Key::Enter).await;
    alice.shows("1 entry fits.").await;
    alice.shows("pkce_method").await;
    alice.press("Show every symptom").await;
    alice.shows("By symptom").await;
    alice.fill("q", "zebra crossing").await;
    alice.press("Search").await;
    alice.shows("Nothing fits").await;
    alice.shows("Still stuck?").await;
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
