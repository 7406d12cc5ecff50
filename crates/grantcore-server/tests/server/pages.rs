//! Tests of the pages without a browser: access control, the CSRF token of forms, and the absence
//! of secrets from pages, log and database.

mod admin;
mod forms;
mod named;
mod organizations;
mod remembered;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::support::client::{redeem, register};
use crate::support::{
    Browser, CALLBACK, VERIFIER, authorization_url, form, install_crypto_provider, param,
    plain_client,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore_server::Running;
use reqwest::Url;
use reqwest::cookie::{CookieStore as _, Jar};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

/// A process that ends with the test.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start() -> Running {
    crate::support::start(&[]).await
}

/// Authorizes the demo client for the API, and returns its access and refresh token.
async fn tokens(issuer: &str, browser: &Browser) -> (String, String) {
    let url = authorization_url(issuer, &format!("{issuer}/api"));
    let body = redeem(issuer, "demo-public", &browser.authorize(&url, "allow").await).await;
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn api(issuer: &str, token: &str) -> u16 {
    plain_client(false)
        .get(format!("{issuer}/api"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn page(browser: &Browser, url: &str) -> (u16, String) {
    let answer = browser.http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Returns the address of the first Disconnect button.
fn disconnect_path(list: &str) -> String {
    let path = list
        .split("href=\"")
        .find(|rest| rest.contains("/disconnect\""))
        .unwrap_or_else(|| panic!("no Disconnect button: {list}"));
    path.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn only_the_user_can_end_a_connection_and_only_with_the_token_of_the_form() {
    let server = start().await;
    let issuer = server.issuer().to_owned();
    let alice = Browser::new("alice");
    let bob = Browser::new("bob");
    let (access, _) = tokens(&issuer, &alice).await;
    tokens(&issuer, &bob).await;
    let (status, list) = page(&alice, &format!("{issuer}/settings/connected-apps")).await;
    assert_eq!(status, 200);
    let target = format!("{issuer}{}", disconnect_path(&list));

    // Another user, with the token of their own form.
    let (_, bobs) = page(&bob, &format!("{issuer}/settings/connected-apps")).await;
    let (_, bobs) = page(&bob, &format!("{issuer}{}", disconnect_path(&bobs))).await;
    assert_eq!(page(&bob, &target).await.0, 404);
    assert_eq!(
        bob.http.post(&target).form(&form(&bobs).fields).send().await.unwrap().status(),
        404
    );
    // No session; no token; the token of another browser.
    let stranger = plain_client(true).post(&target).form(&form(&bobs).fields).send().await.unwrap();
    assert!(
        stranger.status() == 303
            && stranger.headers()["location"].to_str().unwrap().starts_with("/login")
    );
    for fields in [Vec::new(), vec![("csrf".to_owned(), "x".to_owned())], form(&bobs).fields] {
        assert_eq!(alice.http.post(&target).form(&fields).send().await.unwrap().status(), 403);
    }
    assert_eq!(api(&issuer, &access).await, 200, "nothing was changed");

    let (_, confirm) = page(&alice, &target).await;
    let answer = alice.http.post(&target).form(&form(&confirm).fields).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(api(&issuer, &access).await, 401);
    assert_eq!(page(&alice, &target).await.0, 404, "the connection has ended");
    assert_eq!(
        page(&alice, &format!("{issuer}/settings/connected-apps/nonsense/disconnect")).await.0,
        404
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn only_an_administrator_can_use_the_administrators_pages() {
    let server = start().await;
    let issuer = server.issuer().to_owned();
    let alice = Browser::new("alice");
    let (access, _) = tokens(&issuer, &alice).await;
    for path in [
        "",
        "/clients",
        "/clients/new",
        "/client?id=demo-public",
        "/accounts",
        "/accounts/alice",
        "/log",
        "/flow/x",
        "/confirm?act=suspend-account&subject=bob",
    ] {
        assert_eq!(page(&alice, &format!("{issuer}/admin{path}")).await.0, 403, "{path}");
        let stranger =
            plain_client(false).get(format!("{issuer}/admin{path}")).send().await.unwrap();
        assert_eq!(stranger.status(), 303, "{path}");
        // The login leads on to the page that was opened.
        let login = stranger.headers()["location"].to_str().unwrap();
        let login = Url::parse(&issuer).unwrap().join(login).unwrap();
        assert_eq!(param(&login, "next"), Some(format!("/admin{path}")), "{login}");
    }
    // The form of a stranger is not sent again, and an address has an end.
    let http = plain_client(false);
    let long = format!("{issuer}/admin/log?client={}", "x".repeat(2000));
    for request in [http.get(long), http.post(format!("{issuer}/admin/act"))] {
        let stranger = request.send().await.unwrap();
        assert_eq!(stranger.headers()["location"], "/login?next=%2Fadmin");
    }
    let act = format!("{issuer}/admin/act");
    let suspend = [("act", "suspend-account"), ("subject", "alice"), ("reason", "x")];
    assert_eq!(alice.http.post(&act).form(&suspend).send().await.unwrap().status(), 403);
    let new = format!("{issuer}/admin/clients/new");
    let mine = [("id", "mine"), ("redirect_uris", "https://mine.example/cb")];
    assert_eq!(alice.http.post(&new).form(&mine).send().await.unwrap().status(), 403);

    let admin = Browser::new("admin");
    tokens(&issuer, &admin).await;
    for (target, fields) in [(&act, &suspend[..]), (&new, &mine)] {
        let forged = admin.http.post(target).form(fields).send().await.unwrap();
        assert_eq!(forged.status(), 403, "{target}: without the form's token");
    }
    let (status, _) = page(&admin, &format!("{issuer}/admin/client?id=mine")).await;
    assert_eq!((api(&issuer, &access).await, status), (200, 404), "nothing was changed");
    let (_, account) = page(&admin, &format!("{issuer}/admin/accounts/alice")).await;
    let csrf = form(&account).fields.into_iter().find(|(name, _)| name == "csrf").unwrap().1;
    let acting = async |fields: &[(&str, &str)]| {
        let answer = admin
            .http
            .post(&act)
            .form(&[fields, &[("csrf", csrf.as_str())]].concat())
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    };
    for (bad, status) in [
        (&[("act", "suspend-account")][..], 400),
        (&[("act", "dance"), ("subject", "alice")], 400),
        (&[("act", "suspend-account"), ("subject", "nobody"), ("reason", "x")], 404),
        (&[("act", "top-up"), ("subject", "alice"), ("by", "-1")], 400),
        (&[("act", "suspend-client"), ("client_id", "nobody"), ("reason", "x")], 404),
        // The page that asks for the reason.
        (&[("act", "disconnect-account"), ("subject", "alice")], 400),
        (&[("act", "suspend-account"), ("subject", "alice"), ("reason", " ")], 400),
        (&[("act", "suspend-account"), ("subject", "admin"), ("reason", "x")], 409),
    ] {
        assert_eq!(acting(bad).await, status, "{bad:?}");
    }
    assert_eq!(api(&issuer, &access).await, 200, "nothing was changed");
    assert_eq!(acting(&suspend).await, 303);
    assert_eq!(api(&issuer, &access).await, 401);
    assert_eq!(acting(&[("act", "lift-account"), ("subject", "alice")]).await, 303);
    assert_eq!(
        acting(&[("act", "disconnect-client"), ("client_id", "demo-public"), ("reason", "x")])
            .await,
        303
    );
    assert_eq!(api(&issuer, &access).await, 401);
    let (_, bad_time) = page(&admin, &format!("{issuer}/admin/log?at=yesterday")).await;
    assert!(bad_time.contains("Write it like"));
    server.stop().await.unwrap();
}

/// Runs every flow on the program with its log at `trace`, and then searches the log, the pages and
/// the files for secrets.
#[expect(clippy::too_many_lines, reason = "one scenario from beginning to end")]
#[tokio::test]
async fn no_secret_is_in_the_log_on_a_page_or_in_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    let mut program = KillOnDrop(
        Command::new(env!("CARGO_BIN_EXE_grantcore-server"))
            .args(["--listen", "127.0.0.1:0", "--log", "trace", "--drain", "0s"])
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let mut first = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(program.0.stdout.take().unwrap()),
        &mut first,
    )
    .unwrap();
    let issuer = first.trim().strip_prefix("grantcore-server at ").unwrap().to_owned();

    // The cookies of alice's browser are looked for as well.
    let jar = Arc::new(Jar::default());
    install_crypto_provider();
    let http = reqwest::Client::builder().redirect(Policy::none()).cookie_provider(jar.clone());
    let alice = Browser::with(http.build().unwrap(), "alice");
    let admin = Browser::new("admin");
    let (access, refresh) = tokens(&issuer, &alice).await;
    tokens(&issuer, &admin).await;
    let client = plain_client(false);
    let url = authorization_url(&issuer, &format!("{issuer}/api"));
    let consent = alice.consent_page(&url).await;
    let fields = form(&consent).fields;
    let ticket = fields.iter().find(|(_, value)| value.starts_with("gct_"));
    let ticket = ticket.expect("the form has the ticket").1.clone();
    let code = param(&alice.press(&url, &consent, "allow").await, "code").unwrap();
    let cookies = jar.cookies(&issuer.parse().unwrap()).expect("alice has a session");
    let cookies = cookies.to_str().unwrap().split("; ").map(|own| own.split_once('=').unwrap().1);
    let cookies: Vec<_> = cookies.filter(|own| own.len() >= 20).map(str::to_owned).collect();
    assert!(!cookies.is_empty(), "a session cookie");
    let post = async |path: &str, fields: &[(&str, &str)]| -> Value {
        client
            .post(format!("{issuer}{path}"))
            .form(fields)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap_or_default()
    };
    let again = [
        ("grant_type", "refresh_token"),
        ("client_id", "demo-public"),
        ("refresh_token", &*refresh),
    ];
    let renewed = post("/oauth/token", &again).await;
    let text = |body: &Value, name: &str| {
        body[name].as_str().unwrap_or_else(|| panic!("{name}: {body}")).to_owned()
    };
    let mut secrets = vec![
        access.clone(),
        refresh.clone(),
        text(&renewed, "access_token"),
        text(&renewed, "refresh_token"),
        ticket,
        code,
    ];
    secrets.extend(cookies);
    let metadata = json!({
        "redirect_uris": ["https://a.example/cb"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let registered = register(&issuer, &metadata).await;
    secrets.extend([
        text(&registered, "client_secret"),
        text(&registered, "registration_access_token"),
    ]);
    // Sends each secret to the right endpoint and to wrong ones.
    assert_eq!(api(&issuer, &text(&renewed, "access_token")).await, 200);
    for secret in secrets.clone() {
        api(&issuer, &secret).await;
        post(
            "/oauth/token",
            &[
                ("grant_type", "authorization_code"),
                ("client_id", "demo-public"),
                ("code", &secret),
            ],
        )
        .await;
        post("/oauth/revoke", &[("client_id", "demo-public"), ("token", &secret)]).await;
        post("/oauth/introspect", &[("client_id", "demo-public"), ("token", &secret)]).await;
        client.get(format!("{issuer}/api?access_token={secret}")).send().await.unwrap();
    }
    post("/oauth/token", &again).await;
    secrets.push(VERIFIER.into());
    let mut pages = String::new();
    for path in [
        "/settings/connected-apps",
        "/admin/clients",
        "/admin/client?id=demo-confidential",
        "/admin/accounts/alice",
        "/admin/log?subject=alice",
        "/admin/log",
    ] {
        pages.push_str(
            &page(
                if path.starts_with("/admin") { &admin } else { &alice },
                &format!("{issuer}{path}"),
            )
            .await
            .1,
        );
    }
    assert!(pages.contains("grant_revoked"), "the audit log has the whole flow");
    assert!(
        Command::new("kill")
            .args(["-TERM", &program.0.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(program.0.wait().unwrap().success());

    // The raw secret bytes of a credential, after its prefix and its grant id. A database could
    // hold these.
    let raw = |secret: &String| {
        URL_SAFE_NO_PAD
            .decode(secret.get(4..)?)
            .ok()
            .filter(|bytes| bytes.len() > 16)
            .map(|bytes| bytes[16..].to_vec())
    };
    let mut needles: Vec<Vec<u8>> = secrets.iter().filter_map(raw).collect();
    needles.extend(secrets.iter().map(|secret| secret.as_bytes().to_vec()));
    let contains =
        |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|window| window == needle);
    let mut places = vec![("pages".to_owned(), pages.into_bytes())];
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        places.push((
            path.file_name().unwrap().to_string_lossy().into_owned(),
            std::fs::read(&path).unwrap(),
        ));
    }
    assert!(places.iter().any(|(name, bytes)| name == "log"
        && contains(bytes, b"grant_revoked")
        && bytes.len() > 10_000));
    // In the database file or in its write-ahead log.
    assert!(
        places.iter().any(|(name, bytes)| name.starts_with("grantcore.sqlite")
            && contains(bytes, b"grant_revoked"))
    );
    for (place, bytes) in &places {
        for (number, needle) in needles.iter().enumerate() {
            assert!(!contains(bytes, needle), "secret {number} is in {place}");
        }
    }
}
