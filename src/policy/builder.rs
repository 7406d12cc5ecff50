//! Builds a policy and refuses one that could not be kept.

use std::time::Duration;

use super::{ErrorDelivery, Lifetimes, Limits, Policy, Resource, ScopeInfo, SlowHash, TokenRedirectUri};
use crate::value::redirect_uri::RedirectRules;
use crate::value::resource;
use crate::value::scope::Scope;

/// Builds a [`Policy`]; [`build`](Self::build) checks it. Everything has a safe default but the resources and scopes.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct PolicyBuilder {
    policy: Policy,
    default_scope: Option<String>,
    loopback_http: bool,
}

/// Why a policy cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The issuer.
    #[error("an issuer is an https URL without query and fragment (loopback http only if allowed)")]
    Issuer,
    /// An endpoint that is not an `https` URL without fragment, or loopback `http` if allowed (OAuth 2.1 §1.5, §3.1).
    #[error("an endpoint is an https URL without fragment")]
    Endpoint,
    /// No resource: tokens would be for nothing.
    #[error("a policy names at least one resource")]
    NoResource,
    /// A resource that is not an `https` URL without fragment (loopback `http` if allowed), is named twice, or is one of more than 64.
    #[error("a resource is an https URL without fragment, named once, and named if it is the default; there are at most 64")]
    Resource,
    /// A scope that is not one token, is named twice, or is used but not declared.
    #[error("a scope is one token, declared once, and declared if a default or a resource uses it")]
    Scope,
    /// A lifetime that is not whole seconds, is none, or is too long to count.
    #[error("a lifetime is whole seconds, at least one, and at most a thousand years")]
    Lifetime,
    /// A code that would outlive ten minutes (OAuth 2.1 §4.1.2).
    #[error("a code lives at most 600 seconds")]
    CodeLifetime,
    /// A refresh token that would die before the access token it renews.
    #[error("refresh tokens live at least as long as access tokens")]
    RefreshLifetime,
    /// A replay window longer than an access token, or not shorter than the idle lifetime.
    #[error("the replay window is at most the access lifetime and shorter than the idle lifetime")]
    ReplayWindow,
    /// A cap of zero.
    #[error("a limit is at least one")]
    Limit,
}

/// Longer than any grant, short enough for every clock and database.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);
/// A token keeps which of them it is for as bits of one word.
const MOST_RESOURCES: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl PolicyBuilder {
    pub(super) fn new(issuer: String) -> Self {
        let policy = Policy {
            authorization_endpoint: format!("{}/oauth/authorize", issuer.trim_end_matches('/')),
            token_endpoint: format!("{}/oauth/token", issuer.trim_end_matches('/')),
            issuer,
            resources: Vec::new(),
            scopes: Vec::new(),
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
            },
            replay_window: Duration::ZERO,
            limits: Limits {
                request_bytes: 16 * 1024,
                parameters: 64,
                value_bytes: 4 * 1024,
                live_access_tokens: 32,
                token_requests_per_minute: 60,
                failed_authentications_per_minute: 10,
            },
            redirect_rules: RedirectRules::default(),
            error_delivery: ErrorDelivery::default(),
            token_redirect_uri: TokenRedirectUri::default(),
            terse_errors: false,
            lenient_on_method: false,
            revoke_previous_access: false,
            refuse_reused_challenges: false,
            slow_hash: None,
        };
        Self { policy, default_scope: None, loopback_http: false }
    }

    /// Declares a scope token and what it lets a client do, in the words the consent page shows.
    pub fn scope(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.policy.scopes.push(ScopeInfo { name: name.into(), description: description.into() });
        self
    }

    /// Adds a protected resource: the URI that tokens for it name, and the scope tokens it understands, separated by spaces.
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

    /// Leaves unknown scope tokens out instead of refusing them; the token response then says what is left.
    pub fn drop_unknown_scopes(mut self, drop: bool) -> Self {
        self.policy.drop_unknown_scopes = drop;
        self
    }

    /// What a request that names no resource is for, where there are several. Default: such a request is refused, as its client may
    /// then hold a token for something else than it meant (RFC 8707 §2).
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

    /// Allows `http` for the issuer and endpoints on a loopback host. For development: anyone on the way reads along.
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
    /// It spares users a new login where answers get lost or several processes share one token; to be of use it must exceed the
    /// client's and the store's time-outs (30 s is usual). What it costs: a thief who refreshes within this time of the victim,
    /// each time, stays unseen.
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

    /// Leaves `error_description` out of responses. Clients and users then have only the code to go by.
    pub fn terse_errors(mut self, terse: bool) -> Self {
        self.policy.terse_errors = terse;
        self
    }

    /// Accepts a client's secret in the header or the body, wherever it registered to send it.
    pub fn lenient_on_method(mut self, lenient: bool) -> Self {
        self.policy.lenient_on_method = lenient;
        self
    }

    /// Ends earlier access tokens of a grant when it is refreshed, instead of leaving them to expire.
    pub fn revoke_previous_access(mut self, revoke: bool) -> Self {
        self.policy.revoke_previous_access = revoke;
        self
    }

    /// Refuses a code challenge that the same client has sent before, as far back as records are kept (RFC 9700 §2.1.1). The user may
    /// still reload the page. What it costs: whoever sees a challenge and is faster can spoil that one request.
    pub fn refuse_reused_challenges(mut self, refuse: bool) -> Self {
        self.policy.refuse_reused_challenges = refuse;
        self
    }

    /// Verifies client secrets that people chose: `verify(secret, stored hash)` says whether it is right, for example by Argon2.
    /// Without it, a [`StoredSecret::SlowHash`](crate::StoredSecret::SlowHash) never verifies.
    ///
    /// `dummy` is a hash of the same cost that nobody's secret has; it is verified in vain wherever a client is unknown or has no
    /// slow hash, so that time does not tell which clients exist. The work is done while deciding: an [`AsyncServer`](crate::AsyncServer)
    /// then belongs on threads that may block.
    pub fn slow_hash(mut self, verify: fn(&[u8], &str) -> bool, dummy: impl Into<String>) -> Self {
        self.policy.slow_hash = Some(SlowHash { verify, dummy: dummy.into() });
        self
    }

    /// Checks and builds.
    ///
    /// # Errors
    /// [`PolicyError`], the first promise that could not be kept.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let Self { mut policy, default_scope, loopback_http } = self;
        if !is_server_url(&policy.issuer, loopback_http) || policy.issuer.contains('?') {
            return Err(PolicyError::Issuer);
        }
        if ![&policy.authorization_endpoint, &policy.token_endpoint].iter().all(|url| is_server_url(url, loopback_http)) {
            return Err(PolicyError::Endpoint);
        }
        check_scopes(&policy)?;
        check_resources(&policy, loopback_http)?;
        check_lifetimes(&policy)?;
        check_limits(&policy.limits)?;
        if let Some(tokens) = default_scope {
            let scope = Scope::parse(&tokens).ok().filter(|scope| scope.tokens().all(|token| policy.knows_scope(token)));
            policy.default_scope = Some(scope.ok_or(PolicyError::Scope)?);
        }
        Ok(policy)
    }
}

/// `https`, or `http` on a loopback host where that is allowed; a host, no userinfo, no fragment.
fn is_server_url(text: &str, loopback_http: bool) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let scheme_ok = match url.scheme() {
        "https" => true,
        "http" => loopback_http && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        _ => false,
    };
    // The parser forgives a missing slash or two; what is published must not need it.
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let has_host = url.has_host() && !authority.is_empty() && !authority.starts_with(['/', '?']);
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    scheme_ok && plain && has_host && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

fn check_scopes(policy: &Policy) -> Result<(), PolicyError> {
    for (position, scope) in policy.scopes.iter().enumerate() {
        let one_token = Scope::parse(&scope.name).is_ok_and(|parsed| parsed.as_str() == scope.name) && !scope.name.contains(' ');
        let named_before = policy.scopes.iter().take(position).any(|earlier| earlier.name == scope.name);
        if !one_token || named_before {
            return Err(PolicyError::Scope);
        }
    }
    Ok(())
}

fn check_resources(policy: &Policy, loopback_http: bool) -> Result<(), PolicyError> {
    if policy.resources.is_empty() {
        return Err(PolicyError::NoResource);
    }
    if policy.resources.len() > MOST_RESOURCES {
        return Err(PolicyError::Resource);
    }
    for (position, own) in policy.resources.iter().enumerate() {
        let named_before =
            policy.resources.iter().take(position).any(|earlier| resource::same(&earlier.identifier, &own.identifier));
        if named_before || !is_server_url(&own.identifier, loopback_http) {
            return Err(PolicyError::Resource);
        }
        if !own.scopes.iter().all(|scope| policy.knows_scope(scope)) {
            return Err(PolicyError::Scope);
        }
    }
    match &policy.default_resource {
        Some(default) if !policy.resources.iter().any(|own| own.identifier == *default) => Err(PolicyError::Resource),
        _ => Ok(()),
    }
}

fn check_lifetimes(policy: &Policy) -> Result<(), PolicyError> {
    let Lifetimes { consent, code, access, refresh_idle, refresh_absolute } = policy.lifetimes;
    let countable = |lifetime: Duration| lifetime.subsec_nanos() == 0 && (Duration::from_secs(1)..=LONGEST).contains(&lifetime);
    if ![consent, code, access, refresh_idle, refresh_absolute.unwrap_or(refresh_idle)].into_iter().all(countable) {
        return Err(PolicyError::Lifetime);
    }
    if code > Duration::from_secs(600) {
        return Err(PolicyError::CodeLifetime);
    }
    if refresh_idle < access || refresh_absolute.is_some_and(|absolute| absolute < access) {
        return Err(PolicyError::RefreshLifetime);
    }
    if policy.replay_window.subsec_nanos() != 0 {
        return Err(PolicyError::Lifetime);
    }
    if policy.replay_window > access || policy.replay_window >= refresh_idle {
        return Err(PolicyError::ReplayWindow);
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<(), PolicyError> {
    let Limits { request_bytes, parameters, value_bytes, live_access_tokens, .. } = *limits;
    let rates = [limits.token_requests_per_minute, limits.failed_authentications_per_minute];
    let zero = [request_bytes, parameters, value_bytes, live_access_tokens].contains(&0) || rates.contains(&0);
    if zero { Err(PolicyError::Limit) } else { Ok(()) }
}
