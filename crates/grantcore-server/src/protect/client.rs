//! The client of a protected upstream.

use std::error::Error;
use std::io;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Legacy, Error as SendError, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use crate::config::UpstreamUrl;

pub(super) type Client = Legacy<HttpsConnector<HttpConnector>, Body>;

/// Why there is no client for an upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The file with the authorities cannot be read.
    #[error("ca_file: {0}")]
    File(PemError),
    /// The file has no certificate that is one of an authority.
    #[error("ca_file: no certificate of an authority is in it")]
    NoAuthority,
    /// The system has no authorities.
    #[error("the certificate authorities of the system cannot be read ({0}); name a ca_file")]
    System(io::Error),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Returns the client of this upstream.
///
/// Each call has a connection of its own. An upstream can close a connection that is kept for later
/// in the moment in which a call is sent on it, and nobody knows then whether it did the work.
pub(super) fn client(
    upstream: &UpstreamUrl,
    ca_file: Option<&Path>,
    connect_timeout: Duration,
) -> Result<Client, ClientError> {
    let provider = rustls::crypto::ring::default_provider();
    let tls = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?;
    let tls = match ca_file {
        Some(path) => tls.with_root_certificates(authorities(path)?),
        None if upstream.is_https() => {
            use hyper_rustls::ConfigBuilderExt as _;
            tls.with_native_roots().map_err(ClientError::System)?
        }
        None => tls.with_root_certificates(RootCertStore::empty()),
    };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Legacy::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .build(connector))
}

/// Reads the certificates of a file.
fn authorities(path: &Path) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(ClientError::File)? {
        roots.add(certificate.map_err(ClientError::File)?)?;
    }
    if roots.is_empty() { Err(ClientError::NoAuthority) } else { Ok(roots) }
}

/// Returns whether the upstream could not be connected in time.
pub(super) fn is_timeout(error: &SendError) -> bool {
    sources(error).any(|source| {
        let source = source.downcast_ref::<io::Error>();
        source.is_some_and(|source| source.kind() == io::ErrorKind::TimedOut)
    })
}

/// Returns the error with all its sources, for the log.
pub(super) fn causes(error: &SendError) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn sources(error: &SendError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error: &&(dyn Error + 'static)| (*error).source())
}
