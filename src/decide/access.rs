//! check: decides whether a call to a protected resource is served (OAuth 2.1 §5.2). Nothing is
//! written.

use std::sync::Arc;

use super::context::Context;
use crate::account::Balance;
use crate::client::ClientStatus;
use crate::decision::{Decision, Loaded, Operation, Own};
use crate::event::EventKind;
use crate::grant::{Grant, Phase, TokenRights};
use crate::keys::Keys;
use crate::moment::{Moment, Stamp, Timestamp};
use crate::policy::{Policy, Resource};
use crate::reason::{Endpoint, Reason};
use crate::refusal::Refusal;
use crate::request::access::{AccessCheck, Needs};
use crate::request::login::Login;
use crate::response::access::{Access, Warning};
use crate::value::secret::Digest;

impl Operation for AccessCheck<'_> {
    type Response = Access;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        self.needed_records()
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<Access> {
        let loaded = &loaded.own(policy, || self.keys(policy, moment));
        let ctx = Context::new(self, loaded, policy, moment);
        match self.judge(self.digest().as_ref(), loaded.of_grant(), policy, moment.stamp()) {
            Ok(access) => ctx.allow(EventKind::AccessAllowed, access),
            Err(reason) => ctx.refuse_by(self.refusal(reason, policy)),
        }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Resource
    }
}

impl AccessCheck<'_> {
    /// Returns what must be read for the check.
    pub(crate) fn needed_records(&self) -> Keys<'static> {
        Keys {
            grant: self.token.as_ref().map(|token| token.id),
            balance: self.needs.billed,
            ..Keys::default()
        }
    }

    /// Returns the digest of the token. It is taken before the records are read, because a store
    /// may keep a lock while they are judged.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.token.as_ref().map(|token| token.secret.digest())
    }

    /// Checks the token of this digest, its principal, the login, its scope and the balance, in
    /// this order (RS-13, HOST-32).
    ///
    /// This is the whole decision. The driver and the server's check share it; the check passes
    /// borrowed records, and makes an event only if it is recorded.
    pub(crate) fn judge(
        &self,
        digest: Option<&Digest>,
        records: Own<'_>,
        policy: &Policy,
        stamp: Stamp,
    ) -> Result<Access, Reason> {
        let context = AccessContext { records, policy, clock: stamp.at };
        let accepted = context.accept_token(digest, &self.needs.resource)?;
        check_principal(&accepted, self.needs)?;
        check_login(&accepted, self.needs, stamp.at)?;
        check_scope(&accepted, self.needs, policy)?;
        let warning = check_balance(self.needs.billed, records.balance)?;
        let owner = match accepted.grant.subject() {
            Some(_) => None,
            None => records.client.and_then(|client| client.record.owner().cloned()),
        };
        Ok(Access {
            grant: Arc::clone(accepted.grant),
            token: accepted.rights,
            correlation: stamp.correlation,
            warning,
            owner,
        })
    }

    /// Returns the refusal: with a challenge if another token could help, and without one
    /// otherwise.
    pub(crate) fn refusal(&self, reason: Reason, policy: &Policy) -> Refusal {
        let is_suspended = matches!(reason, Reason::AccountSuspended | Reason::OwnerSuspended);
        if is_suspended && policy.check_rules().suspended_is_forbidden {
            return Refusal::plain(Reason::AccountForbidden, Endpoint::Resource);
        }
        if reason == Reason::BalanceInsufficient {
            return Refusal::plain(reason, Endpoint::Resource);
        }
        self.needs.refuse(reason)
    }
}

/// An access token that is valid at a resource. Its scope and the balance are not checked yet.
pub(super) struct AcceptedToken<'a> {
    pub(super) grant: &'a Arc<Grant>,
    /// What is left of the access token.
    pub(super) rights: TokenRights,
}

/// The records that an access token is judged on.
pub(super) struct AccessContext<'a> {
    pub(super) records: Own<'a>,
    pub(super) policy: &'a Policy,
    pub(super) clock: Timestamp,
}

impl<'a> AccessContext<'a> {
    /// Checks the token of this digest, its client, its accounts and its audience, in this order.
    /// The check and introspection share it, so that they agree (INTROSPECT-04; RFC 7662 §2.2).
    pub(super) fn accept_token(
        &self,
        digest: Option<&Digest>,
        resource: &Resource,
    ) -> Result<AcceptedToken<'a>, Reason> {
        let digest = digest.ok_or(Reason::TokenUnknown)?;
        let grant = &self.records.grant.ok_or(Reason::TokenUnknown)?.record;
        let active = match grant.phase() {
            Phase::Active(active) => active,
            Phase::Revoked(_) => return Err(Reason::TokenRevoked),
            Phase::ConsentPending(_) | Phase::CodeIssued(_) => return Err(Reason::TokenUnknown),
        };
        let entry = active.find(digest).ok_or(Reason::TokenExpired)?;
        // What was taken away from the grant is missing in its tokens from the next check on
        // (HOST-52), and none of them outlives an end that was brought nearer (HOST-14).
        let rights = active.limited(entry, grant.expires());
        // A clock that stepped back revives no token that a write has seen expired (I23).
        if grant.now(self.clock) >= rights.expires {
            return Err(Reason::TokenExpired);
        }
        if !self.records.epochs_match(grant) {
            return Err(Reason::TokenRevoked);
        }
        let client = self.records.client.ok_or(Reason::ClientDeactivated)?;
        if client.record.status() == ClientStatus::Deactivated {
            return Err(Reason::ClientDeactivated);
        }
        if client.record.is_denied(self.policy) {
            return Err(Reason::CimdDenied);
        }
        self.records.check_accounts_of(grant)?;
        // Replay by a resource: a token that a resource received is not valid at another resource
        // (OAuth 2.1 §7.1.4).
        if !rights.is_for(grant.terms(), resource, self.policy) {
            return Err(Reason::AudienceMismatch);
        }
        Ok(AcceptedToken { grant, rights })
    }
}

/// Checks that the operation serves the principal of the token. An operation that was written for
/// people must not take a machine for a user (RFC 9700 §4.15).
fn check_principal(accepted: &AcceptedToken<'_>, needs: &Needs) -> Result<(), Reason> {
    let is_person = accepted.grant.principal().person().is_some();
    if is_person || needs.serves_machines() { Ok(()) } else { Err(Reason::PrincipalMismatch) }
}

/// Checks that the user signed in as the operation needs it (RFC 9470 §3).
fn check_login(
    accepted: &AcceptedToken<'_>,
    needs: &Needs,
    clock: Timestamp,
) -> Result<(), Reason> {
    if needs.login.is_none() {
        return Ok(());
    }
    let login = accepted.grant.terms().login().map(Login::from);
    let now = accepted.grant.now(clock);
    if needs.are_met_by(login, now) { Ok(()) } else { Err(Reason::LoginInsufficient) }
}

/// Checks that the token's scope has every token that is needed, or one that includes it (RS-11).
fn check_scope(accepted: &AcceptedToken<'_>, needs: &Needs, policy: &Policy) -> Result<(), Reason> {
    let granted = || accepted.rights.scope.of(accepted.grant.scope().tokens());
    if needs.are_within(policy, granted) { Ok(()) } else { Err(Reason::ScopeInsufficient) }
}

/// Checks that the account can pay for a billed call. An unknown balance does not suffice.
fn check_balance(is_billed: bool, balance: Option<Balance>) -> Result<Option<Warning>, Reason> {
    if !is_billed {
        return Ok(None);
    }
    match balance {
        Some(Balance::Sufficient) => Ok(None),
        Some(Balance::Low { left }) => Ok(Some(Warning::LowBalance { left })),
        Some(Balance::Insufficient) | None => Err(Reason::BalanceInsufficient),
    }
}
