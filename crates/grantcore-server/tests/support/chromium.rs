//! A browser driven by chromedriver, and the client application of the browser tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{CHALLENGE, VERIFIER, install_crypto_provider, param, plain_client};

/// Returns whether pictures of pages are kept.
pub(crate) fn keeps_shots() -> bool {
    std::env::var_os("GRANTCORE_SCREENSHOTS").is_some()
}

/// The browser without a window system, which needs less than half of the processor time of
/// another. Debian's command for it is a script that does not end it.
const HEADLESS_SHELL: &str = "/usr/lib/chromium/chromium-headless-shell";

/// The pause between two polls.
const INTERVAL: Duration = Duration::from_millis(50);

/// The process of the driver, which starts a browser for each user.
pub(crate) struct Driver {
    process: Child,
    port: u16,
    shots: PathBuf,
    /// What the driver and its browsers leave behind is dropped with it.
    _temporary: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Ends the browsers of a test that failed as well. Killed, the driver would leave them.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let request = "GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    /// Starts the driver. Returns `None` if it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let shots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&shots).unwrap();
        // The driver ends at once if another process has its port, of IPv4 or of IPv6.
        for _ in 0..5 {
            let temporary = tempfile::tempdir().unwrap();
            let spawned = Command::new("chromedriver")
                .arg("--port=0")
                .env("TMPDIR", temporary.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let mut process = match spawned {
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
            if let Some(port) = port(&mut process) {
                return Some(Self { process, port, shots, _temporary: temporary });
            }
            process.wait().unwrap();
        }
        panic!("chromedriver prints no port")
    }

    pub(crate) async fn browser(&self, issuer: &str, user: &'static str, dark: bool) -> Browser {
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
        let mut browser_options = json!({ "args": arguments });
        if Path::new(HEADLESS_SHELL).exists() {
            browser_options["binary"] = HEADLESS_SHELL.into();
        }
        let options = json!({
            "goog:chromeOptions": browser_options,
            // Milliseconds: no limit that a busy machine exceeds.
            "timeouts": { "script": 300_000, "pageLoad": 300_000 },
        });
        install_crypto_provider();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(options.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .unwrap();
        let theme = if dark { "dark" } else { "light" };
        Browser { client, issuer: issuer.to_owned(), user, shots: self.shots.clone(), theme }
    }
}

/// Returns the port that the driver prints when it listens.
fn port(driver: &mut Child) -> Option<u16> {
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    })
}

/// A user with a browser.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) issuer: String,
    pub(crate) user: &'static str,
    pub(crate) shots: PathBuf,
    pub(crate) theme: &'static str,
}

impl Browser {
    /// Opens a page of the server, signing in if it asks for that.
    pub(crate) async fn open(&self, path: &str) -> &Self {
        self.client.goto(&format!("{}{path}", self.issuer)).await.unwrap();
        if self.client.current_url().await.unwrap().path() == "/login" {
            self.fill("username", self.user).await;
            self.fill("password", self.user).await;
            self.press("Sign in").await;
            self.arrives("the user is signed in", |url| url.path() != "/login").await;
        }
        self
    }

    pub(crate) async fn fill(&self, name: &str, value: &str) {
        let field = self
            .client
            .find(Locator::Css(&format!("[name={name}]:not([type=hidden])")))
            .await
            .unwrap();
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// Presses the first button or link with this text.
    pub(crate) async fn press(&self, text: &str) {
        let path =
            format!("(//button[normalize-space()='{text}'] | //a[normalize-space()='{text}'])[1]");
        let found = self.client.find(Locator::XPath(&path)).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => panic!("{text}: {error} in {}", self.text().await),
        };
        found.click().await.unwrap();
    }

    /// Presses the link to an action, gives the reason that its page asks for, and confirms.
    pub(crate) async fn decide(&self, link: &str, reason: &str, button: &str) {
        self.press(link).await;
        self.shows("It is kept in the audit log").await;
        self.fill("reason", reason).await;
        self.press(button).await;
    }

    pub(crate) async fn text(&self) -> String {
        // Between two pages the browser has no body.
        for _ in 0..100 {
            if let Ok(body) = self.client.find(Locator::Css("body")).await
                && let Ok(text) = body.text().await
            {
                return text;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        panic!("there is no page")
    }

    /// Waits until the page contains this text.
    pub(crate) async fn shows(&self, expected: &str) {
        for _ in 0..100 {
            if self.text().await.contains(expected) {
                return;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        panic!("{expected} is not in {}", self.text().await)
    }

    /// Waits until the browser is at the expected address.
    pub(crate) async fn arrives(&self, what: &str, is_there: impl Fn(&Url) -> bool) -> Url {
        for _ in 0..100 {
            let url = Url::parse(self.client.current_url().await.unwrap().as_str()).unwrap();
            if is_there(&url) {
                return url;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        panic!("{what}: {}", self.client.current_url().await.unwrap())
    }

    /// Keeps a picture of the page in `target/tmp/browser`, for people to look at, if
    /// `GRANTCORE_SCREENSHOTS` is set.
    pub(crate) async fn shot(&self, name: &str) {
        if !keeps_shots() {
            return;
        }
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(self.shots.join(format!("{name}-{}.png", self.theme)), png).unwrap();
    }

    /// Allows this request, and returns the authorization code.
    pub(crate) async fn allow(&self, request: &str, shot: Option<&str>) -> String {
        self.open(request).await;
        if let Some(name) = shot {
            self.shot(name).await;
        }
        self.press("Allow access").await;
        let answer = self.arrives("a code", |url| param(url, "code").is_some()).await;
        param(&answer, "code").unwrap()
    }

    /// Searches a case as support does, by what its user quotes, and returns the reasons found.
    pub(crate) async fn find(&self, error: &str, client: &str, minute: &str) -> Vec<String> {
        self.open("/admin").await;
        for (field, value) in [("error", error), ("client", client), ("at", minute)] {
            self.fill(field, value).await;
        }
        self.press("Search the log").await;
        self.arrives("the results", |url| url.path() == "/admin/log").await;
        self.shows("Time").await;
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
pub(crate) struct Application {
    pub(crate) issuer: String,
    pub(crate) redirect_uri: String,
}

#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// The response of a call.
pub(crate) struct Called {
    pub(crate) status: u16,
    pub(crate) error: String,
    pub(crate) challenge: String,
}

impl Application {
    pub(crate) async fn start(issuer: &str) -> Self {
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

    pub(crate) fn request(&self, resource: &str, scope: &str) -> String {
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

    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let answer = plain_client(false)
            .post(format!("{}/oauth/token", self.issuer))
            .form(fields)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn redeem(&self, code: &str) -> Tokens {
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

    pub(crate) async fn refresh(&self, tokens: &Tokens) -> (u16, Value) {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", "demo-public"),
            ("refresh_token", &tokens.refresh),
        ])
        .await
    }

    pub(crate) async fn call(&self, path: &str, token: &str) -> Called {
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
    pub(crate) async fn works(&self, tokens: &Tokens) {
        assert_eq!(self.call("/api", &tokens.access).await.status, 200);
    }

    /// Checks that the call is answered 401 `invalid_token`, and that the challenge begins with the
    /// resource metadata.
    pub(crate) async fn is_dead(&self, tokens: &Tokens) {
        let called = self.call("/api", &tokens.access).await;
        assert_eq!((called.status, &*called.error), (401, "invalid_token"));
        assert!(
            called.challenge.starts_with("Bearer resource_metadata=\"http"),
            "{}",
            called.challenge
        );
    }
}
