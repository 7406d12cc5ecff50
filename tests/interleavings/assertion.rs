//! A model of its own: two requests with one assertion, at two nodes of one store.
//!
//! Every order of their steps is run, with at most one fault of the store or with the user's
//! account ended at any point. The decisions are the library's; this file drives them by hand. Each
//! rule that protects the store's part is taken away once, to see the model notice it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use grantcore::grant::Grant;
use grantcore::moment::Moment;
use grantcore::operation::{Decision, Loaded, Next, Operation as _};
use grantcore::outside::{Answered, Answers, Linked, Need};
use grantcore::request::TokenRequest;
use grantcore::response::Tokens;
use grantcore::store::{Commit, Keys, Seen, Stored, Version, Write};
use grantcore::value::GrantId;
use grantcore::{Account, Client, Policy, Reason, Timestamp};

use crate::support::steps::form;
use crate::support::toy_issuers::{ToyVerifier, exchange, id_jag, person, trusting};
use crate::support::{T, entropy, web};

/// What the store may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Good,
    /// The creation of a mark overwrites the one that is there.
    Overwrites,
    /// A mark is dropped as soon as it is there, and a creation succeeds again.
    Forgets,
    /// Reads the account's epoch once more when the grant is created, after its user was judged.
    ReadsLate,
}

/// The fault of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    AppliedConflict,
    AppliedError,
    DroppedError,
    /// Reported as a conflict, and applied later.
    LateConflict,
}

const FAULTS: [Fault; 5] = [
    Fault::None,
    Fault::AppliedConflict,
    Fault::AppliedError,
    Fault::DroppedError,
    Fault::LateConflict,
];

/// Runs every sequence of choices.
#[derive(Default)]
struct Chooser {
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Chooser {
    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, of));
        }
        self.at += 1;
        self.made[self.at - 1].0
    }

    /// Begins the next sequence. Returns `false` after the last one.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, of)) = self.made.pop() {
            if chosen + 1 < of {
                self.made.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// What the nodes share.
struct Shared {
    store: Store,
    mark: Option<Seen>,
    grants: BTreeMap<GrantId, Stored<Grant>>,
    /// Writes that land later.
    late: Vec<Write>,
    epoch: u64,
    has_fault: bool,
}

/// One request at its node.
struct Node<'r> {
    request: &'r TokenRequest<'r>,
    moment: Option<Moment>,
    answers: Answers,
    kept: Option<Loaded>,
    decision: Option<Decision<Tokens>>,
    /// The epoch of the account as it was loaded for the decision.
    epoch: u64,
    /// The grant that it tried to create.
    own: Option<GrantId>,
    outcome: Option<Result<(), Reason>>,
}

impl Shared {
    fn apply(&mut self, write: &Write) -> Commit {
        match write {
            Write::Seen(seen) => {
                if self.mark.is_some() && matches!(self.store, Store::Good | Store::ReadsLate) {
                    return Commit::Conflict;
                }
                self.mark = (self.store != Store::Forgets).then(|| (**seen).clone());
            }
            Write::Grant(change) => {
                if self.grants.contains_key(&change.id()) {
                    return Commit::Conflict;
                }
                self.grants.insert(change.id(), change.stored());
            }
            Write::Client(_) => panic!("no client is written"),
        }
        Commit::Done
    }

    fn load(&self, keys: &Keys<'_>) -> Loaded {
        let account = Account { suspended: false, epoch: self.epoch };
        Loaded {
            grant: keys.grant.and_then(|id| self.grants.get(&id).cloned()),
            client: Some(Stored { record: Arc::clone(client()), version: Version::FIRST }),
            account: keys.subject.as_ref().map(|_| account),
            ..Loaded::default()
        }
    }
}

impl Node<'_> {
    /// Takes the next step: loads and decides, or commits.
    fn step(&mut self, shared: &mut Shared, policy: &Policy, chooser: &mut Chooser) {
        let Some(decision) = self.decision.take() else { return self.decide(shared, policy) };
        let write = decision.write().expect("a decision with a write").clone();
        self.own = write.as_grant().map(grantcore::store::Change::<Grant>::id).or(self.own);
        let fault =
            if shared.has_fault { Fault::None } else { FAULTS[chooser.choose(FAULTS.len())] };
        shared.has_fault |= fault != Fault::None;
        let commit = match fault {
            Fault::None => shared.apply(&write),
            Fault::AppliedConflict => {
                shared.apply(&write);
                Commit::Conflict
            }
            Fault::LateConflict => {
                shared.late.push(write);
                Commit::Conflict
            }
            Fault::AppliedError | Fault::DroppedError => {
                if fault == Fault::AppliedError {
                    shared.apply(&write);
                }
                self.outcome = Some(Err(Reason::StorageUnavailable));
                return;
            }
        };
        match decision.settle(commit) {
            Ok(settled) => self.outcome = Some(outcome(settled.outcome)),
            Err(mut next) => {
                if let Next::Met(own) = &next {
                    let found = shared.mark.clone().filter(|seen| seen.key() == own.key());
                    next = next.found(found.as_ref());
                }
                if !next.keeps_records() {
                    self.kept = None;
                }
                self.go_on(&next);
            }
        }
    }

    fn decide(&mut self, shared: &Shared, policy: &Policy) {
        let moment = self.moment.take().expect("a moment");
        let mut loaded = self.kept.take().unwrap_or_else(|| {
            self.epoch = shared.epoch;
            shared.load(&self.request.keys(policy, &moment))
        });
        loaded.answers = self.answers.clone();
        if shared.store == Store::ReadsLate {
            loaded.account =
                loaded.account.map(|account| Account { epoch: shared.epoch, ..account });
        }
        let decision = self.request.decide(&loaded, policy, &moment);
        self.moment = Some(moment);
        if let Some(Need::Account(link)) = decision.need() {
            let subject = "alice".parse().expect("a subject");
            self.answers.add(Answered::Account(link.clone(), Linked::Account(subject)));
            let next = decision.settle(Commit::Done).expect_err("a question has no outcome");
            return self.go_on(&next);
        }
        if decision.write().is_some() {
            self.kept = Some(loaded);
            self.decision = Some(decision);
            return;
        }
        let settled = decision.settle(Commit::Done).expect("no write, no conflict");
        self.outcome = Some(outcome(settled.outcome));
    }

    fn go_on(&mut self, next: &Next) {
        let moment = self.moment.take().expect("a moment");
        let now = Timestamp::from_unix_seconds(T);
        self.moment = Some(moment.after(next, now).answered(&self.answers));
    }
}

fn client() -> &'static Arc<Client> {
    static CLIENT: OnceLock<Arc<Client>> = OnceLock::new();
    CLIENT.get_or_init(|| web().into())
}

fn outcome(outcome: Result<Tokens, grantcore::Refusal>) -> Result<(), Reason> {
    outcome.map(drop).map_err(|refusal| refusal.reason())
}

/// What an exploration has found.
#[derive(Debug, Default)]
struct Found {
    runs: usize,
    accepted: usize,
    /// Runs in which both requests got a token.
    twice: usize,
    /// Answers that rest on the assertion although it has no mark.
    unmarked: usize,
    /// Grants with another epoch than that of the account that their decision was made on: they
    /// could live although the account was ended in between.
    revived: usize,
    /// Requests whose own commit was lost, and that were refused for it.
    own_lost: usize,
}

/// Runs every order and fault of two requests with one assertion.
fn explore(store: Store) -> Found {
    let policy = trusting().verifier(ToyVerifier::default()).build().expect("a policy");
    let body = exchange(&id_jag(&person("1"))).by_web().encode();
    let parts = form(&body);
    let request = TokenRequest::parse(&parts, &policy).expect("a request");
    let mut chooser = Chooser::default();
    let mut found = Found::default();
    loop {
        run(store, &request, &policy, &mut chooser, &mut found);
        found.runs += 1;
        let is_caught = store != Store::Good && (found.twice > 0 || found.revived > 0);
        if is_caught || !chooser.next() {
            return found;
        }
    }
}

fn run(
    store: Store,
    request: &TokenRequest<'_>,
    policy: &Policy,
    chooser: &mut Chooser,
    found: &mut Found,
) {
    let late = Vec::new();
    let grants = BTreeMap::new();
    // Faults or the end of the account: both together only repeat what each finds.
    let has_fault = chooser.choose(2) == 1;
    let mut shared = Shared { store, mark: None, grants, late, epoch: 0, has_fault };
    let mut is_raised = !has_fault;
    let node = |seed| Node {
        request,
        moment: Some(Moment::new(Timestamp::from_unix_seconds(T), entropy(seed))),
        answers: Answers::default(),
        kept: None,
        decision: None,
        epoch: 0,
        own: None,
        outcome: None,
    };
    let mut nodes = [node(1), node(2)];
    loop {
        let open: Vec<usize> = (0..2).filter(|at| nodes[*at].outcome.is_none()).collect();
        if open.is_empty() {
            break;
        }
        // The next step is one of a request, of a late write, or the end of the account's grants.
        let extra = usize::from(!shared.late.is_empty());
        let raises = usize::from(!is_raised);
        let turn = chooser.choose(open.len() + extra + raises);
        if let Some(at) = open.get(turn) {
            nodes[*at].step(&mut shared, policy, chooser);
        } else if turn < open.len() + extra {
            let write = shared.late.remove(0);
            shared.apply(&write);
        } else {
            is_raised = true;
            shared.epoch = 1;
        }
    }
    judge(&shared, &nodes, found);
}

fn judge(shared: &Shared, nodes: &[Node<'_>; 2], found: &mut Found) {
    let accepted = nodes.iter().filter(|node| node.outcome == Some(Ok(()))).count();
    found.accepted += accepted;
    found.twice += usize::from(accepted > 1);
    let is_late = !shared.late.is_empty();
    for node in nodes {
        let rests = match node.outcome {
            Some(Ok(())) => true,
            Some(Err(reason)) => !matches!(reason, Reason::StorageUnavailable | Reason::Contended),
            None => false,
        };
        found.unmarked += usize::from(rests && shared.mark.is_none() && !is_late);
        let own = node.own.and_then(|id| shared.grants.get(&id));
        let is_replayed = node.outcome == Some(Err(Reason::AssertionReplayed));
        found.own_lost += usize::from(own.is_some() && is_replayed);
        let Some(stored) = own else { continue };
        let record = serde_json::to_value(&*stored.record).expect("a record");
        let epoch = record["terms"]["basis"]["enterprise"]["account"]["epoch"].as_u64();
        found.revived += usize::from(epoch.expect("an epoch") > node.epoch);
    }
}

#[test]
fn i32_one_assertion_is_accepted_once_in_every_order() {
    let found = explore(Store::Good);
    println!("{found:?}");
    assert!(found.runs > 1000 && found.accepted > 500, "{found:?}");
    assert_eq!((found.twice, found.unmarked), (0, 0), "{found:?}");
    assert_eq!((found.revived, found.own_lost), (0, 0), "{found:?}");
}

#[test]
fn i32_a_store_that_overwrites_or_forgets_marks_is_noticed() {
    for store in [Store::Overwrites, Store::Forgets] {
        let found = explore(store);
        assert!(found.twice > 0, "{store:?}: {found:?}");
    }
}

/// A grant whose epoch is younger than its user's judgment could outlive the end of the account.
#[test]
fn i20_an_epoch_that_is_read_after_the_user_was_judged_is_noticed() {
    let found = explore(Store::ReadsLate);
    assert!(found.revived > 0, "{found:?}");
}
