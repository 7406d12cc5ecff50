//! Tests of the routes: which policies have a router, at which paths, and that none makes it panic.

use std::sync::Arc;

use crate::support::browser::{Asking, action};
use crate::support::{self, Answer, ISSUER, MCP, Random, World, policy, send, server};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Uri};
use grantcore::Policy;
use grantcore::policy::{PolicyBuilder, RegistrationRules, RevocationRules};
use grantcore::reason::Endpoint;
use grantcore_axum::{OAuthRouter, RouterError, program_router, router, well_known_router};

fn build(policy: PolicyBuilder) -> Result<Router, RouterError> {
    router(server(policy.build().unwrap()).0, support::login())
}

fn at(path: &str) -> String {
    format!("{ISSUER}{path}")
}

#[test]
fn meta_05_two_endpoints_at_one_path_are_refused_before_axum_panics() {
    for (own, path) in [
        (policy().token_endpoint(at("/oauth/authorize")), "/oauth/authorize"),
        (policy().revocation_endpoint(at("/oauth/token")), "/oauth/token"),
        (policy().introspection_endpoint(at("/oauth/register")), "/oauth/register"),
        // The consent form, and the documents.
        (policy().token_endpoint(at("/oauth/authorize/consent")), "/oauth/authorize/consent"),
        (
            policy().token_endpoint(at("/.well-known/oauth-authorization-server")),
            "/.well-known/oauth-authorization-server",
        ),
        (
            policy().authorization_endpoint(at("/.well-known/oauth-protected-resource/mcp")),
            "/.well-known/oauth-protected-resource/mcp",
        ),
        // No path is the path `/`.
        (policy().token_endpoint(ISSUER).revocation_endpoint(at("/")), "/"),
    ] {
        let error = build(own).unwrap_err();
        assert!(matches!(&error, RouterError::Overlap { path: own } if own == path), "{error:?}");
        let text = format!("two endpoints have the path {path}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

#[test]
fn meta_05_an_endpoint_with_a_query_is_no_route() {
    for url in [at("/token?tenant=1"), at("?tenant=1"), at("/?"), at("?a/b")] {
        for own in [policy().token_endpoint(&url), policy().authorization_endpoint(&url)] {
            let error = build(own).unwrap_err();
            assert!(matches!(error, RouterError::Query { .. }), "{url}: {error:?}");
        }
    }
    let error = build(policy().resource(at("/mcp?tenant=1"), "read")).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("/.well-known/oauth-protected-resource/mcp?tenant=1 cannot be"),
        "{text}"
    );
}

#[test]
fn meta_07_client_documents_need_a_fetcher() {
    let own = Policy::mcp(ISSUER, MCP, [("read", "Read")]);
    let built = build(own);
    #[cfg(feature = "fetch")]
    assert!(built.is_ok());
    #[cfg(not(feature = "fetch"))]
    assert!(matches!(built.unwrap_err(), RouterError::NoFetcher));
}

/// The document of a client that is on this machine is not fetched, and the user learns nothing of
/// the reason.
#[cfg(feature = "fetch")]
#[tokio::test]
async fn client_15_a_document_on_this_machine_is_not_fetched() {
    let world = World::with(Policy::mcp(ISSUER, MCP, [("read", "Read")]));
    for client_id in ["https://127.0.0.1/client", "https://localhost/client", "https://[::1]/c"] {
        let answer = world.get(&Asking::by(client_id, support::CALLBACK).url()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{answer:?}");
        assert!(answer.body.contains("invalid_client"), "{}", answer.body);
    }
}

/// An issuer with a path has its documents in three places each.
#[tokio::test]
async fn meta_02_an_issuer_with_a_path_is_found() {
    let issuer = at("/tenants/a");
    let mcp = format!("{issuer}/mcp");
    let world = World::with(support::policy_at(&issuer, &mcp));
    for path in [
        "/.well-known/oauth-authorization-server/tenants/a",
        "/tenants/a/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server",
    ] {
        assert_eq!(world.get(path).await.json()["issuer"], issuer, "{path}");
    }
    let document = world.get("/.well-known/oauth-protected-resource/tenants/a/mcp").await;
    assert_eq!(document.json()["resource"], mcp);
    assert_eq!(world.get("/tenants/a/oauth/authorize").await.status, 400);
    assert_eq!(world.get("/oauth/authorize").await.status, 404);
    let to_login = world.get(&Asking::app().url().replace("/oauth", "/tenants/a/oauth")).await;
    let back = support::param(to_login.location(), "return_to").unwrap();
    assert!(back.starts_with("/tenants/a/oauth/authorize?"), "{back}");
}

#[tokio::test]
async fn meta_09_resources_of_other_hosts_at_one_path_have_documents_of_their_own() {
    let hosts = ["https://one.example", "https://two.example:8443", "https://[2001:db8::1]"];
    let own = hosts.iter().fold(policy(), |own, host| own.resource(format!("{host}/mcp"), "read"));
    let world = World::with(own);
    let ask = async |uri: &str, host: &str| {
        let mut request = Request::get(uri).body(Body::empty()).unwrap();
        if !host.is_empty() {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        world.send(request).await.json()["resource"].as_str().unwrap().to_owned()
    };
    let path = "/.well-known/oauth-protected-resource/mcp";
    for host in hosts.into_iter().chain([ISSUER]) {
        let (_, authority) = host.split_once("://").unwrap();
        let expected = format!("{host}/mcp");
        assert_eq!(ask(path, authority).await, expected);
        assert_eq!(ask(path, &authority.to_ascii_uppercase()).await, expected);
        // HTTP/2 has the host in the URI and no header; in HTTP/1.1 the URI counts.
        assert_eq!(ask(&format!("{host}{path}"), "").await, expected);
        assert_eq!(ask(&format!("{host}{path}"), "other.example").await, expected);
    }
    for unknown in ["", "other.example", "one.example:1", "one.example.evil"] {
        assert_eq!(ask(path, unknown).await, MCP, "{unknown:?}");
    }
}

#[tokio::test]
async fn tenant_10_each_instance_of_a_template_has_its_document() {
    let own = policy()
        .resource("https://{org}.tenants.example/mcp", "read")
        .resource("https://api.example/{org}/v1", "read")
        .resource("https://other.example/{team}/v1", "read")
        .default_resource(MCP);
    let world = World::with(own);
    let ask = async |path: &str, host: &str| {
        let uri = format!("/.well-known/oauth-protected-resource{path}");
        let request = Request::get(uri).header("host", host).body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        (answer.status, (answer.status == 200).then(|| answer.json()["resource"].clone()))
    };
    let found = |resource: &str| (200, Some(resource.into()));
    for (path, host, resource) in [
        ("/mcp", "acme.tenants.example", "https://acme.tenants.example/mcp"),
        ("/mcp", "BETA.tenants.example", "https://beta.tenants.example/mcp"),
        ("/mcp", "auth.example", MCP),
        ("/acme/v1", "api.example", "https://api.example/acme/v1"),
        ("/acme/v1", "other.example", "https://other.example/acme/v1"),
    ] {
        assert_eq!(ask(path, host).await, found(resource), "{path} at {host}");
    }
    // No tenant has such a name. The document of the one resource at this path is no tenant's.
    for host in ["acme.tenants.example.evil", "a.b.tenants.example", "tenants.example", ""] {
        assert_eq!(ask("/mcp", host).await, found(MCP), "{host}");
    }
    for (path, host) in [
        ("/acme/v1", "evil.example"),
        ("/a%2Fb/v1", "api.example"),
        ("/acme/v2", "api.example"),
        ("/acme/v1/x", "api.example"),
    ] {
        assert_eq!(ask(path, host).await, (404, None), "{path} at {host}");
    }
}

#[tokio::test]
async fn tenant_18_several_issuers_are_mounted_in_one_application() {
    let (first, _) = server(policy().build().unwrap());
    let other = first.policy().at(at("/t1")).unwrap();
    let (second, _) = server(other);
    let of_second = OAuthRouter::new(second, support::login()).resource_documents(false);
    let app = router(first, support::login()).unwrap().merge(of_second.build().unwrap());
    let issuer = async |path: &str| {
        let answer = send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        answer.json()["issuer"].as_str().unwrap().to_owned()
    };
    let well_known = "/.well-known/oauth-authorization-server";
    assert_eq!(issuer(well_known).await, ISSUER);
    assert_eq!(issuer(&format!("{well_known}/t1")).await, at("/t1"));
    assert_eq!(issuer(&format!("/t1{well_known}")).await, at("/t1"));
    for path in ["/oauth/token", "/t1/oauth/token"] {
        let answer = send(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 405, "{path}");
    }
}

#[tokio::test]
async fn meta_07_programs_and_documents_can_be_mounted_alone() {
    let (server, _) = server(policy().build().unwrap());
    let programs = program_router(Arc::clone(&server), &grantcore_axum::Tasks::default()).unwrap();
    let documents = well_known_router(server.policy()).unwrap();
    let get = async |app: &Router, path: &str| {
        send(app, Request::get(path).body(Body::empty()).unwrap()).await.status
    };
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/register"] {
        assert_eq!((get(&programs, path).await, get(&documents, path).await), (405, 404), "{path}");
    }
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"]
    {
        assert_eq!((get(&programs, path).await, get(&documents, path).await), (404, 200), "{path}");
    }
    assert_eq!(get(&programs, "/oauth/authorize").await, 404);
    assert_eq!(get(&documents, "/oauth/authorize").await, 404);
    // Together they are an application again.
    assert_eq!(get(&programs.merge(documents), "/oauth/token").await, 405);
}

/// Asserts that each endpoint answers at the path of its URL, as itself.
async fn assert_mounted(app: &Router, policy: &Policy) {
    for own in policy.endpoints() {
        let url = own.url.strip_suffix("{client_id}");
        let url = url.filter(|_| own.endpoint == Endpoint::Management);
        let url = url.map_or(own.url.clone(), |parent| format!("{parent}x"));
        let path = match url.split_once("://").unwrap().1.find('/') {
            Some(at) => &url[url.find("://").unwrap() + 3 + at..],
            None => "/",
        };
        // The rest is for paths that an HTTP client writes as they are.
        let Ok(uri) = path.parse::<Uri>() else { continue };
        let request = Request::put(uri).body(Body::empty()).unwrap();
        let answer = send(app, request).await;
        let expected = match own.endpoint {
            Endpoint::Authorization => (405, Some("GET, POST")),
            Endpoint::Management => (401, None),
            _ => (405, Some("POST")),
        };
        assert_eq!((answer.status, answer.header("allow")), expected, "{} {path}", own.url);
    }
}

#[tokio::test]
async fn meta_05_odd_paths_are_mounted_as_they_are() {
    for path in [
        "/{x}",
        "/{*x}",
        "/{{x}}",
        "/{",
        "/}",
        "/:x/:y",
        "/*x",
        "/*",
        "/a/",
        "/a//b",
        "//a",
        "/caf%C3%A9",
        "/a%2Fb",
        "/~!$&'()+,;=@",
        "/[x]",
        "/|",
        "/{client_id}",
        "/",
        "",
    ] {
        let url = at(path);
        for own in [
            policy().token_endpoint(&url),
            policy().authorization_endpoint(&url),
            policy().revocation_endpoint(&url),
            policy().registration_endpoint(&url),
            policy().introspection_endpoint(&url),
        ] {
            let own = own.build().unwrap();
            let app = router(server(own.clone()).0, support::login()).unwrap();
            assert_mounted(&app, &own).await;
        }
    }
}

/// A browser finds its way back to an authorization endpoint at an odd path, and the form is posted
/// to this server.
#[tokio::test]
async fn authz_22_an_odd_authorization_endpoint_leads_to_no_other_host() {
    let base = format!("{ISSUER}/login");
    for path in ["//evil.example/authorize", "///a", "/{a}", "/a%2F", "/", ""] {
        let world = World::with(policy().authorization_endpoint(at(path)));
        let request_path = if path.is_empty() { "/" } else { path };
        let (_, query) =
            Asking::app().url().split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        // An HTTP client sends the path as it is.
        let uri = Uri::builder().path_and_query(format!("{request_path}?{query}")).build().unwrap();
        let answer: Answer = send(&world.app, Request::get(uri).body(Body::empty()).unwrap()).await;
        let back = support::param(answer.location(), "return_to").unwrap();
        let resolved = resolve(&base, &back);
        assert_eq!(resolved.split('?').next().unwrap(), at(request_path), "{back}");
        let mut browser = support::browser::Browser::of(&world, "alice").await;
        let signed_in = browser.sign_in(&back, "", "alice", "alice").await;
        assert_eq!(signed_in.location(), back);
        let uri = Uri::builder().path_and_query(format!("{request_path}?{query}")).build().unwrap();
        let page = browser.send(Request::get(uri).body(Body::empty()).unwrap()).await;
        let form = action(&page.body);
        assert_eq!(resolve(&base, &form), format!("{}/consent", at(path)), "{form}");
    }
}

/// Resolves a reference as a browser does: `//` begins with a host, dot segments are removed.
fn resolve(base: &str, reference: &str) -> String {
    let origin = base.split('/').take(3).collect::<Vec<_>>().join("/");
    assert!(reference.starts_with('/'), "{reference}");
    match reference.strip_prefix("//") {
        Some(other) => format!("https://{other}"),
        None => format!("{origin}{}", reference.strip_prefix("/.").unwrap_or(reference)),
    }
}

/// Whatever the paths: a policy that can be built has a router, or an error that names the cause.
#[tokio::test]
async fn i30_no_policy_makes_the_router_panic() {
    let mut random = Random(7);
    let pieces = [
        "/",
        "/",
        "a",
        "{",
        "}",
        "{client_id}",
        "{*a}",
        "*",
        ":",
        ":a",
        "%7B",
        ".",
        "..",
        "//",
        "?",
        "authorize",
        "consent",
        "/consent",
        "token",
        ".well-known",
        "~",
        "|",
        "<",
        "^",
        "`",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "[",
        ";",
        "/oauth/token",
        "/oauth/register",
        "%",
        "%zz",
    ];
    let mut built = 0;
    let mut refused = 0;
    for _ in 0..600 {
        let mut path = || {
            let pieces: String =
                (0..random.below(5)).map(|_| pieces[random.below(pieces.len())]).collect();
            if pieces.is_empty() { pieces } else { format!("/{pieces}") }
        };
        let issuer_path = path().replace(['?', '{', '}', '<', '`', '^', '|'], "");
        let issuer = at(issuer_path.trim_end_matches('/'));
        let mut own = Policy::builder(&issuer)
            .scope("read", "Read")
            .resource(at(&path()), "read")
            .resource(format!("https://other.example{}", path()), "read")
            .registration(RegistrationRules::default())
            .revocation(RevocationRules::default())
            .openid_alias(path().len() > 5);
        if path().len() > 3 {
            own = own.authorization_endpoint(at(&path()));
        }
        if path().len() > 3 {
            own = own.token_endpoint(at(&path()));
        }
        if path().len() > 3 {
            own = own.registration_endpoint(at(&path())).revocation_endpoint(at(&path()));
        }
        let Ok(own) = own.build() else { continue };
        match router(server(own.clone()).0, support::login()) {
            Ok(app) => {
                built += 1;
                assert_mounted(&app, &own).await;
            }
            Err(RouterError::Query { .. } | RouterError::Overlap { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(built > 50 && refused > 50, "{built} {refused}");
}
