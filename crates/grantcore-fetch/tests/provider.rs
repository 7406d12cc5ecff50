//! The provider of cryptography is the host's choice. This program has one test, because a process
//! can install one provider only.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use grantcore_fetch::{BuildError, DocumentFetcher};
use rustls::crypto::{CryptoProvider, ring};

/// The installed provider has no cipher suite, so its use shows.
#[test]
fn the_provider_that_the_process_has_installed_is_used() {
    let unusable = CryptoProvider { cipher_suites: Vec::new(), ..ring::default_provider() };
    unusable.install_default().unwrap();
    let refusal = DocumentFetcher::builder().build();
    assert!(matches!(refusal, Err(BuildError::Tls(_))), "{refusal:?}");
}
