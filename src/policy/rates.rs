//! Which bucket a token request falls into, and how large that is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Policy;
use crate::limiter::{client_part, key};
use crate::reason::ErrorCode;
use crate::value::credential::GrantId;

/// The rules of the token endpoint's rate limit, beside
/// [`Limits::token_requests_per_minute`](super::Limits::token_requests_per_minute).
///
/// # Made-up names
///
/// Each limit keeps windows for 4,096 names that are known to exist and for as many others. A
/// window is never forgotten while it counts anything, and no name enters the first table before a
/// request under it has shown that there is such a client (or, where the sender chooses a part of
/// the name, has been answered with tokens). While the second table is full, further names share
/// 4,096 windows by a keyed hash, until one of theirs has shown the same.
///
/// So the verdict on one name depends on its own requests alone, unless two tables are full of names
/// that all were heard of within the same minute, and it is a new one. Even then, as long as such
/// names send fewer than half of 4,096 times the limit in a minute (2,000 requests in a second, by
/// default), practically none is refused for the others. A limiter takes twelve megabytes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateRules {
    /// What requests share a limit.
    pub key: RateKey,
    /// Whether a request whose client does not prove who it is gives its place back, so that
    /// strangers cannot use up the limit of a client with a secret. Default: no, every request
    /// counts. What it costs: their requests reach the store and the hash, as many as the
    /// [limit of failures](super::Limits::failed_authentications_per_minute) lets through; and
    /// that one locks the client out for the rest of the minute, which only
    /// [`failures_by_source`](Self::failures_by_source) helps against. A failure without a limit
    /// of its own, a secret where the client has none, counts in either case.
    pub authenticated_only: bool,
    /// Whether failed authentications count by client and
    /// [`RequestParts::source`](crate::RequestParts::source) instead of by client alone. Default: no.
    /// With it, nobody locks a client out from elsewhere; what it costs: whoever has many
    /// addresses has the failures of each to guess with.
    pub failures_by_source: bool,
    /// Clients with a limit of their own, by `client_id`, in requests per minute. It is of each of
    /// their buckets, whatever the key makes one.
    pub clients: BTreeMap<String, u32>,
    /// `error` in every 429. None is registered for it; default `too_many_requests`. What it costs
    /// to change: clients act upon codes they know, so what would make them throw their tokens
    /// or their registration away is refused.
    pub code: &'static str,
}

impl Default for RateRules {
    fn default() -> Self {
        let (key, clients, code) =
            (RateKey::default(), BTreeMap::new(), ErrorCode::TooManyRequests.as_str());
        Self { key, authenticated_only: false, failures_by_source: false, clients, code }
    }
}

impl RateRules {
    /// Whether somebody is let through, and the code is one (OAuth 2.1 §3.2.4) that ends nothing.
    pub(super) fn are_sound(&self) -> bool {
        let is_code = !self.code.is_empty()
            && self.code.bytes().all(|b| matches!(b, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~'));
        let is_fatal = [
            ErrorCode::InvalidGrant,
            ErrorCode::InvalidClient,
            ErrorCode::UnauthorizedClient,
            ErrorCode::InvalidToken,
        ]
        .into_iter()
        .any(|fatal| fatal.as_str() == self.code);
        is_code && !is_fatal && self.clients.values().all(|limit| *limit > 0)
    }
}

/// What token requests share a limit. Whatever it is, it is claimed before anybody has proved
/// anything: it keeps honest clients and retry storms within bounds. What strangers can send in all
/// is for the host to bound, before this.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum RateKey {
    /// The `client_id`. All users of one product share its limit then, where they share its id, and
    /// anybody can use it up: the name of a public client is no secret, and a minute's requests in
    /// it lock the client out for everybody.
    Client,
    /// The `client_id` and the grant that the code or refresh token names: one limit for each
    /// user's connection. Advised with
    /// [client documents](super::PolicyBuilder::client_documents), where one id is that of all
    /// users of a product. What it costs: whoever makes grants up is limited by nothing here.
    ClientAndGrant,
    /// The `client_id` and where the request comes from
    /// ([`RequestParts::source`](crate::RequestParts::source)), so that nobody uses up a client's limit from
    /// elsewhere. Where the source is empty, because the host gives none, the key is the `client_id`
    /// alone, with what [`Client`](Self::Client) costs. What it costs: users behind one address
    /// share a limit, as all do of a product that calls from its own servers, and whoever has many
    /// addresses has the limits of all of them.
    #[default]
    ClientAndSource,
    /// Whatever the host makes of it, such as a tenant's name. The same text is the same bucket,
    /// whoever the client is.
    Custom(fn(&RateHit<'_>) -> String),
}

/// Two custom keys are equal if they are the same function, as far as its address tells.
impl PartialEq for RateKey {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Custom(one), Self::Custom(other)) => std::ptr::fn_addr_eq(*one, *other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for RateKey {}

/// What is known of a token request before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateHit<'a> {
    /// The `client_id` that it claims.
    pub client: &'a str,
    /// The grant that its code or refresh token names; the token need not be good.
    pub grant: Option<GrantId>,
    /// Where it comes from, as the host has it; empty if it does not say.
    pub source: &'a str,
}

/// What a token request counts towards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateBucket<'a> {
    /// The bucket's name: at most 128 bytes of ASCII, whatever a stranger sent, so that any
    /// database can have it as a key. What is longer, or no such text, is known by a digest that is
    /// no name of anything else.
    pub key: Cow<'a, str>,
    /// How many requests it holds in any 60 seconds.
    pub limit: u32,
}

impl Policy {
    /// What this request counts towards.
    pub fn rate_bucket<'a>(&self, hit: &RateHit<'a>) -> RateBucket<'a> {
        let RateHit { client, grant, source } = *hit;
        let name = match self.rates.key {
            RateKey::Client => client_part(client),
            RateKey::ClientAndGrant => grant
                .map_or_else(|| client_part(client), |grant| joined(client, &grant.to_string())),
            RateKey::ClientAndSource => of_source(client, source),
            RateKey::Custom(name) => name(hit).into(),
        };
        let limit = self
            .rates
            .clients
            .get(client)
            .copied()
            .unwrap_or(self.limits.token_requests_per_minute);
        RateBucket { key: key(name), limit }
    }

    /// What a failed authentication counts towards.
    pub(crate) fn failure_key<'a>(&self, client: &'a str, source: &str) -> Cow<'a, str> {
        if self.rates.failures_by_source { of_source(client, source) } else { client_part(client) }
    }

    /// The rules of the rate limit.
    pub fn rates(&self) -> &RateRules {
        &self.rates
    }
}

fn of_source<'a>(client: &'a str, source: &str) -> Cow<'a, str> {
    if source.is_empty() { client_part(client) } else { joined(client, source) }
}

/// Returns the name of a client and one thing more. The client's part has no line break in it, but
/// for one at its beginning if it can be no client's.
fn joined<'a>(client: &str, part: &str) -> Cow<'a, str> {
    format!("{}\n{part}", client_part(client)).into()
}
