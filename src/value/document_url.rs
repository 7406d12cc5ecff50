//! A `client_id` that is the URL of a document about the client (CIMD, Client Identifier).

use url::Url;

use super::loopback::is_loopback;
use super::text::ClientId;

/// The most bytes of a document that are read (CIMD, SSRF).
pub(crate) const MOST_BYTES: usize = 5 * 1024;

/// Whether a `client_id` claims to be a URL, and so is no name that this server gave.
pub(crate) fn claims_document(client_id: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        client_id.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })
}

/// Whether a `client_id` is the URL of a document: `https`, a host, a path, none of what could make
/// two spellings of one (CIMD, Client Identifier). What is fetched is then exactly what is
/// compared.
pub(crate) fn is_document_url(client_id: &str, allow_loopback: bool) -> bool {
    let Some(Ok(url)) = ClientId::can_be(client_id).map(Url::parse) else { return false };
    let is_local = url.host().is_some_and(|host| is_loopback(&host));
    let scheme_ok = url.scheme() == "https" || url.scheme() == "http" && allow_loopback && is_local;
    let has_path = url.path() != "/";
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    // The parser removes dot segments, default ports, upper case in hosts and the like: a URL it
    // would change is another's spelling. It leaves the dot that ends a host's full name, and
    // so says the same host once more.
    let is_one_spelling =
        url.as_str() == client_id && url.host_str().is_some_and(|host| !host.ends_with('.'));
    scheme_ok && has_path && is_bare && is_one_spelling
}
