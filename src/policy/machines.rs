//! Clients that act on their own behalf (`client_credentials`, OAuth 2.1 §4.2), and which scope is
//! for them.

use std::time::Duration;

use super::{LifetimesError, Policy, PolicyError, ScopesError};
use crate::value::grant_types::GrantType;
use crate::value::machine_rights::MachineRights;
use crate::value::scope::Scope;

/// The longest lifetime of a token without a consent page (I42).
const LONGEST: Duration = Duration::from_secs(3600);

/// The rules of clients that act on their own behalf (`client_credentials`, OAuth 2.1 §4.2).
///
/// Which client may do so, and what, is in the operator's
/// [record](crate::client::ClientBuilder::machine) of it. Resources serve such tokens only where
/// they [say so](crate::Needs::machines).
///
/// ```
/// use grantcore::Policy;
/// use grantcore::policy::{MachineRules, ScopeFor};
///
/// let policy = Policy::builder("https://auth.example")
///     .scope("notes", "Read and change your notes")
///     .scope("jobs:run", "Run jobs")
///     .scope_for("jobs:run", ScopeFor::Machines)
///     .resource("https://mcp.example/mcp", "notes")
///     .machines(MachineRules::default())
///     .build()?;
/// assert!(policy.machines().is_some());
/// # Ok::<(), grantcore::policy::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct MachineRules {
    pub(crate) sub: MachineSub,
    pub(crate) registered: Option<MachineRights>,
}

impl MachineRules {
    /// Sets the `sub` of an introspected token without a user. Default: [`MachineSub::Absent`].
    ///
    /// A resource server that takes each `sub` for a user mistakes such a machine for one (RFC 9700
    /// §4.15).
    pub fn with_sub(self, sub: MachineSub) -> Self {
        Self { sub, ..self }
    }

    /// Gives every client that registered itself with a secret this right. Default: none, and only
    /// the operator's record of a client gives it one.
    ///
    /// Anybody who can register can then call the resources without a user.
    pub fn with_registered(self, rights: MachineRights) -> Self {
        Self { registered: Some(rights), ..self }
    }

    /// Returns the value of [`with_sub`](Self::with_sub).
    pub fn sub(&self) -> MachineSub {
        self.sub
    }

    /// Returns the value of [`with_registered`](Self::with_registered).
    pub fn registered(&self) -> Option<&MachineRights> {
        self.registered.as_ref()
    }
}

/// The `sub` of an introspected token without a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MachineSub {
    /// The response has no `sub` (RFC 9700 §4.15).
    #[default]
    Absent,
    /// The `client_id` (RFC 9068 §2.2).
    ClientId,
}

/// The reason why a policy cannot give a client a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RightsError {
    /// The policy does not declare the scope token, or not for machines.
    Scope { scope: String },
    /// The policy has no such resource.
    Resource { resource: String },
}

/// The parties that can be granted a scope token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScopeFor {
    /// A client on behalf of a user, and a client on its own behalf.
    #[default]
    Both,
    /// A client on behalf of a user.
    People,
    /// A client on its own behalf.
    Machines,
}

impl Policy {
    /// Returns the rules of clients that act on their own behalf, or `None` if none can.
    pub fn machines(&self) -> Option<&MachineRules> {
        self.machines.as_ref()
    }

    /// Returns the grant types of the token endpoint.
    pub(crate) fn grant_types_supported(&self) -> impl Iterator<Item = GrantType> {
        GrantType::ALL.iter().copied().filter(|own| match own {
            GrantType::AuthorizationCode | GrantType::RefreshToken => true,
            GrantType::ClientCredentials => self.machines.is_some(),
            GrantType::JwtBearer => !self.trusted.is_empty(),
        })
    }

    /// Returns whether a user can grant the scope token.
    pub(crate) fn is_for_people(&self, token: &str) -> bool {
        self.is_for(token, ScopeFor::Machines)
    }

    /// Returns whether a scope token may be one that no user can grant.
    pub(crate) fn has_scopes_for_machines(&self) -> bool {
        self.marks_scopes
    }

    /// Returns whether a client can have the scope token on its own behalf.
    pub(crate) fn is_for_machines(&self, token: &str) -> bool {
        self.is_for(token, ScopeFor::People)
    }

    /// Returns whether the scope token is not reserved for `others`. The tokens are not searched if
    /// the policy marks none.
    fn is_for(&self, token: &str, others: ScopeFor) -> bool {
        !self.marks_scopes || self.find_scope(token).is_none_or(|own| own.of != others)
    }

    /// Checks that the policy declares what the right names, for machines.
    pub(crate) fn check_machine_rights(&self, rights: &MachineRights) -> Result<(), RightsError> {
        let is_open = |token: &&str| self.knows_scope(token) && self.is_for_machines(token);
        if let Some(scope) = rights.scope().tokens().find(|token| !is_open(token)) {
            return Err(RightsError::Scope { scope: scope.to_owned() });
        }
        let named = rights.only().unwrap_or_default();
        match named.iter().find(|resource| self.declared_resource(resource).is_none()) {
            Some(resource) => Err(RightsError::Resource { resource: resource.to_string() }),
            None => Ok(()),
        }
    }
}

/// Checks the rules, the marks of scope tokens and the lifetime.
pub(super) fn check_machines(policy: &Policy) -> Result<(), PolicyError> {
    let registered = policy.machines.as_ref().and_then(MachineRules::registered);
    let checked = registered.map_or(Ok(()), |rights| policy.check_machine_rights(rights));
    checked.map_err(|error| match error {
        RightsError::Scope { scope } => PolicyError::MachineScope { scope },
        RightsError::Resource { resource } => PolicyError::MachineResource { resource },
    })?;
    for (setting, scope) in
        [("default_scope", &policy.default_scope), ("unverified_scope", &policy.unverified_scope)]
    {
        let mut tokens = scope.iter().flat_map(Scope::tokens);
        if let Some(scope) = tokens.find(|token| !policy.is_for_people(token)) {
            return Err(ScopesError::ForMachines { setting, scope: scope.to_owned() }.into());
        }
    }
    // Who is granted the wider token has the narrower one too.
    for (scope, included) in &policy.implied {
        let is_reached =
            |is_for: fn(&Policy, &str) -> bool| is_for(policy, scope) && !is_for(policy, included);
        if is_reached(Policy::is_for_people) || is_reached(Policy::is_for_machines) {
            let error =
                ScopesError::ForImplied { scope: scope.clone(), included: included.clone() };
            return Err(error.into());
        }
    }
    let access = policy.lifetimes.access;
    match policy.lifetimes.machine {
        Some(value) if value > access.min(LONGEST) => {
            Err(LifetimesError::Machine { value, access }.into())
        }
        _ => Ok(()),
    }
}
