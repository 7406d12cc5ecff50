//! jwt-bearer: an assertion of a trusted issuer is exchanged for an access token (RFC 7523 §2.1).
//!
//! Two profiles share one engine. An identity provider speaks for its user to one client
//! (`id_jag`); a platform speaks for a program that it runs (`workload`). The steps are in the
//! order of the table in docs/decisions.md, so that only the first fault is reported, and so that
//! nothing is asked of the host before the signature holds.
//!
//! The common checks are in `checks`, the keys of the issuer in `issuer_keys`.

mod checks;
mod id_jag;
mod issuer_keys;
mod presenter;
mod scope;
mod workload;

use self::checks::Checked;
use self::presenter::Presenter;
use super::context::Context;
use super::direct::Issue;
use crate::client::Client;
use crate::decision::Decision;
use crate::event::EventKind;
use crate::grant::Terms;
use crate::jws;
use crate::outside::Need;
use crate::policy::{Profile, TrustedIssuer};
use crate::reason::Reason;
use crate::record::Write;
use crate::refusal::{Fault, quoted};
use crate::request::jwt_bearer::AssertionExchange;
use crate::request::token::Credentials;
use crate::response::token::Tokens;

/// How a request ends or waits before its token is issued.
enum Stop {
    Refused(Fault),
    /// Something is wrong with the assertion. The detail is for the event only: the holder of an
    /// assertion learns nothing about the policy by it.
    Faulty(Reason, Option<String>),
    /// The host must answer.
    Needs(Need),
    /// A client's record must be written first.
    Prepares(Write),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<jws::Fault> for Stop {
    fn from(fault: jws::Fault) -> Self {
        Self::Faulty(reason_of(fault), None)
    }
}

impl Stop {
    /// Stops because of a claim, which the event names.
    fn claim(name: &str) -> Self {
        Self::Faulty(Reason::AssertionClaim, Some(format!("claim: {}.", quoted(name))))
    }

    fn decide<T>(self, ctx: &Context<'_>) -> Decision<T> {
        match self {
            Self::Refused(fault) => ctx.refuse(fault),
            Self::Faulty(reason, detail) => ctx.refuse(reason).with_detail(detail),
            Self::Needs(need) => ctx.ask(need),
            Self::Prepares(write) => ctx.prepare(write),
        }
    }
}

/// Returns the reason of a fault in an assertion that is a grant.
fn reason_of(fault: jws::Fault) -> Reason {
    match fault {
        jws::Fault::Malformed => Reason::AssertionMalformed,
        jws::Fault::Type => Reason::AssertionType,
        jws::Fault::Algorithm => Reason::AssertionAlgorithm,
        jws::Fault::Key => Reason::AssertionKey,
        jws::Fault::Signature => Reason::AssertionSignature,
        jws::Fault::Issuer => Reason::AssertionIssuer,
        jws::Fault::Subject => Reason::AssertionSubject,
        jws::Fault::Audience => Reason::AssertionAudience,
        jws::Fault::Expired => Reason::AssertionExpired,
        jws::Fault::Early => Reason::AssertionEarly,
        jws::Fault::LongLived => Reason::AssertionLongLived,
        jws::Fault::Jti => Reason::AssertionJti,
        jws::Fault::Replayed => Reason::AssertionReplayed,
        jws::Fault::Claim => Reason::AssertionClaim,
    }
}

/// What a request is decided on, beside its context.
struct Exchanging<'a> {
    exchange: &'a AssertionExchange<'a>,
    credentials: &'a Credentials<'a>,
    presenter: Presenter<'a>,
    ctx: &'a Context<'a>,
}

impl AssertionExchange<'_> {
    /// Exchanges the assertion.
    pub(super) fn exchange(
        &self,
        credentials: &Credentials<'_>,
        ctx: &Context<'_>,
    ) -> Decision<Tokens> {
        let named = (!credentials.are_absent()).then_some(&*credentials.id);
        let ctx = &named.map_or(*ctx, |id| ctx.claimed_by(id));
        // Credentials that are sent are verified, whatever the profile needs: a good assertion must
        // not let wrong ones pass (ASSERT-11).
        let presenter = match Presenter::of(credentials, ctx) {
            Ok(presenter) => presenter,
            Err(stop) => return stop.decide(ctx),
        };
        let exchanging = Exchanging { exchange: self, credentials, presenter, ctx };
        let mut decision = exchanging.decide();
        // The client's own assertion is waited for last, so that it is marked first (SEEN-15).
        if let Presenter::Client(authenticated) = exchanging.presenter {
            authenticated.complete(&mut decision, ctx);
        }
        decision
    }
}

impl Exchanging<'_> {
    fn decide(&self) -> Decision<Tokens> {
        let ctx = self.ctx;
        let jws = match self.exchange.jws(ctx.policy) {
            Ok(jws) => jws,
            Err(fault) => return self.stop_unverified(fault.into()),
        };
        let checked = match Checked::of(&jws, self.exchange, ctx) {
            Ok(checked) => checked,
            Err(stop) => return self.stop_unverified(stop),
        };
        let decided = match &checked.issuer.profile {
            Profile::IdJag(rules) => self.for_person(rules, &checked),
            Profile::Workload(rules) => Ok(self.for_workload(rules, &checked)),
        };
        decided.unwrap_or_else(|stop| stop.decide(ctx))
    }

    /// Ends a request whose assertion is not verified. A client that is not known yet has failed to
    /// authenticate then: nothing is fetched for it (ASSERT-35).
    fn stop_unverified(&self, stop: Stop) -> Decision<Tokens> {
        match (&self.presenter, stop) {
            (Presenter::Held, Stop::Faulty(..)) => self.ctx.refuse(Reason::ClientUnknown),
            (_, stop) => stop.decide(self.ctx),
        }
    }

    /// Ends a request whose assertion is verified and is this client's: the assertion is used up,
    /// whatever the outcome. Otherwise an attacker who has it could try it out (SEEN-06).
    fn use_up(
        &self,
        checked: &Checked<'_>,
        issued: Result<Decision<Tokens>, Stop>,
    ) -> Decision<Tokens> {
        let mut decision = issued.unwrap_or_else(|stop| stop.decide(self.ctx));
        if let Some(single_use) = &checked.single_use {
            self.ctx.wait_for_mark(&mut decision, single_use);
        }
        decision
    }

    /// Issues the token.
    fn issue(&self, checked: &Checked<'_>, terms: Terms, client: &Client) -> Decision<Tokens> {
        let lifetime = self.ctx.policy.lifetimes_of(client).access().min(checked.issuer.tokens);
        let issue = Issue { lifetime, client, kind: EventKind::AssertionAccepted };
        let detail = profile_detail(checked.issuer);
        let mut decision = issue.issue(terms, self.ctx).with_detail(Some(detail));
        decision.attribute_to(client);
        decision
    }
}

/// Returns what the event of an accepted assertion says beside its fields.
fn profile_detail(issuer: &TrustedIssuer) -> String {
    format!("profile: {}. issuer: {}.", issuer.profile().as_str(), quoted(issuer.issuer()))
}
