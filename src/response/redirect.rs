//! Redirects back to the client (OAuth 2.1 §4.1.2). They are built from a verified redirect URI
//! only.

use std::borrow::Cow;
use std::fmt;

use super::reply::{PAGE_HEADERS, Reply};
use crate::policy::Policy;
use crate::refusal::{Redirectable, Refusal};
use crate::value::credential::Issued;
use crate::value::redirect_uri::VerifiedRedirectUri;
use crate::value::uri::Value;

/// The redirect that carries an authorization code to the client. Its status is 303, so that the
/// browser does not send the consent form to the client (OAuth 2.1 §7.5.3).
///
/// ```
#[doc = include_str!("../doc_setup.txt")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = example::server();
/// # let (alice, ticket) = (example::alice(), example::page(&server).await.ticket());
/// # let choice = grantcore::Choice::Allow;
/// let redirect = server.consent(&ticket, alice, choice).await?;
/// // Either the whole response with `redirect.reply()`, or its URL for the host's own.
/// let location = redirect.into_location();
/// assert!(location.starts_with("https://app.example/cb?code="));
/// # Ok(())
/// # }
/// ```
#[must_use = "the code in it reaches the client only by this redirect"]
pub struct Redirect {
    location: String,
}

impl Redirect {
    pub(crate) fn with_code(
        uri: &VerifiedRedirectUri,
        code: &Issued,
        state: Option<&str>,
        policy: &Policy,
    ) -> Self {
        // A credential has no character that is encoded, and the issuer was encoded when the policy
        // was built: the encoder takes ten instructions for each character.
        let code = ("code", Value::Code(code));
        let state = state.map(|state| ("state", Value::Text(state)));
        let issuer = ("iss", policy.issuer_parameter());
        Self { location: uri.with(&[Some(code), state, Some(issuer)], 256) }
    }

    /// Returns the value of `Location`. It contains the code, so it does not belong in a log.
    pub fn into_location(self) -> String {
        self.location
    }

    /// Returns the whole response.
    pub fn reply(self) -> Reply {
        let page_headers = PAGE_HEADERS.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        Reply {
            status: 303,
            headers: page_headers.chain([("location", self.location.into())]).collect(),
            body: String::new(),
        }
    }
}

/// Redacted: the location contains the code.
impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redirect(redacted)")
    }
}

/// Returns the URL of the error response at the client's redirect URI (OAuth 2.1 §4.1.2.1; RFC 9207
/// §2).
pub(crate) fn error_location(to: &Redirectable, refusal: &Refusal, policy: &Policy) -> String {
    let description = (!policy.is_terse()).then(|| refusal.description());
    let explanation = refusal.error_uri(policy);
    let description = description.as_deref().map(|text| ("error_description", Value::Text(text)));
    let explanation = explanation.as_deref().map(|uri| ("error_uri", Value::Text(uri)));
    let state = to.state.as_deref().map(|state| ("state", Value::Text(state)));
    let error = refusal.code().map(|code| ("error", Value::Text(code.as_str())));
    let issuer = Some(("iss", policy.issuer_parameter()));
    to.uri.with(&[error, description, explanation, state, issuer], 256)
}
