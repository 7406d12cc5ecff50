//! The part of a description that depends on the request: what was received, and what is right.
//!
//! Details are composed for refusals only. Every value of a request passes [`error_text`], which
//! bounds it, keeps it within the characters of `error_description`, and cuts it where a credential
//! of this crate begins.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::reason::Reason;
use crate::value::prefix::before_credential;
use crate::value::redirect_uri::RedirectUriError;
use crate::value::scope::{MAX_TOKENS, ScopeError, is_token};
use crate::value::text::{error_text, log_text};
use crate::value::uri::rewritten_host;

/// The longest received value in a description, in bytes.
const LONGEST_RECEIVED: usize = 256;
/// How many bytes of a received value are kept until it is written. More than are written, so that
/// the cut is marked.
const LONGEST_KEPT: usize = 2 * LONGEST_RECEIVED;
/// The longest hint, in bytes.
const LONGEST_HINT: usize = 512;

/// What was received and what is right, each if it helps the reader.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail {
    /// The value as it was sent, but cut at [`LONGEST_KEPT`] and where a credential begins.
    received: Option<Box<str>>,
    /// Whole sentences.
    hint: Option<Cow<'static, str>>,
}

/// A rule that a request broke, with the detail of its description.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: Option<Box<Detail>>,
}

impl Detail {
    /// Returns the received value, escaped and cut for a page or a log.
    pub(crate) fn received(&self) -> Option<Box<str>> {
        self.received.as_deref().map(log_text)
    }

    /// Returns whole sentences that follow the stable description.
    pub(crate) fn sentences(&self) -> Cow<'_, str> {
        let received = self.received.as_deref().map(|text| error_text(text, LONGEST_RECEIVED));
        match (received, &self.hint) {
            (None, hint) => Cow::Borrowed(hint.as_deref().unwrap_or_default()),
            (Some(received), None) => format!("Received: '{received}'.").into(),
            (Some(received), Some(hint)) => format!("Received: '{received}'. {hint}").into(),
        }
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None }
    }
}

impl From<RedirectUriError> for Fault {
    fn from(error: RedirectUriError) -> Self {
        Reason::from(error).into()
    }
}

impl Reason {
    /// Makes a fault with the value that broke the rule. An empty value is left out.
    pub(crate) fn received(self, text: &str) -> Fault {
        Fault::from(self).received(text)
    }

    /// Makes a fault with whole sentences about what was received or what is right. Values of the
    /// request in them are [`quoted`].
    pub(crate) fn hint(self, sentences: impl Into<Cow<'static, str>>) -> Fault {
        Fault::from(self).hint(sentences)
    }

    /// Makes a fault with these sentences, if there are any.
    pub(crate) fn maybe_hint(self, sentences: Option<String>) -> Fault {
        Fault::from(self).maybe_hint(sentences)
    }
}

impl Fault {
    /// Sets the received value. An empty value is left out.
    pub(crate) fn received(mut self, text: &str) -> Self {
        if !text.is_empty() {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let end = ends.take_while(|end| *end <= LONGEST_KEPT).last().unwrap_or_default();
            let kept = before_credential(text.get(..end).unwrap_or_default());
            let mark = if kept.len() < end { "..." } else { "" };
            self.detail.get_or_insert_default().received = Some([kept, mark].concat().into());
        }
        self
    }

    /// Sets the hint, if there is one.
    pub(crate) fn maybe_hint(self, sentences: Option<String>) -> Self {
        match sentences {
            Some(sentences) => self.hint(sentences),
            None => self,
        }
    }

    /// Sets the hint. A composed one is cut at [`LONGEST_HINT`].
    pub(crate) fn hint(mut self, sentences: impl Into<Cow<'static, str>>) -> Self {
        let hint = match sentences.into() {
            Cow::Borrowed(fixed) => Cow::Borrowed(fixed),
            Cow::Owned(composed) => Cow::Owned(error_text(&composed, LONGEST_HINT)),
        };
        self.detail.get_or_insert_default().hint = Some(hint).filter(|hint| !hint.is_empty());
        self
    }
}

/// Returns a value of the request for a sentence: escaped, cut at 64 bytes, in single quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", error_text(text, 64))
}

/// Returns the first five values of a list for a sentence, and the number of the others.
pub(crate) fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut values = values.into_iter();
    let first = values.by_ref().take(5).map(quoted).collect::<Vec<_>>().join(", ");
    match values.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Returns a sentence with the host of this URI as a browser writes it, or `None` if the URI has
/// the same spelling. Browsers rewrite international names to punycode and addresses to one
/// notation.
pub(crate) fn host_hint(uri: &str) -> Option<String> {
    rewritten_host(uri).map(|host| format!("A browser writes its host as {}.", quoted(&host)))
}

/// Returns a sentence that names the malformed scope tokens, or counts the tokens if there are too
/// many.
pub(crate) fn scope_hint(asked: &str, error: ScopeError) -> Option<String> {
    let tokens = || asked.split(' ').filter(|token| !token.is_empty());
    match error {
        ScopeError::Empty => None,
        ScopeError::Character => {
            let wrong = tokens().filter(|token| !is_token(token));
            Some(format!("Not a scope token: {}.", listed(wrong)))
        }
        ScopeError::TooMany => {
            let received = tokens().collect::<BTreeSet<_>>().len();
            Some(format!("Received: {received} scope tokens. At most {MAX_TOKENS} are possible."))
        }
    }
}
