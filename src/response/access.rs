//! An accepted access token: who calls, for whom, and how far they may go. Never the token's text.

use std::sync::Arc;

use crate::grant::{AccessTokenEntry, Grant};
use crate::moment::{CorrelationId, Timestamp};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject};

/// What a protected resource learns of a call it may serve.
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) grant: Arc<Grant>,
    pub(crate) live: AccessTokenEntry,
    pub(crate) correlation: CorrelationId,
    pub(crate) warning: Option<Warning>,
}

/// What the host should tell beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The account's balance is low: so much is left, in the host's own units.
    LowBalance {
        /// What is left.
        left: u64,
    },
}

impl Access {
    /// The user on whose behalf the client calls, and whose account pays.
    pub fn subject(&self) -> &Subject {
        self.grant.subject()
    }

    /// The client that calls.
    pub fn client_id(&self) -> &ClientId {
        self.grant.client_id()
    }

    /// The grant, which names the flow in the trail.
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// The token's scope.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.live.scope.of(self.grant.scope().tokens())
    }

    /// The resources the token is for.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.live.resources.of(self.grant.resources())
    }

    /// The name of this call in the trail.
    pub fn correlation(&self) -> CorrelationId {
        self.correlation
    }

    /// What to tell beside the answer.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.warning.into_iter()
    }

    /// When the token expires.
    pub fn expires(&self) -> Timestamp {
        self.live.expires
    }
}
