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

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use grantcore_server::Running;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use support::{CHALLENGE, VERIFIER, install_crypto_provider, param, plain_client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(50);

/// The process of the driver, which starts a browser for each user.
struct Driver {
    process: Child,
    url: String,
    shots: PathBuf,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    /// Starts the driver. Returns `None` if it is not installed.
    fn start() -> Option<Self> {
        let mut process = match Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
        {
            Ok(process) => process,
            Err(error) => {
                assert!(
                    std::env::var_os("GRANTCORE_REQUIRE_BROWSER").is_none(),
                    "chromedriver: {error}"
                );
                eprintln!("skipped: chromedriver is not installed ({error})");
                return None;
            }
        };
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.split("successfully on port ")
                .nth(1)
                .map(|port| port.trim_end_matches('.').to_owned())
        });
        let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&shots).unwrap();
        Some(Self {
            process,
            url: format!("http://127.0.0.1:{}", port.expect("chromedriver prints its port")),
            shots,
        })
    }

    async fn browser(&self, issuer: &str, user: &'static str, dark: bool) -> Browser {
        let scheme = format!("--blink-settings=preferredColorScheme={}", i32::from(!dark));
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1000,1300",
            &scheme,
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        install_crypto_provider();
        let client = ClientBuilder::rustls()
            .unwrap()
            .capabilities(options.as_object().unwrap().clone())
            .connect(&self.url)
            .await
            .unwrap();
        let theme = if dark { "dark" } else { "light" };
        Browser { client, issuer: issuer.to_owned(), user, shots: self.shots.clone(), theme }
    }
}

/// A user with a browser.
struct Browser {
    client: Client,
    issuer: String,
    user: &'static str,
    shots: PathBuf,
    theme: &'static str,
}

impl Browser {
    /// Opens a page of the server, signing in if it asks for that.
    async fn open(&self, path: &str) -> &Self {
        self.client.goto(&format!("{}{path}", self.issuer)).await.unwrap();
        if self.client.current_url().await.unwrap().path() == "/login" {
            self.fill("username", self.user).await;
            self.fill("password", self.user).await;
            self.press("Sign in").await;
            self.arrives("the user is signed in", |url| url.path() != "/login").await;
        }
        self
    }

    async fn fill(&self, name: &str, value: &str) {
        let field = self
            .client
            .find(Locator::Css(&format!("[name={name}]:not([type=hidden])")))
            .await
            .unwrap();
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// Presses the first button or link with this text.
    async fn press(&self, text: &str) {
        let path =
            format!("(//button[normalize-space()='{text}'] | //a[normalize-space()='{text}'])[1]");
        let found = self.client.find(Locator::XPath(&path)).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => panic!("{text}: {error} in {}", self.text().await),
        };
        found.click().await.unwrap();
    }

    /// Presses the button of the form with this hidden value, after filling in the reason if one is
    /// given.
    async fn act(&self, act: &str, value: &str, reason: Option<&str>) {
        let form = format!("//form[input[@value='{act}']][input[@value='{value}']]");
        if let Some(reason) = reason {
            let field = self
                .client
                .find(Locator::XPath(&format!("({form}//input[@name='reason' or @name='by'])[1]")))
                .await
                .unwrap();
            field.send_keys(reason).await.unwrap();
        }
        self.client
            .find(Locator::XPath(&format!("({form}//button)[1]")))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    async fn text(&self) -> String {
        // Between two pages the browser has no body.
        for _ in 0..100 {
            if let Ok(body) = self.client.find(Locator::Css("body")).await
                && let Ok(text) = body.text().await
            {
                return text;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("there is no page")
    }

    /// Waits until the page contains this text.
    async fn says(&self, expected: &str) {
        for _ in 0..100 {
            if self.text().await.contains(expected) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{expected} is not in {}", self.text().await)
    }

    /// Waits until the browser is at the expected address.
    async fn arrives(&self, what: &str, is_there: impl Fn(&Url) -> bool) -> Url {
        for _ in 0..100 {
            let url = Url::parse(self.client.current_url().await.unwrap().as_str()).unwrap();
            if is_there(&url) {
                return url;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{what}: {}", self.client.current_url().await.unwrap())
    }

    async fn shot(&self, name: &str) {
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(self.shots.join(format!("{name}-{}.png", self.theme)), png).unwrap();
    }

    /// Allows this request, and returns the authorization code.
    async fn allow(&self, request: &str, shot: Option<&str>) -> String {
        self.open(request).await;
        if let Some(name) = shot {
            self.shot(name).await;
        }
        self.press("Allow access").await;
        let answer = self.arrives("a code", |url| param(url, "code").is_some()).await;
        param(&answer, "code").unwrap()
    }

    /// Searches a case as support does, by what its user quotes, and returns the reasons found.
    async fn find(&self, error: &str, client: &str, minute: &str) -> Vec<String> {
        self.open("/admin").await;
        for (field, value) in [("error", error), ("client", client), ("at", minute)] {
            self.fill(field, value).await;
        }
        self.press("Search the trail").await;
        self.arrives("the results", |url| url.path() == "/admin/trail").await;
        self.says("Time").await;
        let links =
            self.client.find_all(Locator::Css("td a[href^='/troubleshooting#']")).await.unwrap();
        let mut found = Vec::new();
        for link in links {
            found.push(link.text().await.unwrap());
        }
        found
    }
}

/// A client on the user's own computer, which listens for the redirect.
struct Application {
    issuer: String,
    redirect_uri: String,
}

#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

/// The response of a call.
struct Called {
    status: u16,
    error: String,
    challenge: String,
}

impl Application {
    async fn start(issuer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let redirect_uri =
            format!("http://127.0.0.1:{}/callback", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 2048];
                let _ = socket.read(&mut request).await;
                let _ = socket
                    .write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone",
                    )
                    .await;
            }
        });
        Self { issuer: issuer.to_owned(), redirect_uri }
    }

    fn request(&self, resource: &str, scope: &str) -> String {
        let url = Url::parse_with_params(
            "http://x/oauth/authorize",
            [
                ("response_type", "code"),
                ("client_id", "demo-public"),
                ("redirect_uri", &self.redirect_uri),
                ("state", "xyz"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("scope", scope),
                ("resource", &format!("{}{resource}", self.issuer)),
            ],
        );
        url.unwrap().as_str().trim_start_matches("http://x").to_owned()
    }

    async fn token(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let answer = plain_client(false)
            .post(format!("{}/oauth/token", self.issuer))
            .form(fields)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn redeem(&self, code: &str) -> Tokens {
        let (status, body) = self
            .token(&[
                ("grant_type", "authorization_code"),
                ("client_id", "demo-public"),
                ("redirect_uri", &self.redirect_uri),
                ("code", code),
                ("code_verifier", VERIFIER),
            ])
            .await;
        assert_eq!(status, 200, "{body}");
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Tokens { access: text("access_token"), refresh: text("refresh_token") }
    }

    async fn refresh(&self, tokens: &Tokens) -> (u16, Value) {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", "demo-public"),
            ("refresh_token", &tokens.refresh),
        ])
        .await
    }

    async fn call(&self, path: &str, token: &str) -> Called {
        let answer = plain_client(false)
            .get(format!("{}{path}", self.issuer))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        let challenge = answer
            .headers()
            .get("www-authenticate")
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let status = answer.status();
        let body: Value = if status == StatusCode::OK {
            Value::Null
        } else {
            answer.json().await.unwrap_or_default()
        };
        Called {
            status: status.as_u16(),
            error: body["error"].as_str().unwrap_or_default().to_owned(),
            challenge,
        }
    }

    /// Checks that the access token is accepted.
    async fn works(&self, tokens: &Tokens) {
        assert_eq!(self.call("/api", &tokens.access).await.status, 200);
    }

    /// Checks that the call is answered 401 `invalid_token`, and that the challenge begins with the
    /// resource metadata.
    async fn is_dead(&self, tokens: &Tokens) {
        let called = self.call("/api", &tokens.access).await;
        assert_eq!((called.status, &*called.error), (401, "invalid_token"));
        assert!(
            called.challenge.starts_with("Bearer resource_metadata=\"http"),
            "{}",
            called.challenge
        );
    }
}

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

    // The user revokes the connection on the page. Support finds it. The user authorizes again.
    let tokens =
        app.redeem(&alice.allow(&app.request("/api", "profile"), Some("consent")).await).await;
    app.works(&tokens).await;
    alice.open("/settings/connected-apps").await.shot("connected").await;
    alice.says("Active").await;
    alice.press("Revoke").await;
    alice.says("End the connection of").await;
    alice.shot("revoke").await;
    alice.press("Revoke").await;
    alice.says("The connection is ended").await;
    alice.says("No application is connected").await;
    alice.shot("ended").await;
    app.is_dead(&tokens).await;
    assert_eq!(app.refresh(&tokens).await.1["error"], "invalid_grant");
    assert_eq!(admin.find("invalid_token", "demo-public", &minute()).await, ["token_revoked"]);
    assert_eq!(admin.find("invalid_grant", "demo-public", &minute()).await, ["grant_revoked"]);
    admin.shot("trail").await;
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

    // An administrator revokes the connections, with a reason.
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    app.works(&tokens).await;
    admin.open("/admin/accounts/alice").await.shot("account").await;
    admin.act("end-user", "alice", Some("lost laptop")).await;
    admin.says("End all connections of").await;
    admin.shot("confirm").await;
    admin.press("End").await;
    admin.says("Done").await;
    app.is_dead(&tokens).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .ends_with(&["token_revoked".to_owned()])
    );
    admin.open("/admin/trail?subject=alice").await;
    admin.says("account_grants_ended").await;

    // A client is deactivated and reactivated.
    let tokens = app.redeem(&alice.allow(&app.request("/api", "profile"), None).await).await;
    admin.open("/admin/clients").await.shot("clients").await;
    admin.act("deactivate", "demo-public", None).await;
    admin.says("Done").await;
    app.is_dead(&tokens).await;
    assert_eq!(app.refresh(&tokens).await.1["error"], "invalid_client");
    alice.open(&app.request("/api", "profile")).await.shot("unknown-client").await;
    alice.says("unknown").await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .ends_with(&["client_deactivated".to_owned()])
    );
    admin.open("/admin/clients").await.act("reactivate", "demo-public", None).await;
    admin.says("Done").await;
    app.works(&tokens).await;

    // An account is suspended. After the suspension is lifted, the same token works again.
    admin.open("/admin/accounts").await.shot("accounts").await;
    admin.act("suspend", "alice", None).await;
    admin.says("Done").await;
    app.is_dead(&tokens).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .ends_with(&["account_suspended".to_owned()])
    );
    admin.open("/admin/accounts").await.act("lift", "alice", None).await;
    admin.says("Done").await;
    app.works(&tokens).await;

    // A token for the other resource.
    let mcp = app.redeem(&alice.allow(&app.request("/mcp", "notes"), None).await).await;
    app.is_dead(&mcp).await;
    assert!(
        admin
            .find("invalid_token", "demo-public", &minute())
            .await
            .ends_with(&["audience_mismatch".to_owned()])
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
    alice.says("Not for you").await;
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
    admin.shot("trail").await;
    alice.open("/settings/connected-apps").await.shot("dormant").await;
    alice.says("Dormant").await;
    alice.open("/settings/connected-apps?active=1").await;
    alice.says("No application is connected and in use").await;
    let (status, body) = app.refresh(&tokens).await;
    assert_eq!(status, 200, "{body}");
    let renewed = Tokens { access: body["access_token"].as_str().unwrap().into(), ..tokens };
    app.works(&renewed).await;
    alice.open("/settings/connected-apps?active=1").await;
    alice.says("Active").await;
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
    admin.open("/admin/accounts").await.act("top-up", "alice", Some("5")).await;
    admin.says("Done").await;
    admin.shot("topped-up").await;
    app.works(&tokens).await;
    for browser in [alice, admin] {
        browser.client.close().await.unwrap();
    }
    server.stop().await.unwrap();
}
