//! A client's metadata document, as it was fetched (draft-ietf-oauth-client-id-metadata-document):
//! whether it is one, about the client that named it.

use std::time::Duration;

use super::metadata::{ClientMetadata, Members, Source};
use crate::policy::{DocumentRules, Policy};
use crate::reason::Reason;
use crate::value::auth_method::AuthMethod;
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
    /// The value of `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// For how long the HTTP headers say that the response is fresh (RFC 9111 §4.2); nothing if
    /// they do not say. Kept within the policy's bounds.
    pub fresh_for: Option<Duration>,
    /// The body, or as much as was read.
    pub body: &'a [u8],
}

impl FetchedDocument<'_> {
    /// The metadata in it, if it is a document about the client of this URL; or the rule it breaks,
    /// and in which part.
    pub(crate) fn read(
        &self,
        url: &str,
        policy: &Policy,
    ) -> Result<ClientMetadata, (Reason, &'static str)> {
        let invalid = |what| (Reason::DocumentInvalid, what);
        if self.status != 200 {
            return Err(invalid(
                "The response has another status than 200. Redirects are not followed.",
            ));
        }
        if !is_json(self.content_type.unwrap_or_default()) {
            return Err(invalid("The response's Content-Type is not application/json."));
        }
        if self.body.len() > MOST_BYTES {
            return Err(invalid("The document is over 5,120 bytes."));
        }
        let members = Members::read(self.body).map_err(|_| {
            invalid("The document is not one JSON object, or a member of it is repeated.")
        })?;
        if members.client_id.as_ref().and_then(serde_json::Value::as_str) != Some(url) {
            return Err(invalid(
                "The document's client_id is not the URL it was fetched from, byte for byte.",
            ));
        }
        if members.client_secret.is_some() || members.client_secret_expires_at.is_some() {
            return Err((
                Reason::DocumentMetadata,
                "client_secret: what is published is no secret.",
            ));
        }
        let metadata = members.judge(Source::Document).and_then(|metadata| {
            metadata.check_redirects(Source::Document, policy).map(|()| metadata)
        });
        let metadata =
            metadata.map_err(|reason| (Reason::DocumentMetadata, reason.description()))?;
        if metadata.about.name.is_none() {
            return Err((Reason::DocumentMetadata, "client_name is missing."));
        }
        match metadata.auth_method {
            None | Some(AuthMethod::None) => Ok(metadata),
            Some(AuthMethod::Secret(_)) => Err((
                Reason::DocumentMetadata,
                "token_endpoint_auth_method must be none, or left out.",
            )),
        }
    }

    /// For how long it is used, within the policy's bounds.
    pub(crate) fn freshness(&self, rules: &DocumentRules) -> Duration {
        self.fresh_for
            .unwrap_or(rules.fresh_at_least)
            .clamp(rules.fresh_at_least, rules.fresh_at_most)
    }
}

/// `application/json`, or a type that says it is JSON by its suffix (RFC 6839 §3.1).
fn is_json(content_type: &[u8]) -> bool {
    let media_type = content_type
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    media_type == b"application/json"
        || media_type.starts_with(b"application/") && media_type.ends_with(b"+json")
}
