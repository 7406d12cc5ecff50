//! META-13: policies that cannot be built name the value, the rule and the fix. One sentence for
//! each variant of the error.

use std::time::Duration;

use grantcore::Policy;
use grantcore::policy::{
    AuthMethods, DocumentRules, IntrospectionRules, KeyRules, Lifetimes, Limits, PolicyBuilder,
    PolicyError, RateRules, RegistrationRules, ScopesError,
};
use grantcore::value::{GrantTypes, LoopbackPorts, RedirectRules};

use crate::support::keyed::verifier;
use crate::support::{ISSUER, MCP, policy};

#[track_caller]
fn assert_message(policy: PolicyBuilder, message: &str) {
    let error = policy.build().unwrap_err();
    assert_eq!(error.to_string(), message, "{error:?}");
}

fn issued_by(issuer: &str) -> PolicyBuilder {
    Policy::builder(issuer).resource(MCP, "")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn meta_13_a_refused_url_is_named_with_its_rule_and_fix() {
    assert_message(
        issued_by("http://auth.example"),
        "issuer 'http://auth.example' is refused: an issuer is an https URL with a host, and without \
         user, password, query and fragment (RFC 8414 §2). Correct the argument of \
         Policy::builder(). For development, allow_loopback_http(true) admits http on a loopback \
         host.",
    );
    assert_message(
        issued_by("https://Auth.example/"),
        "issuer 'https://Auth.example/' is refused: it is another spelling of \
         'https://auth.example', and clients compare issuers byte for byte (RFC 8414 §3.3). Pass \
         'https://auth.example' to Policy::builder().",
    );
    assert_message(
        policy().token_endpoint("/token"),
        "token_endpoint '/token' is refused: an endpoint is an https URL of the issuer's origin, \
         without user, password and fragment, and the registration endpoint has no query \
         (OAuth 2.1 §1.5, §3.1). Correct the URL, or leave token_endpoint() out for the default.",
    );
    assert_message(
        policy().revocation_endpoint("https://auth.example/revoke"),
        "revocation_endpoint 'https://auth.example/revoke' is refused: revocation is off, so that \
         nothing is served there. Turn it on with revocation(), or leave revocation_endpoint() out.",
    );
    assert_message(
        policy().troubleshooting_url("https://auth.example/help#x"),
        "troubleshooting_url 'https://auth.example/help#x' is refused: the page of every error_uri \
         is an https URL with a host, and without user, password and fragment. Correct the URL, or \
         leave troubleshooting_url() out.",
    );
}

#[test]
fn meta_13_a_refused_resource_is_named_with_its_rule_and_fix() {
    assert_message(
        Policy::builder(ISSUER),
        "the policy has no resource: an access token is for at least one (RFC 8707 §2). Add one with \
         resource().",
    );
    let many = (1..65).fold(policy(), |policy, n| policy.resource(format!("{MCP}/{n}"), ""));
    assert_message(
        many,
        "the policy has 65 resources: a token can name 64. Leave some out, or share them out to \
         several servers.",
    );
    assert_message(
        policy().resource("urn:mcp", ""),
        "resource 'urn:mcp' is refused: a resource is an https URL with a host, and without user, \
         password and fragment (RFC 9728 §1.2). Correct the argument of resource(). For \
         development, allow_loopback_http(true) admits http on a loopback host.",
    );
    assert_message(
        policy().resource("https://mcp.example/mcp/", ""),
        "resource 'https://mcp.example/mcp/' is refused: another resource has its metadata document \
         at the same URL (RFC 9728 §3.1), because the two differ in letter case or a closing slash \
         at most. Name the resource once.",
    );
    assert_message(
        policy().default_resource("https://files.example"),
        "default_resource 'https://files.example' is refused: the policy has no such resource. Add \
         it with resource(), or name one of its resources byte for byte.",
    );
}

#[test]
fn meta_13_a_refused_scope_is_named_with_its_rule_and_fix() {
    for token in ["read write", "a\\b", "lesen und schreiben", "é", ""] {
        let error = policy().scope(token, "").build().unwrap_err();
        assert_eq!(error, PolicyError::Scopes(ScopesError::Token { scope: token.into() }));
    }
    assert_message(
        policy().scope("read write", ""),
        "scope 'read write' is refused: a scope token is printable ASCII without space, quote and \
         backslash (OAuth 2.1 App. A.4). Declare each token with a scope() of its own.",
    );
    assert_message(
        policy().scope("read", ""),
        "scope 'read' is refused: it is declared twice. Leave one scope() out.",
    );
    assert_message(
        policy().default_scope(""),
        "default_scope '' is refused: a scope names at least one token. Name declared scope tokens, \
         separated by spaces, or leave default_scope() out.",
    );
    assert_message(
        policy().default_scope("read notes"),
        "scope 'notes' in default_scope() is refused: the policy does not declare it. Declare it \
         with scope(), or leave it out there.",
    );
    assert_message(
        policy().resource("https://files.example", "offline_access"),
        "scope 'offline_access' of resource 'https://files.example' is refused: it asks the \
         authorization server for a refresh token and means nothing to a resource (MCP, Scope \
         Selection Strategy). Leave it out of resource().",
    );
}

#[test]
fn meta_13_a_feature_that_nobody_could_use_is_named_with_its_rule_and_fix() {
    let registration = || policy().registration(RegistrationRules::default());
    let documents = || policy().client_documents(DocumentRules::default());
    let introspection = |rules: IntrospectionRules| policy().introspection(rules);
    let secrets = AuthMethods::default().with_public_clients(false);
    let none =
        AuthMethods::default().with_client_secret_basic(false).with_client_secret_post(false);
    assert_message(
        policy().auth_methods(none.with_public_clients(false)),
        "auth_methods is refused: it offers no method, so that the metadata would name none \
         (RFC 8414 §2) and no client could register. Offer at least one of AuthMethods.",
    );
    assert_message(
        policy().registration(RegistrationRules::default().with_initial_access_tokens([])),
        "registration is refused: it requires an initial access token and accepts none, so that no \
         client could register. Pass the digests of your tokens to \
         RegistrationRules::with_initial_access_tokens(), or leave registration() out.",
    );
    assert_message(
        registration().unverified_scope("write admin"),
        "unverified_scope 'admin write' is refused: it has no token of default_scope 'read', so that \
         a client of registration that names no scope could not connect. Add one to \
         unverified_scope(), or change default_scope().",
    );
    let refresh = GrantTypes { authorization_code: false, refresh_token: true };
    assert_message(
        registration().default_grant_types(refresh),
        "default_grant_types is refused: it lacks authorization_code, so that a client of \
         registration that names no grant types could use no flow. Add authorization_code.",
    );
    assert_message(
        documents().auth_methods(secrets),
        "client_documents is refused: a client known by a document is a public one, and auth_methods \
         does not offer the method none. Offer it with AuthMethods::with_public_clients(true), or \
         leave client_documents() out.",
    );
    let off = RedirectRules::default().with_loopback_ports(LoopbackPorts::Off);
    assert_message(
        documents().redirect_rules(off),
        "client_documents is refused: native clients listen on a free port, which no document can \
         name, and redirect_rules lets no port differ (RFC 8252 §7.3). Let loopback ports differ \
         with RedirectRules::with_loopback_ports(), or leave client_documents() out.",
    );
    assert_message(
        policy().client_documents(DocumentRules::default().with_fresh_at_most(seconds(59))),
        "fresh_at_least 60s is refused: it is longer than fresh_at_most 59s. Set both with \
         DocumentRules, the shorter one as fresh_at_least.",
    );
    assert_message(
        introspection(IntrospectionRules::default()),
        "introspection is refused: it names no resource server, so that nobody could ask. Name each \
         with IntrospectionRules::with_resource_server(), or leave introspection() out.",
    );
    let files = "https://files.example";
    assert_message(
        introspection(IntrospectionRules::default().with_resource_server("files", files)),
        "resource 'https://files.example' of resource server 'files' is refused: the policy has no \
         such resource. Add it with resource(), or correct \
         IntrospectionRules::with_resource_server().",
    );
    let post = AuthMethods::default().with_client_secret_basic(false);
    let rules = IntrospectionRules::default().with_resource_server("files", MCP);
    assert!(introspection(rules.clone()).auth_methods(post).build().is_ok());
    assert_message(
        introspection(rules).auth_methods(none),
        "introspection is refused: a resource server authenticates with a secret (RFC 7662 §2.1), \
         and auth_methods offers no method for one. Offer client_secret_basic or \
         client_secret_post, or leave introspection() out.",
    );
}

#[test]
fn meta_13_a_refused_lifetime_is_named_with_its_rule_and_fix() {
    let lifetimes = |lifetimes: Lifetimes| policy().lifetimes(lifetimes);
    assert_message(
        lifetimes(Lifetimes::default().with_access(Duration::from_millis(1500))),
        "lifetime access 1.5s is refused: a lifetime is a whole number of seconds, from one second \
         to a thousand years. Set access to such a duration.",
    );
    assert_message(
        lifetimes(Lifetimes::default().with_code(seconds(601))),
        "lifetime code 601s is refused: a code lives at most 600 s (OAuth 2.1 §4.1.2). Set a shorter \
         one with Lifetimes::with_code().",
    );
    assert_message(
        lifetimes(Lifetimes::default().with_refresh_idle(seconds(60))),
        "lifetime refresh_idle 60s is refused: refresh tokens live at least as long as access \
         tokens, 3600s here. Set a longer one, or shorten it with Lifetimes::with_access().",
    );
    assert_message(
        policy().replay_window(seconds(3601)),
        "replay_window 3601s is refused: it is at most the lifetime of an access token, 3600s here, \
         and shorter than refresh_idle, 2592000s here. Set a shorter one; 30 s is usual.",
    );
}

#[test]
fn meta_13_a_refused_limit_is_named_with_its_rule_and_fix() {
    type Set = fn(Limits) -> Limits;
    assert_message(
        policy().limits(Limits::default().with_parameters(0)),
        "limit parameters is refused: at 0 it would refuse everything. Set parameters to at least 1.",
    );
    let zeroes: [(&str, Set); 11] = [
        ("request_bytes", |limits| limits.with_request_bytes(0)),
        ("parameters", |limits| limits.with_parameters(0)),
        ("value_bytes", |limits| limits.with_value_bytes(0)),
        ("live_access_tokens", |limits| limits.with_live_access_tokens(0)),
        ("token_requests_per_minute", |limits| limits.with_token_requests_per_minute(0)),
        ("failed_authentications_per_minute", |limits| {
            limits.with_failed_authentications_per_minute(0)
        }),
        ("registration_bytes", |limits| limits.with_registration_bytes(0)),
        ("registrations_per_minute", |limits| limits.with_registrations_per_minute(0)),
        ("all_registrations_per_minute", |limits| limits.with_all_registrations_per_minute(0)),
        ("all_documents_per_minute", |limits| limits.with_all_documents_per_minute(0)),
        ("consent_pages_per_minute", |limits| limits.with_consent_pages_per_minute(0)),
    ];
    for (limit, set) in zeroes {
        let error = policy().limits(set(Limits::default())).build().unwrap_err();
        assert_eq!(error, PolicyError::Limit { limit });
    }
    let rates = |rules: RateRules| policy().rate_rules(rules);
    assert_message(
        rates(RateRules::default().with_client_limit("app", 0)),
        "client limit of 'app' is refused: at 0 it would refuse all requests. Set at least 1 with \
         RateRules::with_client_limit(), or deactivate the client.",
    );
    assert_message(
        rates(RateRules::default().with_error_code("invalid_grant")),
        "error code 'invalid_grant' of status 429 is refused: it is printable ASCII without quote \
         and backslash (OAuth 2.1 §3.2.4), and none that makes a client drop its tokens, as \
         invalid_grant does, or begin a new login. Set another with RateRules::with_error_code().",
    );
}

/// A value cannot forge a line of the log.
#[test]
fn meta_13_a_value_is_cleaned_for_the_log() {
    let error = issued_by("https://auth.example/\nissuer ok").build().unwrap_err().to_string();
    assert!(error.contains("'https://auth.example/\\nissuer ok'"), "{error}");
}

#[test]
fn meta_13_a_refused_rule_about_keys_is_named_with_its_bounds() {
    type Set = fn(KeyRules, Duration) -> KeyRules;
    let settings: [(&str, Set, u64, u64); 3] = [
        ("leeway", KeyRules::with_leeway, 0, 60),
        ("longest", KeyRules::with_longest, 30, 3600),
        ("stale", KeyRules::with_stale, 0, 3600),
    ];
    for (setting, set, least, most) in settings {
        let built = |value: Duration| {
            policy().client_keys(set(KeyRules::default(), value)).verifier(verifier()).build()
        };
        for good in [least, most] {
            assert!(built(seconds(good)).is_ok(), "{setting} {good}");
        }
        let fraction = seconds(least) + Duration::from_millis(500);
        let below = least.checked_sub(1).map(seconds);
        for value in [Some(fraction), Some(seconds(most + 1)), below].into_iter().flatten() {
            let error = PolicyError::KeyRules { setting, value, least, most };
            assert_eq!(built(value).unwrap_err(), error, "{setting} {value:?}");
        }
    }
}
