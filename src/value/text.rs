//! Identifiers that the host or a client chose, and untrusted text for pages and logs.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::percent_encode_byte;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::invisible::{is_blank, is_invisible};
use super::prefix::before_credential;

/// A `client_id`: 1 to 2,048 printable ASCII characters (OAuth 2.1 App. A.1). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Arc<str>);

/// A text that is not a `client_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client_id is 1 to 2,048 printable ASCII characters")]
#[non_exhaustive]
pub struct ClientIdError;

impl ClientId {
    /// Makes an identifier of this text.
    ///
    /// # Errors
    /// [`ClientIdError`] if the text is empty, longer than 2,048 bytes or not printable ASCII.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ClientIdError> {
        Self::can_be(text.as_ref()).map(|text| Self(text.into())).ok_or(ClientIdError)
    }

    /// Makes an identifier that the server assigns.
    pub(crate) fn from_parts(prefix: &str, random: &str) -> Self {
        Self([prefix, random].concat().into())
    }

    /// Returns the text if it can be an identifier. No store is asked for any other.
    pub(crate) fn can_be(text: &str) -> Option<&str> {
        let valid =
            (1..=2048).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7E).contains(&b));
        valid.then_some(text)
    }

    /// Returns the text of the identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether both are the same identifier. The grants of a client share its text, which
    /// is then not compared.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self == other
    }
}

impl TryFrom<String> for ClientId {
    type Error = ClientIdError;

    fn try_from(text: String) -> Result<Self, ClientIdError> {
        Self::new(text)
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, ClientIdError> {
        Self::new(text)
    }
}

/// The host's stable name of a user account (`sub` of RFC 7662 §2.2). Opaque to the crate, cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Subject(SmolStr);

impl Subject {
    /// Makes a subject of the host's name of an account. A name should never be reused for another
    /// person (OAuth 2.1 §7.4).
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl FromStr for Subject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

/// The `state` of a client, which the response returns unchanged (OAuth 2.1 §4.1.1). Up to 23 bytes
/// of it lie in the record.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State(SmolStr);

impl State {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// Redacted: it can be a secret of the client.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State(redacted)")
    }
}

macro_rules! plain_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                (*value.0).to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

plain_text!(ClientId);
plain_text!(Subject);

/// The longest text of [`display_text`], in characters.
const LONGEST_SHOWN: usize = 100;

/// Cleans an untrusted name for a page, such as the name of a client or a user (CONSENT-14).
///
/// Removes characters that are invisible or reorder others, and blanks at both ends. Keeps at most
/// 100 characters; an ellipsis marks a cut. Does not escape HTML.
///
/// ```
/// assert_eq!(grantcore::value::display_text(" Bank\u{202e}\u{200b} "), "Bank");
/// ```
pub fn display_text(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let mut rest = visible.skip_while(|c| is_blank(*c));
    let shown: String = rest.by_ref().take(LONGEST_SHOWN).collect();
    if rest.all(is_blank) {
        return shown.trim_end_matches(is_blank).to_owned();
    }
    let kept: String = shown.chars().take(LONGEST_SHOWN - 1).collect();
    format!("{}…", kept.trim_end_matches(is_blank))
}

/// Cleans an untrusted text for a log line: escapes control and non-ASCII characters, and cuts the
/// text at 256 bytes (AUDIT-07) and where a credential of this server begins (I25). An ellipsis
/// marks a cut.
pub(crate) fn log_text(text: &str) -> Box<str> {
    let kept = before_credential(text);
    let has_secret = kept.len() < text.len();
    let mut clean = String::with_capacity(kept.len().min(256));
    for c in kept.chars() {
        let start = clean.len();
        let is_printable = (' '..='~').contains(&c);
        if is_printable {
            clean.push(c);
        } else {
            clean.extend(c.escape_default());
        }
        if clean.len() > 256 {
            clean.truncate(start);
            clean.push('…');
            return clean.into();
        }
    }
    if has_secret {
        clean.push('…');
    }
    clean.into()
}

/// A text of a log line that other fields follow: a plain word as it is, any other text in double
/// quotes and escaped. It is bounded as [`log_text`] bounds it.
pub(crate) struct LogWord<'a>(pub(crate) &'a str);

impl fmt::Display for LogWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = before_credential(self.0);
        let shown: String = kept.chars().take(256).collect();
        let is_cut = shown.len() < self.0.len();
        let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'=' | b'\\');
        if !is_cut && !shown.is_empty() && shown.bytes().all(is_plain) {
            return f.write_str(&shown);
        }
        let mark = if is_cut { "..." } else { "" };
        write!(f, "\"{}{mark}\"", shown.escape_default())
    }
}

/// Cleans an untrusted text for `error_description`: percent-encodes every byte outside
/// `%x20-21 / %x23-5B / %x5D-7E` (RFC 6749 §5.2), and cuts the text at `limit` bytes and where a
/// credential of this server begins. Three periods mark a cut.
pub(crate) fn error_text(text: &str, limit: usize) -> String {
    let shown = before_credential(text);
    let mut clean = String::with_capacity(shown.len().min(limit));
    for c in shown.chars() {
        let start = clean.len();
        if matches!(c, ' ' | '!' | '#'..='[' | ']'..='~') {
            clean.push(c);
        } else {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                clean.push_str(percent_encode_byte(byte));
            }
        }
        if clean.len() > limit {
            clean.truncate(start);
            clean.push_str("...");
            return clean;
        }
    }
    if shown.len() < text.len() {
        clean.push_str("...");
    }
    clean
}
