//! Tests of the bearer layer: who is let through, what a refused call gets, and what the layer does
//! to the service behind it.

mod service;
use std::sync::Arc;

use crate::support::browser::tokens;
use crate::support::{self, Answer, MCP, World, policy, send};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::routing::{any, get};
use grantcore::account::Balance;
use grantcore::client::ClientStatus;
use grantcore::value::Subject;
use grantcore::{Needs, Reason};
use grantcore_axum::{Caller, RequireToken};
use tower::{Layer as _, ServiceExt as _};

const METADATA: &str = "https://auth.example/.well-known/oauth-protected-resource/mcp";

fn needs(world: &World, scope: &str) -> Needs {
    world.server.policy().needs(MCP, scope).unwrap()
}

/// Returns a resource that needs this scope and echoes its caller and its headers.
fn resource(world: &World, needs: Needs) -> Router {
    let echo = |caller: Caller, request: Request| async move {
        let scope: Vec<_> = caller.scope().collect();
        let has_token = request.headers().contains_key("authorization");
        format!("{} {} {scope:?} {has_token}", caller.subject().unwrap(), caller.client_id())
    };
    let layer = RequireToken::new(Arc::clone(&world.server), needs);
    Router::new().route("/mcp", any(echo)).route_layer(layer)
}

fn call(authorization: &[&str]) -> Request {
    let mut request = Request::post("/mcp").body(Body::empty()).unwrap();
    for value in authorization {
        request.headers_mut().append("authorization", value.parse().unwrap());
    }
    request
}

/// Returns the parameters of the one challenge of a response.
fn challenge(answer: &Answer) -> Vec<(String, String)> {
    let header = answer.header("www-authenticate").unwrap();
    // A description can have a comma.
    let parameters = header.strip_prefix("Bearer ").unwrap().split("\", ");
    let parsed = parameters.map(|own| {
        let (name, value) = own.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('"').to_owned())
    });
    parsed.collect()
}

#[tokio::test]
async fn rs_02_rs_03_calls_without_a_good_credential_get_a_challenge() {
    let world = World::new();
    let app = resource(&world, needs(&world, "read"));
    let bare = vec![
        ("resource_metadata".to_owned(), METADATA.to_owned()),
        ("scope".to_owned(), "read".to_owned()),
    ];
    for none in [&[][..], &["Basic YTpi"], &["Bearer"], &["Bearer "], &["bearer  "], &["Bearerx"]] {
        let answer = send(&app, call(none)).await;
        assert_eq!((answer.status, &*answer.body), (401, ""), "{none:?}");
        assert_eq!(challenge(&answer), bare, "{none:?}");
    }
    for malformed in [
        &["Bearer a b"][..],
        &["Bearer a,b"],
        &["Bearer \u{7f}"],
        &["Bearer =a"],
        &["Bearer a", "Bearer a"],
        &["Bearer a", "Basic YTpi"],
    ] {
        let answer = send(&app, call_bytes(malformed)).await;
        assert_eq!((answer.status, &*answer.error()), (400, "invalid_request"), "{malformed:?}");
    }
    let unknown = send(&app, call(&["Bearer gra_unknown"])).await;
    assert_eq!((unknown.status, &*unknown.error()), (401, "invalid_token"));
    assert_eq!(challenge(&unknown)[0].1, METADATA);
}

/// As `call`, with values that no text of a header has.
fn call_bytes(authorization: &[&str]) -> Request {
    let mut request = call(&[]);
    for value in authorization {
        let value = value.replace('\u{7f}', "\u{e9}");
        let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append("authorization", value);
    }
    request
}

#[tokio::test]
async fn rs_06_dead_tokens_are_refused_and_live_ones_let_through() {
    let world = World::new();
    let app = resource(&world, needs(&world, "read"));
    let alive = tokens(&world, "read write").await;
    let bearer = format!("Bearer {}", alive.access);
    for good in [bearer.clone(), format!("bearer   {}", alive.access)] {
        let answer = send(&app, call(&[&good])).await;
        assert_eq!(
            (answer.status, &*answer.body),
            (200, "alice app [\"read\", \"write\"] false"),
            "{good}"
        );
    }
    let refused = async |reason: Reason| {
        let answer = send(&app, call(&[&bearer])).await;
        assert_eq!((answer.status, &*answer.error()), (401, "invalid_token"), "{reason:?}");
        assert_eq!(world.reason(), Some(reason));
        assert_eq!(challenge(&answer)[0], ("resource_metadata".to_owned(), METADATA.to_owned()));
    };
    world.server.set_client_status("app", ClientStatus::Deactivated).await.unwrap();
    refused(Reason::ClientDeactivated).await;
    world.server.set_client_status("app", ClientStatus::Active).await.unwrap();
    world.server.store().set_suspended("alice", true);
    refused(Reason::AccountSuspended).await;
    world.server.store().set_suspended("alice", false);
    assert_eq!(send(&app, call(&[&bearer])).await.status, 200);
    world.at(3599);
    assert_eq!(send(&app, call(&[&bearer])).await.status, 200);
    world.at(3600);
    refused(Reason::TokenExpired).await;
    world.at(0);
    world.post("/oauth/revoke", &[("client_id", "app"), ("token", &alive.access)]).await;
    let answer = send(&app, call(&[&bearer])).await;
    assert_eq!(answer.status, 401);
    // A refresh token is none.
    let refresh = format!("Bearer {}", alive.refresh);
    assert_eq!(send(&app, call(&[&refresh])).await.status, 401);
    // Nor is a token in the query.
    let other = tokens(&world, "read").await;
    let in_query = format!("/mcp?access_token={}", other.access);
    let request = Request::post(in_query).body(Body::empty()).unwrap();
    assert_eq!(send(&app, request).await.status, 401);
}

#[tokio::test]
async fn rs_08_a_token_for_another_resource_is_refused() {
    let other = "https://auth.example/other";
    let world = World::with(policy().resource(other, "read").default_resource(MCP));
    let token = format!("Bearer {}", tokens(&world, "read").await.access);
    let here = resource(&world, needs(&world, "read"));
    let there = resource(&world, world.server.policy().needs(other, "read").unwrap());
    assert_eq!(send(&here, call(&[&token])).await.status, 200);
    let answer = send(&there, call(&[&token])).await;
    assert_eq!((answer.status, world.reason()), (401, Some(Reason::AudienceMismatch)));
    let metadata = "https://auth.example/.well-known/oauth-protected-resource/other";
    assert_eq!(challenge(&answer)[0].1, metadata);
}

#[tokio::test]
async fn rs_10_rs_11_the_scope_must_suffice_or_include() {
    let world = World::new();
    let read = format!("Bearer {}", tokens(&world, "read").await.access);
    let admin = format!("Bearer {}", tokens(&world, "admin").await.access);
    for (scope, token, is_enough) in [
        ("", &read, true),
        ("read", &read, true),
        ("read", &admin, true),
        ("write", &admin, false),
        ("write", &read, false),
        ("read write", &read, false),
        ("admin", &read, false),
    ] {
        let answer = send(&resource(&world, needs(&world, scope)), call(&[token])).await;
        assert_eq!(answer.status, if is_enough { 200 } else { 403 }, "{scope}");
        if !is_enough {
            assert_eq!(answer.error(), "insufficient_scope");
            let sent = challenge(&answer);
            let value = |name: &str| &sent.iter().find(|(own, _)| own == name).unwrap().1;
            assert_eq!((&**value("scope"), &**value("error")), (scope, "insufficient_scope"));
        }
    }
}

#[tokio::test]
async fn rs_14_a_billed_call_must_be_paid() {
    let world = World::new();
    let token = format!("Bearer {}", tokens(&world, "read").await.access);
    let app = resource(&world, needs(&world, "read").billed());
    world.server.store().put_balance(Subject::new("alice"), Balance::Insufficient);
    let answer = send(&app, call(&[&token])).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (402, None));
    world.server.store().put_balance(Subject::new("alice"), Balance::Sufficient);
    assert_eq!(send(&app, call(&[&token])).await.status, 200);
}

#[tokio::test]
async fn rs_17_no_request_brings_its_own_caller() {
    let world = World::new();
    let app = resource(&world, needs(&world, "read"));
    let token = format!("Bearer {}", tokens(&world, "read").await.access);
    let revealing = Router::new()
        .route("/mcp", any(|caller: Caller| async { axum::Extension(caller) }))
        .route_layer(RequireToken::new(Arc::clone(&world.server), needs(&world, "read")));
    let response = revealing.oneshot(call(&[&token])).await.unwrap();
    let alice: Caller = response.extensions().get::<Caller>().unwrap().clone();
    assert_eq!(
        (alice.subject().unwrap(), alice.has_scope("read"), alice.has_scope("admin")),
        ("alice", true, false)
    );
    assert_eq!(alice.access().unwrap().client_id().as_str(), "app");
    assert_eq!(alice.expires().unix_seconds(), support::T + 3600);
    let shown = format!("{alice:?}");
    assert!(!shown.contains(token.strip_prefix("Bearer ").unwrap()), "{shown}");
    // An extension of an outer layer is no caller.
    let mut forged = call(&[]);
    forged.extensions_mut().insert(alice.clone());
    assert_eq!(send(&app, forged).await.status, 401);
    world.at(3600);
    let mut forged = call(&[&token]);
    forged.extensions_mut().insert(alice);
    assert_eq!(send(&app, forged).await.status, 401);
    // A route without the layer is closed, not open.
    let bare = Router::new().route("/mcp", get(|_: Caller| async { "open" }));
    let answer = send(&bare, Request::get("/mcp").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, &*answer.body), (500, ""));
}

#[tokio::test]
async fn rs_02_every_method_needs_a_token() {
    let world = World::new();
    let app = resource(&world, needs(&world, "read"));
    let token = format!("Bearer {}", tokens(&world, "read").await.access);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::DELETE] {
        let request = Request::builder().method(&method).uri("/mcp").body(Body::empty()).unwrap();
        let answer = send(&app, request).await;
        assert_eq!(answer.status, 401, "{method}");
        assert!(answer.header("www-authenticate").is_some());
        let request =
            Request::builder().method(&method).uri("/mcp").header("authorization", &token);
        assert_eq!(send(&app, request.body(Body::empty()).unwrap()).await.status, 200, "{method}");
    }
}

#[tokio::test]
async fn audit_06_no_layer_shows_a_secret() {
    let world = World::new();
    let layer = RequireToken::new(Arc::clone(&world.server), needs(&world, "read"));
    let service = layer.layer(Router::<()>::new());
    let shown = format!("{layer:?} {service:?} {:?} {:?}", world.login, world.tasks);
    assert!(!shown.contains("password") && shown.contains("\"alice\""), "{shown}");
    let oauth = grantcore_axum::OAuthRouter::new(Arc::clone(&world.server), support::login());
    assert!(format!("{oauth:?}").starts_with("OAuthRouter"));
}

/// The tenant is that of the URL that was called, and the token must be for it.
#[tokio::test]
async fn tenant_05_a_layer_of_a_template_checks_the_tenant_that_is_called() {
    let template = "https://api.example/{org}/v1";
    let world = World::with(policy().resource(template, "read"));
    let of = |scope| RequireToken::of_template(Arc::clone(&world.server), template, scope);
    let echo = |caller: Caller| async move {
        let org = caller.resource().and_then(|own| own.variable("org"));
        format!("{} at {}", caller.subject().unwrap(), org.unwrap())
    };
    let app = Router::new().route("/{*path}", get(echo)).route_layer(of("read").unwrap());
    let token = support::browser::tokens_for(&world, "https://api.example/acme/v1").await;
    let call = async |path: &str, host: &str| {
        let request = Request::get(path).header("host", host);
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = send(&app, request.body(Body::empty()).unwrap()).await;
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        (answer.status, answer.body.clone(), challenge)
    };
    for path in ["/acme/v1", "/acme/v1/notes", "/acme/v1?x=/beta/v1"] {
        let (status, body, _) = call(path, "api.example").await;
        assert_eq!((status, &*body), (200, "alice at acme"), "{path}");
    }
    let (status, _, challenge) = call("/beta/v1", "api.example").await;
    let document = "https://api.example/.well-known/oauth-protected-resource/beta/v1";
    assert_eq!(status, 401);
    assert!(challenge.contains(document), "{challenge}");
    for (path, host) in [
        ("/acme/v1", "evil.example"),
        ("/acme", "api.example"),
        ("/acme/v2", "api.example"),
        ("/a%2Fb/v1", "api.example"),
    ] {
        assert_eq!(call(path, host).await.0, 404, "{path} at {host}");
    }
    assert!(of("unheard-of").is_err());
    assert!(RequireToken::of_template(Arc::clone(&world.server), MCP, "read").is_err());
}

/// The login of a user that the host does not know satisfies no resource that needs one.
#[tokio::test]
async fn host_31_a_login_that_does_not_suffice_is_challenged() {
    let world = World::new();
    let strong = needs(&world, "read").acr(&["mfa"]).unwrap().max_age(300);
    let app = resource(&world, strong);
    let bearer = format!("Bearer {}", tokens(&world, "read").await.access);
    let answer = send(&app, call(&[&bearer])).await;
    assert_eq!(
        (answer.status, &*answer.error()),
        (401, "insufficient_user_authentication"),
        "{answer:?}"
    );
    assert_eq!(world.reason(), Some(Reason::LoginInsufficient));
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with(&format!("Bearer resource_metadata=\"{METADATA}\"")));
    let needed = "acr_values=\"mfa\", max_age=\"300\", scope=\"read\"";
    assert!(challenge.ends_with(needed), "{challenge}");
    // Nobody learns what is needed without a good token.
    let unknown = send(&app, call(&["Bearer gat_unknown"])).await;
    assert!(!unknown.header("www-authenticate").unwrap().contains("acr_values"));
}
