//! Tests of CLIENTPOLICY-16 and -17: members of the operator's in the metadata documents.

use grantcore::policy::{MemberError, PolicyError, ResourceDescription, ResourcesError};
use grantcore::{Policy, Reply};
use serde_json::{Value, json};

use crate::support::{ISSUER, MCP, json as body, policy};

fn server(policy: &Policy) -> Value {
    body(&policy.server_metadata())
}

#[test]
fn clientpolicy_16_the_servers_document_has_members_of_the_operator() {
    let policy = policy()
        .metadata_member("service_documentation", "https://docs.example/")
        .metadata_member("op_policy_uri#de", "https://docs.example/de")
        .metadata_member("x_limits", json!({ "pages": [1, 2] }))
        .build()
        .unwrap();
    let document = server(&policy);
    assert_eq!(document["service_documentation"], "https://docs.example/");
    assert_eq!(document["op_policy_uri#de"], "https://docs.example/de");
    assert_eq!(document["x_limits"], json!({ "pages": [1, 2] }));
    assert_eq!(document["issuer"], ISSUER);
    let served: Vec<Reply> = policy.well_known().into_iter().map(|own| own.reply).collect();
    assert!(served.iter().any(|reply| reply.body == policy.server_metadata().body));
}

#[test]
fn clientpolicy_16_other_members_are_refused() {
    let add = |name: &str, value: Value| policy().metadata_member(name, value).build().err();
    let refused = |member: &str, error| Some(PolicyError::Member { member: member.into(), error });
    for name in server(&policy().build().unwrap()).as_object().unwrap().keys() {
        assert_eq!(add(name, json!("x")), refused(name, MemberError::Reserved), "{name}");
    }
    for name in [
        "jwks_uri",
        "revocation_endpoint",
        "device_authorization_endpoint",
        "dpop_signing_alg_values_supported",
        "require_pushed_authorization_requests",
    ] {
        assert_eq!(add(name, json!("x")), refused(name, MemberError::Reserved), "{name}");
    }
    assert_eq!(add("x", Value::Null), refused("x", MemberError::Value));
    assert_eq!(add("", json!("x")), refused("", MemberError::Name));
    let twice = policy().metadata_member("x", 1).metadata_member("x", 1).build().err();
    assert_eq!(twice, refused("x", MemberError::Repeated));
    let many =
        |count| (0..count).fold(policy(), |own, n| own.metadata_member(format!("m{n:02}"), n));
    assert!(many(64).build().is_ok());
    assert_eq!(many(65).build().err(), refused("m00", MemberError::TooMany));
    assert!(policy().metadata_member("x", "y".repeat(16 * 1024 - 3)).build().is_ok());
    let long = policy().metadata_member("x", "y".repeat(16 * 1024 - 2)).build().err();
    assert_eq!(long, refused("x", MemberError::TooMany));
}

fn described(description: ResourceDescription) -> Result<Policy, PolicyError> {
    policy().describe_resource(MCP, description).build()
}

#[test]
fn clientpolicy_17_a_resources_document_has_its_name_and_pages() {
    let plain = policy().build().unwrap();
    let members = |policy: &Policy| body(&policy.resource_metadata(&policy.resources()[0]));
    let document = members(&plain);
    let names: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
    let minimal =
        ["authorization_servers", "bearer_methods_supported", "resource", "scopes_supported"];
    assert_eq!(names, minimal, "absent, and not null");
    let description = ResourceDescription::default()
        .with_name("Notes")
        .with_documentation("https://notes.example/docs")
        .with_policy_uri("https://notes.example/policy")
        .with_tos_uri("https://notes.example/tos")
        .with_member("resource_name#de", "Notizen")
        .also_issued_by("https://login.example")
        .also_issued_by("https://auth.example/t2");
    let policy = described(description).unwrap();
    let document = members(&policy);
    assert_eq!(document["resource_name"], "Notes");
    assert_eq!(document["resource_name#de"], "Notizen");
    assert_eq!(document["resource_documentation"], "https://notes.example/docs");
    assert_eq!(document["resource_policy_uri"], "https://notes.example/policy");
    assert_eq!(document["resource_tos_uri"], "https://notes.example/tos");
    let servers = json!([ISSUER, "https://login.example", "https://auth.example/t2"]);
    assert_eq!(document["authorization_servers"], servers);
    // For another issuer of the same rules, that issuer is the first.
    let other = policy.at("https://auth.example/t2").unwrap();
    let servers = json!(["https://auth.example/t2", "https://login.example"]);
    assert_eq!(members(&other)["authorization_servers"], servers);
}

#[test]
fn clientpolicy_17_other_descriptions_are_refused() {
    let refused = |description| match described(description).err() {
        Some(PolicyError::Resources(error)) => error,
        other => panic!("{other:?}"),
    };
    let one = ResourceDescription::default;
    let resource = || MCP.to_owned();
    for name in ["resource", "authorization_servers", "resource_name", "jwks_uri"] {
        let error = ResourcesError::Member {
            resource: resource(),
            member: name.into(),
            error: MemberError::Reserved,
        };
        assert_eq!(refused(one().with_member(name, "x")), error);
    }
    for (name, value, error) in
        [("", json!(1), MemberError::Name), ("x", Value::Null, MemberError::Value)]
    {
        let member = name.to_owned();
        let expected = ResourcesError::Member { resource: resource(), member, error };
        assert_eq!(refused(one().with_member(name, value)), expected);
    }
    let url = "http://notes.example/docs".to_owned();
    let member = "resource_documentation";
    assert_eq!(
        refused(one().with_documentation(&*url)),
        ResourcesError::Page { resource: resource(), member, url }
    );
    for issuer in ["https://Login.example", "login", "https://login.example?x", ISSUER] {
        let expected = ResourcesError::Issuer { resource: resource(), issuer: issuer.into() };
        assert_eq!(refused(one().also_issued_by(issuer)), expected);
    }
    let twice = one().also_issued_by("https://a.example").also_issued_by("https://a.example");
    assert!(matches!(refused(twice), ResourcesError::Issuer { .. }));
    let other = policy().describe_resource("https://x.example/", one()).build().err();
    let undeclared = ResourcesError::Undeclared { resource: "https://x.example/".into() };
    assert_eq!(other, Some(undeclared.into()));
}
