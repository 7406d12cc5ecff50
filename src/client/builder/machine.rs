//! What the operator lets a client do on its own behalf.

use super::{ClientBuilder, ClientRules, Origin};
use crate::client::{Authentication, ClientError};
use crate::policy::RightsError;
use crate::value::grant_types::GrantTypes;
use crate::value::machine_rights::{MAX_RESOURCES, MachineRights};

impl ClientBuilder {
    /// Sets what the client may do on its own behalf, without a user (`client_credentials`, OAuth
    /// 2.1 §4.2). Default: nothing. `None` takes the right away from the tokens that are issued
    /// from now on.
    ///
    /// It is for a client that proves itself. No registration, update or document of the client
    /// changes it. A client of the operator with this right needs no redirect URI.
    pub fn machine(mut self, rights: impl Into<Option<MachineRights>>) -> Self {
        self.machine = rights.into();
        self
    }

    /// Leaves the code flow out for a client of the operator that has another right, no redirect
    /// URI and no stated grant types.
    pub(super) fn drop_unused_code_flow(&mut self) {
        let is_operators = matches!(self.origin, Origin::Operator { .. });
        let is_stated = self.stated.grant_types.is_some();
        let needs_none = self.machine.is_some() || self.assertions;
        if is_operators && needs_none && self.redirect_uris.is_empty() && !is_stated {
            self.grant_types = GrantTypes { authorization_code: false, refresh_token: false };
        }
    }

    /// Checks the right against the policy, if the client is built under one. Only the operator's
    /// clients are federated.
    pub(super) fn check_machine(&self, rules: &ClientRules<'_>) -> Result<(), ClientError> {
        let is_operators = matches!(self.origin, Origin::Operator { .. });
        if self.authentication == Authentication::Federated && !is_operators {
            return Err(ClientError::Federated);
        }
        let Some(rights) = &self.machine else { return Ok(()) };
        let named = rights.only().unwrap_or_default();
        if let Some(resource) = named.get(MAX_RESOURCES) {
            return Err(ClientError::MachineResource { resource: resource.to_string() });
        }
        let checked = rules.policy.map_or(Ok(()), |policy| policy.check_machine_rights(rights));
        checked.map_err(|error| match error {
            RightsError::Scope { scope } => ClientError::MachineScope { scope },
            RightsError::Resource { resource } => ClientError::MachineResource { resource },
        })
    }
}
