//! Plays a program: sends each request to the servers and to the model, and compares the answers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::value::GrantId;
use grantcore::{Error, Event, Reply};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::clients::Published;
use super::documents;
use super::records::{Client, Credential, Grant, Origin, Phase, Remember, Set};
use super::rig::{BEGINNING, CLIENTS, DOCUMENTS, Face, ISSUERS, Rig, SCOPES};
use super::rules::{Answer, Model};
use super::scan::{Canaries, added};
use super::store::Broken;
use crate::cast::grant_of;
use crate::errors::is_registered;
use crate::random::Random;
use crate::wire::To;

pub const USERS: [&str; 2] = ["alice", "bob"];
pub const SESSIONS: [&[u8]; 2] = [b"alice's browser", b"bob's browser"];
pub const VERIFIERS: [&str; 3] = [
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "a-verifier-of-the-second-browser-0123456789-abc",
    "a.verifier.of.the.thief.who.has.his.own.000000",
];

/// Why an answer, an event or a record is wrong.
pub type Fault = String;

/// What a program reached.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    pub steps: usize,
    /// How often each kind of request had each kind of answer.
    pub answers: BTreeMap<(&'static str, &'static str), usize>,
}

impl Reached {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        for (answer, count) in &other.answers {
            *self.answers.entry(*answer).or_default() += count;
        }
    }
}

/// Kinds of credentials, in the order of `Play::held`.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Ticket,
    Code,
    Access,
    Refresh,
    Management,
}

pub struct Play {
    pub rig: Rig,
    pub model: Model,
    pub random: Random,
    pub reached: Reached,
    /// The texts that a response had, by their kind.
    pub held: [Vec<String>; 5],
    /// The `client_id` of each client.
    pub clients: Vec<String>,
    /// The secret of a client that each of these requests made.
    pub secrets: BTreeMap<u64, String>,
    /// What the URL of each document gives now.
    pub published: Vec<Published>,
    /// The `state` of each grant's request.
    pub states: Vec<String>,
    ids: Vec<GrantId>,
    pub number: u64,
    pub canaries: Canaries,
}

/// The number that stands for the operator's secret.
const OPERATORS: u64 = 0;

/// Returns the clients of the operator, and those of documents that nobody has read.
fn known_clients() -> Vec<Client> {
    let all = SCOPES.len();
    let operators = CLIENTS.iter().map(|actor| Client {
        version: 0,
        origin: Origin::Operator,
        is_on_record: true,
        is_active: true,
        is_deleted: false,
        epoch: 0,
        expires: u64::MAX,
        redirects: actor.redirects.iter().map(|uri| (*uri).to_owned()).collect(),
        scope: (1 << all) - 1,
        secret: actor.has_secret.then_some(OPERATORS),
        described: 0,
    });
    let documents = DOCUMENTS.iter().map(|_| Client {
        version: 0,
        origin: Origin::Document(0),
        is_on_record: false,
        is_active: true,
        is_deleted: false,
        epoch: 0,
        expires: 0,
        redirects: Vec::new(),
        scope: 0,
        secret: None,
        described: 0,
    });
    operators.chain(documents).collect()
}

/// Returns the names of a set.
pub fn names(all: &[&str], set: Set) -> String {
    let chosen = all.iter().enumerate().filter(|(bit, _)| set & 1 << bit != 0);
    chosen.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl Play {
    pub fn new(mut random: Random) -> Self {
        let window = [0, 30][random.below(2)];
        let memories = [Remember::Nobody, Remember::Confidential, Remember::HttpsRedirect];
        let rules = (window, memories[random.below(3)]);
        let rig = Rig::new(random.next(), rules, &USERS);
        let model = Model::new(BEGINNING, rules, known_clients(), USERS.len());
        let mut canaries = Canaries::default();
        canaries.add_text(super::rig::SECRET);
        for verifier in VERIFIERS {
            canaries.add_text(verifier);
        }
        let ids = CLIENTS.iter().map(|actor| actor.id).chain(DOCUMENTS);
        Self {
            rig,
            model,
            random,
            reached: Reached::default(),
            held: Default::default(),
            clients: ids.map(str::to_owned).collect(),
            secrets: BTreeMap::from([(OPERATORS, super::rig::SECRET.to_owned())]),
            published: (0..DOCUMENTS.len()).map(documents::first).collect(),
            states: Vec::new(),
            ids: Vec::new(),
            number: 0,
            canaries,
        }
    }

    pub fn face(&mut self) -> Face {
        match self.random.below(8) {
            0..3 => Face::Blocking,
            3 => Face::Asynchronous(Some(self.random.below(16))),
            _ => Face::Asynchronous(None),
        }
    }

    pub fn grant(&self, id: usize) -> (&Grant, GrantId) {
        (&self.model.grants[id], self.ids[id])
    }

    /// Adds a grant with its ticket, or with its code if no page was shown.
    pub fn create(&mut self, grant: Grant, state: String, ticket: &str) -> Result<(), Fault> {
        let id = grant_of(ticket).ok_or("a ticket has no grant")?;
        if self.ids.contains(&id) {
            return Err("two pages have one grant".into());
        }
        let credential = match grant.phase {
            Phase::Code { .. } => Credential::Code(grant.id),
            _ => Credential::Ticket(grant.id),
        };
        self.model.grants.push(grant);
        self.states.push(state);
        self.ids.push(id);
        self.learn(ticket, credential)
    }

    /// Checks that the text has no secret.
    pub fn scan(&self, text: &str) -> Result<(), Fault> {
        match self.canaries.found(text) {
            Some(part) => Err(format!("{part}, a part of a secret, is in {text}")),
            None => Ok(()),
        }
    }

    /// Checks the events of a call: each is complete, and none has a secret. A call that ended has
    /// one.
    pub fn events(&mut self, is_over: bool, count: usize) -> Result<Vec<Event>, Fault> {
        let events = self.rig.events();
        for event in &events {
            self.scan(&format!("{event:?}"))?;
            self.scan(&serde_json::to_string(event).map_err(|error| error.to_string())?)?;
        }
        if is_over && events.len() != count {
            return Err(format!("{} events", events.len()));
        }
        Ok(events)
    }

    /// Checks a refusal: its error is registered, its description is that of its reason, and
    /// nothing of it has a secret. Returns its code.
    pub fn refusal(&self, to: To, issuer: usize, error: &Error<Broken>) -> Result<String, Fault> {
        self.scan(&format!("{error} {error:?}"))?;
        let policy = self.rig.policy(issuer);
        let reply = error.reply(policy);
        self.scan(&format!("{reply:?} {}", reply.body))?;
        let refusal = error.refusal();
        let code = refusal.code().map_or("", |code| code.as_str());
        if !is_registered(to, code, refusal.status()) {
            return Err(format!("{} {code:?} at {to:?}", refusal.status()));
        }
        if !refusal.description().starts_with(refusal.reason().description()) {
            return Err(format!("{} has another description", refusal.reason().name()));
        }
        if error.failure().is_some() != (code == "temporarily_unavailable")
            && refusal.reason() != grantcore::Reason::Contended
            && refusal.reason() != grantcore::Reason::DocumentsBusy
        {
            return Err(format!("{code} and the failure {:?}", error.failure()));
        }
        Ok(code.to_owned())
    }

    /// Checks a token response, and receives its tokens.
    pub fn tokens(&mut self, reply: &Reply, answer: &Answer) -> Result<(), Fault> {
        let Answer::Tokens { grant, generation, number, entry, lives } = answer else {
            return Err(format!("tokens, and not {answer:?}"));
        };
        let body: serde_json::Value =
            serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if let Some(entry) = entry {
            let scope = names(&SCOPES, entry.scope);
            let seconds = body["expires_in"].as_u64();
            if text("scope") != scope || seconds != Some((*lives).max(1)) {
                return Err(format!("{body} is not {scope} for {lives} s"));
            }
        }
        let is_complete = text("token_type") == "Bearer"
            && reply.header("cache-control") == Some("no-store")
            && body.as_object().is_some_and(|members| members.len() == 5);
        if !is_complete {
            return Err(format!("{body}"));
        }
        let refresh = Credential::Refresh(*grant, *generation);
        self.receive(&text("refresh_token"), refresh)?;
        self.receive(&text("access_token"), Credential::Access(*grant, *number))
    }

    /// Checks that the record of a grant is what the model says.
    pub fn record(&self, id: usize) -> Result<(), Fault> {
        let (grant, own) = self.grant(id);
        let stored = self.rig.record(own).ok_or("a record is missing")?;
        let record = &stored.record;
        self.scan(&serde_json::to_string(&**record).map_err(|error| error.to_string())?)?;
        let is_same = match (&grant.phase, record.state()) {
            (Phase::Pending { .. }, GrantState::ConsentPending)
            | (Phase::Code { .. }, GrantState::CodeIssued)
            | (Phase::Active(_), GrantState::Active) => true,
            (Phase::Denied, GrantState::Revoked(cause)) => cause == RevocationCause::Denied,
            (Phase::Revoked, GrantState::Revoked(cause)) => cause != RevocationCause::Denied,
            _ => false,
        };
        let subject = record.subject().map(grantcore::value::Subject::as_str);
        let owner = (record.client_id().as_str(), subject);
        if !is_same
            || owner != (&*self.clients[grant.client], Some(USERS[grant.user]))
            || record.issued_by() != ISSUERS[grant.issuer]
        {
            return Err(format!("{grant:?} is {:?} of {owner:?}", record.state()));
        }
        Ok(())
    }

    pub fn records(&self) -> Result<(), Fault> {
        (0..self.clients.len()).try_for_each(|client| self.client_record(client))?;
        (0..self.ids.len()).try_for_each(|id| self.record(id))
    }
}

/// Checks a redirect: it is the grant's URI with this issuer and state. Returns its code or
/// error.
pub fn redirect(
    location: &str,
    base: &str,
    issuer: usize,
    state: &str,
) -> Result<(Option<String>, Option<String>), Fault> {
    let mut found = added(location, base)?;
    let take = |found: &mut BTreeMap<String, String>, name| found.remove(name);
    if take(&mut found, "iss").as_deref() != Some(ISSUERS[issuer]) {
        return Err(format!("another issuer in {location}"));
    }
    if take(&mut found, "state").as_deref() != Some(state) {
        return Err(format!("another state than {state} in {location}"));
    }
    let (code, error) = (take(&mut found, "code"), take(&mut found, "error"));
    take(&mut found, "error_description")
        .filter(|_| error.is_none())
        .map_or(Ok(()), |_| Err(format!("a description without an error in {location}")))?;
    if !found.is_empty() || code.is_some() == error.is_some() {
        return Err(location.to_owned());
    }
    Ok((code, error))
}
