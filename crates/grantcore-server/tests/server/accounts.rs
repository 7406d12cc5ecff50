//! Tests of accounts: the demonstration accounts exist on this machine only, accounts of a file
//! everywhere, and failed sign-ins are limited.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use crate::support::accounts::{file, file_of};
use crate::support::{form, install_crypto_provider, plain_client};
use grantcore_server::Running;
use reqwest::{Client, Response};

async fn try_start(more: &[&str]) -> Result<Running, String> {
    let listen: &[_] = if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let arguments = [&["grantcore-server", "--database", "memory:"], listen, more].concat();
    let started = Running::start(arguments).await;
    started.map_err(|error| error.to_string())
}

/// Returns a browser that connects from this loopback address.
fn browser(source: &str) -> Client {
    install_crypto_provider();
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .cookie_store(true)
        .local_address(source.parse::<IpAddr>().unwrap())
        .build()
        .unwrap()
}

async fn log_in(browser: &Client, server: &Running, name: &str, password: &str) -> Response {
    let url = format!("{}/login", server.issuer());
    let page = browser.get(&url).send().await.unwrap().text().await.unwrap();
    let mut fields = form(&page).fields;
    fields.extend([("username".into(), name.into()), ("password".into(), password.into())]);
    browser.post(&url).form(&fields).send().await.unwrap()
}

#[tokio::test]
async fn the_demonstration_exists_on_this_machine_only() {
    for issuer in ["http://127.0.0.1:8080", "http://[::1]:8080", "https://localhost"] {
        try_start(&["--issuer", issuer]).await.unwrap().stop().await.unwrap();
    }
    let accounts = file();
    let path = accounts.path().to_str().unwrap();
    for issuer in
        ["https://auth.example.test", "https://localhost.example.test", "https://10.0.0.1"]
    {
        let refusal = try_start(&["--issuer", issuer]).await.unwrap_err();
        assert!(refusal.contains("--accounts FILE"), "{issuer}: {refusal}");
        let running = try_start(&["--issuer", issuer, "--accounts", path]).await.unwrap();
        running.stop().await.unwrap();
    }
    // A loopback issuer does not prevent other machines from reaching the listen address.
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let named = ["--issuer", "http://localhost:8080", "--listen", listen];
        let refusal = try_start(&named).await.unwrap_err();
        for part in ["--accounts FILE", "--listen"] {
            assert!(refusal.contains(part), "{listen}: {refusal}");
        }
    }
    let empty = file_of(&[]);
    for path in ["/no/such/file", empty.path().to_str().unwrap()] {
        let refusal = try_start(&["--accounts", path]).await.unwrap_err();
        assert!(refusal.starts_with(&format!("--accounts {path}: ")), "{refusal}");
    }
}

#[tokio::test]
async fn the_published_secret_is_accepted_under_a_loopback_issuer_only() {
    let accounts = file();
    let named = ["--accounts", accounts.path().to_str().unwrap()];
    for (issuer, is_local) in
        [("http://127.0.0.1:8080", true), ("https://auth.example.test", false)]
    {
        let server = try_start(&[&named[..], &["--issuer", issuer]].concat()).await.unwrap();
        let base = format!("http://{}", server.address());
        let post = |path: &str, form: &[(&str, &str)]| {
            plain_client(false)
                .post(format!("{base}{path}"))
                .basic_auth("demo-confidential", Some("demo-confidential-secret"))
                .form(form)
                .send()
        };
        let inspected = post("/oauth/introspect", &[("token", "x")]).await.unwrap();
        let status = inspected.status();
        assert_eq!(status.is_success(), is_local, "{issuer}: {status}");
        let code = [("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", "x")];
        let redeemed = post("/oauth/token", &code).await.unwrap().text().await.unwrap();
        assert_eq!(redeemed.contains("\"invalid_client\""), !is_local, "{issuer}: {redeemed}");
        let metadata = format!("{base}/.well-known/oauth-authorization-server");
        let metadata = plain_client(false).get(metadata).send().await.unwrap();
        let metadata = metadata.text().await.unwrap();
        assert_eq!(metadata.contains("\"introspection_endpoint\""), is_local, "{metadata}");
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn accounts_of_a_file_replace_the_demonstration_accounts() {
    let accounts = file_of(&[("alice", "correct horse", ""), ("root", "battery", ":admin")]);
    let server = try_start(&["--accounts", accounts.path().to_str().unwrap()]).await.unwrap();
    let visitor = browser("127.0.0.1");
    let front = visitor.get(server.issuer()).send().await.unwrap().text().await.unwrap();
    assert!(!front.contains("Demonstration accounts"), "{front}");
    for (name, password) in
        [("alice", "alice"), ("admin", "admin"), ("bob", "bob"), ("alice", "battery"), ("", "")]
    {
        assert_eq!(log_in(&visitor, &server, name, password).await.status(), 403, "{name}");
    }
    let admin = format!("{}/admin", server.issuer());
    for (name, password, status) in [("alice", "correct horse", 403), ("root", "battery", 200)] {
        let browser = browser("127.0.0.1");
        assert_eq!(log_in(&browser, &server, name, password).await.status(), 303);
        assert_eq!(browser.get(&admin).send().await.unwrap().status(), status);
        let front = browser.get(server.issuer()).send().await.unwrap().text().await.unwrap();
        assert_eq!(front.contains("Administration"), status == 200, "{front}");
    }
    server.stop().await.unwrap();
}

/// An account and an unknown name get the same responses.
#[tokio::test]
async fn failed_sign_ins_are_limited_by_account_and_source_and_lock_nobody_out() {
    let accounts = file();
    let path = accounts.path().to_str().unwrap();
    for arguments in [&[][..], &["--accounts", path]] {
        let server = try_start(arguments).await.unwrap();
        for name in ["alice", "nobody"] {
            let guesser = browser("127.0.0.2");
            for _ in 0..5 {
                assert_eq!(log_in(&guesser, &server, name, "wrong").await.status(), 403);
            }
            for password in ["wrong", "alice"] {
                let refused = log_in(&guesser, &server, name, password).await;
                assert_eq!(refused.status(), 429, "{name}");
                let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
                let page = refused.text().await.unwrap();
                assert!(
                    page.contains(
                        "Too many sign-ins from your network, or to this account, have failed"
                    ),
                    "{page}"
                );
            }
        }
        let home = browser("127.0.0.3");
        assert_eq!(log_in(&home, &server, "alice", "alice").await.status(), 303);
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn guesses_from_many_sources_slow_down_only_the_sources_that_failed() {
    let server = try_start(&[]).await.unwrap();
    for source in 10..100 {
        let guesser = browser(&format!("127.0.1.{source}"));
        assert_eq!(log_in(&guesser, &server, "alice", "wrong").await.status(), 403);
    }
    let again = log_in(&browser("127.0.1.99"), &server, "alice", "alice").await;
    assert_eq!(again.status(), 429, "this source has just failed");
    let home = log_in(&browser("127.0.0.3"), &server, "alice", "alice").await;
    assert_eq!(home.status(), 303);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn one_source_may_fail_thirty_times_a_minute_at_all_accounts() {
    let server = try_start(&[]).await.unwrap();
    let guesser = browser("127.0.0.4");
    for n in 0..30 {
        let answer = log_in(&guesser, &server, &format!("user{n}"), "password").await;
        assert_eq!(answer.status(), 403, "{n}");
    }
    assert_eq!(log_in(&guesser, &server, "user30", "password").await.status(), 429);
    for _ in 0..40 {
        let answer = log_in(&browser("127.0.0.5"), &server, "alice", "alice").await;
        assert_eq!(answer.status(), 303, "a successful sign-in is not counted");
    }
    server.stop().await.unwrap();
}

/// Follows the documentation of `--accounts`: the output of the command goes into the file.
#[tokio::test]
async fn the_output_of_hash_password_works_in_the_accounts_file() {
    let hashed = |password: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantcore-server"))
            .arg("hash-password")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        command.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        command.wait_with_output().unwrap()
    };
    let written = hashed("correct horse: battery\r\n");
    assert!(written.status.success());
    let hash = String::from_utf8(written.stdout).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=") && hash.ends_with('\n'), "{hash}");
    for nothing in ["", "\n"] {
        let refused = hashed(nothing);
        assert!(!refused.status.success() && refused.stdout.is_empty());
    }

    let mut accounts = tempfile::NamedTempFile::new().unwrap();
    write!(accounts, "alice:{hash}").unwrap();
    let server = try_start(&["--accounts", accounts.path().to_str().unwrap()]).await.unwrap();
    let browser = browser("127.0.0.1");
    let wrong = log_in(&browser, &server, "alice", "correct horse").await;
    assert_eq!(wrong.status(), 403);
    let right = log_in(&browser, &server, "alice", "correct horse: battery").await;
    assert_eq!(right.status(), 303);
    server.stop().await.unwrap();
}
