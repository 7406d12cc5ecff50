//! How clients are known by a document about them (Client ID Metadata Documents).

use std::time::Duration;

use crate::value::redirect_uri::RegisteredRedirectUri;
use crate::value::uri::is_same_origin;

/// The rules of Client ID Metadata Documents (draft-ietf-oauth-client-id-metadata-document).
///
/// The `client_id` of such a client is the URL of its document. The core says what to fetch and
/// judges the response; the host fetches.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::policy::DocumentRules;
///
/// let rules = DocumentRules::default().with_fresh_at_most(Duration::from_secs(3600));
/// assert_eq!(rules.fresh_at_most(), Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct DocumentRules {
    pub(crate) fresh_at_least: Duration,
    pub(crate) fresh_at_most: Duration,
    pub(crate) allow_loopback: bool,
    pub(crate) redirects: DocumentRedirects,
    pub(crate) loopback_redirects: bool,
}

/// The redirect URIs that the document of a client may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentRedirects {
    /// All. Everybody who can write to the URL of a document can choose its redirect URIs.
    #[default]
    Any,
    /// An `https` redirect URI is of the origin of the document (CIMD, Redirect URIs). Clients that
    /// keep their document elsewhere cannot connect.
    SameOrigin,
}

impl Default for DocumentRules {
    fn default() -> Self {
        Self {
            fresh_at_least: Duration::from_secs(60),
            fresh_at_most: Duration::from_secs(24 * 60 * 60),
            allow_loopback: false,
            redirects: DocumentRedirects::Any,
            loopback_redirects: true,
        }
    }
}

impl DocumentRules {
    /// Sets how long a document is used at least, whatever its HTTP headers say. It is used this
    /// long if they say nothing. Whole seconds, at least one. Default: 60 s.
    ///
    /// A shorter time lets authorization requests cause more fetches; a longer one delays changes
    /// that the client makes to its document.
    pub fn with_fresh_at_least(self, time: Duration) -> Self {
        Self { fresh_at_least: time, ..self }
    }

    /// Sets how long a document is used at most, whatever its HTTP headers say. Whole seconds, and
    /// not shorter than [`with_fresh_at_least`](Self::with_fresh_at_least). Default: 24 h.
    ///
    /// A longer time delays changes, such as a redirect URI that the client has withdrawn.
    pub fn with_fresh_at_most(self, time: Duration) -> Self {
        Self { fresh_at_most: time, ..self }
    }

    /// Sets whether a document can be at a loopback address, over `http` too. Default: `false`.
    ///
    /// For development only: anybody who names such a `client_id` makes the server call services on
    /// its own machine.
    pub fn with_allow_loopback(self, allow: bool) -> Self {
        Self { allow_loopback: allow, ..self }
    }

    /// Sets where documents may redirect to. Default: [`DocumentRedirects::Any`].
    ///
    /// It counts for clients on record too, at their next authorization.
    pub fn with_redirects(self, redirects: DocumentRedirects) -> Self {
        Self { redirects, ..self }
    }

    /// Sets whether documents may redirect to a loopback address. Default: `true`, because clients
    /// on the user's own device need it (RFC 8252 §7.3).
    ///
    /// With `true`, any program on the user's device can claim to be such a client.
    pub fn with_loopback_redirects(self, allow: bool) -> Self {
        Self { loopback_redirects: allow, ..self }
    }

    /// Returns whether the document at this URL may have this redirect URI.
    pub(crate) fn admits_redirect(&self, document: &str, uri: &RegisteredRedirectUri) -> bool {
        if uri.is_loopback() {
            return self.loopback_redirects;
        }
        match self.redirects {
            DocumentRedirects::Any => true,
            DocumentRedirects::SameOrigin => {
                !uri.is_web() || is_same_origin(document, uri.as_str())
            }
        }
    }

    getters! {
        redirects: DocumentRedirects,
        loopback_redirects: bool,
        fresh_at_least: Duration,
        fresh_at_most: Duration,
        allow_loopback: bool,
    }
}
