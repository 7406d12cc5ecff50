//! The user's decision on a consent page (OAuth 2.1 §4.1.1; RFC 6749 §10.12).

use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::authorization::User;
use crate::value::credential::{Credential, Kind};

/// A decision on a consent page: its ticket, whoever sent it, and what they chose. Everything else
/// is in the grant's record, where no form field can reach it.
pub struct ConsentDecision<'a> {
    pub(crate) ticket: Credential,
    pub(crate) user: User<'a>,
    pub(crate) choice: Choice<'a>,
}

/// What the user chose.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// Grant all that was asked for.
    Allow,
    /// Grant these scope tokens, separated by spaces; they must have been asked for (OAuth 2.1
    /// §1.4.1).
    AllowOnly(&'a str),
    /// Grant nothing.
    Deny,
}

impl<'a> ConsentDecision<'a> {
    /// Takes the ticket from the submitted form, the user the host has authenticated, and the
    /// choice.
    ///
    /// # Errors
    /// A [`Refusal`] to show to the user when the text is no ticket.
    pub fn new(ticket: &str, user: User<'a>, choice: Choice<'a>) -> Result<Self, Refusal> {
        let ticket = Credential::parse(Kind::Ticket, ticket)
            .ok_or_else(|| Refusal::plain(Reason::TicketMissing, Endpoint::Authorization))?;
        Ok(Self { ticket, user, choice })
    }
}
