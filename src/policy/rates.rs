//! Which bucket a token request falls into, and how large that is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Policy;
use crate::value::credential::GrantId;

/// The rules of the token endpoint's rate limit, beside [`Limits::token_requests_per_minute`](super::Limits::token_requests_per_minute).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateRules {
    /// What requests share a limit.
    pub key: RateKey,
    /// Whether a request whose client does not prove who it is gives its place back, so that strangers cannot use up the limit of a client
    /// with a secret. Default: no, every request counts. Failures have a
    /// [limit of their own](super::Limits::failed_authentications_per_minute) in any case.
    pub authenticated_only: bool,
    /// Clients with a limit of their own, by `client_id`, in requests per minute.
    pub clients: BTreeMap<String, u32>,
}

/// What token requests share a limit. Whatever it is, it is claimed before anybody has proved anything.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum RateKey {
    /// The `client_id`. All users of one public client share it then, and anybody can use it up.
    #[default]
    Client,
    /// The `client_id` and the grant that the code or refresh token names: for clients that many users share, such as those known by a
    /// document. Whoever makes grants up is limited by nothing here.
    ClientAndGrant,
    /// The `client_id` and where the request comes from ([`Incoming::source`](crate::Incoming::source)).
    ClientAndSource,
    /// Whatever the host makes of it.
    Custom(fn(&RateHit<'_>) -> String),
}

/// Two custom keys are equal if they are the same function, as far as that can be known: treated as different.
impl PartialEq for RateKey {
    fn eq(&self, other: &Self) -> bool {
        use RateKey::{Client, ClientAndGrant, ClientAndSource};
        matches!((self, other), (Client, Client) | (ClientAndGrant, ClientAndGrant) | (ClientAndSource, ClientAndSource))
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
    /// The bucket's name.
    pub key: Cow<'a, str>,
    /// How many requests it holds in any 60 seconds.
    pub limit: u32,
}

impl Policy {
    /// What this request counts towards.
    pub fn rate_bucket<'a>(&self, hit: &RateHit<'a>) -> RateBucket<'a> {
        let RateHit { client, grant, source } = *hit;
        // No client_id that is served has a line break in it.
        let key = match self.rates.key {
            RateKey::Client => Cow::Borrowed(client),
            RateKey::ClientAndGrant => grant.map_or(Cow::Borrowed(client), |grant| format!("{client}\n{grant}").into()),
            RateKey::ClientAndSource => format!("{client}\n{source}").into(),
            RateKey::Custom(key) => key(hit).into(),
        };
        let limit = self.rates.clients.get(client).copied().unwrap_or(self.limits.token_requests_per_minute);
        RateBucket { key, limit }
    }

    /// The rules of the rate limit.
    pub fn rates(&self) -> &RateRules {
        &self.rates
    }
}
