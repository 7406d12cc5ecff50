//! The profile of platforms: a token of a client of the operator, for a program that the platform
//! runs (MCP, Workload Identity Federation).

use super::super::machine_terms::{machine_resources, machine_scope};
use super::checks::Checked;
use super::presenter::Presenter;
use super::{Exchanging, Stop};
use crate::client::{Authentication, Client};
use crate::decision::Decision;
use crate::grant::{Basis, Terms};
use crate::policy::Workload;
use crate::reason::Reason;
use crate::response::token::Tokens;

impl Exchanging<'_> {
    /// Decides on the assertion of a platform.
    pub(super) fn for_workload(&self, rules: &Workload, checked: &Checked<'_>) -> Decision<Tokens> {
        let issued = self.workload_terms(rules, checked);
        let issued = issued.map(|(client, terms)| self.issue(checked, terms, client));
        self.use_up(checked, issued)
    }

    /// Finds the client, and checks what is asked for. Returns the terms of the grant.
    fn workload_terms(
        &self,
        rules: &Workload,
        checked: &Checked<'_>,
    ) -> Result<(&Client, Terms), Stop> {
        let ctx = self.ctx;
        let mapped = rules.client_of(&checked.claims).ok_or(Reason::AssertionUnmapped)?;
        // Nobody has to name a client. Whoever does names this one (ASSERT-54).
        if !matches!(self.presenter, Presenter::Nobody) && *self.credentials.id != *mapped {
            return Err(Stop::claim("client_id"));
        }
        let client = self.mapped_client(mapped)?;
        let rights = client.machine_rights().ok_or(Reason::AssertionUnmapped)?;
        ctx.loaded.check_owner()?;
        let resources = machine_resources(&self.exchange.resources, rights, ctx.policy)?;
        let asked = self.exchange.scope.as_deref();
        let scope = machine_scope(asked, rights, (client, &resources), ctx.policy)?;
        let terms = Terms {
            client_id: client.id().clone(),
            client_epoch: client.epoch(),
            basis: Basis::Workload {
                issuer: checked.issuer.issuer().into(),
                workload: checked.subject.into(),
            },
            scope,
            resources,
            created: ctx.moment.now,
            properties: None,
        };
        Ok((client, terms))
    }

    /// Returns the client that a rule names: one of the operator's, without a credential of its own
    /// (ASSERT-53). Outside, a client that cannot be used looks like a rule that does not fit.
    fn mapped_client(&self, mapped: &str) -> Result<&Client, Stop> {
        let unmapped = |why: Reason| {
            Stop::Faulty(Reason::AssertionUnmapped, Some(format!("client: {}.", why.name())))
        };
        let client = self.ctx.usable_client(mapped).map_err(unmapped)?;
        match client.authentication() {
            Authentication::Federated => Ok(client),
            _ => Err(unmapped(Reason::ClientMethodMismatch)),
        }
    }
}
