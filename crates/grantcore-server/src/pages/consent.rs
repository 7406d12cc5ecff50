//! The consent page.

use askama::Template;

use super::words::AppName;
use super::{Screen, filters};

/// The consent page, posted to `/oauth/consent` with `ticket`, `decision` (`allow` or `deny`),
/// `scopes_shown`, one `scope` for each scope that is ticked, and `organization` if the user has a
/// choice.
#[derive(Debug, Template)]
#[template(path = "consent.html", whitespace = "minimize")]
pub(crate) struct Consent {
    /// The single-use ticket of this page.
    pub(crate) ticket: String,
    /// The address of the authorization request, to reload an expired page.
    pub(crate) reload: String,
    /// The value of the hidden `csrf` field of the form that switches the account.
    pub(crate) csrf: String,
    /// The user who is signed in.
    pub(crate) subject: String,
    pub(crate) name: AppName,
    /// The name as the client wrote it, if the heading does not have it whole.
    pub(crate) whole_name: Option<String>,
    /// What the access is to, in the user's words: `your notes`.
    pub(crate) wanted: String,
    /// How this server came to know an unverified client: `registered itself 2 minutes ago`.
    pub(crate) unverified: Option<String>,
    /// Since when the user has a live connection of this client.
    pub(crate) connected: Option<String>,
    /// The requested scopes.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) organization: Organization,
    pub(crate) destination: Destination,
    /// How long the access lasts, a sentence without its full stop.
    pub(crate) lasts: String,
    /// Who registered the client, and when.
    pub(crate) registration: String,
    /// The whole client id.
    pub(crate) client_id: String,
    /// The host of a client id that is a URL.
    pub(crate) client_host: Option<String>,
    /// The client's own pages with their titles; `https` only.
    pub(crate) client_pages: Vec<(&'static str, String)>,
    /// Each resource of the requested access: its name for people, and its URL.
    pub(crate) resources: Vec<(String, String)>,
    /// The lifetime of an access token: `1 hour`.
    pub(crate) access_lifetime: String,
    /// The end of the page: `2026-11-27 10:30:00 UTC`.
    pub(crate) expires: String,
}

impl Screen for Consent {}

impl Consent {
    /// Asks for the organization again. The other fields are as the user left them: `ticked` are
    /// the scopes.
    pub(crate) fn ask_again(&mut self, ticked: &str) {
        for scope in &mut self.scopes {
            scope.is_ticked = ticked.split(' ').any(|own| own == scope.name);
        }
        if let Organization::Choice { is_missing, .. } = &mut self.organization {
            *is_missing = true;
        }
    }
}

/// Where the answer goes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A host of the web.
    Host(String),
    /// A loopback address, with its port. Any program on the device could receive the answer.
    OwnDevice(String),
    /// The program on the device that opens addresses of this scheme. Any program could claim it.
    Scheme(String),
}

impl Destination {
    /// Returns the destination of this host, or scheme on the user's own device.
    pub(crate) fn of(host: &str, is_loopback: bool, is_own_device: bool) -> Self {
        match (is_loopback, is_own_device) {
            (true, _) => Self::OwnDevice(host.into()),
            (false, true) => Self::Scheme(host.into()),
            (false, false) => Self::Host(host.into()),
        }
    }

    /// Returns whether the page warns that any program on the device could be the client.
    pub(crate) fn is_own_device(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

/// One scope on the consent page.
#[derive(Debug)]
pub(crate) struct Scope {
    /// The scope token, which is the value of its checkbox.
    pub(crate) name: String,
    /// What the scope allows.
    pub(crate) description: String,
    pub(crate) is_ticked: bool,
}

/// The organization that the access would be for. Names are for people.
#[derive(Debug)]
pub(crate) enum Organization {
    /// The user belongs to none.
    None,
    /// This one.
    One(String),
    /// One of these, which the user chooses.
    Choice {
        /// Ids and names.
        options: Vec<(String, String)>,
        /// Whether the user pressed Allow without a choice.
        is_missing: bool,
    },
    /// One that the user does not belong to, so that there is nothing to allow.
    Stranger(String),
}
