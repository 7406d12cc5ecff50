//! CLIENTPOLICY-18: the policy that most MCP servers need, and where its endpoints are.

use std::time::Duration;

use grantcore::Policy;
use grantcore::policy::{
    DocumentRules, PolicyBuilder, PolicyError, RateKey, RateRules, RegistrationRules,
    RevocationRules, ScopesError,
};
use grantcore::reason::Endpoint;
use grantcore::value::{GrantTypes, PrivateUseSchemes, RedirectRules};

const ISSUER: &str = "https://auth.example";
const RESOURCE: &str = "https://mcp.example/mcp";
const SCOPES: [(&str, &str); 2] = [("read", "Read your notes"), ("write", "Change your notes")];

fn text(policy: PolicyBuilder) -> String {
    format!("{:#?}", policy.build().unwrap())
}

/// The calls that the documentation lists.
fn written_out() -> PolicyBuilder {
    let schemes = ["cursor", "vscode", "vscode-insiders", "windsurf"].map(str::to_owned).to_vec();
    Policy::builder(ISSUER)
        .scope("read", "Read your notes")
        .scope("write", "Change your notes")
        .resource(RESOURCE, "read write")
        .default_scope("read write")
        .client_documents(DocumentRules::default())
        .registration(RegistrationRules::default())
        .revocation(RevocationRules::default())
        .default_grant_types(GrantTypes { authorization_code: true, refresh_token: true })
        .redirect_rules(
            RedirectRules::default()
                .with_private_use_schemes(PrivateUseSchemes::ReverseDomainAnd(schemes)),
        )
        .drop_unknown_scopes(true)
        .replay_window(Duration::from_secs(30))
        .rate_rules(RateRules::default().with_key(RateKey::ClientAndGrant))
}

#[test]
fn clientpolicy_18_the_preset_is_the_chain_that_is_written_out() {
    assert_eq!(text(Policy::mcp(ISSUER, RESOURCE, SCOPES)), text(written_out()));
    assert_ne!(
        text(Policy::mcp(ISSUER, RESOURCE, SCOPES)),
        text(Policy::builder(ISSUER).resource(RESOURCE, ""))
    );
}

#[test]
fn clientpolicy_18_each_setting_can_be_changed_after() {
    let mcp = || Policy::mcp(ISSUER, RESOURCE, SCOPES);
    for (changed, expected) in [
        (mcp().default_scope("read"), written_out().default_scope("read")),
        (mcp().replay_window(Duration::ZERO), written_out().replay_window(Duration::ZERO)),
        (mcp().drop_unknown_scopes(false), written_out().drop_unknown_scopes(false)),
        (
            mcp().redirect_rules(RedirectRules::default()),
            written_out().redirect_rules(RedirectRules::default()),
        ),
        (mcp().rate_rules(RateRules::default()), written_out().rate_rules(RateRules::default())),
    ] {
        let changed = text(changed);
        assert_eq!(changed, text(expected));
        assert_ne!(changed, text(mcp()));
    }
}

#[test]
fn clientpolicy_18_without_a_scope_there_is_no_policy() {
    let none: [(&str, &str); 0] = [];
    let error = Policy::mcp(ISSUER, RESOURCE, none).build().unwrap_err();
    assert!(
        matches!(error, PolicyError::Scopes(ScopesError::List { setting: "default_scope", .. })),
        "{error}"
    );
}

#[test]
fn meta_07_the_endpoints_that_are_on_are_listed_with_their_paths() {
    let policy = Policy::builder("https://auth.example/tenant")
        .scope("read", "Read")
        .resource(RESOURCE, "read")
        .token_endpoint("https://auth.example/other/token?x=1")
        .build()
        .unwrap();
    let paths = |policy: &Policy| -> Vec<(Endpoint, String)> {
        policy.endpoints().iter().map(|own| (own.endpoint, own.path().to_owned())).collect()
    };
    let minimal = [
        (Endpoint::Authorization, "/tenant/oauth/authorize".to_owned()),
        (Endpoint::Token, "/other/token?x=1".to_owned()),
    ];
    assert_eq!(paths(&policy), minimal);

    let rules = RegistrationRules::default().with_management(false);
    let policy = Policy::mcp(ISSUER, RESOURCE, SCOPES).registration(rules).build().unwrap();
    let without = paths(&policy);
    let policy = Policy::mcp(ISSUER, RESOURCE, SCOPES).build().unwrap();
    let management = (Endpoint::Management, "/oauth/register/{client_id}".to_owned());
    assert!(!without.contains(&management));
    assert_eq!(paths(&policy), [without, vec![management]].concat());
}
