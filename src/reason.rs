//! The error table: one [`Reason`] for each rule that a request can break.
//!
//! The table is the only place of names, sections, public error codes, and the sentences about a
//! refusal. The client receives the code and the description. Cause and fix are for the operator of
//! the server and the author of the client.

mod table;
mod troubleshooting;

pub use self::table::Reason;
pub use self::troubleshooting::troubleshooting;
use crate::value::names::{impl_names, named_enum};
use crate::value::redirect_uri::RedirectUriError;

named_enum! {
    /// A public error code: the value of `error` in a response.
    ///
    /// ```
    /// use grantcore::reason::ErrorCode;
    ///
    /// let code: ErrorCode = "invalid_grant".parse()?;
    /// assert_eq!((code, code.as_str()), (ErrorCode::InvalidGrant, "invalid_grant"));
    /// # Ok::<(), grantcore::value::NameError>(())
    /// ```
    pub enum ErrorCode, as_str, "an error code" {
        /// OAuth 2.1 §3.2.4, §4.1.2.1, §5.3.2.
        InvalidRequest = "invalid_request",
        /// OAuth 2.1 §3.2.4.
        InvalidClient = "invalid_client",
        /// OAuth 2.1 §3.2.4.
        InvalidGrant = "invalid_grant",
        /// OAuth 2.1 §3.2.4, §4.1.2.1.
        UnauthorizedClient = "unauthorized_client",
        /// OAuth 2.1 §3.2.4.
        UnsupportedGrantType = "unsupported_grant_type",
        /// OAuth 2.1 §4.1.2.1.
        UnsupportedResponseType = "unsupported_response_type",
        /// OAuth 2.1 §3.2.4, §4.1.2.1.
        InvalidScope = "invalid_scope",
        /// RFC 8707 §2.
        InvalidTarget = "invalid_target",
        /// OAuth 2.1 §4.1.2.1.
        AccessDenied = "access_denied",
        /// OAuth 2.1 §4.1.2.1.
        TemporarilyUnavailable = "temporarily_unavailable",
        /// OIDC Core §3.1.2.6.
        LoginRequired = "login_required",
        /// OIDC Core §3.1.2.6.
        ConsentRequired = "consent_required",
        /// OIDC Core §3.1.2.6.
        InteractionRequired = "interaction_required",
        /// OIDC Core §3.1.2.6.
        AccountSelectionRequired = "account_selection_required",
        /// RFC 9470 §5.
        UnmetAuthenticationRequirements = "unmet_authentication_requirements",
        /// RFC 9101 §7.
        RequestNotSupported = "request_not_supported",
        /// RFC 9101 §7.
        RequestUriNotSupported = "request_uri_not_supported",
        /// RFC 7591 §3.2.2.
        InvalidRedirectUri = "invalid_redirect_uri",
        /// RFC 7591 §3.2.2.
        InvalidClientMetadata = "invalid_client_metadata",
        /// OAuth 2.1 §5.3.2.
        InvalidToken = "invalid_token",
        /// RFC 9470 §3.
        InsufficientUserAuthentication = "insufficient_user_authentication",
        /// OAuth 2.1 §5.3.2.
        InsufficientScope = "insufficient_scope",
        /// Not registered: the balance of the token's account does not suffice.
        InsufficientBalance = "insufficient_balance",
        /// Not registered: the request is over a limit (429).
        TooManyRequests = "too_many_requests",
        /// Not registered: the consent page was open for too long. Shown on a page, never sent to a
        /// client.
        ConsentExpired = "consent_expired",
        /// Not registered: the consent was decided before. Shown on a page, never sent to a client.
        ConsentUsed = "consent_used",
    }
}

/// The endpoint at which a request is refused. The error code and the status of a [`Reason`] depend
/// on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The authorization endpoint with its consent page (OAuth 2.1 §3.1). A refusal is a page for
    /// the user, or a redirect to the client.
    Authorization,
    /// The token endpoint (OAuth 2.1 §3.2). A refusal is JSON.
    Token,
    /// The revocation endpoint (RFC 7009 §2). A refusal is JSON.
    Revocation,
    /// The introspection endpoint (RFC 7662 §2). A refusal is JSON. An inactive token is no
    /// refusal.
    Introspection,
    /// The registration endpoint (RFC 7591 §3). A refusal is JSON.
    Registration,
    /// The client configuration endpoint, which reads, updates and deletes one registration (RFC
    /// 7592 §2). A refusal is JSON.
    Management,
    /// A protected resource (OAuth 2.1 §5.3). A refusal is a `Bearer` challenge, with JSON.
    Resource,
    /// No endpoint of the protocol: calls that the host makes for its operator or a user, such as
    /// ending a connection or deactivating a client.
    Operator,
}

impl_names!(Reason, name, "a reason");

/// The rule of a registration that a redirect URI breaks.
impl From<RedirectUriError> for Reason {
    fn from(error: RedirectUriError) -> Self {
        match error {
            RedirectUriError::TooLong => Self::RegisteredUriLong,
            RedirectUriError::Character => Self::RegisteredUriCharacter,
            RedirectUriError::NotAbsolute => Self::RegisteredUriRelative,
            RedirectUriError::Fragment => Self::RegisteredUriFragment,
            RedirectUriError::Userinfo => Self::RegisteredUriUserinfo,
            RedirectUriError::ForbiddenScheme => Self::RegisteredUriForbidden,
            RedirectUriError::PrivateUseScheme => Self::RegisteredUriPrivateUse,
            RedirectUriError::InsecureHost => Self::RegisteredUriInsecure,
            RedirectUriError::HostSpelling => Self::RegisteredUriHost,
            RedirectUriError::Wildcard => Self::RegisteredUriWildcard,
            RedirectUriError::ReservedParameter => Self::RegisteredUriReserved,
            RedirectUriError::Port => Self::RegisteredUriPort,
        }
    }
}

impl Reason {
    /// Returns the stable name for events and logs.
    ///
    /// It is also the anchor of the reason's entry in `docs/troubleshooting.md`:
    /// [`PkceMissing`](Self::PkceMissing) has `docs/troubleshooting.md#pkce_missing`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the section of the specification that the rule comes from.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// Returns the stable description for the client, sent as the beginning of `error_description`.
    /// It keeps to the characters of OAuth 2.1 §3.2.4 and never contains input. It is empty for a
    /// reason without a [code](Self::code).
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// Returns what happened, for the operator.
    pub fn cause(self) -> &'static str {
        self.row().cause
    }

    /// Returns what to do about it, for the operator or the author of the client.
    pub fn fix(self) -> &'static str {
        self.row().fix
    }

    /// Returns the reason whose texts the sender of the request may see. Nobody learns from a
    /// refusal whether a deactivated client exists (AUTHZ-08).
    pub(crate) fn disclosed(self) -> Self {
        match self {
            Self::ClientDeactivated | Self::CimdDenied => Self::ClientUnknown,
            other => other,
        }
    }

    /// Returns the public error code at this endpoint.
    ///
    /// Returns `None` for a request without credentials, at a resource and at the registration
    /// endpoints: the challenge then has no `error` (OAuth 2.1 §5.3.2).
    pub fn code(self, endpoint: Endpoint) -> Option<ErrorCode> {
        match (self, endpoint) {
            (
                Self::ClientDeactivated
                | Self::CimdDenied
                | Self::AccountSuspended
                | Self::OwnerSuspended,
                Endpoint::Resource,
            ) => Some(ErrorCode::InvalidToken),
            (Self::RedirectHostDenied, Endpoint::Authorization) => Some(ErrorCode::InvalidRequest),
            (Self::AccountSuspended | Self::OwnerSuspended, Endpoint::Authorization) => {
                Some(ErrorCode::AccessDenied)
            }
            _ => self.row().code,
        }
    }

    /// Returns the HTTP status at this endpoint. At the authorization endpoint it is the status of
    /// the page; a redirect is a 303 instead.
    pub fn status(self, endpoint: Endpoint) -> u16 {
        let Some(code) = self.code(endpoint) else { return 401 };
        match (self, code, endpoint) {
            (Self::MethodNotAllowed, ..) => 405,
            (Self::ConnectionUnknown, ..) => 404,
            (
                Self::RequestTooLarge,
                _,
                Endpoint::Token
                | Endpoint::Revocation
                | Endpoint::Introspection
                | Endpoint::Registration
                | Endpoint::Management,
            ) => 413,
            (_, ErrorCode::TooManyRequests, _) => 429,
            (_, ErrorCode::InsufficientBalance, _) => 402,
            (_, ErrorCode::TemporarilyUnavailable, _) => 503,
            (
                _,
                ErrorCode::InvalidClient,
                Endpoint::Token | Endpoint::Revocation | Endpoint::Introspection,
            )
            | (_, ErrorCode::InvalidToken | ErrorCode::InsufficientUserAuthentication, _) => 401,
            (
                Self::RegistrationOff
                | Self::RevocationOff
                | Self::IntrospectionOff
                | Self::AccountForbidden
                | Self::PrincipalMismatch,
                ..,
            )
            | (_, ErrorCode::InsufficientScope, _) => 403,
            _ => 400,
        }
    }

    /// Returns whether the same request may succeed a little later: 503 or 429.
    pub(crate) fn is_retryable(self) -> bool {
        let code = self.row().code;
        matches!(code, Some(ErrorCode::TemporarilyUnavailable | ErrorCode::TooManyRequests))
    }

    /// Returns the methods of an endpoint, as the `Allow` header lists them.
    pub(crate) fn allowed_methods(endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Authorization => "GET, POST",
            Endpoint::Management => "GET, PUT, DELETE",
            Endpoint::Token
            | Endpoint::Revocation
            | Endpoint::Introspection
            | Endpoint::Registration
            | Endpoint::Resource
            | Endpoint::Operator => "POST",
        }
    }

    /// Returns whether a refusal for this reason revokes the grant.
    pub fn revokes(self) -> bool {
        matches!(self, Self::CodeReused | Self::RefreshReused | Self::GrantEndedByHost)
    }
}
