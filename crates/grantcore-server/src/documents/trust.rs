//! Whose word is taken for a host being itself: the authorities that browsers trust, and at most
//! one file of others.
//!
//! What lives here: the TLS settings. What never does: a way around verification. The roots are
//! compiled in, so that the server starts and fetches in an image without `ca-certificates`; an
//! organisation's own authority comes by file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why the authority that was named cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("{0}: {1}")]
    File(PathBuf, #[source] pem::Error),
    #[error("{0}: no certificate in it")]
    Empty(PathBuf),
    #[error("{0}: {1}")]
    Certificate(PathBuf, #[source] rustls::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

pub(super) fn config(authority: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = authority {
        add(&mut roots, path)?;
    }
    // Named rather than looked for: there is no default that some other crate could change.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Nothing is remembered of a host, and each fetch verifies it anew.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A file without a certificate would be noticed only when its hosts are refused.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let before = roots.len();
    let unreadable = |error| TrustError::File(path.to_owned(), error);
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|error| TrustError::Certificate(path.to_owned(), error))?;
    }
    if roots.len() == before { Err(TrustError::Empty(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_no_authority_is_refused_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let unended = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for path in [
            directory.path().join("missing"),
            file("empty", ""),
            file("broken", broken),
            file("unended", unended),
        ] {
            let refusal = config(Some(&path)).unwrap_err().to_string();
            assert!(refusal.starts_with(path.to_str().unwrap()), "{refusal}");
        }
        assert!(config(None).is_ok());
    }
}
