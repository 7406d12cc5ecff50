//! What the operator sets for a client beside its registration: the issuer and the lifetimes, and
//! the rules that a client is checked under.

use super::{ClientBuilder, Origin};
use crate::client::ClientError;
use crate::policy::{LifetimeOverrides, Policy, TooLong, is_countable, is_issuer};
use crate::value::issuer::Issuer;
use crate::value::redirect_uri::RedirectRules;

/// The rules that a client is checked under when it is built: those for redirect URIs alone, or a
/// whole policy.
///
/// ```
/// use std::time::Duration;
///
/// use grantcore::client::ClientError;
/// use grantcore::policy::LifetimeOverrides;
/// use grantcore::{Client, Policy};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .resource("https://mcp.example/mcp", "notes")
///     .build()?;
/// let app = Client::public("app").redirect_uri("https://app.example/cb");
/// let long = LifetimeOverrides::default().with_access(Duration::from_secs(7200));
/// let error = app.lifetimes(long).build_under(&policy).unwrap_err();
/// assert!(matches!(error, ClientError::LifetimeTooLong { .. }));
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClientRules<'r> {
    pub(super) redirects: &'r RedirectRules,
    pub(super) policy: Option<&'r Policy>,
}

impl<'r> From<&'r RedirectRules> for ClientRules<'r> {
    fn from(redirects: &'r RedirectRules) -> Self {
        Self { redirects, policy: None }
    }
}

impl<'r> From<&'r Policy> for ClientRules<'r> {
    fn from(policy: &'r Policy) -> Self {
        Self { redirects: policy.redirect_rules(), policy: Some(policy) }
    }
}

impl ClientBuilder {
    /// Binds a client of the operator to one issuer, byte for byte. Every other issuer that shares
    /// the store then treats the client as unknown. Default: all of them serve it. A client that
    /// registered itself is bound to the issuer of its registration already, and a client that is
    /// known by a document cannot be bound.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets lifetimes of the client's own, for codes and tokens from now on. Default: the policy's.
    /// A lifetime that is longer than the policy's has no effect, unless the operator registered
    /// the client and the policy [allows it](crate::policy::PolicyBuilder::client_lifetimes).
    pub fn lifetimes(mut self, lifetimes: LifetimeOverrides) -> Self {
        self.lifetimes = Some(lifetimes).filter(|own| own.named().next().is_some());
        self
    }

    /// Sets the policy's issuer as that of a registration by the client itself.
    pub(crate) fn registered_at(mut self, policy: &Policy) -> Self {
        if let Origin::Dynamic { issuer, .. } = &mut self.origin {
            *issuer = Some(policy.own_issuer().clone());
        }
        self
    }

    /// Binds the client to the stated issuer.
    pub(super) fn bind(&mut self) -> Result<(), ClientError> {
        let Some(stated) = self.issuer.take() else { return Ok(()) };
        match &mut self.origin {
            Origin::Operator { issuer } | Origin::Dynamic { issuer, .. } if is_issuer(&stated) => {
                *issuer = Some(Issuer::new(stated));
                Ok(())
            }
            _ => Err(ClientError::Issuer { issuer: stated }),
        }
    }

    /// Checks the client's own lifetimes.
    pub(super) fn check_lifetimes(&self, rules: &ClientRules<'_>) -> Result<(), ClientError> {
        let Some(own) = &self.lifetimes else { return Ok(()) };
        if let Some((lifetime, value)) = own.named().find(|(_, value)| !is_countable(*value)) {
            return Err(ClientError::Lifetime { lifetime, value });
        }
        let is_operators = matches!(self.origin, Origin::Operator { .. });
        let too_long = rules.policy.and_then(|policy| policy.first_too_long(is_operators, own));
        match too_long {
            Some(TooLong { lifetime, value, limit }) => {
                Err(ClientError::LifetimeTooLong { lifetime, value, limit })
            }
            None => Ok(()),
        }
    }
}
