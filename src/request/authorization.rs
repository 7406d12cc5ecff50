//! The authorization request (OAuth 2.1 §4.1.1), from a query string or form body.

use std::borrow::Cow;
use std::fmt;

use super::document::Fetch;
use super::login::Login;
use super::others::Others;
use super::parameters::{Parameter, for_each_parameter};
use super::parts::RequestParts;
use super::site::Site;
use crate::grant::Bound;
use crate::moment::{Moment, Timestamp};
use crate::policy::{Policy, Resource};
use crate::reason::{Endpoint, Reason};
use crate::refusal::{Fault, Refusal};
use crate::value::credential::GrantId;
use crate::value::prompt::RequestDigest;
use crate::value::properties::Properties;

/// An authorization request that names a client and whose bytes could be decoded. Everything else
/// is judged when the client is known: only then is it known where an error can be sent.
pub struct AuthorizationRequest<'a> {
    pub(crate) user: Option<User<'a>>,
    pub(crate) client_id: Cow<'a, str>,
    pub(crate) redirect_uri: Parameter<'a>,
    pub(crate) response_type: Parameter<'a>,
    pub(crate) response_mode: Parameter<'a>,
    pub(crate) scope: Parameter<'a>,
    pub(crate) state: Parameter<'a>,
    pub(crate) code_challenge: Parameter<'a>,
    pub(crate) code_challenge_method: Parameter<'a>,
    pub(crate) request: Parameter<'a>,
    pub(crate) request_uri: Parameter<'a>,
    pub(crate) prompt: Parameter<'a>,
    pub(crate) max_age: Parameter<'a>,
    pub(crate) login_hint: Parameter<'a>,
    pub(crate) ui_locales: Parameter<'a>,
    pub(crate) acr_values: Parameter<'a>,
    pub(crate) resources: Vec<Cow<'a, str>>,
    pub(crate) others: Others,
    /// The result of fetching the client's metadata document, if the host was asked to.
    pub(crate) fetched: Option<Fetch<'a>>,
    /// Resources of this request that the policy does not know.
    pub(crate) known_resources: &'a [Resource],
    pub(crate) site: Site,
    /// What the host adds to a grant whose consent page is skipped.
    pub(crate) bound: Bound,
}

/// The user whom the host has authenticated, and the browser session.
///
/// ```
/// use grantcore::request::UserError;
/// use grantcore::User;
///
/// let alice = User::new("alice", b"Zk3n1sVd0Qe8")?;
/// assert_eq!(alice.subject(), "alice");
/// assert_eq!(User::new("alice", b"").err(), Some(UserError::SessionEmpty));
/// # Ok::<(), UserError>(())
/// ```
#[derive(Clone, Copy)]
pub struct User<'a> {
    pub(crate) subject: &'a str,
    pub(crate) session: &'a [u8],
    pub(crate) signed_in_for: Option<RequestDigest>,
    pub(crate) login: Option<Login<'a>>,
    pub(crate) remembered: Option<GrantId>,
}

/// The reason why a user cannot be made. It is a fault of the host, not of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The subject is empty: the grants of all users without a name would belong to one user.
    #[error(
        "the subject is empty: it names the user's account, and all grants of one subject belong to \
         one user. Pass the account's stable name, or no user if nobody is signed in."
    )]
    SubjectEmpty,
    /// The session is empty: the consent page would be bound to every browser.
    #[error(
        "the session is empty: it binds the consent page to the browser that saw it \
         (RFC 6749 §10.12), and an empty one binds it to every browser. Pass the secret id of the \
         browser's session."
    )]
    SessionEmpty,
    /// The class of the login cannot be one.
    #[error(
        "the acr is refused: the class of a login is 1 to 128 printable ASCII characters without a \
         space, a quote and a backslash (RFC 9470 §3). Give the class another name."
    )]
    Acr,
}

impl<'a> User<'a> {
    /// Returns the user with this account, signed in at this browser session.
    ///
    /// `subject` is the host's stable name of the account (OAuth 2.1 §7.4). `session` is a secret
    /// that only this browser session has, such as its session id. The consent page is bound to it;
    /// records keep a digest.
    ///
    /// # Errors
    /// Returns [`UserError`] if one of them is empty. Respond with status 500: the request cannot
    /// help it. A user who is treated as nobody would be sent to the login page again and again.
    // Refused here and not when a request is decided: no operation can then be given such a user,
    // by whatever way it is driven, and the error arises where the host reads its session.
    pub const fn new(subject: &'a str, session: &'a [u8]) -> Result<Self, UserError> {
        if subject.is_empty() {
            return Err(UserError::SubjectEmpty);
        }
        if session.is_empty() {
            return Err(UserError::SessionEmpty);
        }
        Ok(Self { subject, session, signed_in_for: None, login: None, remembered: None })
    }

    /// Records that the user has signed in for this request, or has chosen this account for it, in
    /// this session. Default: the user was signed in before.
    ///
    /// `request` is what the login page [named](crate::LoginPage::request). The host keeps it in
    /// the browser's session until the user has signed in. It answers a `prompt` of this request
    /// and of no other.
    #[must_use = "the user who has signed in is the one returned"]
    pub const fn signed_in_for(self, request: RequestDigest) -> Self {
        Self { signed_in_for: Some(request), ..self }
    }

    /// Sets when and how the user last signed in. Default: unknown, which is too old for every
    /// `max_age` and of no class.
    ///
    /// The login is kept in the grant, and never changes: resources may need a class or a recency
    /// of it ([`Needs::acr`](crate::Needs::acr), [`Needs::max_age`](crate::Needs::max_age)), and
    /// introspection returns it. So pass it with the consent page and with its answer, or with
    /// neither.
    #[must_use = "the user with the login is the one returned"]
    pub const fn with_login(self, login: Login<'a>) -> Self {
        Self { login: Some(login), ..self }
    }

    /// Names an earlier grant of the user to this client, whose consent may be remembered
    /// ([`ConsentRules`](crate::policy::ConsentRules)). Default: none, and the user is asked.
    ///
    /// It is a hint. The record of the grant decides, and costs one read. Where the host gets it is
    /// its choice:
    ///
    /// - [`Connections::asked`](crate::response::Connections::asked), from the user's list of
    ///   connections: no state of its own, and a list for each request.
    /// - a cookie for each client, with [`ConsentPage::grant_id`](crate::ConsentPage::grant_id) of
    ///   the page that the user allowed. It needs no signature: a foreign or invented id leads to
    ///   the consent page.
    #[must_use = "the user with the grant is the one returned"]
    pub const fn remembering(self, grant: GrantId) -> Self {
        Self { remembered: Some(grant), ..self }
    }

    /// Returns the host's name of the account.
    pub const fn subject(&self) -> &'a str {
        self.subject
    }

    /// Returns the secret of the browser session.
    pub const fn session(&self) -> &'a [u8] {
        self.session
    }
}

/// Shows the subject, and nothing of the session's secret.
impl fmt::Debug for User<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl<'a> AuthorizationRequest<'a> {
    /// Reads a GET with a query or a POST with a form body. `user` is the user whom the host has
    /// authenticated, or `None` if nobody is signed in.
    ///
    /// # Errors
    /// Returns a [`Refusal`] to show to the user if the method is another, the parameters cannot be
    /// decoded or break a limit, or the client is not named exactly once.
    pub fn parse(
        request: &RequestParts<'a>,
        user: Option<User<'a>>,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        Self::read(request, user, policy)
            .map_err(|fault| Refusal::of(fault, Endpoint::Authorization))
    }

    /// Binds these properties to the grant if the client [skips](crate::client::ConsentMode::Skip)
    /// its consent page. Default: none. The answer of a consent page
    /// [has its own](super::ConsentDecision::with_properties), and a remembered consent has those
    /// of the earlier grant.
    pub fn with_properties(mut self, properties: Properties) -> Self {
        self.bound.properties = Some(properties);
        self
    }

    /// Ends the grant at this time if the client skips its consent page. Default: none. If the time
    /// is not in the future, the user is asked.
    pub fn until(mut self, end: Timestamp) -> Self {
        self.bound.until = Some(end);
        self
    }

    /// Adds the result of fetching the client's metadata document.
    pub fn with_document(self, fetch: Fetch<'a>) -> Self {
        Self { fetched: Some(fetch), ..self }
    }

    /// Returns the resources that the request names and the policy does not know. A host that knows
    /// resources from its database looks these up and passes them to
    /// [`with_resources`](Self::with_resources).
    pub fn unknown_resources<'r>(&'r self, policy: &'r Policy) -> impl Iterator<Item = &'r str> {
        self.resources.iter().map(|own| &**own).filter(|own| policy.resource(own).is_none())
    }

    /// Adds resources that the policy does not know, for this request alone. A resource of the
    /// policy is preferred to one with the same identifier.
    ///
    /// ```
    #[doc = include_str!("../doc_setup.txt")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = example::server();
    /// # let query = format!("{}&resource=https%3A%2F%2Facme.example%2Fmcp", example::QUERY);
    /// # let request = example::get(&query);
    /// # let alice = example::alice();
    /// use grantcore::AuthorizationStep;
    /// use grantcore::policy::Resource;
    /// use grantcore::request::AuthorizationRequest;
    ///
    /// let request = AuthorizationRequest::parse(&request, Some(alice), server.policy())?;
    /// let mut found = Vec::new();
    /// for resource in request.unknown_resources(server.policy()) {
    ///     // Look it up in the database of tenants.
    ///     found.push(Resource::new(resource, "notes")?);
    /// }
    /// let step = server.authorize_parsed(request.with_resources(&found), "").await?;
    /// assert!(matches!(step, AuthorizationStep::NeedsConsent(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_resources<'b>(self, resources: &'b [Resource]) -> AuthorizationRequest<'b>
    where
        'a: 'b,
    {
        AuthorizationRequest { known_resources: resources, ..self }
    }

    fn read(
        request: &RequestParts<'a>,
        user: Option<User<'a>>,
        policy: &Policy,
    ) -> Result<Self, Fault> {
        let input = match request.method {
            "GET" => request.query,
            "POST" => request.form(policy.limits())?,
            _ => return Err(Reason::MethodNotAllowed.into()),
        };
        let mut client_id = Parameter::default();
        let mut read = Self {
            user,
            client_id: Cow::Borrowed(""),
            redirect_uri: Parameter::default(),
            response_type: Parameter::default(),
            response_mode: Parameter::default(),
            scope: Parameter::default(),
            state: Parameter::default(),
            code_challenge: Parameter::default(),
            code_challenge_method: Parameter::default(),
            request: Parameter::default(),
            request_uri: Parameter::default(),
            prompt: Parameter::default(),
            max_age: Parameter::default(),
            login_hint: Parameter::default(),
            ui_locales: Parameter::default(),
            acr_values: Parameter::default(),
            resources: Vec::new(),
            others: Others::default(),
            fetched: None,
            known_resources: &[],
            site: request.site,
            bound: Bound::default(),
        };
        for_each_parameter(input, policy.limits(), |name, value| match name {
            "client_id" => client_id.set(value),
            "redirect_uri" => read.redirect_uri.set(value),
            "response_type" => read.response_type.set(value),
            "response_mode" => read.response_mode.set(value),
            "scope" => read.scope.set(value),
            "state" => read.state.set(value),
            "code_challenge" => read.code_challenge.set(value),
            "code_challenge_method" => read.code_challenge_method.set(value),
            "request" => read.request.set(value),
            "request_uri" => read.request_uri.set(value),
            "prompt" => read.prompt.set(value),
            "max_age" => read.max_age.set(value),
            "login_hint" => read.login_hint.set(value),
            "ui_locales" => read.ui_locales.set(value),
            "acr_values" => read.acr_values.set(value),
            "resource" => read.resources.push(value),
            other => read.others.count(other),
        })?;
        if client_id.repeated {
            return Err(Reason::ClientIdRepeated.into());
        }
        read.client_id = client_id.value.ok_or(Reason::ClientIdMissing)?;
        Ok(read)
    }

    /// Returns the id of the grant that this request makes: drawn, or, where the policy refuses
    /// reused challenges, derived from issuer, client and challenge. Creating the record then finds
    /// a second use.
    pub(crate) fn grant_id(&self, policy: &Policy, moment: &Moment) -> GrantId {
        match self.code_challenge.get() {
            Some(challenge) if policy.refuses_reused_challenges() => {
                // The challenges of one issuer are not used at another one.
                let parts = [policy.issuer(), &*self.client_id, challenge];
                GrantId::of(parts.join("\n").as_bytes())
            }
            _ => moment.entropy.grant_id(),
        }
    }

    /// Returns the first parameter that was sent twice. The client and the redirect URI are judged
    /// apart, and a resource can be sent several times (RFC 8707 §2).
    pub(crate) fn repeated(&self) -> Option<&'static str> {
        let slots = [
            ("response_type", &self.response_type),
            ("response_mode", &self.response_mode),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
            ("request", &self.request),
            ("request_uri", &self.request_uri),
            ("prompt", &self.prompt),
            ("max_age", &self.max_age),
            ("login_hint", &self.login_hint),
            ("ui_locales", &self.ui_locales),
            ("acr_values", &self.acr_values),
        ];
        // Without a branch for each: a search takes 70 instructions more.
        if !slots.iter().fold(self.others.repeated.is_some(), |any, (_, slot)| any | slot.repeated)
        {
            return None;
        }
        let first = slots.into_iter().find_map(|(name, slot)| slot.repeated.then_some(name));
        first.or(self.others.repeated)
    }

    /// Returns the digest of every parameter that is read, however it was encoded.
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
            self.max_age.get(),
            self.login_hint.get(),
            self.ui_locales.get(),
            self.acr_values.get(),
        ];
        let resources = self.resources.iter().map(|resource| Some(&**resource));
        let mut text = Vec::with_capacity(512);
        // Lengths keep the values apart, and an absent value differs from an empty one.
        for value in slots.into_iter().chain(resources) {
            let bytes = value.map_or(&b""[..], str::as_bytes);
            text.push(u8::from(value.is_some()));
            text.extend(bytes.len().to_be_bytes());
            text.extend(bytes);
        }
        RequestDigest::of(&text)
    }
}

/// Shows the claimed client and which parameters are there. Their values are left out: `state` can
/// be a secret of the client.
impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client_id", &self.client_id)
            .field("has_user", &self.user.is_some())
            .field("redirect_uri", &self.redirect_uri)
            .field("scope", &self.scope)
            .field("code_challenge", &self.code_challenge)
            .field("prompt", &self.prompt)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}
