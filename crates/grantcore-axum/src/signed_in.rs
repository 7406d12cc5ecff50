//! The user who is signed in at a browser.

use std::fmt;

use grantcore::request::{Login, UserError};
use grantcore::value::{GrantId, RequestDigest};
use grantcore::{Timestamp, User};

/// The user who is signed in at a browser, and the browser's session.
#[derive(Clone)]
pub struct SignedIn {
    subject: String,
    session: Vec<u8>,
    request: Option<RequestDigest>,
    login: Option<(Timestamp, Option<String>)>,
    remembered: Option<GrantId>,
}

impl SignedIn {
    /// Returns the user of this account and browser session, as in [`User::new`]: `subject` is the
    /// stable name of the account, and `session` a secret that only this browser session has. The
    /// consent page is bound to both.
    pub fn new(subject: impl Into<String>, session: impl Into<Vec<u8>>) -> Self {
        let (subject, session) = (subject.into(), session.into());
        Self { subject, session, request: None, login: None, remembered: None }
    }

    /// Sets the authorization request that the last sign-in of this session was for: the
    /// [`Login::request`](crate::Login::request) of that sign-in. It proves to a request with
    /// `prompt=login` that the user has signed in again. Default: `None`, and a request with
    /// `prompt=login` leads to [`Pages::login`](crate::Pages::login) again and again.
    #[must_use = "the user is the one returned"]
    pub fn signed_in_for(self, request: Option<RequestDigest>) -> Self {
        Self { request, ..self }
    }

    /// Sets when the user last signed in at this session, and by which class of login (`acr`), as
    /// in [`User::with_login`]. Default: unknown, which is too old for every `max_age` and of no
    /// class.
    ///
    /// The class is 1 to 128 printable ASCII characters without a space, a quote and a backslash.
    /// With any other, the browser gets an error page with status 500.
    #[must_use = "the user is the one returned"]
    pub fn with_login(self, time: Timestamp, acr: Option<String>) -> Self {
        Self { login: Some((time, acr)), ..self }
    }

    /// Names an earlier grant of the user whose consent may be remembered, as in
    /// [`User::remembering`]. Default: `None`.
    #[must_use = "the user is the one returned"]
    pub fn remembering(self, grant: Option<GrantId>) -> Self {
        Self { remembered: grant, ..self }
    }

    pub(crate) fn as_user(&self) -> Result<User<'_>, UserError> {
        let mut user = User::new(&self.subject, &self.session)?;
        if let Some(request) = self.request {
            user = user.signed_in_for(request);
        }
        if let Some((time, acr)) = &self.login {
            let login = Login::at(*time);
            user = user.with_login(match acr {
                Some(acr) => login.with_acr(acr)?,
                None => login,
            });
        }
        Ok(match self.remembered {
            Some(grant) => user.remembering(grant),
            None => user,
        })
    }
}

// The session's secret is left out.
impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("subject", &self.subject).finish_non_exhaustive()
    }
}
