//! Events for the audit log: one for each step of a flow. An event contains no secret, and every
//! text of a request in it is bounded and escaped.

mod kind;
mod line;
mod proof;
#[cfg(feature = "tracing")]
mod trace;
mod written;

use std::borrow::Cow;

use serde::{Serialize, Serializer};

pub use self::kind::{Durability, EventClass, EventKind};
pub use self::proof::ClientProof;
pub use self::written::{Written, WrittenRecord};
use crate::moment::{CorrelationId, Stamp, Timestamp};
use crate::reason::Reason;
use crate::value::credential::GrantId;
use crate::value::text::{ClientId, Subject, log_text};

/// One step of one flow.
///
/// As text it is one line for people. It serializes to one flat object, for a log of JSON lines or
/// an audit log's database. The names of the object's members are those of the fields, with `class`
/// for [`class`](Self::class). They are stable. A member is absent if its field is `None` or empty.
/// Times are Unix seconds, ids their text, and the other values of this crate their names:
///
/// ```json
/// {
///     "kind": "refused",
///     "reason": "refresh_reused",
///     "at": 1800000300,
///     "correlation": "0e29a7d4c0a64b1d8b3f8f0f5c3a9e11",
///     "flow": "pVd3LZk0TgGBO9C5hUy2dw",
///     "client": "app",
///     "subject": "alice",
///     "sent": { "status": 400, "error": "invalid_grant", "description": "…" },
///     "written": { "record": "grant", "version": "3", "durability": "durable" },
///     "class": "attributed"
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Why the request was refused, or why nothing was done. `None` for any other step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The received value and the right one, as in [`Refusal::detail`](crate::Refusal::detail). In
    /// a step that was no refusal, what was changed of the request, such as `scope_dropped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'static, str>>,
    /// The time of the step, by the server's clock.
    pub at: Timestamp,
    /// The id of the request. Its response can carry it too.
    pub correlation: CorrelationId,
    /// The flow: the id of the grant, the same from the consent page to the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<GrantId>,
    /// The client, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The `client_id` that the request named, if no client has it: escaped, cut at 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Box<str>>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What the client proved itself with. `None` if it did not, or is public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<ClientProof>,
    /// The [source](crate::RequestParts::source) of the request: escaped, cut at 256 bytes. `None`
    /// if the host named none, or the call was no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<str>>,
    /// What the response to a refused request contains, byte for byte. The driver sets it before
    /// the response leaves. A host that settles decisions itself sets it to
    /// [`Refusal::sent`](crate::Refusal::sent).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Box<SentError>>,
    /// The reason that an administrator gave, the resource server that introspected, the name that
    /// a registration claims, or the grant whose consent was remembered: escaped, cut at 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// The members of a client's metadata that this server left out, each with the values that it
    /// left out if it kept others: escaped, each cut at 256 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Box<str>>,
    /// The write of the step, or `None` if it wrote nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
    /// The preliminary write, which was made before the request could be decided: the renewal of a
    /// client before a grant of it, or the client's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Written>,
    /// The durability of the single-use mark that the request made of its assertion, or of the
    /// last one if it made two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked: Option<Durability>,
    /// The id of the request that used the assertion first, if it was used before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<CorrelationId>,
    /// See [`class`](Self::class).
    #[serde(rename = "class", serialize_with = "serialize_class")]
    pub(crate) attributed: bool,
}

/// What the response to a refused request contains: what its receiver can quote to support.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "tests of an audit log build it")]
pub struct SentError {
    /// The status of the response.
    pub status: u16,
    /// The value of `error`, or `None` if the request had no credentials and the response therefore
    /// has no `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The value of `error_description`, if one was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'static, str>>,
    /// The value of `WWW-Authenticate`, if it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Box<str>>,
}

impl Event {
    /// Makes the event of a step whose flow is not known (yet).
    pub(crate) fn new(kind: EventKind, reason: Option<Reason>, stamp: Stamp) -> Self {
        Self {
            kind,
            reason,
            detail: None,
            at: stamp.at,
            correlation: stamp.correlation,
            flow: None,
            client: None,
            claimed: None,
            subject: None,
            proof: None,
            source: None,
            sent: None,
            note: None,
            dropped: Vec::new(),
            written: None,
            prepared: None,
            marked: None,
            first: None,
            attributed: false,
        }
    }

    /// Returns who can cause this event.
    pub fn class(&self) -> EventClass {
        class(self.attributed)
    }

    /// Returns whether something is durable because of this step, or may be. An audit log keeps
    /// such an event whatever its class.
    pub fn has_written(&self) -> bool {
        self.written.is_some() || self.prepared.is_some() || self.marked.is_some()
    }

    /// Returns whether the durability of the step's write, or of its mark, is unknown.
    pub fn is_unknown(&self) -> bool {
        let written = self.written.map(|written| written.durability);
        written == Some(Durability::Unknown) || self.marked == Some(Durability::Unknown)
    }

    /// Returns the public error code that was sent. Returns `None` if the step was no refusal, or
    /// the response had no `error`.
    pub fn error(&self) -> Option<&'static str> {
        self.sent.as_ref().and_then(|sent| sent.error)
    }

    /// Returns the id of the client, or else the id that the request claimed.
    pub fn client_id(&self) -> Option<&str> {
        self.client.as_ref().map(ClientId::as_str).or(self.claimed.as_deref())
    }

    /// Sets the note: escaped and cut at 256 bytes.
    pub(crate) fn set_note(&mut self, note: Option<&str>) {
        self.note = note.map(log_text);
    }

    /// Sets the source of the request: escaped and cut at 256 bytes, `None` if it is empty.
    pub fn set_source(&mut self, source: &str) {
        self.source = (!source.is_empty()).then(|| log_text(source));
    }

    /// Sets the `client_id` that the request claimed, unless it is that of the event's client.
    pub(crate) fn claim(&mut self, client_id: &str) {
        if self.client.as_ref().is_some_and(|client| client.as_str() == client_id) {
            return;
        }
        self.client = None;
        if !client_id.is_empty() {
            self.claimed = Some(log_text(client_id));
        }
    }
}

fn class(attributed: bool) -> EventClass {
    if attributed { EventClass::Attributed } else { EventClass::Unattributed }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn serialize_class<S: Serializer>(attributed: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    class(*attributed).serialize(serializer)
}
