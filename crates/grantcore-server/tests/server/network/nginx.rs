//! Tests of the server behind Debian's nginx, with TLS and default settings.
//!
//! If nginx is not installed, these tests are skipped with a message, unless
//! `GRANTCORE_REQUIRE_NGINX=1`.

use std::net::{Ipv4Addr, SocketAddr};

use grantcore_server::Running;
use reqwest::{Certificate, Client, Response, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::header;
use crate::support::client::redemption;
use crate::support::nginx::{self, CERTIFICATE, KEY, Nginx};
use crate::support::{
    Browser, CALLBACK, CHALLENGE, accounts, authorization_url, deploy, install_crypto_provider,
    mcp_upstream, param,
};

const NAME: &str = "auth.example.test";

/// nginx with TLS in front of a server, at `https://auth.example.test:PORT`.
struct Proxied {
    server: Running,
    nginx: Nginx,
    authority: Certificate,
    port: u16,
    _directory: TempDir,
}

impl Proxied {
    /// Starts both. `issuer` is the path of the issuer, `location` has settings of nginx besides
    /// `proxy_pass`, and `upstream` is the name of a named upstream. Returns `None` if nginx is not
    /// installed.
    async fn start(
        issuer: &str,
        location: &str,
        upstream: Option<&str>,
        more: &[&str],
    ) -> Option<Self> {
        let settings = |address: SocketAddr| {
            let (named, target) = match upstream {
                Some(name) => {
                    let kept = format!("upstream {name} {{ server {address}; keepalive 4; }}");
                    (kept, name.to_owned())
                }
                None => (String::new(), address.to_string()),
            };
            (named, format!("location / {{ proxy_pass http://{target}; {location} }}"))
        };
        Self::with(issuer, settings, more).await
    }

    /// Starts both. `settings` returns what nginx has for a server at this address: before the
    /// block `server`, and in it.
    async fn with(
        issuer: &str,
        settings: impl FnOnce(SocketAddr) -> (String, String),
        more: &[&str],
    ) -> Option<Self> {
        if !nginx::is_installed() {
            return None;
        }
        let port = grantcore_testing_servers::free_port();
        let issuer = format!("https://{NAME}:{port}{issuer}");
        let arguments = ["grantcore-server", "--listen", "127.0.0.1:0", "--database", "memory:"];
        let accounts = accounts::file();
        let named = accounts.path().to_str().unwrap();
        let issuer = ["--issuer", &issuer, "--accounts", named];
        let arguments = [&arguments[..], &issuer, more].concat();
        let server = Running::start(arguments).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authority = nginx::certify(directory.path(), NAME);
        let (before, own) = settings(server.address());
        let settings = format!(
            "{before}
             server {{ listen 127.0.0.1:{port} ssl; server_name {NAME};
               ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY};
               {own} }}"
        );
        let nginx = Nginx::start(directory.path(), &settings, port);
        Some(Self { server, nginx, authority, port, _directory: directory })
    }

    fn issuer(&self) -> &str {
        self.server.issuer()
    }

    /// A client that trusts nginx's certificate and follows no redirect.
    fn http(&self) -> Client {
        install_crypto_provider();
        Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .tls_certs_only([self.authority.clone()])
            .resolve(NAME, SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .build()
            .unwrap()
    }

    fn browser(&self, user: &'static str) -> Browser {
        Browser::with(self.http(), user)
    }

    async fn stop(self) {
        drop(self.nginx);
        self.server.stop().await.unwrap();
    }
}

/// Runs the whole flow at the resource of this path, with discovery, from a refused call to a
/// refreshed token.
async fn whole_flow(proxied: &Proxied, path: &str) {
    let http = proxied.http();
    let issuer = proxied.issuer();
    let resource = format!("{issuer}{path}");
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}});
    let call = |token: &str| {
        let call = http.post(&resource).bearer_auth(token).json(&hello);
        call.header("accept", "application/json, text/event-stream").send()
    };

    let refused = http.post(&resource).json(&hello).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = header(&refused, "www-authenticate");
    let metadata =
        challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let metadata: Value = http.get(metadata).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["authorization_servers"], json!([issuer]));
    let path = Url::parse(issuer).unwrap().path().trim_end_matches('/').to_owned();
    let origin = issuer.strip_suffix(&path).unwrap();
    let metadata = http.get(format!("{origin}/.well-known/oauth-authorization-server{path}"));
    let metadata: Value = metadata.send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], issuer);
    let endpoint = |name: &str| metadata[format!("{name}_endpoint")].as_str().unwrap().to_owned();

    let registration = json!({
        "client_name": "Test",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let client = http.post(endpoint("registration")).json(&registration).send().await.unwrap();
    let client: Value = client.json().await.unwrap();
    let client_id = client["client_id"].as_str().unwrap();
    let url = authorization_url(issuer, &resource).replace("demo-public", client_id);
    let answer = proxied.browser("alice").authorize(&url, "allow").await;
    assert_eq!(param(&answer, "iss").as_deref(), Some(issuer));
    let code = param(&answer, "code").unwrap();
    let redeem = redemption(client_id, &code);
    let tokens = http.post(endpoint("token")).form(&redeem).send().await.unwrap();
    let tokens: Value = tokens.json().await.unwrap();
    assert_eq!(call(tokens["access_token"].as_str().unwrap()).await.unwrap().status(), 200);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let renewed = http.post(endpoint("token")).form(&refresh).send().await.unwrap();
    let renewed: Value = renewed.json().await.unwrap();
    assert_eq!(call(renewed["access_token"].as_str().unwrap()).await.unwrap().status(), 200);
}

const HOST: &str = "proxy_set_header Host $host;";

#[tokio::test]
async fn f05_the_whole_flow_behind_nginx_with_its_default_settings() {
    for location in
        [HOST, "", "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"]
    {
        let Some(proxied) = Proxied::start("", location, None, &[]).await else { return };
        whole_flow(&proxied, "/mcp").await;
        let page = proxied.http().get(format!("{}/login", proxied.issuer()));
        let page = page.header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 200, "the login page is opened by https: {location}");
        let cookie = header(&page, "set-cookie");
        assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
        proxied.stop().await;
    }
}

#[tokio::test]
async fn f21_the_whole_flow_behind_nginx_under_a_path() {
    let Some(proxied) = Proxied::start("/auth", HOST, None, &[]).await else { return };
    whole_flow(&proxied, "/mcp").await;
    let login = proxied.http().get(format!("{}/login", proxied.issuer())).send().await.unwrap();
    let cookie = header(&login, "set-cookie");
    let is_under = cookie.split("; ").any(|part| part == "Path=/auth");
    assert!(cookie.starts_with("__Secure-") && is_under, "{cookie}");
    proxied.stop().await;
}

/// Returns the nginx of a section of docs/deploy.md for a server at this address: what is before
/// the block `server`, and what is in that block besides its name.
fn of_page(section: &str, address: SocketAddr) -> (String, String) {
    let [page] = <[String; 1]>::try_from(deploy::blocks(section, "nginx")).unwrap();
    let mut page = page;
    for theirs in ["127.0.0.1:8080", "10.0.0.8:8080", "10.0.0.9:8080"] {
        page = page.replace(theirs, &address.to_string());
    }
    assert!(page.contains(&address.to_string()), "{page}");
    let Some((before, server)) = page.split_once("server {\n    listen 443 ssl;\n") else {
        return (String::new(), page);
    };
    let own = server.replace("server_name auth.example.com;", "");
    (before.to_owned(), own.trim_end().strip_suffix('}').unwrap().to_owned())
}

#[tokio::test]
async fn f05_f21_the_whole_flow_behind_each_nginx_of_the_page_for_operators() {
    let trusted = ["--trusted-proxies", "127.0.0.1"];
    let behind = |address| of_page("Behind a proxy", address);
    let Some(proxied) = Proxied::with("", behind, &trusted).await else { return };
    whole_flow(&proxied, "/mcp").await;
    proxied.stop().await;

    let several = ["--trusted-proxies", "127.0.0.1", "--replay-window", "30s"];
    let settings = |address| of_page("Several processes", address);
    let proxied = Proxied::with("", settings, &several).await.unwrap();
    whole_flow(&proxied, "/mcp").await;
    proxied.stop().await;

    // The page has the documents at the root of the host, beside the path itself.
    let under = |address| {
        let (before, own) = of_page("Under a path", address);
        let path = format!("location /auth {{ proxy_pass http://{address}; {HOST} }}");
        (before, format!("{path}\n{own}"))
    };
    let proxied = Proxied::with("/auth", under, &trusted).await.unwrap();
    whole_flow(&proxied, "/mcp").await;
    proxied.stop().await;
}

#[tokio::test]
async fn f08_a_named_upstream_is_served_once_its_name_is_allowed() {
    let upstream = Some("grantcore_backend");
    let Some(proxied) = Proxied::start("", "", upstream, &[]).await else { return };
    let url = format!("{}/mcp", proxied.issuer());
    let refused = proxied.http().post(&url).json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let body = refused.text().await.unwrap();
    assert!(body.contains("grantcore_backend") && body.contains("--allowed-hosts"), "{body}");
    proxied.stop().await;

    let allowed = ["--allowed-hosts", "grantcore_backend"];
    let Some(proxied) = Proxied::start("", "", upstream, &allowed).await else { return };
    whole_flow(&proxied, "/mcp").await;
    proxied.stop().await;
}

/// nginx keeps its connections to the server. A refused upload breaks none of them: neither its own
/// response, nor that of another request on the same connection.
#[tokio::test]
async fn rs_07_refused_uploads_break_no_connection_that_nginx_keeps() {
    let kept = format!(
        "{HOST} proxy_http_version 1.1; proxy_set_header Connection \"\"; client_max_body_size 9m;"
    );
    let unbuffered = format!("{kept} proxy_request_buffering off;");
    for location in [&kept, &unbuffered] {
        let Some(proxied) = Proxied::start("", location, Some("kept"), &[]).await else { return };
        let http = proxied.http();
        let large = "x".repeat(3_900_000);
        for turn in 0..12 {
            let path = ["/mcp", "/api", "/nowhere"][turn % 3];
            let upload = http.post(format!("{}{path}", proxied.issuer())).body(large.clone());
            let upload = async { upload.send().await.unwrap().status().as_u16() };
            let token = http.post(format!("{}/oauth/token", proxied.issuer()));
            let token = token.form(&[("grant_type", "authorization_code"), ("client_id", "x")]);
            let token = async { token.send().await.unwrap().status().as_u16() };
            let (upload, token) = tokio::join!(upload, token);
            let log = proxied.nginx.log();
            assert_eq!((upload, token), ([401, 401, 404][turn % 3], 401), "{turn} {log}");
        }
        proxied.stop().await;
    }
}

#[tokio::test]
async fn f20_each_user_behind_nginx_has_a_separate_limit() {
    const FORWARDED: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
    let limits = ["--registration-rate", "8", "--trusted-proxies", "127.0.0.1"];
    let Some(proxied) = Proxied::start("", FORWARDED, None, &limits).await else { return };
    let http = proxied.http();
    let register = async |user: u8| {
        let body = json!({
            "client_name": "n",
            "redirect_uris": ["https://app.example.test/cb"],
            "token_endpoint_auth_method": "none",
        });
        let request = http.post(format!("{}/oauth/register", proxied.issuer())).json(&body);
        // All users connect from 127.0.0.1, which acts as one more proxy with this header.
        let request = request.header("x-forwarded-for", format!("203.0.113.{user}"));
        request.send().await.unwrap().status().as_u16()
    };
    for user in 0..20 {
        assert_eq!(register(user).await, 201);
    }
    for _ in 0..7 {
        assert_eq!(register(0).await, 201);
    }
    assert_eq!(register(0).await, 429);
    assert_eq!(register(1).await, 201);
    proxied.stop().await;
}

/// Returns an authorization request with a state of this length, and the state.
fn with_state(issuer: &str, length: usize) -> (String, String) {
    // Most of its characters are escaped in a URL.
    let state: String = "{\"k\":\"a b/\"&".chars().cycle().take(length).collect();
    let url = Url::parse_with_params(
        &format!("{issuer}/oauth/authorize"),
        [
            ("response_type", "code"),
            ("client_id", "demo-public"),
            ("redirect_uri", CALLBACK),
            ("state", &state),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ],
    );
    (url.unwrap().into(), state)
}

/// Returns the target of the response to a consent form: by a redirect, or by a page if the address
/// is too long for the 4 KiB of headers that nginx passes.
async fn onward(answer: Response) -> Url {
    if answer.status() == 303 {
        return Url::parse(header(&answer, "location")).unwrap();
    }
    assert_eq!(answer.status(), 200);
    let page = answer.text().await.unwrap();
    let target = page.split("http-equiv=\"refresh\" content=\"0; url=").nth(1).unwrap();
    Url::parse(&target.split('"').next().unwrap().replace("&#38;", "&")).unwrap()
}

#[tokio::test]
async fn f05_a_long_state_passes_nginx_signed_out_and_in() {
    let Some(proxied) = Proxied::start("", HOST, None, &[]).await else { return };
    let plain = "s".repeat(4096);
    let url = authorization_url(proxied.issuer(), &format!("{}/mcp", proxied.issuer()));
    let url = url.replace("state=xyz", &format!("state={plain}"));
    let escaped = [100, 1400, 1500, 2800].map(|length| with_state(proxied.issuer(), length));
    for (url, state) in escaped.into_iter().chain([(url, plain)]) {
        let length = state.len();
        let browser = proxied.browser("alice");
        for (turn, decision) in [("signed out", "deny"), ("signed in", "allow")] {
            let page = browser.consent_page(&url).await;
            assert!(
                page.contains("Allow access"),
                "{turn} {length}: {page} {}",
                proxied.nginx.log()
            );
            let target = onward(browser.submit(&url, &page, decision).await).await;
            assert!(target.as_str().starts_with(CALLBACK), "{target}");
            assert_eq!(param(&target, "state").as_deref(), Some(&*state), "{turn} {length}");
            assert_eq!(param(&target, "code").is_some(), decision == "allow", "{turn} {length}");
        }
    }
    proxied.stop().await;
}

/// Follows docs/deploy.md: an MCP server without OAuth gets it, with the page's settings and nginx.
#[tokio::test]
async fn an_mcp_server_is_protected_as_the_page_says() {
    let section = "From nothing to a protected MCP server";
    let [settings] = <[String; 1]>::try_from(deploy::blocks(section, "toml")).unwrap();
    let [nginx] = <[String; 1]>::try_from(deploy::blocks(section, "nginx")).unwrap();
    let (_, location) = nginx.split_once("proxy_pass http://127.0.0.1:8080;").unwrap();
    let (location, _) = location.split_once('}').unwrap();
    let upstream = mcp_upstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("grantcore.toml");
    let settings = settings.replace("127.0.0.1:3000", &upstream.to_string());
    std::fs::write(&file, settings).unwrap();

    let more = ["--config", file.to_str().unwrap()];
    let Some(proxied) = Proxied::start("", location, None, &more).await else { return };
    whole_flow(&proxied, "/notes").await;
    proxied.stop().await;
}
