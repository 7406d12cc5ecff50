//! Signed assertions (JWT, RFC 7519, in the compact form of RFC 7515) and the keys that verify
//! them.
//!
//! Clients authenticate by assertions ([`KeyRules`](crate::policy::KeyRules)), and assertions of
//! trusted issuers bring tokens ([`TrustedIssuer`](crate::policy::TrustedIssuer)). This module has
//! the parser and the types of both. It is public for hosts with assertions of their own.
//!
//! An assertion passes from one type to the next, and each step has its check:
//!
//! ```text
//! text ──parse──► Jws ──claims──► Unverified<Claims>   checks that need no key: times, audience
//!                  │
//!                  └──select──► PublicKey ──verify──► Verified<&Claims>
//! ```
//!
//! ```
//! # #[cfg(feature = "jws")] {
//! use std::time::Duration;
//!
//! use grantcore::Timestamp;
//! use grantcore::jws::{
//!     AcceptedTypes, Algorithms, Claims, Fault, Jws, KeySet, RingVerifier, TimeRules, Verified,
//! };
//!
//! /// Checks an assertion in the order that costs least: the signature comes last.
//! fn check<'j>(
//!     assertion: &'j Jws<'_>,
//!     keys: &KeySet,
//!     now: Timestamp,
//! ) -> Result<Verified<&'j Claims>, Fault> {
//!     let header = assertion.header();
//!     header.check_type(AcceptedTypes::CLIENT)?;
//!     let claims = assertion.claims().as_claimed();
//!     if claims.iss()? != "app" {
//!         return Err(Fault::Issuer);
//!     }
//!     claims.check_audience("https://auth.example")?;
//!     let rules = TimeRules::new(Duration::from_secs(10), Duration::from_secs(3600));
//!     claims.check_times(rules, now)?;
//!     let key = keys.select(header, Algorithms::ALL)?;
//!     assertion.verify(key, &RingVerifier)
//! }
//! # }
//! ```
//!
//! Never here: which client or issuer an assertion is from, and what it grants.

mod algorithm;
mod base64url;
mod cache;
mod checks;
mod claims;
mod compact;
mod dummy;
mod fault;
mod json;
mod jwk;
mod key;
mod key_set;
mod keys_url;
#[cfg(feature = "jws")]
mod ring_verifier;
mod verify;
mod written;

pub use self::algorithm::{Algorithm, AlgorithmError, Algorithms};
pub use self::cache::{Generation, KeyCache, Look};
pub use self::checks::{TimeRules, is_issuer};
pub use self::claims::{Claims, Unverified, Verified};
pub use self::compact::{AcceptedTypes, Header, Jws};
pub use self::fault::Fault;
pub use self::key::{Ed25519, Material, P256, PublicKey, Rsa};
pub use self::key_set::{FetchedKeys, KeySet, KeySetError};
pub use self::keys_url::{KeysUrl, KeysUrlError};
#[cfg(feature = "jws")]
pub use self::ring_verifier::RingVerifier;
pub use self::verify::Verify;
pub(crate) use self::written::Jwks;
