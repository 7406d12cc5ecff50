//! One state of the model: the record, the clock, the requests under way, the credentials of the
//! clients, and the history so far.
//!
//! The history is kept by the model. The predicates judge by it, and not by the fields of the
//! record.

use std::fmt;
use std::hash::{Hash, Hasher};

use grantcore::Reason;
use grantcore::grant::{Grant, GrantState};
use grantcore::reason::{Endpoint, ErrorCode};
use grantcore::store::{Change, Stored, Version};

use crate::memory::Memory;
use crate::proof::{Proof, Proofs};
use crate::request::{Ask, Credential, Flaw, Judgment, Kind, Which};

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub record: Option<Record>,
    pub epochs: Epochs,
    /// Whether the earlier grant whose user was asked has ended.
    pub is_memory_ended: bool,
    /// What the host decides about a refresh now.
    pub judgment: Judgment,
    /// The server's clock, in seconds since the beginning.
    pub clock: i64,
    pub actors: Vec<Actor>,
    /// Delayed writes, which may still be applied.
    pub pending: Vec<Late>,
    /// Every applied write. Version `n` is the `n`th.
    pub history: Vec<Entry>,
    /// The credentials of the clients, in the order in which they got them.
    pub hand: Vec<Credential>,
    pub faults: u8,
    pub ticks: u8,
}

/// A record and its version. The hash uses the version alone, because the history beside it
/// determines nearly as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(pub Stored<Grant>);

/// A write that may still be applied, with its entry for the history. The hash uses the entry
/// alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Late(pub Change<Grant>, pub Entry);

/// The epochs of client and account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epochs {
    pub client: u64,
    pub account: u64,
}

/// One write of the record: its request, its record time, and its effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub by: Name,
    /// The latest time at which a write up to this one was decided.
    pub at: i64,
    pub wrote: GrantState,
    /// The refresh token that the write used for the first time.
    pub rotated: Option<Credential>,
    /// Whether the write took scope away: that of the user, or one that applied the host's
    /// decision.
    pub narrows: bool,
    /// Whether the write issued tokens.
    pub issues: bool,
    /// The proof of its request.
    pub proof: Proof,
    /// The epochs that its request had read.
    pub epochs: Epochs,
}

/// A request: an actor, and whether this is its retry. Each has its own entropy. Traces name the
/// actors A, B, C, in the order of the scenario.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    pub actor: usize,
    pub retried: bool,
}

/// A sender of one request, which is sent once more if it was not answered.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub ask: Ask,
    pub presented: Option<Credential>,
    pub retried: bool,
    /// The proof that the request gives.
    pub proof: Proof,
    /// When the mark of its assertion was made.
    pub marked: Option<i64>,
    /// The number of earlier decisions of the request.
    pub attempt: u8,
    pub step: Step,
    /// The responses that left, to the request and to its retry.
    pub left: [Option<Answer>; 2],
    /// Whether the request began after a revocation had been acknowledged.
    pub began_revoked: bool,
    /// Whether a refresh token was ever presented after the window of its first use.
    pub began_outside: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Ready,
    /// The request has read the clock and the grant.
    HasGrant {
        grant: Option<Record>,
        now: i64,
    },
    /// The request has read client and account as well.
    HasStanding {
        grant: Option<Record>,
        now: i64,
        epochs: Epochs,
    },
    /// The request has read everything that the decision needs.
    Loaded(Basis),
    /// The response may leave.
    Answering(Answer),
    Over,
}

/// The input of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Basis {
    pub grant: Option<Record>,
    pub now: i64,
    pub epochs: Epochs,
    /// The earlier grant, if the request or the grant names one.
    pub memory: Option<Memory>,
    pub judgment: Judgment,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    Yes(Vec<Credential>),
    No(Reason),
}

impl Record {
    pub fn version(&self) -> Version {
        self.0.version
    }

    pub fn state(&self) -> GrantState {
        self.0.record.state()
    }
}

impl Hash for Record {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.version().hash(hasher);
    }
}

impl Hash for Late {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.1.hash(hasher);
    }
}

impl Answer {
    /// Returns whether the same request may be sent again after this refusal.
    pub fn is_retryable(&self) -> bool {
        let unavailable = Some(ErrorCode::TemporarilyUnavailable);
        matches!(self, Self::No(reason) if reason.code(Endpoint::Token) == unavailable)
    }

    pub fn disclosed(&self) -> &[Credential] {
        match self {
            Self::Yes(credentials) => credentials,
            Self::No(_) => &[],
        }
    }
}

impl Actor {
    pub fn new(ask: Ask, proof: Proof) -> Self {
        Self {
            ask,
            proof,
            marked: None,
            presented: None,
            retried: false,
            attempt: 0,
            step: Step::Ready,
            left: [None, None],
            began_revoked: false,
            began_outside: false,
        }
    }

    /// Returns whether the request is a redemption without a flaw.
    pub fn redeems(&self) -> bool {
        self.ask == Ask::Redeem(Flaw::None)
    }

    pub fn refreshes(&self) -> bool {
        matches!(self.ask, Ask::Refresh(_, Flaw::None | Flaw::AsksToWrite))
    }

    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.left.iter().flatten()
    }
}

impl State {
    pub fn new(actors: &[Ask], proofs: &Proofs, faults: u8, ticks: u8) -> Self {
        let actors = actors.iter().enumerate();
        let actors = actors.map(|(at, ask)| Actor::new(*ask, proofs.get(at))).collect();
        Self {
            record: None,
            epochs: Epochs::default(),
            is_memory_ended: false,
            judgment: Judgment::Keep,
            clock: 0,
            actors,
            pending: Vec::new(),
            history: Vec::new(),
            hand: Vec::new(),
            faults,
            ticks,
        }
    }

    pub fn name(&self, actor: usize) -> Name {
        Name { actor, retried: self.actors[actor].retried }
    }

    /// Returns the credential that the request would present now, if the clients hold one.
    pub fn pick(&self, ask: Ask) -> Option<Credential> {
        let mut held =
            self.hand.iter().copied().filter(|credential| Some(credential.kind) == ask.presents());
        match ask {
            Ask::Refresh(Which::Newest, _) => held.next_back(),
            _ => held.next(),
        }
    }

    /// Returns every credential of this kind that left the server, whether or not it arrived.
    pub fn disclosed(&self, kind: Kind) -> impl Iterator<Item = Credential> {
        let left = self.actors.iter().flat_map(Actor::answers).flat_map(Answer::disclosed);
        let mut all: Vec<_> = left.copied().filter(|credential| credential.kind == kind).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter()
    }

    pub fn is_revoked(&self) -> bool {
        self.record.as_ref().is_some_and(|record| matches!(record.state(), GrantState::Revoked(_)))
    }

    /// Returns the epochs at the time of the consent page.
    pub fn page(&self) -> Option<Epochs> {
        self.history.first().map(|page| page.epochs)
    }

    /// Returns whether a response reported the end of the grant, or an epoch was raised after its
    /// consent page.
    pub fn is_revocation_acknowledged(&self) -> bool {
        let ended = |answer: &Answer| match answer {
            Answer::No(reason) => reason.revokes() || *reason == Reason::GrantRevoked,
            Answer::Yes(_) => false,
        };
        let denied = |answer: &Answer| *answer == Answer::No(Reason::AccessDenied);
        let done = |actor: &Actor| {
            actor.ask == Ask::Revoke
                && actor.answers().any(|answer| matches!(answer, Answer::Yes(_)))
        };
        self.actors.iter().flat_map(Actor::answers).any(|answer| ended(answer) || denied(answer))
            || self.actors.iter().any(done)
            || self.page().is_some_and(|page| page != self.epochs)
    }

    /// Returns the history of the record at this version.
    pub fn history_of(&self, version: Option<Version>) -> &[Entry] {
        let (Some(version), Some(Record(now))) = (version, &self.record) else { return &[] };
        // A record begins with any version, and each write after it takes the next one.
        let newer = usize::try_from(now.version.0.wrapping_sub(version.0)).unwrap_or(usize::MAX);
        &self.history[..self.history.len() - newer]
    }

    /// Applies a write whatever the version is, as a store does that compares none.
    pub fn overwrite(&mut self, write: &Change<Grant>, entry: Entry) {
        let mut stored = write.stored();
        // Versions still count the writes, so that the history of each is known.
        if let Some(Record(now)) = &self.record {
            stored.version = Version(now.version.0.wrapping_add(1));
        }
        self.record = Some(Record(stored));
        self.history.push(entry);
    }

    /// Applies a write if the version still matches, and returns whether it did.
    pub fn apply(&mut self, write: &Change<Grant>, entry: Entry) -> bool {
        if self.record.as_ref().map(Record::version) != write.seen() {
            return false;
        }
        self.record = Some(Record(write.stored()));
        self.history.push(entry);
        // A delayed write had seen an older version, so it can no longer be applied.
        self.pending.clear();
        true
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'A' + u8::try_from(self.actor).unwrap_or(b'?'));
        write!(f, "{letter}{}", if self.retried { " (retried)" } else { "" })
    }
}
