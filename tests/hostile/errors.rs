//! The error codes and statuses of each endpoint, from the registries of the specifications and not
//! from the crate's table.

use crate::wire::To;

/// Returns whether the endpoint may answer this code with this status: the code is registered, or
/// documented as unregistered.
pub fn is_registered(to: To, code: &str, status: u16) -> bool {
    let allowed: &[(&str, &[u16])] = match to {
        // OAuth 2.1 §3.2.4; RFC 8707 §2; RFC 7009 §2.2.1; a 429 has no registered code.
        To::Token | To::Revoke | To::Introspect => &[
            ("invalid_request", &[400, 405, 413]),
            ("invalid_client", &[400, 401]),
            ("invalid_grant", &[400]),
            ("unauthorized_client", &[400, 403]),
            ("unsupported_grant_type", &[400]),
            ("unsupported_token_type", &[400]),
            ("invalid_scope", &[400]),
            ("invalid_target", &[400]),
            ("temporarily_unavailable", &[503]),
            ("too_many_requests", &[429]),
        ],
        // RFC 7591 §3.2.2, RFC 7592 §2, RFC 6750 §3.1.
        To::Register | To::Manage => &[
            ("invalid_redirect_uri", &[400]),
            ("invalid_client_metadata", &[400, 413]),
            ("invalid_request", &[400, 405, 413]),
            ("invalid_token", &[401]),
            ("temporarily_unavailable", &[503]),
            ("too_many_requests", &[429]),
        ],
        // OAuth 2.1 §5.3.2; the balance is the product's own.
        To::Check => &[
            ("invalid_request", &[400]),
            ("invalid_token", &[401]),
            ("insufficient_scope", &[403]),
            ("insufficient_balance", &[402]),
        ],
        // OAuth 2.1 §4.1.2.1; RFC 8707 §2; RFC 9101 §7; OpenID Connect Core §3.1.2.6. The last
        // three codes are on a page only.
        To::Authorize | To::Consent => &[
            ("invalid_request", &[400, 405, 413]),
            ("unauthorized_client", &[400]),
            ("access_denied", &[400, 403]),
            ("unsupported_response_type", &[400]),
            ("invalid_scope", &[400]),
            ("invalid_target", &[400]),
            ("request_not_supported", &[400]),
            ("request_uri_not_supported", &[400]),
            ("login_required", &[400]),
            ("consent_required", &[400]),
            ("account_selection_required", &[400]),
            ("interaction_required", &[400]),
            ("temporarily_unavailable", &[429, 503]),
            ("too_many_requests", &[429]),
            ("invalid_client", &[400]),
            ("consent_expired", &[400]),
            ("consent_used", &[400]),
        ],
        To::Wait(_) => &[],
    };
    allowed.iter().any(|(own, statuses)| *own == code && statuses.contains(&status))
}
