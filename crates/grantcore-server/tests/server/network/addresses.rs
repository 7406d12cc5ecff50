//! Tests of allowed hosts, of sources behind proxies, and of unknown addresses.

use grantcore_server::Running;
use reqwest::Method;
use serde_json::{Value, json};

use super::{header, start};
use crate::support::plain_client;

async fn register(server: &Running, forwarded: &str) -> u16 {
    let body = json!({
        "client_name": "n",
        "redirect_uris": ["https://app.example.test/cb"],
        "token_endpoint_auth_method": "none",
    });
    let request = plain_client(false)
        .post(format!("{}/oauth/register", server.issuer()))
        .header("x-forwarded-for", forwarded)
        .json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn f20_behind_a_trusted_proxy_each_source_has_its_own_limit() {
    let limit = ["--registration-rate", "8"];
    let server = start(&[&limit[..], &["--trusted-proxies", "127.0.0.0/8"]].concat()).await;
    for user in 0..12 {
        assert_eq!(register(&server, &format!("203.0.113.{user}")).await, 201);
        assert_eq!(register(&server, &format!("2001:db8:0:{user}::1, 127.0.0.9")).await, 201);
    }
    for port in 0..7 {
        assert_eq!(register(&server, &format!("198.51.100.1, 203.0.113.0:{port}")).await, 201);
        let neighbour = format!("2001:db8:0:0:{port}::2");
        assert_eq!(register(&server, &neighbour).await, 201, "{neighbour}");
    }
    assert_eq!(register(&server, "203.0.113.0").await, 429, "the ninth of one source");
    assert_eq!(register(&server, "2001:db8::ffff").await, 429, "the ninth of one /64");
    server.stop().await.unwrap();

    // The header of a proxy that is not named is ignored.
    let server = start(&limit).await;
    for user in 0..8 {
        assert_eq!(register(&server, &format!("203.0.113.{user}")).await, 201);
    }
    assert_eq!(register(&server, "203.0.113.99").await, 429);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f08_an_unknown_host_is_refused_and_named_at_every_path() {
    const PATHS: [&str; 6] = [
        "/mcp",
        "/oauth/token",
        "/login",
        "/.well-known/oauth-authorization-server",
        "/",
        "/nothing",
    ];
    let ask = |server: &Running, path: &str| {
        let url = format!("{}{path}", server.issuer());
        plain_client(false).request(Method::GET, url).header("host", "grantcore_backend").send()
    };
    let server = start(&[]).await;
    for path in PATHS {
        let refused = ask(&server, path).await.unwrap();
        assert_eq!(refused.status(), 403, "{path}");
        // Pages of other origins can read it, but for the refusal at a page (AUTHZ-24).
        let readable = if ["/login", "/"].contains(&path) { "" } else { "*" };
        assert_eq!(header(&refused, "access-control-allow-origin"), readable, "{path}");
        let body: Value = refused.json().await.unwrap();
        let description = body["error_description"].as_str().unwrap();
        assert!(description.contains("grantcore_backend"), "{description}");
        assert!(description.contains("--allowed-hosts"), "{description}");
    }
    server.stop().await.unwrap();
    for allowed in ["grantcore_backend,other", "*"] {
        let server = start(&["--allowed-hosts", allowed]).await;
        for path in PATHS {
            assert_ne!(ask(&server, path).await.unwrap().status(), 403, "{allowed} {path}");
        }
        assert_eq!(ask(&server, "/mcp").await.unwrap().status(), 401);
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn f08_a_client_in_a_browser_can_read_which_host_is_refused() {
    let server = start(&[]).await;
    for path in ["/mcp", "/oauth/token", "/.well-known/oauth-authorization-server", "/nothing"] {
        let asked = plain_client(false)
            .request(Method::OPTIONS, format!("{}{path}", server.issuer()))
            .header("host", "grantcore_backend")
            .header("origin", "https://app.example.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let allowed = asked.send().await.unwrap();
        assert!(allowed.status().is_success(), "{path}: {}", allowed.status());
        assert_eq!(header(&allowed, "access-control-allow-origin"), "*", "{path}");
        let headers = header(&allowed, "access-control-allow-headers");
        assert!(headers.contains("authorization"), "{path}: {headers}");
    }
    // A page for a browser has no cross-origin access, and a preflight opens no page.
    let url = format!("{}/login", server.issuer());
    let person = plain_client(false).get(&url).header("accept", "text/html");
    let page = person.header("host", "grantcore_backend").send().await.unwrap();
    assert_eq!(page.status(), 403);
    assert_eq!(header(&page, "access-control-allow-origin"), "");
    let preflight = plain_client(false)
        .request(Method::OPTIONS, &url)
        .header("host", "grantcore_backend")
        .header("access-control-request-method", "POST");
    assert_eq!(preflight.send().await.unwrap().status(), 405);
    let resource = plain_client(false).get(format!("{}/api", server.issuer()));
    let refused = resource.header("origin", "https://app.example.test").send().await.unwrap();
    let exposed = header(&refused, "access-control-expose-headers");
    assert!(exposed.contains("retry-after"), "{exposed}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f19_a_path_with_an_additional_slash_is_the_same_resource() {
    let server = start(&[]).await;
    let issuer = server.issuer();
    for (path, resource) in [
        ("/mcp/", "/mcp"),
        ("//mcp", "/mcp"),
        ("//mcp//", "/mcp"),
        ("/mcp/?a=b", "/mcp"),
        ("/api/", "/api"),
    ] {
        let url = format!("{issuer}{path}");
        let refused = plain_client(false).post(url).json(&json!({})).send().await.unwrap();
        let refused = if resource == "/api" {
            plain_client(false).get(format!("{issuer}{path}")).send().await.unwrap()
        } else {
            refused
        };
        assert_eq!(refused.status(), 401, "{path}");
        let expected = format!(
            "resource_metadata=\"{issuer}/.well-known/oauth-protected-resource{resource}\""
        );
        let challenge = header(&refused, "www-authenticate");
        assert!(challenge.contains(&expected), "{path}: {challenge}");
        assert_eq!(header(&refused, "access-control-allow-origin"), "*");
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn f19_an_unknown_address_is_answered_with_the_metadata_addresses() {
    let server = start(&[]).await;
    let issuer = server.issuer();
    let metadata = format!("{issuer}/.well-known/oauth-authorization-server");
    for (method, path) in [
        (Method::POST, "/oauth/token/"),
        (Method::POST, "/oauth/register/"),
        (Method::POST, "/token"),
        (Method::POST, "/register"),
        (Method::GET, "/authorize"),
        (Method::GET, "/oauth/authorize/"),
        (Method::GET, "/.well-known/openid-configuration/mcp"),
        (Method::GET, "/mcp/.well-known/oauth-protected-resource"),
        (Method::POST, "/sse"),
        (Method::DELETE, "/nothing/%2e%2e/%FF"),
    ] {
        let url = format!("{issuer}{path}");
        let request = plain_client(false).request(method.clone(), &url);
        let answer = request.header("origin", "https://inspector.example").send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*", "{path}");
        assert_eq!(header(&answer, "content-type"), "application/json");
        assert_eq!(header(&answer, "location"), "");
        let body = answer.text().await.unwrap();
        assert!(body.len() < 600, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["authorization_server_metadata"], metadata.as_str());
        assert!(body["error_description"].as_str().unwrap().contains(&metadata), "{body}");
        // The default resource, whose document is also at the root.
        let expected = format!("{issuer}/.well-known/oauth-protected-resource/mcp");
        assert_eq!(body["resource_metadata"], expected, "{path}");
        // A page of another origin may send the request too.
        let preflight = plain_client(false)
            .request(Method::OPTIONS, &url)
            .header("origin", "https://inspector.example")
            .header("access-control-request-method", method.as_str());
        let allowed = preflight.send().await.unwrap();
        assert_eq!(header(&allowed, "access-control-allow-origin"), "*", "{path}");

        let page =
            plain_client(false).get(&url).header("accept", "text/html").send().await.unwrap();
        if method == Method::GET {
            assert_eq!(page.status(), 404);
            assert!(page.text().await.unwrap().contains(&metadata));
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_error_at_the_start_names_the_value_and_its_flag() {
    let refusal = async |arguments: &[&str]| {
        let started = Running::start(["grantcore-server"].iter().chain(arguments)).await;
        started.expect_err("the start fails").to_string()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let error = refusal(&["--database", "memory:", "--listen", &taken]).await;
    assert!(
        error.contains(&taken) && error.contains("in use") && error.contains("--listen"),
        "{error}"
    );
    let error = refusal(&["--database", "memory:", "--listen", "192.0.2.1:80"]).await;
    assert!(error.contains("192.0.2.1:80") && error.contains("--listen"), "{error}");
    for (database, name) in [
        ("sqlite:/no/such/directory/a.sqlite", "sqlite:/no/such/directory/a.sqlite"),
        ("postgres://u:hunter2@127.0.0.1:1/name", "postgres://127.0.0.1:1/name"),
        ("redis://u:hunter2@127.0.0.1:1", "redis://127.0.0.1:1"),
    ] {
        let error = refusal(&["--listen", "127.0.0.1:0", "--database", database]).await;
        assert!(error.contains(name) && error.contains("--database"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
