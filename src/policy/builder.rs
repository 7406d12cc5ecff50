//! Builds a policy: every setting, with its default and what it costs to loosen it.
//!
//! Groups of rules are values with defaults, which the `with_` methods of their types change. Here
//! is the check of the whole; the settings are in `scopes`, `endpoints`, `clients`, `flow`, `login`
//! and `federation`.

// Empty lines keep this order, which is that of the groups in the rendered documentation.
mod scopes;

mod endpoints;

mod clients;

mod flow;

mod login;

mod federation;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::members::Members;
use super::registered_scope::RegisteredScope;
use super::resource::ResourceKind;
use super::template::Template;
use super::validate::check;
use super::{
    AuthMethods, CheckRules, ClientLifetimes, ConsentRules, DomainRules, ErrorDelivery,
    LifetimeOverrides, Lifetimes, Limits, Policy, PolicyError, RateRules, ResourceDescription,
    ResourcesError, ScopeFor, ScopesError, Supersede, TokenRedirectUri,
};
use crate::value::grant_types::GrantTypes;
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::RedirectRules;
use crate::value::scope::Scope;
use crate::value::uri::form_encoded;

/// Builds a [`Policy`].
///
/// [`Policy::builder`] returns one, and [`build`](Self::build) checks it. Everything has a safe
/// default but the resources and scopes. A setting that loosens a default documents what that
/// costs.
///
/// | group | settings |
/// |---|---|
/// | [Scopes and resources](#scopes-and-resources) | what tokens allow, and what they are for |
/// | [Endpoints](#endpoints) | the URLs of the endpoints |
/// | [Features that are off by default](#features-that-are-off-by-default) | registration, client documents, revocation, introspection, machines |
/// | [Clients](#clients) | how clients authenticate, and what those may do that the operator did not register |
/// | [Lifetimes and rotation](#lifetimes-and-rotation) | how long everything lives, and the replay window |
/// | [Limits](#limits) | sizes, and requests per minute |
/// | [Choices of the protocol](#choices-of-the-protocol) | where the specifications leave a choice |
/// | [Logins and consent](#logins-and-consent) | classes of logins, and whose consent is remembered |
/// | [Trust in other issuers](#trust-in-other-issuers) | whose signed assertions bring tokens |
/// | [Errors](#errors) | how errors reach clients, and what they disclose |
/// | [Building](#building) | the check of the whole |
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct PolicyBuilder {
    policy: Policy,
    default_scope: Option<String>,
    unverified_scope: Option<String>,
    endpoints: NamedEndpoints,
    descriptions: Vec<(String, ResourceDescription)>,
    punycode_tenants: bool,
    scope_marks: Vec<(String, ScopeFor)>,
}

/// The endpoints of optional features that the host named itself.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedEndpoints {
    pub(super) registration: Option<String>,
    pub(super) revocation: Option<String>,
    pub(super) introspection: Option<String>,
}

impl PolicyBuilder {
    pub(super) fn new(issuer: String) -> Self {
        let endpoint = |path: &str| format!("{}/oauth/{path}", issuer.trim_end_matches('/'));
        let policy = Policy {
            authorization_endpoint: endpoint("authorize"),
            token_endpoint: endpoint("token"),
            registration_endpoint: endpoint("register"),
            revocation_endpoint: endpoint("revoke"),
            introspection_endpoint: endpoint("introspect"),
            issuer_parameter: form_encoded(&issuer).into(),
            issuer: Issuer::new(issuer),
            former_issuers: Vec::new(),
            is_at_root: true,
            loopback_http: false,
            registration: None,
            revocation: None,
            introspection: None,
            documents: None,
            machines: None,
            domains: DomainRules::default(),
            auth_methods: AuthMethods::default(),
            unverified_scope: None,
            default_grant_types: GrantTypes { authorization_code: true, refresh_token: false },
            openid_alias: false,
            metadata_members: Members::default(),
            resources: Vec::new(),
            scopes: Vec::new(),
            scope_order: Vec::new(),
            whole_scope: None,
            marks_scopes: false,
            implied: Vec::new(),
            registered_scope: RegisteredScope::default(),
            check_rules: CheckRules::default(),
            default_scope: None,
            drop_unknown_scopes: false,
            default_resource: None,
            require_resource: false,
            assumed_resources: None,
            lifetimes: Lifetimes::default(),
            unverified_lifetimes: LifetimeOverrides::default(),
            class_lifetimes: None,
            client_lifetimes: ClientLifetimes::default(),
            replay_window: Duration::ZERO,
            limits: Limits::default(),
            rate_rules: RateRules::default(),
            redirect_rules: RedirectRules::default(),
            error_delivery: ErrorDelivery::default(),
            token_redirect_uri: TokenRedirectUri::default(),
            acr_values: Vec::new(),
            consent_rules: ConsentRules::default(),
            terse_errors: false,
            troubleshooting_url: None,
            lenient_on_method: false,
            revoke_previous_access: false,
            refuse_reused_challenges: false,
            supersede: Supersede::default(),
            keys: None,
            slow_hash: None,
            trusted: Vec::new(),
            verifier: None,
        };
        Self {
            policy,
            default_scope: None,
            unverified_scope: None,
            endpoints: NamedEndpoints::default(),
            descriptions: Vec::new(),
            punycode_tenants: false,
            scope_marks: Vec::new(),
        }
    }
}

/// # Building
///
/// [`build`](Self::build) checks every setting. A policy that could not work, or that would promise
/// what it does not do, is refused here and not at a request.
///
/// ```
/// use grantcore::Policy;
///
/// let error = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "note")
///     .build()
///     .unwrap_err();
/// assert!(error.to_string().contains("scope 'note'"));
///
/// // On the developer's own machine.
/// let local = Policy::builder("http://127.0.0.1:8080")
///     .scope("notes", "Read and change your notes")
///     .resource("http://127.0.0.1:8080/mcp", "notes")
///     .allow_loopback_http(true)
///     .build()?;
/// # assert_eq!(local.token_endpoint(), "http://127.0.0.1:8080/oauth/token");
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets whether `http` is allowed for the issuer, the endpoints and the resources on a loopback
    /// host: `127.0.0.1`, `[::1]` or `localhost`. Default: `false` (OAuth 2.1 §1.5).
    ///
    /// For development only: anybody on the way can read codes and tokens.
    pub fn allow_loopback_http(mut self, allow: bool) -> Self {
        self.policy.loopback_http = allow;
        self
    }

    /// Checks and builds the policy.
    ///
    /// # Errors
    /// Returns [`PolicyError`] for the first rule that is broken.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let Self {
            mut policy,
            default_scope,
            unverified_scope,
            endpoints,
            descriptions,
            punycode_tenants,
            scope_marks,
        } = self;
        policy.default_scope = parse_scope("default_scope", default_scope)?;
        policy.unverified_scope = parse_scope("unverified_scope", unverified_scope)?;
        for (own, named) in [
            (&mut policy.registration_endpoint, &endpoints.registration),
            (&mut policy.revocation_endpoint, &endpoints.revocation),
            (&mut policy.introspection_endpoint, &endpoints.introspection),
        ] {
            if let Some(url) = named {
                own.clone_from(url);
            }
        }
        read_templates(&mut policy, punycode_tenants)?;
        describe(&mut policy, descriptions)?;
        mark_scopes(&mut policy, scope_marks)?;
        check(&policy, &endpoints)?;
        policy.implied = transitive_closure(&policy.implied);
        policy.order_scopes();
        let classes = [true, false];
        let lifetimes = classes.map(|operators| policy.lifetimes_of_class(operators).ordered());
        policy.class_lifetimes = Some(Box::new(lifetimes));
        policy.assumed_resources = policy
            .main_resource()
            .filter(|_| !policy.require_resource)
            .map(|main| [main.identifier().into()].into());
        Ok(policy)
    }
}

/// Reads the templates among the resources.
fn read_templates(policy: &mut Policy, allows_punycode: bool) -> Result<(), ResourcesError> {
    let loopback_http = policy.loopback_http;
    for own in &mut policy.resources {
        let resource = || own.identifier.clone();
        match Template::parse(&own.identifier, allows_punycode, loopback_http) {
            None => {}
            Some(Err(error)) => {
                return Err(ResourcesError::Template { resource: resource(), error });
            }
            Some(Ok(template)) => own.kind = ResourceKind::Template(Arc::new(template)),
        }
    }
    Ok(())
}

/// Gives each description to its resource. A later one replaces an earlier one.
fn describe(
    policy: &mut Policy,
    descriptions: Vec<(String, ResourceDescription)>,
) -> Result<(), ResourcesError> {
    for (resource, description) in descriptions {
        let found = policy.resources.iter_mut().find(|own| own.identifier == resource);
        let Some(found) = found else { return Err(ResourcesError::Undeclared { resource }) };
        found.description = Arc::new(description);
    }
    Ok(())
}

/// Sets for each named scope token who can be granted it. A later mark replaces an earlier one.
fn mark_scopes(policy: &mut Policy, marks: Vec<(String, ScopeFor)>) -> Result<(), ScopesError> {
    for (scope, of) in marks {
        let found = policy.scopes.iter_mut().find(|own| own.name == scope);
        let Some(found) = found else {
            return Err(ScopesError::Undeclared { setting: "scope_for", scope });
        };
        found.of = of;
    }
    policy.marks_scopes = policy.scopes.iter().any(|own| own.of != ScopeFor::Both);
    Ok(())
}

fn parse_scope(setting: &'static str, scope: Option<String>) -> Result<Option<Scope>, ScopesError> {
    let Some(scope) = scope else { return Ok(None) };
    match Scope::parse(&scope) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(ScopesError::List { setting, scope, error }),
    }
}

/// Returns every pair of a scope token and one that it includes, directly or through others,
/// sorted.
fn transitive_closure(direct: &[(String, String)]) -> Vec<(String, String)> {
    let mut found: BTreeSet<_> = direct.iter().cloned().collect();
    let mut open = direct.to_vec();
    while let Some((scope, included)) = open.pop() {
        for (_, further) in direct.iter().filter(|(next, _)| *next == included) {
            let pair = (scope.clone(), further.clone());
            if found.insert(pair.clone()) {
                open.push(pair);
            }
        }
    }
    found.into_iter().collect()
}
