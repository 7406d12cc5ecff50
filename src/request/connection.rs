//! Requests about connections by a user or an administrator: the list of a user's connections, the
//! revocation of one grant, and the revocation of all grants of a client. The host checks that its
//! caller may request it.

use crate::grant::{Grant, GrantState, RevocationCause};
use crate::keys::GrantList;
use crate::policy::Issuers;
use crate::value::credential::GrantId;

/// A request for the list of a user's connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionList<'a> {
    pub(crate) list: GrantList<'a>,
    pub(crate) issuers: Issuers,
}

impl<'a> ConnectionList<'a> {
    /// Requests the connections among up to `limit` grants of this user after `after`. Ended grants
    /// and pending consents are not connections, so the list can have fewer entries than `limit`
    /// although more grants follow.
    pub fn new(subject: &'a str, after: Option<GrantId>, limit: usize) -> Self {
        Self { list: GrantList::Page { subject, after, limit }, issuers: Issuers::Own }
    }

    /// Sets whose grants are listed, where several issuers share one store. Default:
    /// [`Issuers::Own`].
    #[must_use = "the request with the issuers is the one returned"]
    pub fn of_issuers(self, issuers: Issuers) -> Self {
        Self { issuers, ..self }
    }
}

/// A request to revoke one grant, by its user or an administrator.
#[derive(Clone, Copy, Debug)]
pub struct GrantRevocation<'a> {
    pub(crate) grant: GrantId,
    /// The user who requests the revocation. A grant of another user is then treated as missing.
    pub(crate) user: Option<&'a str>,
    pub(crate) cause: RevocationCause,
    pub(crate) note: Option<&'a str>,
}

/// A request to revoke all grants of one client, of every user.
#[derive(Clone, Copy, Debug)]
pub struct ClientRevocation<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) note: &'a str,
}

/// The party that revokes grants. The text is a note for the audit log.
///
/// ```
/// use grantcore::RevokedBy;
///
/// let by_support = RevokedBy::Administrator("ticket 4711, asked by the user");
/// let by_the_host = RevokedBy::SecurityEvent("password changed");
/// let by_alice = RevokedBy::User;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RevokedBy<'a> {
    /// An administrator.
    Administrator(&'a str),
    /// The host, because of a security event such as a changed password or a lost device (OAuth 2.1
    /// §4.3.3).
    SecurityEvent(&'a str),
    /// The user, for example on a page where one button disconnects all grants of an application.
    User,
}

impl<'a> RevokedBy<'a> {
    pub(crate) fn cause(self) -> RevocationCause {
        match self {
            Self::Administrator(_) => RevocationCause::Administrator,
            Self::SecurityEvent(_) => RevocationCause::SecurityEvent,
            Self::User => RevocationCause::User,
        }
    }

    pub(crate) fn note(self) -> &'a str {
        match self {
            Self::Administrator(note) | Self::SecurityEvent(note) => note,
            Self::User => "",
        }
    }
}

impl<'a> GrantRevocation<'a> {
    /// Revokes the grant for this user, if it is the user's own.
    pub fn by_user(grant: GrantId, user: &'a str) -> Self {
        Self { grant, user: Some(user), cause: RevocationCause::User, note: None }
    }

    /// Revokes the grant of any user.
    pub fn by(revoked_by: RevokedBy<'a>, grant: GrantId) -> Self {
        Self { grant, user: None, cause: revoked_by.cause(), note: Some(revoked_by.note()) }
    }

    /// Returns whether a grant is to be revoked: it has not been revoked before, and belongs to
    /// this client if one is named.
    pub(crate) fn concerns(grant: &Grant, client: Option<&str>) -> bool {
        client.is_none_or(|client| grant.client_id().as_str() == client)
            && !matches!(grant.state(), GrantState::Revoked(_))
    }
}

impl<'a> ClientRevocation<'a> {
    /// Revokes all grants of the client with this id.
    pub fn by(revoked_by: RevokedBy<'a>, client_id: &'a str) -> Self {
        Self { client_id, note: revoked_by.note() }
    }
}
