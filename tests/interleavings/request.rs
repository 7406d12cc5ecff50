//! The requests of the model: their bytes with a credential, and the credentials that a response
//! discloses.
//!
//! The library's own functions parse the bytes, and its own `Operation` and `Decision` decide. Both
//! are used here without their types, so that one step machine serves every kind of request.

use std::fmt;
use std::sync::LazyLock;

use grantcore::account::{GrantChanges, RefreshDecision};
use grantcore::grant::Grant;
use grantcore::moment::{Entropy, Moment};
use grantcore::operation::{Decision, Loaded, Operation};
use grantcore::reason::Endpoint;
use grantcore::request::{
    AccessCheck, AuthorizationRequest, ConsentDecision, GrantNarrowing, Narrowing,
    RevocationRequest, TokenRequest,
};
use grantcore::store::{Change, Commit, Keys, Seen, Write};
use grantcore::value::GrantId;
use grantcore::{
    Authorization, Choice, ContentType, Needs, Policy, Refusal, RequestParts, Timestamp,
};

use crate::disclosing::Disclosing;
use crate::memory::{Hint, typed};
use crate::support::params::Params;
use crate::support::{ALICE, T, needs, policy};
use crate::world::World;

/// The kind of a request. The last four are the host's own, and change in one step what requests
/// read beside the grant: an epoch, an earlier grant, or what the host decides about a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    Authorize,
    /// An authorization request of a user who names this earlier grant.
    AuthorizeAgain(Hint),
    Approve,
    Deny,
    Redeem(Flaw),
    Refresh(Which, Flaw),
    /// A refresh with the first refresh token, whether or not it was rotated.
    Revoke,
    Check,
    /// A check of a call that needs the scope token `write`.
    CheckWrite,
    /// The user takes everything away but the scope token `read`.
    Narrow,
    RaiseClient,
    RaiseAccount,
    /// Ends the earlier grant whose user was asked.
    EndMemory,
    Judge(Judgment),
}

/// What the host decides about the grant when it is refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Judgment {
    #[default]
    Keep,
    /// Takes everything away but the scope token `read`.
    Read,
    /// Leaves nothing of the scope.
    Nothing,
    /// Names an end that is not in the future.
    Past,
    End,
}

impl Judgment {
    pub fn ends(self) -> bool {
        matches!(self, Self::Nothing | Self::Past | Self::End)
    }

    pub fn decision(self) -> RefreshDecision {
        let scope = |text: &str| text.parse().expect("a scope");
        match self {
            Self::Keep => RefreshDecision::Keep,
            Self::Read => GrantChanges::default().with_scope(scope("read admin")).into(),
            Self::Nothing => GrantChanges::default().with_scope(scope("admin")).into(),
            Self::Past => {
                GrantChanges::default().until(Timestamp::from_unix_seconds(T - 100)).into()
            }
            Self::End => RefreshDecision::End("has left".into()),
        }
    }
}

/// The flaw of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    None,
    /// No flaw: a refresh that asks for the scope token `write` alone.
    AsksToWrite,
    Verifier,
    Client,
    Redirect,
    /// A scope token that was not granted.
    Scope,
    /// A family secret that is not the grant's, as in a forged refresh token.
    Family,
}

/// Which refresh token is presented, of those that the clients hold when the request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    First,
    Newest,
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Ticket,
    Code,
    Access,
    Refresh,
}

/// A credential, by its kind and the order in which the search found it.
/// [`World`](crate::world::World) has its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credential {
    pub kind: Kind,
    pub number: usize,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.kind, self.number)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, flaw) = match self {
            Self::Authorize => ("authorize", Flaw::None),
            Self::AuthorizeAgain(Hint::Asked) => ("authorize again", Flaw::None),
            Self::AuthorizeAgain(Hint::Silent) => ("authorize on a silent grant", Flaw::None),
            Self::Approve => ("approve", Flaw::None),
            Self::Deny => ("deny", Flaw::None),
            Self::Redeem(flaw) => ("redeem", *flaw),
            Self::Refresh(_, flaw) => ("refresh", *flaw),
            Self::Revoke => ("revoke", Flaw::None),
            Self::Check => ("check", Flaw::None),
            Self::CheckWrite => ("check of a call that writes", Flaw::None),
            Self::Narrow => ("narrow to read", Flaw::None),
            Self::Judge(judgment) => return write!(f, "the host decides {judgment:?}"),
            Self::RaiseClient => ("raise the client's epoch", Flaw::None),
            Self::RaiseAccount => ("raise the account's epoch", Flaw::None),
            Self::EndMemory => ("end the earlier grant", Flaw::None),
        };
        if flaw == Flaw::None { f.write_str(verb) } else { write!(f, "{verb} (wrong {flaw:?})") }
    }
}

impl Ask {
    /// Returns the kind of credential that the request presents.
    pub fn presents(self) -> Option<Kind> {
        match self {
            Self::Approve | Self::Deny => Some(Kind::Ticket),
            Self::Redeem(_) => Some(Kind::Code),
            Self::Refresh(..) | Self::Revoke => Some(Kind::Refresh),
            Self::Check | Self::CheckWrite => Some(Kind::Access),
            Self::Authorize
            | Self::AuthorizeAgain(_)
            | Self::EndMemory
            | Self::Narrow
            | Self::RaiseClient
            | Self::RaiseAccount
            | Self::Judge(_) => None,
        }
    }

    pub fn is_flawed(self) -> bool {
        let has_flaw = |flaw| !matches!(flaw, Flaw::None | Flaw::AsksToWrite);
        matches!(self, Self::Redeem(flaw) | Self::Refresh(_, flaw) if has_flaw(flaw))
    }

    /// Returns whether it changes in one step what requests read beside the grant.
    pub fn is_of_host(self) -> bool {
        let raises = matches!(self, Self::RaiseClient | Self::RaiseAccount);
        raises || matches!(self, Self::EndMemory | Self::Judge(_))
    }

    /// Returns the bytes of the request: a query, a form, a header or a ticket.
    pub fn bytes(self, presented: &str) -> String {
        let form = |params: Params, flaw| match flaw {
            Flaw::None => params.encode(),
            Flaw::AsksToWrite => params.set("scope", "write").encode(),
            Flaw::Verifier => params.set("code_verifier", &"v".repeat(43)).encode(),
            Flaw::Client => params.set("client_id", "other").encode(),
            Flaw::Scope => params.set("scope", "admin").encode(),
            Flaw::Redirect => params.set("redirect_uri", "https://app.example/elsewhere").encode(),
            Flaw::Family => params.set("refresh_token", &forged(presented)).encode(),
        };
        match self {
            Self::Authorize | Self::AuthorizeAgain(_) => Params::authorize().encode(),
            Self::Redeem(flaw) => form(Params::redeem(presented), flaw),
            Self::Refresh(_, flaw) => form(Params::refresh(presented), flaw),
            Self::Revoke => {
                Params::refresh("").without("refresh_token").and("token", presented).encode()
            }
            Self::Check | Self::CheckWrite => format!("Bearer {presented}"),
            Self::Approve
            | Self::Deny
            | Self::Narrow
            | Self::EndMemory
            | Self::RaiseClient
            | Self::RaiseAccount
            | Self::Judge(_) => presented.to_owned(),
        }
    }

    /// Parses the bytes with the library.
    pub fn parse<'a>(
        self,
        bytes: &'a str,
        policy: &'a Policy,
        world: &World,
    ) -> Box<dyn Request + 'a> {
        let post = RequestParts {
            method: "POST",
            content_type: ContentType::FORM,
            body: bytes.as_bytes(),
            ..RequestParts::default()
        };
        match self {
            Self::Authorize => {
                let incoming = RequestParts {
                    method: "GET",
                    query: bytes.as_bytes(),
                    ..RequestParts::default()
                };
                Box::new(
                    AuthorizationRequest::parse(&incoming, Some(ALICE), policy).expect("a request"),
                )
            }
            Self::AuthorizeAgain(hint) => Box::new(
                AuthorizationRequest::parse(&typed(bytes), Some(world.user(hint)), policy)
                    .expect("a request"),
            ),
            Self::Approve => {
                Box::new(ConsentDecision::new(bytes, ALICE, Choice::Allow).expect("a ticket"))
            }
            Self::Deny => {
                Box::new(ConsentDecision::new(bytes, ALICE, Choice::Deny).expect("a ticket"))
            }
            Self::Redeem(_) | Self::Refresh(..) => {
                Box::new(TokenRequest::parse(&post, policy).expect("a form"))
            }
            Self::Revoke => Box::new(RevocationRequest::parse(&post, policy).expect("a form")),
            Self::Check | Self::CheckWrite => {
                let needs = if self == Self::Check { &NEEDS } else { &NEEDS_WRITE };
                let header = Authorization::One(bytes.as_bytes());
                Box::new(AccessCheck::parse(&header, needs).expect("a header"))
            }
            // The only grant id of the model.
            Self::Narrow => Box::new(GrantNarrowing::by_user(
                GrantId::from_bytes([u8::MAX; 16]),
                "alice",
                &TO_READ,
            )),
            Self::RaiseClient | Self::RaiseAccount | Self::EndMemory | Self::Judge(_) => {
                unreachable!("no request")
            }
        }
    }
}

/// What the call of the model needs. Its resource is the same under every policy of the model.
static NEEDS: LazyLock<Needs> =
    LazyLock::new(|| needs(&policy().build().expect("the policy of the tests"), 0, ""));

/// What a call of the model needs that writes.
static NEEDS_WRITE: LazyLock<Needs> =
    LazyLock::new(|| needs(&policy().build().expect("the policy of the tests"), 0, "write"));

/// What the user narrows the grant to.
static TO_READ: LazyLock<Narrowing> =
    LazyLock::new(|| Narrowing::default().with_scope("read".parse().expect("a scope")));

/// The same refresh token with another letter in the middle of its family secret.
fn forged(token: &str) -> String {
    const IN_FAMILY: usize = 40;
    let other = if token.as_bytes()[IN_FAMILY] == b'A' { "B" } else { "A" };
    let mut forged = token.to_owned();
    forged.replace_range(IN_FAMILY..=IN_FAMILY, other);
    forged
}

/// Returns the entropy of one request. Each of its parts is one repeated byte. All consent pages
/// get the same grant id.
pub fn entropy(seed: u8) -> Entropy {
    let mut bytes = [0; 128];
    for (position, byte) in bytes.iter_mut().enumerate() {
        let part = [0, 1, 2, 2, 3, 3, 4, 4][position / 16];
        *byte = seed * 5 + part;
    }
    Entropy::from_bytes(bytes)
}

/// Returns [`entropy`] with the only grant id of the model.
pub fn entropy_of_page(seed: u8) -> Entropy {
    let mut bytes = [seed * 5; 128];
    bytes[16..32].fill(u8::MAX);
    Entropy::from_bytes(bytes)
}

/// [`Operation`] without its response's type.
pub trait Request {
    fn names(&self, policy: &Policy, moment: &Moment) -> Keys<'_>;
    fn decision(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Box<dyn Sealed>;
    fn face(&self) -> Endpoint;
}

impl<O: Operation<Response: Disclosing + 'static>> Request for O {
    fn names(&self, policy: &Policy, moment: &Moment) -> Keys<'_> {
        self.keys(policy, moment)
    }

    fn decision(&self, loaded: &Loaded, policy: &Policy, moment: &Moment) -> Box<dyn Sealed> {
        Box::new(self.decide(loaded, policy, moment))
    }

    fn face(&self) -> Endpoint {
        self.endpoint()
    }
}

/// [`Decision`] without its response's type.
pub trait Sealed {
    fn to_write(&self) -> Option<&Change<Grant>>;
    /// Returns the mark to make, if the decision waits for one.
    fn to_mark(&self) -> Option<&Seen>;
    fn open(self: Box<Self>, commit: Commit) -> Option<Result<Vec<(Kind, String)>, Refusal>>;
    fn give_up(self: Box<Self>, endpoint: Endpoint) -> Refusal;
}

impl<T: Disclosing> Sealed for Decision<T> {
    fn to_write(&self) -> Option<&Change<Grant>> {
        match self.write()? {
            Write::Grant(change) => Some(change),
            Write::Seen(_) => None,
            Write::Client(_) => panic!("the clients are the operator's"),
        }
    }

    fn to_mark(&self) -> Option<&Seen> {
        match self.write()? {
            Write::Seen(seen) => Some(seen),
            Write::Grant(_) | Write::Client(_) => None,
        }
    }

    fn open(self: Box<Self>, commit: Commit) -> Option<Result<Vec<(Kind, String)>, Refusal>> {
        self.settle(commit).ok().map(|settled| settled.outcome.map(Disclosing::credentials))
    }

    fn give_up(self: Box<Self>, endpoint: Endpoint) -> Refusal {
        self.abandon(endpoint)
    }
}
