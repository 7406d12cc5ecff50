//! What a client may do on its own behalf under a policy (OAuth 2.1 §4.2).

use std::time::Duration;

use super::{Client, Registration};
use crate::policy::{MachineRules, Policy};
use crate::value::machine_rights::MachineRights;

impl Client {
    /// Returns what the operator's record lets the client do on its own behalf, without a user.
    pub fn machine_rights(&self) -> Option<&MachineRights> {
        self.0.kind.machine()
    }

    /// Returns what the client may do on its own behalf under this policy: by its record, or by what
    /// the policy gives every client that registered itself. Only a client that proves itself may do
    /// anything.
    pub(crate) fn machine_rights_under<'a>(
        &'a self,
        policy: &'a Policy,
    ) -> Option<&'a MachineRights> {
        let rules = policy.machines()?;
        let is_registered = self.registration() == Registration::Dynamic;
        let by_policy = || MachineRules::registered(rules).filter(|_| is_registered);
        self.machine_rights().or_else(by_policy).filter(|_| self.is_confidential())
    }

    /// Returns how long a token of the client's own lives: no longer than any other access token of
    /// the client.
    pub(crate) fn machine_lifetime(&self, policy: &Policy) -> Duration {
        policy.lifetimes().machine().min(policy.lifetimes_of(self).access())
    }
}
