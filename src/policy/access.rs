//! How a protected resource judges a call, where the specifications leave it open.

/// The rules of the resource check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent yes or no of the operator's, set by its own name"
)]
pub struct CheckRules {
    /// When a token is for the resource that is called.
    pub audience: Audience,
    /// Whether a token may come in a form body as `access_token` (OAuth 2.1 §5.1.2), to
    /// [`Server::check_request`](crate::Server::check_request). Default: no, for bodies end in
    /// logs more easily than headers.
    pub bearer_in_body: bool,
    /// Whether a call without a token is answered with the body of `invalid_token`, for clients
    /// that read nothing else. Default: no; RFC 6750 §3.1 has no error then.
    pub body_error_without_token: bool,
    /// Whether the challenge of a 401 says what was wrong. Default: yes, as RFC 6750 §3 has it;
    /// without, it holds `resource_metadata` alone.
    pub error_in_header: bool,
    /// Whether a suspended account is answered 403 `access_denied` without a challenge. Default:
    /// no, it is 401 `invalid_token`, and the client learns at the authorization endpoint that
    /// there is nothing to be had.
    pub suspended_is_forbidden: bool,
}

impl Default for CheckRules {
    fn default() -> Self {
        Self {
            audience: Audience::default(),
            bearer_in_body: false,
            body_error_without_token: false,
            error_in_header: true,
            suspended_is_forbidden: false,
        }
    }
}

/// When two resource identifiers are taken for one (RFC 9728 §6; MCP, Canonical Server URI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Byte for byte.
    Exact,
    /// But for the letter case of scheme and host, and an empty path is `/`.
    #[default]
    Canonical,
    /// The same, and a token for a path is good for those below it: `/mcp` for `/mcp/tools`, never
    /// for `/mcp-other`. Whoever grants one part of a server then grants all that is ever put
    /// below it.
    PathPrefix,
}
