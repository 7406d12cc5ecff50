//! Faults in the reading of values that mutation testing planted and that no other test noticed.

use grantcore::{Client, Policy};

use crate::support::clients::DOCUMENT;
use crate::support::params::Params;
use crate::support::steps::form;
use crate::support::{Answered, CALLBACK, World, json as body, policy};

/// Values that look alike when they are written one after the other are other requests.
#[test]
fn host_28_no_two_requests_have_one_digest() {
    let world = World::new();
    let digest = |hint: Option<&str>, locales: Option<&str>| {
        let mut params = Params::authorize();
        for (name, value) in [("login_hint", hint), ("ui_locales", locales)] {
            if let Some(value) = value {
                params = params.set(name, value);
            }
        }
        match world.authorize_as(&params, None) {
            Ok(grantcore::AuthorizationStep::NeedsLogin(page)) => page.request(),
            other => panic!("{other:?}"),
        }
    };
    let all = [
        digest(None, None),
        digest(Some("a"), Some("b\u{1}c")),
        digest(Some("a\u{1}b"), Some("c")),
        digest(Some("ab"), Some("c")),
        digest(Some("a"), Some("bc")),
        digest(Some("abc"), None),
        digest(None, Some("abc")),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
    }
    assert_eq!(digest(Some("a"), None), digest(Some("a"), None));
}

/// A comma behind an escaped backslash separates two media types.
#[test]
fn client_16_two_media_types_are_not_one() {
    use crate::support::clients::{document, fetched};
    let text = document().to_string();
    for (content_type, is_one) in [
        (r#"application/json; x="a,b""#, true),
        (r#"application/json; x="a\",b""#, true),
        (r#"application/json; x="a\\", text/html"#, false),
        (r#"application/json; x="a\\""#, true),
    ] {
        let rules = grantcore::policy::DocumentRules::default();
        let world = World::with(policy().client_documents(rules));
        let mut found = fetched(text.as_bytes());
        found.content_type = Some(content_type.as_bytes());
        let params = Params::authorize().set("client_id", DOCUMENT);
        let step = world.authorize_with_document(&params, Some(found));
        assert_eq!(step.is_ok(), is_one, "{content_type}");
    }
}

/// What is counted is what the sender has to leave out: empty pairs are none.
#[test]
fn token_05_the_detail_of_too_many_parameters_counts_them() {
    let world = World::new();
    let limits = grantcore::policy::Limits::default().with_parameters(3);
    let world = world.beside(policy().limits(limits).build().unwrap(), 2);
    let text = "&&a=1&b=2&&c=3&d=4&e=5&";
    let reply = world.server.token(&form(text)).answered(world.server.policy());
    assert_eq!(reply.status, 413);
    let said = body(&reply)["error_description"].as_str().unwrap().to_owned();
    assert!(said.contains('5'), "{said}");
}

/// A client that moves its redirect URI is another client than before.
#[test]
fn client_19_clients_with_other_redirect_uris_differ() {
    let at = |uri: &str| Client::public("own").redirect_uri(uri).build().unwrap();
    assert_eq!(at(CALLBACK), at(CALLBACK));
    assert_ne!(at(CALLBACK), at("https://app.example/elsewhere"));
}

#[test]
fn host_01_properties_are_an_object() {
    use grantcore::value::Properties;
    for text in ["1.5", "-1", "1", "true", "null", "[]", r#""x""#] {
        assert!(Properties::parse(text).is_err(), "{text}");
    }
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

/// A domain that an operator allows is a name, an address or what is below a name.
#[test]
fn clientpolicy_08_a_domain_is_read_whole() {
    use grantcore::policy::DomainRules;
    let allows = |pattern: &str| {
        let rules = DomainRules::default().with_allowed([pattern]);
        policy().document_domains(rules).build().is_ok()
    };
    let label = "a".repeat(63);
    let name = [&*label, &*label, &*label, &"b".repeat(61)].join(".");
    assert_eq!(name.len(), 253);
    for domain in ["[::1]:8443", "[2001:db8::1]", "*.example.com", "example.com:8443", &*name] {
        assert!(allows(domain), "{domain}");
    }
    for domain in [
        "[::1]8443",
        "[::1]:",
        "[::1]:x",
        "*.[::1]",
        "[::g]",
        "[]x]",
        "*.com",
        "example..com",
        &format!("a{name}"),
        &format!("{label}a.example.com"),
    ] {
        assert!(!allows(domain), "{domain}");
    }
}
