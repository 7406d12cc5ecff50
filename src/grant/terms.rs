//! What was granted, to whom, and on what basis. Fixed at the consent, except for the properties.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::moment::Timestamp;
use crate::value::credential::GrantId;
use crate::value::properties::Properties;
use crate::value::redirect_uri::{self, VerifiedRedirectUri};
use crate::value::scope::Scope;
use crate::value::text::{ClientId, Subject};

/// What was granted to which client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    pub(crate) client_id: ClientId,
    /// The client's epoch when the consent page was made. Once the client has another epoch, the
    /// grant's credentials are refused.
    pub(crate) client_epoch: u64,
    pub(crate) basis: Basis,
    pub(crate) scope: Scope,
    /// Shared by the grants that are for the resource that the policy assumes.
    pub(crate) resources: Arc<[Box<str>]>,
    /// When the consent page was made.
    pub(crate) created: Timestamp,
    /// What the host has bound to the grant, at the consent or at a refresh. `None` differs from an
    /// empty object.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) properties: Option<Properties>,
}

/// On what basis the client has access, with the facts that only this basis has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Basis {
    /// A user's consent, asked for at the authorization endpoint.
    Consent {
        account: CapturedAccount,
        #[serde(with = "redirect_uri::record")]
        redirect_uri: VerifiedRedirectUri,
        /// Whether the authorization request had a `redirect_uri`, which the token request must
        /// then repeat (RFC 6749 §4.1.3).
        redirect_uri_sent: bool,
        /// The login that the user consented with, or that of the consent page until then. `None`
        /// if the host does not know it.
        #[serde(deserialize_with = "Option::deserialize")]
        login: Option<LoginFacts>,
        consent: Consent,
    },
}

/// When the user last signed in before the consent, and by which class.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginFacts {
    pub(crate) time: Timestamp,
    #[serde(deserialize_with = "Option::deserialize")]
    pub(crate) acr: Option<Box<str>>,
}

/// How the user's consent was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Consent {
    /// By a consent page.
    Asked,
    /// By the page of this earlier grant.
    Remembered { of: GrantId },
    /// By the operator, who lets the client skip the page.
    Skipped,
}

/// A user's account as it was when the consent page was made.
///
/// The subject and the epoch are one value, so that no grant of a user exists without the epoch
/// that ends it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapturedAccount {
    pub(crate) subject: Subject,
    /// Once the account has another epoch, the grant's credentials are refused.
    pub(crate) epoch: u64,
}

impl Terms {
    /// Returns the account of the user who consented.
    pub(crate) fn account(&self) -> &CapturedAccount {
        let Basis::Consent { account, .. } = &self.basis;
        account
    }

    /// Returns the login that the user consented with, if it is known.
    pub(crate) fn login(&self) -> Option<&LoginFacts> {
        let Basis::Consent { login, .. } = &self.basis;
        login.as_ref()
    }

    /// Returns how the consent was established.
    pub(crate) fn consent(&self) -> Consent {
        let Basis::Consent { consent, .. } = &self.basis;
        *consent
    }

    /// Returns the same terms with the login of the user who consented.
    pub(super) fn with_login(&self, own: Option<LoginFacts>) -> Self {
        let mut terms = self.clone();
        let Basis::Consent { login, .. } = &mut terms.basis;
        *login = own;
        terms
    }

    /// Returns the redirect URI that the authorization response goes to.
    pub(crate) fn redirect_uri(&self) -> &VerifiedRedirectUri {
        let Basis::Consent { redirect_uri, .. } = &self.basis;
        redirect_uri
    }

    /// Returns whether both grants are at one place: those of one client for one user, whose code
    /// went to the same `https` URI on a host of the client's, for the same resources and with the
    /// same properties.
    ///
    /// A grant on the user's own device is at no place. All installations of an application share
    /// its `client_id` and its redirect URI, and no request names the installation.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        let covers = |own: &Self, other: &Self| {
            other.resources.iter().all(|resource| own.resources.contains(resource))
        };
        self.has_place()
            && self.client_id == other.client_id
            && self.account().subject == other.account().subject
            && self.redirect_uri() == other.redirect_uri()
            && covers(self, other)
            && covers(other, self)
            && self.properties == other.properties
    }

    /// Returns whether the code went to a host of the client's, and not to the user's own device.
    pub(crate) fn has_place(&self) -> bool {
        let uri = self.redirect_uri();
        !uri.is_loopback() && !uri.is_private_use()
    }

    /// Returns whether the authorization request had a `redirect_uri`.
    pub(crate) fn redirect_uri_sent(&self) -> bool {
        let Basis::Consent { redirect_uri_sent, .. } = &self.basis;
        *redirect_uri_sent
    }
}
