//! How a protected resource judges a call, where the specifications leave a choice.

/// The rules of the check of an access token at a protected resource.
///
/// ```
/// use grantcore::policy::{Audience, CheckRules};
///
/// let rules = CheckRules::default().with_audience(Audience::Exact).with_bearer_in_body(true);
/// assert_eq!(rules.audience(), Audience::Exact);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
#[must_use = "rules do nothing until a policy is built with them"]
pub struct CheckRules {
    pub(crate) audience: Audience,
    pub(crate) bearer_in_body: bool,
    pub(crate) body_error_without_token: bool,
    pub(crate) error_in_header: bool,
    pub(crate) suspended_is_forbidden: bool,
    pub(crate) machines: bool,
}

impl Default for CheckRules {
    fn default() -> Self {
        Self {
            audience: Audience::default(),
            bearer_in_body: false,
            body_error_without_token: false,
            error_in_header: true,
            suspended_is_forbidden: false,
            machines: false,
        }
    }
}

impl CheckRules {
    /// Sets when a token is accepted for the resource that is called (RFC 8707 §2; OAuth 2.1
    /// §7.1.4). Default: [`Audience::Canonical`].
    ///
    /// [`Audience::PathPrefix`] lets a token for one part of a server reach everything below it.
    pub fn with_audience(self, audience: Audience) -> Self {
        Self { audience, ..self }
    }

    /// Sets whether [`Server::check_request`](crate::Server::check_request) accepts a token in a
    /// form body as `access_token` (OAuth 2.1 §5.1.2). Default: `false`.
    ///
    /// Bodies end up in logs more easily than the `Authorization` header.
    pub fn with_bearer_in_body(self, allow: bool) -> Self {
        Self { bearer_in_body: allow, ..self }
    }

    /// Sets whether a call without a token is answered with the body of `invalid_token`, for
    /// clients that read nothing else. Default: `false`.
    ///
    /// RFC 6750 §3.1 says that such a response should have no error.
    pub fn with_body_error_without_token(self, send: bool) -> Self {
        Self { body_error_without_token: send, ..self }
    }

    /// Sets whether the challenge of an `invalid_token` has `error`, `error_description` and
    /// `scope` (RFC 6750 §3). Default: `true`.
    ///
    /// Without them the challenge has `resource_metadata` alone, and the client reads the error in
    /// the body.
    pub fn with_error_in_header(self, send: bool) -> Self {
        Self { error_in_header: send, ..self }
    }

    /// Sets whether a call for a suspended account is answered with 403 `access_denied` and no
    /// challenge. Default: `false`, which is 401 `invalid_token` (OAuth 2.1 §5.3.2).
    ///
    /// After a 401 the client asks for a new token, and the authorization endpoint refuses it.
    /// After a 403 it learns that the account is suspended at once.
    pub fn with_suspended_is_forbidden(self, forbid: bool) -> Self {
        Self { suspended_is_forbidden: forbid, ..self }
    }

    /// Sets whether every operation serves machines, as if each was built with
    /// [`Needs::machines`](crate::Needs::machines). Default: `false`.
    ///
    /// An operation that was written for people then gets calls without a user.
    pub fn with_machines(self, serve: bool) -> Self {
        Self { machines: serve, ..self }
    }

    getters! {
        audience: Audience,
        bearer_in_body: bool,
        body_error_without_token: bool,
        error_in_header: bool,
        suspended_is_forbidden: bool,
        machines: bool,
    }
}

/// The comparison of two resource identifiers (RFC 9728 §6; MCP, Canonical Server URI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// If they are equal byte for byte.
    Exact,
    /// If they are equal but for the letter case of scheme and host. An empty path is `/`.
    #[default]
    Canonical,
    /// As [`Canonical`](Self::Canonical), and a token for a path is accepted for the paths below
    /// it: one for `/mcp` at `/mcp/tools`, never at `/mcp-other`. A user who grants one part of a
    /// server then grants everything that is ever put below it.
    PathPrefix,
}
