//! Tests of clients that do not know the server: discovery from any origin, and registration.

use crate::support::{Browser, CALLBACK, plain_client, start};
use grantcore_server::Running;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

async fn get(server: &Running, path: &str) -> Response {
    plain_client(false)
        .get(format!("{}{path}", server.issuer()))
        .header("origin", "https://inspector.example")
        .send()
        .await
        .unwrap()
}

/// Sends the preflight request of a page of another origin.
async fn preflight(server: &Running, path: &str, method: &str, headers: &str) -> Response {
    let request =
        plain_client(false).request(Method::OPTIONS, format!("{}{path}", server.issuer()));
    let request = request
        .header("origin", "https://inspector.example")
        .header("access-control-request-method", method);
    request.header("access-control-request-headers", headers).send().await.unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

async fn register(server: &Running, metadata: &Value) -> Response {
    plain_client(false)
        .post(format!("{}/oauth/register", server.issuer()))
        .json(metadata)
        .send()
        .await
        .unwrap()
}

fn metadata() -> Value {
    json!({
        "client_name": "Inspector",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    })
}

#[tokio::test]
async fn meta_03_every_probe_of_a_client_is_answered_but_the_openid_alias() {
    let server = start(&[]).await;
    let expected = get(&server, "/.well-known/oauth-authorization-server").await;
    assert_eq!(
        (expected.status().as_u16(), header(&expected, "content-type")),
        (200, "application/json")
    );
    let expected: Value = expected.json().await.unwrap();
    assert_eq!(expected["issuer"], server.issuer());
    assert_eq!(expected["registration_endpoint"], format!("{}/oauth/register", server.issuer()));
    // A client that asks there first continues after a 404 (spring-projects/spring-security#7512).
    assert_eq!(get(&server, "/.well-known/openid-configuration").await.status().as_u16(), 404);
    assert_eq!(expected.get("request_uri_parameter_supported"), None);
    for (path, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/api", "/api")] {
        let document: Value = get(&server, &format!("/.well-known/oauth-protected-resource{path}"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(document["resource"], format!("{}{resource}", server.issuer()), "{path}");
        assert_eq!(document["authorization_servers"], json!([server.issuer()]));
        let name = if resource == "/mcp" { "Demo notes" } else { "Demo profile" };
        assert_eq!(document["resource_name"], name, "{path}");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn meta_04_other_origins_may_read_and_call_but_never_authorize() {
    let server = start(&[]).await;
    let documents =
        ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"];
    for path in documents {
        let allowed = preflight(&server, path, "GET", "mcp-protocol-version").await;
        assert!(
            allowed.status().is_success()
                && header(&allowed, "access-control-allow-headers")
                    .contains("mcp-protocol-version")
        );
        assert_eq!(header(&get(&server, path).await, "access-control-allow-origin"), "*");
        assert_eq!(
            plain_client(false)
                .post(format!("{}{path}", server.issuer()))
                .send()
                .await
                .unwrap()
                .status(),
            405
        );
    }
    let missing = get(&server, "/.well-known/nothing/here").await;
    assert_eq!(
        (missing.status().as_u16(), header(&missing, "access-control-allow-origin")),
        (404, "*")
    );
    for (path, method, headers) in [
        ("/oauth/token", "POST", "authorization"),
        ("/oauth/revoke", "POST", "authorization"),
        ("/oauth/register", "POST", "content-type"),
        ("/oauth/register/gcl_x", "PUT", "authorization,content-type"),
        ("/oauth/register/gcl_x", "DELETE", "authorization"),
        ("/mcp", "POST", "authorization,content-type,mcp-protocol-version"),
    ] {
        let allowed = preflight(&server, path, method, headers).await;
        assert_eq!(header(&allowed, "access-control-allow-origin"), "*", "{path}");
        assert_eq!(header(&allowed, "access-control-max-age"), "7200", "{path}");
        assert!(
            header(&allowed, "access-control-allow-methods").contains(method),
            "{method} {path}"
        );
        let named = header(&allowed, "access-control-allow-headers").to_owned();
        assert!(headers.split(',').all(|name| named.contains(name)), "{path}: {named}");
    }
    for path in ["/oauth/authorize", "/oauth/consent", "/login"] {
        for response in [preflight(&server, path, "GET", "accept").await, get(&server, path).await]
        {
            assert!(
                !response.headers().keys().any(|name| name.as_str().starts_with("access-control-")),
                "{path}"
            );
        }
    }
    // Without the header, a script in a browser could not read the challenge.
    let refused = plain_client(false)
        .post(format!("{}/mcp", server.issuer()))
        .header("origin", "https://a.example")
        .send();
    assert!(
        header(&refused.await.unwrap(), "access-control-expose-headers")
            .contains("www-authenticate")
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn client_11_a_registration_is_managed_over_http() {
    let server = start(&[]).await;
    let response = register(&server, &metadata()).await;
    assert_eq!((response.status().as_u16(), header(&response, "cache-control")), (201, "no-store"));
    let client: Value = response.json().await.unwrap();
    let url = client["registration_client_uri"].as_str().unwrap();
    let token = client["registration_access_token"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/oauth/register/", server.issuer())));
    let http = plain_client(false);
    assert_eq!(http.get(url).send().await.unwrap().status(), 401);
    let read: Value = http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&read["client_id"], &read["redirect_uris"]),
        (&client["client_id"], &client["redirect_uris"])
    );
    let mut changed = metadata();
    changed["client_id"] = client["client_id"].clone();
    changed["client_name"] = "Renamed".into();
    let updated: Value =
        http.put(url).bearer_auth(token).json(&changed).send().await.unwrap().json().await.unwrap();
    assert_eq!(updated["client_name"], "Renamed");
    assert_eq!(http.post(url).bearer_auth(token).send().await.unwrap().status(), 405);
    let no_text = http
        .get(format!("{}/oauth/register/%FF", server.issuer()))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!((no_text.status().as_u16(), header(&no_text, "x-correlation-id").len()), (401, 32));
    assert_eq!(http.delete(url).bearer_auth(token).send().await.unwrap().status(), 204);
    assert_eq!(http.get(url).bearer_auth(token).send().await.unwrap().status(), 401);
    server.stop().await.unwrap();
}

/// Registers clients until one is refused, several at once: a slow machine must not be slower than
/// the limit recovers. Returns the refusal.
async fn flood(server: &Running) -> Response {
    let client = plain_client(false);
    for _ in 0..1_000 {
        let requests: JoinSet<_> = (0..16)
            .map(|_| {
                let request = client.post(format!("{}/oauth/register", server.issuer()));
                request.json(&metadata()).send()
            })
            .collect();
        let answers = requests.join_all().await;
        let mut refused =
            answers.into_iter().map(Result::unwrap).filter(|answer| answer.status() != 201);
        if let Some(refused) = refused.next() {
            return refused;
        }
    }
    panic!("16,000 registrations were accepted");
}

/// The busiest shared address: many users behind it, each with clients that register anew.
#[tokio::test]
async fn client_08_a_burst_from_one_address_is_accepted_and_a_flood_is_refused() {
    let server = start(&[]).await;
    let mut ids = Vec::new();
    for _ in 0..100 {
        let response = register(&server, &metadata()).await;
        assert_eq!(response.status(), 201);
        ids.push(response.json::<Value>().await.unwrap()["client_id"].as_str().unwrap().to_owned());
    }
    for _ in 100..300 {
        assert_eq!(register(&server, &metadata()).await.status(), 201);
    }
    let flooded = flood(&server).await;
    assert_eq!(flooded.status(), 429);
    assert!((1..=60).contains(&header(&flooded, "retry-after").parse::<u32>().unwrap()));
    assert_eq!(flooded.json::<Value>().await.unwrap()["error"], "too_many_requests");
    for user in ["alice", "bob", "admin"].into_iter().cycle().take(150) {
        let page = Browser::new(user)
            .consent_page(&crate::support::authorization_url(
                server.issuer(),
                &format!("{}/mcp", server.issuer()),
            ))
            .await;
        assert!(page.contains("Allow access"));
    }
    for id in ids.iter().cycle().take(300) {
        let form = [("grant_type", "refresh_token"), ("client_id", &**id), ("refresh_token", "x")];
        let answer = plain_client(false)
            .post(format!("{}/oauth/token", server.issuer()))
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "refused for its token, not for its rate");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn client_08_registration_can_need_a_token_or_be_off() {
    let token = "an-initial-access-token-0123";
    let server = start(&["--registration-token", token]).await;
    let refused = register(&server, &metadata()).await;
    assert_eq!(refused.status(), 401);
    assert!(header(&refused, "www-authenticate").starts_with("Bearer "));
    let url = format!("{}/oauth/register", server.issuer());
    let allowed =
        plain_client(false).post(&url).bearer_auth(token).json(&metadata()).send().await.unwrap();
    assert_eq!(allowed.status(), 201);
    server.stop().await.unwrap();

    let server = start(&["--registration", "off"]).await;
    let document: Value =
        get(&server, "/.well-known/oauth-authorization-server").await.json().await.unwrap();
    assert_eq!(document.get("registration_endpoint"), None);
    assert_eq!(register(&server, &metadata()).await.status(), 403);
    server.stop().await.unwrap();
}

/// F13: Cursor's registration is accepted unchanged, unless the operator restricts the schemes.
#[tokio::test]
async fn redir_06_the_schemes_of_editors_are_admitted_unless_the_operator_restricts_them() {
    let named = json!({
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    let alone = json!({
        "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"],
        "token_endpoint_auth_method": "none",
    });
    for arguments in [&[][..], &["--private-use-schemes", "vscode,cursor"]] {
        let server = start(arguments).await;
        let registered: Value = register(&server, &named).await.json().await.unwrap();
        assert_eq!(registered["redirect_uris"], named["redirect_uris"]);
        assert_eq!(register(&server, &alone).await.status(), 201);
        server.stop().await.unwrap();
    }
    for arguments in [["--private-use-schemes", ""], ["--private-use-schemes", "vscode"]] {
        let server = start(&arguments).await;
        let refused = register(&server, &alone).await;
        assert_eq!(refused.status(), 400);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["error"], "invalid_redirect_uri");
        let description = refused["error_description"].as_str().unwrap();
        for part in
            ["cursor://anysphere.cursor-mcp/oauth/callback", "'cursor'", "private_use_schemes"]
        {
            assert!(description.contains(part), "{description}");
        }
        let registered: Value = register(&server, &named).await.json().await.unwrap();
        let kept = registered["redirect_uris"].as_array().unwrap();
        assert_eq!(kept.len(), 2, "the other URIs are registered");
        let page = get(&server, "/troubleshooting").await.text().await.unwrap();
        assert!(page.contains("--private-use-schemes"), "the page names the flag");
        server.stop().await.unwrap();
    }
}

/// F16: a flag sets how many redirect URIs one client may register.
#[tokio::test]
async fn redir_18_the_operator_sets_the_limit_of_redirect_uris() {
    let uris: Vec<_> =
        (0..11).map(|n| format!("https://app{n}.example.test/oauth/callback")).collect();
    let many = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
    let server = start(&[]).await;
    let refused: Value = register(&server, &many).await.json().await.unwrap();
    let description = refused["error_description"].as_str().unwrap();
    assert!(description.contains("11") && description.contains("10"), "{description}");
    server.stop().await.unwrap();
    let server = start(&["--redirect-uri-limit", "11"]).await;
    assert_eq!(register(&server, &many).await.status(), 201);
    server.stop().await.unwrap();
}
