//! Tests after the user's answer: how long it is remembered, and whether the user still belongs to
//! the organization of the connection.

use super::*;
use crate::support::CHALLENGE;
use crate::support::commands::{connect, refresh, settings, start as run_program, with_file};
use reqwest::Url;

/// The secret of the clients below, which have its digest.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

const CLIENTS: &str = "[[clients]]
id = 'portal'
secret_digest = 'sha256:3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9'
redirect_uris = ['https://portal.example/cb']
[[clients]]
id = 'asks'
consent = 'ask'
secret_digest = 'sha256:3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9'
redirect_uris = ['https://asks.example/cb']
[[clients]]
id = 'own'
secret_digest = 'sha256:3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9'
redirect_uris = ['https://own.example/cb']
consent = 'skip'
";

fn url(issuer: &str, client: &str, more: &[(&str, &str)]) -> Url {
    let redirect_uri = match client {
        "app" => CALLBACK.to_owned(),
        client => format!("https://{client}.example/cb"),
    };
    let parameters = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", &*redirect_uri),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let parameters = parameters.iter().chain(more);
    Url::parse_with_params(&format!("{issuer}/oauth/authorize"), parameters).unwrap()
}

/// Opens a request, and returns the page, or the address that the browser is sent to.
async fn open(browser: &Browser, url: &Url) -> Result<String, Url> {
    let answer = browser.http.get(url.clone()).send().await.unwrap();
    match answer.headers().get("location") {
        Some(location) => Err(location.to_str().unwrap().parse().unwrap()),
        None => Ok(answer.text().await.unwrap()),
    }
}

/// Redeems the code in this redirect to a client of the file.
async fn redeem(issuer: &str, client: &str, at: &Url) {
    let code = param(at, "code").unwrap_or_else(|| panic!("{at}"));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", &format!("https://{client}.example/cb")),
    ];
    let answer = plain_client(false)
        .post(format!("{issuer}/oauth/token"))
        .basic_auth(client, Some(SECRET))
        .form(&form)
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
}

#[tokio::test]
async fn host_38_an_earlier_answer_counts_as_the_settings_say() {
    let port = grantcore_testing_servers::free_port();
    let file = |more: &str| {
        let file = format!("{more}{}", settings(port, CLIENTS));
        with_file(&file.replace("sqlite:grants.sqlite", "memory:"))
    };
    let server = async |directory: &tempfile::TempDir| {
        let file = directory.path().join("c.toml");
        Running::start(["test", "--config", file.to_str().unwrap()]).await.unwrap()
    };
    let never = server(&file("")).await;
    let issuer = never.issuer().to_owned();
    let alice = Browser::new("alice");
    let portal = url(&issuer, "portal", &[]);
    let page = alice.consent_page(portal.as_str()).await;
    redeem(&issuer, "portal", &alice.press(portal.as_str(), &page, "allow").await).await;
    assert!(open(&alice, &portal).await.is_ok(), "by default each request is asked");
    let skipped = open(&alice, &url(&issuer, "own", &[])).await.expect_err("no page");
    assert!(param(&skipped, "code").is_some(), "{skipped}");
    never.stop().await.unwrap();

    let remembering = server(&file("remember_consent = 'confidential'\n")).await;
    let alice = Browser::new("alice");
    for client in ["portal", "asks"] {
        let own = url(&issuer, client, &[]);
        let page = alice.consent_page(own.as_str()).await;
        redeem(&issuer, client, &alice.press(own.as_str(), &page, "allow").await).await;
    }
    let silent = open(&alice, &portal).await.expect_err("the answer is remembered");
    assert!(param(&silent, "code").is_some(), "{silent}");
    for (why, other) in [
        ("the page was asked for", url(&issuer, "portal", &[("prompt", "consent")])),
        ("another resource", url(&issuer, "portal", &[("resource", &format!("{issuer}/api"))])),
        ("the client asks always", url(&issuer, "asks", &[])),
        ("the client is public", url(&issuer, "app", &[])),
    ] {
        assert!(open(&alice, &other).await.is_ok(), "{why}");
    }
    let bob = Browser::new("bob");
    let page = bob.consent_page(portal.as_str()).await;
    assert!(page.contains("Allow access"), "another user is asked: {page}");
    remembering.stop().await.unwrap();
}

/// A connection for an organization ends at the first refresh after its user has left.
#[tokio::test]
async fn host_12_the_connection_of_a_former_member_ends() {
    let port = grantcore_testing_servers::free_port();
    let organizations = |members: &str| {
        settings(port, &format!("[[organizations]]\nid = 'acme'\nmembers = {members}\n"))
    };
    let directory = with_file(&organizations("['alice']"));
    let path = directory.path();
    let program = run_program(path);
    let issuer = program.issuer.clone();
    let tokens = connect(&issuer, &format!("{issuer}/api")).await;
    let next = refresh(&issuer, tokens["refresh_token"].as_str().unwrap()).await;
    assert!(next["access_token"].is_string(), "a member's connection stays: {next}");
    assert!(program.stop());

    std::fs::write(path.join("c.toml"), organizations("['bob']")).unwrap();
    let program = run_program(path);
    let ended = refresh(&issuer, next["refresh_token"].as_str().unwrap()).await;
    assert_eq!(ended["error"], "invalid_grant", "{ended}");
    assert_eq!(api(&issuer, next["access_token"].as_str().unwrap()).await, 401);
    let admin = Browser::new("admin");
    let url = url(&issuer, "app", &[]);
    admin.authorize(url.as_str(), "deny").await;
    let (_, log) = page(&admin, &format!("{issuer}/admin/log?subject=alice")).await;
    assert!(log.contains("grant_ended_by_host"), "{log}");
    assert!(log.contains("the user does not belong to acme any more"), "{log}");
    assert!(program.stop());
}

#[test]
fn nobody_is_asked_for_an_organization_where_no_page_is_shown() {
    let organizations = "[[organizations]]\nid = 'acme'\nmembers = ['alice']\n";
    let directory = with_file(&settings(8080, &format!("{CLIENTS}{organizations}")));
    let checked =
        crate::support::commands::run(directory.path(), &["check-config", "--config", "c.toml"]);
    assert!(!checked.is_success, "{}", checked.output);
    assert!(checked.errors.contains("client `own`: consent = \"skip\""), "{}", checked.errors);
}
