//! Whose consent is remembered, and for how long (OAuth 2.1 §7.3).

use std::time::Duration;

/// The rules of consent: whether a request that repeats what its user has granted before is
/// answered without a consent page.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::policy::{ConsentRules, Remember};
///
/// let rules = ConsentRules::default()
///     .with_remember(Remember::Confidential)
///     .with_remember_for(Duration::from_secs(7 * 24 * 3600));
/// assert_eq!(rules.remember(), Remember::Confidential);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct ConsentRules {
    pub(crate) remember: Remember,
    pub(crate) remember_for: Duration,
}

impl Default for ConsentRules {
    fn default() -> Self {
        Self { remember: Remember::default(), remember_for: Duration::from_secs(30 * 24 * 60 * 60) }
    }
}

impl ConsentRules {
    /// Sets whose consent is remembered. Default: [`Remember::Never`]. A client's own
    /// [mode](crate::client::ClientBuilder::consent) goes before it.
    ///
    /// A remembered consent lets a page of another site start a connection in the user's browser
    /// without a word to the user. The code goes to the client alone, within what the user has
    /// granted it before.
    pub fn with_remember(self, remember: Remember) -> Self {
        Self { remember, ..self }
    }

    /// Sets for how long after a consent page its answer is remembered. Default: 30 days.
    ///
    /// The longer it is, the less a user knows of the connections that are made.
    pub fn with_remember_for(self, time: Duration) -> Self {
        Self { remember_for: time, ..self }
    }

    getters! {
        remember: Remember,
        remember_for: Duration,
    }
}

/// The clients whose users' consent is remembered.
///
/// A consent is remembered only if the earlier grant is alive, and covers the whole request at the
/// same redirect URI, and that is an `https` URI that does not lead to the user's own device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remember {
    /// No client: the user is asked at every request (OAuth 2.1 §7.3.1).
    #[default]
    Never,
    /// Clients with a secret. Nobody else can redeem a code that such a client got without a page.
    Confidential,
    /// Public clients as well, if the user's browser states that it did not come from [another
    /// site](crate::request::Site).
    ///
    /// A public client has no other proof of who it is than its redirect URI. A client that is used
    /// with many servers hands its code to the server that it believes it talks to: a hostile
    /// server could then use a consent that the user gave for its own server. The browser's word
    /// keeps that server from starting the request, and old browsers give no word.
    HttpsRedirect,
}
