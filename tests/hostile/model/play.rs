//! Plays a program: sends each request to the servers and to the model, and compares the answers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantcore::grant::{GrantState, RevocationCause};
use grantcore::value::GrantId;
use grantcore::{Error, Event, Reply};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::rig::{BEGINNING, Broken, CLIENTS, Face, ISSUERS, Rig, SCOPES};
use super::rules::{Answer, Credential, Entry, Grant, Model, Phase, Set};
use super::scan::{Canaries, added};
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

/// The generation of a refresh token that was never issued.
const OLD: u64 = u64::MAX - 1;

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
}

pub struct Play {
    pub rig: Rig,
    pub model: Model,
    pub random: Random,
    pub reached: Reached,
    /// The texts that a response had, by their kind.
    held: [Vec<String>; 4],
    /// The `state` of each grant's request.
    pub states: Vec<String>,
    ids: Vec<GrantId>,
    pub number: u64,
    canaries: Canaries,
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
        let rig = Rig::new(random.next(), window, &USERS);
        let model = Model::new(BEGINNING, window, CLIENTS.len(), USERS.len());
        let mut canaries = Canaries::default();
        canaries.add_text(super::rig::SECRET);
        for verifier in VERIFIERS {
            canaries.add_text(verifier);
        }
        Self {
            rig,
            model,
            random,
            reached: Reached::default(),
            held: Default::default(),
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

    /// Returns a credential: mostly a recent one of this kind, sometimes any other, sometimes one
    /// that was changed.
    pub fn credential(&mut self, kind: Kind) -> (String, Credential) {
        let list = if self.random.one_in(14) { self.random.below(4) } else { kind as usize };
        let good = self.good(list);
        let good = match self.predecessor(kind) {
            Some(text) if self.random.one_in(4) => Some(text),
            _ => good,
        };
        let text = match (self.random.below(8), good) {
            (0..6, Some(text)) => text,
            (6, _) if !self.held[list].is_empty() => self.random.pick(&self.held[list]).clone(),
            _ => match self.random.recent(&self.held[list]) {
                Some(text) => text.clone(),
                None => return ("x".into(), Credential::Junk),
            },
        };
        let known = self.model.texts[&text];
        if !self.random.one_in(14) {
            return (text, known);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(&text[4..]).expect("a credential is base64url");
        let at = self.random.below(bytes.len());
        bytes[at] ^= 1 << self.random.below(8);
        let changed = format!("{}{}", &text[..4], URL_SAFE_NO_PAD.encode(bytes));
        // A refresh token has the secret of its family before its own. The right family with
        // another secret is no forgery but an old token.
        let known = match known {
            Credential::Refresh(grant, _) if at >= 48 => Credential::Refresh(grant, OLD),
            _ => Credential::Junk,
        };
        (changed, known)
    }

    /// Returns the newest credential of this kind that an honest client would present now.
    fn good(&self, list: usize) -> Option<String> {
        let good = |text: &&String| self.is_good(self.model.texts[*text]);
        self.held[list].iter().rev().find(good).cloned()
    }

    /// Returns the refresh token that was rotated last, which a client whose response was lost sends
    /// again.
    fn predecessor(&self, kind: Kind) -> Option<String> {
        let is_last = |text: &&String| match self.model.texts[*text] {
            Credential::Refresh(grant, generation) => match &self.model.grants[grant].phase {
                Phase::Active(active) => generation + 1 == active.generation,
                _ => false,
            },
            _ => false,
        };
        let Kind::Refresh = kind else { return None };
        self.held[kind as usize].iter().rev().find(is_last).cloned()
    }

    /// Returns whether a step with this kind of credential is worth while: mostly only if an honest
    /// client has one to present.
    pub fn is_due(&mut self, kind: Kind) -> bool {
        self.good(kind as usize).is_some() || self.random.one_in(12)
    }

    /// Returns whether an honest client would present the credential now.
    fn is_good(&self, credential: Credential) -> bool {
        let Some(id) = credential.grant() else { return false };
        let grant = &self.model.grants[id];
        let now = self.model.clock.max(grant.seen);
        let is_alive = now < grant.end && !self.model.is_ended(grant);
        is_alive
            && match (credential, &grant.phase) {
                (Credential::Ticket(_), Phase::Pending { expires })
                | (Credential::Code(_), Phase::Code { expires }) => now < *expires,
                (Credential::Access(_, number), Phase::Active(active)) => {
                    let is_own = |entry: &&Entry| entry.number == number;
                    active.kept.iter().find(is_own).is_some_and(|entry| now < entry.expires)
                }
                (Credential::Refresh(_, generation), Phase::Active(active)) => {
                    generation == active.generation && now < active.idle
                }
                _ => false,
            }
    }

    pub fn grant(&self, id: usize) -> (&Grant, GrantId) {
        (&self.model.grants[id], self.ids[id])
    }

    /// Adds a grant with its ticket.
    pub fn create(&mut self, grant: Grant, state: String, ticket: &str) -> Result<(), Fault> {
        let id = grant_of(ticket).ok_or("a ticket has no grant")?;
        if self.ids.contains(&id) {
            return Err("two pages have one grant".into());
        }
        let credential = Credential::Ticket(grant.id);
        self.model.grants.push(grant);
        self.states.push(state);
        self.ids.push(id);
        self.learn(ticket, credential)
    }

    /// Adds a text that a response had. One text is one credential, and one credential one text.
    pub fn learn(&mut self, text: &str, credential: Credential) -> Result<(), Fault> {
        let known = self.model.texts.iter().find(|(_, own)| **own == credential);
        if known.is_some_and(|(own, _)| own != text) {
            return Err(format!("{credential:?} has two texts"));
        }
        if known.is_some() {
            return Ok(());
        }
        if self.model.texts.insert(text.to_owned(), credential).is_some() {
            return Err(format!("the text of {credential:?} is another's"));
        }
        let grant = credential.grant().map(|grant| self.ids[grant]);
        if grant_of(text) != grant {
            return Err(format!("{credential:?} names another grant"));
        }
        let (kind, prefix) = match credential {
            Credential::Ticket(_) => (Kind::Ticket, "gct_"),
            Credential::Code(_) => (Kind::Code, "gac_"),
            Credential::Access(..) => (Kind::Access, "gat_"),
            _ => (Kind::Refresh, "grt_"),
        };
        if !text.starts_with(prefix) {
            return Err(format!("{credential:?} has another prefix"));
        }
        self.canaries.add(text);
        self.held[kind as usize].push(text.to_owned());
        Ok(())
    }

    /// Learns a text, unless its response gets lost on the way.
    pub fn receive(&mut self, text: &str, credential: Credential) -> Result<(), Fault> {
        if self.random.one_in(10) {
            self.canaries.add(text);
            return Ok(());
        }
        self.learn(text, credential)
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
            || owner != (CLIENTS[grant.client].id, Some(USERS[grant.user]))
            || record.issued_by() != ISSUERS[grant.issuer]
        {
            return Err(format!("{grant:?} is {:?} of {owner:?}", record.state()));
        }
        Ok(())
    }

    pub fn records(&self) -> Result<(), Fault> {
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
