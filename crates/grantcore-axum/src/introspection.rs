//! The check of access tokens by introspection (RFC 7662), for a resource in another process than
//! its authorization server, with a bounded cache.

mod builder;
mod response;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use grantcore::grant::Principal;
use grantcore::moment::{Clock as _, SystemClock};
use grantcore::request::{AccessCheck, Login};
use grantcore::value::{ClientId, Digest, Subject};
use grantcore::{Authorization, Needs, Policy, Reason, Refusal, Timestamp};
use moka::future::Cache;
use reqwest::{Client, StatusCode};
use tokio::sync::Semaphore;

pub use self::builder::{IntrospectionBuilder, IntrospectionError};
use self::response::{IntrospectionResponse, TokenError, read};
use crate::documents::resource_documents;
use crate::router::RouterError;

/// The check of access tokens by their authorization server's introspection endpoint (RFC 7662),
/// for a resource in another process.
///
/// `policy` describes the resource: the issuer, its scopes, its identifier, and the
/// [introspection](grantcore::policy::PolicyBuilder::introspection) that the authorization server
/// offers it. Both processes can build it by one function. [`RequireToken::introspected`] is the
/// layer, and [`router`](Self::router) has the resource's discovery document.
///
/// # Revocation
///
/// An active token is cached for [`max_age`](IntrospectionBuilder::max_age), counted from the
/// moment when its introspection was requested. So a revoked token is refused after this time at
/// the latest. With zero, each call is introspected. Inactive tokens are cached only if
/// [`inactive_max_age`](IntrospectionBuilder::inactive_max_age) is set.
///
/// # Responses
///
/// A response needs `exp`, which RFC 7662 §2.2 leaves optional: a token without an expiry counts as
/// inactive. If the response has `iss`, it must be the policy's issuer. A token without `sub`, or
/// whose `sub` is its `client_id` (RFC 9068 §2.2), is the client's own, and is served only where
/// the needs [say so](Needs::machines).
///
/// The balance of an account is not known here. A call whose [`Needs`] are
/// [billed](Needs::billed) is refused with 503.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::Policy;
/// use grantcore::policy::IntrospectionRules;
/// use grantcore_axum::{Introspection, RequireToken};
///
/// let files = "https://files.example";
/// let rules = IntrospectionRules::default().with_resource_server("files-server", files);
/// let policy = Policy::builder("https://auth.example")
///     .scope("files", "Read your files")
///     .resource(files, "files")
///     .introspection(rules)
///     .build()?;
/// let needs = policy.needs(files, "files")?;
/// let introspection = Introspection::builder(policy, "files-server", "its client secret")
///     .max_age(Duration::from_secs(5))
///     .build()?;
/// let documents = introspection.router()?;
/// let layer = RequireToken::introspected(introspection, needs);
/// # let _ = (documents, layer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`RequireToken::introspected`]: crate::RequireToken::introspected
#[derive(Clone)]
pub struct Introspection(Arc<Inner>);

struct Inner {
    policy: Policy,
    endpoint: String,
    client_id: String,
    client_secret: String,
    max_age: Duration,
    timeout: Duration,
    http_client: Client,
    /// Bounds the requests that run at the same time.
    permits: Semaphore,
    cache: Cache<Digest, Arc<Token>>,
    /// Tokens that were not active. It is a cache of its own, so that invented tokens cannot evict
    /// the others.
    inactive: Option<Cache<Digest, ()>>,
}

/// An access token that was active when it was introspected.
#[derive(Debug)]
pub(crate) struct Token {
    speaker: Speaker,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) expires: Timestamp,
    audience: Vec<String>,
    /// When the user signed in, and by which class of login (RFC 9470 §6.2).
    login: Option<(Timestamp, Option<String>)>,
    /// The moment before the introspection was sent. A later one would extend the life of a token
    /// that was revoked while the response was on its way.
    requested: Instant,
}

/// Who a token speaks for.
#[derive(Debug)]
enum Speaker {
    Person(Subject),
    Client(ClientId),
}

impl Token {
    pub(crate) fn principal(&self) -> Principal<'_> {
        match &self.speaker {
            Speaker::Person(subject) => Principal::Person(subject),
            Speaker::Client(client) => Principal::Client(client),
        }
    }

    /// Returns the login of the user. A class that cannot be one counts as unknown.
    pub(crate) fn login(&self) -> Option<Login<'_>> {
        let (time, acr) = self.login.as_ref()?;
        let login = Login::at(*time);
        Some(acr.as_ref().and_then(|acr| login.with_acr(acr).ok()).unwrap_or(login))
    }
}

impl Introspection {
    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Returns a router with the metadata documents of the policy's resources (RFC 9728). Merge it
    /// into the application's own router: the `WWW-Authenticate` challenge of a refusal links
    /// there. It needs no state: `with_state(())` makes it a part of a router of any state.
    ///
    /// # Errors
    /// [`RouterError`] if the URLs of the documents cannot be mounted.
    pub fn router(&self) -> Result<Router, RouterError> {
        resource_documents(&self.0.policy)
    }

    /// Returns the access token of a call if it is active and meets the needs, otherwise the
    /// refusal of the call.
    pub(crate) async fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: &Needs,
    ) -> Result<Arc<Token>, Refusal> {
        // A call without a token, or with a malformed one, costs no introspection.
        AccessCheck::parse(authorization, needs)?;
        if needs.is_billed() {
            tracing::error!("a billed call cannot be introspected: the balance is not known here");
            return Err(needs.refuse(Reason::StorageUnavailable));
        }
        let token = self.lookup(bearer(authorization)).await.map_err(|error| {
            if matches!(*error, TokenError::Inactive) {
                return needs.refuse(Reason::TokenUnknown);
            }
            tracing::error!(%error, "an access token could not be introspected");
            needs.refuse(Reason::StorageUnavailable)
        })?;
        let audience = token.audience.iter().map(String::as_str);
        let now = SystemClock.now();
        let (principal, login) = (token.principal(), token.login());
        needs.judge(&self.0.policy, audience, principal, login, &token.scope, now)?;
        Ok(token)
    }

    /// Returns the token from the caches, or else from the endpoint.
    async fn lookup(&self, text: &str) -> Result<Arc<Token>, Arc<TokenError>> {
        let Some(inactive) = &self.0.inactive else { return self.ask(text).await };
        let key = Digest::of(text.as_bytes());
        if inactive.contains_key(&key) {
            return Err(Arc::new(TokenError::Inactive));
        }
        let found = self.ask(text).await;
        if found.as_ref().is_err_and(|error| matches!(**error, TokenError::Inactive)) {
            inactive.insert(key, ()).await;
        }
        found
    }

    /// Returns the token from the cache, or else from the endpoint. Simultaneous calls with the
    /// same token share one introspection.
    async fn ask(&self, text: &str) -> Result<Arc<Token>, Arc<TokenError>> {
        if self.0.max_age.is_zero() {
            // An introspection of another call is not shared: it may have been sent before a
            // revocation that was acknowledged before this call.
            return self.introspect(text).await.map_err(Arc::new);
        }
        let begun = Instant::now();
        let key = Digest::of(text.as_bytes());
        let cached = self.0.cache.get(&key).await;
        if let Some(token) = cached.filter(|token| self.is_fresh(token)) {
            return Ok(token);
        }
        self.0.cache.invalidate(&key).await;
        let token = self.0.cache.try_get_with(key, self.introspect(text)).await?;
        // The introspection of another call is shared. If the endpoint was slow, it may have been
        // sent more than `max_age` ago.
        if token.requested < begun && token.requested.elapsed() >= self.0.max_age {
            return self.introspect(text).await.map_err(Arc::new);
        }
        Ok(token)
    }

    /// Returns whether the token is younger than `max_age` and has not expired.
    fn is_fresh(&self, token: &Token) -> bool {
        token.requested.elapsed() < self.0.max_age && SystemClock.now() < token.expires
    }

    /// Introspects a token. Fails if it is not active, or not of this issuer.
    async fn introspect(&self, text: &str) -> Result<Arc<Token>, TokenError> {
        let (requested, response) = self.request(text).await?;
        let is_of_issuer = response.iss.is_none_or(|issuer| issuer == self.0.policy.issuer());
        // Without `exp` this is 1970: the token counts as expired.
        let expires = Timestamp::from_unix_seconds(response.exp);
        if !response.active || !is_of_issuer || SystemClock.now() >= expires {
            return Err(TokenError::Inactive);
        }
        // A machine must not be taken for a user (RFC 9700 §4.15): neither by an empty name, nor by
        // the `client_id` in its place.
        let speaker = match response.sub {
            Some(subject) if subject.is_empty() => return Err(TokenError::Inactive),
            Some(subject) if subject != response.client_id => {
                Speaker::Person(Subject::new(subject))
            }
            Some(_) | None => {
                let client = ClientId::new(&response.client_id);
                Speaker::Client(client.map_err(|_| TokenError::Inactive)?)
            }
        };
        Ok(Arc::new(Token {
            speaker,
            client_id: response.client_id,
            scope: response.scope,
            expires,
            audience: response.aud.into(),
            login: response
                .auth_time
                .map(|time| (Timestamp::from_unix_seconds(time), response.acr)),
            requested,
        }))
    }

    /// Sends a token to the endpoint. Returns the response, and the moment before it was requested.
    async fn request(&self, text: &str) -> Result<(Instant, IntrospectionResponse), TokenError> {
        let Inner { permits, timeout, http_client, endpoint, client_id, client_secret, .. } =
            &*self.0;
        // The semaphore is never closed: the only error is the time-out.
        let permit = tokio::time::timeout(*timeout, permits.acquire());
        let _permit = permit.await.map_err(|_| TokenError::Busy)?;
        let requested = Instant::now();
        // RFC 6749 §2.3.1: id and secret are form-encoded before they are joined.
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let response = http_client
            .post(endpoint)
            .basic_auth(encode(client_id), Some(encode(client_secret)))
            .form(&[("token", text), ("token_type_hint", "access_token")])
            .send()
            .await?;
        if response.status() != StatusCode::OK {
            return Err(TokenError::Status(response.status()));
        }
        Ok((requested, serde_json::from_slice(&read(response).await?)?))
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("endpoint", &self.0.endpoint)
            .field("client_id", &self.0.client_id)
            .field("max_age", &self.0.max_age)
            .finish_non_exhaustive()
    }
}

/// Returns the token of a header that [`AccessCheck::parse`] has accepted.
fn bearer<'a>(authorization: &Authorization<'a>) -> &'a str {
    let Authorization::One(value) = authorization else { return "" };
    let token = value.get("Bearer".len()..).unwrap_or_default().trim_ascii();
    std::str::from_utf8(token).unwrap_or_default()
}
