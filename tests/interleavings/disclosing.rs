//! The credentials that a response discloses.

use grantcore::response::{Redirect, Revoked, Tokens};
use grantcore::{Access, AuthorizationStep};

use crate::request::Kind;
use crate::support::{Granted, param};

/// A response of the model.
pub trait Disclosing {
    fn credentials(self) -> Vec<(Kind, String)>;
}

impl Disclosing for AuthorizationStep {
    fn credentials(self) -> Vec<(Kind, String)> {
        match self {
            Self::NeedsLogin(_) | Self::NeedsDocument(_) => Vec::new(),
            Self::NeedsConsent(page) => vec![(Kind::Ticket, page.ticket())],
            Self::Done(redirect) => redirect.credentials(),
        }
    }
}

impl Disclosing for Redirect {
    fn credentials(self) -> Vec<(Kind, String)> {
        vec![(Kind::Code, param(&self.into_location(), "code").expect("a code"))]
    }
}

impl Disclosing for Tokens {
    fn credentials(self) -> Vec<(Kind, String)> {
        let Granted { access, refresh, .. } = Granted::of(&self.reply());
        vec![(Kind::Refresh, refresh.expect("a refresh token")), (Kind::Access, access)]
    }
}

impl Disclosing for Revoked {
    fn credentials(self) -> Vec<(Kind, String)> {
        Vec::new()
    }
}

impl Disclosing for () {
    fn credentials(self) -> Vec<(Kind, String)> {
        Vec::new()
    }
}

impl Disclosing for Access {
    fn credentials(self) -> Vec<(Kind, String)> {
        Vec::new()
    }
}
