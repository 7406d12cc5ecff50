//! Builds a policy: every setting, with its default and what it costs to loosen it.
//!
//! Groups of rules are values with defaults, which the `with_` methods of their types change. The
//! settings of endpoints and of the features behind them are in `endpoints`.

mod endpoints;

use std::collections::BTreeSet;
use std::time::Duration;

use super::slow_hash::SlowHash;
use super::validate::check;
use super::{
    AuthMethods, CheckRules, ErrorDelivery, Lifetimes, Limits, Policy, PolicyError, RateRules,
    Resource, ScopeInfo, TokenRedirectUri,
};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::RedirectRules;
use crate::value::resource;
use crate::value::scope::Scope;

/// Builds a [`Policy`].
///
/// [`Policy::builder`] returns one, and [`build`](Self::build) checks it. Everything has a safe
/// default but the resources and scopes.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct PolicyBuilder {
    policy: Policy,
    default_scope: Option<String>,
    unverified_scope: Option<String>,
    endpoints: NamedEndpoints,
    loopback_http: bool,
}

/// The endpoints of optional features that the host named itself.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedEndpoints {
    pub(super) registration: Option<String>,
    pub(super) revocation: Option<String>,
    pub(super) introspection: Option<String>,
}

/// What a policy is.
impl PolicyBuilder {
    pub(super) fn new(issuer: String) -> Self {
        let endpoint = |path: &str| format!("{}/oauth/{path}", issuer.trim_end_matches('/'));
        let policy = Policy {
            authorization_endpoint: endpoint("authorize"),
            token_endpoint: endpoint("token"),
            registration_endpoint: endpoint("register"),
            revocation_endpoint: endpoint("revoke"),
            introspection_endpoint: endpoint("introspect"),
            issuer,
            registration: None,
            revocation: None,
            introspection: None,
            documents: None,
            auth_methods: AuthMethods::default(),
            unverified_scope: None,
            default_grant_types: GrantTypes { authorization_code: true, refresh_token: false },
            openid_alias: false,
            resources: Vec::new(),
            scopes: Vec::new(),
            implied: Vec::new(),
            check_rules: CheckRules::default(),
            default_scope: None,
            drop_unknown_scopes: false,
            default_resource: None,
            require_resource: false,
            lifetimes: Lifetimes::default(),
            replay_window: Duration::ZERO,
            limits: Limits::default(),
            rate_rules: RateRules::default(),
            redirect_rules: RedirectRules::default(),
            error_delivery: ErrorDelivery::default(),
            token_redirect_uri: TokenRedirectUri::default(),
            terse_errors: false,
            troubleshooting_url: None,
            lenient_on_method: false,
            revoke_previous_access: false,
            refuse_reused_challenges: false,
            slow_hash: None,
        };
        Self {
            policy,
            default_scope: None,
            unverified_scope: None,
            endpoints: NamedEndpoints::default(),
            loopback_http: false,
        }
    }

    /// Declares a scope token (OAuth 2.1 §1.4.1), and what it lets a client do in the words that
    /// the consent page shows. Default: the policy has no scopes.
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.policy.scopes.push(ScopeInfo { name: name.into(), description: description.into() });
        self
    }

    /// Declares that one scope token includes another, for example `admin` includes `read`.
    /// Inclusion is transitive. Default: none includes another.
    ///
    /// It counts where a resource is called, so that a user agrees once to the token that includes
    /// the rest (MCP, Step-Up Authorization Flow).
    pub fn scope_implies(mut self, scope: impl Into<String>, included: impl Into<String>) -> Self {
        self.policy.implied.push((scope.into(), included.into()));
        self
    }

    /// Sets the scope of an authorization request that names none, as tokens separated by spaces.
    /// Default: such a request is refused (OAuth 2.1 §1.4.1).
    ///
    /// A wide default grants clients more than they need.
    pub fn default_scope(mut self, tokens: impl Into<String>) -> Self {
        self.default_scope = Some(tokens.into());
        self
    }

    /// Sets whether unknown scope tokens are left out of a request instead of refused. Default:
    /// `false`.
    ///
    /// The token response names the scope that is left. A client that does not read it believes
    /// that it has more.
    pub fn drop_unknown_scopes(mut self, drop: bool) -> Self {
        self.policy.drop_unknown_scopes = drop;
        self
    }

    /// Adds a protected resource: its identifier (RFC 8707 §2; RFC 9728 §1.2), an `https` URL
    /// without fragment, and the scope tokens that it advertises, separated by spaces. One to 64
    /// resources.
    pub fn resource(mut self, identifier: impl Into<String>, scopes: &str) -> Self {
        let identifier = identifier.into();
        let metadata_url = resource::well_known(&identifier, "oauth-protected-resource");
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        self.policy.resources.push(Resource { identifier, scopes, metadata_url });
        self
    }

    /// Sets the resource of an authorization request that names none. Default: the only resource;
    /// with several, such a request is refused.
    ///
    /// With a default among several, a client can hold a token for another resource than it means
    /// (RFC 8707 §2).
    pub fn default_resource(mut self, identifier: impl Into<String>) -> Self {
        self.policy.default_resource = Some(identifier.into());
        self
    }

    /// Sets whether requests that name no resource are refused even if there is a default or only
    /// one (RFC 8707 §2). Default: `false`.
    pub fn require_resource(mut self, require: bool) -> Self {
        self.policy.require_resource = require;
        self
    }

    /// Sets whether `http` is allowed for the issuer, the endpoints and the resources on a loopback
    /// host: `127.0.0.1`, `[::1]` or `localhost`. Default: `false` (OAuth 2.1 §1.5).
    ///
    /// For development only: anybody on the way can read codes and tokens.
    pub fn allow_loopback_http(mut self, allow: bool) -> Self {
        self.loopback_http = allow;
        self
    }

    /// Checks and builds the policy.
    ///
    /// # Errors
    /// Returns [`PolicyError`] for the first rule that is broken.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let Self { mut policy, default_scope, unverified_scope, endpoints, loopback_http } = self;
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
        check(&policy, &endpoints, loopback_http)?;
        policy.implied = transitive_closure(&policy.implied);
        Ok(policy)
    }
}

/// Clients and how they authenticate.
impl PolicyBuilder {
    /// Sets the client authentication methods that are advertised, and that a client that registers
    /// itself can get. Default: all. A client of the operator authenticates as it was built.
    pub fn auth_methods(mut self, methods: AuthMethods) -> Self {
        self.policy.auth_methods = methods;
        self
    }

    /// Sets whether a client's secret is accepted in the header and in the body, wherever the
    /// client registered to send it. Default: `false` (RFC 7591 §2).
    ///
    /// With `true`, a client that registered for the header can send its secret in bodies, which
    /// end up in logs more easily.
    pub fn lenient_on_method(mut self, lenient: bool) -> Self {
        self.policy.lenient_on_method = lenient;
        self
    }

    /// Verifies client secrets that people chose: `verify` receives the secret and the stored hash,
    /// and returns whether they match, for example by Argon2. Default: a
    /// [`StoredSecret::SlowHash`](crate::client::StoredSecret::SlowHash) never matches.
    ///
    /// `dummy` is a hash of the same cost that no client has. It is verified, and the result
    /// ignored, where a client is unknown or has no slow hash, so that the time of the response
    /// does not disclose which clients exist. The work is done on the thread that calls the server.
    ///
    /// ```
    /// # fn keyed_hash(_: &[u8], _: &[u8]) -> String { String::new() }
    /// # let policy = grantcore::Policy::builder("https://auth.example");
    /// let pepper = vec![0x5f; 32];
    /// let dummy = keyed_hash(&pepper, b"the secret of no client");
    /// let policy =
    ///     policy.slow_hash(move |secret, stored| keyed_hash(&pepper, secret) == stored, dummy);
    /// ```
    pub fn slow_hash(
        mut self,
        verify: impl Fn(&[u8], &str) -> bool + Send + Sync + 'static,
        dummy: impl Into<String>,
    ) -> Self {
        self.policy.slow_hash = Some(SlowHash::new(verify, dummy.into()));
        self
    }

    /// Sets the widest scope that a client can ask for that the operator did not register, as
    /// tokens separated by spaces. Default: every scope of the policy.
    pub fn unverified_scope(mut self, tokens: impl Into<String>) -> Self {
        self.unverified_scope = Some(tokens.into());
        self
    }

    /// Sets the grant types of a client that registers itself, or is known by a document, and names
    /// none. Default: `authorization_code` alone (RFC 7591 §2).
    ///
    /// With `refresh_token`, a client that forgot to ask for refresh tokens gets them all the same.
    pub fn default_grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.policy.default_grant_types = grant_types;
        self
    }

    /// Sets the rules for redirect URIs: which can be registered, and for which the port may
    /// differ.
    pub fn redirect_rules(mut self, rules: RedirectRules) -> Self {
        self.policy.redirect_rules = rules;
        self
    }
}

/// Tokens, requests and responses.
impl PolicyBuilder {
    /// Sets how long pages, codes, tokens and unused clients live.
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.policy.lifetimes = lifetimes;
        self
    }

    /// Sets for how long after a rotation the same old refresh token gets the same successor again.
    /// Whole seconds, at most the lifetime of an access token. Default: zero, a second use ends the
    /// grant (OAuth 2.1 §4.3.1).
    ///
    /// It spares users a new login where responses get lost, or where several processes share one
    /// token. To be of use it must exceed the time-outs of the client and the store; 30 s is usual.
    /// A thief who refreshes within this time of the victim, each time, is not noticed.
    pub fn replay_window(mut self, window: Duration) -> Self {
        self.policy.replay_window = window;
        self
    }

    /// Sets whether a refresh ends the earlier access tokens of the grant. Default: `false`, they
    /// live until they expire.
    ///
    /// With `true`, calls that are in flight with an earlier token are refused.
    pub fn revoke_previous_access(mut self, revoke: bool) -> Self {
        self.policy.revoke_previous_access = revoke;
        self
    }

    /// Sets the caps on requests and records.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.policy.limits = limits;
        self
    }

    /// Sets which token requests share a limit, and which clients have a limit of their own.
    pub fn rate_rules(mut self, rules: RateRules) -> Self {
        self.policy.rate_rules = rules;
        self
    }

    /// Sets how access tokens are checked at a protected resource, where the specifications leave a
    /// choice.
    pub fn check_rules(mut self, rules: CheckRules) -> Self {
        self.policy.check_rules = rules;
        self
    }

    /// Sets when the token request must repeat the redirect URI. Default:
    /// [`TokenRedirectUri::RequiredIfSent`].
    pub fn token_redirect_uri(mut self, rule: TokenRedirectUri) -> Self {
        self.policy.token_redirect_uri = rule;
        self
    }

    /// Sets whether a code challenge is refused that the same client has sent before (RFC 9700
    /// §2.1.1), as far back as records are kept. The user can still reload the page. Default:
    /// `false`.
    ///
    /// With `true`, an attacker who sees a challenge and is faster can spoil that one request.
    pub fn refuse_reused_challenges(mut self, refuse: bool) -> Self {
        self.policy.refuse_reused_challenges = refuse;
        self
    }

    /// Sets how errors of the authorization endpoint reach clients. Default:
    /// [`ErrorDelivery::Auto`].
    pub fn error_delivery(mut self, delivery: ErrorDelivery) -> Self {
        self.policy.error_delivery = delivery;
        self
    }

    /// Sets whether `error_description` is left out of responses. Default: `false`.
    ///
    /// With `true`, clients and users have only the error code to go by.
    pub fn terse_errors(mut self, terse: bool) -> Self {
        self.policy.terse_errors = terse;
        self
    }

    /// Sets the URL of the page that explains each reason, such as a rendering of
    /// [`troubleshooting`](crate::reason::troubleshooting()). Default: none.
    ///
    /// Each error then has an `error_uri` (RFC 6749 §4.1.2.1, §5.2; RFC 6750 §3): this URL, with
    /// the name of the reason as its fragment. [Terse errors](Self::terse_errors) have none.
    pub fn troubleshooting_url(mut self, url: impl Into<String>) -> Self {
        self.policy.troubleshooting_url = Some(url.into());
        self
    }
}

fn parse_scope(setting: &'static str, scope: Option<String>) -> Result<Option<Scope>, PolicyError> {
    let Some(scope) = scope else { return Ok(None) };
    match Scope::parse(&scope) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) => Err(PolicyError::Scope { setting, scope, error }),
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
