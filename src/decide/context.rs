//! The context of a decision: the loaded records, the policy and the moment, with the ways to end a
//! request.

use std::sync::Arc;

use crate::account::Account;
use crate::client::Client;
use crate::decision::{Allowed, Decision, Loaded, Operation, OwnRecords, SingleUse};
use crate::event::EventKind;
use crate::grant::{KeyProof, RedeemedCode};
use crate::moment::{Moment, Timestamp};
use crate::outside::Need;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::{Stored, Write};
use crate::refusal::{Fault, Refusal};

/// Everything that an operation is decided on, besides its request.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    /// Without the records of other issuers.
    pub(super) loaded: &'a Loaded,
    pub(super) policy: &'a Policy,
    pub(super) moment: &'a Moment,
    endpoint: Endpoint,
    /// The `client_id` that the request names, for the event of a refusal.
    claimed: Option<&'a str>,
    has_foreign_client: bool,
    /// The proof by a key that the client of the request gave.
    key_proof: KeyProof,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        operation: &impl Operation,
        own: &'a OwnRecords<'_>,
        policy: &'a Policy,
        moment: &'a Moment,
    ) -> Self {
        let has_foreign_client = own.has_foreign_client();
        let endpoint = operation.endpoint();
        Self {
            loaded: own,
            policy,
            moment,
            endpoint,
            claimed: None,
            has_foreign_client,
            key_proof: KeyProof::None,
        }
    }

    /// Returns whether the named client is on record and bound to another issuer. Its id is taken.
    pub(super) fn has_foreign_client(&self) -> bool {
        self.has_foreign_client
    }

    /// Records this `client_id` in the event of a refusal if no such client was loaded.
    pub(super) fn claimed_by(self, client_id: &'a str) -> Self {
        Self { claimed: Some(client_id), ..self }
    }

    /// Notes the proof by a key that the client of the request gave.
    pub(super) fn with_key_proof(self, key_proof: KeyProof) -> Self {
        Self { key_proof, ..self }
    }

    /// Returns the proof by a key that the client of the request gave.
    pub(super) fn key_proof(&self) -> KeyProof {
        self.key_proof
    }

    /// Checks that the proof of the request is as strong as each one that the client gave for this
    /// grant before.
    ///
    /// Proof is not given up: a client that may act without proof must not advance or end a grant
    /// that it proved itself for, because a thief of its refresh token could do so too. After a
    /// strong proof, a weak one does not suffice either: another server that the client calls could
    /// send it in the client's place (I38).
    pub(super) fn check_key_proof(&self, code: &RedeemedCode) -> Result<(), Reason> {
        if self.key_proof < code.proof { Err(Reason::ClientProofDropped) } else { Ok(()) }
    }

    /// Allows the request.
    pub(super) fn allow<T>(&self, kind: EventKind, response: T) -> Decision<T> {
        Decision::allow(kind, response, self.loaded, self.moment)
    }

    /// Allows the request, with its write.
    pub(super) fn allow_all<T>(&self, allowed: Allowed<T>) -> Decision<T> {
        Decision::allow_all(allowed, self.loaded, self.moment)
    }

    /// Refuses the request in the plain form of its endpoint: a page, or a JSON error.
    pub(super) fn refuse<T>(&self, fault: impl Into<Fault>) -> Decision<T> {
        self.refuse_by(Refusal::of(fault, self.endpoint))
    }

    /// Refuses the request with this refusal.
    pub(super) fn refuse_by<T>(&self, refusal: Refusal) -> Decision<T> {
        let decision = Decision::refuse_by(refusal, self.loaded, self.moment);
        match self.claimed {
            Some(client_id) => decision.claimed_by(client_id),
            None => decision,
        }
    }

    /// Makes a preliminary write. The request is decided again once the write is durable.
    pub(super) fn prepare<T>(&self, write: Write) -> Decision<T> {
        Decision::prepare(write, self.endpoint, self.loaded, self.moment)
    }

    /// Asks the host. The request is decided again once it has answered.
    pub(super) fn ask<T>(&self, need: Need) -> Decision<T> {
        Decision::ask(need, self.endpoint, self.loaded, self.moment)
    }

    /// Makes the decision wait for the mark of an assertion.
    pub(super) fn wait_for_mark<T>(&self, decision: &mut Decision<T>, single_use: &SingleUse) {
        decision.wait_for_mark(single_use, self.endpoint, self.loaded, self.moment);
    }

    /// Returns the client of this id if it is on record, active and not expired, and no rule about
    /// domains refuses it.
    pub(super) fn usable_client(&self, client_id: &str) -> Result<&'a Arc<Client>, Reason> {
        self.loaded.usable_client(client_id, self.policy, self.moment.now)
    }

    /// Returns the record of the client of this id, whatever its status, unless it was deleted.
    pub(super) fn existing_client(&self, client_id: &str) -> Option<&'a Stored<Client>> {
        self.loaded.client_of(client_id).filter(|stored| !stored.record.is_deleted())
    }

    /// Returns the user's account if neither it nor the account of the client's owner is suspended.
    /// An account that was not loaded counts as suspended.
    pub(super) fn check_accounts(&self) -> Result<Account, Reason> {
        self.loaded.check_accounts()?;
        self.loaded.account.ok_or(Reason::AccountSuspended)
    }

    /// Returns the write that renews the client, if its record could expire before a grant that may
    /// be used until `last_use` (CLIENT-23). It must be durable before the grant is written.
    ///
    /// Rarely needed: a renewal lasts a whole [unused
    /// lifetime](crate::policy::Lifetimes::unused_client) beyond that use.
    pub(super) fn client_renewal(&self, last_use: Timestamp) -> Option<Write> {
        let stored = self.loaded.client.as_ref()?;
        let unused = self.policy.lifetimes().unused_client;
        let renewed = stored.record.renewed_past(last_use, unused)?;
        Some(Write::client(Some(stored), renewed))
    }
}
