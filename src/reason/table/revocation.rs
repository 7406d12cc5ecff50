//! Rows of the revocation endpoint.

macro_rules! revocation_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Revocation {
        RevocationOff "revocation_off" {
            code: AccessDenied,
            section: "RFC 7009 §2",
            description: "Tokens cannot be revoked here.",
            cause: "The policy has no revocation endpoint.",
            fix: "Let the token expire, or turn revocation on in the policy.",
        }
        RevocationTokenMissing "revocation_token_missing" {
            code: InvalidRequest,
            section: "RFC 7009 §2.1",
            description: "The token parameter is missing.",
            cause: "token was left out.",
            fix: "Send the token to revoke.",
        }
        RevocationClientMismatch "revocation_client_mismatch" {
            code: InvalidGrant,
            section: "RFC 7009 §2.1",
            description: "The token was issued to another client.",
            cause: "A client tried to revoke a token that was issued to another client. Nothing \
                was changed.",
            fix: "Revoke the token with the client_id it was issued to.",
        }
    }

    } };
}

pub(super) use revocation_rows;
