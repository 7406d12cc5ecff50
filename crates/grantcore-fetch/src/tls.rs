//! The TLS settings: the authorities that browsers trust, and those of at most one file.
//!
//! Verification cannot be turned off. The roots are compiled in, so that a host starts and fetches
//! in an image without `ca-certificates`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::BuildError;

/// Returns the settings, with the roots of this file beside those that browsers trust.
pub(crate) fn config(additional_roots: Option<&Path>) -> Result<ClientConfig, BuildError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = additional_roots {
        add(&mut roots, path)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Tls(Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each fetch verifies the host anew, and two fetches cannot be linked by a session.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the provider that the process has installed, or else ring. The crate installs none: that
/// is the host's choice.
fn provider() -> Result<Arc<CryptoProvider>, BuildError> {
    let installed = CryptoProvider::get_default().map(Arc::clone);
    #[cfg(feature = "ring")]
    let installed = installed.or_else(|| Some(Arc::new(rustls::crypto::ring::default_provider())));
    installed.ok_or(BuildError::NoCryptoProvider)
}

/// Adds the certificates of a file. A file without any is refused: its hosts would be refused only
/// when they are fetched from.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), BuildError> {
    let before = roots.len();
    let refuse = |cause: Arc<dyn std::error::Error + Send + Sync>| BuildError::RootsFile {
        path: path.to_owned(),
        cause,
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| refuse(Arc::new(e)))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refuse(Arc::new(error)))?;
        roots.add(certificate).map_err(|error| refuse(Arc::new(error)))?;
    }
    if roots.len() == before {
        return Err(BuildError::NoRoots { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_authority_is_refused_by_its_name() {
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
