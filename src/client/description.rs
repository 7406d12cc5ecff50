//! The description of a client (RFC 7591 §2). It is shown to people and enters no decision.

use serde::{Deserialize, Serialize};

use super::{Client, ClientError};
use crate::value::text::display_text;
use crate::value::uri::is_page;

/// A client's description. For a client that registered itself or has a metadata document, all of
/// it is the client's own claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientDescription {
    /// `client_name`. It is not cleaned for display; [`Client::display_name`] is.
    #[serde(deserialize_with = "Option::deserialize")]
    pub name: Option<String>,
    /// `client_uri`: the home page of the client. This and the next three are `https` URLs.
    #[serde(deserialize_with = "Option::deserialize")]
    pub uri: Option<String>,
    /// `logo_uri`. A page that shows the logo makes the user's browser call the client.
    #[serde(deserialize_with = "Option::deserialize")]
    pub logo_uri: Option<String>,
    /// `tos_uri`: the terms of service.
    #[serde(deserialize_with = "Option::deserialize")]
    pub tos_uri: Option<String>,
    /// `policy_uri`: how the client uses the data it gets.
    #[serde(deserialize_with = "Option::deserialize")]
    pub policy_uri: Option<String>,
    /// `contacts`: the people responsible, usually by e-mail address.
    pub contacts: Vec<String>,
    /// `application_type`: where the client runs.
    #[serde(deserialize_with = "Option::deserialize")]
    pub application_type: Option<ApplicationType>,
    /// `software_id`: the identifier that all registrations of one program share.
    #[serde(deserialize_with = "Option::deserialize")]
    pub software_id: Option<String>,
    /// `software_version`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub software_version: Option<String>,
}

/// Where an application runs, by its own claim (OpenID Connect Dynamic Client Registration §2; MCP,
/// client registration).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the specification defines these two")]
pub enum ApplicationType {
    /// On the user's own device.
    Native,
    /// On a web server.
    Web,
}

/// Shown for a name of invisible characters.
const NAMELESS: &str = "An application without a name";

impl Client {
    /// Returns the client's name for a page, cleaned by [`display_text`].
    ///
    /// Returns the `client_id` if the client gave no name, and "An application without a name" if
    /// the name consists of invisible characters.
    pub fn display_name(&self) -> String {
        let name = self.description().name.as_deref().filter(|name| !name.is_empty());
        let shown = name.map_or_else(|| display_text(self.id().as_str()), display_text);
        if shown.is_empty() { NAMELESS.to_owned() } else { shown }
    }
}

impl ClientDescription {
    /// Refuses a URL that cannot be shown.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        let members = [
            ("client_uri", &self.uri),
            ("logo_uri", &self.logo_uri),
            ("tos_uri", &self.tos_uri),
            ("policy_uri", &self.policy_uri),
        ];
        for (member, url) in members {
            if let Some(url) = url.as_deref().filter(|url| !is_page(url)) {
                return Err(ClientError::DescriptionUrl { member, url: url.to_owned() });
            }
        }
        Ok(())
    }
}
