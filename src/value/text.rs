//! Identifiers the host or a client chose, and display text that is never trusted.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_encode_byte;
use serde::{Deserialize, Serialize};

use super::invisible::{is_blank, is_invisible};
use super::prefix::before_credential;

/// A `client_id`: 1 to 2,048 printable ASCII characters (OAuth 2.1 App. A.1). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Arc<str>);

/// A text that is not a `client_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client_id is 1 to 2,048 printable ASCII characters")]
pub struct ClientIdError;

impl ClientId {
    /// Takes an identifier the host chose.
    ///
    /// # Errors
    /// [`ClientIdError`] if it is empty, longer than 2,048 bytes or not printable ASCII.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ClientIdError> {
        Self::can_be(text.as_ref()).map(|text| Self(text.into())).ok_or(ClientIdError)
    }

    /// Puts a server's own identifier together.
    pub(crate) fn made(prefix: &str, random: &str) -> Self {
        Self([prefix, random].concat().into())
    }

    /// The text, if it can be an identifier at all: only then is a store asked for it.
    pub(crate) fn can_be(text: &str) -> Option<&str> {
        let valid =
            (1..=2048).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7E).contains(&b));
        valid.then_some(text)
    }

    /// The identifier as sent and stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = ClientIdError;

    fn try_from(text: String) -> Result<Self, ClientIdError> {
        Self::new(text)
    }
}

/// Who granted: the host's own stable name of a user account. Opaque to the core, cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Subject(Arc<str>);

impl Subject {
    /// Takes the host's name of the account. It should never be reused for another person (OAuth
    /// 2.1 §7.4).
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// The name as the host gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

macro_rules! plain_text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                (*value.0).to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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

/// Cleans a name that somebody chose, such as a client's or a user's, for a page: without characters
/// that are shown as nothing or reorder others, without blanks at its ends, at most 100 characters
/// (CONSENT-14). It does not escape HTML.
///
/// ```
/// assert_eq!(grantcore::display_text(" Bank\u{202e}\u{200b} "), "Bank");
/// ```
pub fn display_text(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let shown: String = visible.skip_while(|c| is_blank(*c)).take(100).collect();
    shown.trim_end_matches(is_blank).to_owned()
}

/// Untrusted text for a log line: escapes control and non-ASCII characters, cut at 256 bytes with a
/// mark (AUDIT-07), and before anything that may be a secret of this server's (I25).
pub(crate) fn log_text(text: &str) -> Box<str> {
    let kept = before_credential(text);
    let has_secret = kept.len() < text.len();
    let mut clean = String::with_capacity(kept.len().min(256));
    for c in kept.chars() {
        let (start, printable) = (clean.len(), (' '..='~').contains(&c));
        if printable {
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

/// Untrusted text for `error_description`: within `%x20-21 / %x23-5B / %x5D-7E` (RFC 6749 §5.2), at
/// most `most` bytes, cut where a credential begins. Every other byte is percent-encoded; what is
/// left out is marked by three periods.
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
