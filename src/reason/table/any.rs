//! Rows of what can go wrong at more than one endpoint.

macro_rules! any_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Authorization, Token, Registration, Management {
        MethodNotAllowed "method_not_allowed" InvalidRequest "OAuth 2.1 §3.1, §3.2"
            "This endpoint does not accept this request method."
            "The endpoint was called with a method it does not have."
            "Send one of the methods in the response's Allow header."
        RequestTooLarge "request_too_large" InvalidRequest "OAuth 2.1 §7.12"
            "The request is too large."
            "The query or body, the number of its parameters, or one value is over the configured limit."
            "Shorten the request (state is the usual culprit), or raise the limit in the policy."
    }

    at Authorization, Token {
        ContentType "content_type" InvalidRequest "OAuth 2.1 §3.2.2"
            "The body must be application/x-www-form-urlencoded."
            "The request has another content type, or none."
            "Send the parameters as a form body, not as JSON."
        RequestUndecodable "request_undecodable" InvalidRequest "OAuth 2.1 App. B"
            "The request is not form-encoded UTF-8."
            "A percent sign is not followed by two hexadecimal digits, or the decoded bytes are not UTF-8."
            "Encode the parameters once, as application/x-www-form-urlencoded."
    }

    at Authorization, Token; also by redirect {
        ParameterRepeated "parameter_repeated" InvalidRequest "OAuth 2.1 §3.1, §3.2.4"
            "A parameter is included more than once."
            "A parameter other than resource occurs twice, so it is not clear which value is meant."
            "Send each parameter once."
    }

    at Authorization, Token, Registration, Management, Resource, Operator; also by redirect {
        StorageUnavailable "storage_unavailable" TemporarilyUnavailable "OAuth 2.1 §4.1.2.1"
            "The server cannot answer now. Try again later."
            "The store or the source of randomness failed, or the outcome of a write is not known."
            "Look at the error the store returned. The client should retry with backoff and keep its tokens."
    }

    at Authorization, Token, Registration, Management, Operator; also by redirect {
        Contended "contended" TemporarilyUnavailable "OAuth 2.1 §4.1.2.1"
            "The server is busy with this grant. Try again."
            "Other requests changed the same grant at the same time, at every attempt."
            "Nothing was concluded from it. The client should retry with backoff and keep its tokens."
    }

    at Authorization, Token {
        ClientIdMissing "client_id_missing" InvalidRequest "OAuth 2.1 §4.1.1, §3.2.1"
            "The client_id parameter is missing."
            "The request does not say which client it comes from."
            "Send client_id."
    }

    at Authorization, Token, Operator {
        ClientUnknown "client_unknown" InvalidClient "OAuth 2.1 §4.1.2.1, §3.2.4"
            "The client is unknown or its authentication failed. Register the client again."
            "No active client with this client_id exists."
            "Re-run client registration, or correct the client_id."
    }

    at Authorization, Token, Resource {
        ClientDeactivated "client_deactivated" InvalidClient "OAuth 2.1 §4.1.2.1, §3.2.4"
            "The client is unknown or its authentication failed. Register the client again."
            "The client exists but was deactivated by an administrator."
            "Reactivate the client, or re-run client registration."
    }

    at Authorization, Token, Resource; also by redirect {
        AccountSuspended "account_suspended" InvalidGrant "OAuth 2.1 §4.1.2.1, §4.3.1, §5.3.2"
            "The account behind this connection is not active. Contact support."
            "The user's account is suspended or gone."
            "Lift the suspension. Tokens that have not expired or been revoked then work again."
        OwnerSuspended "owner_suspended" InvalidGrant "OAuth 2.1 §4.1.2.1, §4.3.1, §5.3.2"
            "The account behind this connection is not active. Contact support."
            "The account that owns the client is suspended or gone."
            "Lift the suspension. Tokens that have not expired or been revoked then work again."
    }

    at Authorization, Token, Registration, Management, Resource, Operator {
        AuditUnavailable "audit_unavailable" TemporarilyUnavailable "OAuth 2.1 §4.1.2.1"
            "The server cannot answer now. Try again later."
            "The trail did not record this step, and its rules say that then nothing is answered. What the step wrote stays written."
            "Look at why the trail fails. The client should retry with backoff; a replay window keeps its tokens alive meanwhile."
    }

    at Operator {
        ConnectionUnknown "connection_unknown" InvalidRequest "OAuth 2.1 §7.9"
            "There is no such connection."
            "The user has no grant of this id: it is another user's, or long gone."
            "Reload the page of connected apps."
    }

    } };
}

pub(super) use any_rows;
