//! Tests of cross-origin access: web pages reach what they need to, and no page of the
//! authorization endpoint.

use std::sync::Arc;

use crate::support::browser::{Asking, tokens};
use crate::support::{self, Answer, World, form_request};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use grantcore_axum::{Caller, RequireToken, allow_cross_origin, cors};

const PAGE: &str = "https://page.example";

/// Asks as a browser asks before it sends a page's request.
async fn preflight(app: &Router, path: &str, method: &str, headers: &str) -> Answer {
    let request = Request::options(path)
        .header("origin", PAGE)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    support::send(app, request.body(Body::empty()).unwrap()).await
}

/// Asserts that a browser would send a request of this method with these headers.
async fn assert_allowed(app: &Router, path: &str, method: &str, headers: &str) {
    let answer = preflight(app, path, method, headers).await;
    assert_eq!(answer.header("access-control-max-age"), Some("7200"), "{path}");
    let list = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
    let has = |name: &str, value: &str| list(name).split(',').any(|own| own.trim() == value);
    assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
    assert!(has("access-control-allow-methods", &method.to_ascii_lowercase()), "{path} {method}");
    for header in headers.split(',') {
        assert!(has("access-control-allow-headers", header), "{path} {header}");
    }
    // With credentials, a page could use the cookies of its visitor.
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

fn cross_origin(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(axum::http::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

const DOCUMENTS: [&str; 3] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
];

#[tokio::test]
async fn meta_04_web_pages_may_call_documents_and_endpoints_for_programs() {
    let world = World::new();
    for path in DOCUMENTS {
        assert_allowed(&world.app, path, "GET", "mcp-protocol-version").await;
    }
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/register"] {
        assert_allowed(&world.app, path, "POST", "authorization,content-type").await;
    }
    for method in ["GET", "PUT", "DELETE"] {
        let path = "/oauth/register/grc_x";
        assert_allowed(&world.app, path, method, "authorization,content-type").await;
    }
    // The responses can be read, refusals and their waiting times too.
    let sent = [
        Request::get(DOCUMENTS[0]).body(Body::empty()).unwrap(),
        Request::post(DOCUMENTS[0]).body(Body::empty()).unwrap(),
        form_request("/oauth/token", &[]),
        form_request("/oauth/revoke", &[]),
        form_request("/oauth/introspect", &[]),
        form_request("/oauth/register", &[]),
        Request::get("/oauth/register/grc_x").body(Body::empty()).unwrap(),
        Request::get("/oauth/token").body(Body::empty()).unwrap(),
        form_request("/oauth/token", &[("x", &"x".repeat(100_000))]),
    ];
    for mut request in sent {
        let path = request.uri().clone();
        request.headers_mut().insert("origin", PAGE.parse().unwrap());
        let answer = world.send(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["www-authenticate", "retry-after", "x-correlation-id"] {
            assert!(exposed.contains(name), "{path} {name}");
        }
    }
}

/// A service that adds the headers itself adds those of the layer.
#[tokio::test]
async fn meta_04_the_headers_of_a_response_are_those_of_the_layer() {
    let by_layer = Router::new().route("/", post(|| async {})).route_layer(cors());
    let by_service = post(|| async {
        let mut headers = axum::http::HeaderMap::new();
        allow_cross_origin(&mut headers);
        headers
    });
    let by_service = Router::new().route("/", by_service);
    let call = async |app: &Router| {
        let request = Request::post("/").header("origin", PAGE);
        support::send(app, request.body(Body::empty()).unwrap()).await.headers
    };
    assert_eq!(call(&by_service).await, call(&by_layer).await);
}

#[tokio::test]
async fn meta_04_authz_24_no_web_page_reads_a_page_of_the_authorization_endpoint() {
    let world = World::new();
    let asking = Asking::app().url();
    for path in [&*asking, "/oauth/authorize/consent", "/login?return_to=/", "/login"] {
        for method in ["GET", "POST"] {
            let answer = preflight(&world.app, path, method, "authorization").await;
            assert_eq!((answer.status, cross_origin(&answer)), (405, vec![]), "{method} {path}");
            let request = Request::builder().method(method).uri(path).header("origin", PAGE);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(cross_origin(&answer), [""; 0], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn meta_04_rs_07_a_web_page_reads_the_challenge_and_sends_its_token() {
    let world = World::new();
    let needs = world.server.policy().needs(support::MCP, "read").unwrap();
    let app = Router::new()
        .route("/mcp", post(|caller: Caller| async move { caller.subject().unwrap().to_owned() }))
        .route_layer(RequireToken::new(Arc::clone(&world.server), needs))
        .route_layer(cors());
    let headers = "authorization,content-type,accept,mcp-protocol-version,mcp-session-id,\
                   mcp-method,mcp-name,last-event-id";
    for method in ["GET", "POST", "DELETE"] {
        assert_allowed(&app, "/mcp", method, headers).await;
    }
    let call = async |authorization: &str| {
        let request = Request::post("/mcp").header("origin", PAGE);
        let request = request.header("authorization", authorization).body(Body::empty());
        support::send(&app, request.unwrap()).await
    };
    let refused = call("").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("*")));
    assert!(refused.header("access-control-expose-headers").unwrap().contains("www-authenticate"));
    assert!(refused.header("www-authenticate").unwrap().contains("resource_metadata="));
    let answer = call(&format!("Bearer {}", tokens(&world, "read").await.access)).await;
    assert_eq!((&*answer.body, answer.header("access-control-allow-origin")), ("alice", Some("*")));
    // Without `cors`, a preflight request is a call without a token.
    let needs = world.server.policy().needs(support::MCP, "read").unwrap();
    let bare = Router::new()
        .route("/mcp", post(|| async {}))
        .route_layer(RequireToken::new(Arc::clone(&world.server), needs));
    let answer = preflight(&bare, "/mcp", "POST", "authorization").await;
    assert_eq!((answer.status, cross_origin(&answer)), (401, vec![]));
}
