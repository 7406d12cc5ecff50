//! What happened, for the audit trail. No secret is ever in it, and no text that was not bounded and cleaned.

#[cfg(feature = "tracing")]
mod trace;

use crate::moment::{CorrelationId, Moment, Timestamp};
use crate::reason::Reason;
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
    /// Which part of the rule was broken, where it has several.
    pub detail: Option<&'static str>,
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
    /// A client gave a refresh token back: its grant is over.
    GrantRevoked,
    /// A client gave an access token back.
    TokenRevoked,
    /// A client gave something back that was over already, or never a token of its own.
    NothingRevoked,
    /// An access token was accepted.
    AccessAllowed,
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
    /// A client named itself by a URL, and the document there must be fetched.
    DocumentNeeded,
    /// The request was refused; the event's reason says why.
    Refused,
}

impl EventKind {
    /// Its stable name in logs.
    pub fn name(self) -> &'static str {
        match self {
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
            Self::ClientRegistered => "client_registered",
            Self::ClientRead => "client_read",
            Self::ClientUpdated => "client_updated",
            Self::ClientDeleted => "client_deleted",
            Self::ClientDeactivated => "client_deactivated",
            Self::ClientReactivated => "client_reactivated",
            Self::DocumentNeeded => "document_needed",
            Self::Refused => "refused",
        }
    }
}

impl Event {
    /// A step of a flow that is not known (yet).
    pub(crate) fn new(kind: EventKind, reason: Option<Reason>, moment: &Moment) -> Self {
        let (at, correlation) = (moment.now, moment.entropy.correlation());
        Self { kind, reason, detail: None, at, correlation, flow: None, client: None, claimed: None, subject: None }
    }

    pub(crate) fn claim(&mut self, client_id: &str) {
        if self.client.is_none() && !client_id.is_empty() {
            self.claimed = Some(log_text(client_id));
        }
    }
}
