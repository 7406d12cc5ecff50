//! What a host decides about a grant while it is being refreshed.

use crate::moment::Timestamp;
use crate::value::properties::Properties;
use crate::value::scope::Scope;

/// What a host decides about a grant whose refresh token was presented: the answer of
/// [`Accounts::refresh_decision`](crate::Accounts::refresh_decision).
///
/// It is applied with the write that rotates the token, so that either both happen or neither. An
/// answer that is given again, because the first one was lost, is the first one: only
/// [`End`](Self::End) counts then.
///
/// ```
/// use grantcore::account::{GrantChanges, RefreshDecision};
/// use grantcore::value::Properties;
///
/// let moved = GrantChanges::default().with_properties(Properties::parse(r#"{"plan":"free"}"#)?);
/// let decision: RefreshDecision = moved.into();
/// let gone = RefreshDecision::End("the organization was deleted".into());
/// # let _ = (decision, gone);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshDecision {
    /// The grant stays as it is.
    #[default]
    Keep,
    /// The grant is lessened, or gets other properties.
    Change(Box<GrantChanges>),
    /// The grant ends, and the refresh is refused. The text is a note for the audit log.
    End(Box<str>),
}

/// What changes in a grant. By default nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "changes do nothing until they are returned as a decision"]
pub struct GrantChanges {
    scope: Option<Scope>,
    properties: Option<Properties>,
    until: Option<Timestamp>,
}

impl GrantChanges {
    /// Takes every scope token that is not one of these away from the grant and from all its access
    /// tokens, for good. Tokens that the grant does not have are ignored. If none is left, the
    /// grant ends.
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Replaces the properties of the grant. The next check of any of its access tokens returns
    /// them.
    pub fn with_properties(self, properties: Properties) -> Self {
        Self { properties: Some(properties), ..self }
    }

    /// Brings the end of the grant nearer. A later end than the present one changes nothing. A time
    /// that is not in the future ends the grant.
    pub fn until(self, end: Timestamp) -> Self {
        Self { until: Some(end), ..self }
    }

    /// Returns the scope beyond which nothing is left.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Returns the new properties.
    pub fn properties(&self) -> Option<&Properties> {
        self.properties.as_ref()
    }

    /// Returns the new end.
    pub fn end(&self) -> Option<Timestamp> {
        self.until
    }
}

impl From<GrantChanges> for RefreshDecision {
    fn from(changes: GrantChanges) -> Self {
        Self::Change(Box::new(changes))
    }
}

impl RefreshDecision {
    /// Returns what changes, if the grant stays.
    pub(crate) fn changes(&self) -> Option<&GrantChanges> {
        match self {
            Self::Change(changes) => Some(changes),
            Self::Keep | Self::End(_) => None,
        }
    }

    /// Returns the note for the audit log, if the grant ends.
    pub(crate) fn note(&self) -> Option<&str> {
        match self {
            Self::End(note) => Some(note),
            Self::Keep | Self::Change(_) => None,
        }
    }
}
