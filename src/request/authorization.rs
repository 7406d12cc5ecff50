//! The authorization request (OAuth 2.1 §4.1.1), from a query string or form body.

use std::borrow::Cow;

use super::document::Fetch;
use super::parameters::{Slot, each};
use super::parts::RequestParts;
use crate::moment::Moment;
use crate::policy::Policy;
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::credential::GrantId;
use crate::value::prompt::RequestDigest;

/// An authorization request whose client is named and whose bytes could be decoded. All else is
/// judged when the client is known, for only then is it known where an error may be sent.
pub struct AuthorizationRequest<'a> {
    pub(crate) user: Option<User<'a>>,
    pub(crate) client_id: Cow<'a, str>,
    pub(crate) redirect_uri: Slot<'a>,
    pub(crate) response_type: Slot<'a>,
    pub(crate) response_mode: Slot<'a>,
    pub(crate) scope: Slot<'a>,
    pub(crate) state: Slot<'a>,
    pub(crate) code_challenge: Slot<'a>,
    pub(crate) code_challenge_method: Slot<'a>,
    pub(crate) request: Slot<'a>,
    pub(crate) request_uri: Slot<'a>,
    pub(crate) prompt: Slot<'a>,
    pub(crate) resources: Vec<Cow<'a, str>>,
    /// What came of fetching the client's metadata document, if the host was asked to.
    pub(crate) fetched: Option<Fetch<'a>>,
}

/// The user that the host has authenticated, and in which browser session.
#[derive(Clone, Copy)]
pub struct User<'a> {
    /// The host's stable name of the account.
    pub subject: &'a str,
    /// Something only this browser session has, such as its session id. The consent page is bound
    /// to it; records keep a digest.
    pub session: &'a [u8],
    /// The request that the user has signed in for, or chosen this account for, in this session
    /// ([`signed_in_for`](Self::signed_in_for)). `None` if the user was signed in before.
    pub signed_in_for: Option<RequestDigest>,
}

impl<'a> User<'a> {
    /// The user with this account, signed in at this browser session.
    pub const fn new(subject: &'a str, session: &'a [u8]) -> Self {
        Self { subject, session, signed_in_for: None }
    }

    /// Records that the user has signed in for this request, and for no other: what the login page
    /// [named](crate::LoginPage::request), kept by the host in the browser's session until then.
    #[must_use = "the user who has signed in is the one returned"]
    pub const fn signed_in_for(self, request: RequestDigest) -> Self {
        Self { signed_in_for: Some(request), ..self }
    }
}

impl<'a> AuthorizationRequest<'a> {
    /// Reads a GET with a query or a POST with a form body; `user` is whoever the host has
    /// authenticated, if anyone.
    ///
    /// # Errors
    /// A [`Refusal`] to show to the user when the method is another, the parameters cannot be
    /// decoded or are over a cap, or the client is not named exactly once.
    pub fn parse(
        incoming: &RequestParts<'a>,
        user: Option<User<'a>>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        Self::read(incoming, user, policy)
            .map_err(|fault| Refusal::of(fault, Endpoint::Authorization))
    }

    /// The same request, with what came of fetching the client's document.
    pub fn with_document(self, fetch: Fetch<'a>) -> Self {
        Self { fetched: Some(fetch), ..self }
    }

    fn read(
        incoming: &RequestParts<'a>,
        user: Option<User<'a>>,
        policy: &Policy,
    ) -> Result<Self, Fault> {
        let input = match incoming.method {
            "GET" => incoming.query,
            "POST" => incoming.form(policy.limits())?,
            _ => return Err(Reason::MethodNotAllowed.into()),
        };
        let mut client_id = Slot::default();
        let mut read = Self {
            user,
            client_id: Cow::Borrowed(""),
            redirect_uri: Slot::default(),
            response_type: Slot::default(),
            response_mode: Slot::default(),
            scope: Slot::default(),
            state: Slot::default(),
            code_challenge: Slot::default(),
            code_challenge_method: Slot::default(),
            request: Slot::default(),
            request_uri: Slot::default(),
            prompt: Slot::default(),
            resources: Vec::new(),
            fetched: None,
        };
        each(input, policy.limits(), |name, value| match name {
            "client_id" => client_id.put(value),
            "redirect_uri" => read.redirect_uri.put(value),
            "response_type" => read.response_type.put(value),
            "response_mode" => read.response_mode.put(value),
            "scope" => read.scope.put(value),
            "state" => read.state.put(value),
            "code_challenge" => read.code_challenge.put(value),
            "code_challenge_method" => read.code_challenge_method.put(value),
            "request" => read.request.put(value),
            "request_uri" => read.request_uri.put(value),
            "prompt" => read.prompt.put(value),
            "resource" => read.resources.push(value),
            _ => {}
        })?;
        if client_id.repeated {
            return Err(Reason::ClientIdRepeated.into());
        }
        read.client_id = client_id.value.ok_or(Reason::ClientIdMissing)?;
        Ok(read)
    }

    /// Returns the id of the grant that this request makes: drawn, or, where the policy refuses reused
    /// challenges, derived from client and challenge. Creating the record then finds a second use.
    pub(crate) fn grant_id(&self, policy: &Policy, moment: &Moment) -> GrantId {
        match self.code_challenge.get() {
            Some(challenge) if policy.refuses_reused_challenges() => {
                GrantId::of(&[self.client_id.as_bytes(), b"\n", challenge.as_bytes()].concat())
            }
            _ => moment.entropy.grant_id(),
        }
    }

    /// The first parameter other than client, redirect URI and resource that came twice.
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        [
            ("response_type", &self.response_type),
            ("response_mode", &self.response_mode),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
            ("request", &self.request),
            ("request_uri", &self.request_uri),
            ("prompt", &self.prompt),
        ]
        .into_iter()
        .find_map(|(name, slot)| slot.repeated.then_some(name))
    }

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
        RequestDigest::of(&text)
    }
}
