//! The model: what each ticket, code and token should do, written from `docs/decisions.md` as a
//! plain map. It shares no code and no type with the crate.

use std::collections::BTreeMap;

use super::clients::Act;
use super::records::{
    ATTEMPTS, Claim, Client, Credential, Decision, Entry, Grant, Remember, Set, User,
};
use super::tables::At;

/// A request for a grant.
#[derive(Clone, Debug)]
pub enum Request {
    Consent {
        ticket: Credential,
        user: usize,
        choice: Option<Set>,
        /// What the host binds to the grant: properties, and an end.
        bound: (u8, Option<u64>),
    },
    Redeem {
        by: Claim,
        code: Credential,
        redirect: Option<String>,
        verifier: usize,
        resources: Set,
    },
    Refresh {
        by: Claim,
        token: Credential,
        scope: Option<Set>,
        resources: Set,
        decision: Decision,
    },
    Revoke {
        by: Claim,
        token: Credential,
    },
    Check {
        token: Credential,
        scope: Set,
    },
    Introspect {
        token: Credential,
    },
    Disconnect {
        grant: usize,
        user: Option<usize>,
    },
    Narrow {
        grant: usize,
        user: usize,
        scope: Set,
    },
    /// A request to the endpoint of a client's registration.
    Manage {
        client: usize,
        token: Credential,
        act: Act,
    },
}

impl Request {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Consent { .. } => "consent",
            Self::Redeem { .. } => "redeem",
            Self::Refresh { .. } => "refresh",
            Self::Revoke { .. } => "revoke",
            Self::Check { .. } => "check",
            Self::Introspect { .. } => "introspect",
            Self::Disconnect { .. } => "disconnect",
            Self::Narrow { .. } => "narrow",
            Self::Manage { act, .. } => act.name(),
        }
    }

    /// Returns the grant that the request names. A credential of another kind names none.
    pub fn grant(&self) -> Option<usize> {
        match self {
            Self::Consent { ticket: Credential::Ticket(grant), .. }
            | Self::Redeem { code: Credential::Code(grant), .. }
            | Self::Refresh { token: Credential::Refresh(grant, _), .. }
            | Self::Revoke {
                token: Credential::Access(grant, _) | Credential::Refresh(grant, _),
                ..
            }
            | Self::Check { token: Credential::Access(grant, _), .. }
            | Self::Introspect { token: Credential::Access(grant, _) }
            | Self::Disconnect { grant, .. }
            | Self::Narrow { grant, .. } => Some(*grant),
            _ => None,
        }
    }
}

/// What the response must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A page without a redirect.
    Page,
    /// The host is asked for the client's document.
    Document,
    /// The login page.
    Login,
    /// The consent page.
    Consent,
    /// A redirect to the client with this error.
    Error(&'static str),
    /// A redirect with the code of this grant.
    Code(usize),
    /// The tokens of this generation. The entry is unknown if it is no longer kept.
    Tokens {
        grant: usize,
        generation: u64,
        number: u64,
        entry: Option<Entry>,
        lives: u64,
    },
    /// An error of this code at an endpoint for programs.
    Refused(&'static str),
    /// The owner and the rights of an active token.
    Active {
        grant: usize,
        scope: Set,
        expires: u64,
        properties: u8,
    },
    Inactive,
    Done,
    /// The registration, with its secret if this request made it.
    Registration {
        client: Box<Client>,
        secret: Option<u64>,
    },
    /// The host's own call is refused.
    NotFound,
    /// A retryable failure.
    Unavailable,
    /// A retryable failure before the request's own write.
    Unprepared,
}

impl Answer {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Document => "document",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::Registration { .. } => "registration",
            Self::Error(code) | Self::Refused(code) => code,
            Self::Code(_) => "code",
            Self::Tokens { .. } => "tokens",
            Self::Active { .. } => "active",
            Self::Inactive => "inactive",
            Self::Done => "done",
            Self::NotFound => "not found",
            Self::Unavailable | Self::Unprepared => "unavailable",
        }
    }
}

/// A fault of the store at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Conflict,
    AppliedThenConflict,
    Unacknowledged,
    Dropped,
    /// Applied later, and reported as an error now.
    Late,
}

/// A write to the store.
#[derive(Clone, Debug)]
pub enum Write {
    Grant(Grant),
    Client(usize, Client),
    /// A client, after which the request is decided again.
    Prepare(usize, Client),
    New(New),
}

/// The new record of a request, by its number. Nobody knows the record before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New {
    Client(u64),
    Page(u64),
    Code(u64),
}

/// The answer to a request, with its write.
pub type Judged = (Answer, Option<Write>);

#[derive(Clone, Debug)]
pub struct Model {
    pub clock: u64,
    pub window: u64,
    pub remember: Remember,
    pub clients: Vec<Client>,
    pub users: Vec<User>,
    pub grants: Vec<Grant>,
    /// Each grant as it was before its last write, which a stale read returns.
    pub previous: BTreeMap<usize, Grant>,
    late: Vec<Write>,
    /// The last new record that was created.
    created: Option<New>,
    pub texts: BTreeMap<String, Credential>,
}

/// The circumstances of one request.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub issuer: usize,
    /// The number of the request.
    pub number: u64,
    /// Whether its first read of the grant is stale.
    pub is_stale: bool,
    /// After how many applied writes its caller hung up, if it did.
    pub hung_up: Option<usize>,
}

/// The store's answer to a write.
enum Committed {
    Done,
    Conflict,
    Unknown,
}

impl Model {
    pub fn new(
        clock: u64,
        (window, remember): (u64, Remember),
        clients: Vec<Client>,
        users: usize,
    ) -> Self {
        Self {
            clock,
            window,
            remember,
            clients,
            users: vec![User { is_suspended: false, epoch: 0 }; users],
            grants: Vec::new(),
            previous: BTreeMap::new(),
            late: Vec::new(),
            created: None,
            texts: BTreeMap::new(),
        }
    }

    /// Returns the answer to a request, and makes its writes.
    pub fn run(&mut self, request: &Request, call: Call, faults: &[Fault]) -> Answer {
        let id = request.grant().filter(|id| self.grants[*id].issuer == call.issuer);
        let answer = self.drive(call, faults, |model, attempt, again| {
            let current = id.map(|id| model.grants[id].clone());
            let stale = id.filter(|_| call.is_stale && attempt == 0);
            let stale = stale.and_then(|id| model.previous.get(&id).cloned());
            model.judge(request, stale.or(current).as_ref(), call, again)
        });
        if answer == Answer::Unprepared { Answer::Unavailable } else { answer }
    }

    /// Decides a request until its answer may leave, as the driver's table has it.
    pub fn drive(
        &mut self,
        call: Call,
        faults: &[Fault],
        decide: impl Fn(&Self, usize, bool) -> Judged,
    ) -> Answer {
        let mut faults = faults.iter().copied();
        let mut again = false;
        let mut applied = 0;
        let mut failed = Answer::Unavailable;
        for attempt in 0..ATTEMPTS {
            let (answer, write) = decide(self, attempt, again);
            let Some(write) = write else { return answer };
            if call.hung_up == Some(applied) {
                return Answer::Unavailable;
            }
            let is_main = !matches!(write, Write::Prepare(..));
            failed = if is_main { Answer::Unavailable } else { Answer::Unprepared };
            match self.commit(write, faults.next()) {
                Committed::Done if is_main => return answer,
                Committed::Done => applied += 1,
                Committed::Conflict => again |= is_main,
                Committed::Unknown => return failed,
            }
        }
        failed
    }

    fn commit(&mut self, write: Write, fault: Option<Fault>) -> Committed {
        match fault {
            None => {
                if self.apply(write) {
                    Committed::Done
                } else {
                    Committed::Conflict
                }
            }
            Some(Fault::Conflict) => Committed::Conflict,
            Some(Fault::AppliedThenConflict) => {
                self.apply(write);
                Committed::Conflict
            }
            Some(Fault::Unacknowledged) => {
                self.apply(write);
                Committed::Unknown
            }
            Some(Fault::Dropped) => Committed::Unknown,
            Some(Fault::Late) => {
                self.late.push(write);
                Committed::Unknown
            }
        }
    }

    /// Applies a write that was decided on the version before it, and returns whether it is applied.
    fn apply(&mut self, write: Write) -> bool {
        match write {
            Write::Grant(next) => {
                let id = next.id;
                let current = &mut self.grants[id];
                if current.version + 1 != next.version {
                    return false;
                }
                self.previous.insert(id, std::mem::replace(current, next));
            }
            Write::Client(index, next) | Write::Prepare(index, next) => {
                if self.clients[index].version + 1 != next.version {
                    return false;
                }
                self.clients[index] = next;
            }
            Write::New(new) => self.created = Some(new),
        }
        true
    }

    /// Returns whether this record was created.
    pub fn has_created(&self, new: New) -> bool {
        self.created == Some(new)
    }

    /// Applies the delayed writes that still can be.
    pub fn land(&mut self) {
        for write in std::mem::take(&mut self.late) {
            self.apply(write);
        }
    }

    pub fn is_ended(&self, grant: &Grant) -> bool {
        grant.client_epoch != self.clients[grant.client].epoch
            || grant.user_epoch != self.users[grant.user].epoch
    }

    fn judge(&self, request: &Request, grant: Option<&Grant>, call: Call, again: bool) -> Judged {
        let now = grant.map_or(self.clock, |grant| self.clock.max(grant.seen));
        let at = At { model: self, now, number: call.number, issuer: call.issuer, again };
        let by = match request {
            Request::Redeem { by, .. }
            | Request::Refresh { by, .. }
            | Request::Revoke { by, .. } => self.authenticated(*by, call.issuer),
            _ => None,
        };
        match (request, by) {
            (Request::Consent { user, choice, bound, .. }, _) => {
                at.consent(grant, *user, *choice, *bound)
            }
            (Request::Redeem { redirect, verifier, resources, .. }, Some(client)) => {
                at.redeem(grant, client, redirect.as_deref(), *verifier, *resources)
            }
            (Request::Refresh { token, scope, resources, decision, .. }, Some(client)) => {
                at.refresh(grant, client, *token, (*scope, *resources), decision)
            }
            (Request::Revoke { token, .. }, Some(client)) => at.revoke(grant, client, *token),
            (Request::Redeem { .. } | Request::Refresh { .. } | Request::Revoke { .. }, None) => {
                (Answer::Refused("invalid_client"), None)
            }
            (Request::Check { token, scope }, _) => (at.check(grant, *token, Some(*scope)), None),
            (Request::Introspect { token }, _) => (at.check(grant, *token, None), None),
            (Request::Disconnect { user, .. }, _) => at.disconnect(grant, *user),
            (Request::Narrow { user, scope, .. }, _) => at.narrow(grant, *user, *scope),
            (Request::Manage { client, token, act }, _) => at.manage(*client, *token, act),
        }
    }
}
