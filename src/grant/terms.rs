//! What was granted, to whom, and on what basis. Fixed when the grant is made, except for the
//! properties.

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
    /// The client's epoch when the grant was made. Once the client has another epoch, the grant's
    /// credentials are refused.
    pub(crate) client_epoch: u64,
    pub(crate) basis: Basis,
    pub(crate) scope: Scope,
    /// Shared by the grants that are for the resource that the policy assumes.
    pub(crate) resources: Arc<[Box<str>]>,
    /// When the grant was made: at its consent page, if it has one.
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
    /// The word of the user's identity provider, without a page.
    Enterprise {
        account: CapturedAccount,
        /// Of the assertion.
        issuer: Box<str>,
    },
    /// The operator's record of the client (OAuth 2.1 §4.2). There is no user.
    Machine,
    /// What the platform of a workload signed, for a client that the policy names. There is no
    /// user.
    Workload {
        /// Of the assertion.
        issuer: Box<str>,
        /// The workload's name there.
        workload: Box<str>,
    },
}

/// Who a token speaks for. Fixed when its grant is made (I39).
///
/// No text makes one appear as another: a user whose name is the `client_id` of a client is a
/// [`Person`](Self::Person).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a host must name all, or it could take a machine for a user"
)]
pub enum Principal<'a> {
    /// A user, on whose behalf the client calls.
    Person(&'a Subject),
    /// A client, on its own behalf (`client_credentials`, OAuth 2.1 §4.2).
    Client(&'a ClientId),
    /// A workload that its platform vouches for, as a client.
    Workload {
        /// The client that the policy names for the workload.
        client: &'a ClientId,
        /// The issuer that vouches for the workload.
        issuer: &'a str,
        /// The workload's name at that issuer.
        workload: &'a str,
    },
}

impl<'a> Principal<'a> {
    /// Returns the user, or `None` if there is none.
    pub fn person(self) -> Option<&'a Subject> {
        match self {
            Self::Person(subject) => Some(subject),
            Self::Client(_) | Self::Workload { .. } => None,
        }
    }
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

impl Basis {
    /// Returns whether tokens were issued without a code, and so without a refresh token.
    pub(crate) fn is_direct(&self) -> bool {
        !matches!(self, Self::Consent { .. })
    }
}

impl Terms {
    /// Returns who the grant's tokens speak for.
    pub(crate) fn principal(&self) -> Principal<'_> {
        match &self.basis {
            Basis::Consent { account, .. } | Basis::Enterprise { account, .. } => {
                Principal::Person(&account.subject)
            }
            Basis::Machine => Principal::Client(&self.client_id),
            Basis::Workload { issuer, workload } => {
                Principal::Workload { client: &self.client_id, issuer, workload }
            }
        }
    }

    /// Returns the account of the user, if there is one.
    pub(crate) fn account(&self) -> Option<&CapturedAccount> {
        match &self.basis {
            Basis::Consent { account, .. } | Basis::Enterprise { account, .. } => Some(account),
            Basis::Machine | Basis::Workload { .. } => None,
        }
    }

    /// Returns the login that the user consented with, if it is known.
    pub(crate) fn login(&self) -> Option<&LoginFacts> {
        match &self.basis {
            Basis::Consent { login, .. } => login.as_ref(),
            Basis::Enterprise { .. } | Basis::Machine | Basis::Workload { .. } => None,
        }
    }

    /// Returns how the consent was established, if there is one.
    pub(crate) fn consent(&self) -> Option<Consent> {
        match &self.basis {
            Basis::Consent { consent, .. } => Some(*consent),
            Basis::Enterprise { .. } | Basis::Machine | Basis::Workload { .. } => None,
        }
    }

    /// Returns the same terms with the login of the user who consented.
    pub(super) fn with_login(&self, own: Option<LoginFacts>) -> Self {
        let mut terms = self.clone();
        if let Basis::Consent { login, .. } = &mut terms.basis {
            *login = own;
        }
        terms
    }

    /// Returns the redirect URI that the authorization response goes to, if there is one.
    pub(crate) fn redirect_uri(&self) -> Option<&VerifiedRedirectUri> {
        match &self.basis {
            Basis::Consent { redirect_uri, .. } => Some(redirect_uri),
            Basis::Enterprise { .. } | Basis::Machine | Basis::Workload { .. } => None,
        }
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
            && self.principal() == other.principal()
            && self.redirect_uri() == other.redirect_uri()
            && covers(self, other)
            && covers(other, self)
            && self.properties == other.properties
    }

    /// Returns whether the code went to a host of the client's, and not to the user's own device.
    pub(crate) fn has_place(&self) -> bool {
        self.redirect_uri().is_some_and(|uri| !uri.is_loopback() && !uri.is_private_use())
    }

    /// Returns whether the authorization request had a `redirect_uri`.
    pub(crate) fn redirect_uri_sent(&self) -> bool {
        matches!(self.basis, Basis::Consent { redirect_uri_sent: true, .. })
    }
}
