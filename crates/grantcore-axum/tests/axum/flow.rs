//! Tests of the whole flow: from a refused call over discovery, registration, sign-in and consent
//! to a token that is refreshed and revoked.

use std::sync::Arc;

use crate::support::browser::{Asking, Browser, redeem};
use crate::support::socket::{FORM, listen, message, raw, serve};
use crate::support::{
    self, Answer, CALLBACK, ISSUER, MCP, VERIFIER, World, encode, param, policy, policy_at,
};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::routing::post;
use grantcore::reason::Endpoint;
use grantcore_axum::{Caller, RequireToken, cors, program_router, well_known_router};
use serde_json::{Value, json};

/// Returns the application of the crate's documentation: the router, the login, and the resource
/// behind its layer.
fn application(world: &World, resource: &str) -> Router {
    let needs = world.server.policy().needs(resource, "read").unwrap();
    let notes = Router::new()
        .route("/mcp", post(|caller: Caller| async move { caller.subject().unwrap().to_owned() }))
        .route_layer(RequireToken::new(Arc::clone(&world.server), needs))
        .route_layer(cors());
    world.app.clone().merge(notes)
}

async fn call(app: &Router, token: &str) -> Answer {
    let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
    support::send(app, request.body(Body::empty()).unwrap()).await
}

fn path_at<'u>(origin: &str, url: &'u str) -> &'u str {
    url.strip_prefix(origin).unwrap_or_else(|| panic!("{url} is not at {origin}"))
}

async fn document(app: &Router, url: &str) -> Value {
    let request = Request::get(path_at(ISSUER, url)).header("host", "auth.example");
    let answer = support::send(app, request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

/// Returns the server's metadata, found as a client finds them: by a call without a token.
async fn discover(app: &Router) -> Value {
    let refused = support::send(app, Request::post("/mcp").body(Body::empty()).unwrap()).await;
    assert_eq!((refused.status, &*refused.body), (401, ""));
    let challenge = refused.header("www-authenticate").unwrap();
    let url = challenge.split('"').nth(1).unwrap();
    let resource = document(app, url).await;
    assert_eq!(resource["resource"], MCP);
    let issuer = resource["authorization_servers"][0].as_str().unwrap();
    document(app, &format!("{issuer}/.well-known/oauth-authorization-server")).await
}

#[tokio::test]
async fn meta_08_a_client_comes_from_a_refused_call_to_a_token_and_its_revocation() {
    let world = World::new();
    let app = application(&world, MCP);
    let metadata = discover(&app).await;
    let endpoint = |name: &str| path_at(ISSUER, metadata[name].as_str().unwrap()).to_owned();

    let registration = json!({"redirect_uris": [CALLBACK], "client_name": "A client",
        "token_endpoint_auth_method": "none"});
    let request = Request::post(endpoint("registration_endpoint"))
        .header("content-type", "application/json")
        .body(registration.to_string().into());
    let registered = world.send(request.unwrap()).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let client_id = registered.json()["client_id"].as_str().unwrap().to_owned();

    // Nobody is signed in: the browser goes to the login page and comes back.
    let mut browser = Browser::new(&app);
    let asking = Asking::by(&client_id, CALLBACK).with("resource", MCP);
    assert!(asking.url().starts_with(&endpoint("authorization_endpoint")));
    let to_login = browser.get(&asking.url()).await;
    let back = browser.log_in(&to_login, "alice").await;
    let page = browser.get(back.location()).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("A client") && page.body.contains("Unverified"));
    let answer = browser.press(&page.body, "allow").await;
    let location = answer.location();
    assert!(location.starts_with(CALLBACK), "{location}");
    assert_eq!(param(location, "state").as_deref(), Some("xyz"));
    assert_eq!(param(location, "iss").as_deref(), Some(ISSUER));

    let granted = redeem(&app, &client_id, &param(location, "code").unwrap()).await;
    assert_eq!(granted.status, 200, "{granted:?}");
    let text = |answer: &Answer, name: &str| answer.json()[name].as_str().unwrap().to_owned();
    let first = text(&granted, "access_token");
    assert_eq!(call(&app, &first).await.body, "alice");
    let refresh = text(&granted, "refresh_token");
    let fields =
        [("grant_type", "refresh_token"), ("client_id", &client_id), ("refresh_token", &refresh)];
    let renewed = world.post(&endpoint("token_endpoint"), &fields).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let second = text(&renewed, "access_token");
    assert_eq!(call(&app, &second).await.body, "alice");

    let fields = [("client_id", &*client_id), ("token", &text(&renewed, "refresh_token"))];
    let revoked = world.post(&endpoint("revocation_endpoint"), &fields).await;
    assert_eq!((revoked.status, &*revoked.body), (200, ""));
    for dead in [first, second] {
        let refused = call(&app, &dead).await;
        assert_eq!((refused.status, &*refused.error()), (401, "invalid_token"));
        assert!(refused.header("www-authenticate").unwrap().contains("resource_metadata="));
    }
}

/// Returns the status and the body of a response as it came over the socket.
fn split(answer: &str) -> (u16, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

#[tokio::test]
async fn meta_08_the_flow_works_over_a_socket() {
    let (listener, address) = listen().await;
    let issuer = format!("http://{address}");
    let resource = format!("{issuer}/mcp");
    let world = World::with(policy_at(&issuer, &resource).allow_loopback_http(true));
    let app = application(&world, &resource);
    serve(listener, app.clone());
    let get = |path: &str| message("GET", path, address, "", "");
    let refused = raw(address, &message("POST", "/mcp", address, "", "")).await;
    assert_eq!(split(&refused).0, 401);
    let url = refused.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = raw(address, &get(path_at(&issuer, url))).await;
    let found: Value = serde_json::from_str(split(&answer).1).unwrap();
    assert_eq!(found["authorization_servers"][0], issuer);

    let mut browser = Browser::of(&world, "alice").await;
    let code = browser.code(&Asking::app()).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "app"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let request = message("POST", "/oauth/token", address, FORM, &encode(&fields));
    let answer = raw(address, &request).await;
    assert_eq!(split(&answer).0, 200, "{answer}");
    let tokens: Value = serde_json::from_str(split(&answer).1).unwrap();
    let access = tokens["access_token"].as_str().unwrap();
    let bearer = format!("Authorization: Bearer {access}\r\n");
    let called = raw(address, &message("POST", "/mcp", address, &bearer, "")).await;
    assert_eq!(split(&called), (200, "alice"));
    let body = encode(&[("client_id", "app"), ("token", access)]);
    let revoked = raw(address, &message("POST", "/oauth/revoke", address, FORM, &body)).await;
    assert_eq!(split(&revoked).0, 200);
    let called = raw(address, &message("POST", "/mcp", address, &bearer, "")).await;
    assert_eq!(split(&called).0, 401);
}

/// The layers of a resource are not those of paths that nobody has: a client asks several
/// well-known paths in turn, and goes on after a 404 only.
#[tokio::test]
async fn meta_03_paths_that_nobody_has_are_not_found_behind_any_layer() {
    let world = World::new();
    let app = application(&world, MCP);
    for path in ["/", "/nothing", "/.well-known/openid-configuration", "/oauth", "/mcp/x"] {
        let request = Request::get(path).header("origin", "https://page.example");
        let answer = support::send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        assert_eq!(answer.header("www-authenticate"), None, "{path}");
    }
    assert_eq!(call(&app, "x").await.status, 401);
    // The router of the policy alone, too.
    for app in [
        world.app.clone(),
        well_known_router(world.server.policy()).unwrap(),
        program_router(Arc::clone(&world.server), &world.tasks).unwrap(),
    ] {
        let request = Request::options("/nothing").header("origin", "https://page.example");
        let answer = support::send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.headers.len()), (404, 0), "{answer:?}");
    }
}

#[tokio::test]
async fn meta_07_the_endpoints_that_are_on_are_mounted_and_the_others_are_not_found() {
    let on = World::new();
    for own in on.server.policy().endpoints() {
        let path = own.path().replace("{client_id}", "grc_unknown");
        let answer = on.get(&path).await;
        let expected = match own.endpoint {
            Endpoint::Authorization => 400,
            Endpoint::Management => 401,
            _ => 405,
        };
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
    }
    let paths = on.server.policy().endpoints().into_iter().map(|own| own.path().to_owned());
    let optional: Vec<_> = paths.skip(2).map(|path| path.replace("{client_id}", "x")).collect();
    assert_eq!(optional.len(), 4);
    let off =
        World::with(grantcore::Policy::builder(ISSUER).scope("read", "Read").resource(MCP, "read"));
    for path in optional {
        assert_eq!(off.get(&path).await.status, 404, "{path}");
    }
    for path in ["/oauth/authorize", "/oauth/token", "/.well-known/oauth-authorization-server"] {
        assert_ne!(off.get(path).await.status, 404, "{path}");
    }
    let unmanaged = World::with(
        policy()
            .registration(grantcore::policy::RegistrationRules::default().with_management(false)),
    );
    assert_eq!(unmanaged.get("/oauth/register/grc_unknown").await.status, 404);
}

#[tokio::test]
async fn authz_01_token_01_other_methods_get_405_with_the_methods_that_are_allowed() {
    let world = World::new();
    for (path, allowed) in [
        ("/oauth/authorize", "GET, POST"),
        ("/oauth/authorize/consent", "POST"),
        ("/oauth/token", "POST"),
        ("/oauth/revoke", "POST"),
        ("/oauth/introspect", "POST"),
        ("/oauth/register", "POST"),
        ("/oauth/register/grc_x", "GET, PUT, DELETE"),
        ("/.well-known/oauth-authorization-server", "GET,HEAD"),
        ("/.well-known/oauth-protected-resource/mcp", "GET,HEAD"),
    ] {
        for method in [Method::PATCH, Method::TRACE, "PROPFIND".parse().unwrap()] {
            let request = Request::builder().method(&method).uri(path);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some(allowed)),
                "{method} {path}"
            );
        }
    }
    // Errors of an endpoint have the id that support asks for.
    for path in ["/oauth/authorize", "/oauth/token"] {
        let answer = world.send(Request::put(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.header("x-correlation-id").unwrap().len(), 32);
    }
}

#[tokio::test]
async fn client_11_a_registration_is_read_changed_and_deleted_at_its_url() {
    let world = World::new();
    let metadata = json!({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"});
    let request = Request::post("/oauth/register")
        .header("content-type", "application/json")
        .body(metadata.to_string().into());
    let registered = world.send(request.unwrap()).await.json();
    let text = |name: &str| registered[name].as_str().unwrap().to_owned();
    let url = text("registration_client_uri");
    let token = format!("Bearer {}", text("registration_access_token"));
    let send = async |method: &str, authorization: &str, body: &Value| {
        let request = Request::builder()
            .method(method)
            .uri(path_at(ISSUER, &url))
            .header("authorization", authorization)
            .header("content-type", "application/json")
            .body(body.to_string().into());
        world.send(request.unwrap()).await
    };
    assert_eq!(send("GET", &token, &Value::Null).await.json()["client_id"], text("client_id"));
    assert_eq!(send("GET", "Bearer grm_wrong", &Value::Null).await.status, 401);
    let mut changed = metadata.clone();
    changed["client_id"] = text("client_id").into();
    changed["client_name"] = "Renamed".into();
    assert_eq!(send("PUT", &token, &changed).await.json()["client_name"], "Renamed");
    assert_eq!(send("POST", &token, &changed).await.header("allow"), Some("GET, PUT, DELETE"));
    assert_eq!(send("DELETE", &token, &Value::Null).await.status, 204);
    assert_eq!(send("GET", &token, &Value::Null).await.status, 401);
    // A path that is no text names no client.
    let strange = Request::get("/oauth/register/%FF").header("authorization", &token);
    assert_eq!(world.send(strange.body(Body::empty()).unwrap()).await.status, 401);
}
