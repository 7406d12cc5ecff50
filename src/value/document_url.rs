//! A `client_id` that is the URL of the client's metadata document (CIMD, Client Identifier).

use super::text::ClientId;
use super::uri::{BrowserUrl, Uri};

/// The longest document that is read, in bytes (CIMD, SSRF).
pub(crate) const MAX_BYTES: usize = 5 * 1024;

/// Returns whether a `client_id` begins as a web URL. This server does not assign such identifiers.
pub(crate) fn claims_document(client_id: &str) -> bool {
    Uri::split(client_id).is_some_and(|uri| uri.is_web() && uri.authority().is_some())
}

/// Returns whether a `client_id` is the URL of a document: `https`, or `http` on a loopback host if
/// that is allowed; a host and a path; no userinfo and no fragment; the spelling that a browser
/// serializes (CIMD, Client Identifier). The fetched URL is then the compared `client_id`.
pub(crate) fn is_document_url(client_id: &str, allow_loopback: bool) -> bool {
    let Some(Ok(url)) = ClientId::can_be(client_id).map(BrowserUrl::parse) else { return false };
    let has_scheme =
        url.scheme() == "https" || url.scheme() == "http" && allow_loopback && url.is_loopback();
    // Impersonation: with two spellings of one URL, one document would describe two clients. The
    // parser keeps the dot that ends a fully qualified host name, which is a second spelling too.
    let is_one_spelling =
        url.is_written(client_id) && url.host().is_some_and(|host| !host.ends_with('.'));
    has_scheme && url.path() != "/" && !url.has_userinfo() && !url.has_fragment() && is_one_spelling
}
