//! Rows of protected resources.

macro_rules! resource_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Resource {
        TokenMissing "token_missing" {
            code: None,
            section: "OAuth 2.1 §5.3.2",
            description: "",
            cause: "The resource was called without a bearer token.",
            fix: "Follow resource_metadata in the challenge and authorize.",
        }
        BearerMalformed "bearer_malformed" {
            code: InvalidRequest,
            section: "OAuth 2.1 §5.1.1",
            description: "The Authorization header is malformed.",
            cause: "The bearer credential is empty, or has spaces or illegal characters in it, or \
                there are two Authorization headers.",
            fix: "Send one header: Authorization: Bearer TOKEN.",
        }
        TokenUnknown "token_unknown" {
            code: InvalidToken,
            section: "OAuth 2.1 §5.3.2",
            description: "The access token is not valid.",
            cause: "The token was never issued by this server, is another kind of credential, or \
                its grant no longer exists.",
            fix: "Authorize again. Check that the token is from this server and unchanged.",
        }
        TokenExpired "token_expired" {
            code: InvalidToken,
            section: "OAuth 2.1 §5.3.2",
            description: "The access token has expired.",
            cause: "The grant lives, but not this access token: its lifetime is over, its client \
                revoked it alone, or newer tokens of its grant displaced it.",
            fix: "Refresh, and retry with the new access token. If the token ends before its time, \
                look for token_revoked in the audit log of the grant, and share one access token \
                among the processes of a client.",
        }
        TokenRevoked "token_revoked" {
            code: InvalidToken,
            section: "OAuth 2.1 §5.3.2",
            description: "The access token was revoked.",
            cause: "The token's grant was revoked or ended: by its user, its client or an \
                administrator, or because a credential was used twice.",
            fix: "Authorize again.",
        }
        AudienceMismatch "audience_mismatch" {
            code: InvalidToken,
            section: "RFC 8707 §2",
            description: "The access token is for another resource.",
            cause: "A token for one resource was sent to another.",
            fix: "Authorize for this resource: follow resource_metadata in the challenge.",
        }
        PrincipalMismatch "principal_mismatch" {
            code: AccessDenied,
            section: "RFC 9700 §4.15",
            description: "This operation is for users. The access token is the client's own.",
            cause: "A client called on its own behalf, and the operation serves calls on behalf of \
                users only.",
            fix: "Let the operation serve machines: Needs::machines, or machines = true in [[protect]] \
                of the reference server. Or let the client ask a user.",
        }
        LoginInsufficient "login_insufficient" {
            code: InsufficientUserAuthentication,
            section: "RFC 9470 §3",
            description: "The operation needs a newer login of the user, or one of another class.",
            cause: "The token is valid, but its user has signed in too long ago, or by another \
                class of login than this operation needs.",
            fix: "Authorize again, with acr_values and max_age as the challenge has them.",
        }
        ScopeInsufficient "scope_insufficient" {
            code: InsufficientScope,
            section: "OAuth 2.1 §5.3.2",
            description: "The access token lacks a scope this operation needs.",
            cause: "The token is valid, but the user has not granted what the operation needs.",
            fix: "Authorize again, asking for the scopes in the challenge as well.",
        }
        AccountForbidden "account_forbidden" {
            code: AccessDenied,
            section: "OAuth 2.1 §5.3.2",
            description: "The account behind this connection is not active. Contact support.",
            cause: "The account of the user or of the client's owner is suspended or does not \
                exist, and the policy answers that with 403.",
            fix: "Lift the suspension. Tokens that have not expired or been revoked then work \
                again.",
        }
        BalanceInsufficient "insufficient_balance" {
            code: InsufficientBalance,
            section: "RFC 9110 §15.5.3",
            description: "The balance of the account does not suffice. Top it up and retry.",
            cause: "The call costs something and the account's balance is used up. All connections \
                of an account share one balance.",
            fix: "Top up the account. The same token works again at once.",
        }
    }

    } };
}

pub(super) use resource_rows;
