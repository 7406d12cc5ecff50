//! Rows of protected resources.

macro_rules! resource_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Resource {
        TokenMissing "token_missing" None "OAuth 2.1 §5.3.2"
            ""
            "The resource was called without a bearer token."
            "Follow resource_metadata in the challenge and authorize."
        BearerMalformed "bearer_malformed" InvalidRequest "OAuth 2.1 §5.1.1"
            "The Authorization header is malformed."
            "The bearer credential is empty, has illegal characters or spaces in it, or there are two Authorization headers."
            "Send one header: Authorization: Bearer TOKEN."
        TokenUnknown "token_unknown" InvalidToken "OAuth 2.1 §5.3.2"
            "The access token is not valid."
            "The token was never issued here, is another kind of credential, or its grant is long gone."
            "Authorize again. Check that the token is one of this server and unchanged."
        TokenExpired "token_expired" InvalidToken "OAuth 2.1 §5.3.2"
            "The access token has expired."
            "The token's lifetime is over, or it made room for newer ones of its grant."
            "Refresh, and retry with the new access token."
        TokenRevoked "token_revoked" InvalidToken "OAuth 2.1 §5.3.2"
            "The access token was revoked."
            "The token's grant was revoked or ended: by its user, an administrator, or because a credential was used twice."
            "Authorize again."
        AudienceMismatch "audience_mismatch" InvalidToken "RFC 8707 §2"
            "The access token is for another resource."
            "A token for one resource was sent to another."
            "Authorize for this resource: follow resource_metadata in the challenge."
        ScopeInsufficient "scope_insufficient" InsufficientScope "OAuth 2.1 §5.3.2"
            "The access token lacks a scope this operation needs."
            "The token is good, but the user has not granted what the operation needs."
            "Authorize again, asking for the scopes in the challenge as well."
        AccountForbidden "account_forbidden" AccessDenied "OAuth 2.1 §5.3.2"
            "The account behind this connection is not active. Contact support."
            "The user's account, or that of the client's owner, is suspended or gone, and the policy answers that with 403."
            "Lift the suspension. Tokens that have not expired or been revoked then work again."
        BalanceInsufficient "insufficient_balance" InsufficientBalance "RFC 9110 §15.5.3"
            "The balance of the account does not suffice. Top it up and retry."
            "The call costs something and the account's balance is used up. All connections of an account share one balance."
            "Top up the account. The same token works again at once."
    }

    } };
}

pub(super) use resource_rows;
