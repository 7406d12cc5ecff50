//! What a client says of itself (RFC 7591 §2): for the consent page and for people, never for a
//! decision.

use serde::{Deserialize, Serialize};

use super::Client;
use crate::value::text::display_text;

/// A client's description. Of a client that registered itself every word is its own claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientDescription {
    /// `client_name`: cleaned where it is shown.
    #[serde(deserialize_with = "Option::deserialize")]
    pub name: Option<String>,
    /// `client_uri`: its own page; `https` only, as are the following three.
    #[serde(deserialize_with = "Option::deserialize")]
    pub uri: Option<String>,
    /// `logo_uri`: a page that shows it makes the user's browser call the client.
    #[serde(deserialize_with = "Option::deserialize")]
    pub logo_uri: Option<String>,
    /// `tos_uri`: its terms of service.
    #[serde(deserialize_with = "Option::deserialize")]
    pub tos_uri: Option<String>,
    /// `policy_uri`: how it uses what it gets.
    #[serde(deserialize_with = "Option::deserialize")]
    pub policy_uri: Option<String>,
    /// `contacts`: whom to ask, usually e-mail addresses.
    pub contacts: Vec<String>,
    /// `application_type`: where it runs.
    #[serde(deserialize_with = "Option::deserialize")]
    pub application_type: Option<ApplicationType>,
    /// `software_id`: the same for each registration of one program.
    #[serde(deserialize_with = "Option::deserialize")]
    pub software_id: Option<String>,
    /// `software_version`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub software_version: Option<String>,
}

/// Where an application says it runs (OpenID Connect Dynamic Client Registration §2; MCP, client
/// registration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    /// On the user's own device.
    Native,
    /// On a web server.
    Web,
}

/// What a client is called whose name is made of characters that nobody sees.
const NAMELESS: &str = "An application without a name";

impl Client {
    /// Returns the client's name for a page, cleaned by [`display_text`](crate::display_text). A
    /// client that gave no name is called by its `client_id`, and one whose name is made of
    /// invisible characters "An application without a name".
    pub fn display_name(&self) -> String {
        let name = self.description().name.as_deref().filter(|name| !name.is_empty());
        let shown = name.map_or_else(|| display_text(self.id().as_str()), display_text);
        if shown.is_empty() { NAMELESS.to_owned() } else { shown }
    }
}

impl ClientDescription {
    /// Whether each of its URLs can be shown.
    pub(crate) fn is_sound(&self) -> bool {
        [&self.uri, &self.logo_uri, &self.tos_uri, &self.policy_uri]
            .into_iter()
            .flatten()
            .all(|uri| is_page(uri))
    }
}

/// Whether this can be shown as a page of a client's: `https`, a host, URI characters only. A
/// record can be older than the rule.
pub(crate) fn is_page(uri: &str) -> bool {
    let plain = uri.len() <= 2048
        && uri.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\'));
    let host = uri
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    // What stands before an at sign would be taken for the host.
    plain
        && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && !host.contains('@')
}
