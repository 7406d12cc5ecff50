//! The check against a real authorization server on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use grantcore::policy::IntrospectionRules;
use grantcore::{Policy, Reason};
use grantcore_axum::{Introspection, IntrospectionError, RequireToken, cors};
use tower::util::MapRequestLayer;

use super::{LONG, assert_dead, assert_unavailable, builder, call, resource, resource_of};
use crate::support::browser::tokens;
use crate::support::socket::{listen, serve};
use crate::support::{MCP, RESOURCE_SERVER, SECRET, World, policy, policy_at, send};

/// Starts a server. Returns its world, its issuer, and how often it was asked.
async fn start() -> (World, String, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let issuer = format!("http://{address}");
    let world = World::with(policy_at(&issuer, &resource_of(&issuer)).allow_loopback_http(true));
    world.at_system_time();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let app = world.app.clone().layer(MapRequestLayer::new(move |request: Request<Body>| {
        let is_asked = request.uri().path() == "/oauth/introspect";
        count.fetch_add(usize::from(is_asked), Ordering::SeqCst);
        request
    }));
    serve(listener, app);
    (world, issuer, asked)
}

async fn revoke(world: &World, token: &str) {
    let fields = [("client_id", "app"), ("token", token)];
    assert_eq!(world.post("/oauth/revoke", &fields).await.status, 200);
}

#[tokio::test]
async fn introspect_04_a_resource_elsewhere_accepts_what_the_server_accepts() {
    let (world, issuer, asked) = start().await;
    let introspection = builder(&issuer).build().unwrap();
    let read = resource(&introspection, "read");
    let token = tokens(&world, "read").await.access;
    for _ in 0..3 {
        let answer = call(&read, &token).await;
        assert_eq!((answer.status, &*answer.body), (200, "alice app read false"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one introspection while the token is cached");
    for dead in ["gra_unknown", &tokens(&world, "read").await.refresh] {
        assert_dead(&call(&read, dead).await);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // Malformed headers are refused without an introspection.
    for (sent, status) in [(&[][..], 401), (&["Bearer"], 401), (&["Basic x"], 401)]
        .into_iter()
        .chain([(&["Bearer a b"][..], 400), (&["Bearer a", "Bearer a"], 400)])
    {
        let mut request = Request::post("/mcp").body(Body::empty()).unwrap();
        for value in sent {
            request.headers_mut().append("authorization", value.parse().unwrap());
        }
        let answer = send(&read, request).await;
        assert_eq!(answer.status, status, "{sent:?}");
        assert!(answer.header("www-authenticate").is_some());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // Another spelling of the scheme is the same token.
    let request = Request::post("/mcp").header("authorization", format!("bEARER  {token}"));
    assert_eq!(send(&read, request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn rs_10_rs_11_the_scope_of_an_introspected_token_must_suffice_or_include() {
    let (world, issuer, _) = start().await;
    let introspection = builder(&issuer).build().unwrap();
    let read = tokens(&world, "read").await.access;
    let admin = tokens(&world, "admin").await.access;
    for (scope, token, is_enough) in [
        ("read", &read, true),
        ("read", &admin, true),
        ("", &read, true),
        ("write", &admin, false),
        ("read write", &read, false),
    ] {
        let answer = call(&resource(&introspection, scope), token).await;
        assert_eq!(answer.status, if is_enough { 200 } else { 403 }, "{scope}");
        if !is_enough {
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
        }
    }
}

/// A revoked token is refused once its cache entry is too old, and at once without a cache.
#[tokio::test]
async fn i19_a_revoked_token_is_believed_for_the_stated_time_only() {
    let (world, issuer, asked) = start().await;
    let long = resource(&builder(&issuer).build().unwrap(), "read");
    let never = resource(&builder(&issuer).max_age(Duration::ZERO).build().unwrap(), "read");
    let age = Duration::from_millis(50);
    let short = resource(&builder(&issuer).max_age(age).build().unwrap(), "read");
    let token = tokens(&world, "read").await.access;
    for _ in 0..2 {
        assert_eq!(call(&never, &token).await.status, 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2, "asked about each call");
    assert_eq!(call(&long, &token).await.status, 200);
    assert_eq!(call(&short, &token).await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    revoke(&world, &token).await;
    assert_dead(&call(&never, &token).await);
    assert_eq!(call(&long, &token).await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    tokio::time::sleep(age).await;
    assert_dead(&call(&short, &token).await);
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn introspect_01_a_server_that_refuses_the_resource_is_a_failure() {
    let (world, issuer, _) = start().await;
    let token = tokens(&world, "read").await.access;
    let own = policy_at(&issuer, &resource_of(&issuer)).allow_loopback_http(true).build().unwrap();
    for (client_id, secret) in
        [(RESOURCE_SERVER, "wrong"), ("nobody", SECRET), ("app", ""), (RESOURCE_SERVER, "")]
    {
        let wrong = Introspection::builder(own.clone(), client_id, secret).max_age(LONG);
        assert_unavailable(&call(&resource(&wrong.build().unwrap(), "read"), &token).await);
    }
    assert!(
        matches!(world.reason(), Some(Reason::ClientSecretWrong | Reason::ClientSecretMissing)),
        "{:?}",
        world.reason()
    );
    // The right secret is tried again at the next call.
    assert_eq!(
        call(&resource(&builder(&issuer).build().unwrap(), "read"), &token).await.status,
        200
    );
}

#[tokio::test]
async fn rs_14_a_billed_call_is_not_let_through_unpaid() {
    let (world, issuer, asked) = start().await;
    let introspection = builder(&issuer).build().unwrap();
    let needs = introspection.policy().needs(&resource_of(&issuer), "read").unwrap().billed();
    let billed = Router::new()
        .route("/mcp", axum::routing::post(|| async { "done" }))
        .route_layer(RequireToken::introspected(introspection, needs));
    let token = tokens(&world, "read").await.access;
    assert_unavailable(&call(&billed, &token).await);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// The challenge of a refusal leads to a document that the resource itself serves, and to no other.
#[tokio::test]
async fn rs_07_meta_09_the_resource_serves_its_own_document() {
    let (_, issuer, _) = start().await;
    let files = "https://files.example/v1";
    let rules = IntrospectionRules::default().with_resource_server("files-server", files);
    let own = Policy::builder(&issuer)
        .allow_loopback_http(true)
        .scope("files", "Read your files")
        .resource(files, "files")
        .openid_alias(true)
        .introspection(rules)
        .build()
        .unwrap();
    let introspection = Introspection::builder(own, "files-server", "secret").build().unwrap();
    let app = resource(&introspection, "files")
        .route_layer(cors())
        .merge(introspection.router().unwrap());
    let refused = send(&app, Request::post("/mcp").body(Body::empty()).unwrap()).await;
    let challenge = refused.header("www-authenticate").unwrap();
    let url = challenge.split('"').nth(1).unwrap();
    assert_eq!(url, "https://files.example/.well-known/oauth-protected-resource/v1");
    let path = url.strip_prefix("https://files.example").unwrap();
    let get = async |path: &str| send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
    let document = get(path).await;
    assert_eq!((document.status, document.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(document.json()["resource"], files);
    assert_eq!(document.json()["authorization_servers"][0], issuer);
    assert_eq!(get("/.well-known/oauth-protected-resource").await.status, 200);
    for other in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/oauth/token",
    ] {
        assert_eq!(get(other).await.status, 404, "{other}");
    }
}

#[test]
fn meta_12_a_policy_without_introspection_has_no_check() {
    let off = Policy::builder("https://auth.example").scope("read", "").resource(MCP, "read");
    let error = Introspection::builder(off.build().unwrap(), "x", "y").build().unwrap_err();
    assert!(matches!(error, IntrospectionError::NoEndpoint), "{error}");
    let builder = Introspection::builder(policy().build().unwrap(), RESOURCE_SERVER, SECRET);
    let shown = format!("{builder:?}");
    let shown = format!("{shown} {:?}", builder.build().unwrap());
    assert!(shown.contains(RESOURCE_SERVER) && !shown.contains(SECRET), "{shown}");
}

/// A proxy of the environment would get the secret in plain text.
#[test]
fn i25_the_secret_goes_to_no_proxy() {
    let (_program, module) = module_path!().split_once("::").unwrap();
    let test =
        format!("{module}::introspect_04_a_resource_elsewhere_accepts_what_the_server_accepts");
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &test]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "ALL_PROXY"] {
        let dead = "http://127.0.0.1:1";
        again.env(name, dead).env(name.to_lowercase(), dead);
    }
    let output = again.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
