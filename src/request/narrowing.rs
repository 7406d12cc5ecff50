//! A request to take scope or resources away from a live grant, by its user or an administrator.
//! The host checks that its caller may request it.

use crate::value::credential::GrantId;
use crate::value::scope::Scope;

/// The scope and the resources that a grant is limited to. By default nothing is taken away.
///
/// ```
/// use grantcore::request::Narrowing;
///
/// let to_read = Narrowing::default()
///     .with_scope("notes:read".parse()?)
///     .with_resources(["https://mcp.example/mcp"]);
/// # let _ = to_read;
/// # Ok::<(), grantcore::value::ScopeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a narrowing does nothing until it is passed to a server"]
pub struct Narrowing {
    pub(crate) scope: Option<Scope>,
    pub(crate) resources: Option<Vec<Box<str>>>,
}

/// A request to limit one grant, by its user or an administrator.
#[derive(Clone, Copy, Debug)]
pub struct GrantNarrowing<'a> {
    pub(crate) grant: GrantId,
    /// The user who requests it. A grant of another user is then treated as missing.
    pub(crate) user: Option<&'a str>,
    pub(crate) to: &'a Narrowing,
    pub(crate) note: Option<&'a str>,
}

impl Narrowing {
    /// Takes every scope token away that is not one of these. Each must have been granted: a token
    /// that is [included](crate::policy::PolicyBuilder::scope_implies) in a granted one is not.
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Takes every resource away that is not one of these. Each must be one of the grant's.
    pub fn with_resources<R: Into<Box<str>>>(self, resources: impl IntoIterator<Item = R>) -> Self {
        Self { resources: Some(resources.into_iter().map(Into::into).collect()), ..self }
    }
}

impl<'a> GrantNarrowing<'a> {
    /// Limits the grant for this user, if it is the user's own.
    pub fn by_user(grant: GrantId, user: &'a str, to: &'a Narrowing) -> Self {
        Self { grant, user: Some(user), to, note: None }
    }

    /// Limits the grant of any user. The note is for the audit log.
    pub fn by_administrator(grant: GrantId, note: &'a str, to: &'a Narrowing) -> Self {
        Self { grant, user: None, to, note: Some(note) }
    }
}
