//! A request that rests on assertions and creates one grant: what the conformance suite races.
//!
//! It stands for every request with an assertion. The assertions are taken as verified.

use super::Violation;
use super::records::{Draft, policy};
use crate::client::Client;
use crate::decision::{Decision, Loaded, Operation, SingleUse};
use crate::event::EventKind;
use crate::grant::Grant;
use crate::keys::{ClientKey, Keys};
use crate::moment::{Moment, Timestamp};
use crate::outside::{Answered, Need};
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::record::Write;
use crate::value::credential::GrantId;
use crate::value::seen_key::AssertionUse;

/// An assertion of one party: its `jti`, and the time from which it is expired.
#[derive(Clone, Debug)]
struct Assertion {
    used_for: AssertionUse,
    jti: Box<str>,
    exp: Timestamp,
}

/// A request that rests on one or two assertions. It creates a grant, once.
///
/// A request that finds the grant of another one is refused with [`Reason::CodeReused`], and is to
/// come again ([`Reason::Contended`]) if it has tried to create the grant before.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct AssertionRequest {
    draft: Draft,
    grant: Grant,
    client: Option<Client>,
    assertions: Vec<Assertion>,
    needs: Vec<Need>,
    refusal: Option<Reason>,
}

impl AssertionRequest {
    /// The reason for which a used assertion is refused.
    pub const REPLAYED: Reason = Reason::RefreshReused;
    /// The reason for which an expired assertion is refused.
    pub const EXPIRED: Reason = Reason::CodeExpired;

    /// Returns a request with an assertion of the client, which creates a new grant.
    ///
    /// # Errors
    /// The [`Violation`] of a machine without randomness.
    pub fn new(jti: &str, exp: Timestamp) -> Result<Self, Violation> {
        let used_for = AssertionUse::Client;
        let assertion = Assertion { used_for, jti: jti.into(), exp };
        let draft = Draft::new()?;
        let grant = draft.grant()?;
        Ok(Self {
            draft,
            grant,
            client: None,
            assertions: vec![assertion],
            needs: Vec::new(),
            refusal: None,
        })
    }

    /// Creates a grant of the id that another request's grant has, with another content.
    ///
    /// # Errors
    /// Never, because the grant could be built before.
    pub fn for_grant_of(self, other: &Self) -> Result<Self, Violation> {
        let draft = Draft { id: other.draft.id, ..self.draft };
        let grant = draft.grant()?;
        Ok(Self { draft, grant, ..self })
    }

    /// Returns the same request without any assertion.
    pub fn without_assertions(&self) -> Self {
        Self { assertions: Vec::new(), ..self.clone() }
    }

    /// Adds an assertion that is the grant.
    pub fn with_grant_assertion(mut self, jti: &str, exp: Timestamp) -> Self {
        let used_for = AssertionUse::Grant;
        self.assertions.push(Assertion { used_for, jti: jti.into(), exp });
        self
    }

    /// Needs this from outside, before anything else.
    pub fn needing(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// Refuses the request for this reason instead of creating the grant.
    pub fn refused(self, reason: Reason) -> Self {
        Self { refusal: Some(reason), ..self }
    }

    /// Makes this preliminary write first: the record of a client that does not exist.
    pub fn preparing(self, client: Client) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Returns the `jti` of the last assertion, or no text if there is none.
    pub fn last_jti(&self) -> &str {
        self.assertions.last().map_or("", |assertion| &assertion.jti)
    }

    /// Returns the id of the grant.
    pub fn grant_id(&self) -> GrantId {
        self.grant.id()
    }

    /// Returns a policy for such requests.
    ///
    /// # Errors
    /// Never, because the policy is right.
    pub fn policy() -> Result<Policy, Violation> {
        policy(0)
    }

    /// Decides as if every assertion was marked.
    fn as_if_marked(&self, loaded: &Loaded, moment: &Moment) -> Decision<GrantId> {
        let refuse = |reason| Decision::refuse(reason, Endpoint::Token, loaded, moment);
        if let Some(reason) = self.refusal {
            return refuse(reason);
        }
        if let Some(client) = &self.client {
            if loaded.client_of(client.id().as_str()).is_none() {
                let write = Write::client(None, client.clone());
                return Decision::prepare(write, Endpoint::Token, loaded, moment);
            }
        }
        let allow = || Decision::allow(EventKind::CodeRedeemed, self.grant.id(), loaded, moment);
        match &loaded.grant {
            Some(stored) if moment.is_retry && *stored.record == self.grant => allow(),
            Some(_) if moment.is_retry => refuse(Reason::Contended),
            Some(_) => refuse(Reason::CodeReused),
            None => allow().writing(Write::grant(None, self.grant.clone())),
        }
    }

    /// Returns what is still needed from outside.
    fn unanswered(&self, loaded: &Loaded) -> Option<&Need> {
        self.needs.get(loaded.answers.iter().count())
    }
}

impl Operation for AssertionRequest {
    type Response = GrantId;

    fn keys(&self, _: &Policy, _: &Moment) -> Keys<'_> {
        let client = self.client.as_ref().map(|client| client.id().as_str());
        let client = client.map_or(ClientKey::Unnamed, ClientKey::named);
        Keys { grant: Some(self.grant.id()), client, ..Keys::default() }
    }

    fn decide(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Decision<GrantId> {
        // Once the main write was tried, the assertions are not judged again: they were marked and
        // used.
        let is_expired = |assertion: &Assertion| moment.assertion_now() >= assertion.exp;
        if !moment.is_retry && self.assertions.iter().any(is_expired) {
            return Decision::refuse(Self::EXPIRED, Endpoint::Token, loaded, moment);
        }
        if let Some(need) = self.unanswered(loaded) {
            return Decision::ask(need.clone(), Endpoint::Token, loaded, moment);
        }
        let has_failed = |answered: &Answered| {
            self.needs.iter().any(|need| *answered == need.clone().unanswered())
        };
        let mut decision = if loaded.answers.iter().any(has_failed) {
            Decision::refuse(Reason::DocumentsBusy, Endpoint::Token, loaded, moment)
        } else {
            self.as_if_marked(loaded, moment)
        };
        for assertion in self.assertions.iter().rev() {
            let single_use = SingleUse::new(
                policy.issuer(),
                assertion.used_for,
                "party",
                &assertion.jti,
                assertion.exp,
                Self::REPLAYED,
            );
            decision.wait_for_mark(&single_use, Endpoint::Token, loaded, moment);
        }
        decision
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Token
    }
}
