//! Cases F06, F20 and F21 that need several requests.

use grantcore_server::Running;
use reqwest::Url;
use serde_json::{Value, json};

use crate::support::accounts::file;
use crate::support::cases::log_in;
use crate::support::{Browser, CALLBACK, CHALLENGE, client, plain_client, start};

/// The redirect URI of the client.
pub(crate) const CHAT: &str = "https://chat.example.test/connector/oauth/abc";

/// Registers a public client, and returns its client id.
pub(crate) async fn register(server: &Running, redirect_uri: &str) -> String {
    let metadata = json!({
        "client_name": "Chat", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"
    });
    let client = client::register(server.issuer(), &metadata).await;
    client["client_id"].as_str().unwrap().to_owned()
}

/// Returns an authorization request of this client with additional parameters.
pub(crate) fn ask(server: &Running, client_id: &str, more: &[(&str, &str)]) -> Url {
    let parameters = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CHAT),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("scope", "notes"),
    ];
    let all = parameters.iter().chain(more);
    Url::parse_with_params(&format!("{}/oauth/authorize", server.issuer()), all).unwrap()
}

/// The error comes by redirect or on the error page, as other errors do.
#[tokio::test]
async fn f06_prompt_none_yields_an_error_and_no_consent_page() {
    let server = start(&[]).await;
    let client_id = register(&server, CHAT).await;
    let alice = log_in(&server, "alice").await;
    let nobody = plain_client(true);
    for (http, prompt, error) in [
        (&nobody, "none", "login_required"),
        (&alice, "none", "consent_required"),
        (&alice, "none login", "invalid_request"),
        (&nobody, "none consent", "invalid_request"),
    ] {
        let url = ask(&server, &client_id, &[("state", "s"), ("prompt", prompt)]);
        let answer = http.get(url).send().await.unwrap();
        let text = match answer.headers().get("location") {
            Some(location) => location.to_str().unwrap().to_owned(),
            None => answer.text().await.unwrap(),
        };
        assert!(text.contains(error), "{prompt}: {text}");
        assert!(!text.contains("Allow access") && !text.contains("/login?"), "{prompt}: {text}");
    }
    server.stop().await.unwrap();
}

/// Registers as a user behind a proxy, and returns the status.
async fn register_from(server: &Running, forwarded: (&str, &str)) -> u16 {
    let metadata = json!({
        "client_name": "n", "redirect_uris": ["https://app.example.test/cb"],
        "token_endpoint_auth_method": "none"
    });
    let url = format!("{}/oauth/register", server.issuer());
    let request = plain_client(false).post(url).header(forwarded.0, forwarded.1);
    request.json(&metadata).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn f20_users_behind_a_trusted_proxy_do_not_share_a_limit() {
    let rate = ["--registration-rate", "8"];
    let trusting = start(&[&rate[..], &["--trusted-proxies", "127.0.0.1"]].concat()).await;
    for n in 1..12 {
        let source = format!("203.0.113.{n}");
        assert_eq!(register_from(&trusting, ("x-forwarded-for", &source)).await, 201, "{n}");
        let source = format!("for=198.51.100.{n};proto=https");
        assert_eq!(register_from(&trusting, ("forwarded", &source)).await, 201, "{n}");
    }
    // An address that a client adds in front of the proxy's is ignored.
    let forged = |n: usize| format!("192.0.2.{n}, 203.0.113.99");
    let mut statuses = Vec::new();
    for n in 0..9 {
        statuses.push(register_from(&trusting, ("x-forwarded-for", &forged(n))).await);
    }
    assert_eq!(statuses, [201, 201, 201, 201, 201, 201, 201, 201, 429]);
    trusting.stop().await.unwrap();

    let alone = start(&rate).await;
    let mut statuses = Vec::new();
    for n in 0..9 {
        let source = format!("203.0.113.{n}");
        statuses.push(register_from(&alone, ("x-forwarded-for", &source)).await);
    }
    let expected = [201, 201, 201, 201, 201, 201, 201, 201, 429];
    assert_eq!(statuses, expected, "the header of an untrusted caller is ignored");
    alone.stop().await.unwrap();
}

#[tokio::test]
async fn f21_an_issuer_may_have_a_path() {
    let accounts = file();
    let issuer = "https://auth.example.test/auth";
    let path = accounts.path().to_str().unwrap();
    let server =
        start(&["--issuer", issuer, "--accounts", path, "--trusted-proxies", "127.0.0.1"]).await;
    let get = |path: &str| {
        let request = plain_client(false).get(format!("http://{}{path}", server.address()));
        let request = request.header("host", "auth.example.test");
        request.header("x-forwarded-proto", "https").header("x-forwarded-for", "203.0.113.1").send()
    };
    for path in [
        "/.well-known/oauth-authorization-server/auth",
        "/auth/.well-known/oauth-authorization-server",
    ] {
        let metadata: Value = get(path).await.unwrap().json().await.unwrap();
        assert_eq!(metadata["issuer"], issuer, "{path}");
        assert_eq!(metadata["token_endpoint"], format!("{issuer}/oauth/token"));
    }
    let request = format!(
        "/auth/oauth/authorize?response_type=code&client_id=demo-public&redirect_uri=\
         http%3A%2F%2F127.0.0.1%3A51004%2Fcallback&state=s&code_challenge={CHALLENGE}\
         &code_challenge_method=S256"
    );
    let answer = get(&request).await.unwrap();
    let login = answer.headers()["location"].to_str().unwrap();
    assert!(login.starts_with("/auth/login"), "{login}");
    assert_eq!(get(login).await.unwrap().status(), 200);
    server.stop().await.unwrap();
}

/// Returns the status of an answer, and where it leads or what it says.
async fn outcome(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    match answer.headers().get("location").or(answer.headers().get("www-authenticate")) {
        Some(header) => (status, header.to_str().unwrap().to_owned()),
        None => (status, answer.text().await.unwrap()),
    }
}

/// The step-up of an SDK: it registers with the scope of its first challenge, is refused at a call
/// that needs more, and authorizes with both.
#[tokio::test]
async fn authz_18_a_client_that_registered_with_its_first_scope_steps_up_where_it_may() {
    for meaning in ["limit", "default"] {
        let port = grantcore_testing_servers::free_port();
        let issuer = format!("http://127.0.0.1:{port}");
        let settings = format!(
            "issuer = '{issuer}'\nlisten = '127.0.0.1:{port}'\ndatabase = 'memory:'\n\
             registered_scope = '{meaning}'\n\
             [[scopes]]\nname = 'read'\ndescription = 'Read your notes'\ndefault = true\n\
             [[scopes]]\nname = 'write'\ndescription = 'Change your notes'\n\
             [[resources]]\nurl = '{issuer}/mcp'\nscopes = ['read', 'write']\nbuiltin = 'mcp'"
        );
        let directory = crate::support::commands::with_file(&settings);
        let file = directory.path().join("c.toml");
        let arguments = ["grantcore-server", "--config", file.to_str().unwrap()];
        let server = Running::start(arguments).await.unwrap();
        let metadata = json!({
            "client_name": "SDK", "redirect_uris": [CALLBACK], "scope": "read",
            "token_endpoint_auth_method": "none"
        });
        let http = plain_client(false);
        let registered = client::register(&issuer, &metadata).await;
        let id = registered["client_id"].as_str().unwrap();
        let asking = |scope: &str| {
            let more = [("redirect_uri", CALLBACK), ("scope", scope), ("client_id", id)];
            let fixed = [
                ("response_type", "code"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ];
            let url = format!("{issuer}/oauth/authorize");
            Url::parse_with_params(&url, more.iter().chain(&fixed)).unwrap()
        };
        let call = async |token: &Value| {
            let call = http
                .post(format!("{issuer}/mcp"))
                .bearer_auth(token["access_token"].as_str().unwrap());
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
            let call = call.header("accept", "application/json, text/event-stream").json(&body);
            outcome(call.send().await.unwrap()).await
        };
        let alice = Browser::new("alice");
        let redirect = alice.authorize(asking("read").as_str(), "allow").await;
        let first = client::redeem(&issuer, id, &redirect).await;
        assert_eq!(first["scope"], "read");
        let (status, challenge) = call(&first).await;
        assert_eq!(status, 403, "{challenge}");
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(challenge.contains("scope=\"read write\""), "{challenge}");
        if meaning == "limit" {
            let signed_in = log_in(&server, "alice").await;
            let (_, text) =
                outcome(signed_in.get(asking("read write")).send().await.unwrap()).await;
            assert!(text.contains("invalid_scope"), "{text}");
        } else {
            let redirect = alice.authorize(asking("read write").as_str(), "allow").await;
            let next = client::redeem(&issuer, id, &redirect).await;
            assert_eq!(next["scope"], "read write");
            let (status, answer) = call(&next).await;
            assert!(status != 401 && status != 403, "{status} {answer}");
        }
        server.stop().await.unwrap();
    }
}
