//! What a valid authorization request leads to: a login, then a consent page whose every word comes
//! from here.

use std::sync::Arc;

use super::document::DocumentRequest;
use crate::client::{Client, Registration, is_page};
use crate::grant::Grant;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::value::credential::Issued;
use crate::value::prompt::{PromptWords, RequestDigest};

/// The next step of a valid authorization request. No code exists yet.
#[derive(Debug)]
#[must_use = "the user is waiting"]
pub enum AuthorizationStep {
    /// Nobody is signed in, or the client asks for a new sign-in: let the user sign in, then send
    /// the very same request again with
    /// [`User::signed_in_for`](crate::User::signed_in_for)` (page.request())`.
    NeedsLogin(LoginPage),
    /// Ask the user.
    NeedsConsent(ConsentPage),
    /// The client is known by a document that must be fetched first; then send the very same
    /// request again, with what came of it
    /// ([`Server::authorize_with`](crate::Server::authorize_with)). Only where the policy
    /// [takes such clients](crate::PolicyBuilder::client_documents).
    NeedMetadata(DocumentRequest),
}

/// What a login page may say of the client that sent the user.
#[derive(Debug)]
pub struct LoginPage {
    pub(crate) client: Arc<Client>,
    pub(crate) request: RequestDigest,
    pub(crate) prompt: PromptWords,
}

/// What the consent page shows, and the ticket its form sends back (OAuth 2.1 §7.9; RFC 6749
/// §10.12). Send the page with [`PAGE_HEADERS`](crate::PAGE_HEADERS): what can be framed can be
/// clicked by somebody else.
#[derive(Debug)]
pub struct ConsentPage {
    pub(crate) ticket: Issued,
    pub(crate) client: Arc<Client>,
    pub(crate) grant: Arc<Grant>,
}

impl LoginPage {
    /// The client's name, cleaned for display.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// The name of the request, to be kept in the browser's session while the user signs in for
    /// it, and passed back with [`User::signed_in_for`](crate::User::signed_in_for).
    pub fn request(&self) -> RequestDigest {
        self.request
    }

    /// Whether the user must sign in anew, though somebody may be signed in (`prompt=login`).
    pub fn fresh(&self) -> bool {
        self.prompt.login
    }

    /// Whether the user is to choose an account, though one may be signed in
    /// (`prompt=select_account`).
    pub fn choose_account(&self) -> bool {
        self.prompt.select_account
    }
}

impl ConsentPage {
    /// The client's name, cleaned for display: no invisible or direction characters, at most 100.
    /// Its `client_id` if it gave none, and "An application without a name" if nothing of the name
    /// it gave is visible.
    pub fn client_name(&self) -> String {
        self.client.display_name()
    }

    /// The `client_id`.
    pub fn client_id(&self) -> &str {
        self.client.id().as_str()
    }

    /// The host of a `client_id` that is a URL: the one part of such a client's identity that is
    /// proven.
    pub fn client_id_host(&self) -> Option<&str> {
        let id = self.client.id().as_str();
        let rest = id.strip_prefix("https://").or_else(|| id.strip_prefix("http://"))?;
        rest.split(['/', '?', '#'])
            .next()
            .filter(|host| !host.is_empty() && !host.contains(['@', '\\']))
    }

    /// The client's own page, an `https` URL. A claim like its name, unless the operator registered
    /// it.
    pub fn client_uri(&self) -> Option<&str> {
        shown_page(self.client.description().uri.as_ref())
    }

    /// The client's logo, an `https` URL. Whoever shows it has the user's browser call a host that
    /// the client chose.
    pub fn logo_uri(&self) -> Option<&str> {
        shown_page(self.client.description().logo_uri.as_ref())
    }

    /// The client's terms of service, an `https` URL.
    pub fn tos_uri(&self) -> Option<&str> {
        shown_page(self.client.description().tos_uri.as_ref())
    }

    /// How the client says it uses what it gets, an `https` URL.
    pub fn policy_uri(&self) -> Option<&str> {
        shown_page(self.client.description().policy_uri.as_ref())
    }

    /// How the client came to be known.
    pub fn registration(&self) -> Registration {
        self.client.registration()
    }

    /// When the client registered itself, or its document was first read: nobody knows one that is
    /// minutes old.
    pub fn registered(&self) -> Timestamp {
        self.client.created()
    }

    /// The user the page is for.
    pub fn subject(&self) -> &str {
        self.grant.subject().as_str()
    }

    /// The host that the answer goes to (the scheme, of a private-use URI): always shown (MCP,
    /// localhost redirect risks).
    pub fn redirect_host(&self) -> &str {
        self.grant.terms().redirect_uri().host()
    }

    /// Whether the client can only be reached on the user's own computer, where any program can
    /// claim to be it: warn.
    pub fn loopback_only(&self) -> bool {
        self.client.is_loopback_only()
    }

    /// Returns whether this answer goes to a loopback address, `http` or `https`.
    pub fn redirects_to_loopback(&self) -> bool {
        self.grant.terms().redirect_uri().is_loopback()
    }

    /// Returns whether any program on the user's own device may get this answer: one that listens
    /// on loopback, or one that claims the private-use scheme. Show a warning then.
    pub fn redirects_to_own_device(&self) -> bool {
        let uri = self.grant.terms().redirect_uri();
        uri.is_loopback() || uri.is_private_use()
    }

    /// The scope tokens asked for, each with what the policy says it means.
    pub fn scopes<'a>(&'a self, policy: &'a Policy) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.grant.scope().tokens().map(|token| {
            let known = policy.scopes().iter().find(|known| known.name() == token);
            (token, known.map_or("", |known| known.description()))
        })
    }

    /// The resources asked for.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.grant.resources()
    }

    /// When the page's ticket expires.
    pub fn expires(&self) -> Timestamp {
        self.grant.expires()
    }

    /// The ticket, for the form's hidden field and nothing else.
    pub fn into_ticket(self) -> String {
        self.ticket.reveal()
    }
}

/// A record can be older than the rule.
fn shown_page(uri: Option<&String>) -> Option<&str> {
    uri.map(String::as_str).filter(|uri| is_page(uri))
}
