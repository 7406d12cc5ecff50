//! Builds a policy: every setting, what it is for and what it costs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::validate::{PolicyError, check};
use super::{
    AuthMethods, CheckRules, DocumentRules, ErrorDelivery, IntrospectionRules, Lifetimes, Limits,
    Policy, RateRules, RegistrationRules, Resource, RevocationRules, ScopeInfo, SlowHash,
    TokenRedirectUri,
};
use crate::value::grant_types::GrantTypes;
use crate::value::redirect_uri::RedirectRules;
use crate::value::resource;
use crate::value::scope::Scope;

/// Builds a [`Policy`]; [`build`](Self::build) checks it. Everything has a safe default but the
/// resources and scopes.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct PolicyBuilder {
    policy: Policy,
    default_scope: Option<String>,
    unverified_scope: Option<String>,
    loopback_http: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl PolicyBuilder {
    pub(super) fn new(issuer: String) -> Self {
        let policy = Policy {
            authorization_endpoint: format!("{}/oauth/authorize", issuer.trim_end_matches('/')),
            token_endpoint: format!("{}/oauth/token", issuer.trim_end_matches('/')),
            registration_endpoint: format!("{}/oauth/register", issuer.trim_end_matches('/')),
            revocation_endpoint: format!("{}/oauth/revoke", issuer.trim_end_matches('/')),
            revocation: None,
            introspection_endpoint: format!("{}/oauth/introspect", issuer.trim_end_matches('/')),
            introspection: None,
            issuer,
            registration: None,
            documents: None,
            auth_methods: AuthMethods::default(),
            unverified_scope: None,
            default_grant_types: GrantTypes { authorization_code: true, refresh_token: false },
            openid_alias: false,
            resources: Vec::new(),
            scopes: Vec::new(),
            implied: Vec::new(),
            checks: CheckRules::default(),
            default_scope: None,
            drop_unknown_scopes: false,
            default_resource: None,
            require_resource: false,
            lifetimes: Lifetimes {
                consent: Duration::from_secs(600),
                code: Duration::from_secs(600),
                access: Duration::from_secs(3600),
                refresh_idle: DAY * 30,
                refresh_absolute: Some(DAY * 180),
                unused_client: DAY,
            },
            replay_window: Duration::ZERO,
            limits: Limits {
                request_bytes: 16 * 1024,
                parameters: 64,
                value_bytes: 4 * 1024,
                live_access_tokens: 32,
                token_requests_per_minute: 60,
                failed_authentications_per_minute: 10,
                registration_bytes: 16 * 1024,
                registrations_per_minute: 300,
                all_registrations_per_minute: 600,
                all_documents_per_minute: 600,
                consent_pages_per_minute: 60,
            },
            rates: RateRules::default(),
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
        Self { policy, default_scope: None, unverified_scope: None, loopback_http: false }
    }

    /// Declares a scope token and what it lets a client do, in the words the consent page shows.
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.policy.scopes.push(ScopeInfo { name: name.into(), description: description.into() });
        self
    }

    /// Adds a protected resource: the URI that tokens for it name, and the scope tokens it
    /// understands, separated by spaces.
    pub fn resource(mut self, identifier: impl Into<String>, scopes: &str) -> Self {
        let identifier = identifier.into();
        let metadata_url = resource::well_known(&identifier, "oauth-protected-resource");
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        self.policy.resources.push(Resource { identifier, scopes, metadata_url });
        self
    }

    /// What a request that names no scope asks for. Default: such a request is refused.
    pub fn default_scope(mut self, tokens: impl Into<String>) -> Self {
        self.default_scope = Some(tokens.into());
        self
    }

    /// Leaves unknown scope tokens out instead of refusing them; the token response then says what
    /// is left.
    pub fn drop_unknown_scopes(mut self, drop: bool) -> Self {
        self.policy.drop_unknown_scopes = drop;
        self
    }

    /// What a request that names no resource is for, where there are several. Default: such a
    /// request is refused, as its client may then hold a token for something else than it meant
    /// (RFC 8707 §2).
    pub fn default_resource(mut self, identifier: impl Into<String>) -> Self {
        self.policy.default_resource = Some(identifier.into());
        self
    }

    /// Refuses requests that name no resource even if there is only one (RFC 8707 §2).
    pub fn require_resource(mut self, require: bool) -> Self {
        self.policy.require_resource = require;
        self
    }

    /// The authorization endpoint's URL.
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.authorization_endpoint = url.into();
        self
    }

    /// The token endpoint's URL.
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.token_endpoint = url.into();
        self
    }

    /// Lets clients register themselves (RFC 7591), as those that have never heard of this server
    /// must. Default: they may not.
    pub fn registration(mut self, rules: RegistrationRules) -> Self {
        self.policy.registration = Some(rules);
        self
    }

    /// The registration endpoint's URL.
    pub fn registration_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.registration_endpoint = url.into();
        self
    }

    /// Lets clients give tokens back (RFC 7009), public ones too. Default: they cannot.
    pub fn revocation(mut self, rules: RevocationRules) -> Self {
        self.policy.revocation = Some(rules);
        self
    }

    /// The revocation endpoint's URL.
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.revocation_endpoint = url.into();
        self
    }

    /// Declares that a scope token includes another: whoever has `admin` may `read`. What includes
    /// what is followed through. It is looked at where a resource is called, so that users are
    /// asked once for what includes the rest (MCP, Step-Up Authorization Flow).
    pub fn scope_implies(mut self, scope: impl Into<String>, included: impl Into<String>) -> Self {
        self.policy.implied.push((scope.into(), included.into()));
        self
    }

    /// What token requests share a limit, which clients have one of their own, and what a refusal
    /// is called.
    pub fn rates(mut self, set: impl FnOnce(&mut RateRules)) -> Self {
        set(&mut self.policy.rates);
        self
    }

    /// How resources judge calls, where the specifications leave it open.
    pub fn checks(mut self, set: impl FnOnce(&mut CheckRules)) -> Self {
        set(&mut self.policy.checks);
        self
    }

    /// Lets resource servers ask about tokens (RFC 7662). Default: nobody may.
    pub fn introspection(mut self, rules: IntrospectionRules) -> Self {
        self.policy.introspection = Some(rules);
        self
    }

    /// The introspection endpoint's URL.
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.policy.introspection_endpoint = url.into();
        self
    }

    /// Takes a `client_id` that is a URL for a client whose metadata document is there. The host
    /// must then fetch what
    /// [`AuthorizationStep::NeedMetadata`](crate::AuthorizationStep::NeedMetadata) asks for.
    /// Default: such clients are unknown, but for those whose documents were read while it was
    /// on, until they are forgotten. One such id is that of all users of a product: set the
    /// [rate limit](Self::rates) by [`ClientAndGrant`](crate::RateKey::ClientAndGrant), so that
    /// they do not use up each other's.
    pub fn client_documents(mut self, rules: DocumentRules) -> Self {
        self.policy.documents = Some(rules);
        self
    }

    /// The ways in which clients may authenticate: what is advertised, and what one that registers
    /// itself can get. A client that the operator adds authenticates as it was built.
    pub fn auth_methods(mut self, methods: AuthMethods) -> Self {
        self.policy.auth_methods = methods;
        self
    }

    /// The most that a client may ever ask for that the operator did not register, by scope tokens
    /// separated by spaces. Default: whatever the policy knows.
    pub fn unverified_scope(mut self, tokens: impl Into<String>) -> Self {
        self.unverified_scope = Some(tokens.into());
        self
    }

    /// What a client gets that registers itself, or is known by a document, and names no grant
    /// types. Default: `authorization_code` alone, as RFC 7591 §2 has it; with `refresh_token`,
    /// one that forgot to ask for it can be refreshed all the same.
    pub fn default_grant_types(mut self, grant_types: GrantTypes) -> Self {
        self.policy.default_grant_types = grant_types;
        self
    }

    /// Serves the server's metadata at `openid-configuration` too. Default: no. The document is no
    /// OpenID provider's: a client that asks there first takes it for one and gives up, while it
    /// goes on to `oauth-authorization-server` after a 404.
    pub fn openid_alias(mut self, alias: bool) -> Self {
        self.policy.openid_alias = alias;
        self
    }

    /// How long a client is known that registered itself, or is known by a document, and is never
    /// used.
    pub fn unused_client_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.lifetimes.unused_client = lifetime;
        self
    }

    /// Allows `http` for the issuer and endpoints on a loopback host. For development: anyone on
    /// the way reads along.
    pub fn allow_loopback_http(mut self, allow: bool) -> Self {
        self.loopback_http = allow;
        self
    }

    /// How long a consent page and its ticket live.
    pub fn consent_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.lifetimes.consent = lifetime;
        self
    }

    /// How long a code lives; at most 600 s.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.lifetimes.code = lifetime;
        self
    }

    /// How long an access token lives.
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.lifetimes.access = lifetime;
        self
    }

    /// How long a refresh token lives without being used.
    pub fn refresh_idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.policy.lifetimes.refresh_idle = lifetime;
        self
    }

    /// How long a family lives from its consent on; `None` for ever.
    pub fn refresh_absolute_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.policy.lifetimes.refresh_absolute = lifetime;
        self
    }

    /// For how long after a rotation the same old refresh token gets the very same successor again.
    ///
    /// It spares users a new login where answers get lost or several processes share one token; to
    /// be of use it must exceed the client's and the store's time-outs (30 s is usual). What it
    /// costs: a thief who refreshes within this time of the victim, each time, stays unseen.
    pub fn replay_window(mut self, window: Duration) -> Self {
        self.policy.replay_window = window;
        self
    }

    /// Changes the caps.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.policy.limits);
        self
    }

    /// Changes the rules for redirect URIs.
    pub fn redirect_rules(mut self, rules: RedirectRules) -> Self {
        self.policy.redirect_rules = rules;
        self
    }

    /// How errors reach clients from the authorization endpoint.
    pub fn error_delivery(mut self, delivery: ErrorDelivery) -> Self {
        self.policy.error_delivery = delivery;
        self
    }

    /// When the token request must repeat the redirect URI.
    pub fn token_redirect_uri(mut self, rule: TokenRedirectUri) -> Self {
        self.policy.token_redirect_uri = rule;
        self
    }

    /// Leaves `error_description` out of responses. Clients and users then have only the code to go
    /// by.
    pub fn terse_errors(mut self, terse: bool) -> Self {
        self.policy.terse_errors = terse;
        self
    }

    /// Names the page that explains each reason, such as a rendering of
    /// [`troubleshooting`](crate::troubleshooting()): every error then carries an `error_uri`
    /// (RFC 6749 §4.1.2.1, §5.2; RFC 6750 §3), this URL with the reason's name as its fragment.
    /// Default: no `error_uri`. [Terse errors](Self::terse_errors) carry none either.
    pub fn troubleshooting_url(mut self, url: impl Into<String>) -> Self {
        self.policy.troubleshooting_url = Some(url.into());
        self
    }

    /// Accepts a client's secret in the header or the body, wherever it registered to send it.
    pub fn lenient_on_method(mut self, lenient: bool) -> Self {
        self.policy.lenient_on_method = lenient;
        self
    }

    /// Ends earlier access tokens of a grant when it is refreshed, instead of leaving them to
    /// expire.
    pub fn revoke_previous_access(mut self, revoke: bool) -> Self {
        self.policy.revoke_previous_access = revoke;
        self
    }

    /// Refuses a code challenge that the same client has sent before, as far back as records are
    /// kept (RFC 9700 §2.1.1). The user may still reload the page. What it costs: whoever sees
    /// a challenge and is faster can spoil that one request.
    pub fn refuse_reused_challenges(mut self, refuse: bool) -> Self {
        self.policy.refuse_reused_challenges = refuse;
        self
    }

    /// Verifies client secrets that people chose: `verify(secret, stored hash)` says whether it is
    /// right, for example by Argon2. Without it, a
    /// [`StoredSecret::SlowHash`](crate::StoredSecret::SlowHash) never verifies.
    ///
    /// `dummy` is a hash of the same cost that nobody's secret has; it is verified in vain wherever
    /// a client is unknown or has no slow hash, so that time does not tell which clients exist.
    /// The work is done while deciding: an [`AsyncServer`](crate::AsyncServer) then belongs on
    /// threads that may block.
    pub fn slow_hash(mut self, verify: fn(&[u8], &str) -> bool, dummy: impl Into<String>) -> Self {
        self.policy.slow_hash = Some(SlowHash { verify, dummy: dummy.into() });
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    /// [`PolicyError`], the first promise that could not be kept.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let Self { mut policy, default_scope, unverified_scope, loopback_http } = self;
        let scope = |tokens: Option<String>| {
            tokens.map(|tokens| Scope::parse(&tokens)).transpose().map_err(|_| PolicyError::Scope)
        };
        (policy.default_scope, policy.unverified_scope) =
            (scope(default_scope)?, scope(unverified_scope)?);
        check(&policy, loopback_http)?;
        policy.implied = followed_through(&policy.implied);
        Ok(policy)
    }
}

/// What includes what, directly or through others, in order.
fn followed_through(direct: &[(String, String)]) -> Vec<(String, String)> {
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
