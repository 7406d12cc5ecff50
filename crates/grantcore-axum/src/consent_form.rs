//! The form of the consent page, as the browser sent it.

use std::borrow::Cow;

use grantcore::{Choice, Reason};

/// The fields of a submitted consent page: the ticket, the decision, and the scopes that are
/// ticked.
///
/// [`router`](crate::router) reads it for its own route. It is public for hosts with a consent
/// endpoint of their own.
///
/// ```
/// use grantcore::{Choice, Reason};
/// use grantcore_axum::ConsentForm;
///
/// let form = ConsentForm::parse(b"ticket=gct_x&decision=allow&scopes_shown=1&scope=notes")?;
/// assert_eq!((form.ticket(), form.choice()?), ("gct_x", Choice::AllowOnly("notes")));
/// let contradicting = ConsentForm::parse(b"ticket=gct_x&decision=allow&decision=deny")?;
/// assert_eq!(contradicting.choice().err(), Some(Reason::TicketMissing));
/// # Ok::<(), Reason>(())
/// ```
pub struct ConsentForm<'b> {
    fields: Vec<(Cow<'b, str>, Cow<'b, str>)>,
    scope: String,
}

impl<'b> ConsentForm<'b> {
    /// Reads the body of the form.
    ///
    /// # Errors
    /// [`Reason::RequestUndecodable`] if the body is not UTF-8.
    pub fn parse(body: &'b [u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(body).map_err(|_| Reason::RequestUndecodable)?;
        let fields: Vec<_> = form_urlencoded::parse(text.as_bytes()).collect();
        let scopes = fields.iter().filter(|(name, _)| name == "scope");
        let scope = scopes.map(|(_, value)| value.as_ref()).collect::<Vec<_>>().join(" ");
        Ok(Self { fields, scope })
    }

    /// Returns all fields, in their order.
    pub fn fields(&self) -> &[(Cow<'b, str>, Cow<'b, str>)] {
        &self.fields
    }

    /// Returns the value of a field. A repeated field counts as missing: its values may contradict
    /// each other.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// Returns the ticket, empty if there is not exactly one.
    pub fn ticket(&self) -> &str {
        self.field("ticket").unwrap_or_default()
    }

    /// Returns the scopes that are ticked, with spaces between them.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// Returns the decision. A form without the field `scopes_shown` has no checkboxes, and allows
    /// all scopes or none. A form in which every scope is unticked denies: a grant of no scope is
    /// useless.
    ///
    /// # Errors
    /// [`Reason::TicketMissing`] if there is not exactly one decision, or not exactly one ticket.
    pub fn choice(&self) -> Result<Choice<'_>, Reason> {
        if self.ticket().is_empty() {
            return Err(Reason::TicketMissing);
        }
        let has_checkboxes = self.fields.iter().any(|(name, _)| name == "scopes_shown");
        match self.field("decision") {
            Some("allow") if !has_checkboxes => Ok(Choice::Allow),
            Some("allow") if self.scope.is_empty() => Ok(Choice::Deny),
            Some("allow") => Ok(Choice::AllowOnly(&self.scope)),
            Some("deny") => Ok(Choice::Deny),
            _ => Err(Reason::TicketMissing),
        }
    }
}

/// Shows the names of the fields. The ticket is a secret.
impl std::fmt::Debug for ConsentForm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}
