//! Tests of META-02, -03, -08 and -09: the addresses of the discovery documents, and discovery from
//! the challenge of a resource.

use grantcore::policy::{PolicyBuilder, PolicyError};
use grantcore::response::WellKnown;
use grantcore::{Authorization, Client, Policy};
use serde_json::{Value, json};
use url::Url;

use crate::support::{CALLBACK, ISSUER, MCP, Outcome, World, json as body, needs};

const SERVER: &str = "oauth-authorization-server";
const OPENID: &str = "openid-configuration";
const RESOURCE: &str = "oauth-protected-resource";

fn of(issuer: &str, resources: &[&str]) -> PolicyBuilder {
    let policy = Policy::builder(issuer).scope("read", "Read").default_scope("read");
    resources.iter().fold(policy, |policy, identifier| policy.resource(*identifier, "read"))
}

/// Returns the addresses of the documents, sorted, each with the member that identifies its
/// subject.
fn found(policy: PolicyBuilder) -> Vec<(String, String)> {
    let policy = policy.build().unwrap();
    let about = |reply: &Value| {
        reply.get("issuer").or_else(|| reply.get("resource")).unwrap().as_str().unwrap().to_owned()
    };
    let mut found: Vec<_> =
        policy.well_known().iter().map(|own| (own.url.clone(), about(&body(&own.reply)))).collect();
    found.sort();
    let all = found.len();
    found.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(found.len(), all, "each address once");
    found
}

fn get<'a>(documents: &'a [WellKnown], url: &str) -> Option<&'a WellKnown> {
    documents.iter().find(|own| own.url == url)
}

/// Inserts the suffix by RFC 8414 §3.1 and RFC 9728 §3.1, independently of the crate.
fn inserted(identifier: &str, suffix: &str) -> String {
    let url = Url::parse(identifier).unwrap();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!(
        "{}/.well-known/{suffix}{}{query}",
        url.origin().ascii_serialization(),
        url.path().trim_end_matches('/')
    )
}

#[test]
fn meta_02_the_suffix_is_between_host_and_path() {
    for (issuer, path) in [
        ("https://h", "/.well-known/oauth-authorization-server"),
        ("https://h/t1", "/.well-known/oauth-authorization-server/t1"),
        ("https://h/t1/", "/.well-known/oauth-authorization-server/t1"),
        ("https://h:8443/a/b", "/.well-known/oauth-authorization-server/a/b"),
    ] {
        let policy = of(issuer, &[MCP]).build().unwrap();
        let origin = Url::parse(issuer).unwrap().origin().ascii_serialization();
        assert_eq!(policy.server_metadata_url(), format!("{origin}{path}"));
        assert_eq!(policy.server_metadata_url(), inserted(issuer, SERVER));
        let documents = policy.well_known();
        let document = get(&documents, &policy.server_metadata_url()).expect("it is mounted");
        assert_eq!((document.path(), &document.reply), (path, &policy.server_metadata()));
    }
}

#[test]
fn meta_03_every_probe_of_a_server_with_a_path_is_answered() {
    for issuer in ["https://h/t1", "https://h/t1/"] {
        let resources = [
            ("https://mcp.example/.well-known/oauth-protected-resource", MCP),
            (&*inserted(MCP, RESOURCE), MCP),
        ];
        let servers = [
            "https://h/.well-known/oauth-authorization-server",
            "https://h/.well-known/oauth-authorization-server/t1",
            "https://h/.well-known/openid-configuration",
            "https://h/.well-known/openid-configuration/t1",
            "https://h/t1/.well-known/oauth-authorization-server",
            "https://h/t1/.well-known/openid-configuration",
        ];
        let expected = servers.into_iter().map(|url| (url, issuer)).chain(resources);
        let expected: Vec<_> =
            expected.map(|(url, about)| (url.to_owned(), about.to_owned())).collect();
        assert_eq!(found(of(issuer, &[MCP]).openid_alias(true)), expected);
        let plain: Vec<_> = expected.into_iter().filter(|(url, _)| !url.contains(OPENID)).collect();
        assert_eq!(found(of(issuer, &[MCP])), plain, "the alias is off by default");
    }
}

#[test]
fn meta_03_a_server_without_a_path_has_one_address_each() {
    let issuer = "https://h";
    let servers: Vec<_> = found(of(issuer, &[MCP]).openid_alias(true))
        .into_iter()
        .filter(|(_, about)| about == issuer)
        .collect();
    let expected = [
        "https://h/.well-known/oauth-authorization-server",
        "https://h/.well-known/openid-configuration",
    ];
    assert_eq!(servers, expected.map(|url| (url.to_owned(), issuer.to_owned())));
}

#[test]
fn meta_03_the_bodies_are_the_documents() {
    let policy = of("https://h/t1", &[MCP, "https://b.example"]).openid_alias(true);
    let policy = policy.build().unwrap();
    let documents = policy.well_known();
    assert_eq!(documents.len(), 8);
    for document in &documents {
        let url = Url::parse(&document.url).unwrap();
        assert_eq!((url.as_str(), url.path()), (&*document.url, document.path()));
        let server = document.url.starts_with("https://h/");
        let own = policy.resources().iter().find(|own| own.metadata_url() == document.url);
        let expected =
            if server { policy.server_metadata() } else { policy.resource_metadata(own.unwrap()) };
        let mut found = body(&document.reply);
        // What OpenID Connect assumes otherwise is denied there.
        if document.url.contains(OPENID) {
            assert_eq!(found["request_uri_parameter_supported"].take(), false);
            found.as_object_mut().unwrap().remove("request_uri_parameter_supported");
        }
        assert_eq!(found, body(&expected), "{}", document.url);
    }
}

/// The document under the name of OpenID Connect claims nothing of OpenID Connect.
#[test]
fn meta_03_the_alias_claims_no_openid_connect() {
    let policy = of(ISSUER, &[MCP]).openid_alias(true).build().unwrap();
    let documents = policy.well_known();
    let alias = body(&get(&documents, &inserted(ISSUER, OPENID)).unwrap().reply);
    for member in [
        "jwks_uri",
        "id_token_signing_alg_values_supported",
        "subject_types_supported",
        "userinfo_endpoint",
    ] {
        assert_eq!(alias.get(member), None, "{member}");
    }
    // Where it is absent, OpenID Connect assumes that request URIs are supported.
    assert_eq!(alias["request_uri_parameter_supported"], false);
    assert_eq!(alias.get("request_parameter_supported"), None);
    let own = get(&documents, &inserted(ISSUER, "oauth-authorization-server")).unwrap();
    assert_eq!(body(&own.reply).get("request_uri_parameter_supported"), None);
    let by_operator = of(ISSUER, &[MCP]).openid_alias(true);
    let by_operator = by_operator.metadata_member("request_uri_parameter_supported", true);
    let documents = by_operator.build().unwrap().well_known();
    let alias = get(&documents, &inserted(ISSUER, OPENID)).unwrap().reply.body.clone();
    assert_eq!(alias.matches("request_uri_parameter_supported").count(), 1, "{alias}");
}

#[test]
fn meta_09_a_resources_document_is_between_host_and_path() {
    for (identifier, url) in [
        ("https://h/public/mcp", "https://h/.well-known/oauth-protected-resource/public/mcp"),
        ("https://h/mcp/", "https://h/.well-known/oauth-protected-resource/mcp"),
        ("https://h", "https://h/.well-known/oauth-protected-resource"),
        ("https://h/", "https://h/.well-known/oauth-protected-resource"),
        ("https://h:8443/mcp", "https://h:8443/.well-known/oauth-protected-resource/mcp"),
        ("https://h/mcp?k=v", "https://h/.well-known/oauth-protected-resource/mcp?k=v"),
        ("https://h/mcp/?k=v", "https://h/.well-known/oauth-protected-resource/mcp?k=v"),
        ("https://h?k=v", "https://h/.well-known/oauth-protected-resource?k=v"),
        ("https://h/?k=a/b/", "https://h/.well-known/oauth-protected-resource?k=a/b/"),
    ] {
        let policy = of(ISSUER, &[identifier]).build().unwrap();
        assert_eq!(policy.resources()[0].metadata_url(), url);
        assert_eq!(inserted(identifier, RESOURCE), url);
        let documents = policy.well_known();
        let document = get(&documents, url).expect("it is mounted");
        assert_eq!(body(&document.reply)["resource"], identifier);
        assert_eq!(
            format!(
                "{}{}",
                Url::parse(url).unwrap().origin().ascii_serialization(),
                document.path()
            ),
            url
        );
    }
}

#[test]
fn meta_09_the_root_has_the_document_of_the_main_resource() {
    let root = |policy: PolicyBuilder, host: &str| {
        let url = format!("{host}/.well-known/{RESOURCE}");
        found(policy).into_iter().find(|(own, _)| *own == url).map(|(_, about)| about)
    };
    let h = "https://h";
    let a = "https://h/a";
    let b = "https://h/b";
    assert_eq!(root(of(ISSUER, &[a]), h).as_deref(), Some(a), "the only resource is the main one");
    assert_eq!(root(of(ISSUER, &[a, b]), h), None, "with several resources there is no main one");
    for default in [a, b] {
        assert_eq!(
            root(of(ISSUER, &[a, b]).default_resource(default), h).as_deref(),
            Some(default)
        );
    }
    assert_eq!(root(of(ISSUER, &[a, "https://g/b"]).default_resource("https://g/b"), h), None);
    assert_eq!(root(of(ISSUER, &["https://h?k=v"]), h).as_deref(), Some("https://h?k=v"));
}

/// A resource that is a whole origin has its own document at the root, even if another resource is
/// the main one.
#[test]
fn meta_09_a_resource_at_the_root_keeps_its_own_document() {
    for resources in [["https://h/mcp", "https://h"], ["https://h", "https://h/mcp"]] {
        for default in resources {
            let documents = found(of(ISSUER, &resources).default_resource(default));
            let own = |identifier: &str| {
                let url = inserted(identifier, RESOURCE);
                documents.iter().find(|(own, _)| *own == url).map(|(_, about)| about.clone())
            };
            for identifier in resources {
                assert_eq!(
                    own(identifier).as_deref(),
                    Some(identifier),
                    "{resources:?}, {default} by default"
                );
            }
        }
    }
}

/// Two documents cannot have one address.
#[test]
fn meta_09_two_resources_with_one_address_do_not_build() {
    for (a, b) in [
        ("https://h/mcp", "https://h/mcp/"),
        ("https://h/mcp/", "https://h/mcp"),
        ("https://h/mcp", "https://H/mcp/"),
        ("https://h?k=v", "https://h/?k=v"),
        ("https://h/mcp?k", "https://h/mcp/?k"),
    ] {
        let error = PolicyError::ResourceRepeated { resource: b.into() };
        assert_eq!(of(ISSUER, &[a, b]).build().map(|_| ()), Err(error), "{a} {b}");
    }
    assert!(
        of(
            ISSUER,
            &[
                "https://h/mcp",
                "https://h/MCP",
                "https://g/mcp",
                "https://h/mcp?k",
                "https://h/mcp?l"
            ]
        )
        .build()
        .is_ok()
    );
}

/// Follows the discovery of an MCP client that knows only the URL of the resource.
fn follow(world: &World, resource: usize) -> Value {
    let policy = world.server.policy();
    let needs = needs(policy, resource, "");
    let refusal = world.server.check(&Authorization::None, &needs).outcome().expect_err("no token");
    let reply = refusal.reply(policy);
    let challenge = reply.header("www-authenticate").unwrap();
    let url = challenge
        .strip_prefix("Bearer resource_metadata=\"")
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let documents = policy.well_known();
    let resource = body(&get(&documents, url).unwrap_or_else(|| panic!("404 at {url}")).reply);
    let issuer = resource["authorization_servers"][0].as_str().unwrap();
    let server = body(
        &get(&documents, &inserted(issuer, SERVER))
            .unwrap_or_else(|| panic!("404 for {issuer}"))
            .reply,
    );
    assert_eq!(server["issuer"], issuer, "RFC 8414 §3.3");
    json!({ "resource": resource["resource"], "server": server })
}

#[test]
fn meta_08_a_client_finds_the_server_from_the_challenge() {
    let resources = [MCP, "https://mcp.example", "https://h/a/b/?k=v", "https://h:8443"];
    for issuer in [ISSUER, "https://auth.example/t1", "https://auth.example/t1/"] {
        let world = World::with(of(issuer, &resources).default_resource(MCP));
        world.put(Client::public("app").redirect_uri(CALLBACK).build().unwrap());
        for (at, identifier) in resources.iter().enumerate() {
            let met = follow(&world, at);
            assert_eq!(met["resource"], *identifier);
            assert_eq!(met["server"]["token_endpoint"], world.server.policy().token_endpoint());
            assert!(
                met["server"]["protected_resources"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(identifier))
            );
        }
    }
}
