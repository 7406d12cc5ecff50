//! The user's decision on a consent page (OAuth 2.1 §4.1.1; RFC 6749 §10.12).

use std::fmt;

use crate::grant::{Bound, Grant, PendingConsent, Phase};
use crate::moment::Timestamp;
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::authorization::User;
use crate::value::credential::{Credential, GrantId, Kind};
use crate::value::properties::Properties;
use crate::value::secret::Digest;

/// A decision on a consent page: the ticket of the page, the user who submitted it, and the choice.
/// Everything else is in the grant's record, so that no form field can change it.
///
/// [`Server::consent`](crate::Server::consent) makes and runs one. A host that binds properties to
/// the grant, or gives it an end, makes it itself and passes it to
/// [`Server::run`](crate::Server::run):
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let (alice, page) = (example::alice(), example::page(&server).await);
/// # let (ticket, a_year) = (page.ticket(), std::time::Duration::from_secs(365 * 24 * 3600));
/// use grantcore::Choice;
/// use grantcore::request::ConsentDecision;
/// use grantcore::value::Properties;
///
/// // POST of the consent page. The organization comes from the host's own records: what a form
/// // names is looked up, and checked to be one of alice's.
/// let decision = ConsentDecision::new(&ticket, alice, Choice::Allow)?
///     .with_properties(Properties::parse(r#"{"org":"acme"}"#)?)
///     .until(server.now().after(a_year));
/// let redirect = server.run(decision).await?;
/// assert_eq!(redirect.reply().status, 303); // To the client, with the code.
/// # Ok(())
/// # }
/// ```
pub struct ConsentDecision<'a> {
    pub(crate) ticket: Credential,
    pub(crate) user: User<'a>,
    pub(crate) choice: Choice<'a>,
    pub(crate) bound: Bound,
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
        Ok(Self { ticket, user, choice, bound: Bound::default() })
    }

    /// Returns the id of the grant that the ticket names. A host reads from its record what was
    /// requested, such as the tenant of a [template](crate::Policy::resource), before it decides
    /// about the properties.
    ///
    /// The ticket is not checked yet: anyone who can write a form can name any grant.
    pub fn grant_id(&self) -> GrantId {
        self.ticket.id
    }

    /// Returns whether the page of the ticket waits for an answer of this user in this browser
    /// session: it was shown there, is not answered, and has not expired. `grant` is the record of
    /// [`grant_id`](Self::grant_id), and `now` is [`Server::now`](crate::Server::now).
    ///
    /// A host that asks again, for example because no tenant was chosen, asks only if the page is
    /// open. Otherwise a form that is refused for its ticket would be answered with a fresh page.
    pub fn is_open(&self, grant: &Grant, now: Timestamp) -> bool {
        let Phase::ConsentPending(page) = grant.phase() else { return false };
        grant.id() == self.ticket.id
            && self.ticket.secret.digest().matches(&page.ticket_digest)
            && is_page_of(&self.user, grant, page)
            && grant.now(now) < page.expires
    }

    /// Binds these properties to the grant. Each check of its tokens returns them
    /// ([`Access::properties`](crate::Access::properties)). Default: none. A denial ignores them.
    ///
    /// They are what the host says about the grant, and not what the client or the browser says:
    /// copy nothing from a request that the host has not checked.
    #[must_use = "the decision with the properties is the one returned"]
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.bound.properties = Some(properties);
        self
    }

    /// Ends the grant at this time, if it does not end earlier by its
    /// [lifetime](crate::policy::Lifetimes). No refresh and no later policy moves this end.
    /// Default: none. A denial ignores it, and a time that is not in the future is refused.
    #[must_use = "the decision with the end is the one returned"]
    pub fn until(mut self, end: Timestamp) -> Self {
        self.bound.until = Some(end);
        self
    }
}

/// Returns whether the consent page was made for this user in this browser session (CONSENT-06).
pub(crate) fn is_page_of(user: &User<'_>, grant: &Grant, consent: &PendingConsent) -> bool {
    grant.is_of(user.subject) && Digest::of(user.session).matches(&consent.session_digest)
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
