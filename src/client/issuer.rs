//! The issuer that a client is bound to, the rules of the policy about where it may redirect, and
//! its lifetimes.

use super::{Client, Fields, Origin, Registration};
use crate::policy::{EffectiveLifetimes, LifetimeOverrides, Policy};
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::RegisteredRedirectUri;
use crate::value::scope::Scope;

impl Client {
    /// Returns the issuer that the client is bound to. `None`: every issuer that shares the store
    /// serves the client.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        match &self.0.origin {
            Origin::Operator { issuer } | Origin::Dynamic { issuer, .. } => issuer.as_ref(),
            Origin::MetadataDocument { .. } => None,
        }
    }

    /// Returns the issuer that the client is bound to: that of its registration if it registered
    /// itself, or the one that the operator [set](super::ClientBuilder::issuer). `None`: every
    /// issuer that shares the store serves the client.
    pub fn bound_to(&self) -> Option<&str> {
        self.issuer().map(Issuer::as_str)
    }

    /// Returns the same client, of this policy's issuer.
    pub(crate) fn relabelled(&self, policy: &Policy) -> Self {
        let own = || Some(policy.own_issuer().clone());
        let origin = match self.0.origin.clone() {
            Origin::Operator { .. } => Origin::Operator { issuer: own() },
            Origin::Dynamic { registration_access_token_digest, .. } => {
                Origin::Dynamic { issuer: own(), registration_access_token_digest }
            }
            document @ Origin::MetadataDocument { .. } => document,
        };
        Self(Fields { origin, ..self.0.clone() })
    }

    /// Returns the lifetimes that the operator set for the client, or `None` for the policy's.
    pub fn lifetimes(&self) -> Option<&LifetimeOverrides> {
        self.0.lifetimes.as_ref()
    }

    /// Returns the widest scope that the operator lets the client have. Unlike the scope that a
    /// client registered for, it bounds the tokens of live grants from their next refresh on.
    pub(crate) fn ceiling(&self) -> Option<&Scope> {
        match self.0.origin {
            Origin::Operator { .. } => self.0.restrictions.scope().or(self.scope()),
            Origin::Dynamic { .. } | Origin::MetadataDocument { .. } => self.0.restrictions.scope(),
        }
    }

    /// Returns whether a rule about domains refuses the client.
    pub(crate) fn is_denied(&self, policy: &Policy) -> bool {
        self.registration() == Registration::MetadataDocument
            && policy.document_domains().denies(self.id().as_str())
    }

    /// Returns whether errors are sent to the client at this redirect URI without an action of the
    /// user.
    pub(crate) fn is_trusted_at(&self, redirect_uri: &str, policy: &Policy) -> bool {
        self.is_trusted() || self.is_domain_trusted(redirect_uri, policy)
    }

    /// Returns whether the client's document is at a trusted domain, and the redirect URI is of its
    /// origin.
    pub(crate) fn is_domain_trusted(&self, redirect_uri: &str, policy: &Policy) -> bool {
        self.registration() == Registration::MetadataDocument
            && policy.document_domains().trusts(self.id().as_str(), redirect_uri)
    }

    /// Returns whether the rules for clients that the operator did not register admit this redirect
    /// URI.
    pub(super) fn may_redirect_to(&self, uri: &RegisteredRedirectUri, policy: &Policy) -> bool {
        match self.registration() {
            Registration::Operator => true,
            Registration::Dynamic => {
                policy.registration().is_none_or(|rules| rules.admits_redirect(uri))
            }
            Registration::MetadataDocument => policy
                .client_documents()
                .is_none_or(|rules| rules.admits_redirect(self.id().as_str(), uri)),
        }
    }
}

impl Policy {
    /// Returns the lifetimes that hold for a client: the least of the policy's, those of its class
    /// and its own.
    pub fn lifetimes_of(&self, client: &Client) -> EffectiveLifetimes {
        let is_operators = client.registration() == Registration::Operator;
        self.effective_lifetimes(is_operators, client.lifetimes())
    }
}
