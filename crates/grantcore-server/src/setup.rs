//! The policy and the clients of this server: the part that every host writes for itself.
//!
//! Without a file of settings, the scopes, resources and clients are those of the demonstration,
//! below. With a file, they are the file's (`declared.rs`).

mod declared;
pub(crate) mod protected;
pub(crate) mod trusted;

use std::collections::BTreeMap;

use grantcore::client::{ClientError, ConsentMode, StoredSecret};
use grantcore::jws::RingVerifier;
use grantcore::policy::{
    DocumentRules, DomainRules, IntrospectionRules, KeyRules, Lifetimes, MachineRules,
    PolicyBuilder, PolicyError, RateRules, RegistrationRules, Remember, ResourceDescription,
    RevocationRules,
};
use grantcore::value::{Digest, GrantTypes, MachineRights, SecretMethod, Subject};
use grantcore::{Client, Policy};

pub(crate) use self::declared::{clients_of as declared_clients, redirect_rules};
use crate::config::{Builtin, Clients, Config, GrantType, Issuer, Limits, RegisteredScope, Switch};

/// The public client: a native application on the user's own computer.
pub(crate) const PUBLIC_CLIENT: &str = "demo-public";
/// The confidential client, which sends its secret by `client_secret_basic`.
pub(crate) const CONFIDENTIAL_CLIENT: &str = "demo-confidential";
/// The machine, which acts without a user. It sends its secret by `client_secret_basic`.
pub(crate) const MACHINE_CLIENT: &str = "demo-machine";
/// The demonstration account that is responsible for the machine, and pays.
const MACHINE_OWNER: &str = "alice";
/// The published secret of the confidential client and of the machine, for trials. A real host
/// generates a secret and shows it once.
pub(crate) const DEMO_SECRET: &str = "demo-confidential-secret";

/// The scope that the MCP endpoint requires.
pub(crate) const MCP_SCOPE: &str = "notes";
/// The scope that the API requires.
pub(crate) const API_SCOPE: &str = "profile";

/// The names of resources for people, by their identifiers.
pub(crate) type ResourceNames = BTreeMap<String, String>;

/// Returns the names that the file of settings gives to resources, or those of the demonstration.
pub(crate) fn resource_names(config: &Config, issuer: &Issuer) -> ResourceNames {
    let base = issuer.as_str();
    let mut names: ResourceNames = match &config.declared {
        Some(declared) => declared::resource_names(declared).collect(),
        None => [("/mcp", "your notes"), ("/api", "your profile")]
            .map(|(path, name)| (format!("{base}{path}"), name.to_owned()))
            .into(),
    };
    let protected = config.protected();
    names.extend(protected.filter_map(|(_, own)| Some((own.resource(issuer), own.name.clone()?))));
    names
}

/// Builds the policy of the settings.
pub(crate) fn policy(config: &Config, issuer: &Issuer) -> Result<Policy, PolicyError> {
    let lifetimes = &config.lifetimes;
    let limits = &config.limits;
    let absolute = Some(lifetimes.refresh_absolute).filter(|absolute| !absolute.is_zero());
    let base = issuer.as_str();
    let policy = Policy::builder(base)
        .allow_loopback_http(!issuer.is_https())
        .troubleshooting_url(format!("{base}/troubleshooting"))
        .lifetimes(
            Lifetimes::default()
                .with_access(lifetimes.access_lifetime)
                .with_code(lifetimes.code_lifetime)
                .with_consent(lifetimes.consent_lifetime)
                .with_refresh_idle(lifetimes.refresh_idle)
                .with_refresh_absolute(absolute)
                .with_unused_client(lifetimes.unused_client_lifetime),
        )
        .replay_window(lifetimes.replay_window)
        .limits(caps(limits))
        .revocation(RevocationRules::default())
        // Which client may do what on its own behalf is in its own record.
        .machines(MachineRules::default());
    let rates = RateRules::default().with_key(limits.rate_key.into());
    let policy = match &config.declared {
        Some(declared) => declared::apply(policy, declared, rates),
        None => demonstration(policy.rate_rules(rates), issuer),
    };
    let keys = KeyRules::default().with_allow_loopback(config.clients.allow_loopback_documents);
    let policy = protected::apply(policy, config, issuer).verifier(RingVerifier).client_keys(keys);
    // Those that cannot be built are problems of the file (`plan.rs`).
    let trusted = config.declared.iter().flat_map(|own| trusted::issuers_of(own, issuer));
    let policy =
        trusted.filter_map(|(_, built)| built.ok()).fold(policy, PolicyBuilder::trusted_issuer);
    let policy = config.authorization.apply(policy);
    client_rules(policy, &config.clients).build()
}

/// Adds the scopes and resources of the demonstration.
fn demonstration(policy: PolicyBuilder, issuer: &Issuer) -> PolicyBuilder {
    let base = issuer.as_str();
    let policy = policy
        .scope(MCP_SCOPE, "Read the notes on your note pad and add to them")
        .scope(API_SCOPE, "See who you are on this server")
        .default_scope(format!("{MCP_SCOPE} {API_SCOPE}"))
        .resource(format!("{base}/mcp"), MCP_SCOPE)
        .describe_resource(format!("{base}/mcp"), named_resource("Demo notes"))
        .resource(format!("{base}/api"), API_SCOPE)
        .describe_resource(format!("{base}/api"), named_resource("Demo profile"))
        // Clients without RFC 8707 name no resource. They want the MCP endpoint.
        .default_resource(format!("{base}/mcp"));
    if !issuer.is_loopback() {
        return policy;
    }
    // A resource server in another process introspects the tokens of the API as this client.
    let rules = IntrospectionRules::default();
    policy.introspection(rules.with_resource_server(CONFIDENTIAL_CLIENT, format!("{base}/api")))
}

fn named_resource(name: &str) -> ResourceDescription {
    ResourceDescription::default().with_name(name)
}

/// Returns whether the consent of some client's users is remembered.
pub(crate) fn remembers(policy: &Policy, clients: &[Client]) -> bool {
    policy.consent_rules().remember() != Remember::Never
        || clients.iter().any(|client| client.consent() == Some(ConsentMode::Remember))
}

/// Returns the resources that this server serves itself: the kind of each, with its identifier and
/// the scope that it requires.
pub(crate) fn builtins(config: &Config, issuer: &Issuer) -> Vec<(Builtin, String, String)> {
    let base = issuer.as_str();
    match &config.declared {
        Some(declared) => declared::builtins(declared).collect(),
        None => vec![
            (Builtin::Mcp, format!("{base}/mcp"), MCP_SCOPE.to_owned()),
            (Builtin::Api, format!("{base}/api"), API_SCOPE.to_owned()),
        ],
    }
}

/// Returns the limits of the command line.
fn caps(limits: &Limits) -> grantcore::policy::Limits {
    let default = grantcore::policy::Limits::default();
    let registrations = limits.registration_rate.get();
    default
        .with_token_requests_per_minute(limits.rate_limit.get())
        .with_failed_authentications_per_minute(limits.auth_failures.get())
        .with_consent_pages_per_minute(limits.consent_rate.get())
        .with_registrations_per_minute(registrations)
        // The limit of all sources must not be below that of one source.
        .with_all_registrations_per_minute(
            default.all_registrations_per_minute().max(registrations),
        )
}

/// Adds the rules for clients that the operator did not register.
fn client_rules(policy: PolicyBuilder, clients: &Clients) -> PolicyBuilder {
    let mut policy = policy.redirect_rules(redirect_rules(clients));
    let by_default = |grant_type| clients.default_grant_types.contains(&grant_type);
    policy = policy
        .default_grant_types(GrantTypes {
            authorization_code: by_default(GrantType::AuthorizationCode),
            refresh_token: by_default(GrantType::RefreshToken),
        })
        .lenient_on_method(clients.lenient_on_method);
    if let Some(scope) = &clients.unverified_scope {
        policy = policy.unverified_scope(scope);
    }
    policy = policy.registered_scope(match clients.registered_scope {
        RegisteredScope::Limit => grantcore::policy::RegisteredScope::Limit,
        RegisteredScope::Default => grantcore::policy::RegisteredScope::Default,
    });
    if clients.registration == Switch::On {
        let mut rules = RegistrationRules::default();
        if let Some(token) = &clients.registration_token {
            rules = rules.with_initial_access_tokens([Digest::of(token.as_bytes())]);
        }
        let hosts = named(&clients.redirect_hosts);
        if !hosts.is_empty() {
            rules = rules.with_redirect_hosts(hosts);
        }
        policy = policy.registration(rules);
    }
    if clients.client_documents == Switch::On {
        let rules = DocumentRules::default().with_allow_loopback(clients.allow_loopback_documents);
        policy = policy.client_documents(rules);
    }
    let domains = DomainRules::default()
        .with_denied(named(&clients.denied_document_domains))
        .with_trusted(named(&clients.trusted_document_domains));
    let allowed = named(&clients.allowed_document_domains);
    policy.document_domains(if allowed.is_empty() {
        domains
    } else {
        domains.with_allowed(allowed)
    })
}

/// Returns the names of a list. An empty list is one empty text on the command line.
fn named(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).filter(|name| !name.is_empty()).collect()
}

/// Returns the clients of the demonstration.
///
/// The confidential client and the machine have a published secret, so they exist only under a
/// loopback issuer. The public client has no secret and redirects to the user's own computer, so it
/// always exists.
pub(crate) fn demo_clients(issuer: &Issuer) -> Result<Vec<Client>, ClientError> {
    let public = Client::public(PUBLIC_CLIENT)
        .name("Demo application")
        .redirect_uri("http://127.0.0.1/callback")
        .redirect_uri("http://localhost/callback")
        .redirect_uri("http://[::1]/callback")
        .build()?;
    if !issuer.is_loopback() {
        return Ok(vec![public]);
    }
    let secret = || StoredSecret::Digest(Digest::of(DEMO_SECRET.as_bytes()));
    let confidential = Client::confidential(CONFIDENTIAL_CLIENT, SecretMethod::Basic, secret())
        .name("Demo web application")
        .redirect_uri("https://app.example/callback")
        .redirect_uri("http://127.0.0.1/callback")
        .redirect_uri("http://localhost/callback")
        .build()?;
    // It acts without a user, and the balance of a demonstration account pays for it.
    #[expect(clippy::expect_used, reason = "the scope of the demonstration is one")]
    let rights = MachineRights::new(MCP_SCOPE.parse().expect("a scope"));
    let rights = rights.at(format!("{}/mcp", issuer.as_str()));
    let machine = Client::machine(MACHINE_CLIENT, secret(), rights)
        .name("Demo machine")
        .owner(Subject::new(MACHINE_OWNER))
        .build()?;
    Ok(vec![public, confidential, machine])
}

/// Logs that strangers can make this server call other programs of this machine.
pub(crate) fn warn_if_exposed(is_exposed: bool) {
    if is_exposed {
        tracing::warn!(
            "client documents are fetched from this machine too: \
             anybody can make this server call what listens here"
        );
    }
}
