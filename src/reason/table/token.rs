//! Rows of the token endpoint.

macro_rules! token_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Token {
        GrantTypeMissing "grant_type_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §3.2.2",
            description: "The grant_type parameter is missing.",
            cause: "grant_type was left out.",
            fix: "Send grant_type authorization_code or refresh_token.",
        }
        GrantTypeUnsupported "grant_type_unsupported" {
            code: UnsupportedGrantType,
            section: "OAuth 2.1 §3.2.4",
            description: "This grant_type is not supported.",
            cause: "The client asked for a grant type that this server does not support.",
            fix: "Use a grant type of grant_types_supported in the server's metadata.",
        }
        GrantTypeUnauthorized "grant_type_unauthorized" {
            code: UnauthorizedClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is not registered for this grant_type.",
            cause: "The client's grant_types lack the grant type that it asked for, or the operator \
                lets it do nothing on its own behalf.",
            fix: "Register the client with this grant type. For client_credentials, the operator's \
                record of the client has to have machine rights.",
        }

        // Codes.
        CodeMissing "code_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.1.3",
            description: "The code parameter is missing.",
            cause: "code was left out.",
            fix: "Send the code from the redirect.",
        }
        CodeUnknown "code_unknown" {
            code: InvalidGrant,
            section: "OAuth 2.1 §3.2.4",
            description: "The authorization code is not valid. Restart the flow.",
            cause: "The code was never issued by this server, is malformed, or its grant no longer \
                exists.",
            fix: "Restart the flow. Check that the code reaches the token request unchanged.",
        }
        CodeExpired "code_expired" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.1.2",
            description: "The authorization code has expired. Restart the flow.",
            cause: "The code was redeemed too late.",
            fix: "Restart the flow, and redeem the code at once.",
        }
        CodeReused "code_reused" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.1.3",
            description: "The authorization code was already redeemed. All tokens issued from it \
                are revoked. Restart the flow.",
            cause: "The code was redeemed a second time, by a request that was valid in all else: \
                the client retried, or the code leaked. The grant is revoked.",
            fix: "Restart the flow. If the client does not retry, find out where the code leaked.",
        }
        CodeClientMismatch "code_client_mismatch" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.1.3",
            description: "The authorization code was issued to another client.",
            cause: "A client presented a code that was issued to another client.",
            fix: "Redeem the code with the client_id of the authorization request.",
        }
        TokenRedirectUriMissing "token_redirect_uri_missing" {
            code: InvalidGrant,
            section: "RFC 6749 §4.1.3",
            description: "The redirect_uri of the authorization request must be sent again.",
            cause: "redirect_uri was sent to the authorization endpoint but left out of the token \
                request.",
            fix: "Send the same redirect_uri in both requests.",
        }
        TokenRedirectUriMismatch "token_redirect_uri_mismatch" {
            code: InvalidGrant,
            section: "RFC 6749 §4.1.3",
            description: "The redirect_uri does not match the one of the authorization request.",
            cause: "The redirect URI of the token request is not the one of the authorization \
                request. The port of a loopback URI counts.",
            fix: "Send the same redirect_uri in both requests.",
        }
        VerifierMissing "pkce_verifier_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.1.3",
            description: "The code_verifier parameter is missing.",
            cause: "code_verifier was left out.",
            fix: "Send the verifier that the code challenge was made from.",
        }
        VerifierMalformed "pkce_verifier_malformed" {
            code: InvalidGrant,
            section: "RFC 7636 §4.1",
            description: "The code_verifier is not 43 to 128 unreserved characters.",
            cause: "The verifier is too short, too long, or has a character that is not allowed.",
            fix: "Send the original random string of 43 to 128 URL-safe characters.",
        }
        VerifierMismatch "pkce_mismatch" {
            code: InvalidGrant,
            section: "RFC 7636 §4.6",
            description: "The code_verifier does not match the code_challenge.",
            cause: "The hash of the verifier is not the challenge of the authorization request.",
            fix: "Send the verifier of the same authorization request. A client that runs two \
                flows at once may mix them up.",
        }
        VerifierIsChallenge "pkce_verifier_is_challenge" {
            code: InvalidGrant,
            section: "RFC 7636 §4.5",
            description: "The code_verifier is the code_challenge itself. Send the original \
                verifier, not its hash.",
            cause: "The client posted the hash in place of the original random string.",
            fix: "Send the original random string of 43 to 128 URL-safe characters.",
        }

        // Refresh tokens.
        RefreshMissing "refresh_token_missing" {
            code: InvalidRequest,
            section: "OAuth 2.1 §4.3",
            description: "The refresh_token parameter is missing.",
            cause: "refresh_token was left out.",
            fix: "Send the refresh token.",
        }
        RefreshUnknown "refresh_unknown" {
            code: InvalidGrant,
            section: "OAuth 2.1 §3.2.4",
            description: "The refresh token is not valid. Authorize again.",
            cause: "The token was never issued by this server, is malformed or of another kind, or \
                its grant no longer exists.",
            fix: "Authorize again. Check that the client keeps its tokens unchanged.",
        }
        RefreshForged "refresh_forged" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.1",
            description: "The refresh token is not valid. Authorize again.",
            cause: "The token names an existing grant but holds another family's secret. Nothing \
                was changed.",
            fix: "No fix is needed: the grant is safe. If this recurs, someone may be guessing \
                tokens.",
        }
        RefreshClientMismatch "refresh_client_mismatch" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.1",
            description: "The refresh token was issued to another client.",
            cause: "A client presented a refresh token that was issued to another client. Nothing \
                was changed.",
            fix: "Refresh with the client_id the token was issued to.",
        }
        RefreshIdleExpired "refresh_idle_expired" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.3",
            description: "The refresh token was not used for too long. Authorize again.",
            cause: "The grant was not refreshed within its idle lifetime.",
            fix: "Authorize again, or lengthen the idle lifetime.",
        }
        RefreshAbsoluteExpired "refresh_absolute_expired" {
            code: InvalidGrant,
            section: "OAuth 2.1 §1.3.2",
            description: "The connection has reached its longest lifetime. Authorize again.",
            cause: "The grant reached the lifetime counted from its consent.",
            fix: "Authorize again, or lengthen the absolute lifetime.",
        }
        RefreshReused "refresh_reused" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.1",
            description: "The refresh token was already rotated. All tokens of this connection are \
                revoked. Authorize again.",
            cause: "A refresh token was presented after its rotation: it leaked, a response was \
                lost, or two processes share the token. The grant is revoked.",
            fix: "Authorize again. For clients that retry or share tokens, set a replay window in \
                the policy.",
        }
        RefreshSuperseded "refresh_superseded" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.1",
            description: "The refresh token was replaced by a newer one. Use the newest.",
            cause: "Two rotations lie within the replay window, and this token is older than both. \
                Nothing was changed.",
            fix: "Let the client's processes share the newest token.",
        }
        GrantRevoked "grant_revoked" {
            code: InvalidGrant,
            section: "OAuth 2.1 §3.2.4",
            description: "The connection was revoked. Authorize again.",
            cause: "The grant was revoked: by its user, an administrator, or because a code or \
                refresh token was used twice.",
            fix: "Authorize again from the consent screen. The audit log of this grant names what \
                revoked it.",
        }
        GrantEnded "grant_ended" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.3",
            description: "The connection was ended. Authorize again.",
            cause: "All grants of this client or account were ended at once, after a security \
                event or by an administrator. Or the code was issued without a consent page, and \
                the earlier grant that it relies on was revoked before the code was redeemed.",
            fix: "Authorize again.",
        }
        RevokedSecurityEvent "revoked_security_event" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.3",
            description: "The connection was revoked. Authorize again.",
            cause: "The grant was ended after a security event that the host reported, such as a \
                changed password.",
            fix: "Authorize again from the consent screen.",
        }
        GrantEndedByHost "grant_ended_by_host" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.3",
            description: "The service ended the connection. Authorize again.",
            cause: "The host decided at this refresh that the grant is over: it ended the grant, left \
                nothing of the scope, or set an end that has passed. The grant is revoked.",
            fix: "Authorize again. The note of the audit event is the reason that the host gave.",
        }
        GrantSuperseded "grant_superseded" {
            code: InvalidGrant,
            section: "OAuth 2.1 §4.3.3",
            description: "The connection was replaced by a newer one. Use the newest.",
            cause: "The same user connected the same application again, at the same redirect URI, \
                and the policy ends the older grant then.",
            fix: "Let the application use the tokens of its newest authorization.",
        }
        ScopeBeyondGrant "scope_beyond_grant" {
            code: InvalidScope,
            section: "OAuth 2.1 §4.3.1",
            description: "The scope exceeds the scope of the grant.",
            cause: "A refresh asked for more than the user granted, or than is left of it.",
            fix: "Leave scope out, or authorize again for more.",
        }
        ResourceBeyondGrant "resource_beyond_grant" {
            code: InvalidTarget,
            section: "RFC 8707 §2.2",
            description: "The resource is not one the grant is for.",
            cause: "A token request names a resource that the user did not consent to, or that the \
                assertion is not for.",
            fix: "Leave resource out, or authorize again for it.",
        }
        ResourceForbidden "resource_forbidden" {
            code: InvalidTarget,
            section: "RFC 8707 §2.2",
            description: "The resource is not one that this client may use on its own behalf.",
            cause: "A client asked for a token without a user, for a resource outside the machine \
                rights that the operator gave it.",
            fix: "Name a resource of the client's machine rights, or let the operator add this one.",
        }
    }

    } };
}

pub(super) use token_rows;
