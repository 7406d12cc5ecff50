//! Why a fetcher cannot be built, and why a document was not fetched.
//!
//! The errors of other crates are behind [`Cause`], so that their versions are no part of this
//! crate's interface.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::address::ForbiddenAddress;

/// An error of a library below. Shared, because all who wait for a fetch get the same error.
type Cause = Arc<dyn Error + Send + Sync>;

/// The reason why there is no document: the guard that refused, or what failed. For the operator's
/// log only.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The URL does not parse.
    #[error("the URL is invalid: {0}")]
    Url(#[source] Cause),
    /// The scheme is not `https`, or it is `http` where that is not allowed.
    #[error("only https is fetched, or http from this machine if loopback is allowed")]
    NotHttps,
    /// The host has an address that is not of the public internet.
    #[error(transparent)]
    Forbidden(#[from] ForbiddenAddress),
    /// A limit is reached. The same fetch may succeed later.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The name of the host was not resolved.
    #[error("the host name was not resolved: {0}")]
    Name(#[source] Cause),
    /// The connection, TLS or HTTP failed.
    #[error("the exchange failed: {}", causes(&**.0))]
    Exchange(#[source] Cause),
    /// The connection or the whole fetch took longer than this.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// The task of the fetch ended without an outcome, for example because its runtime was shut
    /// down.
    #[error("the fetch ended without an outcome")]
    Abandoned,
}

impl FetchError {
    /// Returns whether a limit of this fetcher refused the fetch.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    pub(crate) fn url(error: url::ParseError) -> Self {
        Self::Url(Arc::new(error))
    }

    pub(crate) fn name(error: io::Error) -> Self {
        Self::Name(Arc::new(error))
    }

    pub(crate) fn exchange(error: reqwest::Error) -> Self {
        Self::Exchange(Arc::new(error))
    }
}

/// The limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Busy {
    /// All slots for such an asker are taken.
    #[error("all slots for fetches are taken")]
    Total,
    /// All slots of this host and port are taken.
    #[error("all slots for fetches from {0} are taken")]
    Host(String),
    /// All slots of this asker are taken.
    #[error("all slots of this user or network address are taken")]
    Asker,
    /// The asker has had as many fetches in this minute as it may.
    #[error("this user or network address has reached its fetches per minute")]
    Rate,
}

/// The reason why a fetcher cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The file of additional roots cannot be read as PEM.
    #[error("{path}: {cause}", path = path.display())]
    RootsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// The file of additional roots has no certificate.
    #[error("{path}: no certificate in it", path = path.display())]
    NoRoots {
        /// The file.
        path: PathBuf,
    },
    /// The process has no provider of cryptography for rustls.
    #[error("rustls has no crypto provider: install one, or turn on the feature `ring`")]
    NoCryptoProvider,
    /// The provider of cryptography supports no safe version of TLS.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] Cause),
    /// A setting is zero, or a part is greater than its whole.
    #[error("{0}")]
    Setting(&'static str),
}

/// Joins an error and all its sources. reqwest's own message names none of them.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        message.extend([": ", &cause.to_string()]);
        next = cause.source();
    }
    message
}
