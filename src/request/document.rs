//! A fetched client metadata document (draft-ietf-oauth-client-id-metadata-document): checks that
//! the response is a document of the client that was named.

use std::time::Duration;

use super::metadata::{ClientMetadata, Members, Source};
use super::parts::elements;
use crate::policy::{DocumentRules, Policy};
use crate::reason::Reason;
use crate::refusal::{Fault, quoted};
use crate::value::document_url::MAX_BYTES;

/// The result of fetching a client's metadata document.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Fetch<'a> {
    /// The server answered.
    Document(FetchedDocument<'a>),
    /// The server did not answer, or the host must not be called. The reason belongs in the
    /// operator's log only, because a stranger could map a network by it.
    Failed,
    /// The host runs as many fetches as it allows at once. The page asks the user to try again.
    Busy,
}

/// The response from a client's URL.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it from a response")]
pub struct FetchedDocument<'a> {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`. The values of several headers are joined by commas (RFC 9110
    /// §5.3); no document is accepted with them.
    pub content_type: Option<&'a [u8]>,
    /// How long the response is fresh by its HTTP headers (RFC 9111 §4.2), or `None` if they do not
    /// define it. It is limited to the policy's bounds.
    pub fresh_for: Option<Duration>,
    /// The body, or the part that was read.
    pub body: &'a [u8],
}

impl FetchedDocument<'_> {
    /// Returns the metadata, if this is a document of the client with this URL.
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
        if self.body.len() > MAX_BYTES {
            return invalid(format!("The document is over {MAX_BYTES} bytes."));
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
            // A secret in a public document would be known to everybody.
            let hint = "client_secret: what is published is no secret.";
            return Err(Reason::DocumentMetadata.hint(hint));
        }
        let metadata = members.check(Source::Document, policy).map_err(as_document_fault)?;
        if metadata.description.name.is_none() {
            return Err(Reason::DocumentMetadata.hint("client_name is missing or no string."));
        }
        Ok(metadata)
    }

    /// Returns how long the document is used, within the policy's bounds.
    pub(crate) fn freshness(&self, rules: &DocumentRules) -> Duration {
        self.fresh_for
            .unwrap_or(rules.fresh_at_least)
            .clamp(rules.fresh_at_least, rules.fresh_at_most)
    }
}

/// Turns a fault of metadata into one of the document. Its description becomes the detail.
fn as_document_fault(fault: Fault) -> Fault {
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

/// Returns whether this is the value of one `Content-Type` header: `application/json`, or a type
/// with the suffix `+json` (RFC 6839 §3.1). Two headers, joined by a comma, are refused, because an
/// intermediary may use the other one (RFC 9110 §8.3).
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let is_one = elements(content_type).nth(1).is_none();
    is_one
        && (media_type == b"application/json"
            || media_type.starts_with(b"application/") && media_type.ends_with(b"+json"))
}
