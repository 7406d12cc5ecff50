//! Step-up (RFC 9470): a call that needs a recent login.

use super::*;

/// Calls the route that needs a login of the last five minutes.
async fn export(issuer: &str, tokens: &Tokens) -> (u16, String, serde_json::Value) {
    let call = support::plain_client(false).post(format!("{issuer}/api/export"));
    let answer = call.bearer_auth(&tokens.access).send().await.unwrap();
    let status = answer.status().as_u16();
    let challenge = answer.headers().get("www-authenticate");
    let challenge = challenge.map(|own| own.to_str().unwrap().to_owned()).unwrap_or_default();
    (status, challenge, answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn host_31_a_call_that_needs_a_recent_login_leads_to_the_login_page_and_succeeds() {
    let Some(driver) = Driver::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("grants.sqlite");
    let database = format!("sqlite:{}", file.display());
    let arguments = ["test", "--listen", "127.0.0.1:0", "--database", &database];
    let server = Running::start(arguments).await.unwrap();
    let issuer = server.issuer();
    let app = Application::start(issuer).await;
    let alice = driver.browser(issuer, "alice", false).await;
    alice.open("/settings/connected-apps").await;
    // The login is made as old as it would be after a morning.
    let sessions = rusqlite::Connection::open(&file).unwrap();
    sessions.busy_timeout(Duration::from_secs(10)).unwrap();
    let aged = sessions.execute("UPDATE sessions SET signed_in = signed_in - 14400", []).unwrap();
    assert_eq!(aged, 1);

    let request = app.request("/api", "profile");
    let tokens = app.redeem(&alice.allow(&request, None).await).await;
    app.works(&tokens).await;
    let (status, challenge, _) = export(issuer, &tokens).await;
    assert_eq!(status, 401);
    for part in
        ["error=\"insufficient_user_authentication\"", "max_age=\"300\"", "scope=\"profile\""]
    {
        assert!(challenge.contains(part), "{part}: {challenge}");
    }

    // The client asks for what the challenge names. The user is signed in, and signs in again.
    alice.client.goto(&format!("{issuer}{request}&max_age=300")).await.unwrap();
    alice.arrives("the login page", |url| url.path() == "/login").await;
    alice.shows("asks you to sign in again. You are signed in as alice.").await;
    alice.shot("step-up").await;
    alice.fill("username", "alice").await;
    alice.fill("password", "alice").await;
    alice.press("Sign in").await;
    alice.shows("wants access").await;
    alice.press("Allow access").await;
    let answer = alice.arrives("a code", |url| support::param(url, "code").is_some()).await;
    let next = app.redeem(&support::param(&answer, "code").unwrap()).await;
    let (status, _, body) = export(issuer, &next).await;
    assert_eq!((status, &body["subject"]), (200, &"alice".into()), "{body}");
    assert!(body["signed_in"].is_u64(), "{body}");
    assert_eq!(export(issuer, &tokens).await.0, 401, "the older grant keeps its login");
    app.works(&tokens).await;

    // Now the login is recent enough: the same request asks for none.
    alice.client.goto(&format!("{issuer}{request}&max_age=300")).await.unwrap();
    alice.shows("wants access").await;
    alice.client.close().await.unwrap();
    server.stop().await.unwrap();
}
