//! Tests of CLIENTPOLICY-07 to -10: rules about the domains of documents.

use grantcore::policy::{
    DocumentRules, DomainRules, IntrospectionRules, PolicyBuilder, PolicyError, RevocationRules,
};
use grantcore::{Authorization, AuthorizationStep, Choice, Reason};

use crate::support::clients::{DOCUMENT, ask, code_in, document, fetched, with};
use crate::support::params::Params;
use crate::support::refused::{assert_page, assert_redir, refused};
use crate::support::steps::form;
use crate::support::{Answered, Granted, MCP, SECRET, World, assert_refused, json, policy};

fn documents() -> PolicyBuilder {
    policy().client_documents(DocumentRules::default())
}

fn rules() -> DomainRules {
    DomainRules::default()
}

fn under(rules: DomainRules) -> World {
    World::with(documents().document_domains(rules))
}

/// Asserts that the client of the document is refused on a page, and that nothing is fetched.
#[track_caller]
fn assert_denied(world: &World, client_id: &str) {
    let commits = world.store.commits();
    let refusal = refused(world, &ask(client_id));
    let problem = assert_page(world, &refusal, 400, "invalid_client", Reason::CimdDenied);
    assert_eq!((problem.received, world.store.commits()), (None, commits), "{client_id}");
}

#[test]
fn clientpolicy_07_a_denied_domain_is_refused_before_anything_is_fetched() {
    assert_denied(&under(rules().with_denied(["client.example"])), DOCUMENT);
    assert_denied(&under(rules().with_denied(["*.example"; 0]).with_allowed(["a.test"])), DOCUMENT);
    let world = under(rules().with_allowed(["client.example"]));
    assert_eq!(world.needed(&ask(DOCUMENT)).url, DOCUMENT);
    // A document that a host has fetched all the same is not read.
    let world = under(rules().with_denied(["client.example"]));
    let body = document().to_string();
    let fetched = fetched(body.as_bytes());
    let refusal = world.authorize_with_document(&ask(DOCUMENT), Some(fetched)).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_client", Reason::CimdDenied);
    assert!(world.client(DOCUMENT).is_none());
    // Other clients are not concerned.
    drop(world.page(&Params::authorize()));
}

#[test]
fn clientpolicy_08_a_pattern_is_a_host_or_what_is_below_one() {
    let at = |host: &str| format!("https://{host}/meta.json");
    let matches = |pattern: &str, host: &str| {
        let world = under(rules().with_allowed([pattern]));
        matches!(world.authorize(&ask(&at(host))), Ok(AuthorizationStep::NeedsDocument(_)))
    };
    for (pattern, host) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com", "example.com"),
        ("*.example.com", "a.example.com"),
        ("*.Example.com", "b.a.example.com"),
        ("example.com:8443", "example.com:8443"),
    ] {
        assert!(matches(pattern, host), "{pattern} {host}");
    }
    for (pattern, host) in [
        ("example.com", "a.example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "evilexample.com"),
        ("*.example.com", "example.com.evil"),
        ("example.com", "example.com:8443"),
        ("example.com:8443", "example.com"),
    ] {
        assert!(!matches(pattern, host), "{pattern} {host}");
        assert_denied(&under(rules().with_allowed([pattern])), &at(host));
    }
    for pattern in ["*", "*.com", "https://example.com", "example.com/a", "", "*.*.com"] {
        let lists = [
            ("with_denied", rules().with_denied([pattern])),
            ("with_allowed", rules().with_allowed([pattern])),
            ("with_trusted", rules().with_trusted([pattern])),
        ];
        for (setting, rules) in lists {
            let error = documents().document_domains(rules).build().err();
            let pattern = pattern.to_owned();
            assert_eq!(error, Some(PolicyError::HostPattern { setting, pattern }));
        }
    }
}

#[test]
fn clientpolicy_08_denial_is_stronger_than_permission_and_trust() {
    let all = rules()
        .with_trusted(["client.example"])
        .with_allowed(["client.example"])
        .with_denied(["*.example.com", "client.example"]);
    assert_denied(&under(all), DOCUMENT);
    assert_denied(
        &under(rules().with_trusted(["client.example"]).with_allowed(["a.test"])),
        DOCUMENT,
    );
}

/// Returns tokens of the client of the document, and a world beside theirs under these rules.
fn later(rules: DomainRules) -> (Granted, World) {
    let policy = || {
        let introspection = IntrospectionRules::default().with_resource_server("web", MCP);
        documents().revocation(RevocationRules::default()).introspection(introspection)
    };
    let before = World::with(policy());
    let ticket = before.page_with(&ask(DOCUMENT), &document()).ticket();
    let location = before.decide(&ticket, Choice::Allow).unwrap().into_location();
    let redeem = Params::redeem(&code_in(&location)).set("client_id", DOCUMENT);
    let tokens = Granted::of(&before.token(&redeem));
    let after = policy().document_domains(rules).build().unwrap();
    (tokens, before.beside(after, 2))
}

#[test]
fn clientpolicy_09_a_rule_counts_at_once_at_every_endpoint() {
    let (tokens, world) = later(rules().with_denied(["client.example"]));
    let commits = world.store.commits();
    assert_denied(&world, DOCUMENT);
    let refresh = Params::refresh(tokens.refresh()).set("client_id", DOCUMENT);
    let reply = world.token(&refresh);
    assert_eq!((reply.status, json(&reply)["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(world.reason(), Some(Reason::CimdDenied));
    let unknown = world.token(&refresh.clone().set("client_id", "https://x.example/nobody.json"));
    assert_eq!(reply.body, unknown.body, "as an unknown client");
    let refusal = world.check(&tokens.access, &[]).unwrap_err();
    assert_eq!((refusal.status(), refusal.reason()), (401, Reason::CimdDenied));
    let body = format!("client_id=web&client_secret={SECRET}&token={}", tokens.access);
    let reply = world.server.introspect(&form(&body)).answered(world.server.policy());
    assert_eq!(reply.body, r#"{"active":false}"#);
    assert_eq!(world.store.commits(), commits);
    // Without the rule all of it works again: nothing was ended.
    let (tokens, world) = later(rules());
    let refresh = Params::refresh(tokens.refresh()).set("client_id", DOCUMENT);
    assert_eq!(world.token(&refresh).status, 200);
}

#[test]
fn clientpolicy_09_an_open_consent_page_of_a_denied_client_is_refused() {
    let before = World::with(documents());
    let ticket = before.page_with(&ask(DOCUMENT), &document()).ticket();
    let policy = documents().document_domains(rules().with_denied(["client.example"]));
    let world = before.beside(policy.build().unwrap(), 2);
    let refusal = world.decide(&ticket, Choice::Allow).unwrap_err();
    assert_page(&world, &refusal, 400, "invalid_client", Reason::CimdDenied);
}

/// zeroid#241: a disabled client came back through its document.
#[test]
fn clientpolicy_09_neither_a_denied_nor_a_deactivated_client_is_fetched() {
    for denied in [true, false] {
        let list = if denied { vec!["client.example"] } else { Vec::new() };
        let (_, world) = later(rules().with_denied(list));
        if !denied {
            world.put(world.client(DOCUMENT).unwrap().deactivated());
        }
        // The document is long stale.
        for later in [0, 90_000] {
            world.at(later);
            let refusal = refused(&world, &ask(DOCUMENT));
            let expected = if denied { Reason::CimdDenied } else { Reason::ClientDeactivated };
            assert_page(&world, &refusal, 400, "invalid_client", expected);
        }
    }
}

#[test]
fn clientpolicy_10_a_trusted_domain_gets_errors_at_its_own_origin_at_once() {
    let own = "https://client.example/cb";
    let other = "https://other.example/cb";
    let described = with(document(), "redirect_uris", vec![own, other]);
    let world = under(rules().with_trusted(["client.example"]));
    let page = world.page_with(&ask(DOCUMENT).set("redirect_uri", own), &described);
    assert!(page.domain_trusted() && page.is_unverified(), "still asked");
    let page = world.page_with(&ask(DOCUMENT).set("redirect_uri", other), &described);
    assert!(!page.domain_trusted());

    let wrong =
        |to: &str| refused(&world, &ask(DOCUMENT).set("redirect_uri", to).set("scope", "x"));
    let refusal = wrong(own);
    let location = refusal.location(world.server.policy()).expect("at once");
    assert!(location.starts_with(&format!("{own}?error=invalid_scope")), "{location}");
    let refusal = wrong(other);
    assert_eq!(refusal.location(world.server.policy()), None);
    assert!(refusal.problem(world.server.policy()).continue_url.is_some(), "a banner");

    // Without trust there is a banner in either case.
    let world = under(rules());
    drop(world.page_with(&ask(DOCUMENT).set("redirect_uri", own), &described));
    let refusal = refused(&world, &ask(DOCUMENT).set("redirect_uri", own).set("scope", "x"));
    assert_eq!(refusal.location(world.server.policy()), None);
    // The operator's client is trusted as before.
    let refusal = refused(&world, &Params::authorize().set("scope", "x"));
    assert_redir(&world, &refusal, "invalid_scope", Reason::ScopeUnknown);
    let nobody = world.check("gat_x", &[]).unwrap_err();
    assert_eq!(nobody.reason(), Reason::TokenUnknown);
    let reply = world.reply(world.try_token(&Params::refresh("x"), Authorization::None));
    assert_refused(&world, &reply, 400, "invalid_grant", Reason::RefreshUnknown);
}

/// A domain that an operator allows is a name, an address or what is below a name.
#[test]
fn clientpolicy_08_a_domain_is_read_whole() {
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
