//! What happened, for the audit trail. No secret is ever in it, and no text that was not bounded
//! and cleaned.

#[cfg(feature = "tracing")]
mod trace;

use std::borrow::Cow;

use crate::moment::{CorrelationId, Moment, Timestamp};
use crate::reason::Reason;
use crate::record::{Version, Write};
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject, log_text};

/// One step of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Why it was refused, or nothing if it was not.
    pub reason: Option<Reason>,
    /// What was received and what is right, as [`Refusal::detail`](crate::Refusal::detail) states
    /// it; or what was noticed in a request that was answered, such as `scope_dropped`.
    pub detail: Option<Cow<'static, str>>,
    /// When, by the server's clock.
    pub at: Timestamp,
    /// The request; its response can name it too.
    pub correlation: CorrelationId,
    /// The flow: the same from the consent page to the last refresh.
    pub flow: Option<GrantId>,
    /// The client, if it is known.
    pub client: Option<ClientId>,
    /// What an unknown client called itself: escaped, cut at 256 bytes.
    pub claimed: Option<Box<str>>,
    /// The user.
    pub subject: Option<Subject>,
    /// What a refusal said, byte for byte. Filled in when the answer is about to leave: by the
    /// driver, or by whoever settles decisions without it
    /// ([`Refusal::sent`](crate::Refusal::sent)).
    pub sent: Option<Box<SentError>>,
    /// What an administrator gave as the reason, or which resource server asked: escaped, cut at
    /// 256 bytes.
    pub note: Option<Box<str>>,
    /// The write of the step, or `None` if it wrote nothing.
    pub written: Option<Written>,
    /// The write that was made before the request could be decided: the renewal of a client before
    /// a grant of it, or the client's document.
    pub prepared: Option<Written>,
    /// See [`class`](Self::class).
    pub(crate) attributed: bool,
}

/// A write of a step: which record, which version of it, and whether it is known to be durable.
///
/// A reader settles a step of unknown fate by the stored record: if its version is below that of
/// the write, the write was not made (or not yet); if it is equal, it was made by this request or
/// by another that won the race, whose own event has the same version; if it is above, other events
/// of the flow say how it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Written {
    /// The record.
    pub record: WrittenRecord,
    /// What became of the write.
    pub fate: Fate,
}

/// The record that a step wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WrittenRecord {
    /// The grant of the event's flow, in this version.
    Grant(Version),
    /// The event's client, in this version.
    Client(Version),
    /// The epoch of the event's subject, which the host keeps.
    Account,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fate {
    /// It is durable.
    Durable,
    /// It is not known: the store failed, or the request was cut off while its commit was under
    /// way. It may never have been made, be durable already, or be made later.
    Unknown,
}

/// By whom an event can be caused. A trail with limited room keeps the two apart, so that what
/// anybody can send displaces nothing that the operator needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventClass {
    /// A step of a flow that is live or of the grant it writes, of a client of the operator's that
    /// authenticated, or of the operator.
    Attributed,
    /// Anything else: a request that named no live flow and proved nothing but that it registered
    /// itself. Anybody can cause any number of these. They may be counted instead of kept one by one, unless they
    /// [wrote](Event::written) something.
    Unattributed,
}

/// What a client or user was told when a request was refused: what they can quote to support.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentError {
    /// The status of the response.
    pub status: u16,
    /// `error`; empty where a resource was called without credentials.
    pub error: &'static str,
    /// `error_description`; `None` where none was sent.
    pub description: Option<Cow<'static, str>>,
    /// `WWW-Authenticate`, where it was sent.
    pub challenge: Option<Box<str>>,
}

/// The kinds of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// A valid authorization request came from nobody yet.
    LoginNeeded,
    /// A consent page was made.
    ConsentShown,
    /// The user approved, and a code was issued.
    ConsentApproved,
    /// A code was redeemed.
    CodeRedeemed,
    /// A refresh token was rotated.
    TokensRefreshed,
    /// A rotated refresh token got the same successor again, within the replay window.
    RefreshReplayedInWindow,
    /// A grant was ended: by its client, its user or an administrator.
    GrantRevoked,
    /// A client gave an access token back.
    TokenRevoked,
    /// A client gave something back that was over already, or never a token of its own.
    NothingRevoked,
    /// A part of a user's connections was listed.
    ConnectionsListed,
    /// An access token was accepted.
    AccessAllowed,
    /// A resource server asked about an access token, and it is active.
    TokenIntrospected,
    /// A resource server asked about a token that is not active for it; the event's reason says
    /// why.
    InactiveIntrospected,
    /// A client registered itself.
    ClientRegistered,
    /// A client read its registration.
    ClientRead,
    /// A client changed its registration.
    ClientUpdated,
    /// A client deleted its registration; its grants are dead.
    ClientDeleted,
    /// An administrator deactivated a client.
    ClientDeactivated,
    /// An administrator let a client be served again.
    ClientReactivated,
    /// An administrator ended all grants of a client.
    ClientGrantsEnded,
    /// All grants of a user were ended.
    AccountGrantsEnded,
    /// A client named itself by a URL, and the document there must be fetched.
    DocumentNeeded,
    /// The request was refused; the event's reason says why.
    Refused,
}

impl EventKind {
    /// Whether it is what happens all the time where all is well.
    pub(crate) fn is_routine(self) -> bool {
        matches!(self, Self::AccessAllowed | Self::TokenIntrospected | Self::ConnectionsListed)
    }

    /// Its stable name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectionsListed => "connections_listed",
            Self::LoginNeeded => "login_needed",
            Self::ConsentShown => "consent_shown",
            Self::ConsentApproved => "consent_approved",
            Self::CodeRedeemed => "code_redeemed",
            Self::TokensRefreshed => "tokens_refreshed",
            Self::RefreshReplayedInWindow => "refresh_replayed_in_window",
            Self::GrantRevoked => "grant_revoked",
            Self::TokenRevoked => "token_revoked",
            Self::NothingRevoked => "nothing_revoked",
            Self::AccessAllowed => "access_allowed",
            Self::TokenIntrospected => "token_introspected",
            Self::InactiveIntrospected => "inactive_introspected",
            Self::ClientRegistered => "client_registered",
            Self::ClientRead => "client_read",
            Self::ClientUpdated => "client_updated",
            Self::ClientDeleted => "client_deleted",
            Self::ClientDeactivated => "client_deactivated",
            Self::ClientReactivated => "client_reactivated",
            Self::ClientGrantsEnded => "client_grants_ended",
            Self::AccountGrantsEnded => "account_grants_ended",
            Self::DocumentNeeded => "document_needed",
            Self::Refused => "refused",
        }
    }
}

impl Written {
    /// The write, as long as nothing is known of its fate.
    pub(crate) fn of(write: &Write) -> Self {
        let record = match write {
            Write::Grant(change) => WrittenRecord::Grant(change.version()),
            Write::Client(change) => WrittenRecord::Client(change.version()),
        };
        Self { record, fate: Fate::Unknown }
    }

    /// The same write, known to be durable.
    pub(crate) fn durable(self) -> Self {
        Self { fate: Fate::Durable, ..self }
    }
}

impl Fate {
    /// Returns its stable name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Unknown => "unknown",
        }
    }
}

impl Event {
    /// A step of a flow that is not known (yet).
    pub(crate) fn new(kind: EventKind, reason: Option<Reason>, moment: &Moment) -> Self {
        let (at, correlation) = (moment.now, moment.entropy.correlation());
        Self {
            kind,
            reason,
            detail: None,
            at,
            correlation,
            flow: None,
            client: None,
            claimed: None,
            subject: None,
            sent: None,
            note: None,
            written: None,
            prepared: None,
            attributed: false,
        }
    }

    /// Returns by whom this event can be caused.
    pub fn class(&self) -> EventClass {
        if self.attributed { EventClass::Attributed } else { EventClass::Unattributed }
    }

    /// Returns whether something is or may be durable because of this step. Such an event is kept
    /// for itself, whatever its class.
    pub fn has_written(&self) -> bool {
        self.written.is_some() || self.prepared.is_some()
    }

    /// Returns whether the fate of the step is unknown: it may then have no durable counterpart.
    pub fn is_unknown(&self) -> bool {
        self.written.is_some_and(|written| written.fate == Fate::Unknown)
    }

    /// The public error code that was sent; nothing if the step was no refusal.
    pub fn error(&self) -> Option<&'static str> {
        self.sent.as_ref().map(|sent| sent.error)
    }

    /// The client: the one that is known, or else what it called itself.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_ref().map(ClientId::as_str).or(self.claimed.as_deref())
    }

    /// Records what the request called its client, unless that is the client of the event.
    pub(crate) fn claim(&mut self, client_id: &str) {
        if self.client.as_ref().is_some_and(|client| client.as_str() == client_id) {
            return;
        }
        self.client = None;
        if !client_id.is_empty() {
            self.claimed = Some(log_text(client_id));
        }
    }
}
