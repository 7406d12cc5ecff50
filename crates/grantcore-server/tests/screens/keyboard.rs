//! Every flow without a mouse.

use fantoccini::key::Key;

use super::*;
use crate::chromium::Driver;
use crate::screen::SCREENS;

/// Walks through the page in both themes, and on a telephone and a laptop. The second of the two
/// stays.
async fn walk(browser: &Browser) {
    for (screen, dark) in SCREENS.into_iter().zip([true, false]) {
        browser.resize(screen).await;
        browser.media(dark, false).await;
        browser.is_walkable().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_11_a_user_needs_no_mouse() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let request = request(issuer, &client, LOOPBACK, "notes profile");
    let user = driver.browser(issuer, "alice", false).await;

    // Signs in, at the second attempt.
    user.client.goto(&format!("{issuer}{request}")).await.unwrap();
    user.shows("Sign in to decide.").await;
    user.focuses("username").await;
    walk(&user).await;
    user.tab_to("#username").await;
    user.types("alice").await;
    user.key(Key::Tab).await;
    user.types("wrong").await;
    user.key(Key::Enter).await;
    user.shows("do not match").await;
    user.focuses("password").await;
    walk(&user).await;
    user.tab_to("#password").await;
    user.types("alice").await;
    user.enter("button.primary").await;

    // Allows one of two scopes.
    user.shows("wants access to your notes").await;
    walk(&user).await;
    user.space("[value=profile]").await;
    user.space("[value=allow]").await;
    let tokens = redeem(issuer, &client, &sent(&user).await).await;
    assert_eq!(tokens["scope"], "notes", "{tokens}");

    // Denies.
    user.open(&request).await.enter("[value=deny]").await;
    let answer = sent(&user).await;
    assert_eq!(param(&answer, "error").as_deref(), Some("access_denied"), "{answer}");

    // Takes another account, which has allowed nothing yet.
    user.open(&request).await.enter("[form=switch]").await;
    user.shows("Continue as alice").await;
    walk(&user).await;
    user.tab_to("#username").await;
    user.types("bob").await;
    user.tab_to("#password").await;
    user.types("bob").await;
    user.key(Key::Enter).await;
    user.shows("Signed in as bob").await;
    user.enter("summary").await;
    user.shows("Each token lasts").await;
    walk(&user).await;
    user.enter("[value=allow]").await;
    let tokens = redeem(issuer, &client, &sent(&user).await).await;
    assert_eq!(tokens["scope"], "notes profile", "{tokens}");

    // Disconnects it.
    user.open("/settings/connected-apps").await.space("summary").await;
    user.shows("Last token").await;
    walk(&user).await;
    user.enter("[href$=disconnect]").await;
    user.shows("Disconnect “Note Taker”?").await;
    walk(&user).await;
    user.enter("main a").await;
    user.shows("These applications have access").await;
    user.enter("[href$=disconnect]").await;
    user.shows("Disconnect “Note Taker”?").await;
    user.space("button.danger").await;
    user.shows("“Note Taker” is disconnected").await;
    walk(&user).await;

    // Reads an error, and leaves by its button.
    user.open(&request.replace("S256", "plain")).await;
    user.shows("mistake of the application").await;
    walk(&user).await;
    user.enter(".actions a").await;
    let answer = sent(&user).await;
    assert_eq!(param(&answer, "error").as_deref(), Some("invalid_request"), "{answer}");

    // Signs out.
    user.open("/").await;
    walk(&user).await;
    user.enter("button").await;
    user.shows("sign in now").await;
    walk(&user).await;
    user.client.close().await.unwrap();
    server.stop().await.unwrap();
}

/// Adds a client, replaces its secret, suspends it and lifts that, and finds each step in the audit
/// log.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_needs_no_mouse() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let admin = driver.browser(server.issuer(), "admin", true).await;
    admin.open("/admin/clients").await;
    walk(&admin).await;
    admin.enter("[href=\"/admin/clients/new\"]").await;
    admin.shows("Where it runs").await;
    walk(&admin).await;
    // After a mistake, the field that has it has the focus.
    admin.enter("button.primary").await;
    admin.shows("Nothing was added.").await;
    admin.focuses("id").await;
    walk(&admin).await;
    admin.tab_to("#id").await;
    admin.types("wiki").await;
    admin.tab_to("#name").await;
    admin.types("Wiki").await;
    admin.tab_to("[name=method]").await;
    admin.key(Key::Down).await;
    admin.tab_to("#redirect_uris").await;
    admin.types("https://wiki.example/cb").await;
    admin.enter("button.primary").await;
    admin.shows("Copy the secret now.").await;
    admin.shot("look-secret").await;
    walk(&admin).await;
    let first = admin.text_of("dl div:last-child code").await;
    admin.enter("main .button").await;
    admin.shows("One secret, of which a digest is kept").await;
    walk(&admin).await;

    admin.enter("[href*=rotate-secret]").await;
    admin.shows("Replace the secret of Wiki?").await;
    // The reason has the focus. Without one, nothing is changed and the page says so.
    admin.focuses("reason").await;
    admin.key(Key::Enter).await;
    admin.shows("Write a reason. Nothing was changed yet.").await;
    admin.focuses("reason").await;
    admin.shot("look-reason").await;
    walk(&admin).await;
    admin.tab_to("#reason").await;
    admin.types("it was mailed").await;
    admin.key(Key::Enter).await;
    admin.shows("The secret is replaced").await;
    let second = admin.text_of("dl div:last-child code").await;
    assert_ne!(second, first);
    // A reload repeats nothing: neither the rotation nor the look at the secret.
    admin.client.refresh().await.unwrap();
    admin.shows("This secret was shown already").await;
    assert!(!admin.text().await.contains(&second));

    admin.enter("main .button").await;
    admin.enter("[href*=suspend-client]").await;
    admin.shows("Suspend the client Wiki?").await;
    admin.types("leaks").await;
    admin.space("button.danger").await;
    admin.shows("is suspended. It is refused").await;
    admin.enter("[href*=lift-client]").await;
    admin.shows("Lift the suspension").await;
    admin.enter("button.primary").await;
    admin.shows("is not suspended any more.").await;
    let page = admin.text().await;
    for verb in ["Deactivate", "Revoke", "End all"] {
        assert!(!page.contains(verb), "one verb: {verb} in {page}");
    }

    // Searches the audit log, corrects a time that cannot be read, and leaves out what was allowed.
    admin.open("/admin").await;
    walk(&admin).await;
    admin.tab_to("#client").await;
    admin.types("wiki").await;
    admin.tab_to("#at").await;
    admin.types("noon").await;
    admin.enter("button.primary").await;
    admin.shows("The time cannot be read").await;
    admin.focuses("at").await;
    walk(&admin).await;
    admin.tab_to("#at").await;
    admin.client.active_element().await.unwrap().clear().await.unwrap();
    admin.enter("button.primary").await;
    admin.shows("by admin: leaks").await;
    walk(&admin).await;
    admin.enter("[href*=refusals]").await;
    admin.shows("nothing was refused").await;
    walk(&admin).await;

    // Finds an account, and an error.
    for (path, text, shown) in [
        ("/admin/accounts", "carol", "Accounts with carol in their name."),
        ("/admin/clients", "wiki", "Clients with wiki"),
        ("/troubleshooting", "Only code_challenge_method=S256 is supported.", "1 entry fits."),
    ] {
        admin.open(path).await.tab_to("#q").await;
        admin.types(text).await;
        admin.key(Key::Enter).await;
        admin.shows(shown).await;
        walk(&admin).await;
    }
    admin.open("/admin/accounts/carol").await;
    walk(&admin).await;
    admin.client.close().await.unwrap();
    server.stop().await.unwrap();
}
