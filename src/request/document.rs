//! A client's metadata document, as it was fetched (draft-ietf-oauth-client-id-metadata-document):
//! whether it is one, about the client that named it.

use std::time::Duration;

use super::metadata::{ClientMetadata, Members, Source};
use crate::policy::{DocumentRules, Policy};
use crate::reason::Reason;
use crate::refusal::{Fault, quoted};
use crate::value::document_url::MOST_BYTES;

/// What came of fetching a client's document.
#[derive(Clone, Copy, Debug)]
pub enum Fetch<'a> {
    /// Something came back.
    Document(FetchedDocument<'a>),
    /// Nothing did, or the host must not be called. Why is for the operator's log: a stranger could
    /// map a network by it.
    Failed,
    /// The host is fetching as much as it will at once. The user is told to come back.
    Busy,
}

/// What came back from a client's URL.
#[derive(Clone, Copy, Debug)]
pub struct FetchedDocument<'a> {
    /// The status.
    pub status: u16,
    /// The value of `Content-Type`; of several headers, their values joined by commas (RFC 9110
    /// §5.3), which no document is accepted with.
    pub content_type: Option<&'a [u8]>,
    /// For how long the HTTP headers say that the response is fresh (RFC 9111 §4.2); nothing if
    /// they do not say. Kept within the policy's bounds.
    pub fresh_for: Option<Duration>,
    /// The body, or as much as was read.
    pub body: &'a [u8],
}

impl FetchedDocument<'_> {
    /// The metadata in it, if it is a document about the client of this URL; or the rule it breaks.
    pub(crate) fn read(&self, url: &str, policy: &Policy) -> Result<ClientMetadata, Fault> {
        let invalid = |what: String| Err(Reason::DocumentInvalid.hint(what));
        if self.status != 200 {
            return invalid(format!(
                "The response has the status {}, not 200. Redirects are not followed.",
                self.status
            ));
        }
        let content_type = self.content_type.unwrap_or_default();
        if !is_json(content_type) {
            return invalid(format!(
                "The response's Content-Type is {}, not application/json.",
                quoted(&String::from_utf8_lossy(content_type))
            ));
        }
        if self.body.len() > MOST_BYTES {
            return invalid(format!("The document is over {MOST_BYTES} bytes."));
        }
        let Ok(members) = Members::read(self.body) else {
            return invalid(
                "The document is not one JSON object, or a member of it is repeated.".into(),
            );
        };
        if members.client_id.as_ref().and_then(serde_json::Value::as_str) != Some(url) {
            return invalid(
                "The document's client_id is not the URL it was fetched from, byte for byte."
                    .into(),
            );
        }
        if members.client_secret.is_some() || members.client_secret_expires_at.is_some() {
            let hint = "client_secret: what is published is no secret.";
            return Err(Reason::DocumentMetadata.hint(hint));
        }
        let metadata = members.judge(Source::Document, policy).map_err(of_document)?;
        if metadata.description.name.is_none() {
            return Err(Reason::DocumentMetadata.hint("client_name is missing or no string."));
        }
        Ok(metadata)
    }

    /// For how long it is used, within the policy's bounds.
    pub(crate) fn freshness(&self, rules: &DocumentRules) -> Duration {
        self.fresh_for
            .unwrap_or(rules.fresh_at_least)
            .clamp(rules.fresh_at_least, rules.fresh_at_most)
    }
}

/// A rule for metadata, as the rule for documents that it is part of.
fn of_document(fault: Fault) -> Fault {
    match fault.reason {
        Reason::DocumentNoCommonMethod => fault,
        reason => {
            let detail = fault.detail.as_ref().map(|detail| detail.sentences());
            let sentences: Vec<_> =
                [reason.description()].into_iter().chain(detail.as_deref()).collect();
            Reason::DocumentMetadata.hint(sentences.join(" "))
        }
    }
}

/// Returns whether this is the value of one `Content-Type` header, `application/json` or a type that
/// says it is JSON by its suffix (RFC 6839 §3.1). Two headers, joined by a comma, say nothing: what
/// stands between server and client may go by the other one (RFC 9110 §8.3).
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let is_one = !outside_quotes(content_type).any(|b| b == b',');
    is_one
        && (media_type == b"application/json"
            || media_type.starts_with(b"application/") && media_type.ends_with(b"+json"))
}

/// The bytes of a header value that are not within a quoted string (RFC 9110 §5.6.4).
fn outside_quotes(value: &[u8]) -> impl Iterator<Item = u8> {
    let mut quoted = false;
    let mut escaped = false;
    value.iter().copied().filter(move |b| {
        let ends_escape = std::mem::take(&mut escaped);
        match b {
            b'\\' if quoted && !ends_escape => escaped = true,
            b'"' if !ends_escape => quoted = !quoted,
            _ => {}
        }
        !quoted
    })
}
