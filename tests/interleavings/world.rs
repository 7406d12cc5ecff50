//! What one exploration has around its states: the scenario's policy, the clients, the credentials' texts; and the real
//! decisions, made on a state.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use grantcore::{Account, Client, Commit, Entropy, Grant, GrantState, Loaded, Moment, Policy, Stored, Timestamp, Version};

use crate::request::{Ask, Credential, Flaw, Kind, Sealed, Which, entropy, entropy_of_page};
use crate::state::{Answer, Basis, Name, Standing, State};
use crate::support::{T, app, policy};

pub struct World {
    pub window: i64,
    pub ticks: &'static [i64],
    /// Whether an epoch is raised, so that it matters when client and account are read.
    pub raises: bool,
    policy: Policy,
    other: Arc<Client>,
    texts: RefCell<Vec<(Credential, String)>>,
    probes: RefCell<HashMap<Probe, bool>>,
}

/// The entropy of the model's own questions; no request has it.
const PROBE: u8 = 50;

/// A question to the record, its time and its surroundings: what would be said to this credential?
type Probe = (Arc<Grant>, i64, Standing, Credential);

impl World {
    pub fn new(window: u64, ticks: &'static [i64], raises: bool) -> Self {
        Self {
            window: window.try_into().expect("a short window"),
            ticks,
            raises,
            policy: policy().replay_window(Duration::from_secs(window)).build().expect("a policy"),
            other: Arc::new(Client::public("other").redirect_uri(crate::support::CALLBACK).build().expect("a client")),
            texts: RefCell::default(),
            probes: RefCell::default(),
        }
    }

    /// The moment of a request's attempt: the same entropy at each, the clock as read.
    pub fn moment(ask: Ask, name: Name, attempt: u8, now: i64) -> Moment {
        let seed = u8::try_from(name.actor * 2 + usize::from(name.retried)).expect("few requests");
        let entropy = if ask == Ask::Authorize { entropy_of_page(seed) } else { entropy(seed) };
        (0..attempt).fold(at(now, entropy), |moment, _| moment.again(timestamp(now)))
    }

    /// What the request's keys name, of the record.
    pub fn load_grant(&self, ask: Ask, presented: Option<Credential>, moment: &Moment, record: Option<&Stored>) -> Option<Stored> {
        let bytes = ask.bytes(&self.text(presented));
        let named = ask.parse(&bytes, &self.policy).names(moment).grant;
        record.filter(|stored| Some(stored.grant.id()) == named).cloned()
    }

    /// The real decision of this request on what it has loaded.
    pub fn decide(&self, ask: Ask, presented: Option<Credential>, moment: &Moment, basis: &Basis) -> Box<dyn Sealed> {
        let bytes = ask.bytes(&self.text(presented));
        let request = ask.parse(&bytes, &self.policy);
        let keys = request.names(moment);
        let of_grant = basis.grant.as_ref().map(|stored| stored.grant.client_id().as_str());
        let client = match keys.client.or(of_grant) {
            Some("app") => Some(Arc::new((0..basis.standing.client).fold(app(), |client, _| client.with_grants_ended()))),
            Some("other") => Some(Arc::clone(&self.other)),
            _ => None,
        };
        let account = Some(Account { suspended: false, epoch: basis.standing.account });
        request.decision(&Loaded { grant: basis.grant.clone(), client, account }, &self.policy, moment)
    }

    /// How the request is told that the fate of its write is not known.
    pub fn give_up(&self, ask: Ask, presented: Option<Credential>, sealed: Box<dyn Sealed>) -> Answer {
        let bytes = ask.bytes(&self.text(presented));
        Answer::No(sealed.give_up(ask.parse(&bytes, &self.policy).face()).reason())
    }

    /// Opens a decision whose write is done; nothing on a conflict.
    pub fn open(&self, sealed: Box<dyn Sealed>, commit: Commit) -> Option<Answer> {
        Some(match sealed.open(commit)? {
            Ok(credentials) => Answer::Yes(credentials.into_iter().map(|(kind, text)| self.credential(kind, text)).collect()),
            Err(refusal) => Answer::No(refusal.reason()),
        })
    }

    /// Whether the resource check accepts this access token in this state.
    pub fn validates(&self, state: &State, token: Credential) -> bool {
        self.probe(state, token, |basis| {
            let sealed = self.decide(Ask::Check, Some(token), &at(state.clock, entropy(PROBE)), basis);
            matches!(self.open(sealed, Commit::Done), Some(Answer::Yes(_)))
        })
    }

    /// Whether a refresh with this token would advance the grant in this state.
    pub fn advances(&self, state: &State, token: Credential) -> bool {
        self.probe(state, token, |basis| {
            let refresh = Ask::Refresh(Which::First, Flaw::None);
            let sealed = self.decide(refresh, Some(token), &at(state.clock, entropy(PROBE)), basis);
            sealed.to_write().is_some_and(|write| write.grant().state() == GrantState::Active)
        })
    }

    /// Whether no access token that ever left validates and no refresh token advances the grant.
    pub fn is_dead(&self, state: &State) -> bool {
        !state.disclosed(Kind::Access).any(|token| self.validates(state, token))
            && !state.disclosed(Kind::Refresh).any(|token| self.advances(state, token))
    }

    fn probe(&self, state: &State, token: Credential, ask: impl Fn(&Basis) -> bool) -> bool {
        let Some(stored) = &state.record else { return false };
        let key = (Arc::clone(&stored.grant), state.clock, state.standing, token);
        if let Some(known) = self.probes.borrow().get(&key) {
            return *known;
        }
        let grant = Some(Stored { grant: Arc::clone(&stored.grant), version: Version::FIRST });
        let found = ask(&Basis { grant, now: state.clock, standing: state.standing });
        self.probes.borrow_mut().insert(key, found);
        found
    }

    fn text(&self, presented: Option<Credential>) -> String {
        let texts = self.texts.borrow();
        let found = presented.and_then(|presented| texts.iter().find(|(own, _)| *own == presented));
        found.map(|(_, text)| text.clone()).unwrap_or_default()
    }

    /// The name of a credential, new if its text is.
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

fn at(now: i64, entropy: Entropy) -> Moment {
    Moment::new(timestamp(now), entropy)
}

fn timestamp(now: i64) -> Timestamp {
    Timestamp::from_unix_seconds(T.saturating_add_signed(now))
}
