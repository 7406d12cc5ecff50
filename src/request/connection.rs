//! The requests of a user or an administrator about connections: the list of a user's, and the end of
//! one or of all of a client. The host checks that its caller may request it.

use crate::grant::{Grant, GrantState, RevocationCause};
use crate::keys::GrantList;
use crate::value::credential::GrantId;

/// Lists a user's connections.
pub struct ConnectionList<'a> {
    pub(crate) list: GrantList<'a>,
}

impl<'a> ConnectionList<'a> {
    /// Reads up to `limit` grants of this user after `after`. Grants that are over, and pages that wait
    /// for an answer, are no connections: the list may have fewer entries than grants were read.
    pub fn new(subject: &'a str, after: Option<GrantId>, limit: usize) -> Self {
        Self { list: GrantList::new(subject, after, limit) }
    }
}

/// Has one grant ended, for its user or an administrator.
pub struct GrantRevocation<'a> {
    pub(crate) grant: GrantId,
    /// The user who asks: then only a grant of their own is one.
    pub(crate) user: Option<&'a str>,
    pub(crate) cause: RevocationCause,
    pub(crate) note: Option<&'a str>,
}

/// Has all grants of one client ended, whoever granted them.
pub struct ClientRevocation<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) note: &'a str,
}

/// Why somebody else than their user ends grants. The text is the administrator's own words, for
/// the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedBy<'a> {
    /// An administrator decided so.
    Administrator(&'a str),
    /// The host saw a security event: a changed password, a lost device (OAuth 2.1 §4.3.3).
    SecurityEvent(&'a str),
}

impl<'a> RevokedBy<'a> {
    pub(crate) fn cause(self) -> RevocationCause {
        match self {
            Self::Administrator(_) => RevocationCause::Administrator,
            Self::SecurityEvent(_) => RevocationCause::SecurityEvent,
        }
    }

    pub(crate) fn note(self) -> &'a str {
        let (Self::Administrator(note) | Self::SecurityEvent(note)) = self;
        note
    }
}

impl<'a> GrantRevocation<'a> {
    /// For this user, if the grant is theirs.
    pub fn by_user(grant: GrantId, user: &'a str) -> Self {
        Self { grant, user: Some(user), cause: RevocationCause::User, note: None }
    }

    /// For an administrator.
    pub fn by(revoked_by: RevokedBy<'a>, grant: GrantId) -> Self {
        Self { grant, user: None, cause: revoked_by.cause(), note: Some(revoked_by.note()) }
    }

    /// Whether a grant that was read is one to end.
    pub(crate) fn concerns(grant: &Grant, client: Option<&str>) -> bool {
        client.is_none_or(|client| grant.client_id().as_str() == client)
            && !matches!(grant.state(), GrantState::Revoked(_))
    }
}

impl<'a> ClientRevocation<'a> {
    /// All grants of the client of this id.
    pub fn by(revoked_by: RevokedBy<'a>, client_id: &'a str) -> Self {
        Self { client_id, note: revoked_by.note() }
    }
}
