//! The earlier grants that a request without a consent page relies on, and the invariants about
//! them.
//!
//! The model has one record. Beside it stand two grants of the same user and client that never
//! change, except that the first one can be ended: one whose user was asked by a page, and one that
//! was itself answered without a page.

use std::time::Duration;

use grantcore::AuthorizationStep;
use grantcore::grant::{Grant, GrantState};
use grantcore::policy::{ConsentRules, PolicyBuilder, Remember};
use grantcore::request::Site;
use grantcore::store::Stored;
use grantcore::value::GrantId;
use grantcore::{RequestParts, User};

use crate::judge::{Seen, Verdict, must};
use crate::moves::Decided;
use crate::request::Ask;
use crate::state::{Answer, Epochs};
use crate::support::params::Params;
use crate::support::{ALICE, Granted, Outcome, World as Host, param};

/// For how long a consent is remembered, in seconds.
const REMEMBERED: i64 = 300;

/// The grant that a request names as remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// The user was asked by a page.
    Asked,
    /// It was answered without a page.
    Silent,
}

/// What was read of an earlier grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    pub hint: Hint,
    pub ended: bool,
}

/// The records of the earlier grants.
pub struct Memories {
    asked: Stored<Grant>,
    ended: Stored<Grant>,
    silent: Stored<Grant>,
}

/// Returns the policy with the rules of the model.
pub fn remembering(policy: PolicyBuilder) -> PolicyBuilder {
    let time = Duration::from_secs(REMEMBERED.unsigned_abs());
    let rules = ConsentRules::default().with_remember(Remember::HttpsRedirect);
    policy.consent_rules(rules.with_remember_for(time))
}

/// Returns the request of a browser that no other site sent.
pub fn typed(query: &str) -> RequestParts<'_> {
    RequestParts {
        method: "GET",
        query: query.as_bytes(),
        site: Site::None,
        ..RequestParts::default()
    }
}

impl Memories {
    /// Makes both grants by whole flows.
    pub fn new(policy: PolicyBuilder) -> Self {
        let host = Host::with(remembering(policy));
        let of = |granted: &Granted| {
            let id = host.access(&granted.access).grant_id();
            let found = host.grants().into_iter().find(|stored| stored.record.id() == id);
            found.expect("the grant of the token")
        };
        let asked = of(&host.tokens());
        let query = Params::authorize().encode();
        let user = ALICE.remembering(asked.record.id());
        let step = host.server.authorize(&typed(&query), Some(user)).outcome();
        let Ok(AuthorizationStep::Done(redirect)) = step else { panic!("a page: {step:?}") };
        let code = param(&redirect.into_location(), "code").expect("a code");
        let silent = of(&Granted::of(&host.token(&Params::redeem(&code))));
        host.server.revoke_connection("alice", asked.record.id()).expect("the grant is alice's");
        let mut grants = host.grants().into_iter();
        let ended = grants.find(|stored| stored.record.id() == asked.record.id());
        Self { asked, ended: ended.expect("the ended grant"), silent }
    }

    /// Returns what is read of this grant now.
    pub fn read(&self, id: GrantId, is_ended: bool) -> Option<Memory> {
        if id == self.asked.record.id() {
            return Some(Memory { hint: Hint::Asked, ended: is_ended });
        }
        (id == self.silent.record.id()).then_some(Memory { hint: Hint::Silent, ended: false })
    }

    /// Returns the record that was read.
    pub fn record(&self, memory: Memory) -> Stored<Grant> {
        match memory {
            Memory { hint: Hint::Silent, .. } => self.silent.clone(),
            Memory { ended: true, .. } => self.ended.clone(),
            Memory { ended: false, .. } => self.asked.clone(),
        }
    }

    /// Returns alice, with the grant that the request names.
    pub fn user(&self, hint: Hint) -> User<'static> {
        ALICE.remembering(match hint {
            Hint::Asked => self.asked.record.id(),
            Hint::Silent => self.silent.record.id(),
        })
    }
}

impl Decided {
    /// Returns whether the request needed a consent that was no longer remembered.
    pub fn has_forgotten(&self) -> bool {
        matches!(self.ask, Ask::AuthorizeAgain(_))
            && (self.basis.memory.is_none_or(|memory| memory.ended)
                || self.basis.epochs != Epochs::default()
                || self.basis.now >= REMEMBERED)
    }
}

/// I54: a code goes out without a page only on an earlier grant that was asked by a page, is alive,
/// of the present epochs and young enough, by what this attempt has read.
pub fn i54(seen: &Seen<'_>) -> Verdict {
    let Some(decided) =
        seen.decided().filter(|decided| matches!(decided.ask, Ask::AuthorizeAgain(_)))
    else {
        return Verdict::Silent;
    };
    let issues = decided.wrote == Some(GrantState::CodeIssued);
    let answers = matches!(&decided.answer, Some(Answer::Yes(credentials))
        if credentials.iter().any(|one| one.kind == crate::request::Kind::Code));
    if !issues && !answers {
        return Verdict::Silent;
    }
    let basis = &decided.basis;
    let is_alive = basis.memory == Some(Memory { hint: Hint::Asked, ended: false });
    let is_present = basis.epochs == Epochs::default();
    must(is_alive && is_present && basis.now < REMEMBERED, || {
        format!("a code without a page on {:?} at {} s", basis.memory, basis.now)
    })
}

/// I55: a code that was issued without a page is redeemed only while the grant that it relies on is
/// alive.
pub fn i55(seen: &Seen<'_>) -> Verdict {
    let Some(decided) = seen.decided() else { return Verdict::Silent };
    let first = seen.history(decided).first();
    let is_silent = first.is_some_and(|first| first.wrote == GrantState::CodeIssued);
    let is_redeemed = decided.ask == Ask::Redeem(crate::request::Flaw::None)
        && decided.wrote == Some(GrantState::Active);
    if !is_silent || !is_redeemed {
        return Verdict::Silent;
    }
    let memory = decided.basis.memory;
    must(memory == Some(Memory { hint: Hint::Asked, ended: false }), || {
        format!("a code was redeemed that relies on {memory:?}")
    })
}
