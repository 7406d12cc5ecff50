//! Settings of the flow: lifetimes, limits, choices of the protocol, and errors.

use std::time::Duration;

use super::PolicyBuilder;
use crate::policy::{
    CheckRules, ClientLifetimes, ErrorDelivery, LifetimeOverrides, Lifetimes, Limits, RateRules,
    Supersede, TokenRedirectUri,
};

/// # Lifetimes and rotation
///
/// How long everything lives, and what a refresh token that is used twice means.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::Policy;
/// use grantcore::policy::Lifetimes;
///
/// let lifetimes = Lifetimes::default()
///     .with_access(Duration::from_secs(600))
///     .with_refresh_idle(Duration::from_secs(14 * 24 * 3600));
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .lifetimes(lifetimes)
///     // Clients that lose responses, or that run as several processes, repeat a refresh.
///     .replay_window(Duration::from_secs(30))
///     .build()?;
/// assert_eq!(policy.replay_window().as_secs(), 30);
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets how long pages, codes, tokens and unused clients live. Default: consent pages and codes
    /// 600 s, access tokens 3,600 s, refresh tokens 30 days without use and 180 days in all, unused
    /// clients 24 h.
    pub fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.policy.lifetimes = lifetimes;
        self
    }

    /// Sets shorter lifetimes for clients that the operator did not register: those that registered
    /// themselves and those that are known by a document. Default: the policy's. A longer one has
    /// no effect.
    ///
    /// Clients refresh more often, which costs a write each, and their users are asked again
    /// sooner.
    pub fn unverified_lifetimes(mut self, lifetimes: LifetimeOverrides) -> Self {
        self.policy.unverified_lifetimes = lifetimes;
        self
    }

    /// Sets whether the [lifetimes of a client](crate::client::ClientBuilder::lifetimes) can be
    /// longer than the policy's. Default: [`ClientLifetimes::Shorten`].
    pub fn client_lifetimes(mut self, rule: ClientLifetimes) -> Self {
        self.policy.client_lifetimes = rule;
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
}

/// # Limits
///
/// How large requests can be, and how many are served in a minute.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{Limits, RateKey, RateRules};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .limits(Limits::default().with_token_requests_per_minute(20))
///     .rate_rules(RateRules::default()
///         .with_key(RateKey::ClientAndGrant)
///         .with_client_limit("nightly-export", 600))
///     .build()?;
/// assert_eq!(policy.limits().request_bytes(), 16 * 1024);
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets the caps on requests and records. Default: requests of 16 KiB, 60 token requests and 10
    /// failed authentications in any 60 s, and the others of [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.policy.limits = limits;
        self
    }

    /// Sets which token requests share a limit, and which clients have a limit of their own.
    /// Default: those of one `client_id` from one [source](crate::RequestParts::source), and no
    /// client has its own.
    pub fn rate_rules(mut self, rules: RateRules) -> Self {
        self.policy.rate_rules = rules;
        self
    }
}

/// # Choices of the protocol
///
/// Where the specifications leave a choice to the server.
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{Audience, CheckRules, TokenRedirectUri};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("files", "Read and change your files")
///     .resource("https://files.example/mcp", "files")
///     // A token for /mcp is accepted at /mcp/tools too.
///     .check_rules(CheckRules::default().with_audience(Audience::PathPrefix))
///     .token_redirect_uri(TokenRedirectUri::MatchIfPresent)
///     .build()?;
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
impl PolicyBuilder {
    /// Sets how access tokens are checked at a protected resource, where the specifications leave a
    /// choice. Default: the audience is compared in its [canonical](crate::policy::Audience) form,
    /// the token is in the header, and a suspended account is a 401.
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

    /// Sets whether tokens of a new consent end the user's older grants of the same application.
    /// Default: [`Supersede::Never`].
    ///
    /// With [`Supersede::SamePlace`], each redemption lists the user's grants and makes one write
    /// for each that it ends, before its response leaves. An attacker who makes a user connect an
    /// application again, at a redirect URI of that application, ends the earlier connection there.
    /// Grants that differ in their properties stay: if a user can have two accounts at the
    /// application, bind a property that names the account.
    pub fn supersede(mut self, supersede: Supersede) -> Self {
        self.policy.supersede = supersede;
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
}

/// # Errors
///
/// How errors reach clients, and what they disclose.
///
/// ```
/// use grantcore::{Policy, RequestParts, Server, FromStore, MemoryStore};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .troubleshooting_url("https://docs.example/oauth-errors")
///     .build()?;
/// let server = Server::new(policy, MemoryStore::new(), FromStore);
/// let error = server.token(&RequestParts::default()).await.unwrap_err();
/// let reply = error.reply(server.policy());
/// assert!(reply.body.contains(r#""error_uri":"https://docs.example/oauth-errors#"#));
/// # Ok(())
/// # }
/// ```
impl PolicyBuilder {
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
