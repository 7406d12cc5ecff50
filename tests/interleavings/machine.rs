//! A model of its own, of two clients' requests for tokens on their own behalf, in every order with
//! every result of a commit, and an administrator who acts at any time.
//!
//! A run is a sequence of choices. All sequences are tried, one after the other.

use grantcore::blocking::{Server, Store as _};
use grantcore::client::ClientStatus;
use grantcore::grant::Principal;
use grantcore::moment::Moment;
use grantcore::operation::{Decision, Operation as _};
use grantcore::request::TokenRequest;
use grantcore::response::Tokens;
use grantcore::store::Commit;
use grantcore::{
    Authorization, FromStore, MemoryStore, Policy, RequestParts, RevokedBy, Timestamp,
};

use crate::support::machines::{JOB, job, machines};
use crate::support::params::Params;
use crate::support::steps::{basic, form};
use crate::support::{SECRET, T, entropy, needs, seeded};

const REQUESTS: usize = 2;
/// The attempts of the driver.
const ATTEMPTS: usize = 4;
/// The faults of one run.
const FAULTS: usize = 2;

/// The choices of a run: of each, what was chosen, and of how many.
#[derive(Default)]
struct Choices {
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn of(&mut self, count: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, count));
        }
        self.at += 1;
        self.made[self.at - 1].0
    }

    /// Goes to the next sequence of choices. Returns whether there is one.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, count)) = self.made.pop() {
            if chosen + 1 < count {
                self.made.push((chosen + 1, count));
                return true;
            }
        }
        false
    }
}

/// What the administrator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Deactivate,
    EndGrants,
}

enum Step {
    Loading,
    Writing(Box<Decision<Tokens>>),
    /// The access token, or `None` for a refusal.
    Over(Option<String>),
}

struct Request {
    step: Step,
    attempt: usize,
    /// Whether the administrator acted after the last load.
    is_late: bool,
}

/// The server, and how often what happened.
struct Run<'c> {
    server: Server<MemoryStore>,
    choices: &'c mut Choices,
    requests: Vec<Request>,
    act: Act,
    is_done: bool,
    faults: usize,
    /// Draws anew for each attempt, as no driver may.
    draws_anew: bool,
}

impl Run<'_> {
    /// Makes moves until every request is over. Returns whether the administrator acted.
    fn finish(&mut self) -> bool {
        loop {
            let mut open: Vec<_> = (0..REQUESTS)
                .filter(|own| !matches!(self.requests[*own].step, Step::Over(_)))
                .collect();
            if open.is_empty() {
                return self.is_done;
            }
            if !self.is_done {
                open.push(REQUESTS);
            }
            match open[self.choices.of(open.len())] {
                REQUESTS => self.administrate(),
                own => self.step(own),
            }
        }
    }

    fn administrate(&mut self) {
        self.is_done = true;
        self.requests.iter_mut().for_each(|own| own.is_late = true);
        match self.act {
            Act::Deactivate => self.server.set_client_status(JOB, ClientStatus::Deactivated),
            Act::EndGrants => self.server.revoke_client(JOB, RevokedBy::Administrator("x")),
        }
        .unwrap();
    }

    fn step(&mut self, own: usize) {
        let step = std::mem::replace(&mut self.requests[own].step, Step::Loading);
        self.requests[own].step = match step {
            Step::Loading => self.decide(own),
            Step::Writing(decision) => self.write(own, *decision),
            over @ Step::Over(_) => over,
        };
    }

    fn decide(&mut self, own: usize) -> Step {
        let policy = self.server.policy();
        let body = Params::machine().encode();
        let header = basic(JOB, SECRET);
        let parts = RequestParts { authorization: Authorization::One(&header), ..form(&body) };
        let request = TokenRequest::parse(&parts, policy).unwrap();
        let attempt = self.requests[own].attempt;
        let drawn = if self.draws_anew { attempt } else { 0 };
        let seed = u64::try_from(own * 10 + drawn).unwrap();
        let now = Timestamp::from_unix_seconds(T);
        let moment = Moment::new(now, entropy(seed));
        let moment = (0..attempt).fold(moment, |moment, _| moment.retry(now));
        let loaded = self.server.store().load(&request.keys(policy, &moment)).unwrap();
        // A request that finds its own record has the token of before.
        self.requests[own].is_late &= loaded.grant.is_some();
        let decision = request.decide(&loaded, policy, &moment);
        if decision.write().is_some() {
            return Step::Writing(Box::new(decision));
        }
        Self::over(decision)
    }

    /// The store applies the write, or not, and acknowledges it, reports a conflict or fails.
    fn write(&mut self, own: usize, decision: Decision<Tokens>) -> Step {
        let choice = if self.faults > 0 { self.choices.of(5) } else { 0 };
        self.faults -= usize::from(choice > 0);
        let write = decision.write().unwrap();
        let commit = || self.server.store().commit(write).unwrap();
        let result = match choice {
            0 => Some(commit()),
            1 => {
                commit();
                Some(Commit::Conflict)
            }
            2 => {
                commit();
                None
            }
            3 => Some(Commit::Conflict),
            _ => None,
        };
        match result {
            Some(Commit::Done) => Self::over(decision),
            Some(Commit::Conflict) if self.requests[own].attempt + 1 < ATTEMPTS => {
                self.requests[own].attempt += 1;
                Step::Loading
            }
            Some(Commit::Conflict) | None => Step::Over(None),
        }
    }

    fn over(decision: Decision<Tokens>) -> Step {
        let settled = decision.settle(Commit::Done).expect("an outcome");
        Step::Over(settled.outcome.ok().map(|tokens| {
            assert!(tokens.expires_in() <= 3600, "I42");
            let reply = tokens.reply();
            let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(body.get("refresh_token"), None, "I42");
            body["access_token"].as_str().unwrap().to_owned()
        }))
    }

    /// Judges the end of a run. Returns the number of records.
    fn judge(&self) -> usize {
        let served = needs(self.server.policy(), 0, "read").machines();
        let grants = self.server.store().grants(None, 100);
        for request in &self.requests {
            let Step::Over(Some(token)) = &request.step else { continue };
            let header = format!("Bearer {token}");
            let checked = self.server.check(&Authorization::One(header.as_bytes()), &served);
            // I19, I20: what the administrator ended is dead, also if it leaves afterwards.
            assert_eq!(checked.is_ok(), !request.is_late, "{:?}", self.act);
            if let Ok(access) = checked {
                assert!(
                    matches!(access.principal(), Principal::Client(own) if own.as_str() == JOB)
                );
            }
        }
        for stored in &grants {
            assert_eq!((stored.record.subject(), stored.record.client_id().as_str()), (None, JOB));
        }
        grants.len()
    }
}

/// Tries every run. Returns their number, and the largest number of records of one.
fn explore(act: Act, draws_anew: bool) -> (usize, usize) {
    let policy: Policy = machines().build().unwrap();
    let mut choices = Choices::default();
    let (mut runs, mut most) = (0, 0);
    loop {
        let store = MemoryStore::new();
        store.put_client(job());
        let now = || Timestamp::from_unix_seconds(T);
        let server = Server::with_sources(
            policy.clone(),
            store,
            FromStore,
            now,
            seeded(u64::from(u16::MAX)),
        );
        let requests = (0..REQUESTS)
            .map(|_| Request { step: Step::Loading, attempt: 0, is_late: false })
            .collect();
        let mut run = Run {
            server,
            choices: &mut choices,
            requests,
            act,
            is_done: false,
            faults: FAULTS,
            draws_anew,
        };
        run.finish();
        most = most.max(run.judge());
        runs += 1;
        if !choices.next() {
            return (runs, most);
        }
    }
}

#[test]
fn machine_10_i39_i42_each_request_has_one_record_in_every_order() {
    for act in [Act::Deactivate, Act::EndGrants] {
        let (runs, most) = explore(act, false);
        println!("{act:?}: {runs} runs");
        assert!(runs > 1_000, "fewer runs than before: {runs}");
        assert_eq!(most, REQUESTS, "one record for each request");
    }
}

/// The rule that protects: without it, one request leaves two tokens.
#[test]
fn machine_10_the_model_finds_a_request_that_draws_anew() {
    let (_, most) = explore(Act::EndGrants, true);
    assert!(most > REQUESTS, "a second record of one request");
}
