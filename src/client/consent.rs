//! Whether a client's users are asked at each request. The operator decides it, and no update or
//! document of the client changes it (I47).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Client, ClientBuilder, ClientError, Fields, Origin};
use crate::moment::Timestamp;
use crate::value::redirect_uri::RegisteredRedirectUri;

/// Whether the users of one client are asked at each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsentMode {
    /// Each request is asked, whatever the policy remembers.
    Ask,
    /// A consent is remembered as the policy's [`ConsentRules`](crate::policy::ConsentRules) say,
    /// and for a client with a secret also if they remember nobody's.
    Remember,
    /// No request is asked. It is only for a client with a secret that the operator registered,
    /// with `https` redirect URIs off the user's own device.
    ///
    /// Every user who signs in grants such a client whatever it asks for, without knowing it. It
    /// is for the operator's own applications, whose scope is what their users expect.
    Skip,
}

impl Client {
    /// Returns whether the users of the client are asked, or `None` if the policy decides.
    pub fn consent(&self) -> Option<ConsentMode> {
        self.0.consent
    }

    /// Returns whether the client always proves who it is, by a secret or a key.
    pub(crate) fn is_confidential(&self) -> bool {
        self.0.kind.is_proved()
    }

    /// Returns whether the client had its present description when the user was asked at this
    /// time. What the operator changes counts as described all along.
    pub(crate) fn was_described_at(&self, asked: Timestamp) -> bool {
        self.0.described <= asked
    }

    /// Returns this client as described from the next second on, or as long as the client before if
    /// the two differ in nothing but that. Times are whole seconds, and a user who was asked in this
    /// one may have seen the client as it was before.
    pub(crate) fn described_after(self, before: &Self, now: Timestamp) -> Self {
        let same = Self(Fields { described: before.0.described, ..self.0 });
        // Keys are replaced routinely, and say nothing new about the client.
        let is_same = same.with_keys_of(before).is_described_as(before);
        let described = now.after(Duration::from_secs(1));
        if is_same { same } else { Self(Fields { described, ..same.0 }) }
    }
}

impl Client {
    /// Returns this client with the keys of the other one, if both have keys.
    fn with_keys_of(&self, other: &Self) -> Self {
        let mut same = self.clone();
        if let (Some(keys), Some(own)) = (same.0.kind.keys_mut(), other.keys()) {
            keys.clone_from(own);
        }
        same
    }
}

impl ClientBuilder {
    /// Sets whether the users of the client are asked at each request. Default: the policy's
    /// [`ConsentRules`](crate::policy::ConsentRules) decide.
    ///
    /// What is not asked is not known to the user: see [`ConsentMode`].
    pub fn consent(mut self, mode: ConsentMode) -> Self {
        self.consent = Some(mode);
        self
    }
}

impl Fields {
    /// Refuses to skip the consent of a client that cannot prove its identity (OAuth 2.1 §7.3.1).
    pub(super) fn check_consent(&self) -> Result<(), ClientError> {
        let is_confidential = self.kind.is_proved();
        let is_operators = matches!(self.origin, Origin::Operator { .. });
        let flow = self.kind.code_flow();
        let uris = flow.map_or(&[][..], |flow| flow.redirect_uris.as_slice());
        let is_assured = uris.iter().all(RegisteredRedirectUri::is_https_host);
        match self.consent {
            Some(ConsentMode::Skip) if !(is_confidential && is_operators && is_assured) => {
                Err(ClientError::ConsentSkipped)
            }
            _ => Ok(()),
        }
    }
}
