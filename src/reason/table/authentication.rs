//! Rows of client authentication and of the limits on what clients send.

macro_rules! authentication_rows {
    ($next:ident $($after:ident)* => $($before:tt)*) => { $next! { $($after)* => $($before)*

    at Token {
        RateLimited "rate_limited" {
            code: TooManyRequests,
            section: "RFC 6585 §4",
            description: "Too many requests by this client. Wait for the time in Retry-After.",
            cause: "The client sent more token requests in a minute than the policy allows.",
            fix: "Look for a retry storm in the client: usually a refresh loop without backoff.",
        }
    }

    at Token, Revocation, Introspection {
        SecretInUrl "secret_in_url" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.4.1",
            description: "Credentials must not be in the URL. Send them in the body.",
            cause: "A secret, code, token or verifier is in the query, where logs and histories \
                keep it.",
            fix: "Send the parameters in the body. Treat the value that was sent as compromised.",
        }
        SeveralAuthentications "several_authentications" {
            code: InvalidRequest,
            section: "OAuth 2.1 §2.4",
            description: "The client authenticates in more than one way.",
            cause: "A secret is in both header and body, the two name different clients, or the \
                header is repeated.",
            fix: "Use one of client_secret_basic and client_secret_post.",
        }
        CredentialsMalformed "client_credentials_malformed" {
            code: InvalidClient,
            section: "RFC 6749 §2.3.1",
            description: "The client is unknown or its authentication failed. Register the client \
                again.",
            cause: "The Authorization header is not Basic, or its value is not the base64 of a \
                form-encoded id and secret with a colon between them.",
            fix: "Form-encode id and secret, join them with a colon, and encode the result as \
                base64.",
        }
        ClientSecretMissing "client_secret_missing" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.1",
            description: "The client is unknown or its authentication failed. Register the client \
                again.",
            cause: "A confidential client sent no secret.",
            fix: "Send the secret by the registered method.",
        }
        ClientSecretWrong "client_secret_wrong" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is unknown or its authentication failed. Register the client \
                again.",
            cause: "The secret is not the one of this client.",
            fix: "Correct the secret, or register the client again.",
        }
        ClientSecretRetired "client_secret_retired" {
            code: InvalidClient,
            section: "OAuth 2.1 §3.2.4",
            description: "The client is unknown or its authentication failed. Register the client \
                again.",
            cause: "The secret was replaced, and the time is over in which the former one was \
                accepted too.",
            fix: "Give the client the new secret. The event names the client.",
        }
        ClientSecretUnexpected "client_secret_unexpected" {
            code: InvalidClient,
            section: "OAuth 2.1 §2.4",
            description: "The client is unknown or its authentication failed. Register the client \
                again.",
            cause: "A client registered without a secret sent one.",
            fix: "Send client_id only, or register a confidential client.",
        }
        ClientMethodMismatch "client_method_mismatch" {
            code: InvalidClient,
            section: "RFC 7591 §2",
            description: "The client_secret is right, but it came by another method than the \
                registered token_endpoint_auth_method.",
            cause: "The right secret came by another method than the registered one.",
            fix: "Use the registered token_endpoint_auth_method, or set lenient_on_method in the \
                policy.",
        }
        AuthenticationsThrottled "authentications_throttled" {
            code: TooManyRequests,
            section: "OAuth 2.1 §2.4.1",
            description: "Too many requests by this client. Wait for the time in Retry-After.",
            cause: "Authentication for this client failed too often in a minute. Someone may be \
                guessing its secret.",
            fix: "Wait. If this recurs, find out who sends these requests, and change the secret.",
        }
    }

    } };
}

pub(super) use authentication_rows;
