//! The user's decision on a consent page (OAuth 2.1 §4.1.1; RFC 6749 §10.12).

use std::fmt;

use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::authorization::User;
use crate::value::credential::{Credential, Kind};

/// A decision on a consent page: the ticket of the page, the user who submitted it, and the choice.
/// Everything else is in the grant's record, so that no form field can change it.
pub struct ConsentDecision<'a> {
    pub(crate) ticket: Credential,
    pub(crate) user: User<'a>,
    pub(crate) choice: Choice<'a>,
}

/// The choice of the user.
///
/// ```
/// use grantcore::Choice;
///
/// /// The choice of a consent form with one checkbox for each scope.
/// fn choice<'a>(pressed: &str, checked: &'a str) -> Choice<'a> {
///     if pressed == "allow" { Choice::AllowOnly(checked) } else { Choice::Deny }
/// }
/// assert_eq!(choice("allow", "notes:read"), Choice::AllowOnly("notes:read"));
/// assert_eq!(choice("cancel", "notes:read"), Choice::Deny);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice<'a> {
    /// Grants everything that was requested.
    Allow,
    /// Grants these scope tokens, separated by spaces. They must have been requested (OAuth 2.1
    /// §1.4.1).
    AllowOnly(&'a str),
    /// Grants nothing.
    Deny,
}

impl<'a> ConsentDecision<'a> {
    /// Takes the ticket of the submitted form, the user that the host has authenticated, and the
    /// choice.
    ///
    /// # Errors
    /// A [`Refusal`] to show to the user if the text is not a ticket.
    pub fn new(ticket: &str, user: User<'a>, choice: Choice<'a>) -> Result<Self, Refusal> {
        let ticket = Credential::parse(Kind::Ticket, ticket)
            .ok_or_else(|| Refusal::plain(Reason::TicketMissing, Endpoint::Authorization))?;
        Ok(Self { ticket, user, choice })
    }
}

/// Shows grant, user and choice. The ticket and the browser session are left out.
impl fmt::Debug for ConsentDecision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentDecision")
            .field("grant", &self.ticket.id)
            .field("subject", &self.user.subject)
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}
