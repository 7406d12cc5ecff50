//! Which token requests share a limit, and how large it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Policy;
use crate::limiter::{client_part, key};
use crate::reason::ErrorCode;
use crate::value::credential::GrantId;

/// The rules of the token endpoint's rate limit, beside
/// [`Limits::with_token_requests_per_minute`](super::Limits::with_token_requests_per_minute).
///
/// ```
/// use grantcore::policy::{RateKey, RateRules};
///
/// let rules = RateRules::default()
///     .with_key(RateKey::ClientAndGrant)
///     .with_client_limit("nightly-export", 600);
/// assert_eq!(rules.client_limit("nightly-export"), Some(600));
/// ```
///
/// # Invented names
///
/// Each limit keeps the windows of 4,096 names that are known to exist, and of as many others. A
/// window that still counts a request is never dropped. A name enters the first table when a
/// request has shown that there is such a client; where the sender chooses a part of the name, when
/// a request has been answered with tokens. While the second table is full, further names share
/// 4,096 windows by a keyed hash, until a request has shown the same.
///
/// So whether one name is served depends on its own requests alone, unless the name is new and both
/// tables are full of names of the same minute. Even then, practically none is refused for the
/// requests of others while such names send fewer than half of 4,096 times the limit in a minute:
/// by default, 2,000 requests in a second. A limiter takes twelve megabytes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct RateRules {
    pub(crate) key: RateKey,
    pub(crate) authenticated_only: bool,
    pub(crate) failures_by_source: bool,
    pub(crate) clients: BTreeMap<String, u32>,
    pub(crate) error_code: &'static str,
}

impl Default for RateRules {
    fn default() -> Self {
        Self {
            key: RateKey::default(),
            authenticated_only: false,
            failures_by_source: false,
            clients: BTreeMap::new(),
            error_code: ErrorCode::TooManyRequests.as_str(),
        }
    }
}

impl RateRules {
    /// Sets which requests share a limit. Default: [`RateKey::ClientAndSource`]. Each key says what
    /// it costs.
    pub fn with_key(self, key: RateKey) -> Self {
        Self { key, ..self }
    }

    /// Sets whether a request gives its place back if its client's authentication fails, so that
    /// strangers cannot use up the limit of a client with a secret. Default: `false`, every request
    /// counts.
    ///
    /// With `true`, requests of strangers reach the store and the hash, as many as the [limit of
    /// failures](super::Limits::with_failed_authentications_per_minute) lets through. That limit
    /// then locks the client out for the rest of the minute, unless failures count [by
    /// source](Self::with_failures_by_source). A failure that has no limit of its own, such as a
    /// secret for a client that has none, counts in either case.
    pub fn with_authenticated_only(self, authenticated_only: bool) -> Self {
        Self { authenticated_only, ..self }
    }

    /// Sets whether failed authentications count by client and
    /// [source](crate::RequestParts::source) instead of by client alone. Default: `false`.
    ///
    /// With `true`, nobody can lock a client out from another source, but an attacker with many
    /// addresses has a full number of guesses at each (OAuth 2.1 §2.4.1).
    pub fn with_failures_by_source(self, by_source: bool) -> Self {
        Self { failures_by_source: by_source, ..self }
    }

    /// Gives one client a limit of its own, in requests per minute. It holds for each of the
    /// client's buckets, whatever the key makes a bucket. Default: every client has
    /// [`Limits::with_token_requests_per_minute`](super::Limits::with_token_requests_per_minute).
    pub fn with_client_limit(mut self, client_id: impl Into<String>, per_minute: u32) -> Self {
        self.clients.insert(client_id.into(), per_minute);
        self
    }

    /// Sets the `error` of every response with status 429. Default: `too_many_requests`. No
    /// specification registers a code for it.
    ///
    /// Clients act upon codes that they know. A code that makes them drop their tokens or their
    /// registration, such as `invalid_grant`, is refused when the policy is built.
    pub fn with_error_code(self, error_code: &'static str) -> Self {
        Self { error_code, ..self }
    }

    /// Returns which requests share a limit.
    pub fn key(&self) -> &RateKey {
        &self.key
    }

    /// Returns the limit of this client's own, in requests per minute.
    pub fn client_limit(&self, client_id: &str) -> Option<u32> {
        self.clients.get(client_id).copied()
    }

    getters! {
        authenticated_only: bool,
        failures_by_source: bool,
        error_code: &'static str,
    }
}

/// The key of the token endpoint's rate limit: requests with the same key share a limit.
///
/// Every key is made of what the request claims, before anything is proved. It keeps honest clients
/// and retry storms within bounds. What strangers can send in all is for the host to bound, in
/// front of the server.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum RateKey {
    /// The `client_id`. All users of a product whose instances share one id then share one limit,
    /// and anybody can use it up: the id of a public client is no secret, and one minute's requests
    /// in its name lock it out everywhere.
    Client,
    /// The `client_id` and the grant that the code or refresh token names: one limit for each
    /// connection of a user. Use it with [client
    /// documents](super::PolicyBuilder::client_documents), where all users of a product share one
    /// id. A sender who invents grants is not limited by it.
    ClientAndGrant,
    /// The `client_id` and the source of the request
    /// ([`RequestParts::source`](crate::RequestParts::source)), so that nobody can use up a
    /// client's limit from another source. If the host gives no source, the key is the `client_id`
    /// alone, with what [`Client`](Self::Client) costs. Users behind one address share a limit, and
    /// so do all users of a product that calls from its own servers. A sender with many addresses
    /// has the limit of each.
    #[default]
    ClientAndSource,
    /// A text of the host's own, such as the name of a tenant. Requests with the same text share a
    /// limit, whatever their clients are.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use std::sync::Arc;
    ///
    /// use grantcore::policy::RateKey;
    ///
    /// let tenants = BTreeMap::from([("acme-app".to_owned(), "acme".to_owned())]);
    /// let by_tenant = RateKey::Custom(Arc::new(move |hit| {
    ///     tenants.get(hit.client).cloned().unwrap_or_else(|| hit.client.to_owned())
    /// }));
    /// ```
    Custom(Arc<CustomRateKey>),
}

/// Returns the key of a token request.
type CustomRateKey = dyn Fn(&RateHit<'_>) -> String + Send + Sync;

/// Shows nothing of a custom key, which can hold the host's state.
impl fmt::Debug for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "Client",
            Self::ClientAndGrant => "ClientAndGrant",
            Self::ClientAndSource => "ClientAndSource",
            Self::Custom(_) => "Custom(redacted)",
        })
    }
}

/// Two custom keys are equal if one is a clone of the other.
impl PartialEq for RateKey {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(one), Self::Custom(other)) => Arc::ptr_eq(one, other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for RateKey {}

/// The parts of a token request that are known before it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateHit<'a> {
    /// The `client_id` that the request claims.
    pub client: &'a str,
    /// The grant that the code or refresh token names. The token itself may be wrong.
    pub grant: Option<GrantId>,
    /// The source of the request, as the host passed it. Empty if it passed none.
    pub source: &'a str,
}

/// The bucket that a token request counts towards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateBucket<'a> {
    /// The bucket's name: at most 128 bytes of ASCII, whatever a stranger sent, so that any
    /// database can have it as a key. A longer text, or one that is not ASCII, is replaced by a
    /// digest, which is never the name of another bucket.
    pub key: Cow<'a, str>,
    /// How many requests the bucket holds in any 60 s.
    pub limit: u32,
}

impl Policy {
    /// Returns the bucket that a request counts towards, for hosts that keep the
    /// [windows](crate::rate::RateWindow) themselves.
    pub fn rate_bucket<'a>(&self, hit: &RateHit<'a>) -> RateBucket<'a> {
        let RateHit { client, grant, source } = *hit;
        let name = match &self.rate_rules.key {
            RateKey::Client => client_part(client),
            RateKey::ClientAndGrant => grant
                .map_or_else(|| client_part(client), |grant| joined(client, &grant.to_string())),
            RateKey::ClientAndSource => of_source(client, source),
            RateKey::Custom(name) => name(hit).into(),
        };
        let own_limit = self.rate_rules.client_limit(client);
        let limit = own_limit.unwrap_or(self.limits.token_requests_per_minute);
        RateBucket { key: key(self.of_issuer(name)), limit }
    }

    /// Returns the name of a bucket, apart from those of other issuers with these rules: a host may
    /// keep the windows of all issuers in one place (TENANT-20).
    fn of_issuer<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        if self.is_at_root {
            return name;
        }
        // No name of a client begins with a tab.
        format!("\t{}\n{name}", self.issuer()).into()
    }

    /// Returns the key that a failed authentication counts towards.
    pub(crate) fn failure_key<'a>(&self, client: &'a str, source: &str) -> Cow<'a, str> {
        if self.rate_rules.failures_by_source {
            of_source(client, source)
        } else {
            client_part(client)
        }
    }
}

fn of_source<'a>(client: &'a str, source: &str) -> Cow<'a, str> {
    if source.is_empty() { client_part(client) } else { joined(client, source) }
}

/// Returns the name of a client and one part more. The client's part ends at the first line break:
/// a `client_id` has none, and what stands for any other text has one at its beginning only.
fn joined<'a>(client: &str, part: &str) -> Cow<'a, str> {
    [&*client_part(client), "\n", part].concat().into()
}
