//! `prompt` of an authorization request (OpenID Connect Core §3.1.2.1), and the name of a request
//! that a sign-in was made for.

use serde::{Deserialize, Serialize};

use super::authorization::AuthorizationRequest;
use crate::reason::Reason;
use crate::refusal::Fault;
use crate::value::secret::Digest;

/// The known words of `prompt`. Unknown ones are ignored: new words appear, and OAuth 2.1 says
/// nothing of them. `consent` adds nothing: the consent page is always shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PromptWords {
    /// No page may be shown.
    pub(crate) none: bool,
    /// The user must sign in anew.
    pub(crate) login: bool,
    /// The user must choose an account.
    pub(crate) select_account: bool,
}

impl PromptWords {
    /// Reads case-sensitive words separated by spaces.
    ///
    /// # Errors
    /// `none` beside another known word.
    pub(crate) fn read(prompt: Option<&str>) -> Result<Self, Fault> {
        let text = prompt.unwrap_or_default();
        let has = |word: &str| text.split(' ').any(|own| own == word);
        let words =
            Self { none: has("none"), login: has("login"), select_account: has("select_account") };
        if words.none && (words.login || words.select_account || has("consent")) {
            return Err(Reason::PromptContradiction.received(text));
        }
        Ok(words)
    }

    /// Whether a sign-in made for another request, or for none, does not do.
    pub(crate) fn asks_for_sign_in(self) -> bool {
        self.login || self.select_account
    }
}

/// The SHA-256 digest of an authorization request's parameters, which names it: a host keeps it
/// while the user signs in for this request, and passes it back with
/// [`User::signed_in_for`](crate::User::signed_in_for).
///
/// It is no secret. A sign-in is believed because the host's own session says so, not because
/// somebody knows the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(Digest);

impl AuthorizationRequest<'_> {
    /// The name of this request: of every parameter that is looked at, however it was encoded.
    pub(crate) fn digest(&self) -> RequestDigest {
        let slots = [
            Some(&*self.client_id),
            self.redirect_uri.get(),
            self.response_type.get(),
            self.response_mode.get(),
            self.scope.get(),
            self.state.get(),
            self.code_challenge.get(),
            self.code_challenge_method.get(),
            self.prompt.get(),
        ];
        let resources = self.resources.iter().map(|resource| Some(&**resource));
        let mut text = Vec::with_capacity(512);
        // Lengths keep the values apart, and an absent value is no empty one.
        for value in slots.into_iter().chain(resources) {
            text.push(u8::from(value.is_some()));
            text.extend(value.unwrap_or_default().len().to_be_bytes());
            text.extend(value.unwrap_or_default().as_bytes());
        }
        RequestDigest(Digest::of(&text))
    }
}
