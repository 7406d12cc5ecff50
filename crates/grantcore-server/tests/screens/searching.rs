//! What an administrator finds: a step of the audit log, the flow that it belongs to, and what can
//! be done about it.

use super::*;
use crate::chromium::Driver;

/// More steps than one page of the log has.
const MANY: usize = 60;

async fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let all = format!("[...document.querySelectorAll('{selector}')].map(own => own.innerText)");
    let all = browser.value(&all).await;
    all.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_searched_from_an_empty_form_and_turned_from_the_newest_step() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    for number in 0..MANY {
        named(issuer, &format!("Tool {number}")).await;
    }
    let admin = driver.browser(issuer, "admin", false).await;
    admin.open("/admin").await;
    let typed = "[...document.querySelectorAll('.search input')].map(own => own.value)";
    assert_eq!(admin.value(typed).await, json!(["", "", "", "", ""]), "nothing is filled in");

    admin.press("Search the log").await;
    admin.shows("All steps").await;
    let first = texts(&admin, "tbody th").await;
    admin.press("Older").await;
    admin.shows("Newest").await;
    let older = texts(&admin, "tbody th").await;
    let all = [first.clone(), older].concat();
    assert!(all.is_sorted_by(|one, next| one >= next), "the newest first: {all:?}");
    assert!(all.len() >= MANY && first.len() < MANY, "{} of {}", first.len(), all.len());
    admin.press("Newest").await;
    admin.shows("Older").await;

    // Refusals only, by one click.
    plain_client(false)
        .get(format!("{issuer}{}", request(issuer, "nobody", LOOPBACK, "notes")))
        .send()
        .await
        .unwrap();
    admin.open("/admin").await.press("Latest refusals").await;
    admin.shows("client_unknown").await;
    assert_eq!(texts(&admin, "tbody strong").await, ["The request was refused"]);
    admin.press("All steps").await;
    admin.shows("Older").await;
    admin.client.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_has_its_client_user_and_state_above_its_steps_and_offers_nothing_that_is_over() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let issuer = server.issuer();
    let client = named(issuer, "Note Taker").await;
    let alice = driver.browser(issuer, "alice", false).await;
    connect(&alice, &client, "notes").await;
    let admin = driver.browser(issuer, "admin", false).await;
    admin.open("/admin/log?subject=alice").await.press("Whole flow").await;
    admin.shows("Steps, the first one first").await;
    let head = ["State", "Active: an access token works now.", "“Note Taker”", "User", "alice"];
    in_order(&admin.text().await, &[&head[..], &["Steps", "consent page was shown"]].concat());
    admin.press("Disconnect").await;
    admin.shows("Disconnect “Note Taker” from alice?").await;
    admin.fill("reason", "lost laptop").await;
    admin.press("Disconnect").await;
    admin.shows("Ended: disconnected by an administrator.").await;
    admin.shows("by admin: lost laptop").await;
    assert_eq!(texts(&admin, "main .button").await, [""; 0], "nothing is offered");
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_suspends_themselves() {
    let Some(driver) = Driver::start() else { return };
    let server = start().await;
    let admin = driver.browser(server.issuer(), "admin", false).await;
    admin.open("/admin/accounts").await;
    let own = "[...document.querySelectorAll('tbody tr')]
        .filter(own => own.innerText.includes('(you)'))
        .map(own => own.querySelector('.button')?.innerText ?? 'none')";
    assert_eq!(admin.value(own).await, json!(["none"]));
    admin.open("/admin/accounts/admin").await;
    admin.shows("This is your own account: another administrator can suspend it.").await;
    assert!(!texts(&admin, "main .button").await.contains(&"Suspend".to_owned()));
    admin.open("/admin/confirm?act=suspend-account&subject=admin").await;
    admin.shows("You cannot suspend your own account").await;
    admin.client.close().await.unwrap();
    server.stop().await.unwrap();
}
