//! The model: what each request of a machine or with an assertion should do.

use std::collections::BTreeSet;

use super::keys::{Found, PLACES, Place, Published, Slot};

/// The tolerance for clocks, in seconds.
pub const LEEWAY: u64 = 10;

/// Who acts. The last one is the thief's own client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A machine with a secret.
    Job,
    /// A machine with a key on record.
    Signer,
    /// A machine with keys at a URL.
    Keyed,
    /// A client with a secret that exchanges the assertions of users.
    Web,
    /// The client of programs of a platform.
    Bot,
    /// As `Web`, and the thief's.
    Evil,
}

pub const ALL: [Who; 6] = [Who::Job, Who::Signer, Who::Keyed, Who::Web, Who::Bot, Who::Evil];

impl Kind {
    /// Returns where the keys are, if they are at a URL.
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Proof(Who::Keyed) => Some(Place::Client),
            Self::Person(_) => Some(Place::Provider),
            Self::Proof(_) | Self::Program => None,
        }
    }
}

impl Who {
    pub fn has_secret(self) -> bool {
        matches!(self, Self::Job | Self::Web | Self::Evil)
    }

    /// Returns whether it may have tokens on its own behalf.
    fn is_machine(self) -> bool {
        matches!(self, Self::Job | Self::Signer | Self::Keyed)
    }
}

/// What an assertion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The proof of a client.
    Proof(Who),
    /// A user of the identity provider, for `Web`. The third user has no account here.
    Person(usize),
    /// A program of the platform.
    Program,
}

#[derive(Clone, Copy, Debug)]
pub struct Assertion {
    pub kind: Kind,
    /// The issuer that it is for.
    pub audience: usize,
    /// Whether the right key has signed it.
    pub is_genuine: bool,
    pub expires: u64,
    /// The number that its `jti` is made of.
    pub number: u64,
    /// The number of the key that it names.
    pub key: u64,
}

/// What a client proves itself with.
#[derive(Clone, Copy, Debug)]
pub enum Proof {
    /// Neither a name nor a proof.
    Nothing,
    Secret(Who, bool),
    /// The assertion at this place of the list.
    Assertion(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// A token on the client's own behalf.
    Machine(Proof),
    /// The assertion at this place, exchanged by this client.
    Exchange(usize, Proof),
}

/// A fault of the store at one commit of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Conflict,
    AppliedThenConflict,
    Unacknowledged,
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A token of this client, and of this user.
    Token(Who, Option<usize>),
    Refused(&'static str),
    /// A retryable failure.
    Unavailable,
}

/// A token that was issued.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub issuer: usize,
    pub who: Who,
    pub user: Option<usize>,
    pub expires: u64,
    pub epochs: (u64, u64),
}

/// The issuer, the signer and the number of an assertion.
type Mark = (usize, Kind, u64);

#[derive(Clone, Debug)]
pub struct Model {
    pub clock: u64,
    pub is_active: [bool; ALL.len()],
    pub client_epochs: [u64; ALL.len()],
    pub is_suspended: [bool; 2],
    pub user_epochs: [u64; 2],
    pub assertions: Vec<Assertion>,
    pub published: [Published; PLACES.len()],
    /// The key sets that each node has.
    slots: [[Slot; PLACES.len()]; 4],
    /// The number of fetches so far.
    pub fetches: u64,
    /// How the request got on with each key set.
    pub found: Vec<Found>,
    pub tokens: Vec<Token>,
    /// The assertions that were used.
    used: BTreeSet<Mark>,
}

impl Model {
    pub fn new(clock: u64) -> Self {
        Self {
            clock,
            is_active: [true; ALL.len()],
            client_epochs: [0; ALL.len()],
            is_suspended: [false; 2],
            user_epochs: [0; 2],
            assertions: Vec::new(),
            published: Default::default(),
            slots: Default::default(),
            fetches: 0,
            found: Vec::new(),
            tokens: Vec::new(),
            used: BTreeSet::new(),
        }
    }

    /// Returns whether the assertion is genuine, for the issuer of this node, and not over. Returns
    /// `None` if its key cannot be had. Keys are looked for only if nothing else is wrong.
    fn is_good(&mut self, assertion: &Assertion, node: usize) -> Option<bool> {
        let is_fresh = self.clock < assertion.expires + LEEWAY;
        if assertion.audience != node / 2 || !is_fresh {
            return Some(false);
        }
        if let Some(place) = assertion.kind.place() {
            let slot = &mut self.slots[node][place as usize];
            let published = &self.published[place as usize];
            let found = slot.find(assertion.key, published, self.clock, &mut self.fetches);
            self.found.push(found);
            match found {
                Found::AtOnce | Found::Anew | Found::Stale => {}
                Found::Missing => return Some(false),
                Found::Unreachable => return None,
            }
        }
        Some(assertion.is_genuine)
    }

    /// Returns the answer to a request at this node, and makes its marks. `faults` has the fault of
    /// each commit, if it has one.
    pub fn run(&mut self, node: usize, request: Request, faults: &[Option<Fault>]) -> Answer {
        let mut commits = faults.iter().copied();
        match request {
            Request::Machine(proof) => {
                let (who, marks) = match self.client(node, proof, "invalid_client") {
                    Ok(client) => client,
                    Err(answer) => return answer,
                };
                let Some(who) = who else { return Answer::Refused("invalid_client") };
                let marked = marks.map(|mark| self.mark(mark, &mut commits, "invalid_client"));
                if let Some(Err(answer)) = marked {
                    return answer;
                }
                // Another grant than that of its registration is not for it.
                if !who.is_machine() {
                    return Answer::Refused("unauthorized_client");
                }
                created(&mut commits, Answer::Token(who, None))
            }
            Request::Exchange(at, proof) => self.exchange(node, at, proof, &mut commits),
        }
    }

    /// Authenticates a client, and returns the mark of its assertion.
    fn client(
        &mut self,
        node: usize,
        proof: Proof,
        code: &'static str,
    ) -> Result<(Option<Who>, Option<Mark>), Answer> {
        let are_active = self.is_active;
        let active = |who: Who| are_active[who as usize];
        match proof {
            Proof::Nothing => Ok((None, None)),
            Proof::Secret(who, is_right) if is_right && who.has_secret() && active(who) => {
                Ok((Some(who), None))
            }
            Proof::Secret(..) => Err(Answer::Refused(code)),
            Proof::Assertion(at) => {
                let assertion = self.assertions[at];
                let Kind::Proof(who) = assertion.kind else { return Err(Answer::Refused(code)) };
                if !active(who) {
                    return Err(Answer::Refused(code));
                }
                match self.is_good(&assertion, node) {
                    Some(true) => {
                        Ok((Some(who), Some((node / 2, assertion.kind, assertion.number))))
                    }
                    Some(false) => Err(Answer::Refused(code)),
                    None => Err(Answer::Unavailable),
                }
            }
        }
    }

    fn exchange(
        &mut self,
        node: usize,
        at: usize,
        proof: Proof,
        commits: &mut impl Iterator<Item = Option<Fault>>,
    ) -> Answer {
        let refused = Answer::Refused("invalid_grant");
        let (client, marks) = match self.client(node, proof, "invalid_client") {
            Ok(client) => client,
            Err(answer) => return answer,
        };
        // The mark of the client's assertion comes before every answer that rests on it.
        let by_client = |model: &mut Self, commits: &mut _, answer: Answer| match marks {
            Some(mark) => model.mark(mark, commits, "invalid_client").err().unwrap_or(answer),
            None => answer,
        };
        let assertion = self.assertions[at];
        // A provider numbers its assertions, whomever they are about.
        let by = match assertion.kind {
            Kind::Person(_) => Kind::Person(0),
            other => other,
        };
        let mark = (node / 2, by, assertion.number);
        let is_good = match assertion.kind {
            Kind::Proof(_) => Some(false),
            Kind::Person(_) | Kind::Program => self.is_good(&assertion, node),
        };
        match is_good {
            Some(true) => {}
            Some(false) => return by_client(self, commits, refused),
            // Nothing is used up.
            None => return Answer::Unavailable,
        }
        // Refusals after this line mark the assertion of the grant.
        let owner = match (assertion.kind, client) {
            (Kind::Person(_), None) => return Answer::Refused("invalid_client"),
            (Kind::Person(_), Some(who)) if !matches!(who, Who::Web | Who::Evil) => {
                return by_client(self, commits, Answer::Refused("unauthorized_client"));
            }
            (Kind::Person(_), Some(Who::Evil)) => return by_client(self, commits, refused),
            (Kind::Person(user), Some(_)) => {
                let is_known = user < 2 && !self.is_suspended[user];
                is_known.then_some((Who::Web, Some(user)))
            }
            (_, Some(_)) => None,
            (_, None) => self.is_active[Who::Bot as usize].then_some((Who::Bot, None)),
        };
        if let Some(own) = marks {
            if let Err(answer) = self.mark(own, commits, "invalid_client") {
                return answer;
            }
        }
        if let Err(answer) = self.mark(mark, commits, "invalid_grant") {
            return answer;
        }
        match owner {
            Some((who, user)) => created(commits, Answer::Token(who, user)),
            None => refused,
        }
    }

    /// Makes a mark. Returns how the request ends if it is not made.
    fn mark(
        &mut self,
        mark: Mark,
        commits: &mut impl Iterator<Item = Option<Fault>>,
        code: &'static str,
    ) -> Result<(), Answer> {
        let fault = commits.next().flatten();
        if self.used.contains(&mark) {
            return match fault {
                Some(Fault::Unacknowledged | Fault::Dropped) => Err(Answer::Unavailable),
                _ => Err(Answer::Refused(code)),
            };
        }
        match fault {
            None | Some(Fault::AppliedThenConflict) => {}
            // It is not found, and created again by a commit of its own.
            Some(Fault::Conflict) => return self.mark(mark, commits, code),
            Some(Fault::Dropped) => return Err(Answer::Unavailable),
            Some(Fault::Unacknowledged) => {
                self.used.insert(mark);
                return Err(Answer::Unavailable);
            }
        }
        self.used.insert(mark);
        Ok(())
    }

    pub fn is_live(&self, token: &Token, issuer: usize) -> bool {
        let user = token.user.is_none_or(|user| !self.is_suspended[user]);
        token.issuer == issuer
            && self.clock < token.expires
            && self.is_active[token.who as usize]
            && user
            && token.epochs == self.epochs(token.who, token.user)
    }

    pub fn epochs(&self, who: Who, user: Option<usize>) -> (u64, u64) {
        (self.client_epochs[who as usize], user.map_or(0, |user| self.user_epochs[user]))
    }
}

/// Creates the record of a token.
fn created(commits: &mut impl Iterator<Item = Option<Fault>>, answer: Answer) -> Answer {
    match commits.next().flatten() {
        None | Some(Fault::AppliedThenConflict) => answer,
        Some(Fault::Conflict) => created(commits, answer),
        Some(Fault::Unacknowledged | Fault::Dropped) => Answer::Unavailable,
    }
}
