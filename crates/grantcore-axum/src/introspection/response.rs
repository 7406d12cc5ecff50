//! The response of the introspection endpoint, and the reasons not to accept a token.

use reqwest::{Response, StatusCode};
use serde::Deserialize;

/// The longest response that is read, in bytes.
const RESPONSE_LIMIT: usize = 64 * 1024;

/// The response of the endpoint (RFC 7662 §2.2). For a token that is not active, only `active` is
/// present.
#[derive(Deserialize)]
pub(super) struct IntrospectionResponse {
    pub(super) active: bool,
    pub(super) sub: Option<String>,
    #[serde(default)]
    pub(super) client_id: String,
    #[serde(default)]
    pub(super) scope: String,
    #[serde(default)]
    pub(super) exp: u64,
    #[serde(default)]
    pub(super) aud: Audience,
    pub(super) iss: Option<String>,
    pub(super) auth_time: Option<u64>,
    pub(super) acr: Option<String>,
}

/// The audience: one resource as a string, or several as an array (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl From<Audience> for Vec<String> {
    fn from(audience: Audience) -> Self {
        match audience {
            Audience::One(resource) => vec![resource],
            Audience::Several(resources) => resources,
        }
    }
}

/// The reason why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is not active")]
    Inactive,
    #[error("too many introspections are under way")]
    Busy,
    #[error("the introspection endpoint could not be called: {0}")]
    Http(#[from] reqwest::Error),
    #[error(
        "the introspection endpoint answered {0}: check the client id, its secret and its resources"
    )]
    Status(StatusCode),
    #[error("the response of the introspection endpoint is over {RESPONSE_LIMIT} bytes")]
    TooLarge,
    #[error("the response of the introspection endpoint cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads the body of a response, up to [`RESPONSE_LIMIT`].
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, TokenError> {
    let mut body = Vec::new();
    while let Some(data) = response.chunk().await? {
        body.extend_from_slice(&data);
        if body.len() > RESPONSE_LIMIT {
            return Err(TokenError::TooLarge);
        }
    }
    Ok(body)
}
