//! META-01, -04 to -08 and -10: what the discovery documents say. Policies that would make them lie
//! are in `policy_refusals`.

use grantcore::policy::{
    AuthMethods, DocumentRules, PolicyBuilder, PolicyError, RegistrationRules, RevocationRules,
    ScopesError,
};
use grantcore::{Policy, Reply};
use serde_json::{Value, json};

use crate::support::{ISSUER, MCP, json as body, policy};

fn server(policy: PolicyBuilder) -> Value {
    body(&policy.build().unwrap().server_metadata())
}

fn resource(policy: PolicyBuilder) -> Value {
    let policy = policy.build().unwrap();
    body(&policy.resource_metadata(&policy.resources()[0]))
}

#[track_caller]
pub(crate) fn not_built(policy: PolicyBuilder, error: PolicyError) {
    assert_eq!(policy.build().map(|_| ()), Err(error));
}

pub(crate) fn undeclared(setting: &'static str, scope: &str) -> PolicyError {
    PolicyError::Scopes(ScopesError::Undeclared { setting, scope: scope.into() })
}

pub(crate) fn one_scope(issuer: &str) -> PolicyBuilder {
    Policy::builder(issuer).scope("read", "Read").resource(MCP, "read")
}

/// Returns a policy with every feature.
fn everything() -> PolicyBuilder {
    let policy =
        policy().registration(RegistrationRules::default()).revocation(RevocationRules::default());
    policy.client_documents(DocumentRules::default())
}

#[test]
fn meta_01_an_issuer_is_an_https_url_without_query_and_fragment() {
    for issuer in [
        "http://auth.example",
        "https://auth.example?x",
        "https://auth.example/?",
        "https://auth.example#f",
        "https://auth.example/#",
        "https://u@auth.example",
        "https://u:p@auth.example",
        "https:auth.example",
        "https:///auth.example",
        "https://",
        "https://auth example",
        "https://auth.example/\"",
        "https://auth.example\\t",
        "auth.example",
        "ftp://auth.example",
        "",
        "http://localhost:8080",
    ] {
        not_built(one_scope(issuer), PolicyError::Issuer { issuer: issuer.into() });
    }
    for issuer in [
        "http://auth.example",
        "http://localhost.evil.example",
        "http://127.0.0.2",
        "http://10.0.0.1",
        "ftp://localhost",
    ] {
        let error = PolicyError::Issuer { issuer: issuer.into() };
        not_built(one_scope(issuer).allow_loopback_http(true), error);
    }
    for issuer in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080/t1"] {
        let policy = one_scope(issuer).allow_loopback_http(true).build().unwrap();
        assert_eq!(body(&policy.server_metadata())["issuer"], issuer);
    }
}

#[test]
fn meta_01_the_issuer_is_used_byte_for_byte() {
    for issuer in [
        "https://h",
        "https://h/t1",
        "https://h/t1/",
        "https://h:8443",
        "https://h.example/T1",
        "https://h/a%2Fb",
    ] {
        let server = server(one_scope(issuer));
        let resource = resource(one_scope(issuer));
        assert_eq!(
            (&server["issuer"], &resource["authorization_servers"]),
            (&json!(issuer), &json!([issuer]))
        );
        let base = issuer.trim_end_matches('/');
        assert_eq!(server["authorization_endpoint"], format!("{base}/oauth/authorize"));
        assert_eq!(server["token_endpoint"], format!("{base}/oauth/token"));
    }
}

/// The response is 200 with JSON. Cross-origin headers are the host's.
#[test]
fn meta_04_a_document_is_a_plain_json_response() {
    let policy = everything().build().unwrap();
    let resources = policy.resources().iter().map(|own| policy.resource_metadata(own));
    for reply in resources.chain([policy.server_metadata()]) {
        let Reply { status, headers, .. } = &reply;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(
            (*status, headers),
            (200, vec![("content-type", "application/json"), ("cache-control", "max-age=300")])
        );
    }
}

/// Asserts that the value has no null, no empty array and no empty text.
#[track_caller]
fn assert_no_empty_value(value: &Value, at: &str) {
    match value {
        Value::Null => panic!("{at} is null"),
        Value::String(text) => assert!(!text.is_empty(), "{at} is empty"),
        Value::Array(items) => {
            assert!(!items.is_empty(), "{at} is empty");
            for item in items {
                assert_no_empty_value(item, at);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                assert_no_empty_value(member, &format!("{at}.{name}"));
            }
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn meta_04_absent_features_are_left_out() {
    let bare = || Policy::builder(ISSUER).resource(MCP, "");
    let none_but_public =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    for policy in [bare, policy, everything, || {
        everything().auth_methods(
            AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false),
        )
    }] {
        assert_no_empty_value(&server(policy()), "server");
        assert_no_empty_value(&resource(policy()), "resource");
    }
    assert_no_empty_value(&server(bare().auth_methods(none_but_public)), "server");
    assert_eq!(
        (server(bare()).get("scopes_supported"), resource(bare()).get("scopes_supported")),
        (None, None)
    );
}

/// Returns every URL in a document.
fn urls(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.contains("://") => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(urls).collect(),
        Value::Object(members) => members.values().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn meta_05_the_members_that_every_client_needs() {
    for document in [server(policy()), server(everything()), server(one_scope("https://h/t1"))] {
        for member in ["issuer", "authorization_endpoint", "token_endpoint"] {
            assert!(
                document[member].as_str().is_some_and(|url| url.starts_with("https://")),
                "{member}"
            );
        }
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(
            document["grant_types_supported"],
            json!(["authorization_code", "refresh_token"])
        );
        let methods = ["none", "client_secret_basic", "client_secret_post"];
        assert_eq!(document["token_endpoint_auth_methods_supported"], json!(methods));
        assert!(urls(&document).len() >= 4);
        for url in urls(&document) {
            assert!(url.starts_with("https://") && !url.contains('#'), "{url}");
        }
    }
    let own = policy()
        .authorization_endpoint("https://auth.example/go?v=1")
        .token_endpoint("https://auth.example:443/get");
    let document = server(own);
    assert_eq!(document["authorization_endpoint"], "https://auth.example/go?v=1");
    assert_eq!(document["token_endpoint"], "https://auth.example:443/get");
}

#[test]
fn meta_06_pkce_and_the_issuer_parameter_are_advertised() {
    for document in [server(policy()), server(everything())] {
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], json!(true));
    }
}

#[test]
fn meta_07_a_feature_is_advertised_if_it_is_on() {
    type Toggle = (&'static str, fn(PolicyBuilder) -> PolicyBuilder, Value);
    let toggles: [Toggle; 3] = [
        (
            "registration_endpoint",
            |policy| policy.registration(RegistrationRules::default()),
            json!("https://auth.example/oauth/register"),
        ),
        (
            "client_id_metadata_document_supported",
            |policy| policy.client_documents(DocumentRules::default()),
            json!(true),
        ),
        (
            "scopes_supported",
            |policy| policy.scope("read", "Read").scope("write", "Write"),
            json!(["read", "write"]),
        ),
    ];
    let bare = || Policy::builder(ISSUER).resource(MCP, "");
    for (member, on, value) in toggles {
        assert_eq!(server(bare()).get(member), None, "{member}");
        let without = server(bare());
        let with = server(on(bare()));
        assert_eq!(with.get(member), Some(&value));
        assert_eq!(
            with.as_object().unwrap().len(),
            without.as_object().unwrap().len() + 1,
            "{member} and nothing else"
        );
    }
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    let without = server(bare());
    let with = server(bare().revocation(RevocationRules::default()));
    assert_eq!(with["revocation_endpoint"], "https://auth.example/oauth/revoke");
    assert_eq!(with["revocation_endpoint_auth_methods_supported"], json!(methods));
    assert_eq!(
        with.as_object().unwrap().len(),
        without.as_object().unwrap().len() + 2,
        "only revocation is advertised"
    );
    let endpoint = policy()
        .registration(RegistrationRules::default())
        .registration_endpoint("https://auth.example/r");
    assert_eq!(server(endpoint)["registration_endpoint"], "https://auth.example/r");
    assert_eq!(
        server(policy().resource("https://b.example", ""))["protected_resources"],
        json!([MCP, "https://b.example"])
    );
    for absent in ["introspection_endpoint", "jwks_uri", "userinfo_endpoint"] {
        assert_eq!(server(everything()).get(absent), None, "{absent}: there is none");
    }
    for (none, basic, post) in
        [(true, false, false), (false, true, false), (false, false, true), (true, false, true)]
    {
        let named = [(none, "none"), (basic, "client_secret_basic"), (post, "client_secret_post")];
        let named: Vec<_> = named.into_iter().filter_map(|(on, name)| on.then_some(name)).collect();
        let document = server(
            policy().auth_methods(
                AuthMethods::default()
                    .with_public_clients(none)
                    .with_client_secret_basic(basic)
                    .with_client_secret_post(post),
            ),
        );
        assert_eq!(document["token_endpoint_auth_methods_supported"], json!(named));
    }
}

#[test]
fn meta_08_a_resource_names_itself_and_its_server() {
    for identifier in [
        MCP,
        "https://mcp.example",
        "https://mcp.example/",
        "https://MCP.example/Mcp/",
        "https://h:8443/a?b=c",
    ] {
        let policy = Policy::builder("https://auth.example/t1/")
            .scope("read", "Read")
            .resource(identifier, "read");
        let document = resource(policy);
        assert_eq!(
            (&document["resource"], &document["authorization_servers"]),
            (&json!(identifier), &json!(["https://auth.example/t1/"]))
        );
    }
    for identifier in [
        "http://mcp.example",
        "https://mcp.example/#",
        "mcp.example",
        "https://u@mcp.example",
        "urn:mcp",
    ] {
        let error = PolicyError::Resource { resource: identifier.into() };
        not_built(Policy::builder(ISSUER).resource(identifier, ""), error);
    }
}

#[test]
fn meta_10_a_resource_lists_its_scopes_and_only_the_header() {
    let document = resource(policy());
    assert_eq!(
        document["scopes_supported"],
        json!(["read", "write"]),
        "the scopes of the resource only"
    );
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    let known =
        || Policy::builder(ISSUER).scope("read", "Read").scope("offline_access", "Stay signed in");
    let offline = || PolicyError::OfflineAccess { resource: MCP.into() };
    not_built(known().resource(MCP, "read offline_access"), offline());
    not_built(
        Policy::builder(ISSUER).scope("read", "Read").resource(MCP, "read offline_access"),
        offline(),
    );
    let unheard_of = undeclared("resource", "unheard-of");
    not_built(policy().resource("https://b.example", "unheard-of"), unheard_of);
    let declared = known().resource(MCP, "read");
    assert_eq!(
        server(declared.clone())["scopes_supported"],
        json!(["read", "offline_access"]),
        "only the authorization server uses it"
    );
    assert_eq!(resource(declared)["scopes_supported"], json!(["read"]));
}

/// The shortest documents that every observed client accepts, byte for byte.
#[test]
fn meta_05_the_whole_documents() {
    let policy = policy()
        .registration(RegistrationRules::default())
        .revocation(RevocationRules::default())
        .build()
        .unwrap();
    let server = concat!(
        r#"{"issuer":"https://auth.example","#,
        r#""authorization_endpoint":"https://auth.example/oauth/authorize","#,
        r#""token_endpoint":"https://auth.example/oauth/token","#,
        r#""registration_endpoint":"https://auth.example/oauth/register","#,
        r#""revocation_endpoint":"https://auth.example/oauth/revoke","#,
        r#""scopes_supported":["read","write","admin"],"response_types_supported":["code"],"#,
        r#""response_modes_supported":["query"],"#,
        r#""grant_types_supported":["authorization_code","refresh_token"],"#,
        r#""token_endpoint_auth_methods_supported":["none","client_secret_basic","#,
        r#""client_secret_post"],"#,
        r#""revocation_endpoint_auth_methods_supported":["none","client_secret_basic","#,
        r#""client_secret_post"],"#,
        r#""code_challenge_methods_supported":["S256"],"#,
        r#""authorization_response_iss_parameter_supported":true,"#,
        r#""protected_resources":["https://mcp.example/mcp"]}"#,
    );
    assert_eq!(policy.server_metadata().body, server);
    let resource = concat!(
        r#"{"resource":"https://mcp.example/mcp","#,
        r#""authorization_servers":["https://auth.example"],"#,
        r#""scopes_supported":["read","write"],"bearer_methods_supported":["header"]}"#,
    );
    assert_eq!(policy.resource_metadata(&policy.resources()[0]).body, resource);
}
