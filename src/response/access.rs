//! An accepted access token: client, user, scope and resources of a call. Never the token's text.

use std::sync::Arc;

use crate::grant::{Grant, Principal, TokenRights};
use crate::moment::{CorrelationId, Timestamp};
use crate::value::credential::GrantId;
use crate::value::properties::Properties;
use crate::value::text::{ClientId, Subject};

/// A call that a protected resource may serve.
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let header = format!("Bearer {}", example::tokens(&server).await.0);
/// # let header = grantcore::Authorization::One(header.as_bytes());
/// # let needs = server.policy().needs("https://mcp.example/mcp", "notes")?;
/// let access = server.check(&header, &needs).await?;
/// let may_write = access.scope().any(|token| token == "notes");
/// println!("{:?} by {}, may write: {may_write}", access.principal(), access.client_id());
/// for warning in access.warnings() {
///     println!("{warning:?}"); // The balance is low.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) grant: Arc<Grant>,
    /// What is left of the access token.
    pub(crate) token: TokenRights,
    pub(crate) correlation: CorrelationId,
    pub(crate) warning: Option<Warning>,
    /// The owner of the client, if the client acts on its own behalf.
    pub(crate) owner: Option<Subject>,
}

/// A note that the host should add to its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The balance of the account is low.
    LowBalance {
        /// What is left, in the units of the host.
        left: u64,
    },
}

impl Access {
    /// Returns who the token speaks for: a user, or the client itself if the operation
    /// [serves machines](crate::Needs::machines).
    pub fn principal(&self) -> Principal<'_> {
        self.grant.principal()
    }

    /// Returns the user on whose behalf the client calls, and whose account pays. `None` if the
    /// client acts on its own behalf.
    pub fn subject(&self) -> Option<&Subject> {
        self.grant.subject()
    }

    /// Returns the account that pays: the user's, or that of the client's owner if the client acts
    /// on its own behalf. `None` if such a client has no owner.
    pub fn payer(&self) -> Option<&Subject> {
        self.subject().or(self.owner.as_ref())
    }

    /// Returns the client that calls.
    pub fn client_id(&self) -> &ClientId {
        self.grant.client_id()
    }

    /// Returns the grant, which identifies the flow in the audit log.
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// Returns what the host has bound to the grant
    /// ([`ConsentDecision::with_properties`](crate::request::ConsentDecision::with_properties)), or
    /// `None` if it has bound nothing.
    pub fn properties(&self) -> Option<&Properties> {
        self.grant.properties()
    }

    /// Returns the scope tokens of the access token, without those that were taken away from the
    /// grant.
    pub fn scope(&self) -> impl Iterator<Item = &str> {
        self.token.scope.of(self.grant.scope().tokens())
    }

    /// Returns the resources that the access token is for, without those that were taken away.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.token.resources.of(self.grant.resources())
    }

    /// Returns when the user last signed in before the consent, if the host knew it.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.grant.terms().login().map(|login| login.time)
    }

    /// Returns the class of that login, if the host knew it.
    pub fn acr(&self) -> Option<&str> {
        self.grant.terms().login().and_then(|login| login.acr.as_deref())
    }

    /// Returns the id of this call in the audit log.
    pub fn correlation(&self) -> CorrelationId {
        self.correlation
    }

    /// Returns the notes that the host should add to its response.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        self.warning.into_iter()
    }

    /// Returns when the access token expires.
    pub fn expires(&self) -> Timestamp {
        self.token.expires
    }
}
