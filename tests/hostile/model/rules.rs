//! The model: what each ticket, code and token should do, written from `docs/decisions.md` as a
//! plain map. It shares no code and no type with the crate.

use std::collections::BTreeMap;

use super::tables::At;

pub const CONSENT: u64 = 600;
pub const CODE: u64 = 600;
pub const ACCESS: u64 = 300;
pub const IDLE: u64 = 2_000;
pub const ABSOLUTE: u64 = 6_000;
/// The number of access tokens of one grant that are kept.
pub const KEPT: usize = 3;
/// The attempts of one request.
pub const ATTEMPTS: usize = 4;

/// A set of scope tokens or resources, one bit for each.
pub type Set = u8;

/// What a text was when a response had it. A text that no response had is `Junk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    Ticket(usize),
    Code(usize),
    /// A grant, and the number of the mint.
    Access(usize, u64),
    /// A grant, and the number of the generation.
    Refresh(usize, u64),
    Junk,
}

impl Credential {
    pub fn grant(self) -> Option<usize> {
        match self {
            Self::Ticket(grant)
            | Self::Code(grant)
            | Self::Access(grant, _)
            | Self::Refresh(grant, _) => Some(grant),
            Self::Junk => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub id: usize,
    pub version: u64,
    pub issuer: usize,
    pub client: usize,
    pub user: usize,
    pub scope: Set,
    pub left: Set,
    pub resources: Set,
    pub redirect: String,
    pub redirect_sent: bool,
    pub verifier: usize,
    /// The latest time that a write has seen.
    pub seen: u64,
    pub end: u64,
    pub client_epoch: u64,
    pub user_epoch: u64,
    pub phase: Phase,
    /// The request that made the last page, code or tokens.
    pub by: u64,
    pub minted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Pending { expires: u64 },
    Denied,
    Code { expires: u64 },
    Active(Active),
    Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    pub generation: u64,
    pub idle: u64,
    pub rotated: u64,
    pub before: u64,
    pub kept: Vec<Entry>,
}

/// A live access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub number: u64,
    pub expires: u64,
    pub scope: Set,
    pub resources: Set,
}

/// Who sends a request, and whether its proof is right.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub client: Option<usize>,
    pub is_proven: bool,
}

/// A request for a grant.
#[derive(Clone, Debug)]
pub enum Request {
    Consent {
        ticket: Credential,
        user: usize,
        choice: Option<Set>,
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
    },
    Inactive,
    Done,
    /// The host's own call is refused.
    NotFound,
    /// A retryable failure.
    Unavailable,
}

impl Answer {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Error(code) | Self::Refused(code) => code,
            Self::Code(_) => "code",
            Self::Tokens { .. } => "tokens",
            Self::Active { .. } => "active",
            Self::Inactive => "inactive",
            Self::Done => "done",
            Self::NotFound => "not found",
            Self::Unavailable => "unavailable",
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

#[derive(Clone, Debug)]
pub struct Client {
    pub is_active: bool,
    pub epoch: u64,
}

#[derive(Clone, Debug)]
pub struct User {
    pub is_suspended: bool,
    pub epoch: u64,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub clock: u64,
    pub window: u64,
    pub clients: Vec<Client>,
    pub users: Vec<User>,
    pub grants: Vec<Grant>,
    /// Each grant as it was before its last write, which a stale read returns.
    pub previous: BTreeMap<usize, Grant>,
    late: Vec<(usize, Grant)>,
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
}

impl Model {
    pub fn new(clock: u64, window: u64, clients: usize, users: usize) -> Self {
        Self {
            clock,
            window,
            clients: vec![Client { is_active: true, epoch: 0 }; clients],
            users: vec![User { is_suspended: false, epoch: 0 }; users],
            grants: Vec::new(),
            previous: BTreeMap::new(),
            late: Vec::new(),
            texts: BTreeMap::new(),
        }
    }

    /// Returns the answer to a request, and applies its write, as the driver's table has it.
    pub fn run(&mut self, request: &Request, call: Call, faults: &[Fault]) -> Answer {
        let id = request.grant().filter(|id| self.grants[*id].issuer == call.issuer);
        let mut faults = faults.iter().copied();
        for attempt in 0..ATTEMPTS {
            let current = id.map(|id| self.grants[id].clone());
            let stale = id.filter(|_| call.is_stale && attempt == 0);
            let stale = stale.and_then(|id| self.previous.get(&id).cloned());
            let basis = stale.or(current);
            let (answer, next) = self.judge(request, basis.as_ref(), call.number, attempt > 0);
            let Some(next) = next else { return answer };
            let id = id.expect("a write is for a grant");
            match faults.next() {
                None => {
                    if self.apply(id, next) {
                        return answer;
                    }
                }
                Some(Fault::Conflict) => {}
                Some(Fault::AppliedThenConflict) => {
                    self.apply(id, next);
                }
                Some(Fault::Unacknowledged) => {
                    self.apply(id, next);
                    return Answer::Unavailable;
                }
                Some(Fault::Dropped) => return Answer::Unavailable,
                Some(Fault::Late) => {
                    self.late.push((id, next));
                    return Answer::Unavailable;
                }
            }
        }
        Answer::Unavailable
    }

    /// Applies a write that was decided on the version before it, and returns whether it is applied.
    fn apply(&mut self, id: usize, next: Grant) -> bool {
        let current = &mut self.grants[id];
        if current.version + 1 != next.version {
            return false;
        }
        self.previous.insert(id, std::mem::replace(current, next));
        true
    }

    /// Applies the delayed writes that still can be.
    pub fn land(&mut self) {
        for (id, next) in std::mem::take(&mut self.late) {
            self.apply(id, next);
        }
    }

    pub fn is_ended(&self, grant: &Grant) -> bool {
        grant.client_epoch != self.clients[grant.client].epoch
            || grant.user_epoch != self.users[grant.user].epoch
    }

    /// Returns the client that a request authenticates as.
    fn authenticated(&self, claim: Claim) -> Option<usize> {
        claim.client.filter(|client| claim.is_proven && self.clients[*client].is_active)
    }

    fn judge(
        &self,
        request: &Request,
        grant: Option<&Grant>,
        number: u64,
        again: bool,
    ) -> (Answer, Option<Grant>) {
        let now = grant.map_or(self.clock, |grant| self.clock.max(grant.seen));
        let at = At { model: self, now, number, again };
        match request {
            Request::Consent { user, choice, .. } => at.consent(grant, *user, *choice),
            Request::Redeem { by, redirect, verifier, resources, .. } => {
                match self.authenticated(*by) {
                    None => (Answer::Refused("invalid_client"), None),
                    Some(client) => {
                        at.redeem(grant, client, redirect.as_deref(), *verifier, *resources)
                    }
                }
            }
            Request::Refresh { by, token, scope, resources } => match self.authenticated(*by) {
                None => (Answer::Refused("invalid_client"), None),
                Some(client) => at.refresh(grant, client, *token, *scope, *resources),
            },
            Request::Revoke { by, token } => match self.authenticated(*by) {
                None => (Answer::Refused("invalid_client"), None),
                Some(client) => at.revoke(grant, client, *token),
            },
            Request::Check { token, scope } => (at.check(grant, *token, Some(*scope)), None),
            Request::Introspect { token } => (at.check(grant, *token, None), None),
            Request::Disconnect { user, .. } => at.disconnect(grant, *user),
            Request::Narrow { user, scope, .. } => at.narrow(grant, *user, *scope),
        }
    }
}
