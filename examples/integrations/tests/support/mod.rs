//! Examples as processes of their own, a small browser, and a client.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantcore_testing_clients::form;
pub use grantcore_testing_clients::{CALLBACK, param, plain_client};
use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The verifier and challenge of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Returns the path of an example of this package. `cargo test` builds it next to the tests, unless
/// it is asked for one test only: an example that is older than its file would prove nothing.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    let binary = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
    let changed = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let is_current = changed(&binary).is_some_and(|built| Some(built) >= changed(&source));
    assert!(is_current, "{name} is not built: run `cargo test -p grantcore-examples` as a whole");
    binary
}

/// An example that serves, until this is dropped.
pub struct Running {
    child: Child,
    /// The first URL that it has printed.
    pub url: String,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts an example, and waits until it prints its URL.
    pub async fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(example(name));
        // Colors would stand within the texts that a test waits for.
        command.env("NO_COLOR", "1").args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let printed: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&printed);
        let (found, mut url) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(at) = line.find("http://") {
                    let _ = found.send(line[at..].to_owned());
                }
                kept.lock().unwrap().push(line);
            }
        });
        let url = timeout(Duration::from_secs(60), url.recv()).await.unwrap();
        let url = url.expect("the example prints its URL");
        Self { child, url, printed }
    }

    /// Waits until a line is printed that has all of these texts.
    pub async fn prints(&self, texts: &[&str]) {
        let is_printed = || {
            let printed = self.printed.lock().unwrap();
            printed.iter().any(|line| texts.iter().all(|text| line.contains(text)))
        };
        for _ in 0..100 {
            if is_printed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no line with {texts:?} in {:#?}", self.printed.lock().unwrap());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser: it keeps cookies, and sends the forms of pages.
pub struct Browser {
    pub http: Client,
}

impl Browser {
    pub fn new() -> Self {
        Self { http: plain_client(true) }
    }

    pub async fn get(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }

    /// Sends the form of a page, which was read at this URL, with these fields in addition. A
    /// browser says which page the form is of.
    pub async fn submit(&self, url: &str, page: &str, fields: &[(&str, &str)]) -> Response {
        let mut form = form(page);
        form.fields.extend(fields.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let action = Url::parse(url).unwrap().join(&form.action).unwrap();
        let request = self.http.post(action).header("sec-fetch-site", "same-origin");
        request.form(&form.fields).send().await.unwrap()
    }

    /// Opens an authorization URL whose server has a form for name and password. Returns the
    /// consent page.
    pub async fn sign_in(&self, url: &str, username: &str, password: &str) -> String {
        let login = location(&self.get(url).await);
        let page = self.get(login.as_str()).await.text().await.unwrap();
        let fields = [("username", username), ("password", password)];
        let back = location(&self.submit(login.as_str(), &page, &fields).await);
        assert_eq!(back.as_str(), url);
        self.get(url).await.text().await.unwrap()
    }

    /// Presses a button of the consent page. Returns the redirect to the client.
    pub async fn decide(&self, url: &str, page: &str, decision: &str) -> Url {
        location(&self.submit(url, page, &[("decision", decision)]).await)
    }
}

/// Returns the target of a redirect.
pub fn location(response: &Response) -> Url {
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", response.url());
    response.url().join(response.headers()[LOCATION].to_str().unwrap()).unwrap()
}

/// Registers a client and returns its id.
pub async fn register(issuer: &str) -> String {
    let metadata = json!({
        "client_name": "A test", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
    });
    let request = plain_client(false).post(format!("{issuer}/oauth/register")).json(&metadata);
    let client: Value = request.send().await.unwrap().json().await.unwrap();
    client["client_id"].as_str().unwrap_or_else(|| panic!("{client}")).to_owned()
}

/// Returns the authorization URL of a client, as the login page leads back to it.
pub fn authorization_url(issuer: &str, client_id: &str, resource: &str) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("state", "xyz"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", resource),
    ];
    Url::parse_with_params(&format!("{issuer}/oauth/authorize"), parameters).unwrap().into()
}

/// Redeems the code of a redirect. Returns the access token.
pub async fn redeem(issuer: &str, client_id: &str, redirect: &Url) -> String {
    let code = param(redirect, "code").unwrap_or_else(|| panic!("no code in {redirect}"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let request = plain_client(false).post(format!("{issuer}/oauth/token")).form(&form);
    let tokens: Value = request.send().await.unwrap().json().await.unwrap();
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
}

/// Calls a resource with a token.
pub async fn call(url: &str, token: &str) -> Response {
    plain_client(false).get(url).bearer_auth(token).send().await.unwrap()
}
