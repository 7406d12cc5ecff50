//! What a host knows of a user's login, and how it gives one up (OpenID Connect Core §3.1.2.1).

use super::authorization::{AuthorizationRequest, User, UserError};
use super::parts::RequestParts;
use crate::grant::LoginFacts;
use crate::moment::Timestamp;
use crate::policy::Policy;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::value::acr::is_acr;

/// The time of a user's last active login, and its class.
///
/// ```
/// use grantcore::request::Login;
/// use grantcore::{Timestamp, User};
///
/// let at = Timestamp::from_unix_seconds(1_800_000_000);
/// let alice = User::new("alice", b"Zk3n1sVd0Qe8")?.with_login(Login::at(at).with_acr("mfa")?);
/// assert!(Login::at(at).with_acr("two words").is_err());
/// # let _ = alice;
/// # Ok::<(), grantcore::request::UserError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login<'a> {
    pub(crate) time: Timestamp,
    pub(crate) acr: Option<&'a str>,
}

impl<'a> Login<'a> {
    /// Returns a login at this time: the last time at which the user entered a password, used a
    /// passkey or did the like. A session that was only continued is no login.
    pub const fn at(time: Timestamp) -> Self {
        Self { time, acr: None }
    }

    /// Sets the class of the login (`acr`), one of the policy's
    /// [`acr_values`](crate::policy::PolicyBuilder::acr_values) where the policy declares them.
    /// Default: unknown, which satisfies no request and no resource that needs a class.
    ///
    /// # Errors
    /// [`UserError::Acr`] unless the text is 1 to 128 printable ASCII characters without a space, a
    /// quote and a backslash.
    pub fn with_acr(self, acr: &'a str) -> Result<Self, UserError> {
        if is_acr(acr) { Ok(Self { acr: Some(acr), ..self }) } else { Err(UserError::Acr) }
    }

    /// Returns the time.
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Returns the class, if it is known.
    pub const fn acr(&self) -> Option<&'a str> {
        self.acr
    }
}

impl<'a> From<&'a LoginFacts> for Login<'a> {
    fn from(login: &'a LoginFacts) -> Self {
        Self { time: login.time, acr: login.acr.as_deref() }
    }
}

impl From<Login<'_>> for LoginFacts {
    fn from(login: Login<'_>) -> Self {
        Self { time: login.time, acr: login.acr.map(Into::into) }
    }
}

/// The reason why a host gives a login up. It decides the error that the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginFailure {
    /// The user did not sign in: `login_required` (OpenID Connect Core §3.1.2.6).
    LoginRequired,
    /// The user chose no account: `account_selection_required` (OpenID Connect Core §3.1.2.6).
    AccountSelection,
    /// Something else that the user would have to do was not done: `interaction_required` (OpenID
    /// Connect Core §3.1.2.6).
    Interaction,
    /// The user cannot sign in by the class that is asked for:
    /// `unmet_authentication_requirements` (RFC 9470 §5).
    Unmet,
    /// The host cannot let the user sign in now, because its own database fails:
    /// `temporarily_unavailable` (OAuth 2.1 §4.1.2.1).
    Unavailable,
}

impl LoginFailure {
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::LoginRequired => Reason::LoginRequired,
            Self::AccountSelection => Reason::LoginChoiceRequired,
            Self::Interaction => Reason::LoginInteractionRequired,
            Self::Unmet => Reason::LoginClassUnmet,
            Self::Unavailable => Reason::StorageUnavailable,
        }
    }
}

/// An authorization request whose login is given up. It is only ever refused: for this reason, or
/// for an earlier fault of the request.
#[derive(Debug)]
pub struct LoginGivenUp<'a> {
    pub(crate) request: AuthorizationRequest<'a>,
    pub(crate) failure: LoginFailure,
}

impl<'a> LoginGivenUp<'a> {
    /// Reads the request for which the login page was shown. `user` is the user who is signed in,
    /// if any.
    ///
    /// # Errors
    /// Those of [`AuthorizationRequest::parse`].
    pub fn parse(
        request: &RequestParts<'a>,
        user: Option<User<'a>>,
        failure: LoginFailure,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        let request = AuthorizationRequest::parse(request, user, policy)?;
        Ok(Self { request, failure })
    }
}
