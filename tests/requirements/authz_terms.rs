//! Tests of AUTHZ-15 to -20: the flow, the scope and the resources that a request names.

use grantcore::policy::PolicyBuilder;
use grantcore::value::{GrantTypes, Scope};
use grantcore::{Client, Policy, Reason};

use crate::support::params::Params;
use crate::support::refused::{assert_redir, refused};
use crate::support::{CALLBACK, Granted, ISSUER, MCP, World, policy};

const FILES: &str = "https://files.example/";

/// Returns a policy with two resources and no default scope.
fn strict() -> PolicyBuilder {
    Policy::builder(ISSUER)
        .scope("read", "Read")
        .scope("write", "Write")
        .resource(MCP, "read write")
        .resource(FILES, "read")
}

fn scope(world: &World, params: &Params) -> String {
    let page = world.page(params);
    page.scopes(world.server.policy()).map(|(token, _)| token).collect::<Vec<_>>().join(" ")
}

fn resources(world: &World, params: &Params) -> Vec<String> {
    world.page(params).resources().map(str::to_owned).collect()
}

#[test]
fn authz_15_only_response_type_code() {
    let world = World::new();
    let missing = refused(&world, &Params::authorize().without("response_type"));
    assert_redir(&world, &missing, "invalid_request", Reason::ResponseTypeMissing);
    for other in ["token", "id_token", "code token", "Code", "code ", "none"] {
        let refusal = refused(&world, &Params::authorize().set("response_type", other));
        assert_redir(
            &world,
            &refusal,
            "unsupported_response_type",
            Reason::ResponseTypeUnsupported,
        );
    }
}

#[test]
fn authz_16_a_client_without_the_code_flow_is_refused() {
    let world = World::new();
    let none = GrantTypes { authorization_code: false, refresh_token: false };
    world.put(Client::public("codeless").redirect_uri(CALLBACK).grant_types(none).build().unwrap());
    let refusal = refused(&world, &Params::authorize().set("client_id", "codeless"));
    assert_redir(&world, &refusal, "unauthorized_client", Reason::CodeFlowUnauthorized);
}

#[test]
fn authz_17_no_other_response_mode_and_no_request_object() {
    let world = World::new();
    for (name, value, code, reason) in [
        ("response_mode", "fragment", "invalid_request", Reason::ResponseModeUnsupported),
        ("response_mode", "form_post", "invalid_request", Reason::ResponseModeUnsupported),
        ("response_mode", "AuditQuery", "invalid_request", Reason::ResponseModeUnsupported),
        ("request", "eyJhbGciOiJub25lIn0..", "request_not_supported", Reason::RequestObject),
        (
            "request_uri",
            "urn:ietf:params:oauth:request_uri:x",
            "request_uri_not_supported",
            Reason::RequestUri,
        ),
    ] {
        assert_redir(&world, &refused(&world, &Params::authorize().set(name, value)), code, reason);
    }
    world.page(&Params::authorize().set("response_mode", "query"));
}

#[test]
fn authz_18_a_bad_scope_is_refused() {
    let world = World::new();
    let narrow =
        Client::public("narrow").redirect_uri(CALLBACK).scope(Scope::parse("read").unwrap());
    world.put(narrow.build().unwrap());
    for (scope, client, reason) in [
        ("a\"b", "app", Reason::ScopeMalformed),
        ("read\\", "app", Reason::ScopeMalformed),
        ("read\twrite", "app", Reason::ScopeMalformed),
        ("réad", "app", Reason::ScopeMalformed),
        ("x", "app", Reason::ScopeUnknown),
        ("read x", "app", Reason::ScopeUnknown),
        ("READ", "app", Reason::ScopeUnknown),
        ("read,write", "app", Reason::ScopeUnknown),
        ("write", "narrow", Reason::ScopeForbidden),
        ("read write", "narrow", Reason::ScopeForbidden),
    ] {
        let refusal =
            refused(&world, &Params::authorize().set("scope", scope).set("client_id", client));
        assert_redir(&world, &refusal, "invalid_scope", reason);
    }
}

#[test]
fn authz_18_scope_is_a_set() {
    let world = World::new();
    for (sent, meant) in [
        ("read write", "read write"),
        ("write read", "read write"),
        (" read  write ", "read write"),
        ("read read", "read"),
        ("read offline_access", "read"),
        ("offline_access", "read"),
    ] {
        assert_eq!(scope(&world, &Params::authorize().set("scope", sent)), meant, "{sent:?}");
    }
    let world = World::with(policy().scope("offline_access", "Stay signed in"));
    assert_eq!(
        scope(&world, &Params::authorize().set("scope", "read offline_access")),
        "offline_access read"
    );
    let world = World::with(policy().drop_unknown_scopes(true));
    assert_eq!(scope(&world, &Params::authorize().set("scope", "read x")), "read");
    let cased = World::with(policy().scope("Read", "Another scope"));
    assert_eq!(scope(&cased, &Params::authorize().set("scope", "Read")), "Read");
}

#[test]
fn authz_19_an_omitted_scope_is_the_default() {
    let world = World::new();
    let params = Params::authorize().without("scope");
    assert_eq!(scope(&world, &params), "read");
    assert_eq!(Granted::of(&world.token(&Params::redeem(&world.code(&params)))).scope, "read");
}

#[test]
fn authz_19_without_a_default_an_omitted_scope_is_refused() {
    let world = World::with(strict());
    for params in [Params::authorize().without("scope"), Params::authorize().set("scope", " ")] {
        assert_redir(&world, &refused(&world, &params), "invalid_scope", Reason::ScopeMissing);
    }
    let world = World::new();
    let writer =
        Client::public("writer").redirect_uri(CALLBACK).scope(Scope::parse("write").unwrap());
    world.put(writer.build().unwrap());
    let params = Params::authorize().without("scope").set("client_id", "writer");
    assert_redir(&world, &refused(&world, &params), "invalid_scope", Reason::ScopeMissing);
}

#[test]
fn authz_20_a_bad_resource_is_refused() {
    let world = World::new();
    for (resource, reason) in [
        ("mcp.example.com", Reason::ResourceMalformed),
        ("/mcp", Reason::ResourceMalformed),
        ("https://x#f", Reason::ResourceMalformed),
        ("https://mcp.example/mcp#", Reason::ResourceMalformed),
        ("https://mcp.example/other", Reason::ResourceUnknown),
        ("https://mcp.example/mcp/", Reason::ResourceUnknown),
        ("https://mcp.example/MCP", Reason::ResourceUnknown),
        ("https://mcp.example.evil/mcp", Reason::ResourceUnknown),
    ] {
        let refusal = refused(&world, &Params::authorize().set("resource", resource));
        assert_redir(&world, &refusal, "invalid_target", reason);
    }
}

#[test]
fn authz_20_an_omitted_resource_is_the_only_one() {
    let omitted = Params::authorize();
    assert_eq!(resources(&World::new(), &omitted), [MCP]);
    assert_eq!(
        resources(&World::new(), &omitted.clone().and("resource", "HTTPS://MCP.Example/mcp")),
        [MCP],
        "AMB-10"
    );
    let two = World::with(policy().resource(FILES, "read"));
    assert_redir(&two, &refused(&two, &omitted), "invalid_target", Reason::ResourceMissing);
    let defaulted = World::with(policy().resource(FILES, "read").default_resource(FILES));
    assert_eq!(resources(&defaulted, &omitted), [FILES]);
    let required = World::with(policy().require_resource(true));
    assert_redir(
        &required,
        &refused(&required, &omitted),
        "invalid_target",
        Reason::ResourceMissing,
    );
}
