//! The error table: one [`Reason`] for each rule that a request can break.
//!
//! Names, sections, public codes, sentences for the client and sentences for the operator stand
//! here and nowhere else. What a client may learn is its code and description; cause and fix are
//! for whoever runs the server or the client.

use crate::value::redirect_uri::RedirectUriError;

/// A public error code, as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// OAuth 2.1 §3.2.4, §4.1.2.1, §5.3.2.
    InvalidRequest,
    /// OAuth 2.1 §3.2.4.
    InvalidClient,
    /// OAuth 2.1 §3.2.4.
    InvalidGrant,
    /// OAuth 2.1 §3.2.4, §4.1.2.1.
    UnauthorizedClient,
    /// OAuth 2.1 §3.2.4.
    UnsupportedGrantType,
    /// OAuth 2.1 §4.1.2.1.
    UnsupportedResponseType,
    /// OAuth 2.1 §3.2.4, §4.1.2.1.
    InvalidScope,
    /// RFC 8707 §2.
    InvalidTarget,
    /// OAuth 2.1 §4.1.2.1.
    AccessDenied,
    /// OAuth 2.1 §4.1.2.1.
    TemporarilyUnavailable,
    /// OIDC Core §3.1.2.6.
    LoginRequired,
    /// OIDC Core §3.1.2.6.
    ConsentRequired,
    /// RFC 9101 §7.
    RequestNotSupported,
    /// RFC 9101 §7.
    RequestUriNotSupported,
    /// RFC 7591 §3.2.2.
    InvalidRedirectUri,
    /// RFC 7591 §3.2.2.
    InvalidClientMetadata,
    /// OAuth 2.1 §5.3.2.
    InvalidToken,
    /// OAuth 2.1 §5.3.2.
    InsufficientScope,
    /// Not registered: the account behind the token cannot pay.
    InsufficientBalance,
    /// Not registered; the field's word for a 429.
    TooManyRequests,
    /// Not registered: shown on a page, never sent to a client. The consent page was left open too
    /// long.
    ConsentExpired,
    /// Not registered: shown on a page, never sent to a client. The consent was decided already.
    ConsentUsed,
    /// No code at all: a resource was called without credentials (OAuth 2.1 §5.3.2).
    None,
}

impl ErrorCode {
    /// The code as it goes over the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientBalance => "insufficient_balance",
            Self::TooManyRequests => "too_many_requests",
            Self::ConsentExpired => "consent_expired",
            Self::ConsentUsed => "consent_used",
            Self::None => "",
        }
    }
}

/// At which face of the server a rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The authorization endpoint and the consent page: a person is looking.
    Authorization,
    /// The token endpoint: a client is reading.
    Token,
    /// The registration endpoint: a client is reading.
    Registration,
    /// The endpoint of one registration: a client is reading.
    Management,
    /// A protected resource: a client is reading.
    Resource,
    /// The operator's own doing: nobody else is reading.
    Operator,
}

/// One row of the table.
struct Row {
    name: &'static str,
    section: &'static str,
    code: ErrorCode,
    description: &'static str,
    cause: &'static str,
    fix: &'static str,
}

macro_rules! reasons {
    (@redirects) => { false };
    (@redirects $also:ident) => { true };
    (=> $(at $($endpoint:ident),+ $(; $also:ident by redirect)? {
        $($variant:ident $name:literal $code:ident $section:literal $description:literal $cause:literal $fix:literal)*
    })*) => {
        /// Which rule a request broke. For the operator and the log; the client is told [`ErrorCode`] and description only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = concat!("`", $name, "`: ", $cause, " (", $section, ")")] $variant,)*)*
        }

        impl Reason {
            /// Every reason, in the table's order.
            pub const ALL: &'static [Self] = &[$($(Self::$variant),*),*];

            /// The faces of the server where this can happen; the code and the status may differ between them.
            pub fn endpoints(self) -> &'static [Endpoint] {
                match self {
                    $($(Self::$variant)|* => &[$(Endpoint::$endpoint),+],)*
                }
            }

            /// Whether the authorization endpoint may tell it by redirect, at the client's verified URI, and not on its page only.
            pub fn is_redirectable(self) -> bool {
                match self {
                    $($(Self::$variant)|* => reasons!(@redirects $($also)?),)*
                }
            }

            pub(super) fn row(self) -> Row {
                match self {
                    $($(Self::$variant => Row {
                        name: $name,
                        section: $section,
                        code: ErrorCode::$code,
                        description: $description,
                        cause: $cause,
                        fix: $fix,
                    },)*)*
                }
            }
        }
    };
}

mod table;
mod troubleshooting;
pub use table::Reason;
pub use troubleshooting::troubleshooting;

/// Why a redirect URI cannot be registered, as the rule of the registration that it breaks.
impl From<RedirectUriError> for Reason {
    fn from(error: RedirectUriError) -> Self {
        match error {
            RedirectUriError::Missing => Self::RedirectUrisMissing,
            RedirectUriError::TooMany => Self::RedirectUrisTooMany,
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
    /// Its stable name in events and logs, and the anchor of its entry in
    /// `docs/troubleshooting.md`: the one for [`PkceMissing`](Self::PkceMissing) is
    /// `docs/troubleshooting.md#pkce_missing`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The section the rule comes from.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// What the client is told, next to the code. Within the character set of OAuth 2.1 §3.2.4, and
    /// never with input in it.
    pub fn description(self) -> &'static str {
        self.row().description
    }

    /// What happened, for the operator.
    pub fn cause(self) -> &'static str {
        self.row().cause
    }

    /// What to do about it, for the operator or the client's author.
    pub fn fix(self) -> &'static str {
        self.row().fix
    }

    /// What may be shown of it to a stranger: whether a client exists is the one thing worth hiding
    /// (AUTHZ-08).
    pub(crate) fn shown(self) -> Self {
        match self {
            Self::ClientDeactivated => Self::ClientUnknown,
            other => other,
        }
    }

    /// The public code. It depends on the face only where one rule holds at several.
    pub fn code(self, endpoint: Endpoint) -> ErrorCode {
        match (self, endpoint) {
            (
                Self::ClientDeactivated | Self::AccountSuspended | Self::OwnerSuspended,
                Endpoint::Resource,
            ) => ErrorCode::InvalidToken,
            (Self::AccountSuspended | Self::OwnerSuspended, Endpoint::Authorization) => {
                ErrorCode::AccessDenied
            }
            _ => self.row().code,
        }
    }

    /// The status of the response, where it is no redirect.
    pub fn status(self, endpoint: Endpoint) -> u16 {
        match (self, self.code(endpoint), endpoint) {
            (Self::MethodNotAllowed, ..) => 405,
            (Self::ConnectionUnknown, ..) => 404,
            (
                Self::RequestTooLarge,
                _,
                Endpoint::Token | Endpoint::Registration | Endpoint::Management,
            ) => 413,
            (_, ErrorCode::TooManyRequests, _) => 429,
            (_, ErrorCode::InsufficientBalance, _) => 402,
            (_, ErrorCode::TemporarilyUnavailable, _) => 503,
            (_, ErrorCode::InvalidClient, Endpoint::Token)
            | (_, ErrorCode::InvalidToken | ErrorCode::None, _) => 401,
            (
                Self::RegistrationOff
                | Self::RevocationOff
                | Self::IntrospectionOff
                | Self::AccountForbidden,
                ..,
            )
            | (_, ErrorCode::InsufficientScope, _) => 403,
            _ => 400,
        }
    }

    /// The methods of an endpoint of this face, as `Allow` names them.
    pub(crate) fn allowed_methods(endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Authorization => "GET, POST",
            Endpoint::Management => "GET, PUT, DELETE",
            Endpoint::Token | Endpoint::Registration | Endpoint::Resource | Endpoint::Operator => {
                "POST"
            }
        }
    }

    /// Whether the grant was revoked because of it.
    pub fn revokes(self) -> bool {
        matches!(self, Self::CodeReused | Self::RefreshReused)
    }
}
