//! Tests of TENANT-01 to -03, and -12: which templates there are, and what they match.

use grantcore::policy::{Audience, CheckRules, PolicyError, ResourcesError, TemplateError};
use grantcore::request::NeedsError;
use grantcore::{Policy, Reason};

use crate::support::params::Params;
use crate::support::refused::{assert_redir, refused};
use crate::support::{ISSUER, MCP, World, json, policy};

const HOST: &str = "https://{org}.example.com/mcp";
const PATH: &str = "https://mcp.example.com/{org}/mcp";

fn built(template: &str) -> Result<Policy, PolicyError> {
    policy().resource(template, "read").build()
}

#[test]
fn tenant_01_a_variable_is_a_whole_label_or_a_whole_segment() {
    for template in [
        HOST,
        PATH,
        "https://mcp.example.com/{org}",
        "https://mcp.example.com/{org}/",
        "https://{a}.{b}.example.com/{c}/{d}",
        "https://api.{org}.example.com:8443/mcp",
        "https://{org}.example.com",
    ] {
        assert!(built(template).is_ok(), "{template}: {:?}", built(template));
    }
    for (template, error) in [
        ("https://x{org}.example.com/mcp", TemplateError::Variable),
        ("https://mcp.example.com/x{org}", TemplateError::Variable),
        ("https://mcp.example.com/{a}{b}", TemplateError::Variable),
        ("https://mcp.example.com/{}", TemplateError::Variable),
        ("https://mcp.example.com/{a-b}", TemplateError::Variable),
        ("https://mcp.example.com/{a", TemplateError::Variable),
        ("https://mcp.example.com/a}", TemplateError::Variable),
        ("https://mcp.example.com/{a/b}", TemplateError::Variable),
        ("{scheme}://mcp.example.com/mcp", TemplateError::Place),
        ("https://mcp.example.com:{port}/mcp", TemplateError::Place),
        ("https://mcp.example.com/mcp?org={org}", TemplateError::Place),
        ("https://mcp.example.com/{org}?x=1", TemplateError::Place),
        ("https://{user}@mcp.example.com/mcp", TemplateError::Place),
        ("https://{org}.example.com/{org}", TemplateError::Repeated),
        ("https://mcp.example.com/{a}/{b}/{c}/{d}/{e}", TemplateError::TooMany),
        ("https://{org}.com/mcp", TemplateError::Host),
        ("https://{org}/mcp", TemplateError::Host),
        ("https://example.{org}.com/mcp", TemplateError::Host),
        ("https://mcp.example.{org}/mcp", TemplateError::Host),
        ("http://{org}.example.com/mcp", TemplateError::Url),
        ("https://{org}.example.com/a\\b", TemplateError::Url),
    ] {
        let resource = template.to_owned();
        let expected = ResourcesError::Template { resource, error };
        assert_eq!(built(template).err(), Some(expected.into()), "{template}");
    }
}

#[test]
fn tenant_01_overlapping_resources_are_refused() {
    let build = |one: &str, other: &str| policy().resource(one, "").resource(other, "").build();
    for (one, other) in [
        (HOST, "https://acme.example.com/mcp"),
        ("https://acme.example.com/mcp/", HOST),
        (HOST, "https://{other}.example.com/mcp"),
        (PATH, "https://mcp.example.com/acme/{what}"),
        (PATH, "https://{host}.example.com/acme/mcp"),
        ("https://mcp.example.com/{org}", "https://mcp.example.com/{org}/"),
        ("https://mcp.example.com/{org}", "https://MCP.example.com/x"),
    ] {
        let (first, second) = (one.to_owned(), other.to_owned());
        let expected = ResourcesError::Overlap { resource: second, other: first };
        assert_eq!(build(one, other).err(), Some(expected.into()), "{one} {other}");
    }
    for (one, other) in [
        (HOST, PATH),
        (HOST, "https://acme.example.com/api"),
        (HOST, "https://example.com/mcp"),
        (HOST, "https://a.b.example.com/mcp"),
        (HOST, "https://acme.example.com:8443/mcp"),
        (HOST, "https://a_b.example.com/mcp"),
        (PATH, "https://mcp.example.com/mcp"),
        (PATH, "https://mcp.example.com/a%20b/mcp"),
    ] {
        assert!(build(one, other).is_ok(), "{one} {other}: {:?}", build(one, other));
    }
}

/// Asks for this resource, and returns its spelling in the grant.
fn asked(world: &World, resource: &str) -> Option<String> {
    let request = Params::authorize().and("resource", resource);
    match world.authorize(&request) {
        Ok(grantcore::AuthorizationStep::NeedsConsent(page)) => {
            let mut resources = page.resources();
            let found = resources.next().unwrap().to_owned();
            assert_eq!(resources.next(), None);
            Some(found)
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => {
            assert_eq!(refusal.reason(), Reason::ResourceUnknown, "{resource}");
            assert_redir(world, &refusal, "invalid_target", Reason::ResourceUnknown);
            None
        }
    }
}

fn templates() -> grantcore::policy::PolicyBuilder {
    policy().resource(HOST, "read").resource(PATH, "read")
}

#[test]
fn tenant_02_values_are_labels_and_segments() {
    let world = World::with(templates());
    let long = "a".repeat(63);
    let segment = "a".repeat(64);
    for (value, spelled) in
        [("acme", "acme"), ("ACME", "acme"), ("a-1", "a-1"), ("1", "1"), (&*long, &*long)]
    {
        let asked = asked(&world, &format!("https://{value}.example.com/mcp"));
        assert_eq!(asked, Some(format!("https://{spelled}.example.com/mcp")), "{value}");
    }
    for value in ["acme", "ACME", "a-1", "-a", "a_b", "a.b", "~", "...", &*segment] {
        let resource = format!("https://mcp.example.com/{value}/mcp");
        assert_eq!(asked(&world, &resource), Some(resource.clone()), "{value}");
    }
    let too_long = "a".repeat(64);
    for value in ["a.b", "", "-a", "a-", "a_b", "a%41", "*", "xn--mnchen-3ya", "XN--a", &*too_long]
    {
        assert_eq!(asked(&world, &format!("https://{value}.example.com/mcp")), None, "{value}");
    }
    let too_long = "a".repeat(65);
    for value in ["", ".", "..", "a%2Fb", "a/b", "a%20b", "a+b", "a;b", "{org}", &*too_long] {
        assert_eq!(asked(&world, &format!("https://mcp.example.com/{value}/mcp")), None, "{value}");
    }
}

#[test]
fn tenant_02_international_names_are_admitted_where_the_policy_says_so() {
    let resource = "https://xn--mnchen-3ya.example.com/mcp";
    assert_eq!(asked(&World::with(templates()), resource), None);
    let world = World::with(templates().punycode_tenants(true));
    assert_eq!(asked(&world, resource).as_deref(), Some(resource));
}

#[test]
fn tenant_03_the_whole_identifier_is_matched() {
    let world = World::with(templates());
    for resource in [
        "https://acme.example.com.evil/mcp",
        "https://acme.example.com/mcp/x",
        "https://acme.example.com/mcp/",
        "https://acme.example.com/MCP",
        "https://acme.example.com/mcp?x",
        "https://acme.example.com/mcp?",
        "https://acme.example.com:444/mcp",
        "https://acme.example.com:443/mcp",
        "https://acme.example.com./mcp",
        "https://u@acme.example.com/mcp",
        "https://acme.example.com@evil.example/mcp",
        "https://evil.example/acme.example.com/mcp",
        "https://acme.example.com\\mcp",
        "http://acme.example.com/mcp",
        "https:acme.example.com/mcp",
        "https://example.com/mcp",
        "https://a.b.example.com/mcp",
        // A template itself is no resource.
        HOST,
        PATH,
    ] {
        assert_eq!(asked(&world, resource), None, "{resource}");
    }
    let scheme = asked(&world, "HTTPS://ACME.Example.com/mcp");
    assert_eq!(scheme.as_deref(), Some("https://acme.example.com/mcp"));
    let exact = templates().check_rules(CheckRules::default().with_audience(Audience::Exact));
    let exact = World::with(exact);
    assert_eq!(asked(&exact, "HTTPS://ACME.Example.com/mcp"), None);
    assert!(asked(&exact, "https://acme.example.com/mcp").is_some());
}

#[test]
fn tenant_12_an_omitted_resource_never_means_a_template() {
    let only =
        |template: &str| Policy::builder(ISSUER).scope("read", "").resource(template, "read");
    let world = World::with(only(HOST));
    let refusal = refused(&world, &Params::authorize().set("scope", "read"));
    assert_redir(&world, &refusal, "invalid_target", Reason::ResourceMissing);
    let default = only(HOST).default_resource(HOST).build().err();
    assert_eq!(default, Some(PolicyError::DefaultResource { resource: HOST.into() }));
    // Beside one resource that is none, there are two.
    let refusal = refused(&World::with(templates()), &Params::authorize());
    assert_eq!(refusal.reason(), Reason::ResourceMissing);
    let world = World::with(templates().default_resource(MCP));
    let page = world.page(&Params::authorize());
    assert_eq!(page.resources().collect::<Vec<_>>(), [MCP]);

    let protected =
        |policy: &Policy| json(&policy.server_metadata())["protected_resources"].clone();
    assert_eq!(protected(&templates().build().unwrap()), serde_json::json!([MCP]));
    assert!(protected(&only(HOST).build().unwrap()).is_null());
}

#[test]
fn tenant_12_a_template_is_not_called() {
    let policy = templates().build().unwrap();
    let error = policy.needs(HOST, "read").unwrap_err();
    assert_eq!(error, NeedsError::Template { resource: HOST.into() });
    let template = policy.resources().iter().find(|own| own.is_template()).unwrap();
    assert!(matches!(policy.needs_at(template, "read"), Err(NeedsError::Template { .. })));
    assert!(policy.needs("https://acme.example.com/mcp", "read").is_ok());
}

/// Instances of two templates are not two tenants of one.
#[test]
fn tenant_06_instances_of_two_templates_stand_side_by_side() {
    let files = "https://{org}.files.example/";
    let notes = "https://{org}.notes.example/";
    let world = World::with(policy().resource(files, "read").resource(notes, "read"));
    let params = Params::authorize()
        .set("scope", "read")
        .and("resource", "https://acme.files.example/")
        .and("resource", "https://acme.notes.example/");
    world.page(&params);
}

/// The port and the host of a template are compared whole, also of a host that is one label.
#[test]
fn tenant_03_port_and_host_of_a_template_are_compared() {
    let built = |template: &str| policy().resource(template, "read").build().unwrap();
    let is_known = |policy: &Policy, resource: &str| policy.needs(resource, "read").is_ok();
    let ported = built("https://mcp.example.com:8443/{org}/mcp");
    assert!(is_known(&ported, "https://mcp.example.com:8443/acme/mcp"));
    let own = ported.needs("https://mcp.example.com:8443/acme/mcp", "read").unwrap();
    assert_eq!(own.resource().identifier(), "https://mcp.example.com:8443/acme/mcp");
    for other in [
        "https://mcp.example.com/acme/mcp",
        "https://mcp.example.com:8444/acme/mcp",
        "https://mcp.example.com:8443/acme/team/mcp",
        "https://mcp.example.com:8443/acme/mcp/more",
    ] {
        assert!(!is_known(&ported, other), "{other}");
    }
    let single = built("https://intranet/{org}/mcp");
    assert!(is_known(&single, "https://intranet/acme/mcp"));
    assert!(is_known(&single, "https://INTRANET/acme/mcp"));
    assert!(!is_known(&single, "https://extranet/acme/mcp"));
}

/// A called address belongs to the instance whose path it is below.
#[test]
fn tenant_03_an_address_below_an_instance_is_its_own() {
    let called = |template: &str, url: &str| {
        let policy = built(template).unwrap();
        let own = policy.resources().iter().find(|own| own.is_template()).unwrap();
        own.called_at(url).map(|instance| instance.identifier().to_owned())
    };
    for (template, url, instance) in [
        (
            PATH,
            "https://mcp.example.com/acme/mcp/tools?x=1",
            Some("https://mcp.example.com/acme/mcp"),
        ),
        (PATH, "https://mcp.example.com/acme", None),
        (PATH, "https://mcp.example.com/acme/mcp2", None),
        (PATH, "https://mcp.example.com", None),
        (PATH, "no url", None),
        (
            "https://{org}.example.com",
            "https://acme.example.com/a/b",
            Some("https://acme.example.com"),
        ),
        (
            "https://{org}.example.com",
            "https://acme.example.com#x",
            Some("https://acme.example.com"),
        ),
        ("https://{org}.example.com", "https://acme.example.org/a", None),
        (
            "https://[2001:db8::1]/{org}",
            "https://[2001:DB8::1]/acme/x",
            Some("https://[2001:db8::1]/acme"),
        ),
        ("https://[2001:db8::1]/{org}", "https://[2001:db8::2]/acme/x", None),
    ] {
        assert_eq!(called(template, url).as_deref(), instance, "{template}, {url}");
    }
}
