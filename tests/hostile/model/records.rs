//! The records of the model: what it knows of each credential, client, user and grant.

pub const CONSENT: u64 = 600;
pub const CODE: u64 = 600;
pub const ACCESS: u64 = 300;
pub const IDLE: u64 = 2_000;
pub const ABSOLUTE: u64 = 6_000;
/// The number of access tokens of one grant that are kept.
pub const KEPT: usize = 3;
/// The attempts of one request.
pub const ATTEMPTS: usize = 4;
/// How long a client is known that nobody has authorized.
pub const UNUSED: u64 = 900;
/// How long the record of a grant is kept after its last use.
pub const RETAINED: u64 = 24 * 60 * 60;
/// How long a document is used at least and at most.
pub const FRESH: (u64, u64) = (60, 600);
/// How long the answer of a consent page is remembered.
pub const REMEMBERED: u64 = 1_500;

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
    /// The token that manages the registration of a client.
    Management(usize),
    Junk,
}

impl Credential {
    pub fn grant(self) -> Option<usize> {
        match self {
            Self::Ticket(grant)
            | Self::Code(grant)
            | Self::Access(grant, _)
            | Self::Refresh(grant, _) => Some(grant),
            Self::Management(_) | Self::Junk => None,
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
    /// When its user was asked by a page.
    pub asked: Option<u64>,
    /// The earlier grant whose consent it was given by.
    pub relies_on: Option<usize>,
    /// The host's properties. 0 is none.
    pub properties: u8,
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

/// How a client became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Operator,
    /// It registered itself at this issuer.
    Registered(usize),
    /// It is described by the document at its URL, which need not be read again before this time.
    Document(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub version: u64,
    pub origin: Origin,
    pub is_on_record: bool,
    pub is_active: bool,
    pub is_deleted: bool,
    pub epoch: u64,
    /// When it is unknown unless it is used before.
    pub expires: u64,
    pub redirects: Vec<String>,
    /// The scope that it may ask for.
    pub scope: Set,
    /// The request that made its secret. A public client has none.
    pub secret: Option<u64>,
    /// From when on it describes itself as it does: the second after a change.
    pub described: u64,
}

/// Whose consent is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    Nobody,
    /// That of clients with a secret.
    Confidential,
    /// That of all clients at an `https` URI, if no other site sent the browser.
    HttpsRedirect,
}

/// What the host decides about a grant that is being refreshed.
#[derive(Clone, Debug)]
pub enum Decision {
    Keep,
    End,
    Change(Change),
}

#[derive(Clone, Debug)]
pub struct Change {
    /// The scope beyond which nothing is left.
    pub scope: Option<Set>,
    /// The new properties. 0 leaves those that there are.
    pub properties: u8,
    pub end: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct User {
    pub is_suspended: bool,
    pub epoch: u64,
}

/// What a request sends to prove its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    None,
    /// The secret that this request made.
    Secret(u64),
    Wrong,
}

/// The client that a request names, with its proof.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub client: Option<usize>,
    pub proof: Proof,
}
