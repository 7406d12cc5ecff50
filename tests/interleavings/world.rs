//! The constant surroundings of an exploration: the policy, the clients, the texts of credentials,
//! and the real decisions on a state.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use grantcore::account::RefreshDecision;
use grantcore::grant::{Grant, GrantState, RevocationCause};
use grantcore::moment::Moment;
use grantcore::operation::{Loaded, Next};
use grantcore::policy::RevocationRules;
use grantcore::store::{Change, Commit, Keys, Stored, Version};
use grantcore::value::GrantId;
use grantcore::{Account, Client, Policy, Reason, Timestamp, User};

use crate::broken::Rule;
use crate::memory::{Hint, Memories, Memory, remembering};
use crate::proof::{self, Proof, Registered};
use crate::request::{
    Ask, Credential, Flaw, Judgment, Kind, Request, Which, entropy, entropy_of_page,
};
use crate::scenario::Scenario;
use crate::search::Map;
use crate::state::{Answer, Basis, Epochs, Name, Record, State};
use crate::support::{T, policy};

pub struct World {
    pub window: i64,
    pub ticks: &'static [i64],
    /// Whether the host changes an epoch or its mind, so that the time at which they are read
    /// matters.
    pub is_host_active: bool,
    /// The rule that is left out.
    pub without: Option<Rule>,
    policy: Policy,
    /// `None` if no request of the scenario names an earlier grant.
    memories: Option<Memories>,
    other: Arc<Client>,
    registered: Registered,
    client: Arc<Client>,
    texts: RefCell<Vec<(Credential, String)>>,
    keys: RefCell<Map<Question, Option<GrantId>>>,
    remembered: RefCell<Map<Question, Option<GrantId>>>,
    decisions: RefCell<Map<Question, Rc<Decision>>>,
}

/// The actor of the model's own questions, beyond the actors of every scenario.
const PROBE: usize = 20;

/// All inputs of a decision.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub ask: Ask,
    pub presented: Option<Credential>,
    pub by: Name,
    pub attempt: u8,
    pub basis: Basis,
    pub proof: Proof,
    /// When the mark of its assertion was made.
    pub marked: Option<i64>,
}

/// A decision: its write, and its responses if the write is done or its outcome is unknown.
pub struct Decision {
    pub write: Option<Change<Grant>>,
    /// Whether the request waits for the mark of its assertion, and nothing else holds.
    pub marks: bool,
    /// Whether the write changes nothing but the proof that the grant has.
    pub raises: bool,
    pub done: Answer,
    pub unknown: Answer,
}

impl Question {
    /// Returns the model's own question: the response to this credential now.
    fn probe(ask: Ask, presented: Credential, state: &State) -> Self {
        let by = Name { actor: PROBE, retried: false };
        let basis = Basis {
            grant: state.record.clone(),
            now: state.clock,
            epochs: state.epochs,
            memory: None,
            judgment: Judgment::Keep,
        };
        let (proof, marked) = (Proof::Strong, Some(state.clock));
        Self { ask, presented: Some(presented), by, attempt: 0, basis, proof, marked }
    }

    /// Returns the moment of an attempt: the same entropy at each attempt, and the clock as read.
    fn moment(&self, without: Option<Rule>) -> Moment {
        let seed =
            u8::try_from(self.by.actor * 2 + usize::from(self.by.retried)).expect("few requests");
        // Far from the seeds of other requests.
        let is_fresh = without == Some(Rule::SameEntropy);
        let seed = if is_fresh { seed + 12 * self.attempt } else { seed };
        let entropy = if matches!(self.ask, Ask::Authorize | Ask::AuthorizeAgain(_)) {
            entropy_of_page(seed)
        } else {
            entropy(seed)
        };
        let now = Timestamp::from_unix_seconds(T.saturating_add_signed(self.basis.now));
        let retries = if without == Some(Rule::Again) { 0 } else { self.attempt };
        (0..retries).fold(Moment::new(now, entropy), |moment, _| moment.retry(now))
    }
}

impl World {
    pub fn new(window: u64, scenario: &Scenario, is_host_active: bool, remembers: bool) -> Self {
        let registered = scenario.proofs.client;
        Self {
            window: window.try_into().expect("a short window"),
            ticks: scenario.clock.0,
            registered,
            client: proof::registered(registered),
            is_host_active,
            without: None,
            memories: remembers.then(|| Memories::new(policy())),
            policy: registered
                .policy(remembering(policy()))
                .replay_window(Duration::from_secs(window))
                .revocation(RevocationRules::default())
                .build()
                .expect("a policy"),
            other: Arc::new(
                Client::public("other")
                    .redirect_uri(crate::support::CALLBACK)
                    .build()
                    .expect("a client"),
            ),
            texts: RefCell::default(),
            keys: RefCell::default(),
            remembered: RefCell::default(),
            decisions: RefCell::default(),
        }
    }

    /// Returns whether a request of the scenario names an earlier grant.
    pub fn remembers(&self) -> bool {
        self.memories.is_some()
    }

    /// Returns what the request reads of the earlier grant that its real keys name, or that the
    /// loaded grant relies on.
    pub fn load_memory(&self, question: &Question, state: &State) -> Option<Memory> {
        let memories = self.memories.as_ref()?;
        let known = self.remembered.borrow().get(question).copied();
        let named = known.unwrap_or_else(|| {
            let bytes = self.bytes(question);
            let request = question.ask.parse(&bytes, &self.policy, self);
            let keys = request.names(&self.policy, &question.moment(self.without));
            let grant = question.basis.grant.as_ref().map(|record| &*record.0.record);
            let named = keys.remembered_id(grant);
            self.remembered.borrow_mut().insert(question.clone(), named);
            named
        });
        memories.read(named?, state.is_memory_ended)
    }

    /// Returns alice, with the earlier grant that the request names.
    pub fn user(&self, hint: Hint) -> User<'static> {
        self.memories.as_ref().expect("the scenario has earlier grants").user(hint)
    }

    /// Returns the grant that the request's real keys name, if it is the recorded one.
    pub fn load_grant(&self, question: &Question, record: Option<&Record>) -> Option<Record> {
        let known = self.keys.borrow().get(question).copied();
        let named = known.unwrap_or_else(|| {
            let bytes = self.bytes(question);
            let named = question
                .ask
                .parse(&bytes, &self.policy, self)
                .names(&self.policy, &question.moment(self.without))
                .grant;
            self.keys.borrow_mut().insert(question.clone(), named);
            named
        });
        record.filter(|record| Some(record.0.record.id()) == named).cloned()
    }

    /// Returns the real decision of this request on its loaded records, for each report of the
    /// store about its write. Equal inputs give equal decisions, so decisions are cached. The step
    /// machine uses only the part that the report allows.
    pub fn decide(&self, question: Question) -> Rc<Decision> {
        if let Some(known) = self.decisions.borrow().get(&question) {
            return Rc::clone(known);
        }
        let bytes = self.bytes(&question);
        let request = question.ask.parse(&bytes, &self.policy, self);
        let moment = question.moment(self.without);
        let loaded = self.load(&request.names(&self.policy, &moment), &question.basis);
        let moment = self.marked(&question, &*request, &loaded);
        let [done, conflict, unknown] =
            [(); 3].map(|()| request.decision(&loaded, &self.policy, &moment));
        let mut write = done.to_write().cloned();
        if done.to_mark().is_some() {
            let done = Answer::Yes(Vec::new());
            let unknown = Answer::No(Reason::StorageUnavailable);
            let decision = Decision { write, marks: true, raises: false, done, unknown };
            return self.known(question, decision);
        }
        assert!(
            conflict.to_write() == write.as_ref() && unknown.to_write() == write.as_ref(),
            "equal decisions"
        );
        assert!(
            conflict.open(Commit::Conflict).is_none(),
            "the outcome of a conflict is not disclosed"
        );
        let done = match done.open(Commit::Done).expect("an outcome") {
            Ok(credentials) => Answer::Yes(
                credentials.into_iter().map(|(kind, text)| self.credential(kind, text)).collect(),
            ),
            Err(refusal) => Answer::No(refusal.reason()),
        };
        let unknown = Answer::No(unknown.give_up(request.face()).reason());
        assert!(unknown.is_retryable(), "a store error has no outcome");
        let replay = GrantState::Revoked(RevocationCause::Replay);
        if self.without == Some(Rule::ReplayRevokes) {
            write = write.filter(|write| write.record().state() != replay);
        }
        let before = question.basis.grant.as_ref();
        let raises = write.as_ref().is_some_and(|write| proof::raises_proof(before, write));
        if self.without == Some(Rule::ProofRaised) && raises {
            write = None;
        }
        // The outcome leaves although its write may be lost.
        let unknown = if self.without == Some(Rule::Sealed) { done.clone() } else { unknown };
        self.known(question, Decision { write, marks: false, raises, done, unknown })
    }

    fn known(&self, question: Question, decision: Decision) -> Rc<Decision> {
        let decision = Rc::new(decision);
        self.decisions.borrow_mut().insert(question, Rc::clone(&decision));
        decision
    }

    /// Returns the moment of a decision. If the mark of the assertion was made, it is as the
    /// library's own turn after the mark leaves it.
    fn marked(&self, question: &Question, request: &dyn Request, loaded: &Loaded) -> Moment {
        let moment = question.moment(self.without);
        let Some(at) = question.marked.filter(|_| self.registered.has_keys()) else {
            return moment;
        };
        let first = Question { attempt: 0, ..question.clone() }.moment(self.without);
        let waiting = request.decision(loaded, &self.policy, &first);
        let Some(seen) = waiting.to_mark() else { return moment };
        let at = Timestamp::from_unix_seconds(T.saturating_add_signed(at));
        let own = Next::Met(Box::new(seen.clone())).found(Some(seen));
        let mut after = moment.after(&own, at);
        if self.without == Some(Rule::LoadTime) {
            after.now = at;
        }
        after.is_retry |= self.without == Some(Rule::FirstAttempt);
        after
    }

    /// Returns the bytes of a request, as a server without the rule sees them.
    fn bytes(&self, question: &Question) -> String {
        let ask = self.without.map_or(question.ask, |rule| rule.hides_flaw_of(question.ask));
        let bytes = ask.bytes(&self.text(self.presented(question)));
        let proof = proof::sent(question.proof, question.ask, self.without);
        let is_keyed = self.registered.has_keys() && question.ask.presents_to_client();
        let proof = if is_keyed { proof } else { Proof::None };
        self.registered.send(bytes, question.by, proof)
    }

    /// Returns the credential of a request. Without [`Rule::Judged`], a decision of the host is
    /// applied as if the current refresh token was presented.
    fn presented(&self, question: &Question) -> Option<Credential> {
        let is_judged = question.basis.judgment != Judgment::Keep;
        let refreshes = matches!(question.ask, Ask::Refresh(..));
        if self.without == Some(Rule::Judged) && is_judged && refreshes {
            let texts = self.texts.borrow();
            return texts.iter().map(|(own, _)| *own).rfind(|own| own.kind == Kind::Refresh);
        }
        question.presented
    }

    fn load(&self, keys: &Keys<'_>, basis: &Basis) -> Loaded {
        let epochs = match self.without {
            Some(Rule::Epochs) => Epochs::default(),
            _ => basis.epochs,
        };
        let of_grant = basis.grant.as_ref().map(|record| &*record.0.record);
        let named = keys.client_id(of_grant);
        let of_grant = of_grant.map(|grant| grant.client_id().as_str());
        let falls_back = self.without == Some(Rule::Named);
        let client = match of_grant.filter(|_| falls_back).or(named) {
            Some(id) if id == self.registered.id() => {
                let ended = |client: Client, _| client.with_grants_ended();
                Some(match epochs.client {
                    0 => Arc::clone(&self.client),
                    raised => Arc::new((0..raised).fold((*self.client).clone(), ended)),
                })
            }
            Some("other") => Some(Arc::clone(&self.other)),
            _ => None,
        };
        let client = client.map(|record| Stored { record, version: Version::FIRST });
        let account = Some(Account { suspended: false, epoch: epochs.account });
        let grant = basis.grant.clone().map(|Record(stored)| stored);
        let memory = self.memories.as_ref().zip(basis.memory);
        let remembered = memory.map(|(memories, memory)| memories.record(memory));
        let asked = keys.refresh_decision;
        let refresh_decision =
            if asked { basis.judgment.decision() } else { RefreshDecision::Keep };
        Loaded { grant, client, account, remembered, refresh_decision, ..Loaded::default() }
    }

    /// Returns whether the resource check accepts this access token in this state.
    pub fn validates(&self, state: &State, token: Credential) -> bool {
        matches!(self.decide(Question::probe(Ask::Check, token, state)).done, Answer::Yes(_))
    }

    /// Returns whether the resource check accepts this access token for a call that writes.
    pub fn writes(&self, state: &State, token: Credential) -> bool {
        matches!(self.decide(Question::probe(Ask::CheckWrite, token, state)).done, Answer::Yes(_))
    }

    /// Returns whether a refresh with this token would advance the grant in this state.
    pub fn advances(&self, state: &State, token: Credential) -> bool {
        let probe =
            self.decide(Question::probe(Ask::Refresh(Which::First, Flaw::None), token, state));
        let is_active = |write: &Change<Grant>| write.record().state() == GrantState::Active;
        !probe.raises && probe.write.as_ref().is_some_and(is_active)
    }

    /// Returns whether no access token that left validates, and no refresh token advances the
    /// grant.
    pub fn is_dead(&self, state: &State) -> bool {
        !state.disclosed(Kind::Access).any(|token| self.validates(state, token))
            && !state.disclosed(Kind::Refresh).any(|token| self.advances(state, token))
    }

    fn text(&self, presented: Option<Credential>) -> String {
        let texts = self.texts.borrow();
        let found = presented.and_then(|presented| texts.iter().find(|(own, _)| *own == presented));
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// Returns the name of a credential. A new text gets a new name.
    fn credential(&self, kind: Kind, text: String) -> Credential {
        let mut texts = self.texts.borrow_mut();
        if let Some((known, _)) = texts.iter().find(|(_, known)| *known == text) {
            return *known;
        }
        let number = texts.iter().filter(|(known, _)| known.kind == kind).count() + 1;
        texts.push((Credential { kind, number }, text));
        Credential { kind, number }
    }
}
