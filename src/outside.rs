//! What a decision can need from outside the store while a request waits: the keys of a client or
//! of an issuer, a client's metadata document, and the account that an identity provider's user
//! has here. The crate opens no socket; the host does, and answers.

mod key_sets;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::key_sets::CachedKeys;
pub use self::key_sets::KeysAnswer;
use crate::jws::{Generation, KeysUrl};
use crate::moment::Timestamp;
use crate::value::text::Subject;

/// The most needs of one request: the keys of the client and those of the issuer, each from the
/// cache and then anew, a document and an account.
const NEEDS: usize = 6;

/// The longest key set that is accepted.
const MAX_KEYS_BYTES: usize = 64 * 1024;

/// A question that must be answered before a request can be decided. A request has at most six, and
/// each of them once. The cache of key sets answers some of them: the host is asked at most four.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The key set at a URL.
    Keys(KeysRequest),
    /// The metadata document of a client.
    Document(DocumentRequest),
    /// The local account of a user of an identity provider.
    Account(Link),
}

impl KeysRequest {
    /// Returns the request for a key set at a URL, with the limits of a set that was fetched.
    pub fn new(url: impl Into<String>, newer_than: Option<Generation>) -> Self {
        Self {
            url: url.into(),
            max_bytes: MAX_KEYS_BYTES,
            no_redirects: true,
            forbid_special_ips: true,
            allow_loopback: false,
            newer_than,
        }
    }

    /// Returns the request for the keys of a client, which has named the URL itself.
    pub(crate) fn of_client(
        url: &KeysUrl,
        newer_than: Option<Generation>,
        allow_loopback: bool,
    ) -> Self {
        Self { allow_loopback, ..Self::new(url.as_str(), newer_than) }
    }

    /// Returns the request for the keys of a trusted issuer. The operator has named the URL, so
    /// that it may be in a private network.
    pub(crate) fn of_issuer(url: &KeysUrl, newer_than: Option<Generation>) -> Self {
        Self {
            forbid_special_ips: false,
            allow_loopback: url.is_loopback(),
            ..Self::new(url.as_str(), newer_than)
        }
    }
}

impl Link {
    /// Returns the user of an issuer, without a tenant and hints.
    pub fn new(issuer: impl Into<Box<str>>, subject: impl Into<Box<str>>) -> Self {
        let (issuer, subject) = (issuer.into(), subject.into());
        Self { issuer, tenant: None, subject, email: None, local_subject: None }
    }
}

impl Need {
    /// Returns the answer that nothing can be had. The request is then refused.
    pub fn unanswered(self) -> Answered {
        match self {
            Self::Keys(needed) => Answered::Keys(needed, KeysAnswer::Unavailable),
            Self::Document(needed) => Answered::Document(needed, FetchResult::Failed),
            Self::Account(link) => Answered::Account(link, Linked::Unavailable),
        }
    }
}

/// A key set to fetch (RFC 7517 §5).
///
/// Send a GET with `Accept: application/json` and without credentials. A stranger may have chosen
/// the URL (server-side request forgery): resolve its host once, check the address and call no
/// other one, wait a few seconds only, and limit the number of concurrent fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeysRequest {
    /// The URL of the key set.
    pub url: String,
    /// The longest body that is accepted, in bytes. Read one byte more, so that a longer body is
    /// detected.
    pub max_bytes: usize,
    /// Whether redirects must not be followed. Return a 301 as the response.
    pub no_redirects: bool,
    /// Whether special-purpose addresses must not be called (RFC 6890: private, link-local,
    /// loopback and others). Loopback addresses are exempt if
    /// [`allow_loopback`](Self::allow_loopback) is set.
    pub forbid_special_ips: bool,
    /// Whether loopback addresses may be called, for tests.
    pub allow_loopback: bool,
    /// The latest set that is known to lack the needed key, if there is one. Return a newer set. A
    /// host that fetches the URL anew for each call can ignore this field.
    pub newer_than: Option<Generation>,
}

/// A metadata document to fetch before a request can be decided (CIMD, Client Information
/// Discovery).
///
/// Send a GET with `Accept: application/json` and without credentials. A stranger chose the URL
/// (server-side request forgery): resolve its host once, check the address and call no other one,
/// wait a few seconds only, and limit the number of concurrent fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRequest {
    /// The URL of the document: the `client_id`, byte for byte.
    pub url: String,
    /// The longest body that is accepted, in bytes. Read one byte more, so that a longer body is
    /// detected.
    pub max_bytes: usize,
    /// Whether redirects must not be followed. Return a 301 as the response.
    pub no_redirects: bool,
    /// Whether special-purpose addresses must not be called (RFC 6890: private, link-local,
    /// loopback and others). Loopback addresses are exempt if
    /// [`allow_loopback`](Self::allow_loopback) is set.
    pub forbid_special_ips: bool,
    /// Whether loopback addresses may be called, for tests
    /// ([`DocumentRules::allow_loopback`](crate::policy::DocumentRules::allow_loopback)).
    pub allow_loopback: bool,
}

/// A user of an identity provider, whose local account is needed. The issuer, the tenant and the
/// subject identify the user; the rest are hints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The issuer of the assertion.
    pub issuer: Box<str>,
    /// The tenant of the issuer, if its assertions name one.
    pub tenant: Option<Box<str>>,
    /// The user, by the name that the issuer gives them.
    pub subject: Box<str>,
    /// The user's e-mail address at the issuer. It does not identify the user, because addresses
    /// change their owners.
    pub email: Option<Box<str>>,
    /// The user's name here, as far as the issuer knows. It is a hint too.
    pub local_subject: Option<Box<str>>,
}

/// The result of fetching a key set or a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host that fetches matches on its own results")]
pub enum FetchResult {
    /// The server answered.
    Response(FetchedResponse),
    /// The server did not answer, or the host must not be called.
    Failed,
    /// The host runs as many fetches as it allows at once.
    Busy,
}

/// The response from a URL that was fetched.
#[derive(Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it from a response")]
pub struct FetchedResponse {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`. The values of several headers are joined by commas.
    pub content_type: Option<Vec<u8>>,
    /// How long the response is fresh by its HTTP headers (RFC 9111 §4.2), or `None` if they do not
    /// define it.
    pub fresh_for: Option<Duration>,
    /// The body, or the part that was read.
    pub body: Vec<u8>,
}

/// Shows the length of the body only.
impl fmt::Debug for FetchedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type, fresh_for, body } = self;
        f.debug_struct("FetchedResponse")
            .field("status", status)
            .field("content_type", &content_type.as_deref().map(String::from_utf8_lossy))
            .field("fresh_for", fresh_for)
            .field("body", &format_args!("{} bytes", body.len()))
            .finish()
    }
}

/// The local account of a user of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host answers with one of three")]
pub enum Linked {
    /// The user has this account.
    Account(Subject),
    /// The user has no account here.
    Nobody,
    /// The host cannot answer now. The request is refused with 503 and can be repeated.
    Unavailable,
}

/// The host's answers to what a request needs from outside the store. The default of each method
/// returns that nothing can be had, and the request is refused.
///
/// The methods are called while a request waits, at most four times for one request. A client that
/// sends an assertion again causes the same question again: give the same answer.
///
/// ```
/// use grantcore::Outside;
/// use grantcore::outside::{FetchResult, FetchedResponse, KeysRequest};
///
/// # struct HttpClient;
/// # impl HttpClient {
/// #     async fn get(&self, _: &str, _: usize) -> Option<Vec<u8>> { None }
/// # }
/// struct Web(HttpClient);
///
/// impl Outside for Web {
///     async fn keys(&self, needed: &KeysRequest) -> FetchResult {
///         // A guarded fetch, for example by the crate `grantcore-fetch`.
///         match self.0.get(&needed.url, needed.max_bytes).await {
///             Some(body) => FetchResult::Response(FetchedResponse {
///                 status: 200,
///                 body,
///                 ..FetchedResponse::default()
///             }),
///             None => FetchResult::Failed,
///         }
///     }
/// }
/// ```
pub trait Outside: Send + Sync {
    /// Fetches a key set, or returns one that is newer than
    /// [`newer_than`](KeysRequest::newer_than).
    fn keys(&self, needed: &KeysRequest) -> impl Future<Output = FetchResult> + Send {
        let _ = needed;
        async { FetchResult::Failed }
    }

    /// Fetches the metadata document of a client.
    fn document(&self, needed: &DocumentRequest) -> impl Future<Output = FetchResult> + Send {
        let _ = needed;
        async { FetchResult::Failed }
    }

    /// Finds the local account of a user of an identity provider.
    fn account(&self, link: &Link) -> impl Future<Output = Linked> + Send {
        let _ = link;
        async { Linked::Unavailable }
    }
}

/// Returns for every question that nothing can be had.
impl Outside for () {}

impl<T: Outside> Outside for Arc<T> {
    async fn keys(&self, needed: &KeysRequest) -> FetchResult {
        (**self).keys(needed).await
    }

    async fn document(&self, needed: &DocumentRequest) -> FetchResult {
        (**self).document(needed).await
    }

    async fn account(&self, link: &Link) -> Linked {
        (**self).account(link).await
    }
}

/// A need with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a host that drives by hand builds it")]
pub enum Answered {
    /// A key set.
    Keys(KeysRequest, KeysAnswer),
    /// A document.
    Document(DocumentRequest, FetchResult),
    /// An account.
    Account(Link, Linked),
}

/// The answers that a request has got so far. The driver hands them to each decision with the
/// loaded records.
#[derive(Clone, Debug, Default)]
pub struct Answers(Option<Arc<Vec<Answered>>>);

impl Answers {
    /// Adds an answer.
    pub fn add(&mut self, answered: Answered) {
        Arc::make_mut(self.0.get_or_insert_default()).push(answered);
    }

    /// Returns the answers in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Answered> {
        self.0.iter().flat_map(|answers| answers.iter())
    }

    /// Returns the answer to this need of keys.
    pub(crate) fn keys(&self, request: &KeysRequest) -> Option<&KeysAnswer> {
        self.iter().find_map(|answered| match answered {
            Answered::Keys(own, answer) if own == request => Some(answer),
            _ => None,
        })
    }

    /// Returns what the host has answered about this user.
    pub(crate) fn linked(&self, link: &Link) -> Option<&Linked> {
        self.iter().find_map(|answered| match answered {
            Answered::Account(own, linked) if own == link => Some(linked),
            _ => None,
        })
    }

    /// Returns the account that the host has found.
    pub(crate) fn found_account(&self) -> Option<&Subject> {
        self.iter().find_map(|answered| match answered {
            Answered::Account(_, Linked::Account(subject)) => Some(subject),
            _ => None,
        })
    }

    /// Returns whether this may be asked: it was not asked before, and the bound is not reached.
    pub(crate) fn admits(&self, need: &Need) -> bool {
        self.iter().count() < NEEDS && !self.iter().any(|answered| answered.is_to(need))
    }
}

impl Answered {
    /// Returns whether this is the answer to the need.
    fn is_to(&self, need: &Need) -> bool {
        match (self, need) {
            (Self::Keys(own, _), Need::Keys(other)) => own == other,
            (Self::Document(own, _), Need::Document(other)) => own == other,
            (Self::Account(own, _), Need::Account(other)) => own == other,
            _ => false,
        }
    }
}

/// What a host has returned.
pub(crate) enum Asked {
    /// A response for a key set. The cache keeps it, and then it is an answer.
    Keys(KeysRequest, FetchResult),
    Answered(Answered),
}

impl Asked {
    /// Returns the answer, and keeps a key set that was fetched.
    pub(crate) fn keep(self, kept: &CachedKeys, now: Timestamp) -> Answered {
        match self {
            Self::Keys(request, fetched) => {
                let answer = kept.keep(&request, fetched, now);
                Answered::Keys(request, answer)
            }
            Self::Answered(answered) => answered,
        }
    }
}

/// An [`Outside`] as a trait object, so that a server has no type parameter for it.
pub(crate) trait AskOutside: Send + Sync {
    fn ask(&self, need: Need) -> Pin<Box<dyn Future<Output = Asked> + Send + '_>>;
}

impl<T: Outside> AskOutside for T {
    fn ask(&self, need: Need) -> Pin<Box<dyn Future<Output = Asked> + Send + '_>> {
        Box::pin(async move {
            match need {
                Need::Keys(needed) => {
                    let fetched = self.keys(&needed).await;
                    Asked::Keys(needed, fetched)
                }
                Need::Document(needed) => {
                    let fetched = self.document(&needed).await;
                    Asked::Answered(Answered::Document(needed, fetched))
                }
                Need::Account(link) => {
                    let linked = self.account(&link).await;
                    Asked::Answered(Answered::Account(link, linked))
                }
            }
        })
    }
}
