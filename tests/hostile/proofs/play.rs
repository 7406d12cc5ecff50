//! Plays a program: sends each request to a node and to the model, and compares the answers.

use std::sync::atomic::Ordering;

use grantcore::client::ClientStatus;
use grantcore::{Authorization, Error, Reply, RevokedBy, Timestamp};

use super::keys::{Found, PLACES};
use super::nodes::{self, ACCESS, BEGINNING, ISSUERS, Nodes, RESOURCE, SECRET, USERS, name};
use super::rules::{ALL, Answer, Assertion, Fault, Kind, Model, Proof, Request, Token, Who};
use crate::errors::is_registered;
use crate::model::play::{Reached, form};
use crate::model::steps::posted;
use crate::model::store::Broken;
use crate::random::Random;
use crate::wire::To;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

struct Play {
    nodes: Nodes,
    model: Model,
    random: Random,
    /// The text of each assertion, in the order of the model's.
    assertions: Vec<String>,
    /// The text of each token, in the order of the model's.
    tokens: Vec<String>,
    reached: Reached,
}

/// Plays a program, in which each number seeds one step, in a new world.
pub fn run(world: u64, steps: &[u64]) -> Result<Reached, String> {
    run_on(Nodes::new(world, false), world, steps)
}

/// Plays a program on a store that forgets its marks.
pub fn run_without_marks(world: u64, steps: &[u64]) -> Result<Reached, String> {
    run_on(Nodes::new(world, true), world, steps)
}

fn run_on(nodes: Nodes, world: u64, steps: &[u64]) -> Result<Reached, String> {
    let mut play = Play {
        nodes,
        model: Model::new(BEGINNING),
        random: Random::new(world),
        assertions: Vec::new(),
        tokens: Vec::new(),
        reached: Reached::default(),
    };
    for step in steps {
        play.random = Random::new(*step);
        play.step()?;
    }
    for _ in 0..2 {
        for token in 0..play.tokens.len() {
            play.check(token)?;
        }
        play.pass(ACCESS);
    }
    Ok(play.reached)
}

impl Play {
    fn step(&mut self) -> Result<(), String> {
        self.reached.steps += 1;
        match self.random.below(16) {
            0..3 => self.machine(),
            3..11 => self.assertion(),
            11..13 if !self.tokens.is_empty() => {
                let token = self.random.below(self.tokens.len());
                self.check(token)
            }
            13 => self.operate(),
            14 if self.random.one_in(3) => {
                self.publish();
                Ok(())
            }
            14 => {
                let seconds = match self.random.below(14) {
                    0 => 3_600,
                    1 => 3_900,
                    _ => [1, 10, 30, 59, 60, 61, 69, 70, 299, 300][self.random.below(10)],
                };
                self.pass(seconds);
                Ok(())
            }
            _ => {
                // Nothing depends on what is dropped.
                let now = Timestamp::from_unix_seconds(self.model.clock);
                self.nodes.store.inner.sweep(now, usize::MAX);
                Ok(())
            }
        }
    }

    /// The owner of a key set replaces a key, with the former one beside it or without, or its
    /// server fails from now on.
    fn publish(&mut self) {
        let place = *self.random.pick(&PLACES);
        let mut published = self.model.published[place as usize].clone();
        published.is_up = !self.random.one_in(3);
        published.fresh_for = *self.random.pick(&[None, Some(5), Some(120), Some(90_000)]);
        if self.random.one_in(2) {
            let last = published.signs_with();
            published.keys = if self.random.one_in(2) { vec![last] } else { Vec::new() };
            published.keys.push(last + 1);
        }
        self.nodes.host.published.lock().unwrap()[place as usize] = published.clone();
        self.model.published[place as usize] = published;
    }

    fn pass(&mut self, seconds: u64) {
        self.model.clock += seconds;
        self.nodes.set_clock(self.model.clock);
    }

    fn secret(&mut self) -> Proof {
        Proof::Secret(*self.random.pick(&ALL), !self.random.one_in(8))
    }

    fn machine(&mut self) -> Result<(), String> {
        let proof = self.secret();
        let node = self.random.below(4);
        self.send(node, Request::Machine(proof))
    }

    /// Sends an assertion: a new one of its owner at its own issuer, or, as a thief has them all, an
    /// earlier one, at any node and by any client.
    fn assertion(&mut self) -> Result<(), String> {
        let is_stolen = self.random.one_in(2) && !self.assertions.is_empty();
        let at = if is_stolen {
            let back = self.random.below(self.assertions.len().min(6));
            self.assertions.len() - 1 - back
        } else {
            self.make()
        };
        let Assertion { kind, audience, .. } = self.model.assertions[at];
        let is_elsewhere = is_stolen && self.random.one_in(3);
        let issuer = if is_elsewhere { 1 - audience } else { audience };
        let node = 2 * issuer + self.random.below(2);
        if is_stolen && self.random.one_in(3) {
            let by = match self.random.below(4) {
                0 => Proof::Nothing,
                1 => Proof::Assertion(self.random.below(self.assertions.len())),
                2 => Proof::Secret(Who::Evil, true),
                _ => self.secret(),
            };
            // Both marks of one assertion are the same mark.
            let is_twice = matches!(by, Proof::Assertion(other) if other == at);
            let by = if is_twice { Proof::Nothing } else { by };
            return self.send(node, Request::Exchange(at, by));
        }
        match kind {
            Kind::Proof(_) => self.send(node, Request::Machine(Proof::Assertion(at))),
            Kind::Person(_) => {
                self.send(node, Request::Exchange(at, Proof::Secret(Who::Web, true)))
            }
            Kind::Program => self.send(node, Request::Exchange(at, Proof::Nothing)),
        }
    }

    /// Makes an assertion. Some are forged, over, or have the `jti` of an earlier one.
    fn make(&mut self) -> usize {
        let kind = match self.random.below(6) {
            0 | 1 => Kind::Proof(*self.random.pick(&[Who::Signer, Who::Keyed])),
            2..5 => Kind::Person(self.random.below(5).min(2)),
            _ => Kind::Program,
        };
        let count = self.assertions.len();
        // A `jti` of before is new again once every assertion that had it is over.
        let fresh = self.model.assertions.iter().filter(|own| self.model.clock <= own.expires);
        let fresh: Vec<u64> = fresh.map(|own| own.number).collect();
        let is_again = self.random.one_in(10) && !fresh.is_empty();
        let number = if is_again { *self.random.pick(&fresh) } else { count as u64 };
        let key = match kind.place() {
            Some(place) => self.model.published[place as usize].signs_with(),
            None => 1,
        };
        let lives = if self.random.one_in(10) { 0 } else { 60 };
        let assertion = Assertion {
            kind,
            audience: self.random.below(2),
            is_genuine: !self.random.one_in(8),
            expires: self.model.clock + lives,
            number,
            key,
        };
        self.assertions.push(nodes::text(&assertion, self.model.clock - (60 - lives)));
        self.model.assertions.push(assertion);
        count
    }

    fn send(&mut self, node: usize, request: Request) -> Result<(), String> {
        let mut faults = vec![None; 3];
        if self.random.one_in(4) {
            let fault = *self.random.pick(&[
                Fault::Conflict,
                Fault::AppliedThenConflict,
                Fault::Unacknowledged,
                Fault::Dropped,
            ]);
            faults[self.random.below(3)] = Some(fault);
        }
        let mut pairs = Vec::new();
        let proof = match request {
            Request::Machine(proof) => {
                pairs.push(("grant_type", "client_credentials"));
                proof
            }
            Request::Exchange(at, proof) => {
                pairs.push(("grant_type", JWT_BEARER));
                pairs.push(("assertion", &*self.assertions[at]));
                proof
            }
        };
        let wrong = format!("{SECRET}x");
        match proof {
            Proof::Nothing => {}
            Proof::Secret(who, is_right) => {
                let secret = if is_right { SECRET } else { &wrong };
                pairs.extend([("client_id", name(who)), ("client_secret", secret)]);
            }
            Proof::Assertion(at) => pairs.extend([
                ("client_assertion", &*self.assertions[at]),
                ("client_assertion_type", CLIENT_ASSERTION),
            ]),
        }
        let body = form(&pairs);
        *self.nodes.store.faults.lock().unwrap() = faults.iter().copied().collect();
        let answer = self.nodes.all[node].token(&posted(&body));
        self.nodes.store.faults.lock().unwrap().clear();
        let expected = self.model.run(node, request, &faults);
        for found in self.model.found.drain(..) {
            let name = match found {
                Found::AtOnce => "at once",
                Found::Anew => "anew",
                Found::Stale => "stale",
                Found::Missing => "missing",
                Found::Unreachable => "unreachable",
            };
            *self.reached.answers.entry(("keys", name)).or_default() += 1;
        }
        let fetches = self.nodes.host.fetches.load(Ordering::SeqCst);
        if fetches != self.model.fetches {
            return Err(format!("{fetches} fetches for {request:?} of {:?}", self.model));
        }
        let asked = match request {
            Request::Machine(_) => "machine",
            Request::Exchange(..) => "exchange",
        };
        let what = match expected {
            Answer::Token(..) => "tokens",
            Answer::Refused(code) => code,
            Answer::Unavailable => "unavailable",
        };
        *self.reached.answers.entry((asked, what)).or_default() += 1;
        self.compare(node, answer, expected).map_err(|fault| {
            format!("{fault} at node {node} for {request:?} with {faults:?} of {:?}", self.model)
        })
    }

    fn compare(
        &mut self,
        node: usize,
        answer: Result<Reply, Error<Broken>>,
        expected: Answer,
    ) -> Result<(), String> {
        let policy = self.nodes.all[node].policy();
        match (answer, expected) {
            (Ok(reply), Answer::Token(who, user)) if reply.status == 200 => {
                let body: serde_json::Value =
                    serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
                let text = body["access_token"].as_str().unwrap_or_default().to_owned();
                let lives = body["expires_in"].as_u64().unwrap_or_default();
                let is_new = !self.tokens.contains(&text);
                if !is_new || lives == 0 || lives > ACCESS || body.get("refresh_token").is_some() {
                    return Err(format!("{body}"));
                }
                let epochs = self.model.epochs(who, user);
                let expires = self.model.clock + lives;
                self.model.tokens.push(Token { issuer: node / 2, who, user, expires, epochs });
                self.tokens.push(text);
                Ok(())
            }
            (Err(error), expected) => {
                let refusal = error.refusal();
                let code = refusal.code().map_or("", |code| code.as_str());
                let status = error.reply(policy).status;
                let is_right = match expected {
                    Answer::Refused(own) => code == own && is_registered(To::Token, code, status),
                    Answer::Unavailable => status == 503,
                    Answer::Token(..) => false,
                };
                let reason = refusal.reason();
                if is_right {
                    Ok(())
                } else {
                    Err(format!("{code} by {reason:?}, not {expected:?}"))
                }
            }
            (Ok(reply), expected) => Err(format!("{}, and not {expected:?}", reply.body)),
        }
    }

    /// Checks a token at any node: mostly at one of its issuer.
    fn check(&mut self, at: usize) -> Result<(), String> {
        let own = self.model.tokens[at];
        let issuer = if self.random.one_in(6) { 1 - own.issuer } else { own.issuer };
        let node = &self.nodes.all[2 * issuer + self.random.below(2)];
        let needs = node.policy().needs(RESOURCE, "read").map_err(|error| error.to_string())?;
        let header = format!("Bearer {}", self.tokens[at]);
        let checked = node.check(&Authorization::One(header.as_bytes()), &needs.machines());
        let is_live = self.model.is_live(&own, issuer);
        let name_of_check = if is_live { "active" } else { "inactive" };
        *self.reached.answers.entry(("check", name_of_check)).or_default() += 1;
        match checked {
            Ok(access) => {
                let subject = access.subject().map(|subject| subject.as_str().to_owned());
                let user = own.user.map(|user| USERS[user].to_owned());
                let is_right = is_live
                    && access.client_id().as_str() == name(own.who)
                    && subject == user
                    && access.expires().unix_seconds() == own.expires;
                if is_right { Ok(()) } else { Err(format!("{access:?}, and not {own:?}")) }
            }
            Err(error) => {
                let code = error.refusal().code().map(grantcore::reason::ErrorCode::as_str);
                let is_right = !is_live && code == Some("invalid_token");
                if is_right { Ok(()) } else { Err(format!("{code:?} for {own:?}")) }
            }
        }
    }

    /// The operator deactivates a client, suspends a user, or ends all grants of one of them.
    fn operate(&mut self) -> Result<(), String> {
        let because = RevokedBy::Administrator("because");
        let (at, user) = (self.random.below(ALL.len()), self.random.below(2));
        let choice = self.random.below(8);
        let node = &self.nodes.all[self.random.below(4)];
        let done = match choice {
            0 => {
                self.model.client_epochs[at] += 1;
                node.revoke_client(name(ALL[at]), because)
            }
            1 => {
                self.model.user_epochs[user] += 1;
                node.revoke_user(USERS[user], because).map(drop)
            }
            2..5 => {
                let suspended = self.model.is_suspended.iter().position(|is| *is);
                let user = suspended.unwrap_or(user);
                self.model.is_suspended[user] = suspended.is_none();
                self.nodes.store.inner.set_suspended(USERS[user], suspended.is_none());
                Ok(())
            }
            _ => {
                let inactive = self.model.is_active.iter().position(|is| !is);
                let at = inactive.unwrap_or(at);
                self.model.is_active[at] = inactive.is_some();
                let status = match inactive {
                    Some(_) => ClientStatus::Active,
                    None => ClientStatus::Deactivated,
                };
                node.set_client_status(name(ALL[at]), status).map(drop)
            }
        };
        done.map_err(|error| format!("{error:?} at {}", ISSUERS[0]))
    }
}
