//! The check of a resource in another process than its authorization server (RFC 7662), with a
//! bounded cache.

mod response;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use grantcore::moment::{Clock as _, SystemClock};
use grantcore::request::AccessCheck;
use grantcore::value::Digest;
use grantcore::{Authorization, Needs, Policy, Reason, Refusal, Timestamp};
use moka::future::Cache;
use reqwest::{Client, StatusCode};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use self::response::{Described, Unaccepted, read};
use crate::router::{RouterError, resource_documents};

/// How many introspections run at the same time. Others wait.
const AT_ONCE: usize = 64;
/// The longest time for which a token is kept. A token expires long before.
const LONGEST_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

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
/// An active token is believed for [`max_age`](IntrospectionBuilder::max_age), counted from the
/// moment when it was asked about: a revoked token is refused at the latest after this time. With
/// zero, each call is asked about. Inactive tokens are not kept.
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
    client: Client,
    room: Semaphore,
    cache: Cache<Digest, Arc<Token>>,
}

/// An access token that was active when it was asked about.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) expires: Timestamp,
    audience: Vec<String>,
    asked: Instant,
}

/// Why there is no [`Introspection`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The policy has no introspection endpoint.
    #[error(
        "the policy has no introspection endpoint: turn it on with PolicyBuilder::introspection(), \
         naming this resource server"
    )]
    Off,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] reqwest::Error),
}

/// The settings of an [`Introspection`].
#[must_use = "a builder does nothing until it is built"]
pub struct IntrospectionBuilder {
    policy: Policy,
    client_id: String,
    client_secret: String,
    max_age: Duration,
    capacity: u64,
    timeout: Duration,
}

impl IntrospectionBuilder {
    /// Sets for how long an active token is believed: the longest time for which a revoked token is
    /// still accepted. Default 10 s. Zero asks about each call.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Sets how many tokens are kept. Default 10,000, at some hundred bytes each.
    pub fn capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }

    /// Sets the time-out of an introspection, and of waiting for others to end before it. Default
    /// 5 s each. The call is then refused with 503.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Builds the check.
    ///
    /// # Errors
    /// [`IntrospectionError`] if the policy has no introspection endpoint, or TLS cannot be set up.
    pub fn build(self) -> Result<Introspection, IntrospectionError> {
        let endpoint = self.policy.introspection_endpoint().ok_or(IntrospectionError::Off)?;
        let mut client = Client::builder();
        if endpoint.starts_with("http://") {
            // A loopback host: a proxy of the environment would get the secret in plain text.
            client = client.no_proxy();
        }
        let client = client
            .tls_backend_preconfigured(tls()?)
            .timeout(self.timeout)
            // The request has the client's secret: it goes to the endpoint and to nobody else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("grantcore-axum/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let max_age = self.max_age.min(LONGEST_AGE);
        let cache = Cache::builder().max_capacity(self.capacity).time_to_live(max_age).build();
        Ok(Introspection(Arc::new(Inner {
            endpoint: endpoint.to_owned(),
            policy: self.policy,
            client_id: self.client_id,
            client_secret: self.client_secret,
            max_age,
            timeout: self.timeout,
            client,
            room: Semaphore::new(AT_ONCE),
            cache,
        })))
    }
}

impl fmt::Debug for IntrospectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionBuilder")
            .field("client_id", &self.client_id)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

impl Introspection {
    /// Starts the settings of the check for the resources of this policy, by a resource server with
    /// this `client_id` and secret (`client_secret_basic`).
    pub fn builder(
        policy: Policy,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> IntrospectionBuilder {
        IntrospectionBuilder {
            policy,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            max_age: Duration::from_secs(10),
            capacity: 10_000,
            timeout: Duration::from_secs(5),
        }
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Returns a router with the discovery documents of the policy's resources (RFC 9728). Merge it
    /// into the application's own router: the challenge of a refusal leads there.
    ///
    /// # Errors
    /// [`RouterError`] if the URLs of the documents cannot be mounted.
    pub fn router(&self) -> Result<Router, RouterError> {
        resource_documents(&self.0.policy)
    }

    /// Returns the token of a call, or the refusal of the call.
    pub(crate) async fn check(
        &self,
        authorization: &Authorization<'_>,
        needs: &Needs,
    ) -> Result<Arc<Token>, Refusal> {
        // Refuses a call without a token, and one that is malformed.
        AccessCheck::parse(authorization, needs)?;
        if needs.is_billed() {
            tracing::error!("a billed call cannot be introspected: the balance is not known here");
            return Err(needs.refuse(Reason::StorageUnavailable));
        }
        let token = self.find(bearer(authorization)).await.map_err(|error| {
            if matches!(*error, Unaccepted::Inactive) {
                return needs.refuse(Reason::TokenUnknown);
            }
            tracing::error!(%error, "an access token could not be introspected");
            needs.refuse(Reason::StorageUnavailable)
        })?;
        needs.judge(&self.0.policy, token.audience.iter().map(String::as_str), &token.scope)?;
        Ok(token)
    }

    /// Returns the token if it is active: as it was kept, or else as the endpoint describes it.
    /// Calls with one token at the same time ask once.
    async fn find(&self, text: &str) -> Result<Arc<Token>, Arc<Unaccepted>> {
        if self.0.max_age.is_zero() {
            // A revocation may have been acknowledged after another call has asked.
            return self.ask(text).await.map_err(Arc::new);
        }
        let begun = Instant::now();
        let key = Digest::of(text.as_bytes());
        let kept = self.0.cache.get(&key).await;
        if let Some(token) = kept.filter(|token| self.is_fresh(token)) {
            return Ok(token);
        }
        self.0.cache.invalidate(&key).await;
        let token = self.0.cache.try_get_with(key, self.ask(text)).await?;
        // Another call may have asked too long ago, if the endpoint was slow.
        if token.asked < begun && token.asked.elapsed() >= self.0.max_age {
            return self.ask(text).await.map_err(Arc::new);
        }
        Ok(token)
    }

    /// Returns whether the token is still believed.
    fn is_fresh(&self, token: &Token) -> bool {
        token.asked.elapsed() < self.0.max_age && SystemClock.now() < token.expires
    }

    /// Asks the endpoint about a token.
    async fn ask(&self, text: &str) -> Result<Arc<Token>, Unaccepted> {
        let (asked, described) = self.describe(text).await?;
        let is_of_issuer = described.iss.is_none_or(|issuer| issuer == self.0.policy.issuer());
        let expires = Timestamp::from_unix_seconds(described.exp);
        // A token without a user would be that of a user whose name is empty.
        let has_user = !described.sub.is_empty();
        if !described.active || !is_of_issuer || !has_user || SystemClock.now() >= expires {
            return Err(Unaccepted::Inactive);
        }
        Ok(Arc::new(Token {
            subject: described.sub,
            client_id: described.client_id,
            scope: described.scope,
            expires,
            audience: described.aud.into(),
            asked,
        }))
    }

    /// Returns the endpoint's description of a token, and the moment when it was asked.
    async fn describe(&self, text: &str) -> Result<(Instant, Described), Unaccepted> {
        let Inner { room, timeout, client, endpoint, client_id, client_secret, .. } = &*self.0;
        // Never closed.
        let place = tokio::time::timeout(*timeout, room.acquire());
        let _place = place.await.map_err(|_| Unaccepted::Busy)?;
        let asked = Instant::now();
        // RFC 6749 §2.3.1: both are form-encoded before they are joined.
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let response = client
            .post(endpoint)
            .basic_auth(encode(client_id), Some(encode(client_secret)))
            .form(&[("token", text), ("token_type_hint", "access_token")])
            .send()
            .await?;
        if response.status() != StatusCode::OK {
            return Err(Unaccepted::Status(response.status()));
        }
        Ok((asked, serde_json::from_slice(&read(response).await?)?))
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

/// Returns the token of a header that has been parsed.
fn bearer<'a>(authorization: &Authorization<'a>) -> &'a str {
    let Authorization::One(value) = authorization else { return "" };
    let token = value.get("Bearer".len()..).unwrap_or_default().trim_ascii();
    std::str::from_utf8(token).unwrap_or_default()
}

/// Returns the settings of TLS: the authorities that browsers trust, and the provider of
/// cryptography that the process has installed, or else ring.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().map(Arc::clone);
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
