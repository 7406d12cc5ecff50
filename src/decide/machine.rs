//! `client_credentials`: a client gets a token on its own behalf (OAuth 2.1 §4.2). Each token is a
//! new record: nothing is shared between two of them, so that no request waits for another.
//!
//! The client has proved itself before. There is no user: no account is asked for, and no refresh
//! token exists.

use super::context::Context;
use super::direct::Issue;
use super::dropped::dropped_scope;
use super::machine_terms::{machine_resources, machine_scope};
use crate::client::Client;
use crate::decision::Decision;
use crate::event::EventKind;
use crate::grant::{Basis, Terms};
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::request::token::MachineExchange;
use crate::response::token::Tokens;

impl MachineExchange<'_> {
    pub(super) fn issue(&self, client: &Client, ctx: &Context<'_>) -> Decision<Tokens> {
        let terms = match self.check(client, ctx) {
            Ok(terms) => terms,
            Err(fault) => return ctx.refuse(fault),
        };
        let lifetime = client.machine_lifetime(ctx.policy);
        let issue = Issue { lifetime, client, kind: EventKind::MachineIssued };
        issue.issue(terms, ctx).with_detail(dropped_scope(self.scope.as_deref(), ctx.policy))
    }

    /// Checks the client's right, its owner, and what is asked for. Returns the terms of the grant.
    fn check(&self, client: &Client, ctx: &Context<'_>) -> Result<Terms, Fault> {
        let policy = ctx.policy;
        // Privilege escalation: the right is the operator's word. Nothing that a client registers
        // or publishes gives it one (I41).
        let rights = client.machine_rights_under(policy).ok_or(Reason::GrantTypeUnauthorized)?;
        ctx.loaded.check_owner()?;
        let resources = machine_resources(&self.resources, rights, policy)?;
        let scope = machine_scope(self.scope.as_deref(), rights, (client, &resources), policy)?;
        Ok(Terms {
            client_id: client.id().clone(),
            client_epoch: client.epoch(),
            basis: Basis::Machine,
            scope,
            resources,
            created: ctx.moment.now,
            properties: None,
        })
    }
}
