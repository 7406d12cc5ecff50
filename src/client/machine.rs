//! What a client may do on its own behalf under a policy (OAuth 2.1 §4.2).

use std::time::Duration;

use super::{Authentication, Client, ClientBuilder, Registration, StoredSecret};
use crate::policy::{MachineRules, Policy};
use crate::value::auth_method::SecretMethod;
use crate::value::machine_rights::MachineRights;

impl Client {
    /// Starts a client that acts on its own behalf and never for a user (`client_credentials`,
    /// OAuth 2.1 §4.2): a job, a service, an agent without a user. It authenticates by
    /// `client_secret_basic`, and has no redirect URI.
    ///
    /// The policy must allow it:
    /// [`PolicyBuilder::machines`](crate::policy::PolicyBuilder::machines).
    pub fn machine(
        id: impl Into<String>,
        secret: StoredSecret,
        rights: MachineRights,
    ) -> ClientBuilder {
        Self::confidential(id, SecretMethod::Basic, secret).machine(rights)
    }

    /// Starts a client without a credential of its own, whose workloads prove themselves by what
    /// their platform signs. It has no redirect URI.
    pub fn federated(id: impl Into<String>, rights: MachineRights) -> ClientBuilder {
        ClientBuilder::new(id.into(), Authentication::Federated).machine(rights)
    }

    /// Returns what the operator's record lets the client do on its own behalf, without a user.
    pub fn machine_rights(&self) -> Option<&MachineRights> {
        self.0.kind.machine()
    }

    /// Returns what the client may do on its own behalf under this policy: by its record, or by
    /// what the policy gives every client that registered itself. Only a client that proves itself
    /// may do anything.
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
