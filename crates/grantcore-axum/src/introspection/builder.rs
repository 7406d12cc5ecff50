//! The settings of an introspection.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grantcore::Policy;
use moka::future::Cache;
use reqwest::Client;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use super::{Inner, Introspection};

/// The most introspections that run at the same time. Others wait.
const CONCURRENT_REQUESTS: usize = 64;
/// The upper bound of `max_age`: the cache panics if its time to live is longer than 1000 years.
const MAX_AGE_LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The reason why an [`Introspection`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntrospectionError {
    /// The policy has no introspection endpoint.
    #[error(
        "the policy has no introspection endpoint: turn it on with PolicyBuilder::introspection(), \
         naming this resource server"
    )]
    NoEndpoint,
    /// The file of additional authorities cannot be used.
    #[error("the certificate authorities in {path} cannot be used: {error}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: Box<dyn Error + Send + Sync>,
    },
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
    inactive_max_age: Duration,
    additional_roots: Option<PathBuf>,
}

impl IntrospectionBuilder {
    /// Sets for how long an active token is cached: the longest time for which a revoked token is
    /// still accepted. Default: 10 s. With zero, each call is introspected. At most 365 days.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Sets for how long a token that is not active is refused without another introspection.
    /// Default: zero, and each call with such a token is introspected. At most 365 days.
    ///
    /// A client that keeps sending a dead token then causes few introspections. A token whose
    /// account or client was suspended works again this much later once the suspension is lifted,
    /// so a few seconds are enough. These tokens have a cache of their own, with as many places as
    /// that of the active ones.
    pub fn inactive_max_age(self, max_age: Duration) -> Self {
        Self { inactive_max_age: max_age, ..self }
    }

    /// Trusts the certificate authorities in this PEM file beside those that browsers trust, for an
    /// authorization server with a private authority. The file is read by [`build`](Self::build).
    pub fn additional_roots(self, path: impl Into<PathBuf>) -> Self {
        Self { additional_roots: Some(path.into()), ..self }
    }

    /// Sets how many tokens are cached at most. Default: 10,000, at some hundred bytes each.
    pub fn capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }

    /// Sets the time-out of an introspection, and the time-out of the wait for one of the 64
    /// requests that run at the same time. Default: 5 s each. After a time-out, the call is refused
    /// with 503.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Builds the check.
    ///
    /// # Errors
    /// [`IntrospectionError`] if the policy has no introspection endpoint, the file of additional
    /// roots cannot be used, or TLS cannot be set up.
    pub fn build(self) -> Result<Introspection, IntrospectionError> {
        let endpoint =
            self.policy.introspection_endpoint().ok_or(IntrospectionError::NoEndpoint)?;
        let mut http_client = Client::builder();
        if endpoint.starts_with("http://") {
            // The policy allows `http` for a loopback host only. A proxy from the environment would
            // get the client secret in plain text.
            http_client = http_client.no_proxy();
        }
        let http_client = http_client
            .tls_backend_preconfigured(tls(self.additional_roots.as_deref())?)
            .timeout(self.timeout)
            // The request contains the client secret: a redirect would send it elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("grantcore-axum/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let max_age = self.max_age.min(MAX_AGE_LIMIT);
        let cache = Cache::builder().max_capacity(self.capacity).time_to_live(max_age).build();
        let inactive = self.inactive_max_age.min(MAX_AGE_LIMIT);
        let inactive = (!inactive.is_zero())
            .then(|| Cache::builder().max_capacity(self.capacity).time_to_live(inactive).build());
        Ok(Introspection(Arc::new(Inner {
            endpoint: endpoint.to_owned(),
            policy: self.policy,
            client_id: self.client_id,
            client_secret: self.client_secret,
            max_age,
            timeout: self.timeout,
            http_client,
            permits: Semaphore::new(CONCURRENT_REQUESTS),
            cache,
            inactive,
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
    /// Returns the default settings for the resources of this policy. The resource server
    /// authenticates with this `client_id` and secret (`client_secret_basic`).
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
            inactive_max_age: Duration::ZERO,
            additional_roots: None,
        }
    }
}

/// Returns the settings of TLS: Mozilla's root certificates and the additional ones, and the
/// process's default crypto provider of rustls, or else ring.
fn tls(additional: Option<&Path>) -> Result<ClientConfig, IntrospectionError> {
    let provider = CryptoProvider::get_default().map(Arc::clone);
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = additional {
        add_roots(&mut roots, path)
            .map_err(|error| IntrospectionError::Roots { path: path.to_owned(), error })?;
    }
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Adds the authorities of a file, which must have one.
fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    if roots.len() == before { Err("it has no certificate".into()) } else { Ok(()) }
}
