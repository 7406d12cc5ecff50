//! Tests of TENANT-04 to -11 and of I60: instances of templates in grants, checks and documents.

use std::sync::atomic::Ordering;

use grantcore::policy::{
    Audience, CheckRules, IntrospectionRules, Limits, PolicyBuilder, Resource, ResourceDescription,
};
use grantcore::request::AuthorizationRequest;
use grantcore::response::WellKnown;
use grantcore::{Authorization, AuthorizationStep, Choice, Reason, Refusal, RequestParts};
use proptest::prelude::*;

use crate::support::params::Params;
use crate::support::property::check;
use crate::support::refused::{assert_redir, refused};
use crate::support::steps::form;
use crate::support::{
    ALICE, Answered, Granted, ISSUER, MCP, Outcome, SECRET, World, assert_refused, json, param,
    policy,
};

const HOST: &str = "https://{org}.example.com/mcp";
const ACME: &str = "https://acme.example.com/mcp";
const BETA: &str = "https://beta.example.com/mcp";

fn templates() -> PolicyBuilder {
    policy().resource(HOST, "read")
}

fn asking(resources: &[&str]) -> Params {
    resources.iter().fold(Params::authorize(), |request, own| request.and("resource", own))
}

fn tokens(world: &World, resources: &[&str]) -> Granted {
    Granted::of(&world.token(&Params::redeem(&world.code(&asking(resources)))))
}

fn call(world: &World, token: &str, resource: &str) -> Result<(), Refusal> {
    let header = format!("Bearer {token}");
    let needs = world.server.policy().needs(resource, "read").unwrap();
    world.server.check(&Authorization::One(header.as_bytes()), &needs).outcome().map(drop)
}

#[test]
fn tenant_04_one_spelling_of_the_concrete_resource_is_everywhere() {
    let introspection = IntrospectionRules::default().with_resource_server("web", HOST);
    let world = World::with(templates().introspection(introspection));
    let tokens = tokens(&world, &["HTTPS://ACME.example.com/mcp"]);
    let [grant] = &*world.grants() else { panic!("one grant") };
    assert_eq!(grant.record.resources().collect::<Vec<_>>(), [ACME]);
    let header = format!("Bearer {}", tokens.access);
    let needs = world.server.policy().needs("https://ACME.example.com/mcp", "").unwrap();
    assert_eq!(needs.resource().identifier(), ACME);
    let access = world.server.check(&Authorization::One(header.as_bytes()), &needs).outcome();
    assert_eq!(access.unwrap().resources().collect::<Vec<_>>(), [ACME]);
    let listed = world.server.connections("alice", None, 9).unwrap();
    assert_eq!(listed.entries[0].resources().collect::<Vec<_>>(), [ACME]);
    // A resource server of the template asks about each of its resources.
    let body = format!("client_id=web&client_secret={SECRET}&token={}", tokens.access);
    let reply = world.server.introspect(&form(&body)).answered(world.server.policy());
    assert_eq!(
        (json(&reply)["active"].as_bool(), &json(&reply)["aud"]),
        (Some(true), &ACME.into())
    );
}

/// Values of a variable, of which some begin or end alike.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", "a(-a){0,2}", Just("mcp".to_owned())]
}

#[test]
fn i60_a_token_of_one_tenant_is_good_at_no_other() {
    let audiences = [Audience::Exact, Audience::Canonical, Audience::PathPrefix];
    let worlds = audiences.map(|audience| {
        // The identifiers above and below the tenants could cover them as prefixes.
        World::with(
            policy()
                .resource("https://mcp.example.com/", "read")
                .resource("https://mcp.example.com/{org}", "read")
                .resource("https://mcp.example.com/{org}/mcp", "read")
                .resource("https://mcp.example.com/{org}/mcp/{sub}", "read")
                .resource("https://{org}.tenants.example/mcp", "read")
                .default_resource(MCP)
                .limits(
                    Limits::default()
                        .with_consent_pages_per_minute(1000)
                        .with_token_requests_per_minute(1000),
                )
                .check_rules(CheckRules::default().with_audience(audience)),
        )
    });
    let forms = [
        |value: &str| format!("https://mcp.example.com/{value}"),
        |value: &str| format!("https://mcp.example.com/{value}/mcp"),
        |value: &str| format!("https://mcp.example.com/{value}/mcp/{value}"),
        |value: &str| format!("https://{value}.tenants.example/mcp"),
    ];
    let values = (0..audiences.len(), 0..forms.len(), 0..forms.len(), value(), value());
    check(&values, |(world, one, other, granted, called)| {
        let (granted, called) = (forms[one](&granted), forms[other](&called));
        let world = &worlds[world];
        let tokens = tokens(world, &[&granted]);
        let outcome = call(world, &tokens.access, &called);
        let reason = outcome.err().map(|refusal| (refusal.status(), refusal.reason()));
        let expected = if granted == called { None } else { Some((401, Reason::AudienceMismatch)) };
        prop_assert_eq!(reason, expected, "{} at {}", granted, called);
        Ok(())
    });
}

/// anythingmcp#286: a token without tenant passed where the tenant was checked
/// only if it was present.
#[test]
fn tenant_05_a_token_without_a_tenant_is_good_at_none() {
    for audience in [Audience::Canonical, Audience::PathPrefix] {
        let rules = CheckRules::default().with_audience(audience);
        let root = "https://mcp.example.com";
        let world = World::with(
            policy()
                .resource(root, "read")
                .resource("https://mcp.example.com/{org}", "read")
                .check_rules(rules),
        );
        for own in [MCP, root] {
            let tokens = tokens(&world, &[own]);
            assert!(call(&world, &tokens.access, own).is_ok());
            let refusal = call(&world, &tokens.access, "https://mcp.example.com/acme").unwrap_err();
            assert_eq!((refusal.status(), refusal.reason()), (401, Reason::AudienceMismatch));
        }
    }
}

#[test]
fn tenant_06_a_grant_names_one_instance_of_a_template() {
    let world = World::with(templates());
    let refusal = refused(&world, &asking(&[ACME, BETA]));
    assert_redir(&world, &refusal, "invalid_target", Reason::ResourceTenantsMixed);
    let refusal = refused(&world, &asking(&[MCP, BETA, ACME]));
    assert_eq!(refusal.reason(), Reason::ResourceTenantsMixed);
    for (asked, granted) in
        [(&[ACME, MCP][..], &[ACME, MCP][..]), (&[ACME, "https://ACME.example.com/mcp"], &[ACME])]
    {
        let page = world.page(&asking(asked));
        assert_eq!(page.resources().collect::<Vec<_>>(), granted);
    }
}

/// Sends the request with resources that only the host knows.
fn with_resources(
    world: &World,
    request: &Params,
    known: &[Resource],
) -> Result<AuthorizationStep, Refusal> {
    let query = request.encode();
    let parts = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let parsed = AuthorizationRequest::parse(&parts, Some(ALICE), world.server.policy()).unwrap();
    world.server.authorize_parsed(parsed.with_resources(known), "").outcome()
}

#[test]
fn tenant_07_the_host_passes_the_resources_of_one_request_in() {
    let world = World::with(templates());
    let own = "https://mcp.customer.example/";
    let request = asking(&[MCP, own, ACME]);
    let query = request.encode();
    let parts = RequestParts { method: "GET", query: query.as_bytes(), ..RequestParts::default() };
    let policy = world.server.policy();
    let parsed = AuthorizationRequest::parse(&parts, Some(ALICE), policy).unwrap();
    assert_eq!(parsed.unknown_resources(policy).collect::<Vec<_>>(), [own]);

    let known = Resource::new(own, "read").unwrap();
    let step = with_resources(&world, &request, std::slice::from_ref(&known)).unwrap();
    let AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
    assert_eq!(page.resources().collect::<Vec<_>>(), [MCP, own, ACME]);
    let location = world.decide(&page.ticket(), Choice::Allow).unwrap().into_location();
    let redeem = Params::redeem(&param(&location, "code").unwrap());
    let tokens = Granted::of(&world.token(&redeem.and("resource", own)));
    // The resource names itself at the check.
    let header = format!("Bearer {}", tokens.access);
    let at = |needs| {
        world.server.check(&Authorization::One(header.as_bytes()), &needs).outcome().map(drop)
    };
    at(policy.needs_at(&known, "read").unwrap()).unwrap();
    let other = Resource::new("https://mcp.other.example/", "read").unwrap();
    let refusal = at(policy.needs_at(&other, "read").unwrap()).unwrap_err();
    assert_eq!(refusal.reason(), Reason::AudienceMismatch);

    // The next request does not know it.
    let refusal = refused(&world, &request);
    assert_redir(&world, &refusal, "invalid_target", Reason::ResourceUnknown);
    let refusal = with_resources(&world, &request, &[other]).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ResourceUnknown);
}

#[test]
fn tenant_07_a_resource_of_the_policy_is_preferred() {
    let world = World::with(templates());
    let spelled = "https://MCP.example/mcp";
    let known = [Resource::new(spelled, "").unwrap()];
    let step = with_resources(&world, &asking(&[spelled]), &known).unwrap();
    let AuthorizationStep::NeedsConsent(page) = step else { panic!("no page") };
    assert_eq!(page.resources().collect::<Vec<_>>(), [MCP], "in the policy's spelling");
    for wrong in [HOST, "http://a.example/", "https://a.example/#x", "mcp"] {
        assert!(Resource::new(wrong, "").is_err(), "{wrong}");
    }
}

#[test]
fn tenant_07_a_grant_has_at_most_64_resources() {
    let limits = Limits::default().with_parameters(200);
    let world = World::with(templates().limits(limits));
    let names: Vec<_> = (0..65).map(|n| format!("https://a.example/{n}")).collect();
    let known: Vec<_> = names.iter().map(|name| Resource::new(name, "").unwrap()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert!(with_resources(&world, &asking(&names[..64]), &known).is_ok());
    let refusal = with_resources(&world, &asking(&names), &known).unwrap_err();
    assert_eq!(refusal.reason(), Reason::ResourceUnknown);
}

#[test]
fn tenant_08_the_consent_page_names_the_tenant() {
    let world = World::with(templates().resource("https://api.example/{org}/{team}", "read"));
    let page = world.page(&asking(&[ACME]));
    assert_eq!(page.resource_variables().collect::<Vec<_>>(), [("org", "acme")]);
    let page = world.page(&asking(&[MCP, "https://api.example/a/b"]));
    assert_eq!(page.resource_variables().collect::<Vec<_>>(), [("org", "a"), ("team", "b")]);
    let page = world.page(&asking(&[MCP]));
    assert_eq!(page.resource_variables().next(), None);

    // The host refuses a stranger to that tenant.
    let ticket = world.page(&asking(&[ACME])).ticket();
    let denied = world.decide(&ticket, Choice::Deny).unwrap_err();
    let location = denied.location(world.server.policy()).unwrap();
    assert_eq!(param(&location, "error").as_deref(), Some("access_denied"));
}

#[test]
fn tenant_09_token_requests_compare_with_the_grant() {
    let world = World::with(templates());
    let first = tokens(&world, &[ACME]);
    let mut first = first;
    for spelled in [ACME, "HTTPS://ACME.example.com/mcp"] {
        let reads = world.store.reads.load(Ordering::SeqCst);
        let reply = world.token(&Params::refresh(first.refresh()).and("resource", spelled));
        first = Granted::of(&reply);
        assert!(world.store.reads.load(Ordering::SeqCst) - reads <= 3, "grant, client, account");
        assert!(call(&world, &first.access, ACME).is_ok());
    }
    for other in [BETA, HOST, MCP] {
        let reply = world.token(&Params::refresh(first.refresh()).and("resource", other));
        assert_refused(&world, &reply, 400, "invalid_target", Reason::ResourceBeyondGrant);
    }
}

#[test]
fn tenant_10_each_instance_has_its_document() {
    let policy = templates()
        .resource("https://api.example/{org}/", "write")
        .describe_resource(HOST, ResourceDescription::default().with_name("Notes"))
        .build()
        .unwrap();
    let well_known = "/.well-known/oauth-protected-resource";
    for (url, resource) in [
        (format!("https://acme.example.com{well_known}/mcp"), ACME),
        (format!("HTTPS://ACME.example.com{well_known}/mcp"), ACME),
        (format!("https://api.example{well_known}/acme"), "https://api.example/acme/"),
        (format!("https://mcp.example{well_known}/mcp"), MCP),
    ] {
        let document = policy.resource_document(&url).unwrap_or_else(|| panic!("{url}"));
        let document = json(&document);
        assert_eq!(document["resource"], resource);
        assert_eq!(document["authorization_servers"], serde_json::json!([ISSUER]));
        assert_eq!(document["resource_name"].is_string(), resource == ACME);
    }
    for url in [
        format!("https://acme.example.com.evil{well_known}/mcp"),
        format!("https://acme.example.com{well_known}/mcp/x"),
        format!("https://acme.example.com{well_known}"),
        format!("https://acme.example.com{well_known}x/mcp"),
        format!("https://acme.example.com/mcp{well_known}"),
        format!("https://{{org}}.example.com{well_known}/mcp"),
        format!("http://acme.example.com{well_known}/mcp"),
        ACME.to_owned(),
        well_known.to_owned(),
        String::new(),
    ] {
        assert!(policy.resource_document(&url).is_none(), "{url}");
    }
    // The host mounts the patterns.
    let patterns: Vec<_> = policy.well_known().into_iter().filter(WellKnown::is_pattern).collect();
    let urls: Vec<_> = patterns.iter().map(|own| own.url.as_str()).collect();
    let expected = [
        format!("https://{{org}}.example.com{well_known}/mcp"),
        format!("https://api.example{well_known}/{{org}}"),
    ];
    assert_eq!(urls, expected);
    assert!(patterns.iter().all(|own| own.reply.status == 404));
}

#[test]
fn tenant_11_a_challenge_names_the_document_of_the_instance() {
    let world = World::with(templates());
    let refusal = call(&world, "gat_x", ACME).unwrap_err();
    let reply = refusal.reply(world.server.policy());
    let challenge = reply.header("www-authenticate").unwrap();
    let url = "https://acme.example.com/.well-known/oauth-protected-resource/mcp";
    assert!(challenge.starts_with(&format!("Bearer resource_metadata=\"{url}\"")), "{challenge}");
    assert!(!challenge.contains('{'));
    assert!(world.server.policy().resource_document(url).is_some());
    let needs = world.server.policy().needs(ACME, "").unwrap();
    assert_eq!(needs.resource().variables().collect::<Vec<_>>(), [("org", "acme")]);
    assert_eq!(needs.resource().variable("org"), Some("acme"));
}
